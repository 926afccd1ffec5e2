//! What a stack of layers looks like from above: each path with what finally stands there.
//!
//! Follows the OCI rules for changesets
//! (<https://github.com/opencontainers/image-spec/blob/main/layer.md#applying-changesets>), by paths alone:
//!
//! - Whiteouts and opaque marks of a layer reach the layers below it only, and come before its own entries,
//!   wherever they stood in the archive. A whiteout takes the path and all below it; an opaque mark all
//!   below it.
//! - Anything but a directory takes the place of what was at its path, and of all below it. A directory over a
//!   directory keeps what is below.
//! - An entry whose parent path is not a directory in a layer below takes that parent's place. Symbolic links
//!   are never followed, so `bin/sh` over `bin -> usr/bin` replaces the link.
//! - A hard link is the thing it links to: looked for in its own layer first, then in the view below as it was
//!   before any of the layer's whiteouts. A link to a symbolic link is that symbolic link. A link to a directory
//!   or to nothing is dangling: counted, and nothing stands at its path.
//! - The root is a directory; nothing replaces or removes it.
//!
//! Views borrow from the fingerprints and hold no copies: applying a layer is one linear merge of sorted lists.

use std::cmp::Ordering;
use std::collections::HashSet;

use crate::anomaly::{Anomalies, AnomalyKind};
use crate::fingerprint::{Content, Entry, EntryKind, Fingerprint};
use crate::id::{ContentId, SetId};

/// Longest chain of hard links that is followed within one layer. Readers of layers resolve links already, so a
/// longer one is a circle, or made to take time.
const HARD_LINK_HOPS_MAX: usize = 64;

/// The paths of a stack of layers, sorted.
#[derive(Debug, Clone, Default)]
pub struct MergedView<'a> {
    nodes: Vec<Node<'a>>,
    /// Empty. Room for the nodes with one more layer.
    spare: Vec<Node<'a>>,
    anomalies: Anomalies,
}

/// Where a path and what stands there come from: numbers of a layer and of an entry in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    path: (u32, u32),
    entry: (u32, u32),
}

/// What a layer does to a view.
pub(crate) enum Step<'a> {
    /// An entry stands somewhere.
    Comes(&'a Entry),
    /// An entry stands there no more.
    Goes(&'a Entry),
}

/// A path and what stands there. The entry has another path where a hard link led to it.
#[derive(Debug, Clone, Copy)]
struct Node<'a> {
    path: &'a [u8],
    entry: &'a Entry,
}

impl<'a> MergedView<'a> {
    /// Returns the view of no layers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the view of a stack of layers, lowest first.
    pub fn of(layers: impl IntoIterator<Item = &'a Fingerprint>) -> Self {
        let mut view = Self::new();
        layers.into_iter().for_each(|layer| view.apply(layer));
        view.spare = Vec::new();
        view
    }

    /// Returns the view whose [`MergedView::places`] in these layers were asked for, without merging them again.
    pub(crate) fn of_places(layers: &[&'a [Entry]], places: &[Place], anomalies: Anomalies) -> Self {
        let at = |(layer, number): (u32, u32)| &layers[layer as usize][number as usize];
        let nodes = places.iter().map(|place| Node { path: &at(place.path).path, entry: at(place.entry) });
        Self { nodes: nodes.collect(), spare: Vec::new(), anomalies }
    }

    /// Returns where all paths and entries stand in the layers of the view, so that it can be had again.
    pub(crate) fn places(&self, layers: &[&'a [Entry]]) -> Vec<Place> {
        let mut places = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let entry = place_of(layers, node.entry);
            let path = match std::ptr::eq(&*node.entry.path, node.path) {
                true => entry,
                false => place_of(layers, linked_at(layers, node.path)),
            };
            places.push(Place { path, entry });
        }
        places
    }

    /// Lays one more layer over the view.
    pub fn apply(&mut self, layer: &'a Fingerprint) {
        self.apply_observed(layer, |_| ());
    }

    /// Does the same, and tells of every entry that stands somewhere from now on, and of every one that stands there no
    /// more. One that stays where it is may be told of as both.
    pub(crate) fn apply_observed(&mut self, layer: &'a Fingerprint, mut on_step: impl FnMut(Step<'a>)) {
        let mut overlay = Overlay::new(self, layer);
        for entry in layer.entries() {
            overlay.add(entry);
        }
        let Overlay { mut nodes, taken, cuts, anomalies, .. } = overlay;
        if !taken.is_empty() {
            let mut place = 0..;
            nodes.retain(|_| !place.next().is_some_and(|place| taken.contains(&place)));
        }
        nodes.iter().for_each(|(_, node)| on_step(Step::Comes(node.entry)));
        let mut merged = std::mem::take(&mut self.spare);
        merged.reserve(self.nodes.len() + nodes.len());
        let merged = merge(merged, &self.nodes, cuts, nodes, |node| on_step(Step::Goes(node.entry)));
        self.spare = std::mem::replace(&mut self.nodes, merged);
        self.spare.clear();
        self.anomalies.extend(anomalies);
    }

    /// Returns how many paths there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns every path with the entry that stands there, in path order. The entry's own path is another one
    /// where a hard link led to it.
    pub fn entries(&self) -> impl Iterator<Item = (&'a [u8], &'a Entry)> {
        self.nodes.iter().map(|node| (node.path, node.entry))
    }

    /// Returns the regular files, in path order; each name of a hard-linked one.
    pub fn files(&self) -> impl Iterator<Item = (&'a [u8], &'a Content)> {
        self.nodes.iter().filter_map(|node| match &node.entry.kind {
            EntryKind::File { content, .. } => Some((node.path, content)),
            _ => None,
        })
    }

    /// Returns what stands at a path.
    pub fn get(&self, path: &[u8]) -> Option<&'a Entry> {
        find(&self.nodes, path).map(|index| self.nodes[index].entry)
    }

    /// Looks up paths one after the other, which is cheap where they come in order.
    pub fn walk(&self) -> PathWalk<'_, 'a> {
        PathWalk { nodes: &self.nodes, reached: 0 }
    }

    /// Returns the distinct contents of all files, sorted by id, without the empty one.
    pub fn contents(&self) -> Vec<Content> {
        let files = self.files().map(|(_, content)| *content);
        let mut contents: Vec<Content> = files.filter(|content| content.id != ContentId::EMPTY).collect();
        contents.sort_unstable();
        contents.dedup_by_key(|content| content.id);
        contents
    }

    /// Returns the identity of these contents.
    pub fn set_id(&self) -> SetId {
        SetId::of_sorted(self.contents().iter().map(|content| &content.id))
    }

    /// Returns how many regular files there are, counting each name.
    pub fn file_count(&self) -> u64 {
        self.files().count() as u64
    }

    /// Returns what was odd about the stack: hard links that lead nowhere, one for each layer and path.
    pub fn anomalies(&self) -> &Anomalies {
        &self.anomalies
    }

    /// Returns the one layer that looks the same: what squashing the stack gives.
    pub fn to_fingerprint(&self) -> Fingerprint {
        let squashed = self.nodes.iter().map(|node| Entry { path: node.path.into(), ..node.entry.clone() });
        Fingerprint::from_sorted(squashed.collect())
    }
}

/// A place in a view, near which the next path is looked for.
#[derive(Debug, Clone)]
pub struct PathWalk<'v, 'a> {
    nodes: &'v [Node<'a>],
    reached: usize,
}

impl<'a> PathWalk<'_, 'a> {
    /// Returns what stands at a path.
    pub fn get(&mut self, path: &[u8]) -> Option<&'a Entry> {
        if self.nodes.get(self.reached).is_none_or(|node| node.path > path) {
            self.reached = 0;
        }
        self.reached = gallop(self.nodes, self.reached, path);
        self.nodes.get(self.reached).filter(|node| node.path == path).map(|node| node.entry)
    }
}

/// One layer on its way onto the view below it.
struct Overlay<'v, 'a> {
    below: &'v [Node<'a>],
    layer: &'a [Entry],
    /// What the layer itself puts, sorted, each with the number of nodes in `below` that come before it.
    nodes: Vec<(usize, Node<'a>)>,
    /// Places in `nodes` that something below them has taken.
    taken: HashSet<usize>,
    /// Ranges of `below` that are no longer seen, in no order.
    cuts: Vec<(usize, usize)>,
    anomalies: Anomalies,
    /// Where in `below` the walk is: all paths before it are less than the current entry's.
    reached: usize,
    /// The last entry whose parents were seen to.
    last: Option<&'a Entry>,
}

impl<'v, 'a> Overlay<'v, 'a> {
    fn new(view: &'v MergedView<'a>, layer: &'a Fingerprint) -> Self {
        Self {
            below: &view.nodes,
            layer: layer.entries(),
            nodes: Vec::with_capacity(layer.entries().len()),
            taken: HashSet::new(),
            cuts: Vec::new(),
            anomalies: Anomalies::default(),
            reached: 0,
            last: None,
        }
    }

    fn add(&mut self, entry: &'a Entry) {
        let path = &entry.path[..];
        self.reached = gallop(self.below, self.reached, path);
        match &entry.kind {
            EntryKind::Whiteout if path.is_empty() => {}
            EntryKind::Whiteout => self.cut_path_and_subtree(path),
            EntryKind::Opaque => self.cut_subtree(path),
            EntryKind::Directory => {
                self.replace_parents(entry);
                self.nodes.push((self.reached, Node { path, entry }));
            }
            _ if path.is_empty() => {}
            _ => {
                self.replace_parents(entry);
                self.cut_path_and_subtree(path);
                match self.inode(entry) {
                    Some(entry) => self.nodes.push((self.reached, Node { path, entry })),
                    None => self.anomalies.add(AnomalyKind::DanglingHardLink, None, path),
                }
            }
        }
    }

    /// Cuts what is at a path, which the walk has reached, and below it.
    fn cut_path_and_subtree(&mut self, path: &[u8]) {
        if self.below.get(self.reached).is_some_and(|node| node.path == path) {
            self.cuts.push((self.reached, self.reached + 1));
        }
        self.cut_subtree(path);
    }

    fn cut_subtree(&mut self, path: &[u8]) {
        if path.is_empty() {
            let root = self.below.first().is_some_and(|node| node.path.is_empty());
            self.cuts.push((usize::from(root), self.below.len()));
            return;
        }
        // Paths that begin with this one follow each other; mostly there is none, and no need to search.
        let rest = &self.below[self.reached..];
        let next = rest.iter().find(|node| node.path != path);
        if next.is_some_and(|node| node.path.starts_with(path)) {
            let start = rest.partition_point(|node| order_under(node.path, path) == Ordering::Less);
            let end = rest.partition_point(|node| order_under(node.path, path) != Ordering::Greater);
            self.cuts.push((self.reached + start, self.reached + end));
        }
    }

    /// Makes sure that all parents of an entry can be directories.
    fn replace_parents(&mut self, entry: &'a Entry) {
        let last = self.last.replace(entry);
        let last_path = last.map_or(&[][..], |last| &last.path);
        let mut next = parent(&entry.path);
        // Most often it stands in the directory that came before it.
        if next == Some(last_path) && last.is_some_and(|last| matches!(last.kind, EntryKind::Directory)) {
            return;
        }
        // A parent of any earlier path is one of the last path, too: they are sorted.
        while let Some(ancestor) = next.filter(|ancestor| !is_below(last_path, ancestor)) {
            if let Some(own) = own_entry(self.layer, ancestor) {
                if !matches!(own.kind, EntryKind::Directory) {
                    // Archives that have both leave open which comes first; the one further down stays.
                    self.remove_own(ancestor);
                }
                return;
            }
            if let Some(index) = find(self.below, ancestor)
                && !matches!(self.below[index].entry.kind, EntryKind::Directory)
            {
                self.cuts.push((index, index + 1));
            }
            next = parent(ancestor);
        }
    }

    fn remove_own(&mut self, path: &[u8]) {
        self.taken.extend(self.nodes.binary_search_by(|(_, node)| node.path.cmp(path)));
    }

    /// The entry that stands at another's path: itself, or where its hard link leads.
    fn inode(&self, entry: &'a Entry) -> Option<&'a Entry> {
        let mut entry = entry;
        for _ in 0..=HARD_LINK_HOPS_MAX {
            let EntryKind::HardLink(target) = &entry.kind else {
                return Some(entry).filter(|entry| !matches!(entry.kind, EntryKind::Directory));
            };
            let own = own_entry(self.layer, target).filter(|own| own.path != entry.path);
            entry = match own {
                Some(own) => own,
                None => find(self.below, target).map(|index| self.below[index].entry)?,
            };
        }
        None
    }
}

/// Merges what is left of the view below with what a layer puts over it, and tells of what is not left. Of the paths below,
/// only those are looked at where the layer puts something.
fn merge<'a>(
    merged: Vec<Node<'a>>,
    below: &[Node<'a>],
    mut cuts: Vec<(usize, usize)>,
    above: Vec<(usize, Node<'a>)>,
    on_gone: impl FnMut(&Node<'a>),
) -> Vec<Node<'a>> {
    cuts.sort_unstable();
    let mut rest = Rest { below, cuts: &cuts, reached: 0, merged, on_gone };
    for (at, node) in above {
        rest.keep_until(at);
        if rest.reached == at && below.get(at).is_some_and(|under| under.path == node.path) {
            rest.drop_until(at + 1);
        }
        rest.merged.push(node);
    }
    rest.keep_until(below.len());
    rest.merged
}

/// What a layer has not been merged with.
struct Rest<'c, 'a, F> {
    below: &'c [Node<'a>],
    /// Sorted by their starts; they may overlap.
    cuts: &'c [(usize, usize)],
    reached: usize,
    merged: Vec<Node<'a>>,
    on_gone: F,
}

impl<'a, F: FnMut(&Node<'a>)> Rest<'_, 'a, F> {
    /// Takes over all nodes before a place, but for those that are cut.
    fn keep_until(&mut self, place: usize) {
        while self.reached < place {
            let open = self.cuts.iter().position(|(_, end)| *end > self.reached);
            self.cuts = &self.cuts[open.unwrap_or(self.cuts.len())..];
            match self.cuts.first() {
                Some((start, end)) if *start <= self.reached => self.drop_until(place.min(*end)),
                next => {
                    let end = next.map_or(place, |(start, _)| place.min(*start));
                    self.merged.extend_from_slice(&self.below[self.reached..end]);
                    self.reached = end;
                }
            }
        }
    }

    fn drop_until(&mut self, place: usize) {
        self.below[self.reached..place].iter().for_each(&mut self.on_gone);
        self.reached = place;
    }
}

/// How a path stands to all paths below `directory`: before them, among them or after them.
fn order_under(path: &[u8], directory: &[u8]) -> Ordering {
    let head = &path[..path.len().min(directory.len())];
    head.cmp(directory).then_with(|| path.get(directory.len()).cmp(&Some(&b'/')))
}

/// The first node from `from` on whose path is not less than `path`; near in most cases.
fn gallop(nodes: &[Node<'_>], from: usize, path: &[u8]) -> usize {
    let rest = &nodes[from..];
    let mut bound = 1;
    while rest.get(bound - 1).is_some_and(|node| node.path < path) {
        bound *= 2;
    }
    let (low, high) = (bound / 2, rest.len().min(bound));
    from + low + rest[low..high].partition_point(|node| node.path < path)
}

fn find(nodes: &[Node<'_>], path: &[u8]) -> Option<usize> {
    nodes.binary_search_by(|node| node.path.cmp(path)).ok()
}

/// What a layer puts at a path, whiteouts and opaque marks aside; they sort before it.
fn own_entry<'a>(layer: &'a [Entry], path: &[u8]) -> Option<&'a Entry> {
    let after = layer.partition_point(|entry| &entry.path[..] <= path);
    let entry = layer[..after].last()?;
    let mark = matches!(entry.kind, EntryKind::Whiteout | EntryKind::Opaque);
    Some(entry).filter(|entry| !mark && &entry.path[..] == path)
}

/// Returns the layer that holds an entry, and its number there.
fn place_of(layers: &[&[Entry]], entry: &Entry) -> (u32, u32) {
    let layer = layers.iter().rposition(|layer| layer.as_ptr_range().contains(&std::ptr::from_ref(entry)));
    let layer = layer.expect("an entry of a view is in one of its layers");
    let bytes = std::ptr::from_ref(entry).addr() - layers[layer].as_ptr().addr();
    let narrow = |number| u32::try_from(number).expect("layers and their entries are fewer");
    (narrow(layer), narrow(bytes / size_of::<Entry>()))
}

/// Returns the hard link of the topmost layer that has one at a path.
fn linked_at<'a>(layers: &[&'a [Entry]], path: &[u8]) -> &'a Entry {
    let link = layers.iter().rev().find_map(|layer| own_entry(layer, path));
    link.expect("a path of a view is in one of its layers")
}

fn is_below(path: &[u8], directory: &[u8]) -> bool {
    path.starts_with(directory) && path.get(directory.len()) == Some(&b'/')
}

/// The path of the directory that holds a path; none for what lies in the root.
fn parent(path: &[u8]) -> Option<&[u8]> {
    path.iter().rposition(|byte| *byte == b'/').map(|slash| &path[..slash])
}
