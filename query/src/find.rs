//! Answers the question: what is this image built on?
//!
//! Layers first, because a chain ID is certain; then content. Then the verdict, which may be that nothing stored is the
//! base: an image that shares files with a base need not be built on it.

use std::sync::Arc;

use layerprint_store::{Content, ImageRecord, Index, Result};

use crate::agree::agree;
use crate::choose::{Choice, Chooser, is_descendant};
use crate::compare::{Comparison, compare_trees, novel_in, telling_trees};
use crate::confidence::{Grounds, confidence};
use crate::cover;
use crate::family::{doubtful, uncommon};
use crate::finding::{Base, Finding, ImageFacts, Kin, Member, New, RunnerUp, Share, Verdict};
use crate::judge::{Case, judge};
use crate::lineage;
use crate::own::contradicts;
use crate::parts::Taker;
use crate::questions::Questions;
use crate::rank;
use crate::reader::Reader;
use crate::scan::{Overlap, count, is_candidate, scan, share};
use crate::seen::{Marks, Seen};
use crate::subject::Subject;
use crate::tree::Tree;
use crate::weigh::{Shortlist, Weighed, Weighing, weigh};

/// Confidence below which no base is claimed. Of what would be claimed below it, nearly half was wrong.
const CLAIM_CONFIDENCE_MIN: f64 = 0.3;
/// Files that must differ for that: releases differ in many, and one that was edited tells none from another.
const DOUBT_MODIFIED_MIN: u64 = 5;

/// Paths given as examples of what tells two bases apart.
const EXAMPLES_MAX: usize = 5;

/// Containment from which the next best is worth a word.
const RUNNER_UP_MIN: f64 = 0.05;

/// Finds what an image is built on. `source` is how the user named it. Who asks about many uses [`Questions`].
pub fn find(index: &Index, subject: &Subject, source: &str) -> Result<Finding> {
    Questions::new(index).find(subject, source)
}

/// The image that is asked about.
pub(crate) struct Image {
    pub(crate) record: Arc<ImageRecord>,
    pub(crate) names: Vec<String>,
    pub(crate) files: Seen,
}

impl Image {
    /// Takes an image with its layers.
    pub(crate) fn of(reader: &Reader, subject: &Subject) -> Result<Self> {
        let stored = reader.image(&subject.record.id)?;
        // What is stored under this name may have other layers, if one of the two does not match its configuration.
        let tree = match stored.filter(|stored| stored.layers == subject.record.layers) {
            Some(stored) => reader.tree_with(&stored, &subject.layers)?,
            None => Arc::new(reader.tree_of(&subject.layers)),
        };
        let record = Arc::new(subject.record.clone());
        Ok(Self { record, names: subject.names.clone(), files: Seen::of(tree) })
    }

    /// Takes a stored image.
    pub(crate) fn stored(reader: &Reader, record: Arc<ImageRecord>) -> Result<Self> {
        let names = reader.names_of(&record.id)?.to_vec();
        Ok(Self { names, files: Seen::of(reader.tree(&record)?), record })
    }
}

/// Finds what an image is built on, with what was read for others.
pub(crate) fn find_with(reader: &Reader, image: &Image, source: &str) -> Result<Finding> {
    let contents: Vec<Content> = image.files.tree.contents().collect();
    // Counted apart: an image may hide nearly all of its base, and is built on it all the same.
    let by_chain = match stored_below(reader, &image.record)? {
        Some(record) => Some(count(reader, record, &image.files)?),
        None => None,
    };
    let overlaps = scan(reader, &image.record, &contents)?;
    let (descendants, overlaps): (Vec<_>, Vec<_>) =
        overlaps.into_iter().partition(|stored| is_descendant(stored, &image.record));
    let ranking = rank::rank(&overlaps);
    let list = Shortlist::read(reader, &ranking, &image.record)?;
    let weighing = weigh(&list, &image.files);
    let taker = Taker { layers: &image.record.layers, files: &image.files, retention: weighing.retention };
    let chooser = Chooser { taker, list: &list, weighing: &weighing };
    let answer = Answer { reader, image, source, weighing: &weighing, descendants: &descendants };
    let choice = match &by_chain {
        Some(overlap) => Some(Choice::by_chain(overlap)),
        None => chooser.choose(),
    };
    let mut finding = match choice {
        Some(choice) => answer.about(&choice),
        None => answer.nothing("no other stored image shares enough with it".into()),
    }?;
    finding.cover = cover::of_finding(reader, &image.record, &image.files, &finding)?;
    Ok(finding)
}

/// Returns the largest stored image whose layers are the lowest of another.
fn stored_below(reader: &Reader, image: &ImageRecord) -> Result<Option<Arc<ImageRecord>>> {
    for record in reader.by_chain(&image.layers)? {
        if is_candidate(reader, image, &record)? {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

struct Answer<'a> {
    reader: &'a Reader<'a>,
    image: &'a Image,
    source: &'a str,
    weighing: &'a Weighing<'a>,
    /// Stored images that are built on the one in question.
    descendants: &'a [Overlap],
}

impl Answer<'_> {
    fn about(&self, choice: &Choice) -> Result<Finding> {
        let record = &choice.overlap.record;
        let tree = self.reader.tree(record)?;
        let files = compare_trees(&tree, &self.image.files);
        let lineage = lineage::lineage(self.reader, &self.image.record, record)?;
        let rival = self.next_best(record, &lineage, &[]);
        let contradiction = choice.weighed.and_then(|weighed| contradicts(self.weighing, weighed));
        let contradiction = contradiction.map(|other| self.names(&other.overlap.record)).transpose()?;
        let agreement = agree(&tree, &self.image.files, &files);
        let (verdict, reason) = judge(&Case {
            choice,
            files: &files,
            agreement,
            rival_score: rival.map(|rival| rival.score),
            contradiction: contradiction.map(|names| names.join(", ")),
            image: &self.image.record,
            score: self.score(choice),
            uncommon: self.uncommon(choice),
            below: self.below(files.moved_to.as_deref()),
        });
        if verdict == Verdict::None {
            return self.nothing(reason);
        }
        let alone = confidence(choice.evidence, &Grounds::of(choice, agreement, self.margin(choice, &[])));
        let is_doubted = alone < CLAIM_CONFIDENCE_MIN && files.modified >= DOUBT_MODIFIED_MIN;
        let (verdict, reason) = if is_doubted { doubted(verdict, reason) } else { (verdict, reason) };
        let near = if verdict == Verdict::Family { self.near(choice) } else { Vec::new() };
        let runner_up = self.next_best(record, &lineage, &near);
        let runner_up = runner_up.map(|ranked| self.runner_up(ranked, &tree)).transpose()?;
        let grounds = Grounds::of(choice, agreement, self.margin(choice, &near));
        let near: Vec<&ImageRecord> = near.iter().map(|weighed| &*weighed.overlap.record).collect();
        let base = self.base(choice, &near, files, lineage)?;
        let new = new(&self.image.files.tree, &[&tree]);
        let confidence = confidence(choice.evidence, &grounds);
        Ok(Finding { base: Some(base), runner_up, new, confidence, ..self.blank(verdict, reason)? })
    }

    /// Share of the image's contents that stand in a folder. Contents, for a busybox has one under four hundred names.
    fn below(&self, folder: Option<&str>) -> f64 {
        let prefix = folder.map(|folder| format!("{folder}/")).unwrap_or_default();
        let tree = &self.image.files.tree;
        let files = tree.files_from(tree.first_from(prefix.as_bytes()));
        let below = files.take_while(|(path, ..)| path.starts_with(prefix.as_bytes()));
        let mut counted = Marks::default();
        let distinct =
            below.filter(|(_, content, file)| content.size_bytes > 0 && counted.insert(file.content));
        share(distinct.count() as u64, self.image.record.content_count)
    }

    /// What of a choice no unrelated candidate has.
    fn uncommon(&self, choice: &Choice) -> (u64, u64) {
        let counted = choice.weighed.map(|weighed| uncommon(self.weighing, weighed));
        counted.unwrap_or((choice.overlap.present, choice.overlap.present_bytes))
    }

    /// How far the best candidate that is not named lies behind a choice, in files.
    fn margin(&self, choice: &Choice, named: &[&Weighed]) -> f64 {
        let chosen = choice.overlap.record.set_id;
        let is_named = |other: &&Weighed| {
            other.overlap.record.set_id == chosen || named.iter().any(|named| named.place == other.place)
        };
        let others = self.weighing.weighed.iter().filter(|other| !is_named(other));
        let next = others.map(|other| other.score.max(0.0)).fold(0.0, f64::max);
        self.score(choice) - next
    }

    /// The candidates that cannot be told from a choice.
    fn near<'b>(&self, choice: &Choice<'b>) -> Vec<&'b Weighed<'b>>
    where
        Self: 'b,
    {
        match (&choice.picked, choice.weighed) {
            (Some(picked), _) => picked.near.clone(),
            (None, Some(weighed)) => doubtful(self.weighing, weighed),
            (None, None) => Vec::new(),
        }
    }

    fn nothing(&self, reason: String) -> Result<Finding> {
        let reason = match self.descendants.iter().max_by_key(|stored| stored.present) {
            Some(stored) => {
                let names = self.names(&stored.record)?.join(", ");
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
        self.blank(Verdict::None, reason)
    }

    fn blank(&self, verdict: Verdict, reason: String) -> Result<Finding> {
        Ok(Finding {
            source: self.source.to_owned(),
            image: self.facts()?,
            verdict,
            base: None,
            runner_up: None,
            cover: Vec::new(),
            new: new(&self.image.files.tree, &[]),
            confidence: 0.0,
            reason,
        })
    }

    /// All names of the stored images with the same contents, for the platform in question.
    fn names(&self, image: &ImageRecord) -> Result<Vec<String>> {
        self.reader.tie_names(&image.set_id, &self.image.record.platform)
    }

    fn base(
        &self,
        choice: &Choice,
        near: &[&ImageRecord],
        files: Comparison,
        lineage: Vec<Kin>,
    ) -> Result<Base> {
        let Overlap { record, present, present_bytes } = choice.overlap;
        let own = &self.image.record.layers;
        let (mut names, mut images) = (Vec::new(), Vec::new());
        for record in
            [&**record].into_iter().chain(near.iter().copied().filter(|near| near.set_id != record.set_id))
        {
            let tie = self.reader.tie(&record.set_id, &self.image.record.platform)?;
            images.extend(tie.iter().map(|record| member(record)));
            names.extend(self.names(record)?);
        }
        names.sort();
        names.dedup();
        Ok(Base {
            names,
            images,
            evidence: choice.evidence,
            containment: choice.overlap.containment(),
            contents: Share::of(*present, record.content_count),
            bytes: Share::of(*present_bytes, record.content_size_bytes),
            agreement: rank::agreement(files.same, files.modified),
            agreement_bytes: rank::agreement(files.same_bytes, files.modified_bytes),
            files,
            layers_shared: record.layers.iter().zip(own).take_while(|(base, own)| base == own).count(),
            score: self.score(choice),
            lambda: self.weighing.lambda,
            lineage,
        })
    }

    fn score(&self, choice: &Choice) -> f64 {
        let weighed = choice.weighed.map(|weighed| weighed.score);
        weighed.unwrap_or_else(|| rank::score(choice.overlap, self.weighing.lambda))
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
            names: self.names(&overlap.record)?,
            containment: overlap.containment(),
            score: *score,
            only_base,
            only_base_paths,
            only_runner_up,
            only_runner_up_paths,
        })
    }

    fn facts(&self) -> Result<ImageFacts> {
        let record = &self.image.record;
        let mut same_content_as = Vec::new();
        let tie = self.reader.tie(&record.set_id, &record.platform)?;
        for image in tie.iter().filter(|image| image.id != record.id) {
            same_content_as.extend(self.reader.names_of(&image.id)?.iter().cloned());
        }
        same_content_as.sort();
        same_content_as.dedup();
        Ok(ImageFacts {
            id: record.id,
            names: self.image.names.clone(),
            platform: record.platform.to_string(),
            created: record.created.clone(),
            layers: record.layers.len(),
            files: record.file_count,
            contents: record.content_count,
            content_bytes: record.content_size_bytes,
            same_content_as,
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

fn new(image: &Tree, bases: &[&Tree]) -> New {
    let (files, bytes) = novel_in(image, bases);
    New { files, bytes }
}

fn member(record: &ImageRecord) -> Member {
    Member { id: record.id, platform: record.platform.to_string(), created: record.created.clone() }
}
