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

/// What shares less than one part in so many of what another shares does not compare with it, even if all of it is
/// there: a whole busybox inside a Debian does not make the image one built on busybox.
const COMPARABLE: u64 = 2;

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

/// Bounds of the retention: certainty either way would make one file decide.
pub(crate) const RETENTION: (f64, f64) = (0.02, 0.998);

/// Scores nearer than this differ only in how they were added up.
const SCORE_STEP: f64 = 1e-6;

/// Stored images in order of preference, best first.
pub(crate) struct Ranking<'a> {
    pub(crate) ranked: Vec<Ranked<'a>>,
}

/// A stored image and its score.
#[derive(Clone, Copy)]
pub(crate) struct Ranked<'a> {
    pub(crate) overlap: &'a Overlap,
    pub(crate) score: f64,
}

/// Orders all that have enough evidence, the highest score first.
///
/// There is no rule that a base which is all there comes first: an image that edits six files of its base leaves that
/// base's own base whole. With this lambda none is needed; a complete base loses only to one that holds it and of
/// whose own files five in six are there.
pub(crate) fn rank(overlaps: &[Overlap]) -> Ranking<'_> {
    let overlaps: Vec<&Overlap> =
        overlaps.iter().filter(|overlap| is_worth_a_look(overlap.present, overlap.present_bytes)).collect();
    let retention = retention(&overlaps);
    let lambda = lambda(retention);
    let mut ranked: Vec<_> =
        overlaps.into_iter().map(|overlap| Ranked { score: score(overlap, lambda), overlap }).collect();
    ranked.sort_by(order);
    Ranking { ranked }
}

/// The id is no evidence; it makes the order the same every time.
fn order(a: &Ranked, b: &Ranked) -> Ordering {
    b.score.total_cmp(&a.score).then_with(|| a.overlap.record.id.cmp(&b.overlap.record.id))
}

/// The best containment among those that share at least half of what any does: how much the image kept. A small stored
/// set that happens to be whole would make every missing file of the others look impossible.
fn retention(overlaps: &[&Overlap]) -> f64 {
    let present_max = overlaps.iter().map(|overlap| overlap.present).max().unwrap_or(0);
    let large = overlaps.iter().filter(|overlap| is_comparable(overlap.present, present_max));
    let retention = large.map(|overlap| overlap.containment()).fold(0.0, f64::max);
    retention.clamp(RETENTION.0, RETENTION.1)
}

/// Returns true if `present` contents are not next to nothing beside `present_max`.
pub(crate) fn is_comparable(present: u64, present_max: u64) -> bool {
    present.saturating_mul(COMPARABLE) >= present_max
}

/// What a missing content costs, in units of what a present one earns.
pub(crate) fn lambda(retention: f64) -> f64 {
    let chance = retention * CHANCE_RATIO;
    ((1.0 - chance) / (1.0 - retention)).ln() / (retention / chance).ln()
}

/// Returns true if so many contents of so many bytes are enough to be looked at.
pub(crate) fn is_worth_a_look(contents: u64, bytes: u64) -> bool {
    is_evidence(contents, bytes) || (contents >= 2 && bytes >= LARGE_BYTES)
}

/// Returns true if so many contents of so many bytes are enough to name a base.
pub(crate) fn is_evidence(contents: u64, bytes: u64) -> bool {
    contents >= PRESENT_MIN && bytes >= PRESENT_BYTES_MIN
}

#[expect(clippy::cast_precision_loss, reason = "a score ranks; counts are far below 2^52")]
pub(crate) fn score(overlap: &Overlap, lambda: f64) -> f64 {
    overlap.present as f64 - lambda * overlap.missing() as f64
}

/// Returns true if the scores are the same, so that only the id decided which comes first.
pub(crate) fn is_draw(score: f64, other: f64) -> bool {
    (score - other).abs() < SCORE_STEP
}

/// Share of what the image has at the base's paths that is the base's: of files, or of their bytes.
///
/// A deleted file says nothing about which base it was; a path with another content speaks against it. Where no path
/// is left (the whole tree was moved) nothing speaks against it.
pub(crate) fn agreement(same: u64, modified: u64) -> f64 {
    if same + modified == 0 { 1.0 } else { share(same, same + modified) }
}

#[cfg(test)]
mod tests {
    use layerprint_store::id::{ImageId, SetId};
    use layerprint_store::{Anomalies, ImageRecord, Platform};
    use proptest::prelude::*;

    use super::{agreement, is_evidence, lambda, order, rank};
    use crate::scan::Overlap;

    /// A stored image of which so many contents of so many are there, each of 64 KiB.
    fn overlap(id: u8, present: u64, total: u64) -> Overlap {
        let record = ImageRecord {
            id: ImageId::from_bytes([id; 32]),
            layers: Vec::new(),
            platform: Platform::default(),
            created: None,
            set_id: SetId::from_bytes([id; 32]),
            content_count: total,
            content_size_bytes: total << 16,
            file_count: total,
            manifests: Vec::new(),
            documents: Vec::new(),
            anomalies: Anomalies::default(),
        };
        Overlap { record: record.into(), present, present_bytes: present << 16 }
    }

    /// The places in the list of the ranked, best first.
    fn ranked(counts: &[(u64, u64)]) -> Vec<u8> {
        let numbered = (0_u8..).zip(counts);
        let overlaps: Vec<_> = numbered.map(|(id, &(present, total))| overlap(id, present, total)).collect();
        rank(&overlaps).ranked.iter().map(|ranked| ranked.overlap.record.id.as_bytes()[0]).collect()
    }

    /// Contents present, of all that the stored image has.
    type Counts = [(u64, u64)];

    #[test]
    fn bases_are_ordered_by_what_is_there_and_what_is_missing() {
        let cases: [(&str, &Counts, &[u8]); 14] = [
            ("larger of two complete ones", &[(300, 300), (500, 500)], &[1, 0]),
            ("complete before larger with a file in ten missing", &[(300, 300), (540, 600)], &[0, 1]),
            ("busybox in a Debian", &[(20, 20), (270, 300)], &[1, 0]),
            ("nearly all of what it adds is there", &[(3000, 3000), (3095, 3100)], &[1, 0]),
            ("its own base is whole, six of its files are edited", &[(1400, 1400), (2094, 2100)], &[1, 0]),
            ("most of what it adds is there", &[(3000, 3000), (3060, 3100)], &[0, 1]),
            ("most of what it adds is missing", &[(3000, 3000), (3001, 3010)], &[0, 1]),
            ("sibling", &[(2990, 3000), (2960, 3000)], &[0, 1]),
            ("half is gone from all, slim has all that is there", &[(150, 300), (150, 450)], &[0, 1]),
            ("half is gone from all, full has more of it", &[(150, 300), (225, 450)], &[1, 0]),
            ("a whole small one beside a slimmed one", &[(5, 5), (100, 300)], &[1, 0]),
            ("too few", &[(4, 4)], &[]),
            ("nothing", &[], &[]),
            ("the same figures, by id", &[(9, 9), (9, 9), (9, 9)], &[0, 1, 2]),
        ];
        for (name, counts, expected) in cases {
            assert_eq!(ranked(counts), expected, "{name}");
        }
    }

    #[test]
    fn a_missing_file_costs_more_where_more_was_kept() {
        let costs: Vec<f64> = [0.02, 0.2, 0.5, 0.9, 0.97, 0.998].into_iter().map(lambda).collect();
        assert!(costs.is_sorted_by(|a, b| a < b), "{costs:?}");
        let rounded: Vec<f64> = costs.iter().map(|cost| (cost * 100.0).round() / 100.0).collect();
        assert_eq!(rounded, [0.01, 0.14, 0.46, 1.77, 2.84, 5.29]);
    }

    #[test]
    fn evidence_is_a_number_of_contents_and_of_bytes() {
        let cases = [((5, 64), true), ((4, 1024), false), ((5, 51), false), ((300, 0), false)];
        for ((present, kib), expected) in cases {
            let overlap = Overlap { present_bytes: (present * kib) << 10, ..overlap(0, present, present) };
            assert_eq!(
                is_evidence(overlap.present, overlap.present_bytes),
                expected,
                "{present} of {kib} KiB"
            );
        }
    }

    #[test]
    fn agreement_counts_only_paths_that_are_left() {
        let cases = [((0, 0), 1.0), ((3, 1), 0.75), ((0, 5), 0.0), ((5, 0), 1.0)];
        for ((same, modified), expected) in cases {
            assert!((agreement(same, modified) - expected).abs() < f64::EPSILON, "{same} {modified}");
        }
    }

    proptest! {
        #[test]
        fn order_is_total(counts in prop::collection::vec((5_u64..400, 0_u64..60), 3..12)) {
            let numbered = (0_u8..).zip(&counts);
            let overlaps: Vec<_> =
                numbered.map(|(id, &(present, missing))| overlap(id, present, present + missing)).collect();
            let ranking = rank(&overlaps);
            for (place, a) in ranking.ranked.iter().enumerate() {
                for (other, b) in ranking.ranked.iter().enumerate() {
                    prop_assert_eq!(order(a, b), place.cmp(&other));
                }
            }
        }
    }
}
