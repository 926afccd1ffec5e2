//! The exact overlap of one set of contents with that of every stored image.
//!
//! A bound comes first: what an image shares is at most what its layers share, and each distinct layer is looked at
//! once. Only images that could share a twentieth of themselves are merged and counted exactly. Those that turn out to
//! share less are left out, too, so that the answer does not depend on how good the bound was. This reads every layer's
//! contents for every question.

use std::collections::HashMap;

use layerprint_store::id::{ContentId, DiffId};
use layerprint_store::{ImageRecord, Result, Store};
use rayon::prelude::*;

use crate::subject::Layers;

/// A stored image and what it shares with the image in question.
#[derive(Debug, Clone)]
pub(crate) struct Overlap {
    pub(crate) record: ImageRecord,
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

/// Least share of a stored image that is evidence of anything: one part in so many.
const SHARE_DIVISOR: u64 = 500;

/// Counts what every image of `candidates` shares with `contents`, in the order given. Images that share less than
/// a twentieth of themselves are left out.
pub(crate) fn scan(
    store: &Store,
    candidates: Vec<ImageRecord>,
    contents: &HashMap<ContentId, u64>,
) -> Result<Vec<Overlap>> {
    let bounds = layer_bounds(store, &candidates, contents)?;
    let promising = |record: &ImageRecord| {
        let bound: u64 = record.layers.iter().map(|layer| bounds[layer]).sum();
        is_enough(bound, record.content_count)
    };
    let promising: Vec<_> = candidates.into_iter().filter(promising).collect();
    let counted = promising.into_par_iter().map(|record| count(store, record, contents));
    let mut overlaps: Vec<Overlap> = counted.collect::<Result<_>>()?;
    overlaps.retain(|overlap| is_enough(overlap.present, overlap.record.content_count));
    Ok(overlaps)
}

fn is_enough(present: u64, total: u64) -> bool {
    present > 0 && present.saturating_mul(SHARE_DIVISOR) >= total
}

fn layer_bounds(
    store: &Store,
    candidates: &[ImageRecord],
    contents: &HashMap<ContentId, u64>,
) -> Result<HashMap<DiffId, u64>> {
    let mut layers: Vec<DiffId> =
        candidates.iter().flat_map(|record| record.layers.iter().copied()).collect();
    layers.sort_unstable();
    layers.dedup();
    let bound = |layer: DiffId| {
        let held = store.layer_contents(&layer)?.unwrap_or_default();
        let shared = held.iter().filter(|content| contents.contains_key(&content.id)).count();
        Ok((layer, shared as u64))
    };
    layers.into_par_iter().map(bound).collect()
}

/// Counts what one stored image shares with `contents`.
pub(crate) fn count(
    store: &Store,
    record: ImageRecord,
    contents: &HashMap<ContentId, u64>,
) -> Result<Overlap> {
    let layers = Layers::stored(store, &record.layers)?;
    let (mut present, mut present_bytes) = (0, 0_u64);
    for content in layers.view().contents() {
        if contents.contains_key(&content.id) {
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
