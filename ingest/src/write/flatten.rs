//! Several layers merged into one, as a container sees them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::WriteError;
use super::entry::{Entry, Kind};
use super::layer::{Item, Layer};

pub(super) fn flatten(layers: &[Arc<Layer>]) -> Result<Layer, WriteError> {
    let mut tree = Tree::default();
    for (number, layer) in layers.iter().enumerate() {
        tree.apply(layer).ok_or(WriteError::RawLayer { layer: number })?;
    }
    Ok(tree.into_layer())
}

/// Paths and what they lead to; hard links lead to the same number.
#[derive(Default)]
struct Tree {
    paths: BTreeMap<Vec<u8>, usize>,
    inodes: Vec<Entry>,
}

impl Tree {
    fn apply(&mut self, layer: &Layer) -> Option<()> {
        let entries: Vec<&Entry> = layer.items.iter().map(Item::entry).collect::<Option<_>>()?;
        // Whiteouts hide what lies below this layer, never what it brings itself, whatever the order.
        for entry in &entries {
            self.hide(&clean(&entry.path));
        }
        for entry in entries {
            self.put(clean(&entry.path), entry);
        }
        Some(())
    }

    fn hide(&mut self, path: &[u8]) {
        let (parent, name) = split(path);
        if name == b".wh..wh..opq" {
            self.remove_below(parent);
        } else if let Some(hidden) = name.strip_prefix(b".wh.") {
            let hidden = join(parent, hidden);
            self.remove_below(&hidden);
            self.paths.remove(&hidden);
        }
    }

    fn put(&mut self, path: Vec<u8>, entry: &Entry) {
        if path.is_empty() || split(&path).1.starts_with(b".wh.") {
            return;
        }
        self.remove_files_above(&path);
        if !matches!(entry.kind, Kind::Directory) {
            self.remove_below(&path);
        }
        if let Kind::HardLink(target) = &entry.kind
            && let Some(&inode) = self.paths.get(&clean(target))
        {
            self.paths.insert(path, inode);
        } else {
            self.paths.insert(path, self.inodes.len());
            self.inodes.push(entry.clone());
        }
    }

    /// What is no folder in a lower layer gives way to a folder of its name, even one that is only implied.
    fn remove_files_above(&mut self, path: &[u8]) {
        let mut above = split(path).0;
        while !above.is_empty() {
            let inode = self.paths.get(above);
            if inode.is_some_and(|&inode| !matches!(self.inodes[inode].kind, Kind::Directory)) {
                self.paths.remove(above);
            }
            above = split(above).0;
        }
    }

    fn remove_below(&mut self, dir: &[u8]) {
        if dir.is_empty() {
            return self.paths.clear();
        }
        let prefix = [dir, b"/"].concat();
        let below = self.paths.range(prefix.clone()..).map(|(path, _)| path);
        let below: Vec<_> = below.take_while(|path| path.starts_with(&prefix)).cloned().collect();
        for path in below {
            self.paths.remove(&path);
        }
    }

    fn into_layer(self) -> Layer {
        let mut first_path: BTreeMap<usize, &Vec<u8>> = BTreeMap::new();
        let mut layer = Layer::new();
        for (path, inode) in &self.paths {
            let mut entry = self.inodes[*inode].clone();
            entry.path.clone_from(path);
            if matches!(entry.kind, Kind::Directory) {
                entry.path.push(b'/');
            } else if let Some(first) = first_path.get(inode) {
                entry.kind = Kind::HardLink(first.to_vec());
            }
            first_path.entry(*inode).or_insert(path);
            layer.items.push(Item::Entry(entry));
        }
        layer
    }
}

impl Item {
    fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Entry(entry) => Some(entry),
            Self::Raw(_) => None,
        }
    }
}

impl Layer {
    /// Tells whether an entry leads to this path.
    pub(super) fn has(&self, path: &str) -> bool {
        self.items.iter().filter_map(Item::entry).any(|entry| clean(&entry.path) == path.as_bytes())
    }
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() }
}

/// Returns the path without `.`, `..` and superfluous slashes.
fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join(&b'/')
}
