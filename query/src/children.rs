//! Finds every stored image that is built on another one: the question of `find`, asked the other way round.
//!
//! Whoever has the base's layers at the bottom is looked at, and whoever holds a good part of its contents; what `find`
//! then says of each decides. So an image is a child here exactly if its base is found to be this one, and what is
//! squashed or rebuilt is among them.

use std::collections::{BTreeSet, HashSet};

use layerprint_store::id::{ChainId, ContentId, ImageId};
use layerprint_store::{ImageRecord, Index, Result};
use rayon::prelude::*;
use serde::Serialize;

use crate::finding::{Base, Evidence, Finding, ImageFacts, Share, Verdict};
use crate::holding::holders;
use crate::judge::KEPT_EITHER_MIN;
use crate::questions::Questions;
use crate::reader::Reader;
use crate::scan::{is_candidate, share};
use crate::subject::{Subject, contents_of};

/// A stored image that is built on another.
#[derive(Debug, Clone, Serialize)]
pub struct Child {
    /// The image.
    pub image: ImageFacts,
    /// How its own base was recognised.
    pub evidence: Evidence,
    /// Share of the contents of the one asked about that it has.
    pub containment: f64,
    /// The same in figures.
    pub contents: Share,
    /// What stands between it and the one asked about, nearest to the latter first; each as all names of a tie. Empty for
    /// what is built on it directly.
    pub via: Vec<Vec<String>>,
}

/// What happens while a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// So many images or layers will be looked at.
    Total(u64),
    /// One is done.
    One,
}

/// Returns the stored images that are built on one, by name; with `transitive` also those built on these, and so on.
pub fn children(
    index: &Index,
    base: &ImageId,
    transitive: bool,
    on_asked: &(dyn Fn(Asked) + Sync),
) -> Result<Vec<Child>> {
    let subject = Subject::stored(index, base)?;
    let base = Parent { contents: contents_of(&subject.layers.view()).into_keys().collect(), subject };
    let candidates = base.candidates(index)?;
    on_asked(Asked::Total(candidates.len() as u64));
    let questions = Questions::new(index);
    let asked = candidates.par_iter().map(|id| {
        let child = base.ask(&questions, id, transitive);
        on_asked(Asked::One);
        child
    });
    let mut children: Vec<Child> = asked.filter_map(Result::transpose).collect::<Result<_>>()?;
    children.sort_by(|a, b| (&a.image.names, a.image.id).cmp(&(&b.image.names, b.image.id)));
    Ok(children)
}

/// The image asked about.
struct Parent {
    subject: Subject,
    contents: HashSet<ContentId>,
}

impl Parent {
    fn record(&self) -> &ImageRecord {
        &self.subject.record
    }

    /// The images that may be built on it. Those with the same contents are the same, not children.
    fn candidates(&self, index: &Index) -> Result<Vec<ImageId>> {
        let own = self.record();
        let is_other =
            |record: &ImageRecord| record.set_id != own.set_id && record.platform.fits(&own.platform);
        let is_enough = |held, record: &ImageRecord| {
            is_other(record) && share(held, own.content_count) >= KEPT_EITHER_MIN
        };
        if self.contents.is_empty() {
            return Ok(Vec::new());
        }
        let found = holders(index, &self.contents, is_enough)?;
        let mut candidates: BTreeSet<ImageId> = found.into_iter().map(|holder| holder.record.id).collect();
        // With next to nothing of the base left an image is still built on it if its layers say so.
        if let Some(chain) = ChainId::of_prefixes(&own.layers).last() {
            for id in index.images_above(chain)? {
                let record = index.image(&id)?;
                candidates.extend(record.filter(is_other).map(|record| record.id));
            }
        }
        Ok(candidates.into_iter().collect())
    }

    /// Asks one image what it is built on.
    fn ask(&self, questions: &Questions, id: &ImageId, transitive: bool) -> Result<Option<Child>> {
        if !transitive && self.is_built_on_another(&questions.reader(), id)? {
            return Ok(None);
        }
        let finding = questions.find_stored(id, &id.to_string())?;
        let Some(via) = self.way(&finding).filter(|via| transitive || via.is_empty()) else {
            return Ok(None);
        };
        let Some(Base { evidence, .. }) = finding.base else { return Ok(None) };
        let reader = questions.reader();
        let Some(record) = reader.image(id)? else { return Ok(None) };
        let held = reader.tree(&record)?;
        let present = self.contents.iter().filter(|content| held.has(content)).count() as u64;
        let total = self.record().content_count;
        Ok(Some(Child {
            image: finding.image,
            evidence,
            containment: share(present, total),
            contents: Share::of(present, total),
            via,
        }))
    }

    /// Returns true if the layers of an image say that its base is another: then `find` says the same, and takes longer.
    fn is_built_on_another(&self, reader: &Reader, id: &ImageId) -> Result<bool> {
        let Some(record) = reader.image(id)? else { return Ok(true) };
        for stored in reader.by_chain(&record.layers)? {
            if is_candidate(reader, &record, &stored)? {
                return Ok(stored.set_id != self.record().set_id);
            }
        }
        Ok(false)
    }

    /// Returns what stands between an image and this one; none if it is not built on this one.
    fn way(&self, finding: &Finding) -> Option<Vec<Vec<String>>> {
        let base = finding.base.as_ref().filter(|_| finding.verdict == Verdict::Base)?;
        if base.images.iter().any(|member| member.id == self.record().id) {
            return Some(Vec::new());
        }
        let place = base.lineage.iter().position(|kin| kin.set_id == self.record().set_id)?;
        let between = base.lineage[..place].iter().map(|kin| kin.names.clone());
        let mut via: Vec<_> = std::iter::once(base.names.clone()).chain(between).collect();
        via.reverse();
        Some(via)
    }
}
