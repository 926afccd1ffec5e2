//! The order of the best candidates, seen again file by file.
//!
//! The model is that of `rank`, with what only files can tell: an edited file speaks for the base whose path it has, and a
//! folder that is gone whole counts as one loss, not as hundreds, so that a base without its documentation is still
//! that base. How much the image kept is measured on what is left of the folders.

use std::cell::OnceCell;
use std::sync::Arc;

use layerprint_store::{ImageRecord, Result};

use crate::family::Families;
use crate::fates::{CANDIDATES_MAX, Fate, Fates, fates};
use crate::rank::{RETENTION, Ranked, Ranking, is_comparable, lambda};
use crate::reader::Reader;
use crate::scan::{Overlap, share};
use crate::seen::Seen;
use crate::tree::Tree;

/// What an edited file earns, in units of what an unchanged one does: it speaks for the base against one without the
/// path, and less than the file itself would.
const EDITED: f64 = 0.5;

/// What a folder costs that is gone whole, in the same units, however much it held.
const CLEARED: f64 = 0.5;

/// What shares less than one part in so many of what another shares is small.
const SMALL_DIVISOR: u64 = 4;
/// Small candidates at most, so that nobody can fill the list with scraps of a base.
const SMALL_MAX: usize = CANDIDATES_MAX / 2;

/// The best candidates with their files, best first, each set of contents once.
pub(crate) struct Shortlist {
    /// Of several images with the same contents the one with most layers, for it tells most.
    pub(crate) records: Vec<Arc<ImageRecord>>,
    pub(crate) trees: Vec<Arc<Tree>>,
}

impl Shortlist {
    /// Takes the best of a ranking and reads them.
    pub(crate) fn read(reader: &Reader, ranking: &Ranking, image: &ImageRecord) -> Result<Self> {
        let present_max = ranking.ranked.iter().map(|ranked| ranked.overlap.present).max().unwrap_or(0);
        let mut ranked: Vec<Ranked> = Vec::new();
        let mut small = 0;
        for next in &ranking.ranked {
            let is_new = |other: &Ranked| other.overlap.record.set_id != next.overlap.record.set_id;
            let is_small = next.overlap.present * SMALL_DIVISOR < present_max;
            let has_room = ranked.len() < CANDIDATES_MAX && (small < SMALL_MAX || !is_small);
            if has_room && ranked.iter().all(is_new) {
                small += usize::from(is_small);
                ranked.push(*next);
            }
        }
        let most_layers = |ranked: &Ranked| {
            let record = &ranked.overlap.record;
            let tie = reader.tie(&record.set_id, &image.platform)?;
            let tie = tie.into_iter().filter(|other| other.id != image.id);
            Ok(tie.max_by_key(|record| record.layers.len()).unwrap_or_else(|| Arc::clone(record)))
        };
        let records: Vec<Arc<ImageRecord>> = ranked.iter().map(most_layers).collect::<Result<_>>()?;
        let trees = reader.trees(&records)?;
        Ok(Self { records, trees })
    }
}

/// A candidate with what became of it.
pub(crate) struct Weighed<'a> {
    /// Its place on the shortlist, and its bit among the holders of a content.
    pub(crate) place: usize,
    /// Counted by whole ids.
    pub(crate) overlap: Overlap,
    pub(crate) score: f64,
    pub(crate) fates: Fates<'a>,
}

/// The best candidates, best first.
pub(crate) struct Weighing<'a> {
    pub(crate) weighed: Vec<Weighed<'a>>,
    /// Share of the best candidate's contents that the image kept, of the folders that it kept.
    pub(crate) retention: f64,
    /// What one missing content costs.
    pub(crate) lambda: f64,
    families: OnceCell<Families>,
}

impl Weighing<'_> {
    /// The same candidates as members of families.
    pub(crate) fn families(&self) -> &Families {
        self.families.get_or_init(|| Families::of(&self.weighed))
    }
}

/// Orders the candidates of a shortlist by contents and paths.
pub(crate) fn weigh<'a>(list: &'a Shortlist, image: &Seen) -> Weighing<'a> {
    let trees: Vec<&Tree> = list.trees.iter().map(|tree| &**tree).collect();
    let mut weighed: Vec<Weighed> = Vec::new();
    for (place, (record, fates)) in list.records.iter().zip(fates(image, &trees)).enumerate() {
        let overlap = overlap(record, &fates);
        weighed.push(Weighed { place, overlap, score: 0.0, fates });
    }
    let retention = retention(&weighed);
    let lambda = lambda(retention);
    weighed.iter_mut().for_each(|candidate| candidate.score = score(&candidate.fates, lambda));
    weighed.retain(|candidate| candidate.overlap.present > 0);
    // Stable: where files say nothing, the order by contents stays.
    weighed.sort_by(|a, b| b.score.total_cmp(&a.score));
    Weighing { weighed, retention, lambda, families: OnceCell::new() }
}

fn overlap(record: &Arc<ImageRecord>, fates: &Fates) -> Overlap {
    let present = || fates.all.iter().filter(|fated| fated.is_present());
    let bytes = present().map(|fated| fates.content(fated).size_bytes);
    Overlap {
        record: Arc::clone(record),
        present: present().count() as u64,
        present_bytes: bytes.fold(0, u64::saturating_add),
    }
}

fn retention(weighed: &[Weighed]) -> f64 {
    let present_max = weighed.iter().map(|candidate| candidate.overlap.present).max().unwrap_or(0);
    let is_large = |candidate: &&Weighed| is_comparable(candidate.overlap.present, present_max);
    let kept = weighed.iter().filter(is_large).map(|candidate| kept(&candidate.fates));
    kept.fold(0.0, f64::max).clamp(RETENTION.0, RETENTION.1)
}

/// Share of a candidate's contents that is there, of the folders that are.
pub(crate) fn kept(fates: &Fates) -> f64 {
    let present = fates.count(|fated| fated.is_present());
    share(present, fates.count(|fated| !fated.is_cleared()))
}

fn score(fates: &Fates, lambda: f64) -> f64 {
    let worth = |fate| match fate {
        Fate::Same | Fate::Moved => 1.0,
        Fate::Edited => EDITED,
        Fate::Swapped | Fate::Missing => -lambda,
    };
    let single: f64 =
        fates.all.iter().filter(|fated| !fated.is_cleared()).map(|fated| worth(fated.fate)).sum();
    let cleared: f64 = fates.cleared.iter().map(|&contents| (lambda * count(contents)).min(CLEARED)).sum();
    single - cleared
}

#[expect(clippy::cast_precision_loss, reason = "a score ranks; counts are far below 2^52")]
fn count(contents: u64) -> f64 {
    contents as f64
}
