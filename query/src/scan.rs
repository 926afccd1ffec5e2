//! What the image in question shares with stored ones.
//!
//! The index tells for every image how much it shares, by the first 64 bits of content ids. The most promising are taken
//! on. Whoever names one of them counts again by whole ids, on the entries of its layers (`weigh`, `lineage`), so that
//! contents that were made to look alike in 64 bits win nothing.

use std::ops::ControlFlow;
use std::sync::Arc;

use layerprint_store::id::{ChainId, SetId};
use layerprint_store::{Content, ImageRecord, Index, Result};

use crate::best::for_best;
use crate::ids::IdSet;
use crate::rank;
use crate::reader::Reader;
use crate::seen::Seen;

/// A stored image and what it shares with the image in question.
#[derive(Debug, Clone)]
pub(crate) struct Overlap {
    pub(crate) record: Arc<ImageRecord>,
    /// Distinct, non-empty contents that both have.
    pub(crate) present: u64,
    /// Sum of their sizes.
    pub(crate) present_bytes: u64,
}

impl Overlap {
    /// Contents of the stored image that the other lacks.
    pub(crate) fn missing(&self) -> u64 {
        self.record.content_count - self.present
    }

    /// Share of the stored image's contents that the other has.
    pub(crate) fn containment(&self) -> f64 {
        share(self.present, self.record.content_count)
    }
}

/// Images with different contents that are taken on for what they share and lack, ...
const BEST_MAX: usize = 128;
/// ... for how much they share, and for how much of them is there.
const MOST_MAX: usize = 64;

/// Returns the stored images that share most with `contents`, which are sorted, and could be the base of an image: each set
/// of contents once.
pub(crate) fn scan(reader: &Reader, image: &ImageRecord, contents: &[Content]) -> Result<Vec<Overlap>> {
    let mut shared = reader.index.overlaps(contents, &image.platform)?;
    let candidates = Candidates::new(reader, image)?;
    let lambda = lambda(&shared);
    let mut chosen = Chosen { reader, candidates, sets: IdSet::default(), overlaps: Vec::new() };
    chosen.take(&mut shared, BEST_MAX, |overlap| score(overlap, lambda))?;
    chosen.take(&mut shared, MOST_MAX, |overlap| share(overlap.present, 1))?;
    chosen.take(&mut shared, MOST_MAX, |overlap| share(overlap.present, overlap.content_count))?;
    let mut overlaps = chosen.overlaps;
    overlaps.sort_by_key(|overlap| overlap.record.id);
    Ok(overlaps)
}

/// What a missing content costs, by the best of those that share at least half of what any does.
fn lambda(shared: &[layerprint_store::Overlap]) -> f64 {
    let most = shared.iter().map(|overlap| overlap.present).max().unwrap_or(0);
    let large = shared.iter().filter(|overlap| rank::is_comparable(overlap.present, most));
    let kept = large.map(|overlap| share(overlap.present, overlap.content_count)).fold(0.0, f64::max);
    rank::lambda(kept.clamp(rank::RETENTION.0, rank::RETENTION.1))
}

#[expect(clippy::cast_precision_loss, reason = "a score ranks; counts are far below 2^52")]
fn score(overlap: &layerprint_store::Overlap, lambda: f64) -> f64 {
    let missing = overlap.content_count.saturating_sub(overlap.present);
    overlap.present as f64 - lambda * missing as f64
}

struct Chosen<'a> {
    reader: &'a Reader<'a>,
    candidates: Candidates<'a>,
    sets: IdSet<SetId>,
    overlaps: Vec<Overlap>,
}

impl Chosen<'_> {
    /// Takes so many that were not taken yet, those with the highest figure first.
    fn take(
        &mut self,
        shared: &mut [layerprint_store::Overlap],
        max: usize,
        figure: impl Fn(&layerprint_store::Overlap) -> f64,
    ) -> Result<()> {
        let end = self.overlaps.len() + max;
        for_best(self.reader.index, shared, figure, |overlap| {
            self.take_one(overlap)?;
            Ok(if self.overlaps.len() < end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })
    }

    fn take_one(&mut self, overlap: &layerprint_store::Overlap) -> Result<()> {
        let set = self.reader.index.set_id_at(overlap.image)?;
        if self.sets.contains(&set) || !self.candidates.may_be(overlap, &set)? {
            return Ok(());
        }
        let record = self.reader.image_at(overlap.image)?;
        if record.id != self.candidates.image.id && record.content_count >= overlap.present {
            self.sets.insert(set);
            let layerprint_store::Overlap { present, present_bytes, .. } = *overlap;
            self.overlaps.push(Overlap { record, present, present_bytes });
        }
        Ok(())
    }
}

/// Which stored images could be the base of one: another image, and not one that is built on it by its layers.
struct Candidates<'a> {
    index: &'a Index,
    image: &'a ImageRecord,
    is_stored: bool,
    chain: Option<ChainId>,
}

impl<'a> Candidates<'a> {
    fn new(reader: &'a Reader<'a>, image: &'a ImageRecord) -> Result<Self> {
        let is_stored = reader.image(&image.id)?.is_some();
        let chain = ChainId::of_prefixes(&image.layers).last().copied();
        Ok(Self { index: reader.index, image, is_stored, chain })
    }

    fn may_be(&self, overlap: &layerprint_store::Overlap, set: &SetId) -> Result<bool> {
        if overlap.content_count == 0 || (self.is_stored && *set == self.image.set_id) {
            return Ok(false);
        }
        match &self.chain {
            Some(chain) => Ok(!self.index.is_above(overlap.image, chain)?),
            None => Ok(true),
        }
    }
}

/// Returns true if a stored image could be the base of another.
pub(crate) fn is_candidate(reader: &Reader, image: &ImageRecord, stored: &ImageRecord) -> Result<bool> {
    let is_stored = reader.image(&image.id)?.is_some();
    let same = stored.id == image.id || (is_stored && stored.set_id == image.set_id);
    let above = stored.layers.len() > image.layers.len() && stored.layers.starts_with(&image.layers);
    Ok(!same && !above && stored.content_count > 0 && stored.platform.fits(&image.platform))
}

/// Counts what one stored image shares with another.
pub(crate) fn count(reader: &Reader, record: Arc<ImageRecord>, image: &Seen) -> Result<Overlap> {
    let tree = reader.tree(&record)?;
    let (mut present, mut present_bytes) = (0, 0_u64);
    for (number, content) in tree.numbered_contents() {
        if image.holds(number) {
            present += 1;
            present_bytes = present_bytes.saturating_add(content.size_bytes);
        }
    }
    Ok(Overlap { record, present, present_bytes })
}

#[expect(clippy::cast_precision_loss, reason = "a share is for reading; counts are far below 2^52")]
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
