//! Which stored image an image is most likely built on.
//!
//! The model: whoever built the image kept each file of the base with one probability, the same for the whole image.
//! A file of some other stored image is there with a lower one, a fixed part of the first: images of one distribution
//! share packages, so files that are "there by chance" come in hundreds, and a chance of next to nothing for each would
//! make a python image of every Debian with curl in it. The log-odds of a base are then, up to a factor,
//! `score = present - lambda * missing`, and the image itself tells lambda: the more of the best base is still there,
//! the more a missing file counts against the others. Counts are of distinct, non-empty contents, each counting one.

use std::cmp::Ordering;

use crate::scan::{Overlap, share};

/// Containment at which a base counts as complete: what is missing could be one file edited in two hundred.
pub(crate) const COMPLETE: f64 = 0.995;

/// A complete base is preferred to a larger incomplete one that shares at most this many times as much: a whole
/// busybox inside a Debian does not make the image one built on busybox.
pub(crate) const COMPLETE_PREFERRED: u64 = 2;

/// Least evidence for naming a base, in contents: fewer prove nothing, however small the base is. Somebody could
/// otherwise store a "base" of one licence text and have it found everywhere.
pub(crate) const PRESENT_MIN: u64 = 5;
/// Least evidence in bytes, for the same reason.
const PRESENT_BYTES_MIN: u64 = 256 << 10;
/// So many bytes in two contents are enough to be looked at, if not to be named a base: a busybox is one binary.
const LARGE_BYTES: u64 = 1 << 20;

/// How likely a file of another stored image is there, as a part of how likely a file of the base is. A base that
/// holds another one is preferred to it only if of its own files nearly this much more than by chance was kept:
/// 0.84 of them if nothing else is missing, half if the image kept three quarters of the rest.
pub(crate) const CHANCE_RATIO: f64 = 1.0 / 3.0;

/// Contents shared with a base from which on its containment tells how much the image kept. A small stored set that
/// happens to be whole would make every missing file of the others look impossible.
const LARGE: u64 = 200;

/// Bounds of the retention: certainty either way would make one file decide.
const RETENTION: (f64, f64) = (0.02, 0.998);

/// Stored images in order of preference, best first.
pub(crate) struct Ranking<'a> {
    pub(crate) ranked: Vec<Ranked<'a>>,
    /// Share of the best base's contents that the image kept.
    pub(crate) retention: f64,
    /// How much one missing content costs.
    pub(crate) lambda: f64,
}

/// A stored image and its score.
pub(crate) struct Ranked<'a> {
    pub(crate) overlap: &'a Overlap,
    pub(crate) score: f64,
}

/// Orders all that have enough evidence.
///
/// Complete bases come first, unless what they share is next to nothing beside another. Of two complete ones the larger
/// is better if more of what it adds is there than is missing; of others, that with the higher score.
pub(crate) fn rank(overlaps: &[Overlap]) -> Ranking<'_> {
    let overlaps: Vec<&Overlap> = overlaps.iter().filter(|overlap| is_worth_a_look(overlap)).collect();
    let present_max = overlaps.iter().map(|overlap| overlap.present).max().unwrap_or(0);
    let retention = retention(&overlaps);
    let lambda = lambda(retention);
    let mut ranked: Vec<_> =
        overlaps.into_iter().map(|overlap| Ranked { score: score(overlap, lambda), overlap }).collect();
    ranked.sort_by(|a, b| order(a, b, present_max));
    Ranking { ranked, retention, lambda }
}

/// Compares tuples of figures of one image each, so any three are ordered alike whichever two are compared first.
fn order(a: &Ranked, b: &Ranked, present_max: u64) -> Ordering {
    let balance = |ranked: &Ranked| {
        let Overlap { present, .. } = *ranked.overlap;
        let preferred = ranked.overlap.containment() >= COMPLETE
            && present.saturating_mul(COMPLETE_PREFERRED) >= present_max;
        preferred.then(|| i128::from(present) - i128::from(ranked.overlap.missing()))
    };
    // None, which is not preferred, is less than any balance. The id is no evidence; it makes the order the same
    // every time.
    let descending = balance(b).cmp(&balance(a)).then_with(|| b.score.total_cmp(&a.score));
    descending.then_with(|| a.overlap.record.id.cmp(&b.overlap.record.id))
}

/// The best containment among bases large enough for it to mean something.
fn retention(overlaps: &[&Overlap]) -> f64 {
    let best = |present_min: u64| {
        let large = overlaps.iter().filter(|overlap| overlap.present >= present_min);
        large.map(|overlap| overlap.containment()).fold(0.0, f64::max)
    };
    let of_large = best(LARGE);
    let retention = if of_large > 0.0 { of_large } else { best(0) };
    retention.clamp(RETENTION.0, RETENTION.1)
}

/// What a missing content costs, in units of what a present one earns.
fn lambda(retention: f64) -> f64 {
    let chance = retention * CHANCE_RATIO;
    ((1.0 - chance) / (1.0 - retention)).ln() / (retention / chance).ln()
}

fn is_worth_a_look(overlap: &Overlap) -> bool {
    is_evidence(overlap) || (overlap.present >= 2 && overlap.present_bytes >= LARGE_BYTES)
}

/// Returns true if there is enough to name a base.
pub(crate) fn is_evidence(overlap: &Overlap) -> bool {
    overlap.present >= PRESENT_MIN && overlap.present_bytes >= PRESENT_BYTES_MIN
}

#[expect(clippy::cast_precision_loss, reason = "a score ranks; counts are far below 2^52")]
pub(crate) fn score(overlap: &Overlap, lambda: f64) -> f64 {
    overlap.present as f64 - lambda * overlap.missing() as f64
}

/// Returns true if the figures are the same, so that only the id decided which comes first.
pub(crate) fn is_draw(a: &Overlap, b: &Overlap) -> bool {
    (a.present, a.missing()) == (b.present, b.missing())
}

/// Share of the base's paths that the image still has and that hold the base's content.
///
/// A deleted file says nothing about which base it was; a path with another content speaks against it. Where no path
/// is left (the whole tree was moved) nothing speaks against it.
pub(crate) fn agreement(same: u64, modified: u64) -> f64 {
    if same + modified == 0 { 1.0 } else { share(same, same + modified) }
}
