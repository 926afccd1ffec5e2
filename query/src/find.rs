//! Answers the question: what is this image built on?
//!
//! Layers first, because a chain ID is certain: then nothing competes with it, and nothing else is weighed. Then the layers of a
//! stored image with the very same contents, for who squashes an image changes no file. Else content, and then the verdict,
//! which may be that nothing stored is the base: an image that shares files with a base need not be built on it.

use std::sync::Arc;

use layerprint_store::{Content, ImageRecord, Index, Result};

use crate::by_content::ByContent;
use crate::choose::{Chooser, is_descendant};
use crate::compare::{Comparison, compare_trees, novel_in};
use crate::cover;
use crate::finding::{Base, Evidence, Finding, ImageFacts, Kin, Member, New, Share, Verdict};
use crate::lineage;
use crate::parts::Taker;
use crate::questions::Questions;
use crate::rank;
use crate::reader::Reader;
use crate::scan::{Overlap, count, is_candidate, scan};
use crate::seen::Seen;
use crate::subject::Subject;
use crate::tree::Tree;
use crate::weigh::{Shortlist, weigh};

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
    let answer = Answer { reader, image, source };
    let mut finding = match stored_below(reader, &image.record, &image.record)? {
        Some(record) => answer.by_layers(record)?,
        None => match twin(reader, &image.record)? {
            Some((twin, record)) => answer.by_twin(&twin, record)?,
            None => answer.by_content()?,
        },
    };
    finding.cover = cover::of_finding(reader, &image.record, &image.files, &finding)?;
    Ok(finding)
}

/// Returns the largest stored image whose layers are the lowest of those, and that may be the base of an image.
fn stored_below(
    reader: &Reader,
    layers: &ImageRecord,
    image: &ImageRecord,
) -> Result<Option<Arc<ImageRecord>>> {
    for record in reader.by_chain(&layers.layers)? {
        if is_candidate(reader, image, &record)? {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// Returns a stored image with the same contents whose base its layers tell, and that base: who squashed it changed no file.
fn twin(reader: &Reader, image: &ImageRecord) -> Result<Option<(Arc<ImageRecord>, Arc<ImageRecord>)>> {
    for twin in reader.tie(&image.set_id, &image.platform)? {
        let below = stored_below(reader, &twin, image)?;
        if let Some(record) = below.filter(|record| record.set_id != image.set_id) {
            return Ok(Some((twin, record)));
        }
    }
    Ok(None)
}

/// An answer in the making.
pub(crate) struct Answer<'a> {
    reader: &'a Reader<'a>,
    image: &'a Image,
    source: &'a str,
}

impl Answer<'_> {
    /// About the stored image whose layers are the lowest of this one. What it shares is counted and judges nothing: an image
    /// may hide nearly all of its base, and is built on it all the same.
    fn by_layers(&self, record: Arc<ImageRecord>) -> Result<Finding> {
        let reason = "its lowest layers are exactly those of the base (chain ID)".to_owned();
        self.certain(record, Evidence::ChainId, reason)
    }

    /// About the base of an image with the very same contents, which is known by its layers.
    fn by_twin(&self, twin: &ImageRecord, record: Arc<ImageRecord>) -> Result<Finding> {
        let names = self.reader.names_of(&twin.id)?.join(", ");
        let reason = format!(
            "it has the contents of {names}, whose lowest layers are exactly those of the base (chain ID)"
        );
        self.certain(record, Evidence::Content, reason)
    }

    fn certain(&self, record: Arc<ImageRecord>, evidence: Evidence, reason: String) -> Result<Finding> {
        let overlap = count(self.reader, record, &self.image.files)?;
        let tree = self.reader.tree(&overlap.record)?;
        let files = compare_trees(&tree, &self.image.files);
        let lineage = lineage::lineage(self.reader, &self.image.record, &overlap.record)?;
        let lambda = rank::lambda(overlap.containment().clamp(rank::RETENTION.0, rank::RETENTION.1));
        let figures = Figures { evidence, score: rank::score(&overlap, lambda), lambda };
        let base = self.base(&overlap, &figures, &[], files, lineage)?;
        let new = new(&self.image.files.tree, &[&tree]);
        let blank = self.blank(Verdict::Base, reason)?;
        Ok(Finding { base: Some(base), new, confidence: 1.0, ..blank })
    }

    fn by_content(&self) -> Result<Finding> {
        let (reader, image) = (self.reader, self.image);
        let contents: Vec<Content> = image.files.tree.contents().collect();
        let overlaps = scan(reader, &image.record, &contents)?;
        let (descendants, overlaps): (Vec<_>, Vec<_>) =
            overlaps.into_iter().partition(|stored| is_descendant(stored, &image.record));
        let ranking = rank::rank(&overlaps);
        let list = Shortlist::read(reader, &ranking, &image.record)?;
        let weighing = weigh(&list, &image.files);
        let taker = Taker {
            reader,
            layers: &image.record.layers,
            files: &image.files,
            retention: weighing.retention,
        };
        let answer =
            ByContent { reader, image, answer: self, weighing: &weighing, descendants: &descendants };
        match (Chooser { taker, list: &list, weighing: &weighing }).choose()? {
            Some(choice) => answer.about(&choice),
            None => answer.nothing("no other stored image shares enough with it".into()),
        }
    }

    pub(crate) fn blank(&self, verdict: Verdict, reason: String) -> Result<Finding> {
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
    pub(crate) fn names(&self, image: &ImageRecord) -> Result<Vec<String>> {
        self.reader.tie_names(&image.set_id, &self.image.record.platform)
    }

    pub(crate) fn base(
        &self,
        overlap: &Overlap,
        figures: &Figures,
        near: &[&ImageRecord],
        files: Comparison,
        lineage: Vec<Kin>,
    ) -> Result<Base> {
        let Overlap { record, present, present_bytes } = overlap;
        let &Figures { evidence, score, lambda } = figures;
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
            evidence,
            containment: overlap.containment(),
            contents: Share::of(*present, record.content_count),
            bytes: Share::of(*present_bytes, record.content_size_bytes),
            agreement: rank::agreement(files.same, files.modified),
            agreement_bytes: rank::agreement(files.same_bytes, files.modified_bytes),
            files,
            layers_shared: record.layers.iter().zip(own).take_while(|(base, own)| base == own).count(),
            score,
            lambda,
            lineage,
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

/// What is said of a base besides what of it is there.
pub(crate) struct Figures {
    pub(crate) evidence: Evidence,
    pub(crate) score: f64,
    pub(crate) lambda: f64,
}

pub(crate) fn new(image: &Tree, bases: &[&Tree]) -> New {
    let (files, bytes) = novel_in(image, bases);
    New { files, bytes }
}

fn member(record: &ImageRecord) -> Member {
    Member { id: record.id, platform: record.platform.to_string(), created: record.created.clone() }
}
