//! Files with more layers laid over them: an image's files from those of the image below it.
//!
//! Says the same as merging all layers anew ([`layerprint_store::MergedView`]), of regular files alone. Whatever else stands
//! below, no file depends on it: what is laid over a directory leaves the files in it or takes them away, and nothing is
//! ever below a link or a device.

use std::collections::HashSet;

use layerprint_store::{Content, Entry, EntryKind, Fingerprint};

/// Longest chain of hard links that is followed within one layer, as by the merged view.
const HARD_LINK_HOPS_MAX: usize = 64;

/// A file and where it comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Laid<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) content: Content,
    /// Its number among the files below all layers; none if a layer brought it.
    pub(crate) below: Option<u32>,
}

/// Lays a layer over files, which are sorted by path.
pub(crate) fn lay<'a>(below: &[Laid<'a>], layer: &'a Fingerprint) -> Vec<Laid<'a>> {
    let mut overlay = Overlay {
        below,
        layer: layer.entries(),
        own: Vec::new(),
        taken: HashSet::new(),
        cuts: Vec::new(),
        reached: 0,
        last: &[],
    };
    layer.entries().iter().for_each(|entry| overlay.add(entry));
    overlay.merged()
}

/// A layer on its way onto the files below it.
struct Overlay<'v, 'a> {
    below: &'v [Laid<'a>],
    layer: &'a [Entry],
    /// The files that the layer itself puts, sorted.
    own: Vec<Laid<'a>>,
    /// Paths of those that something below them has taken.
    taken: HashSet<&'a [u8]>,
    /// Ranges of `below` that are no longer seen, in no order.
    cuts: Vec<(usize, usize)>,
    /// Where in `below` the walk is: all paths before it are less than the current entry's.
    reached: usize,
    /// The last path whose parents were seen to.
    last: &'a [u8],
}

impl<'a> Overlay<'_, 'a> {
    fn add(&mut self, entry: &'a Entry) {
        let path = &entry.path[..];
        self.reached = gallop(self.below, self.reached, path);
        match &entry.kind {
            EntryKind::Opaque => self.cut_subtree(path),
            _ if path.is_empty() => {}
            EntryKind::Whiteout => self.cut_path_and_subtree(path),
            EntryKind::Directory => {
                self.replace_parents(path);
                self.cut_path(path);
            }
            _ => {
                self.replace_parents(path);
                self.cut_path_and_subtree(path);
                let content = self.content(entry);
                self.own.extend(content.map(|content| Laid { path, content, below: None }));
            }
        }
    }

    fn cut_path_and_subtree(&mut self, path: &[u8]) {
        self.cut_path(path);
        self.cut_subtree(path);
    }

    /// Cuts what is at a path, which the walk has reached.
    fn cut_path(&mut self, path: &[u8]) {
        if self.below.get(self.reached).is_some_and(|file| file.path == path) {
            self.cuts.push((self.reached, self.reached + 1));
        }
    }

    fn cut_subtree(&mut self, path: &[u8]) {
        if path.is_empty() {
            self.cuts.push((0, self.below.len()));
            return;
        }
        // Paths that begin with this one follow each other; mostly there is none, and no need to search.
        let rest = &self.below[self.reached..];
        let next = rest.iter().find(|file| file.path != path);
        if next.is_some_and(|file| file.path.starts_with(path)) {
            let folder = [path, b"/"].concat();
            let start = self.reached + rest.partition_point(|file| *file.path < *folder);
            let inside = |file: &Laid| file.path.starts_with(&folder);
            self.cuts.push((start, start + self.below[start..].partition_point(inside)));
        }
    }

    /// Makes sure that all parents of an entry can be directories. A parent of any earlier path is one of the last path, too:
    /// they are sorted.
    fn replace_parents(&mut self, path: &'a [u8]) {
        let last = std::mem::replace(&mut self.last, path);
        let slashes = path.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/');
        for parent in slashes.map(|(slash, _)| &path[..slash]) {
            if last.strip_prefix(parent).is_some_and(|rest| rest.first() == Some(&b'/')) {
                return;
            }
            if let Some(own) = own_entry(self.layer, parent) {
                // Archives that have both leave open which comes first; the one further down stays.
                if !matches!(own.kind, EntryKind::Directory) {
                    self.taken.insert(parent);
                }
                return;
            }
            self.cuts.extend(find(self.below, parent).map(|at| (at, at + 1)));
        }
    }

    /// What is in the file that stands at an entry's path: its own, or where its hard link leads.
    fn content(&self, entry: &'a Entry) -> Option<Content> {
        let mut entry = entry;
        for _ in 0..=HARD_LINK_HOPS_MAX {
            let EntryKind::HardLink(target) = &entry.kind else { return entry.content() };
            let own = own_entry(self.layer, target).filter(|own| own.path != entry.path);
            match own {
                Some(own) => entry = own,
                None => return find(self.below, target).map(|at| self.below[at].content),
            }
        }
        None
    }

    /// Merges what is left of the files below with what the layer puts over them.
    fn merged(mut self) -> Vec<Laid<'a>> {
        self.cuts.sort_unstable();
        self.own.retain(|file| !self.taken.contains(file.path));
        let mut merged = Vec::with_capacity(self.below.len() + self.own.len());
        let (mut own, mut reached) = (self.own.into_iter().peekable(), 0);
        let mut keep = |files: &[Laid<'a>]| {
            let mut files = files;
            while let Some(next) = own.next_if(|next| files.last().is_some_and(|last| next.path < last.path))
            {
                let before = files.partition_point(|file| file.path < next.path);
                merged.extend_from_slice(&files[..before]);
                merged.push(next);
                files = &files[before..];
            }
            merged.extend_from_slice(files);
        };
        for (start, end) in self.cuts {
            if start > reached {
                keep(&self.below[reached..start]);
            }
            reached = reached.max(end);
        }
        keep(&self.below[reached..]);
        merged.extend(own);
        merged
    }
}

/// The first file from `from` on whose path is not less than `path`; near in most cases.
fn gallop(files: &[Laid], from: usize, path: &[u8]) -> usize {
    let (rest, mut bound) = (&files[from..], 1);
    while rest.get(bound - 1).is_some_and(|file| file.path < path) {
        bound *= 2;
    }
    let (low, high) = (bound / 2, rest.len().min(bound));
    from + low + rest[low..high].partition_point(|file| file.path < path)
}

fn find(files: &[Laid], path: &[u8]) -> Option<usize> {
    files.binary_search_by(|file| file.path.cmp(path)).ok()
}

/// What a layer puts at a path, whiteouts and opaque marks aside; they sort before it.
fn own_entry<'a>(layer: &'a [Entry], path: &[u8]) -> Option<&'a Entry> {
    let after = layer.partition_point(|entry| &entry.path[..] <= path);
    let entry = layer[..after].last()?;
    let is_mark = matches!(entry.kind, EntryKind::Whiteout | EntryKind::Opaque);
    Some(entry).filter(|entry| !is_mark && &entry.path[..] == path)
}

#[cfg(test)]
mod tests {
    use layerprint_store::MergedView;
    use layerprint_store::id::ContentId;
    use proptest::prelude::*;

    use super::*;

    /// Few names, so that layers meet; some of them begin alike and sort before a slash.
    fn path() -> impl Strategy<Value = String> {
        let name = || prop::sample::select(vec!["a", "b", "a-", "ab", "a0"]);
        prop::collection::vec(name(), 0..4).prop_map(|names| names.join("/"))
    }

    fn kind() -> impl Strategy<Value = EntryKind> {
        let file = |number: u8| {
            let content = Content { id: ContentId::of(&[number]), size_bytes: number.into() };
            EntryKind::File { content, linked: false }
        };
        let link = |path: String| EntryKind::HardLink(path.as_bytes().into());
        prop_oneof![
            4 => (0..4_u8).prop_map(file),
            2 => path().prop_map(link),
            1 => Just(EntryKind::Directory),
            1 => Just(EntryKind::Whiteout),
            1 => Just(EntryKind::Opaque),
            1 => Just(EntryKind::Fifo),
            1 => Just(EntryKind::Symlink(b"a"[..].into())),
        ]
    }

    fn layer() -> impl Strategy<Value = Fingerprint> {
        let entry = (path(), kind()).prop_map(|(path, kind)| Entry {
            path: path.as_bytes().into(),
            mode: 0,
            uid: 0,
            gid: 0,
            kind,
        });
        prop::collection::vec(entry, 0..12).prop_map(Fingerprint::from_entries)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn files_are_those_of_all_layers_merged(
            layers in prop::collection::vec(layer(), 1..5),
            lowest in 0_usize..4,
        ) {
            let (lower, upper) = layers.split_at(lowest.min(layers.len()));
            let lowest = MergedView::of(lower);
            let below = lowest.files().zip(0..).map(|((path, content), number)| Laid {
                path,
                content: *content,
                below: Some(number),
            });
            let below: Vec<Laid> = below.collect();
            let laid = upper.iter().fold(below.clone(), |files, layer| lay(&files, layer));
            let whole = MergedView::of(&layers);
            let expected: Vec<_> = whole.files().map(|(path, content)| (path, *content)).collect();
            let found: Vec<_> = laid.iter().map(|file| (file.path, file.content)).collect();
            prop_assert_eq!(found, expected);
            for file in laid.iter().filter_map(|file| Some((file, file.below?))) {
                prop_assert_eq!(file.0.path, below[file.1 as usize].path);
            }
        }
    }
}
