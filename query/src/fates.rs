//! What became of the best candidates' contents in the image: the figures from which they are weighed.
//!
//! Contents alone cannot tell a file that was edited, or compressed anew, from one that never was there. Paths can: where
//! an image has a file of unknown content at a path of one base and another base has no such path, somebody changed that
//! base's file. Where the content is known, from another candidate, the file is that one's, and speaks against the base.
//! Folders that are gone whole are kept apart, for what was cleared away with them says nothing of the base.

use std::collections::{HashMap, HashSet};

use layerprint_store::id::ContentId;
use layerprint_store::{Content, Entry, MergedView};
use rayon::prelude::*;

use crate::compare::held;

/// Contents that a folder must have held to count as cleared away, if none of them is left. Fewer may be missing for any
/// reason, each its own.
const GONE_MIN: usize = 8;

/// Which candidates hold a content: a bit for each.
pub(crate) type Holders = u64;

/// Candidates that are looked at file by file: a bit of [`Holders`] each.
pub(crate) const CANDIDATES_MAX: usize = 32;

/// What became of one distinct content of a base. Of several paths the one that speaks most for the base counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// Its paths are gone.
    Missing,
    /// One of its paths holds what another candidate has.
    Swapped,
    /// One of its paths holds a content that no candidate has.
    Edited,
    /// It is there, at other paths.
    Moved,
    /// It is there, at one of its paths.
    Same,
}

/// A content of a candidate and what became of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fated<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) content: Content,
    pub(crate) fate: Fate,
    /// The candidates that have it, this one included.
    pub(crate) holders: Holders,
    /// The folder that holds the folder with which it went, if it went with a whole folder; one at the root holds itself.
    pub(crate) cleared_from: Option<&'a [u8]>,
}

impl Fated<'_> {
    pub(crate) fn is_present(&self) -> bool {
        self.fate >= Fate::Moved
    }

    /// It went with the whole folder that it stood in.
    pub(crate) fn is_cleared(&self) -> bool {
        self.cleared_from.is_some()
    }

    /// It is not there, and for a reason of its own.
    pub(crate) fn is_lost(&self) -> bool {
        !self.is_cleared() && self.fate <= Fate::Swapped
    }
}

/// The contents of one candidate by path, none empty, each once, with their fates.
#[derive(Debug, Default)]
pub(crate) struct Fates<'a> {
    pub(crate) all: Vec<Fated<'a>>,
    /// How many contents went with each folder that was cleared.
    pub(crate) cleared: Vec<u64>,
}

impl<'a> Fates<'a> {
    /// Counts those of which something holds.
    pub(crate) fn count(&self, holds: impl Fn(&Fated<'a>) -> bool) -> u64 {
        self.all.iter().filter(|fated| holds(fated)).count() as u64
    }
}

/// Tells what became of each candidate's contents in an image, in the order given.
pub(crate) fn fates<'a>(image: &MergedView, candidates: &[MergedView<'a>]) -> Vec<Fates<'a>> {
    debug_assert!(candidates.len() <= CANDIDATES_MAX);
    let mut holders: HashMap<ContentId, Holders> = HashMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        for (_, content) in candidate.files() {
            *holders.entry(content.id).or_default() |= 1 << index;
        }
    }
    let held = held(image);
    candidates.par_iter().map(|candidate| of(candidate, image, &held, &holders)).collect()
}

fn of<'a>(
    base: &MergedView<'a>,
    image: &MergedView,
    held: &HashSet<ContentId>,
    holders: &HashMap<ContentId, Holders>,
) -> Fates<'a> {
    let mut places: HashMap<ContentId, usize> = HashMap::new();
    let mut all: Vec<Fated> = Vec::new();
    let mut there_now = image.walk();
    for (path, content) in base.files().filter(|(_, content)| content.size_bytes > 0) {
        let there = there_now.get(path).and_then(Entry::content);
        let fate = fate(content, there, held, holders);
        let fated =
            Fated { path, content: *content, fate, holders: holders[&content.id], cleared_from: None };
        match places.get(&content.id) {
            Some(&place) if all[place].fate < fate => all[place] = fated,
            Some(_) => {}
            None => {
                places.insert(content.id, all.len());
                all.push(fated);
            }
        }
    }
    all.sort_unstable_by_key(|fated| fated.path);
    let mut cleared = Vec::new();
    clear(&mut all, 0, &mut cleared);
    Fates { all, cleared }
}

fn fate(
    content: &Content,
    there: Option<Content>,
    held: &HashSet<ContentId>,
    holders: &HashMap<ContentId, Holders>,
) -> Fate {
    match there {
        Some(there) if there.id == content.id => Fate::Same,
        _ if held.contains(&content.id) => Fate::Moved,
        // An empty file is in every candidate.
        Some(there) if there.size_bytes > 0 && !holders.contains_key(&there.id) => Fate::Edited,
        Some(_) => Fate::Swapped,
        None => Fate::Missing,
    }
}

/// Marks what went with whole folders, the outermost of them. A few of its contents may stand elsewhere, too. `fated` are the contents of one folder by path, whose name
/// is the first `depth` bytes of each.
fn clear(fated: &mut [Fated], depth: usize, cleared: &mut Vec<u64>) {
    let missing = fated.iter().filter(|fated| fated.fate == Fate::Missing).count();
    let moved = fated.iter().filter(|fated| fated.fate == Fate::Moved).count();
    if missing >= GONE_MIN.max(moved) && missing + moved == fated.len() {
        let gone = fated.iter_mut().filter(|fated| fated.fate == Fate::Missing);
        gone.for_each(|fated| fated.cleared_from = Some(parent(&fated.path[..depth])));
        cleared.push(missing as u64);
        return;
    }
    // Paths that begin alike stand together.
    let name =
        |fated: &Fated| fated.path[depth..].split(|byte| *byte == b'/').next().unwrap_or_default().len();
    let starts_alike =
        |a: &Fated, b: &Fated| a.path[depth..depth + name(a)] == b.path[depth..depth + name(b)];
    for below in fated.chunk_by_mut(starts_alike) {
        let next = depth + name(&below[0]) + 1;
        if below.len() >= GONE_MIN && below.iter().all(|fated| fated.path.len() > next) {
            clear(below, next, cleared);
        }
    }
}

/// The folder around a folder, which ends in a slash; itself if it stands at the root.
fn parent(folder: &[u8]) -> &[u8] {
    let name = folder.strip_suffix(b"/").unwrap_or(folder);
    match name.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => &name[..slash],
        None => name,
    }
}
