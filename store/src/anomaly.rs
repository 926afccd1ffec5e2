//! What is odd about a layer that was accepted all the same.
//!
//! A reader that refuses what Docker accepts is a way to hide from it, so oddities are read as Go reads them
//! and kept on record with the layer. Each kind is counted; only the first few are kept whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How an archive or an image departs from its specification.
///
/// Stored by position: add at the end, never remove or reorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnomalyKind {
    /// One path stands twice in a layer; the last one counts.
    DuplicatePath,
    /// A link, directory or device claims a body; Go reads on right behind the header.
    UnexpectedBody,
    /// Bytes that are not zero follow the end of the archive.
    TrailingData,
    /// Bytes follow the last compressed member.
    TrailingCompressedData,
    /// The archive ends without its two zero blocks.
    MissingEndOfArchive,
    /// A PAX or GNU header stands before no entry, or repeats another one.
    StrayExtension,
    /// A header whose fields contradict one another: names or sizes given twice, in different formats.
    ConflictingHeader,
    /// A type flag that no reader of layers knows.
    UnknownEntryType,
    /// A path that climbs out of the root (`..`); it was cut at the root.
    EscapingPath,
    /// A path with no name in it.
    EmptyPath,
    /// A whiteout of nothing, of `.` or of `..`; it removes nothing.
    InvalidWhiteout,
    /// A hard link whose target is in no layer.
    DanglingHardLink,
    /// The configuration names another diff ID than the layer has.
    DiffIdMismatch,
    /// The media type names another compression than the bytes have.
    MediaTypeMismatch,
}

/// One oddity and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Anomaly {
    /// What is odd.
    pub kind: AnomalyKind,
    /// Offset in the uncompressed layer, where there is one.
    pub offset_bytes: Option<u64>,
    /// What was found, for a person: the path or the value, escaped and cut to a sensible length.
    pub detail: String,
}

/// The oddities of one layer or image: a count for each kind, and the first few whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anomalies {
    counts: BTreeMap<AnomalyKind, u64>,
    examples: Vec<Anomaly>,
}

impl Anomalies {
    /// How many of one kind are kept whole. A hostile layer can hold millions.
    pub const EXAMPLES_PER_KIND_MAX: u64 = 8;
    /// Longest detail kept, in characters.
    pub const DETAIL_CHARS_MAX: usize = 200;

    /// Adds one.
    pub fn add(&mut self, kind: AnomalyKind, offset_bytes: Option<u64>, detail: impl AsRef<[u8]>) {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        if *count <= Self::EXAMPLES_PER_KIND_MAX {
            let detail = detail.as_ref();
            let head = &detail[..detail.len().min(Self::DETAIL_CHARS_MAX)];
            self.examples.push(Anomaly { kind, offset_bytes, detail: head.escape_ascii().to_string() });
        }
    }

    /// Adds all of another list; of each kind, again only the first few whole.
    pub fn extend(&mut self, other: Self) {
        for example in other.examples {
            let kept = self.examples.iter().filter(|kept| kept.kind == example.kind).count() as u64;
            if kept < Self::EXAMPLES_PER_KIND_MAX {
                self.examples.push(example);
            }
        }
        for (kind, count) in other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
    }

    /// Takes in what another look at the same thing found: of each kind the larger count and, of the examples of both, the first
    /// few by place. So what is kept depends on what was found, not on which look came first.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.examples.extend_from_slice(&other.examples);
        self.examples.sort_unstable();
        self.examples.dedup();
        for (kind, count) in &other.counts {
            let own = self.counts.entry(*kind).or_default();
            *own = (*own).max(*count);
        }
        let mut kept = BTreeMap::<AnomalyKind, u64>::new();
        self.examples.retain(|example| {
            let kept = kept.entry(example.kind).or_default();
            *kept += 1;
            *kept <= Self::EXAMPLES_PER_KIND_MAX
        });
        // Two looks may have found one oddity each, and not the same.
        for (kind, kept) in kept {
            let own = self.counts.entry(kind).or_default();
            *own = (*own).max(kept.min(Self::EXAMPLES_PER_KIND_MAX));
        }
    }

    /// Returns true if these are what looks can have found: no more of a kind whole than are kept or counted, and nothing longer.
    pub(crate) fn is_plausible(&self) -> bool {
        // Escaping makes at most four characters of one.
        let is_short = |example: &Anomaly| example.detail.len() <= 4 * Self::DETAIL_CHARS_MAX;
        let has_room = |kind: &AnomalyKind, count: u64| {
            let kept = self.examples.iter().filter(|example| example.kind == *kind).count() as u64;
            count > 0 && kept <= count.min(Self::EXAMPLES_PER_KIND_MAX)
        };
        self.examples.iter().all(|example| is_short(example) && self.counts.contains_key(&example.kind))
            && self.counts.iter().all(|(kind, count)| has_room(kind, *count))
    }

    /// Returns true if nothing is odd.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Returns how many there are of each kind.
    pub fn counts(&self) -> &BTreeMap<AnomalyKind, u64> {
        &self.counts
    }

    /// Returns the first of each kind, in the order in which they were met; of what is stored, by kind and place.
    pub fn examples(&self) -> &[Anomaly] {
        &self.examples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(offsets: &[u64], extra: &[&str]) -> Anomalies {
        let mut anomalies = Anomalies::default();
        offsets.iter().for_each(|offset| anomalies.add(AnomalyKind::StrayExtension, Some(*offset), "x"));
        extra.iter().for_each(|detail| anomalies.add(AnomalyKind::DiffIdMismatch, None, detail));
        anomalies
    }

    fn merged(looks: &[&Anomalies]) -> Anomalies {
        let mut all = Anomalies::default();
        looks.iter().for_each(|look| all.merge(look));
        all
    }

    #[test]
    fn looks_merge_to_the_same_in_any_order_and_number() {
        let many: Vec<u64> = (0..20).map(|index| 1000 - 50 * index).collect();
        let (a, b, c) = (found(&many, &["b"]), found(&[7, 3, 7], &[]), found(&[5, 3], &["a", "c"]));
        let whole = merged(&[&a, &b, &c]);
        let looks = [
            merged(&[&c, &b, &a]),
            merged(&[&merged(&[&b, &c]), &a, &c]),
            merged(&[&b, &merged(&[&a, &c]), &merged(&[&a])]),
        ];
        looks.iter().for_each(|look| assert_eq!(*look, whole));
        assert_eq!(whole.counts().values().copied().collect::<Vec<_>>(), [20, 3]);
        let offsets: Vec<_> = whole.examples().iter().filter_map(|example| example.offset_bytes).collect();
        assert_eq!(offsets, [3, 5, 7, 650, 700, 750, 800, 850]);
        assert!(whole.is_plausible() && a.is_plausible());
    }

    #[test]
    fn anomalies_that_no_look_can_have_found_are_told() {
        let mut too_many = found(&[1, 2, 3], &[]);
        too_many.counts.insert(AnomalyKind::StrayExtension, 2);
        let mut uncounted = found(&[1], &[]);
        uncounted.counts.clear();
        let mut endless = found(&[1], &[]);
        endless.examples[0].detail = "x".repeat(4 * Anomalies::DETAIL_CHARS_MAX + 1);
        let mut empty = Anomalies::default();
        empty.counts.insert(AnomalyKind::EmptyPath, 0);
        for anomalies in [too_many, uncounted, endless, empty] {
            assert!(!anomalies.is_plausible(), "{anomalies:?}");
        }
    }
}
