//! What a process did to a folder, operation by operation, and the states in which a power failure may leave it.
//!
//! Promised by a disk are only bytes of a file before its last sync, and names of a folder before its last sync. Every later write
//! may be there, not be there, be there in part (cut at 512 bytes), or be zeros where the file grew. Of names, what came first is
//! there first: by folder, or in one order for all folders, as file systems with one journal do it. A rename is there as a whole or
//! not at all. Whether the sync of a new file makes its name durable, too, is a matter of the file system; both are tried.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use super::world::Random;

const SECTOR: usize = 512;

/// One operation.
#[derive(Debug)]
pub enum Operation {
    Create {
        path: String,
        inode: u64,
    },
    Write {
        inode: u64,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        inode: u64,
        length: usize,
    },
    Sync {
        inode: u64,
    },
    SyncFolder {
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Link {
        from: String,
        to: String,
    },
    Unlink {
        path: String,
    },
    MakeFolder {
        path: String,
    },
    RemoveFolder {
        path: String,
    },
    /// A line that the user was given.
    Said(String),
    /// The process of a step ended.
    Step,
}

/// Reads a log (`trace.c`).
pub fn read(log: &[u8]) -> Vec<Operation> {
    let (mut operations, mut at) = (Vec::new(), 0);
    while at < log.len() {
        let number = |from: usize, bytes: usize| {
            let mut wide = [0; 8];
            wide[..bytes].copy_from_slice(&log[from..from + bytes]);
            u64::from_le_bytes(wide)
        };
        let length = |from: usize| usize::try_from(number(from, 4)).expect("a length");
        let (kind, inode, offset) = (log[at], number(at + 1, 8), number(at + 9, 8));
        let (path, other, data) =
            (at + 29, at + 29 + length(at + 17), at + 29 + length(at + 17) + length(at + 21));
        let end = data + length(at + 25);
        let text = |from: usize, to: usize| String::from_utf8_lossy(&log[from..to]).into_owned();
        operations.push(operation(
            kind,
            inode,
            usize::try_from(offset).expect("an offset"),
            [text(path, other), text(other, data)],
            log[data..end].to_vec(),
        ));
        at = end;
    }
    operations
}

fn operation(kind: u8, inode: u64, offset: usize, [path, other]: [String; 2], bytes: Vec<u8>) -> Operation {
    match kind {
        1 => Operation::Create { path, inode },
        2 => Operation::Write { inode, offset, bytes },
        3 => Operation::Truncate { inode, length: offset },
        4 => Operation::Sync { inode },
        5 => Operation::SyncFolder { path },
        6 => Operation::Rename { from: path, to: other },
        7 => Operation::Link { from: path, to: other },
        8 => Operation::Unlink { path },
        9 => Operation::MakeFolder { path },
        10 => Operation::RemoveFolder { path },
        11 => Operation::Said(String::from_utf8_lossy(&bytes).into_owned()),
        kind => panic!("a record of kind {kind}"),
    }
}

type Node = usize;
const ROOT: Node = 0;

/// A change of names, which is there as a whole or not at all.
struct Renaming {
    at: usize,
    /// Folder, name, and what it names from then on.
    changes: Vec<(Node, String, Option<Node>)>,
}

/// All that was done up to the failure.
#[derive(Default)]
struct Done {
    /// What each path names while the process runs.
    now: BTreeMap<(Node, String), Node>,
    nodes: Node,
    node_of_inode: HashMap<u64, Node>,
    is_folder: BTreeMap<Node, bool>,
    renamings: Vec<Renaming>,
    synced_folders: HashMap<Node, usize>,
    contents: BTreeMap<Node, Vec<(usize, Content)>>,
    synced: HashMap<Node, usize>,
}

/// A change of a file.
enum Content {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Done {
    fn up_to(operations: &[Operation]) -> Self {
        let mut done = Self { nodes: ROOT + 1, ..Self::default() };
        done.is_folder.insert(ROOT, true);
        for (at, operation) in operations.iter().enumerate() {
            done.add(at, operation);
        }
        done
    }

    fn add(&mut self, at: usize, operation: &Operation) {
        match operation {
            Operation::Create { path, inode } => {
                let node = self.new_node(false);
                self.node_of_inode.insert(*inode, node);
                self.rename(at, &[(path, Some(node))]);
            }
            Operation::MakeFolder { path } if self.place(path).1.is_empty() => {}
            Operation::MakeFolder { path } => {
                let node = self.new_node(true);
                self.rename(at, &[(path, Some(node))]);
            }
            Operation::Rename { from, to } => {
                let node = self.look(from);
                self.rename(at, &[(from, None), (to, node)]);
            }
            Operation::Link { from, to } => {
                let node = self.look(from);
                self.rename(at, &[(to, node)]);
            }
            Operation::Unlink { path } | Operation::RemoveFolder { path } => self.rename(at, &[(path, None)]),
            Operation::SyncFolder { path } => {
                if let Some(node) = self.look(path) {
                    self.synced_folders.insert(node, at);
                }
            }
            Operation::Write { inode, offset, bytes } => {
                self.change(at, *inode, Content::Write(*offset, bytes.clone()));
            }
            Operation::Truncate { inode, length } => self.change(at, *inode, Content::Length(*length)),
            Operation::Sync { inode } => {
                if let Some(node) = self.node_of_inode.get(inode) {
                    self.synced.insert(*node, at);
                }
            }
            Operation::Said(_) | Operation::Step => {}
        }
    }

    fn new_node(&mut self, is_folder: bool) -> Node {
        let node = self.nodes;
        self.nodes += 1;
        self.is_folder.insert(node, is_folder);
        node
    }

    fn change(&mut self, at: usize, inode: u64, content: Content) {
        if let Some(node) = self.node_of_inode.get(&inode) {
            self.contents.entry(*node).or_default().push((at, content));
        }
    }

    /// The folder of a path, and its name there.
    fn place(&self, path: &str) -> (Node, String) {
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let name = parts.pop().unwrap_or_default().to_owned();
        let folder = parts.iter().fold(ROOT, |folder, part| {
            self.now.get(&(folder, (*part).to_owned())).copied().unwrap_or(Node::MAX)
        });
        (folder, name)
    }

    fn look(&self, path: &str) -> Option<Node> {
        let (folder, name) = self.place(path);
        if name.is_empty() { Some(ROOT) } else { self.now.get(&(folder, name)).copied() }
    }

    fn rename(&mut self, at: usize, changes: &[(&String, Option<Node>)]) {
        let placed = changes.iter().map(|(path, node)| {
            let (folder, name) = self.place(path);
            (folder, name, *node)
        });
        let changes: Vec<_> = placed.collect();
        for (folder, name, node) in &changes {
            let key = (*folder, name.clone());
            match node {
                Some(node) => _ = self.now.insert(key, *node),
                None => _ = self.now.remove(&key),
            }
        }
        self.renamings.push(Renaming { at, changes });
    }

    /// Names as they are on the disk after the failure.
    fn names(&self, random: &mut Random) -> BTreeMap<(Node, String), Node> {
        let (is_one_order, names_new_files) = (random.below(2) == 0, random.below(2) == 0);
        let synced = |node: Node| self.synced_folders.get(&node).copied().unwrap_or(0);
        let is_durable = |renaming: &Renaming| {
            let by_folder = renaming.changes.iter().all(|(folder, ..)| synced(*folder) > renaming.at);
            let by_file = || match &renaming.changes[..] {
                [(_, _, Some(node))] => self.synced.get(node).is_some_and(|at| *at > renaming.at),
                _ => false,
            };
            by_folder || (names_new_files && by_file())
        };
        let last = self.renamings.iter().rposition(is_durable).map_or(0, |last| last + 1);
        let until = last + random.below(self.renamings.len() - last + 1);
        let mut ended: HashMap<Node, ()> = HashMap::new();
        let mut names = BTreeMap::new();
        for (number, renaming) in self.renamings.iter().enumerate() {
            let is_there = match is_one_order {
                true => number < until,
                false => is_durable(renaming) || self.comes_first(renaming, &mut ended, random),
            };
            for (folder, name, node) in renaming.changes.iter().filter(|_| is_there) {
                match node {
                    Some(node) => _ = names.insert((*folder, name.clone()), *node),
                    None => _ = names.remove(&(*folder, name.clone())),
                }
            }
        }
        names
    }

    /// Chooses whether a change that no sync made durable is there: not after one of the same folder that is not.
    fn comes_first(&self, renaming: &Renaming, ended: &mut HashMap<Node, ()>, random: &mut Random) -> bool {
        let is_after = renaming.changes.iter().any(|(folder, ..)| ended.contains_key(folder));
        let is_there = !is_after && random.below(3) > 0;
        if !is_there {
            ended.extend(renaming.changes.iter().map(|(folder, ..)| (*folder, ())));
        }
        is_there
    }

    /// Bytes of a file as they are on the disk after the failure.
    fn bytes(&self, node: Node, random: &mut Random) -> Vec<u8> {
        let synced = self.synced.get(&node).copied();
        let mut bytes = Vec::new();
        // Often one kind of loss for all, so that states with much and with little lost are both frequent.
        let usual = random.below(5);
        for (at, content) in self.contents.get(&node).into_iter().flatten() {
            let fate = if synced.is_some_and(|synced| synced > *at) { 0 } else { fate(usual, random) };
            apply(&mut bytes, content, fate, random);
        }
        bytes
    }
}

/// 0 there, 1 not there, 2 in part, 3 zeros.
fn fate(usual: usize, random: &mut Random) -> usize {
    match usual {
        usual @ 0..4 if random.below(4) > 0 => usual,
        _ => random.below(4),
    }
}

fn apply(bytes: &mut Vec<u8>, content: &Content, fate: usize, random: &mut Random) {
    match (content, fate) {
        (_, 1) => {}
        (Content::Length(length), _) => bytes.resize(*length, 0),
        (Content::Write(offset, written), 2) => {
            let end = (offset + random.below(written.len() + 1)) / SECTOR * SECTOR;
            overwrite(bytes, *offset, &written[..end.saturating_sub(*offset).min(written.len())]);
        }
        (Content::Write(offset, written), 3) => {
            // Only where the file grows: what was there before is not lost by a write that was.
            bytes.resize(bytes.len().max(offset + written.len()), 0);
        }
        (Content::Write(offset, written), _) => overwrite(bytes, *offset, written),
    }
}

fn overwrite(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    if written.is_empty() {
        return;
    }
    bytes.resize(bytes.len().max(offset + written.len()), 0);
    bytes[offset..offset + written.len()].copy_from_slice(written);
}

/// Makes a folder as a power failure after these operations may leave it.
pub fn rebuild(operations: &[Operation], folder: &Path, random: &mut Random) {
    let done = Done::up_to(operations);
    let names = done.names(random);
    let mut bytes: HashMap<Node, Vec<u8>> = HashMap::new();
    fs::create_dir_all(folder).expect("a new folder");
    write(&done, &names, ROOT, folder, &mut bytes, random);
}

fn write(
    done: &Done,
    names: &BTreeMap<(Node, String), Node>,
    folder: Node,
    path: &Path,
    bytes: &mut HashMap<Node, Vec<u8>>,
    random: &mut Random,
) {
    for ((_, name), node) in names.range((folder, String::new())..(folder + 1, String::new())) {
        let path = path.join(name);
        if done.is_folder[node] {
            fs::create_dir_all(&path).expect("a new folder");
            write(done, names, *node, &path, bytes, random);
        } else {
            // Two names of one file have the same bytes.
            let bytes = bytes.entry(*node).or_insert_with(|| done.bytes(*node, random));
            fs::write(&path, bytes).expect("a new file");
        }
    }
}
