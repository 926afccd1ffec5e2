//! How far what an image has at a base's paths is the base's, seen without what was changed on purpose.
//!
//! Releases of a base differ a little nearly everywhere that programs are. Who builds on a base changes one kind of file
//! (all manual pages compressed anew) or edits in one place (the configuration). So a kind of which nearly all files
//! differ, and the one folder with most of the changes, do not count against a base, as long as what remains is most
//! of it.

use std::collections::HashMap;

use crate::compare::Comparison;
use crate::rank::agreement;
use crate::seen::Seen;
use crate::tree::Tree;

/// Files of a kind from which it can be said that the kind was changed, and changed files of a folder likewise. A few
/// programs of one folder may be those of another release.
const KIND_MIN: u64 = 8;
/// Share of a kind that must differ for that.
const KIND_CHANGED: f64 = 0.95;
/// Longest ending that makes a kind.
const ENDING_BYTES_MAX: usize = 8;
/// A folder is one place among many only if it holds at most one part in so many of all bytes.
const FOLDER_DIVISOR: u64 = 4;

/// Agreement of what is left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Agreement {
    pub(crate) files: f64,
    pub(crate) bytes: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    same: u64,
    same_bytes: u64,
    modified: u64,
    modified_bytes: u64,
}

impl Tally {
    fn add(&mut self, other: &Compared) {
        let (count, bytes) = match other.is_same {
            true => (&mut self.same, &mut self.same_bytes),
            false => (&mut self.modified, &mut self.modified_bytes),
        };
        *count += 1;
        *bytes = bytes.saturating_add(other.size_bytes);
    }

    fn bytes(&self) -> u64 {
        self.same_bytes.saturating_add(self.modified_bytes)
    }
}

/// A file of the base whose path holds a file in the image.
struct Compared<'a> {
    path: &'a [u8],
    size_bytes: u64,
    is_same: bool,
}

/// Compares as `files` says the tree was moved.
pub(crate) fn agree(base: &Tree, image: &Seen, files: &Comparison) -> Agreement {
    let compared = compared(base, image, files.moved_to.as_deref());
    let kinds = tallies(&compared, ending);
    let is_kept = |file: &Compared| {
        let ending = ending(file.path);
        ending.is_empty() || !is_changed(&kinds[ending])
    };
    let kept: Vec<Compared> = compared.into_iter().filter(is_kept).collect();
    let folders = tallies(&kept, top);
    let all = sum(&kept);
    let is_one_of_many =
        |tally: &Tally| tally.modified >= KIND_MIN && tally.bytes() <= all.bytes() / FOLDER_DIVISOR;
    let edited = folders.iter().filter(|(_, tally)| is_one_of_many(tally));
    let edited = edited.max_by_key(|(folder, tally)| (tally.modified, **folder)).map(|(folder, _)| *folder);
    let rest: Vec<Compared> = kept.into_iter().filter(|file| Some(top(file.path)) != edited).collect();
    let rest = sum(&rest);
    Agreement {
        files: agreement(rest.same, rest.modified),
        bytes: agreement(rest.same_bytes, rest.modified_bytes),
    }
}

fn compared<'a>(base: &'a Tree, image: &Seen, moved_to: Option<&str>) -> Vec<Compared<'a>> {
    let there = |path: &[u8]| {
        let folder = moved_to?.as_bytes();
        image.tree.get(&[folder, b"/", path].concat()).map(|content| content.id)
    };
    let compared = |(place, (path, content)): (usize, (&'a [u8], layerprint_store::Content))| {
        let is_same = match moved_to {
            Some(_) => there(path)? == content.id,
            None => {
                let own = base.numbers()[place];
                image.at(own.path)?.content == own.content
            }
        };
        Some(Compared { path, size_bytes: content.size_bytes, is_same })
    };
    base.files().enumerate().filter_map(compared).collect()
}

fn is_changed(kind: &Tally) -> bool {
    let total = kind.same + kind.modified;
    total >= KIND_MIN && 1.0 - agreement(kind.same, kind.modified) >= KIND_CHANGED
}

fn tallies<'a>(compared: &[Compared<'a>], key: fn(&'a [u8]) -> &'a [u8]) -> HashMap<&'a [u8], Tally> {
    let mut tallies: HashMap<&[u8], Tally> = HashMap::new();
    for file in compared {
        tallies.entry(key(file.path)).or_default().add(file);
    }
    tallies
}

fn sum(compared: &[Compared]) -> Tally {
    compared.iter().fold(Tally::default(), |mut sum, file| {
        sum.add(file);
        sum
    })
}

/// The ending of a file's name; empty if it has none.
fn ending(path: &[u8]) -> &[u8] {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    match name.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 && name.len() - dot - 1 <= ENDING_BYTES_MAX => &name[dot + 1..],
        _ => b"",
    }
}

/// The outermost folder; the path itself of a file that stands in none.
fn top(path: &[u8]) -> &[u8] {
    path.split(|byte| *byte == b'/').next().unwrap_or_default()
}
