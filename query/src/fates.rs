//! What became of the best candidates' contents in the image: the figures from which they are weighed.
//!
//! Contents alone cannot tell a file that was edited, or compressed anew, from one that never was there. Paths can: where
//! an image has a file of unknown content at a path of one base and another base has no such path, somebody changed that
//! base's file. Where the content is known, from another candidate, the file is that one's, and speaks against the base.
//! Folders that are gone whole are kept apart, for what was cleared away with them says nothing of the base.

use layerprint_store::Content;

use crate::seen::Seen;
use crate::tree::{FileNumbers, Folder, Tree};

/// Contents that a folder must have held to count as cleared away, if none of them is left. Fewer may be missing for any
/// reason, each its own.
const GONE_MIN: usize = 8;

/// Which candidates hold a content: a bit for each.
pub(crate) type Holders = u32;

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
pub(crate) struct Fated {
    /// The number of the file that speaks for it.
    pub(crate) file: u32,
    pub(crate) fate: Fate,
    /// The candidates that have it, this one included.
    pub(crate) holders: Holders,
    /// The length of the path of the folder that holds the folder with which it went; [`NOT_CLEARED`] if it did not go with
    /// a whole folder.
    cleared: u32,
}

const NOT_CLEARED: u32 = u32::MAX;

impl Fated {
    pub(crate) fn is_present(&self) -> bool {
        self.fate >= Fate::Moved
    }

    /// It went with the whole folder that it stood in.
    pub(crate) fn is_cleared(&self) -> bool {
        self.cleared != NOT_CLEARED
    }

    /// It is not there, and for a reason of its own.
    pub(crate) fn is_lost(&self) -> bool {
        !self.is_cleared() && self.fate <= Fate::Swapped
    }
}

/// The contents of one candidate by path, none empty, each once, with their fates.
#[derive(Debug)]
pub(crate) struct Fates<'a> {
    tree: &'a Tree,
    pub(crate) all: Vec<Fated>,
    /// How many contents went with each folder that was cleared.
    pub(crate) cleared: Vec<u64>,
}

impl<'a> Fates<'a> {
    /// Counts those of which something holds.
    pub(crate) fn count(&self, holds: impl Fn(&Fated) -> bool) -> u64 {
        self.all.iter().filter(|fated| holds(fated)).count() as u64
    }

    pub(crate) fn path(&self, fated: &Fated) -> &'a [u8] {
        self.tree.path(fated.file as usize)
    }

    pub(crate) fn content(&self, fated: &Fated) -> &'a Content {
        self.tree.content(fated.file as usize)
    }

    /// The folder that holds the folder with which it went, if it went with a whole folder; one at the root holds itself.
    pub(crate) fn cleared_from(&self, fated: &Fated) -> Option<&'a [u8]> {
        fated.is_cleared().then(|| &self.path(fated)[..fated.cleared as usize])
    }
}

/// Tells what became of each candidate's contents in an image, in the order given.
pub(crate) fn fates<'a>(image: &Seen, candidates: &[&'a Tree]) -> Vec<Fates<'a>> {
    debug_assert!(candidates.len() <= CANDIDATES_MAX);
    let holders = holders(candidates);
    candidates.iter().map(|candidate| of(candidate, image, &holders)).collect()
}

/// Returns which candidates have each content, by its number.
fn holders(candidates: &[&Tree]) -> Vec<Holders> {
    let numbers = candidates.iter().flat_map(|tree| tree.numbers());
    let end = numbers.map(|file| file.content + 1).max().unwrap_or(0);
    let mut holders = vec![0; end as usize];
    for (index, candidate) in candidates.iter().enumerate() {
        candidate.numbers().iter().for_each(|file| holders[file.content as usize] |= 1 << index);
    }
    holders
}

/// No place yet.
const NOWHERE: u32 = u32::MAX;

fn of<'a>(base: &'a Tree, image: &Seen, holders: &[Holders]) -> Fates<'a> {
    let mut places = vec![NOWHERE; base.distinct_count()];
    let mut all: Vec<Fated> = Vec::with_capacity(base.distinct_count());
    let mut is_sorted = true;
    for (numbers, file) in base.numbers().iter().zip(0..) {
        if base.content(file as usize).size_bytes == 0 {
            continue;
        }
        let fate = fate(numbers, image, holders);
        let fated = Fated { file, fate, holders: holders[numbers.content as usize], cleared: NOT_CLEARED };
        let place = &mut places[numbers.ordinal as usize];
        match all.get_mut(*place as usize) {
            Some(other) if other.fate < fate => (*other, is_sorted) = (fated, false),
            Some(_) => {}
            None => {
                *place = u32::try_from(all.len()).expect("not more than files");
                all.push(fated);
            }
        }
    }
    if !is_sorted {
        // Files are in path order.
        all.sort_unstable_by_key(|fated| fated.file);
    }
    let mut cleared = Vec::new();
    clear(base, &mut all, (0, 0), &mut cleared);
    Fates { tree: base, all, cleared }
}

fn fate(file: &FileNumbers, image: &Seen, holders: &[Holders]) -> Fate {
    let is_known = |content: u32| holders.get(content as usize).is_some_and(|holders| *holders != 0);
    match image.at(file.path) {
        Some((there, _)) if there.content == file.content => Fate::Same,
        _ if image.holds(file.content) => Fate::Moved,
        // An empty file is in every candidate.
        Some((there, content)) if content.size_bytes > 0 && !is_known(there.content) => Fate::Edited,
        Some(_) => Fate::Swapped,
        None => Fate::Missing,
    }
}

/// Marks what went with whole folders, the outermost of them. A few of its contents may stand elsewhere, too. `fated` are
/// the contents of one folder by path, `outer` is the length of the path of the folder around it.
fn clear(tree: &Tree, fated: &mut [Fated], (folder, outer): (usize, u32), cleared: &mut Vec<u64>) {
    let missing = fated.iter().filter(|fated| fated.fate == Fate::Missing).count();
    if missing < GONE_MIN {
        return;
    }
    let Folder { next, path_bytes, .. } = tree.folders()[folder];
    let moved = fated.iter().filter(|fated| fated.fate == Fate::Moved).count();
    if missing >= moved && missing + moved == fated.len() {
        // One at the root holds itself.
        let holder = if outer == 0 { path_bytes } else { outer };
        let gone = fated.iter_mut().filter(|fated| fated.fate == Fate::Missing);
        gone.for_each(|fated| fated.cleared = holder.saturating_sub(1));
        cleared.push(missing as u64);
        return;
    }
    let (mut rest, mut inner) = (fated, folder + 1);
    while inner < next as usize {
        let Folder { start, end, next, .. } = tree.folders()[inner];
        let (_, others) = rest.split_at_mut(rest.partition_point(|fated| fated.file < start));
        let (below, others) = others.split_at_mut(others.partition_point(|fated| fated.file < end));
        if below.len() >= GONE_MIN {
            clear(tree, below, (inner, path_bytes), cleared);
        }
        (rest, inner) = (others, next as usize);
    }
}
