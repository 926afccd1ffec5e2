//! What became of every file of a base, and what every other file of an image is.
//!
//! A file of the base has one row, at the place where the image has it or would have it; a file of the image that stands at
//! no place of the base has one row, too, unless it is where a file of the base moved to. The counts of the base's files are
//! those of `compare`, with the modified ones told apart further.

use std::collections::{BTreeSet, HashMap, HashSet};

use layerprint_store::id::ContentId;
use layerprint_store::{Content, Entry, MergedView};
use serde::Serialize;

use crate::compare::held;

/// What is said of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The base's: same path, same content.
    Same,
    /// The base's content, which is gone from the base's path and stands elsewhere.
    Moved,
    /// The base's path, with a content that no relative of the base has there.
    Modified,
    /// The base's path, with the content of a later relative.
    Upgraded,
    /// The base's path, with the content of an earlier relative.
    Downgraded,
    /// The base's, and nowhere in the image.
    Deleted,
    /// A path that the base has not, with a content that the base has.
    Copied,
    /// Neither the path nor the content is the base's.
    New,
}

impl State {
    /// All states, those of the base's files first.
    pub const ALL: [Self; 8] = [
        Self::Same,
        Self::Moved,
        Self::Modified,
        Self::Upgraded,
        Self::Downgraded,
        Self::Deleted,
        Self::Copied,
        Self::New,
    ];

    /// The state as it is written everywhere.
    pub fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Moved => "moved",
            Self::Modified => "modified",
            Self::Upgraded => "upgraded",
            Self::Downgraded => "downgraded",
            Self::Deleted => "deleted",
            Self::Copied => "copied",
            Self::New => "new",
        }
    }
}

/// A file with its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow<'a> {
    /// Its path in the image; of a file that moved or was deleted, the one that it would have.
    pub path: Vec<u8>,
    /// What became of it.
    pub state: State,
    /// The content in the image; of a deleted file the base's.
    pub content: Content,
    /// Where a file that moved stands in the image.
    pub to: Option<&'a [u8]>,
    /// Where a content that was copied stands in the base, or in the stored image that has the part.
    pub from: Option<Vec<u8>>,
    /// Which known image it comes from, as a place among the explanation's origins.
    pub origin: Option<usize>,
}

/// Returns a row for each file, in the order of paths. `home` is the folder of the image in which the base's tree stands,
/// empty for the root.
pub(crate) fn rows<'a>(base: &MergedView<'a>, image: &MergedView<'a>, home: &[u8]) -> Vec<FileRow<'a>> {
    let held = held(image);
    let place = |path: &[u8]| if home.is_empty() { path.to_vec() } else { [home, b"/", path].concat() };
    let at = |place: &[u8]| image.get(place).and_then(Entry::content);
    let places: HashSet<Vec<u8>> = base.files().map(|(path, _)| place(path)).collect();
    let stands =
        |path: &[u8], content: &Content| at(&place(path)).is_some_and(|there| there.id == content.id);
    let mut elsewhere: HashMap<ContentId, Vec<&'a [u8]>> = HashMap::new();
    for (path, content) in image.files().filter(|(_, content)| content.id != ContentId::EMPTY) {
        elsewhere.entry(content.id).or_default().push(path);
    }
    let mut rows = Vec::new();
    let mut targets = BTreeSet::new();
    let mut known: HashMap<ContentId, Vec<&'a [u8]>> = HashMap::new();
    for (path, content) in base.files() {
        let row = |state, content: &Content| FileRow {
            path: place(path),
            state,
            content: *content,
            to: None,
            from: None,
            origin: None,
        };
        if content.id != ContentId::EMPTY {
            known.entry(content.id).or_default().push(path);
        }
        rows.push(match at(&place(path)) {
            Some(_) if stands(path, content) => row(State::Same, content),
            Some(there) => row(State::Modified, &there),
            None if content.id != ContentId::EMPTY && held.contains(&content.id) => {
                let free = |target: &&&[u8]| !places.contains(**target);
                let targets_of = &elsewhere[&content.id];
                let to = nearest(path, targets_of.iter().filter(free)).or_else(|| nearest(path, targets_of));
                targets.extend(to);
                FileRow { to, ..row(State::Moved, content) }
            }
            None => row(State::Deleted, content),
        });
    }
    for (path, content) in image.files() {
        if places.contains(path) || targets.contains(path) {
            continue;
        }
        let from = known.get(&content.id).and_then(|paths| nearest(path, paths));
        let state = if from.is_some() { State::Copied } else { State::New };
        let from = from.map(<[u8]>::to_vec);
        rows.push(FileRow { path: path.to_vec(), state, content: *content, to: None, from, origin: None });
    }
    rows.sort_by(|a, b| a.path.cmp(&b.path));
    rows
}

/// Contents in more places than this are not weighed: the first place stands for all.
const PLACES_MAX: usize = 64;

/// Returns the path that ends most like another; the first of several.
fn nearest<'a: 'p, 'p>(path: &[u8], paths: impl IntoIterator<Item = &'p &'a [u8]>) -> Option<&'a [u8]> {
    let alike = |other: &[u8]| path.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let mut best: Option<(usize, &'a [u8])> = None;
    for other in paths.into_iter().take(PLACES_MAX) {
        let alike = alike(other);
        if best.is_none_or(|(most, _)| alike > most) {
            best = Some((alike, other));
        }
    }
    best.map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use layerprint_store::{EntryKind, Fingerprint};

    use super::*;
    use crate::compare::compare;

    fn layer(files: &[(&str, &str)]) -> Fingerprint {
        let entry = |(path, text): &(&str, &str)| {
            let content = Content { id: ContentId::of(text.as_bytes()), size_bytes: text.len() as u64 };
            let kind = EntryKind::File { content, linked: false };
            Entry { path: path.as_bytes().into(), mode: 0o644, uid: 0, gid: 0, kind }
        };
        Fingerprint::from_entries(files.iter().map(entry).collect())
    }

    fn text(path: impl AsRef<[u8]>) -> String {
        String::from_utf8_lossy(path.as_ref()).into_owned()
    }

    /// Rows as `state path`, with where it went or came from.
    fn told(base: &Fingerprint, image: &Fingerprint, home: &str) -> Vec<String> {
        let (base, image) = (MergedView::of([base]), MergedView::of([image]));
        let tell = |row: FileRow| {
            let to = row.to.map(|to| format!(" -> {}", text(to))).unwrap_or_default();
            let from = row.from.map(|from| format!(" <- {}", text(from))).unwrap_or_default();
            format!("{} {}{to}{from}", row.state.word(), text(row.path))
        };
        rows(&base, &image, home.as_bytes()).into_iter().map(tell).collect()
    }

    #[test]
    fn every_file_of_either_has_one_row() {
        let base = layer(&[
            ("bin/a", "a"),
            ("bin/b", "b"),
            ("bin/c", "c"),
            ("etc/motd", ""),
            ("lib/d", "d"),
            ("lib/twin", "d"),
        ]);
        let image = layer(&[
            ("bin/a", "a"),
            ("bin/b", "B"),
            ("lib/d", "d"),
            ("opt/bin/c", "c"),
            ("opt/c", "c"),
            ("opt/e", ""),
            ("srv/d", "d"),
        ]);
        let expected = [
            "same bin/a",
            "modified bin/b",
            "moved bin/c -> opt/bin/c",
            "deleted etc/motd",
            "same lib/d",
            "moved lib/twin -> srv/d",
            "copied opt/c <- bin/c",
            "new opt/e",
        ];
        assert_eq!(told(&base, &image, ""), expected);
        let counts = compare(&MergedView::of([&base]), &MergedView::of([&image]));
        assert_eq!((counts.same, counts.moved, counts.modified, counts.deleted), (2, 2, 1, 1));
    }

    #[test]
    fn a_moved_tree_is_compared_where_it_stands() {
        let base = layer(&[("bin/sh", "shell"), ("etc/motd", "hi"), ("etc/gone", "gone")]);
        let image = layer(&[("bin/sh", "other"), ("srv/root/bin/sh", "shell"), ("srv/root/etc/motd", "HI")]);
        let expected =
            ["new bin/sh", "same srv/root/bin/sh", "deleted srv/root/etc/gone", "modified srv/root/etc/motd"];
        assert_eq!(told(&base, &image, "srv/root"), expected);
    }

    #[test]
    fn what_has_no_base_is_new() {
        let image = layer(&[("a", "a"), ("b", "")]);
        assert_eq!(told(&layer(&[]), &image, ""), ["new a", "new b"]);
    }
}
