//! The answer by content: the stored image that was preferred, what speaks against it, and what comes next.

use layerprint_store::{ImageRecord, Result};

use crate::agree::agree;
use crate::choose::Choice;
use crate::compare::{compare_trees, telling_trees};
use crate::confidence::{Grounds, confidence};
use crate::created;
use crate::family::{doubtful, uncommon};
use crate::find::{Answer, Figures, Image, new};
use crate::finding::{Evidence, Finding, Kin, RunnerUp, Verdict};
use crate::judge::{Case, judge};
use crate::lineage;
use crate::numbers::EMPTY;
use crate::own::contradicts;
use crate::reader::Reader;
use crate::scan::{Overlap, share};
use crate::seen::Marks;
use crate::tree::Tree;
use crate::weigh::{Weighed, Weighing};

/// Confidence below which no base is claimed. Of what would be claimed below it, nearly half was wrong.
const CLAIM_CONFIDENCE_MIN: f64 = 0.3;
/// Files that must differ for that: releases differ in many, and one that was edited tells none from another.
const DOUBT_MODIFIED_MIN: u64 = 5;

/// Paths given as examples of what tells two bases apart.
const EXAMPLES_MAX: usize = 5;

/// Containment from which the next best is worth a word.
const RUNNER_UP_MIN: f64 = 0.05;

/// An answer that was weighed against others.
pub(crate) struct ByContent<'a> {
    pub(crate) reader: &'a Reader<'a>,
    pub(crate) image: &'a Image,
    pub(crate) answer: &'a Answer<'a>,
    pub(crate) weighing: &'a Weighing<'a>,
    /// Stored images that are built on the one in question.
    pub(crate) descendants: &'a [Overlap],
}

impl ByContent<'_> {
    pub(crate) fn about(&self, choice: &Choice) -> Result<Finding> {
        let overlap = &choice.weighed.overlap;
        let record = &overlap.record;
        let tree = self.reader.tree(record)?;
        let files = compare_trees(&tree, &self.image.files);
        let lineage = lineage::lineage(self.reader, &self.image.record, record)?;
        let rival = self.next_best(record, &lineage, &[]);
        let contradiction = contradicts(self.weighing, choice.weighed);
        let contradiction =
            contradiction.map(|other| self.answer.names(&other.overlap.record)).transpose()?;
        let agreement = agree(&tree, &self.image.files, &files);
        let (verdict, reason) = judge(&Case {
            choice,
            files: &files,
            agreement,
            rival_score: rival.map(|rival| rival.score),
            contradiction: contradiction.map(|names| names.join(", ")),
            image: &self.image.record,
            is_later: created::are_all_later(
                &self.reader.tie(&record.set_id, &self.image.record.platform)?,
                &self.image.record,
            ),
            uncommon: uncommon(self.weighing, choice.weighed),
            below: self.below(files.moved_to.as_deref()),
        });
        if verdict == Verdict::None {
            return self.nothing(reason);
        }
        let alone = confidence(&Grounds::of(choice, agreement, self.margin(choice, &[])));
        let is_doubted = alone < CLAIM_CONFIDENCE_MIN && files.modified >= DOUBT_MODIFIED_MIN;
        let (verdict, reason) = if is_doubted { doubted(verdict, reason) } else { (verdict, reason) };
        let near = if verdict == Verdict::Family { self.near(choice) } else { Vec::new() };
        let runner_up = self.next_best(record, &lineage, &near);
        let runner_up = runner_up.map(|ranked| self.runner_up(ranked, &tree)).transpose()?;
        let grounds = Grounds::of(choice, agreement, self.margin(choice, &near));
        let near: Vec<&ImageRecord> = near.iter().map(|weighed| &*weighed.overlap.record).collect();
        let lambda = self.weighing.lambda;
        let figures = Figures { evidence: Evidence::Content, score: choice.weighed.score, lambda };
        let base = self.answer.base(overlap, &figures, &near, files, lineage)?;
        let new = new(&self.image.files.tree, &[&tree]);
        let confidence = confidence(&grounds);
        Ok(Finding { base: Some(base), runner_up, new, confidence, ..self.answer.blank(verdict, reason)? })
    }

    /// Share of the image's contents that stand in a folder. Contents, for a busybox has one under four hundred names.
    fn below(&self, folder: Option<&str>) -> f64 {
        let prefix = folder.map(|folder| format!("{folder}/")).unwrap_or_default();
        let tree = &self.image.files.tree;
        let files = tree.files_from(tree.first_from(prefix.as_bytes()));
        let below = files.take_while(|(path, ..)| path.starts_with(prefix.as_bytes()));
        let mut counted = Marks::default();
        let distinct = below.filter(|(.., file)| file.content != EMPTY && counted.insert(file.content));
        share(distinct.count() as u64, self.image.record.content_count)
    }

    /// How far the best candidate that is not named lies behind a choice, in files.
    fn margin(&self, choice: &Choice, named: &[&Weighed]) -> f64 {
        let chosen = choice.weighed.overlap.record.set_id;
        let is_named = |other: &&Weighed| {
            other.overlap.record.set_id == chosen || named.iter().any(|named| named.place == other.place)
        };
        let others = self.weighing.weighed.iter().filter(|other| !is_named(other));
        let next = others.map(|other| other.score.max(0.0)).fold(0.0, f64::max);
        choice.weighed.score - next
    }

    /// The candidates that cannot be told from a choice.
    fn near<'b>(&self, choice: &Choice<'b>) -> Vec<&'b Weighed<'b>>
    where
        Self: 'b,
    {
        match &choice.picked {
            Some(picked) => picked.near.clone(),
            None => doubtful(self.weighing, choice.weighed),
        }
    }

    pub(crate) fn nothing(&self, reason: String) -> Result<Finding> {
        let reason = match self.descendants.iter().max_by_key(|stored| stored.present) {
            Some(stored) => {
                let names = self.answer.names(&stored.record)?.join(", ");
                format!("{reason}; what holds all of it was made later, so that is built on it: {names}")
            }
            None => reason,
        };
        let record = &self.image.record;
        let reason = match self.reader.image(&record.id)? {
            Some(_) => {
                format!("{reason}; it is stored itself: {}", self.reader.names_of(&record.id)?.join(", "))
            }
            None => reason,
        };
        self.answer.blank(Verdict::None, reason)
    }

    /// The best candidate that differs from the base, is not named with it, and is not one of its ancestors, which are
    /// expected to fit.
    fn next_best(&self, base: &ImageRecord, lineage: &[Kin], named: &[&Weighed]) -> Option<&Weighed<'_>> {
        self.weighing.weighed.iter().find(|ranked| {
            let set = ranked.overlap.record.set_id;
            let is_worth_a_word = ranked.overlap.containment() >= RUNNER_UP_MIN
                && !named.iter().any(|named| named.place == ranked.place);
            is_worth_a_word && set != base.set_id && !lineage.iter().any(|kin| kin.set_id == set)
        })
    }

    fn runner_up(&self, runner_up: &Weighed, base: &Tree) -> Result<RunnerUp> {
        let Weighed { overlap, score, .. } = runner_up;
        let (tree, image) = (self.reader.tree(&overlap.record)?, &self.image.files);
        let (only_base, only_base_paths) = telling_trees(base, &tree, image, EXAMPLES_MAX);
        let (only_runner_up, only_runner_up_paths) = telling_trees(&tree, base, image, EXAMPLES_MAX);
        Ok(RunnerUp {
            names: self.answer.names(&overlap.record)?,
            containment: overlap.containment(),
            score: *score,
            only_base,
            only_base_paths,
            only_runner_up,
            only_runner_up_paths,
        })
    }
}

/// A base of which it is unlikely that it is one is not claimed.
fn doubted(verdict: Verdict, reason: String) -> (Verdict, String) {
    if verdict != Verdict::Base {
        return (verdict, reason);
    }
    let reason = format!(
        "{reason}, but so much of what both have differs that a relative of it that is not stored is more likely"
    );
    (Verdict::Family, reason)
}
