//! Answers the question: what is this image built on?
//!
//! Layers first, because a chain ID is certain; then content. Then the verdict, which may be that nothing stored is the
//! base: an image that shares files with a base need not be built on it.

use layerprint_store::{ImageRecord, Index, MergedView, Result};

use crate::choose::{Choice, choose, is_descendant};
use crate::compare::{self, Comparison};
use crate::cover;
use crate::finding::{Base, Finding, ImageFacts, Kin, Member, New, RunnerUp, Share, Verdict};
use crate::judge::judge;
use crate::lineage::{self, by_chain, tie, tie_names};
use crate::paths;
use crate::rank::{self, Ranked, Ranking};
use crate::scan::{Overlap, count, is_candidate, scan};
use crate::subject::{Layers, Subject, contents_of};

/// Paths given as examples of what tells two bases apart.
const EXAMPLES_MAX: usize = 5;

/// Containment below which nothing is worth mentioning as a runner-up.
const RUNNER_UP_CONTAINMENT_MIN: f64 = 0.05;

/// Finds what an image is built on. `source` is how the user named it.
pub fn find(index: &Index, subject: &Subject, source: &str) -> Result<Finding> {
    let view = subject.layers.view();
    let contents = contents_of(&view);
    let by_chain = by_chain(index, &subject.record.layers)?;
    let mut stored = None;
    for record in by_chain {
        if is_candidate(index, &subject.record, &record)? {
            stored = Some(record);
            break;
        }
    }
    // Counted apart: an image may hide nearly all of its base, and is built on it all the same.
    let by_chain = stored.map(|record| count(index, record, &contents)).transpose()?;
    let overlaps = scan(index, &subject.record, &contents)?;
    let (descendants, overlaps): (Vec<_>, Vec<_>) =
        overlaps.into_iter().partition(|stored| is_descendant(stored, &subject.record));
    let mut ranking = rank::rank(&overlaps);
    paths::reorder(index, &view, &mut ranking)?;
    let answer = Answer {
        index,
        subject,
        view: &view,
        source,
        overlaps: &overlaps,
        ranking: &ranking,
        descendants: &descendants,
    };
    let choice = match &by_chain {
        Some(overlap) => Some(Choice::by_chain(overlap)),
        None => choose(index, subject, &view, &ranking)?,
    };
    let mut finding = match choice {
        Some(choice) => answer.about(&choice),
        None => answer.nothing("no other stored image shares enough with it".into()),
    }?;
    finding.cover = cover::of_finding(index, subject, &view, &finding)?;
    Ok(finding)
}

struct Answer<'a> {
    index: &'a Index,
    subject: &'a Subject,
    view: &'a MergedView<'a>,
    source: &'a str,
    overlaps: &'a [Overlap],
    ranking: &'a Ranking<'a>,
    /// Stored images that are built on the one in question.
    descendants: &'a [Overlap],
}

impl Answer<'_> {
    fn about(&self, choice: &Choice) -> Result<Finding> {
        let record = &choice.overlap.record;
        let layers = Layers::stored(self.index, &record.layers)?;
        let view = layers.view();
        let files = compare::compare(&view, self.view);
        let lineage = lineage::lineage(self.index, &self.subject.record, record, self.overlaps)?;
        let runner_up = self.next_best(record, &lineage);
        let (verdict, reason) =
            judge(choice, &files, runner_up.map(|ranked| ranked.overlap), &self.subject.record);
        if verdict == Verdict::None {
            return self.nothing(reason);
        }
        let runner_up = runner_up.map(|ranked| self.runner_up(ranked, &view)).transpose()?;
        let base = self.base(choice, files, lineage)?;
        let new = new(self.view, &[&view]);
        Ok(Finding { base: Some(base), runner_up, new, ..self.blank(verdict, reason)? })
    }

    fn nothing(&self, reason: String) -> Result<Finding> {
        let reason = match self.descendants.iter().max_by_key(|stored| stored.present) {
            Some(stored) => {
                let names = self.names(&stored.record)?.join(", ");
                format!("{reason}; what holds all of it was made later, so that is built on it: {names}")
            }
            None => reason,
        };
        let record = &self.subject.record;
        let reason = match self.index.image(&record.id)? {
            Some(_) => {
                format!("{reason}; it is stored itself: {}", self.index.names_of(&record.id)?.join(", "))
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
            new: new(self.view, &[]),
            reason,
        })
    }

    /// All names of the stored images with the same contents, for the platform in question.
    fn names(&self, image: &ImageRecord) -> Result<Vec<String>> {
        tie_names(self.index, &image.set_id, &self.subject.record.platform)
    }

    fn base(&self, choice: &Choice, files: Comparison, lineage: Vec<Kin>) -> Result<Base> {
        let Overlap { record, present, present_bytes } = choice.overlap;
        let tie = tie(self.index, &record.set_id, &self.subject.record.platform)?;
        let own = &self.subject.record.layers;
        Ok(Base {
            names: self.names(record)?,
            images: tie.iter().map(member).collect(),
            evidence: choice.evidence,
            containment: choice.overlap.containment(),
            contents: Share::of(*present, record.content_count),
            bytes: Share::of(*present_bytes, record.content_size_bytes),
            agreement: rank::agreement(files.same, files.modified),
            agreement_bytes: rank::agreement(files.same_bytes, files.modified_bytes),
            files,
            layers_shared: record.layers.iter().zip(own).take_while(|(base, own)| base == own).count(),
            score: rank::score(choice.overlap, self.ranking.lambda),
            lambda: self.ranking.lambda,
            lineage,
        })
    }

    /// The best candidate that differs from the base and is not one of its ancestors, which are expected to fit.
    fn next_best(&self, base: &ImageRecord, lineage: &[Kin]) -> Option<&Ranked<'_>> {
        self.ranking.ranked.iter().find(|ranked| {
            let set = ranked.overlap.record.set_id;
            let is_close = ranked.overlap.containment() >= RUNNER_UP_CONTAINMENT_MIN;
            is_close && set != base.set_id && !lineage.iter().any(|kin| kin.set_id == set)
        })
    }

    fn runner_up(&self, runner_up: &Ranked, base_view: &MergedView) -> Result<RunnerUp> {
        let Ranked { overlap, score } = runner_up;
        let layers = Layers::stored(self.index, &overlap.record.layers)?;
        let (view, image) = (layers.view(), self.view);
        let (only_base, only_base_paths) = compare::telling(base_view, &view, image, EXAMPLES_MAX);
        let (only_runner_up, only_runner_up_paths) = compare::telling(&view, base_view, image, EXAMPLES_MAX);
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
        let record = &self.subject.record;
        let mut same_content_as = Vec::new();
        let tie = tie(self.index, &record.set_id, &record.platform)?;
        for image in tie.iter().filter(|image| image.id != record.id) {
            same_content_as.extend(self.index.names_of(&image.id)?);
        }
        same_content_as.sort();
        same_content_as.dedup();
        Ok(ImageFacts {
            id: record.id,
            names: self.subject.names.clone(),
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

fn new(view: &MergedView, bases: &[&MergedView]) -> New {
    let (files, bytes) = compare::novel(view, bases);
    New { files, bytes }
}

fn member(record: &ImageRecord) -> Member {
    Member { id: record.id, platform: record.platform.to_string(), created: record.created.clone() }
}
