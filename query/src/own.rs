//! Pairs of candidates: what one has and the other has not, and how much of that is in the image.
//!
//! Two images on one base both hold it whole, and an image that is built on the same base holds all that they share, and
//! nothing that only one of them has. Where the stored ones have their layers, `parts` sees that; these counts see it
//! in squashed ones, too.

use std::collections::BTreeMap;

use crate::fates::{Fate, Fated, Fates};
use crate::rank::{CHANCE_RATIO, PRESENT_MIN};
use crate::scan::share;
use crate::weigh::{Weighed, Weighing};

/// What another candidate must explain beyond the best one, in parts of what that one does, for the two to contradict
/// each other: one part in so many.
const BEYOND_DIVISOR: u64 = 20;

/// How evenly that must have been kept, beside the best one's contents.
const BEYOND_KEPT: f64 = 0.9;

/// How much more may have been cleared away of what only one candidate has than of what both have, in the same place. A
/// place where people clean up is one where something went that others have, too; a python that is not there was not
/// cleaned up.
const CLEARED_RATIO: u64 = 8;

/// One part in so many of a candidate is a good part of it.
const TAKEN_OUT_DIVISOR: u64 = 6;

/// Counts of a candidate's contents that another lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Own {
    present: u64,
    /// Of the present, those at their own paths.
    same: u64,
    lost: u64,
    /// Of the lost, those that went with folders in places where nothing went that the other has.
    taken_out: u64,
}

fn own(fates: &Fates, other: &Weighed) -> Own {
    let is_own = |fated: &Fated| fated.holders & (1 << other.place) == 0;
    let (mut sum, mut cleared) = (Own::default(), BTreeMap::<&[u8], (u64, u64)>::new());
    for fated in &fates.all {
        match (fates.cleared_from(fated), is_own(fated)) {
            (Some(place), true) => cleared.entry(place).or_default().0 += 1,
            (Some(place), false) => cleared.entry(place).or_default().1 += 1,
            (None, true) => {
                sum.present += u64::from(fated.is_present());
                sum.same += u64::from(fated.fate == Fate::Same);
                sum.lost += u64::from(fated.is_lost());
            }
            (None, false) => {}
        }
    }
    let left = |place: &[u8]| {
        let below =
            fates.all.iter().filter(|fated| fates.path(fated).starts_with(place) && fated.fate == Fate::Same);
        below.filter(|fated| is_own(fated)).count() as u64
    };
    for (place, (own, shared)) in cleared {
        // What is left of its own in that place excuses what went there, too.
        if own > shared * CLEARED_RATIO && own > left(place) * CLEARED_RATIO {
            sum.taken_out += own;
        }
    }
    sum.lost += sum.taken_out;
    sum
}

/// Returns how many contents a candidate has that another has not and that are missing, if these are all but what chance
/// brings, and what the two share explains most of what is there: then both are built on the same, and so is the image. The
/// same holds if whole folders of a good part of the candidate are missing just where the other never had any.
pub(crate) fn lacks_own(weighing: &Weighing, candidate: &Weighed) -> Option<u64> {
    let present = candidate.fates.count(|fated| fated.is_present());
    let total = candidate.fates.all.len() as u64;
    let others = weighing.weighed.iter().filter(|other| other.place != candidate.place);
    let lost = others.filter_map(|other| {
        let own = own(&candidate.fates, other);
        let is_absent = share(own.present, own.present + own.lost) <= weighing.retention * CHANCE_RATIO;
        let is_taken_out = own.taken_out * TAKEN_OUT_DIVISOR >= total;
        let is_relative = own.present * 2 < present;
        (is_relative && own.lost >= PRESENT_MIN && (is_absent || is_taken_out)).then_some(own.lost)
    });
    lost.max()
}

/// Returns another candidate that explains, at their own paths, many contents of the image that this one lacks, and of whose
/// own contents as much is there as of this one's: the image holds both, and which of the two is its base cannot
/// be told.
pub(crate) fn contradicts<'a>(weighing: &'a Weighing<'a>, candidate: &Weighed) -> Option<&'a Weighed<'a>> {
    let present = candidate.fates.count(Fated::is_present);
    weighing.weighed.iter().filter(|other| other.place != candidate.place).find(|other| {
        let own = own(&other.fates, candidate);
        own.same * BEYOND_DIVISOR >= present.max(PRESENT_MIN * BEYOND_DIVISOR)
            && share(own.same, own.present + own.lost) >= weighing.retention * BEYOND_KEPT
    })
}
