//! An image on its way through edits: what a container would see, as a map from paths to entries, and at the end layers
//! again.

use std::collections::BTreeMap;
use std::sync::Arc;

use layerprint_store::{Content, Entry, EntryKind, Fingerprint, MergedView, PathBytes};

/// The paths of an image and what stands there.
#[derive(Clone)]
pub struct Draft {
    nodes: BTreeMap<PathBytes, Entry>,
}

impl Draft {
    pub fn of(view: &MergedView) -> Self {
        let node = |(path, entry): (&[u8], &Entry)| {
            let path = PathBytes::from(path);
            (path.clone(), Entry { path, ..entry.clone() })
        };
        Self { nodes: view.entries().map(node).collect() }
    }

    /// Returns the regular files.
    pub fn files(&self) -> impl Iterator<Item = (&[u8], &Entry, Content)> {
        self.nodes.iter().filter_map(|(path, entry)| Some((&path[..], entry, entry.content()?)))
    }

    /// Returns what stands at a path.
    pub fn get(&self, path: &[u8]) -> Option<&Entry> {
        self.nodes.get(path)
    }

    /// Puts an entry at its path; what is below stays, so that it must not take the place of a directory.
    pub fn put(&mut self, entry: Entry) {
        self.nodes.insert(entry.path.clone(), entry);
    }

    /// Puts a regular file.
    pub fn put_file(&mut self, path: &[u8], content: Content) {
        let kind = EntryKind::File { content, linked: false };
        self.put(Entry { path: path.into(), mode: 0o644, uid: 0, gid: 0, kind });
    }

    /// Removes what is no directory and of which `gone` says so. Returns how much that was.
    pub fn remove(&mut self, mut gone: impl FnMut(&[u8]) -> bool) -> usize {
        let before = self.nodes.len();
        self.nodes.retain(|path, entry| matches!(entry.kind, EntryKind::Directory) || !gone(path));
        before - self.nodes.len()
    }

    /// Gives regular files other contents, where `new` returns one. Returns how many.
    pub fn rewrite(&mut self, mut new: impl FnMut(&[u8], &Entry, Content) -> Option<Content>) -> usize {
        let mut count = 0;
        for (path, entry) in &mut self.nodes {
            let Some(content) = entry.content() else { continue };
            if let Some(content) = new(path, entry, content) {
                entry.kind = EntryKind::File { content, linked: false };
                count += 1;
            }
        }
        count
    }

    /// Moves everything below a folder.
    pub fn move_below(&mut self, folder: &str) {
        let nodes = std::mem::take(&mut self.nodes);
        for mut entry in nodes.into_values().filter(|entry| !entry.path.is_empty()) {
            entry.path = [folder.as_bytes(), b"/", &entry.path].concat().into();
            self.put(entry);
        }
    }

    /// Returns true if all parents of a path are directories, or not there: only then does a file go where it is put.
    pub fn is_plain(&self, path: &[u8]) -> bool {
        let cuts = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let mut parents = cuts.filter_map(|at| self.get(&path[..at]));
        parents.all(|parent| matches!(parent.kind, EntryKind::Directory))
    }

    /// Returns the one layer that holds all of it.
    pub fn squashed(&self) -> Fingerprint {
        Fingerprint::from_entries(self.nodes.values().cloned().collect())
    }

    /// Returns the layer that makes this of what is below.
    pub fn above(&self, below: &[Arc<Fingerprint>]) -> Fingerprint {
        let below = Self::of(&MergedView::of(below.iter().map(|layer| &**layer)));
        let gone = below.nodes.values().filter(|entry| !self.nodes.contains_key(&entry.path));
        let whiteout = |entry: &Entry| Entry { kind: EntryKind::Whiteout, ..entry.clone() };
        let new = self.nodes.values().filter(|entry| below.get(&entry.path) != Some(*entry));
        Fingerprint::from_entries(gone.map(whiteout).chain(new.cloned()).collect())
    }
}
