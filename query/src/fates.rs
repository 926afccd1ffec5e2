//! What became of the best candidates' contents in the image: the figures from which they are weighed.
//!
//! Contents alone cannot tell a file that was edited, or compressed anew, from one that never was there. Paths can: where
//! an image has a file of unknown content at a path of one base and another base has no such path, somebody changed that
//! base's file. Where the content is known, from another candidate, the file is that one's, and speaks against the base.
//! Folders that are gone whole are kept apart, for what was cleared away with them says nothing of the base.

use layerprint_store::Content;

use crate::numbers::EMPTY;
use crate::seen::Seen;
use crate::tree::{FileNumbers, Folder, Tree};

/// Contents that a folder must have held to count as cleared away, if none of them is left. Fewer may be missing for any
/// reason, each its own.
const GONE_MIN: u32 = 8;

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

    pub(crate) fn content(&self, fated: &Fated) -> Content {
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
        if numbers.content == EMPTY {
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
    if !base.folders().is_empty() {
        let sums = Sums::of(&all, base.numbers().len());
        Clearing { tree: base, sums, fated: &mut all, cleared: &mut cleared }.clear(0, 0);
    }
    Fates { tree: base, all, cleared }
}

fn fate(file: &FileNumbers, image: &Seen, holders: &[Holders]) -> Fate {
    let is_known = |content: u32| holders.get(content as usize).is_some_and(|holders| *holders != 0);
    match image.at(file.path) {
        Some(there) if there.content == file.content => Fate::Same,
        _ if image.holds(file.content) => Fate::Moved,
        // An empty file is in every candidate.
        Some(there) if there.content != EMPTY && !is_known(there.content) => Fate::Edited,
        Some(_) => Fate::Swapped,
        None => Fate::Missing,
    }
}

/// For each file of a candidate: of those before it, how many have a fate, are missing, and moved.
struct Sums(Vec<[u32; 3]>);

impl Sums {
    fn of(fated: &[Fated], files: usize) -> Self {
        let mut sums = vec![[0; 3]; files + 1];
        for fated in fated {
            let is = [true, fated.fate == Fate::Missing, fated.fate == Fate::Moved];
            sums[fated.file as usize + 1] = is.map(u32::from);
        }
        for file in 1..sums.len() {
            let before = sums[file - 1];
            sums[file].iter_mut().zip(before).for_each(|(sum, before)| *sum += before);
        }
        Self(sums)
    }

    /// Returns the same for the files of a folder.
    fn within(&self, folder: &Folder) -> [u32; 3] {
        let (start, end) = (self.0[folder.start as usize], self.0[folder.end as usize]);
        [end[0] - start[0], end[1] - start[1], end[2] - start[2]]
    }
}

/// Marks what went with whole folders, the outermost of them. A few of its contents may stand elsewhere, too.
struct Clearing<'f> {
    tree: &'f Tree,
    sums: Sums,
    /// By path.
    fated: &'f mut Vec<Fated>,
    cleared: &'f mut Vec<u64>,
}

impl Clearing<'_> {
    /// Looks at a folder; `outer` is the length of the path of the folder around it.
    fn clear(&mut self, number: usize, outer: u32) {
        let folder = self.tree.folders()[number];
        let [all, missing, moved] = self.sums.within(&folder);
        if missing < GONE_MIN {
            return;
        }
        if missing >= moved && missing + moved == all {
            // One at the root holds itself.
            let holder = if outer == 0 { folder.path_bytes } else { outer };
            self.mark(&folder, holder.saturating_sub(1));
            self.cleared.push(missing.into());
            return;
        }
        let mut inner = number + 1;
        while inner < folder.next as usize {
            self.clear(inner, folder.path_bytes);
            inner = self.tree.folders()[inner].next as usize;
        }
    }

    fn mark(&mut self, folder: &Folder, holder_bytes: u32) {
        let place = |file: u32| self.fated.partition_point(|fated| fated.file < file);
        let range = place(folder.start)..place(folder.end);
        let gone = self.fated[range].iter_mut().filter(|fated| fated.fate == Fate::Missing);
        gone.for_each(|fated| fated.cleared = holder_bytes);
    }
}
