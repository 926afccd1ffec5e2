//! The methods that are compared: what each names for an image, best first.
//!
//! All see the same stored bases and the same merged view. Each answers with groups: what it cannot tell apart is one.

use std::collections::{BTreeMap, BTreeSet};

use layerprint_store::Content;
use layerprint_store::id::{ChainId, ContentId};
use serde_json::Value;

use crate::bases::{Bases, Stored, shared};
use crate::work::Question;

/// What a method says.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Names, best group first.
    pub groups: Vec<Vec<String>>,
    /// Whether the first is claimed to be the base.
    pub is_claimed: bool,
    /// Names of the stored images that hold parts of the rest, for methods that say so.
    pub cover: Option<Vec<Vec<String>>>,
    /// What the base is said to be built on, for methods that say so.
    pub lineage: Option<Vec<Vec<String>>>,
    /// How sure the method says it is.
    pub confidence: Option<f64>,
}

/// Names of the methods, in the order of the tables; the first is layerprint.
pub const METHODS: [&str; 6] =
    ["layerprint", "chain ID", "layer prefix", "Jaccard", "overlap", "containment"];

/// Contents and bytes that must be shared before the methods without a threshold of their own name anything: that of
/// `sourmash gather`, 50 kbp, in bytes.
const SHARED_BYTES_MIN: u64 = 50_000;

/// Answers with all methods but the first.
pub fn others(bases: &Bases, question: &Question) -> Vec<Answer> {
    let overlaps: Vec<Overlap> = bases.stored.iter().map(|stored| Overlap::of(stored, question)).collect();
    vec![
        chain(bases, question),
        layer_prefix(bases, question),
        by_score(&overlaps, Overlap::jaccard),
        Answer { cover: Some(gather(bases, question)), ..by_score(&overlaps, Overlap::count) },
        by_score(&overlaps, Overlap::containment),
    ]
}

/// Reads layerprint's own answer, as `find --json` gives it.
pub fn own(finding: &Value) -> Answer {
    let names = |value: &Value| -> Vec<String> {
        let names = value["names"].as_array().into_iter().flatten();
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let list = |value: &Value| -> Option<Vec<Vec<String>>> {
        value.as_array().map(|members| members.iter().map(names).collect())
    };
    // A ranked list, where the answer has one, says more than the two that are described.
    let ranked = list(&finding["ranked"]).unwrap_or_default();
    let described = [names(&finding["base"]), names(&finding["runner_up"])];
    let mut groups: Vec<Vec<String>> = Vec::new();
    for group in described.into_iter().chain(ranked) {
        if !group.is_empty() && !group.iter().any(|name| groups.iter().flatten().any(|other| other == name)) {
            groups.push(group);
        }
    }
    Answer {
        groups,
        is_claimed: finding["verdict"] == "base",
        cover: list(&finding["cover"]),
        lineage: list(&finding["base"]["lineage"]),
        confidence: finding["confidence"].as_f64(),
    }
}

/// What a stored base and the image share.
struct Overlap<'a> {
    name: &'a str,
    present: u64,
    present_bytes: u64,
    total: u64,
    image_total: u64,
}

impl<'a> Overlap<'a> {
    fn of(stored: &'a Stored, question: &Question) -> Self {
        let (present, present_bytes) = shared(&stored.contents, &question.contents)
            .fold((0, 0), |(count, bytes), content| (count + 1, bytes + content.size_bytes));
        let (total, image_total) = (stored.contents.len() as u64, question.contents.len() as u64);
        Self { name: &stored.name, present, present_bytes, total, image_total }
    }

    fn jaccard(&self) -> Score {
        (ratio(self.present, self.total + self.image_total - self.present), 0.0)
    }

    fn count(&self) -> Score {
        (number(self.present), 0.0)
    }

    /// Equal shares go to the larger base.
    fn containment(&self) -> Score {
        (ratio(self.present, self.total), number(self.total))
    }
}

/// A score, and what decides between equal ones.
type Score = (f64, f64);

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn number(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Orders what shares anything by a score, the highest first; equal scores are one group.
fn by_score<'a>(overlaps: &[Overlap<'a>], score: impl Fn(&Overlap<'a>) -> Score) -> Answer {
    let mut scored: Vec<(Score, &Overlap)> = overlaps
        .iter()
        .filter(|overlap| overlap.present > 0)
        .map(|overlap| (score(overlap), overlap))
        .collect();
    scored.sort_by(|(a, one), (b, other)| {
        b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)).then(one.name.cmp(other.name))
    });
    let is_claimed = scored.first().is_some_and(|(_, first)| first.present_bytes >= SHARED_BYTES_MIN);
    let groups = scored.chunk_by(|(a, _), (b, _)| a == b);
    let names = |group: &[(Score, &Overlap)]| {
        let names: BTreeSet<String> = group.iter().map(|(_, overlap)| overlap.name.to_owned()).collect();
        names.into_iter().collect()
    };
    Answer { groups: groups.map(names).collect(), is_claimed, ..Answer::default() }
}

/// The stored image with the longest stack of layers that are the image's lowest, by chain ID, as deps.dev looks it up.
fn chain(bases: &Bases, question: &Question) -> Answer {
    let prefixes = ChainId::of_prefixes(&question.subject.record.layers);
    let mut found: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for stored in &bases.stored {
        let chain = ChainId::of_prefixes(&stored.record.layers).pop();
        let length = prefixes.iter().position(|prefix| Some(*prefix) == chain);
        length.map(|length| found.entry(length).or_default().insert(stored.name.clone()));
    }
    layered(found)
}

/// The stored images that share the most of the lowest layers, as StackRox compares them.
fn layer_prefix(bases: &Bases, question: &Question) -> Answer {
    let own = &question.subject.record.layers;
    let mut found: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for stored in &bases.stored {
        let length = stored.record.layers.iter().zip(own).take_while(|(theirs, own)| theirs == own).count();
        if length > 0 {
            found.entry(length).or_default().insert(stored.name.clone());
        }
    }
    layered(found)
}

fn layered(found: BTreeMap<usize, BTreeSet<String>>) -> Answer {
    let groups: Vec<Vec<String>> =
        found.into_values().rev().map(|names| names.into_iter().collect()).collect();
    Answer { is_claimed: !groups.is_empty(), groups, ..Answer::default() }
}

/// What `sourmash gather` gives second: what shares most with the rest once the first has been taken away.
fn gather(bases: &Bases, question: &Question) -> Vec<Vec<String>> {
    let best = |contents: &[Content]| {
        let overlaps = bases.stored.iter().map(|stored| (stored.shared(contents), stored));
        overlaps.filter(|(count, _)| *count > 0).max_by_key(|(count, _)| *count)
    };
    let Some((_, first)) = best(&question.contents) else { return Vec::new() };
    let taken: BTreeSet<ContentId> = first.contents.iter().map(|content| content.id).collect();
    let rest: Vec<Content> =
        question.contents.iter().filter(|content| !taken.contains(&content.id)).copied().collect();
    let second = best(&rest).map(|(_, second)| vec![second.name.clone()]);
    std::iter::once(vec![first.name.clone()]).chain(second).collect()
}
