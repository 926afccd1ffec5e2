//! The former scan: what finding candidates cost before there was an index, as the program did it.
//!
//! A bound comes first: what an image shares is at most what its layers share, and each distinct layer is looked at
//! once. Only images that could share a twentieth of themselves are merged and counted exactly.

use std::collections::HashMap;

use layerprint_store::id::{ContentId, DiffId};
use layerprint_store::{Content, Fingerprint, ImageRecord, MergedView, Result, Store, StoreError};
use rayon::prelude::*;

use super::answers::is_enough;

/// An image and what it shares with the one in question.
pub struct Overlap {
    pub record: ImageRecord,
    pub present: u64,
    pub present_bytes: u64,
}

pub fn scan(store: &Store, query: &[Content]) -> Result<Vec<Overlap>> {
    let contents: HashMap<ContentId, u64> =
        query.iter().map(|content| (content.id, content.size_bytes)).collect();
    let candidates = store.images().collect::<Result<Vec<_>>>()?;
    let bounds = layer_bounds(store, &candidates, &contents)?;
    let promising = |record: &ImageRecord| {
        let bound: u64 = record.layers.iter().map(|layer| bounds[layer]).sum();
        is_enough(bound, record.content_count)
    };
    let promising: Vec<_> = candidates.into_iter().filter(promising).collect();
    let counted = promising.into_par_iter().map(|record| count(store, record, &contents));
    let mut overlaps: Vec<Overlap> = counted.collect::<Result<_>>()?;
    overlaps.retain(|overlap| is_enough(overlap.present, overlap.record.content_count));
    Ok(overlaps)
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

fn count(store: &Store, record: ImageRecord, contents: &HashMap<ContentId, u64>) -> Result<Overlap> {
    let read = |layer: &DiffId| {
        let fingerprint = store.fingerprint(layer)?;
        fingerprint.ok_or_else(|| StoreError::NotFound { text: layer.to_string() })
    };
    let layers = record.layers.iter().map(read).collect::<Result<Vec<Fingerprint>>>()?;
    let (mut present, mut present_bytes) = (0, 0_u64);
    for content in MergedView::of(&layers).contents() {
        if contents.contains_key(&content.id) {
            present += 1;
            present_bytes = present_bytes.saturating_add(content.size_bytes);
        }
    }
    Ok(Overlap { record, present, present_bytes })
}
