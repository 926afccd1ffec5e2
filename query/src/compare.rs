//! What became of a base in an image, file by file.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use layerprint_store::MergedView;
use layerprint_store::id::ContentId;
use serde::{Deserialize, Serialize};

use crate::finding::Share;
use crate::ids::IdMap;
use crate::numbers::{EMPTY, Numbers};
use crate::seen::{Marks, Seen};
use crate::tree::{FileNumbers, Tree};

/// What became of one file of a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileState {
    /// Same path, same content.
    Same,
    /// The content is in the image, at other paths.
    Moved,
    /// The path is in the image, with a content that is not the base's.
    Modified,
    /// Neither is there.
    Deleted,
}

/// Counts of a base's regular files, empty ones included, by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// All regular files of the base.
    pub total: u64,
    /// Same path, same content.
    pub same: u64,
    /// Same content, other path.
    pub moved: u64,
    /// Same path, other content.
    pub modified: u64,
    /// Gone.
    pub deleted: u64,
    /// Sizes of those with the same path and content, in the base.
    pub same_bytes: u64,
    /// Sizes of the modified ones, in the base.
    pub modified_bytes: u64,
    /// Where the base's tree stands in the image, if it was moved as a whole: `rootfs`.
    pub moved_to: Option<String>,
}

impl Comparison {
    /// Files whose content is in the image.
    pub fn present(&self) -> u64 {
        self.same + self.moved
    }
}

/// Tells what became of one file of a base. `there` is what the image has at its path.
fn state_of(file: &FileNumbers, there: Option<u32>, image: &Seen) -> FileState {
    match there {
        Some(there) if there == file.content => FileState::Same,
        Some(_) => FileState::Modified,
        // An empty file is everywhere; one that is gone has not moved.
        None if image.holds(file.content) && file.content != EMPTY => FileState::Moved,
        None => FileState::Deleted,
    }
}

/// Returns the contents of a view.
pub fn held(view: &MergedView) -> HashSet<ContentId> {
    view.files().map(|(_, content)| content.id).collect()
}

/// Counts what became of a base in an image.
///
/// Where more files moved than stayed and most of them moved to the same folder, the whole tree was moved (as by
/// `COPY --from=base / /rootfs`), and paths are compared below that folder.
pub fn compare(base: &MergedView, image: &MergedView) -> Comparison {
    let numbers = Numbers::new();
    let image = Seen::of(Arc::new(Tree::of_view(image, &numbers)));
    compare_trees(&Tree::of_view(base, &numbers), &image)
}

/// Does the same for trees.
pub(crate) fn compare_trees(base: &Tree, image: &Seen) -> Comparison {
    let there = |file: &FileNumbers| Some(image.at(file.path)?.content);
    let counts = count(base, image, there);
    if counts.moved <= counts.same {
        return counts;
    }
    match moved_to(base, &image.tree, counts.moved) {
        Some(folder) => {
            let there =
                |file: &FileNumbers| image.tree.number_at(&[&*folder, b"/", base.path_of(file)].concat());
            let moved_to = Some(String::from_utf8_lossy(&folder).into_owned());
            Comparison { moved_to, ..count(base, image, there) }
        }
        None => counts,
    }
}

fn count(base: &Tree, image: &Seen, there: impl Fn(&FileNumbers) -> Option<u32>) -> Comparison {
    let mut counts = Comparison::default();
    for file in base.numbers() {
        counts.total += 1;
        match state_of(file, there(file), image) {
            FileState::Same => {
                counts.same += 1;
                counts.same_bytes = counts.same_bytes.saturating_add(base.size_bytes(file));
            }
            FileState::Moved => counts.moved += 1,
            FileState::Modified => {
                counts.modified += 1;
                counts.modified_bytes = counts.modified_bytes.saturating_add(base.size_bytes(file));
            }
            FileState::Deleted => counts.deleted += 1,
        }
    }
    counts
}

/// Returns the folder to which at least half of the files that moved did.
fn moved_to(base: &Tree, image: &Tree, moved: u64) -> Option<Vec<u8>> {
    let mut places: IdMap<ContentId, Vec<&[u8]>> = IdMap::default();
    for (path, content) in image.files().filter(|(_, content)| content.size_bytes > 0) {
        places.entry(content.id).or_default().push(path);
    }
    let mut votes: BTreeMap<&[u8], u64> = BTreeMap::new();
    for (path, content) in base.files() {
        let found = places.get(&content.id).into_iter().flatten();
        let folders = found.filter_map(|place| place.strip_suffix(path)?.strip_suffix(b"/"));
        // One content may stand in several places, but a file votes once for each folder that fits.
        folders.for_each(|folder| *votes.entry(folder).or_default() += 1);
    }
    let (folder, votes) = votes.into_iter().max_by_key(|(_, votes)| *votes)?;
    (votes * 2 >= moved).then(|| folder.to_vec())
}

/// Counts the image's files whose contents are in none of the bases, and the bytes of those contents, each once. An empty
/// file has none that could be new.
pub fn novel(image: &MergedView, bases: &[&MergedView]) -> (Share, u64) {
    let numbers = Numbers::new();
    let bases: Vec<Tree> = bases.iter().map(|base| Tree::of_view(base, &numbers)).collect();
    novel_in(&Tree::of_view(image, &numbers), &bases.iter().collect::<Vec<_>>())
}

/// Does the same for trees.
pub(crate) fn novel_in(image: &Tree, bases: &[&Tree]) -> (Share, u64) {
    let mut known = Marks::default();
    bases.iter().for_each(|base| known.add(base));
    let (mut new, mut new_bytes) = (0, 0_u64);
    let mut counted = Marks::default();
    for file in image.numbers() {
        if file.content != EMPTY && !known.has(file.content) {
            new += 1;
            if counted.insert(file.content) {
                new_bytes = new_bytes.saturating_add(image.size_bytes(file));
            }
        }
    }
    (Share::of(new, image.file_count()), new_bytes)
}

/// Returns paths of `base` that hold a content which `image` has and `other` has not: what tells the two bases apart.
/// At most `max`, in path order, and how many there are.
pub fn telling(base: &MergedView, other: &MergedView, image: &MergedView, max: usize) -> (u64, Vec<String>) {
    let numbers = Numbers::new();
    let image = Seen::of(Arc::new(Tree::of_view(image, &numbers)));
    let (base, other) = (Tree::of_view(base, &numbers), Tree::of_view(other, &numbers));
    telling_trees(&base, &other, &image, max)
}

/// Does the same for trees.
pub(crate) fn telling_trees(base: &Tree, other: &Tree, image: &Seen, max: usize) -> (u64, Vec<String>) {
    let others = Marks::of(other);
    let (mut count, mut paths, mut counted) = (0, Vec::new(), Marks::default());
    for file in base.numbers() {
        let telling = file.content != EMPTY && image.holds(file.content) && !others.has(file.content);
        if telling && counted.insert(file.content) {
            count += 1;
            if paths.len() < max {
                paths.push(String::from_utf8_lossy(base.path_of(file)).into_owned());
            }
        }
    }
    (count, paths)
}

#[cfg(test)]
mod tests {
    use layerprint_store::{Content, Entry, EntryKind, Fingerprint};

    use super::*;

    /// A layer of files, each with its text; a text that begins with `->` makes a symbolic link.
    fn layer(files: &[(&str, &str)]) -> Fingerprint {
        let entry = |(path, text): &(&str, &str)| {
            let content = Content { id: ContentId::of(text.as_bytes()), size_bytes: text.len() as u64 };
            let kind = match text.strip_prefix("->") {
                Some(target) => EntryKind::Symlink(target.as_bytes().into()),
                None => EntryKind::File { content, linked: false },
            };
            Entry { path: path.as_bytes().into(), mode: 0o644, uid: 0, gid: 0, kind }
        };
        Fingerprint::from_entries(files.iter().map(entry).collect())
    }

    /// Paths and texts.
    type Files = [(&'static str, &'static str)];

    #[test]
    fn each_file_of_a_base_has_one_state() {
        let base = layer(&[("f", "text"), ("empty", ""), ("g", "other")]);
        let cases: [(&str, &Files, [u64; 4]); 9] = [
            ("all there", &[("f", "text"), ("empty", ""), ("g", "other")], [3, 0, 0, 0]),
            ("nothing there", &[], [0, 0, 0, 3]),
            ("moved", &[("h", "text"), ("empty", ""), ("g", "other")], [2, 1, 0, 0]),
            ("an empty file does not move", &[("f", "text"), ("h", ""), ("g", "other")], [2, 0, 0, 1]),
            ("edited", &[("f", "TEXT"), ("empty", ""), ("g", "other")], [2, 0, 1, 0]),
            ("two changed places", &[("f", "other"), ("empty", ""), ("g", "text")], [1, 0, 2, 0]),
            ("replaced by a link", &[("f", "->g"), ("empty", ""), ("g", "other")], [2, 0, 0, 1]),
            ("moved and linked", &[("f", "->h"), ("h", "text"), ("empty", ""), ("g", "other")], [2, 1, 0, 0]),
            ("filled", &[("f", "text"), ("empty", "full"), ("g", "other")], [2, 0, 1, 0]),
        ];
        for (name, files, [same, moved, modified, deleted]) in cases {
            let image = layer(files);
            let (base, image) = (MergedView::of([&base]), MergedView::of([&image]));
            let found = compare(&base, &image);
            let counts = [found.same, found.moved, found.modified, found.deleted];
            assert_eq!((found.total, counts), (3, [same, moved, modified, deleted]), "{name}");
            assert_eq!(found.present(), same + moved);
        }
    }

    #[test]
    fn a_tree_that_was_moved_as_a_whole_is_compared_where_it_stands() {
        let base =
            layer(&[("bin/sh", "shell"), ("etc/motd", "hi"), ("etc/fstab", "disk"), ("lib/c", "library")]);
        let image = layer(&[
            ("srv/root/bin/sh", "shell"),
            ("srv/root/etc/motd", "HI"),
            ("srv/root/lib/c", "library"),
            ("etc/fstab", "none"),
        ]);
        let found = compare(&MergedView::of([&base]), &MergedView::of([&image]));
        let expected = Comparison {
            total: 4,
            same: 2,
            moved: 0,
            modified: 1,
            deleted: 1,
            same_bytes: 12,
            modified_bytes: 2,
            moved_to: Some("srv/root".to_owned()),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn new_is_what_no_base_has_at_any_path() {
        let base = layer(&[("f", "text"), ("g", "other")]);
        let image = layer(&[("f", "other"), ("n", "new"), ("m", "new"), ("e", "")]);
        let (base, image) = (MergedView::of([&base]), MergedView::of([&image]));
        assert_eq!(
            novel(&image, &[&base]),
            (Share::of(2, 4), 3),
            "each path counts, each content's bytes once"
        );
        assert_eq!(novel(&image, &[]), (Share::of(3, 4), 8));
    }

    #[test]
    fn telling_files_are_in_the_image_and_in_one_of_two_bases() {
        let base = layer(&[("a", "1"), ("b", "2"), ("c", "2"), ("d", "3"), ("e", "4"), ("z", "")]);
        let other = layer(&[("a", "1"), ("x", "5")]);
        let image = layer(&[("q", "1"), ("r", "2"), ("d", "3"), ("z", "")]);
        let (base, other, image) =
            (MergedView::of([&base]), MergedView::of([&other]), MergedView::of([&image]));
        assert_eq!(telling(&base, &other, &image, 5), (2, vec!["b".to_owned(), "d".to_owned()]));
        assert_eq!(telling(&base, &other, &image, 1), (2, vec!["b".to_owned()]), "counts go on");
        assert_eq!(telling(&other, &base, &image, 5), (0, vec![]));
    }
}
