//! Which family an image belongs to where too little of any base is left to name one.
//!
//! What is left of a base then are packages and folders, not files: a hundred certificates are one decision of whoever
//! built the image. So contents count by places, each place the less the more it holds, and a content that unrelated
//! images have, too, counts next to nothing. Everyone who has nearly all of this evidence is named.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use crate::fates::{CANDIDATES_MAX, Fate, Fated, Fates, Holders};
use crate::rank::lambda;
use crate::scan::share;
use crate::weigh::{Weighed, Weighing};

/// Share of the smaller of two images that both have, from which they are of one family. Releases of one distribution
/// a few months apart share 0.5 to 0.95, distributions and their suites at most 0.1.
const RELATED_MIN: f64 = 0.3;
/// What a content counts that unrelated images have, too.
const COMMON: f64 = 0.05;
/// What a content counts that is there at another path.
const MOVED: f64 = 0.25;
/// Folders of a path that make a place.
const PLACE_DEPTH: usize = 3;

/// Least evidence of a family: contents that only it has, their bytes, and the places where they are.
const SPECIFIC_MIN: u64 = 8;
const SPECIFIC_BYTES_MIN: u64 = 256 << 10;
const PLACES_MIN: usize = 3;

/// Scores nearer to the best than this cannot be told from it: about a file or two.
const NEAR: f64 = 2.0;
/// Part of the best score that is close to it, where the two ways to count prefer different ones.
const CLOSE: f64 = 0.98;
/// Files by which the fullest may differ.
const FULLEST: u64 = 2;
/// Of the fullest, those named at most.
const FULLEST_MAX: usize = 8;
/// Members named at most.
const NAMED_MAX: usize = 16;

/// What of a candidate is evidence that the image is of its family.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Specific {
    pub(crate) contents: u64,
    pub(crate) bytes: u64,
    pub(crate) places: usize,
}

impl Specific {
    pub(crate) fn is_enough(&self) -> bool {
        self.contents >= SPECIFIC_MIN && self.bytes >= SPECIFIC_BYTES_MIN && self.places >= PLACES_MIN
    }
}

/// The best candidates seen as members of families.
pub(crate) struct Families {
    related: Related,
    /// Scores, by places on the shortlist. Most questions ask for none.
    scores: OnceCell<HashMap<usize, f64>>,
}

impl Families {
    pub(crate) fn of(weighed: &[Weighed]) -> Self {
        Self { related: related(weighed), scores: OnceCell::new() }
    }

    fn scores(&self, weighing: &Weighing) -> &HashMap<usize, f64> {
        let scored = |candidate: &Weighed| (candidate.place, self.score(&candidate.fates));
        self.scores.get_or_init(|| weighing.weighed.iter().map(scored).collect())
    }

    fn score(&self, fates: &Fates) -> f64 {
        let present = fates.count(Fated::is_present);
        let lambda = lambda(share(present, fates.all.len() as u64).clamp(0.001, 0.9));
        let mut places: BTreeMap<&[u8], (f64, f64)> = BTreeMap::new();
        for fated in &fates.all {
            let worth = match fated.fate {
                Fate::Same | Fate::Moved if is_common(&self.related, fated) => COMMON,
                Fate::Same => 1.0,
                Fate::Moved => MOVED,
                Fate::Edited => 0.0,
                Fate::Swapped | Fate::Missing => -lambda,
            };
            let (sum, total) = places.entry(place(fates.path(fated))).or_default();
            *sum += worth;
            *total += worth.abs();
        }
        places.values().map(|(sum, total)| sum / total.max(1.0).sqrt()).sum()
    }

    /// Returns the candidate with the most evidence.
    pub(crate) fn best<'a>(&self, weighing: &'a Weighing<'a>) -> Option<&'a Weighed<'a>> {
        let scores = self.scores(weighing);
        let first = |best: &'a Weighed<'a>, next: &'a Weighed<'a>| {
            if scores[&next.place] > scores[&best.place] { next } else { best }
        };
        weighing.weighed.iter().reduce(first)
    }

    /// Returns all that cannot be told from the one with the most evidence, that first: those with as much, and those of the
    /// family that explain most files. The certificates in an image may be those of a base with certificates, or were
    /// added to one without.
    pub(crate) fn near<'a>(&self, weighing: &'a Weighing<'a>, best: &'a Weighed<'a>) -> Vec<&'a Weighed<'a>> {
        let scores = self.scores(weighing);
        let mut named = near(weighing, best, |candidate| scores[&candidate.place]);
        let is_related = |other: &&Weighed| self.related[best.place] & (1 << other.place) != 0;
        let same = |candidate: &Weighed| candidate.fates.count(|fated| fated.fate == Fate::Same);
        let most = weighing.weighed.iter().filter(is_related).map(same).max().unwrap_or(0);
        let fullest =
            weighing.weighed.iter().filter(is_related).filter(|other| same(other) + FULLEST >= most);
        let fullest: Vec<&Weighed> = fullest
            .filter(|other| named.iter().all(|one| one.place != other.place))
            .take(FULLEST_MAX)
            .collect();
        named.extend(fullest);
        named
    }

    /// Counts what only the candidate's family has.
    pub(crate) fn specific(&self, candidate: &Weighed) -> Specific {
        let of_family = candidate
            .fates
            .all
            .iter()
            .filter(|fated| fated.fate == Fate::Same && !is_common(&self.related, fated));
        let mut places: Vec<&[u8]> = Vec::new();
        let mut specific = Specific::default();
        for fated in of_family {
            specific.contents += 1;
            specific.bytes = specific.bytes.saturating_add(candidate.fates.content(fated).size_bytes);
            let place = place(candidate.fates.path(fated));
            if places.last() != Some(&place) {
                places.push(place);
            }
        }
        Specific { places: places.len(), ..specific }
    }
}

/// Returns all whose files leave a doubt whether they are not the base rather than the one that was preferred, that
/// first: those with the same score, or next to it, and the one with the most evidence by places if it comes
/// close.
pub(crate) fn doubtful<'a>(weighing: &'a Weighing<'a>, best: &'a Weighed<'a>) -> Vec<&'a Weighed<'a>> {
    let mut doubtful = near(weighing, best, |candidate| candidate.score);
    let by_places = weighing.families().best(weighing);
    let comes_close = |other: &&Weighed| other.score >= best.score * CLOSE;
    doubtful.extend(
        by_places.filter(comes_close).filter(|other| doubtful.iter().all(|one| one.place != other.place)),
    );
    doubtful
}

fn near<'a>(
    weighing: &'a Weighing<'a>,
    best: &'a Weighed<'a>,
    score: impl Fn(&Weighed) -> f64,
) -> Vec<&'a Weighed<'a>> {
    let is_near = |other: &&Weighed| other.place != best.place && (score(other) - score(best)).abs() <= NEAR;
    let mut near: Vec<&Weighed> = weighing.weighed.iter().filter(is_near).collect();
    near.sort_by(|a, b| score(b).total_cmp(&score(a)));
    near.truncate(NAMED_MAX - 1);
    near.insert(0, best);
    near
}

/// Counts the contents of a candidate that are there and that no unrelated candidate has, and their bytes.
pub(crate) fn uncommon(weighing: &Weighing, candidate: &Weighed) -> (u64, u64) {
    let related = &weighing.families().related;
    let uncommon =
        candidate.fates.all.iter().filter(|fated| fated.is_present() && !is_common(related, fated));
    uncommon.fold((0, 0), |(contents, bytes), fated| {
        (contents + 1, bytes.saturating_add(candidate.fates.content(fated).size_bytes))
    })
}

/// For each place on the shortlist the candidates related to the one there.
type Related = [Holders; CANDIDATES_MAX];

fn related(weighed: &[Weighed]) -> Related {
    let mut related = [0; CANDIDATES_MAX];
    for candidate in weighed {
        related[candidate.place] = relatives(weighed, candidate);
    }
    related
}

/// Returns true if images of different families have it.
fn is_common(related: &Related, fated: &Fated) -> bool {
    bits(fated.holders).any(|place| fated.holders & !related[place] != 0)
}

/// The places of the candidates that hold something.
fn bits(holders: Holders) -> impl Iterator<Item = usize> {
    let next = |left: &Holders| Some(left & left.wrapping_sub(1));
    let left = std::iter::successors(Some(holders), next).take_while(|left| *left != 0);
    left.map(|left| left.trailing_zeros() as usize)
}

/// The candidates that share enough with one to be of its family, itself included.
fn relatives(weighed: &[Weighed], candidate: &Weighed) -> Holders {
    let mut shared = [0_u64; CANDIDATES_MAX];
    for fated in &candidate.fates.all {
        bits(fated.holders).for_each(|place| shared[place] += 1);
    }
    let total = candidate.fates.all.len();
    let is_related = |other: &&Weighed| {
        let smaller = total.min(other.fates.all.len()) as u64;
        share(shared[other.place], smaller) >= RELATED_MIN
    };
    weighed.iter().filter(is_related).fold(0, |holders, other| holders | 1 << other.place)
}

/// The outer folders of a path.
fn place(path: &[u8]) -> &[u8] {
    let mut slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    match slashes.nth(PLACE_DEPTH - 1) {
        Some(end) => &path[..end],
        None => path.iter().rposition(|byte| *byte == b'/').map_or(b"", |end| &path[..end]),
    }
}
