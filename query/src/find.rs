//! Answers the question: what is this image built on?
//!
//! Layers first, because a chain ID is certain; then content. Then the verdict, which may be that nothing stored is the
//! base: an image that shares files with a base need not be built on it.

use layerprint_store::{ImageRecord, MergedView, Result, Store};

use crate::compare::{self, Comparison};
use crate::finding::{Base, Evidence, Finding, ImageFacts, Kin, Member, New, RunnerUp, Share, Verdict};
use crate::lineage::{self, by_chain, tie, tie_names};
use crate::rank::{self, Ranked, Ranking};
use crate::scan::{Overlap, scan};
use crate::subject::{Layers, Subject, contents_of};
use crate::upper::{self, Absent};

/// Containment below which no base is claimed: half of it is gone, and the rest may be what relatives share.
const BASE_CONTAINMENT_MIN: f64 = 0.5;
/// Containment below which not even a family is named.
const FAMILY_CONTAINMENT_MIN: f64 = 0.1;
/// Agreement below which no base is claimed. An application edits a few files of its base; a relative of the true base
/// differs in a quarter of the paths that both have, or more.
const AGREEMENT_MIN: f64 = 0.75;
/// Paths given as examples of what tells two bases apart.
const EXAMPLES_MAX: usize = 5;

/// Finds what an image is built on. `source` is how the user named it.
pub fn find(store: &Store, subject: &Subject, source: &str) -> Result<Finding> {
    let chain = by_chain(store, &subject.record.layers)?;
    let candidates = candidates(store, subject)?;
    let chain_base = chain.into_iter().find(|record| candidates.iter().any(|other| other.id == record.id));
    let view = subject.layers.view();
    let overlaps = scan(store, candidates, &contents_of(&view))?;
    let ranking = rank::rank(overlaps.clone());
    let Some(choice) = choose(chain_base, &overlaps, &ranking) else {
        return nothing(store, subject, &view, source, "no stored image shares enough with it".into());
    };
    let answer = Answer { store, subject, view: &view, source, overlaps: &overlaps, ranking: &ranking };
    answer.about(choice)
}

/// Returns the stored images that could be the base: another image, for the same platform, and not one that is itself
/// built on the image in question.
fn candidates(store: &Store, subject: &Subject) -> Result<Vec<ImageRecord>> {
    let own = &subject.record;
    let is_stored = store.image(&own.id)?.is_some();
    let mut candidates = Vec::new();
    for record in store.images() {
        let record = record?;
        let same = record.id == own.id || (is_stored && record.set_id == own.set_id);
        let above = record.layers.len() > own.layers.len() && record.layers.starts_with(&own.layers);
        if !same && !above && record.content_count > 0 && record.platform.fits(&own.platform) {
            candidates.push(record);
        }
    }
    Ok(candidates)
}

/// A base, and how it was recognised.
struct Choice<'a> {
    overlap: &'a Overlap,
    evidence: Evidence,
}

fn choose<'a>(
    chain_base: Option<ImageRecord>,
    overlaps: &'a [Overlap],
    ranking: &'a Ranking,
) -> Option<Choice<'a>> {
    let by_layers = chain_base.and_then(|base| overlaps.iter().find(|overlap| overlap.record.id == base.id));
    if let Some(overlap) = by_layers {
        return Some(Choice { overlap, evidence: Evidence::ChainId });
    }
    ranking.ranked.first().map(|best| Choice { overlap: &best.overlap, evidence: Evidence::Content })
}

struct Answer<'a> {
    store: &'a Store,
    subject: &'a Subject,
    view: &'a MergedView<'a>,
    source: &'a str,
    overlaps: &'a [Overlap],
    ranking: &'a Ranking,
}

impl Answer<'_> {
    fn about(&self, choice: Choice) -> Result<Finding> {
        let record = &choice.overlap.record;
        let layers = Layers::stored(self.store, &record.layers)?;
        let view = layers.view();
        let files = compare::compare(&view, self.view);
        let absent = upper::absent(&layers, &view, &compare::held(self.view));
        let (verdict, reason) = judge(&choice, &files, absent.as_ref(), self.ranking);
        if verdict == Verdict::None {
            return nothing(self.store, self.subject, self.view, self.source, reason);
        }
        let lineage = lineage::lineage(self.store, record, self.overlaps)?;
        let runner_up = self.runner_up(record, &lineage, &view)?;
        let base = self.base(&choice, files, lineage)?;
        Ok(Finding {
            source: self.source.to_owned(),
            image: facts(self.store, self.subject)?,
            verdict,
            new: new(self.view, &[&view]),
            base: Some(base),
            runner_up,
            reason,
        })
    }

    fn base(&self, choice: &Choice, files: Comparison, lineage: Vec<Kin>) -> Result<Base> {
        let Overlap { record, present, present_bytes } = choice.overlap;
        let mut images: Vec<_> = tie(self.store, &record.set_id)?.iter().map(member).collect();
        images.sort_by_key(|image| image.id);
        let own = &self.subject.record.layers;
        Ok(Base {
            names: tie_names(self.store, &record.set_id)?,
            images,
            evidence: choice.evidence,
            containment: choice.overlap.containment(),
            contents: Share::of(*present, record.content_count),
            bytes: Share::of(*present_bytes, record.content_size_bytes),
            agreement: rank::agreement(files.same, files.modified),
            files,
            layers_shared: record.layers.iter().zip(own).take_while(|(base, own)| base == own).count(),
            score: rank::score(choice.overlap, self.ranking.lambda),
            lambda: self.ranking.lambda,
            lineage,
        })
    }

    /// The best candidate that differs from the base and is not one of its ancestors, which are expected to fit.
    fn runner_up(
        &self,
        base: &ImageRecord,
        lineage: &[Kin],
        base_view: &MergedView,
    ) -> Result<Option<RunnerUp>> {
        let other = |ranked: &&Ranked| {
            let set = ranked.overlap.record.set_id;
            set != base.set_id && !lineage.iter().any(|kin| kin.set_id == set)
        };
        let Some(Ranked { overlap, score }) = self.ranking.ranked.iter().find(other) else { return Ok(None) };
        let layers = Layers::stored(self.store, &overlap.record.layers)?;
        let (view, image) = (layers.view(), self.view);
        let (only_base, only_base_paths) = compare::telling(base_view, &view, image, EXAMPLES_MAX);
        let (only_runner_up, only_runner_up_paths) = compare::telling(&view, base_view, image, EXAMPLES_MAX);
        Ok(Some(RunnerUp {
            names: tie_names(self.store, &overlap.record.set_id)?,
            containment: overlap.containment(),
            score: *score,
            only_base,
            only_base_paths,
            only_runner_up,
            only_runner_up_paths,
        }))
    }
}

fn judge(
    choice: &Choice,
    files: &Comparison,
    absent: Option<&Absent>,
    ranking: &Ranking,
) -> (Verdict, String) {
    let containment = choice.overlap.containment();
    let agreement = rank::agreement(files.same, files.modified);
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    if let (Evidence::Content, Some(absent)) = (choice.evidence, absent)
        && containment >= BASE_CONTAINMENT_MIN
    {
        return (Verdict::Family, absent.to_string());
    }
    match choice.evidence {
        Evidence::ChainId => {
            (Verdict::Base, "its lowest layers are exactly those of the base (chain ID)".into())
        }
        Evidence::Content if containment >= BASE_CONTAINMENT_MIN && !rank::is_evidence(choice.overlap) => {
            let shared = choice.overlap.present;
            (Verdict::Family, format!("only {shared} contents are shared, too few to be sure"))
        }
        Evidence::Content if containment >= BASE_CONTAINMENT_MIN && agreement >= AGREEMENT_MIN => {
            let kept = percent(containment);
            (Verdict::Base, format!("{kept} of the base's contents are in it, more than of any other"))
        }
        Evidence::Content if containment >= BASE_CONTAINMENT_MIN => {
            let changed = percent(1.0 - agreement);
            let reason = format!(
                "{changed} of the files that both have differ: too many for an image built on it, \
                 so a relative of it that is not stored is more likely"
            );
            (Verdict::Family, reason)
        }
        Evidence::Content if containment >= FAMILY_CONTAINMENT_MIN => {
            let kept = percent(containment);
            (Verdict::Family, format!("only {kept} of the best candidate's contents are in it"))
        }
        Evidence::Content => {
            let best = percent(ranking.retention);
            (Verdict::None, format!("no stored image has more than {best} of its contents in it"))
        }
    }
}

fn nothing(
    store: &Store,
    subject: &Subject,
    view: &MergedView,
    source: &str,
    reason: String,
) -> Result<Finding> {
    Ok(Finding {
        source: source.to_owned(),
        image: facts(store, subject)?,
        verdict: Verdict::None,
        base: None,
        runner_up: None,
        new: new(view, &[]),
        reason,
    })
}

fn new(view: &MergedView, bases: &[&MergedView]) -> New {
    let (files, bytes) = compare::novel(view, bases);
    New { files, bytes }
}

fn facts(store: &Store, subject: &Subject) -> Result<ImageFacts> {
    let record = &subject.record;
    let mut same_content_as = Vec::new();
    for id in store.images_by_set(&record.set_id)?.iter().filter(|id| **id != record.id) {
        same_content_as.extend(store.names_of(id)?);
    }
    Ok(ImageFacts {
        id: record.id,
        names: subject.names.clone(),
        platform: record.platform.to_string(),
        created: record.created.clone(),
        layers: record.layers.len(),
        files: record.file_count,
        contents: record.content_count,
        content_bytes: record.content_size_bytes,
        same_content_as,
    })
}

fn member(record: &ImageRecord) -> Member {
    Member { id: record.id, platform: record.platform.to_string(), created: record.created.clone() }
}
