//! Whether an answer is right.

use std::collections::BTreeSet;

use layerprint_store::Content;

use crate::bases::{Bases, PLANTED, Stored, shared};
use crate::corpus::Families;
use crate::generate::is_contained;
use crate::methods::Answer;
use crate::work::{Question, Truth};

/// How one method did on one image. The definitions are at the head of the program.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Mark {
    pub top1: bool,
    pub top1_or_same: bool,
    pub expected: f64,
    pub named: bool,
    pub named_expected: f64,
    pub tie: usize,
    pub reciprocal: f64,
    pub family: bool,
    pub false_claim: bool,
    /// A false claim that names a sibling of the true base.
    pub sibling_claim: bool,
    /// An image that an enemy planted is named: as base, in its lineage or in the cover.
    pub planted: bool,
    /// Whether all that the image is made of is named, and how many names it took.
    pub cover: Option<(bool, usize)>,
    /// Edges of the base's lineage: found, all, and named without being true.
    pub edges: Option<(usize, usize, usize)>,
    pub days: Option<f64>,
    pub confidence: Option<f64>,
}

/// What answers are judged by.
pub struct Judge<'a> {
    pub bases: &'a Bases,
    pub families: &'a Families,
}

impl Judge<'_> {
    /// Returns the stored images for which there is as much to say as for the true base: all of it that is left is theirs
    /// as well, and hardly more of them is missing. An image built on the true base, of which little that it adds is there,
    /// is no such image.
    pub fn same_as_truth(&self, question: &Question) -> BTreeSet<String> {
        let mut same = BTreeSet::new();
        for right in question.truth.right.iter().filter_map(|name| self.bases.named(name)) {
            let left: Vec<_> = shared(&right.contents, &question.contents).collect();
            let missing = right.contents.len() - left.len();
            let is_same = |other: &&Stored| {
                let theirs: Vec<Content> = shared(&other.contents, &question.contents).collect();
                (other.contents.len() - theirs.len()) * 10 <= missing * 11
                    && shared(&left, &theirs).count() == left.len()
            };
            let others = self.bases.stored.iter().filter(is_same);
            same.extend(others.map(|other| other.name.clone()));
        }
        same.retain(|name| !question.truth.right.contains(name));
        same
    }

    /// Counts the contents of the image that the true base has and the named one has not, and the other way round: what
    /// there was to tell them apart by. None where one of them is not stored or they are the same.
    pub fn telling(&self, question: &Question, answer: &Answer) -> Option<(u64, u64)> {
        let right = question.truth.right.iter().find_map(|name| self.bases.named(name))?;
        let named = answer.groups.first()?.iter().find_map(|name| self.bases.named(name))?;
        let (right, named) = (&right.contents, &named.contents);
        let left = |contents: &[Content]| shared(contents, &question.contents).collect::<Vec<Content>>();
        let (right, named) = (left(right), left(named));
        let both = shared(&right, &named).count();
        let only = |contents: &[Content]| (contents.len() - both) as u64;
        (right != named).then(|| (only(&right), only(&named)))
    }

    pub fn mark(&self, question: &Question, same: &BTreeSet<String>, answer: &Answer) -> Mark {
        let truth = &question.truth;
        let first = answer.groups.first().map_or(&[][..], Vec::as_slice);
        let hits = first.iter().filter(|name| truth.right.contains(*name)).count();
        let is_named = hits > 0;
        let is_same = is_named || first.iter().any(|name| same.contains(name));
        let is_allowed = is_named || first.iter().any(|name| truth.below.contains(name));
        let is_claimed = answer.is_claimed && !first.is_empty();
        // With a base to be found only it will do; without one its own bases are no false claim.
        let is_fair = if truth.right.is_empty() { is_allowed } else { is_named };
        let false_claim = is_claimed && !is_fair;
        let top1 = is_claimed && is_named;
        let further = [&answer.cover, &answer.lineage].into_iter().flatten().flatten().flatten();
        let mut everywhere = first.iter().chain(further);
        Mark {
            top1,
            top1_or_same: is_claimed && is_same,
            expected: if top1 { ratio(hits, first.len()) } else { 0.0 },
            named: is_named,
            named_expected: ratio(hits, first.len()),
            tie: first.len(),
            reciprocal: reciprocal(&answer.groups, truth),
            family: self.is_family(first, truth) || (truth.right.is_empty() && is_allowed),
            false_claim,
            sibling_claim: false_claim && first.iter().any(|name| truth.acceptable.contains(name)),
            planted: everywhere.any(|name| name.starts_with(PLANTED)),
            cover: self.cover(answer, truth),
            edges: top1.then(|| self.edges(answer, truth, first)).flatten(),
            days: self.days(first, truth).filter(|_| !is_named),
            confidence: answer.confidence,
        }
    }

    fn is_family(&self, names: &[String], truth: &Truth) -> bool {
        let all = truth.right.iter().chain(&truth.acceptable);
        let families: BTreeSet<&str> = all.map(|name| self.families.of_name(name)).collect();
        names.iter().any(|name| families.contains(self.families.of_name(name)))
    }

    /// Whether the base and every donor are among what is said to make up the image.
    fn cover(&self, answer: &Answer, truth: &Truth) -> Option<(bool, usize)> {
        if truth.donors.is_empty() {
            return None;
        }
        let cover = answer.cover.as_ref()?;
        let all: BTreeSet<&String> = answer.groups.iter().take(1).chain(cover).flatten().collect();
        let holds = |any: &BTreeSet<String>| any.iter().any(|name| all.contains(name));
        Some((holds(&truth.right) && truth.donors.iter().all(holds), all.len()))
    }

    fn edges(&self, answer: &Answer, truth: &Truth, base: &[String]) -> Option<(usize, usize, usize)> {
        let named: BTreeSet<&String> = answer.lineage.as_ref()?.iter().flatten().collect();
        let found = truth.lineage.iter().filter(|name| named.contains(name)).count();
        let base = base.iter().find_map(|name| self.bases.named(name))?;
        // What is wholly contained in the base is its base for all that contents can tell.
        let is_wrong = |name: &&&String| {
            let other = self.bases.named(name);
            !truth.below.contains(**name)
                && !other.is_some_and(|other| is_contained(&other.contents, &base.contents))
        };
        Some((found, truth.lineage.len(), named.iter().filter(is_wrong).count()))
    }

    /// How far the named one's date is from the true one's, the nearest of each, within the family.
    fn days(&self, names: &[String], truth: &Truth) -> Option<f64> {
        let date = |name: &String| days_of(self.bases.named(name)?.record.created.as_deref()?);
        let dates: Vec<f64> = truth.right.iter().filter_map(date).collect();
        let family: BTreeSet<&str> = truth.right.iter().map(|name| self.families.of_name(name)).collect();
        let named = names.iter().filter(|name| family.contains(self.families.of_name(name)));
        let distances =
            named.filter_map(date).flat_map(|named| dates.iter().map(move |right| (right - named).abs()));
        distances.min_by(f64::total_cmp)
    }
}

/// The mean of one over the place of the first right name, if each group is in random order.
fn reciprocal(groups: &[Vec<String>], truth: &Truth) -> f64 {
    let mut before = 0;
    for group in groups {
        let right = group.iter().filter(|name| truth.right.contains(*name)).count();
        if right > 0 {
            let (mut mean, mut none_yet) = (0.0, 1.0);
            for place in 0..=group.len() - right {
                let here = none_yet * ratio(right, group.len() - place);
                mean += here / (ratio(before + place, 1) + 1.0);
                none_yet -= here;
            }
            return mean;
        }
        before += group.len();
    }
    0.0
}

/// Days since the year 0, as far as differences go. The corpus writes `YYYY-MM-DDThh:mm:ssZ`.
fn days_of(date: &str) -> Option<f64> {
    let number = |from: usize, to: usize| date.get(from..to)?.parse::<f64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (year, month) = if month > 2.0 { (year, month - 3.0) } else { (year - 1.0, month + 9.0) };
    let leap = (year / 4.0).floor() - (year / 100.0).floor() + (year / 400.0).floor();
    Some(year * 365.0 + leap + ((153.0 * month + 2.0) / 5.0).floor() + day + number(11, 13)? / 24.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
