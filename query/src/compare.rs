//! What became of a base in an image, file by file.

use std::collections::{BTreeSet, HashSet};

use layerprint_store::id::ContentId;
use layerprint_store::{Content, Entry, MergedView};
use serde::Serialize;

use crate::finding::Share;

/// What became of one file of a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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
}

impl Comparison {
    /// Files whose content is in the image.
    pub fn present(&self) -> u64 {
        self.same + self.moved
    }
}

/// Tells what became of one file of a base.
pub fn state_of(path: &[u8], content: &Content, image: &MergedView, held: &HashSet<ContentId>) -> FileState {
    match image.get(path).and_then(Entry::content) {
        Some(there) if there.id == content.id => FileState::Same,
        // An empty file is everywhere; one that is gone has not moved.
        other if held.contains(&content.id) && content.size_bytes > 0 => {
            if other.is_none() {
                FileState::Moved
            } else {
                FileState::Modified
            }
        }
        Some(_) => FileState::Modified,
        None => FileState::Deleted,
    }
}

/// Returns the contents of a view.
pub fn held(view: &MergedView) -> HashSet<ContentId> {
    view.files().map(|(_, content)| content.id).collect()
}

/// Counts what became of a base in an image.
pub fn compare(base: &MergedView, image: &MergedView) -> Comparison {
    let held = held(image);
    let mut counts = Comparison::default();
    for (path, content) in base.files() {
        counts.total += 1;
        let count = match state_of(path, content, image, &held) {
            FileState::Same => &mut counts.same,
            FileState::Moved => &mut counts.moved,
            FileState::Modified => &mut counts.modified,
            FileState::Deleted => &mut counts.deleted,
        };
        *count += 1;
    }
    counts
}

/// Counts the image's files whose contents are in none of the bases.
pub fn novel(image: &MergedView, bases: &[&MergedView]) -> (Share, u64) {
    let known: HashSet<ContentId> = bases.iter().flat_map(|base| held(base)).collect();
    let (mut files, mut new, mut new_bytes) = (0, 0, 0_u64);
    for (_, content) in image.files() {
        files += 1;
        if !known.contains(&content.id) {
            new += 1;
            new_bytes = new_bytes.saturating_add(content.size_bytes);
        }
    }
    (Share::of(new, files), new_bytes)
}

/// Returns paths of `base` that hold a content which `image` has and `other` has not: what tells the two bases apart.
/// At most `max`, in path order, and how many there are.
pub fn telling(base: &MergedView, other: &MergedView, image: &MergedView, max: usize) -> (u64, Vec<String>) {
    let (others, held) = (held(other), held(image));
    let mut contents = BTreeSet::new();
    let mut paths = Vec::new();
    for (path, content) in base.files().filter(|(_, content)| content.size_bytes > 0) {
        let telling = held.contains(&content.id) && !others.contains(&content.id);
        if telling && contents.insert(content.id) && paths.len() < max {
            paths.push(String::from_utf8_lossy(path).into_owned());
        }
    }
    (contents.len() as u64, paths)
}
