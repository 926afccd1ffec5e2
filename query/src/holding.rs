//! Which stored images hold a good deal of some contents.
//!
//! The other way round from `scan`: what counts is how much of the question an image holds, not how much of the image is
//! asked for. A part of a large image is a small share of it, and so is a small base of what is built on it.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use layerprint_store::id::{ContentId, DiffId};
use layerprint_store::{ImageRecord, Result, Store};
use rayon::prelude::*;

use crate::scan::share;
use crate::subject::Layers;

/// Stored images that are worth reading: those that hold most of what is asked for,
const LARGEST_MAX: usize = 12;
/// and those that hold little else: a base rather than what is built on it.
const CLOSEST_MAX: usize = 12;

/// A stored image, and how many of the contents asked for it holds.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub(crate) record: ImageRecord,
    pub(crate) held: u64,
}

/// Returns the stored images that hold enough of `contents`, in no order.
///
/// `is_enough` is told how many an image holds; who has more must not be worth less. It is asked with an upper bound
/// first, so that few images are counted exactly.
pub(crate) fn holders(
    store: &Store,
    contents: &HashSet<ContentId>,
    is_enough: impl Fn(u64, &ImageRecord) -> bool + Sync,
) -> Result<Vec<Holder>> {
    let records: Vec<ImageRecord> = store.images().collect::<Result<_>>()?;
    let bounds = layer_bounds(store, &records, contents)?;
    let bound = |record: &ImageRecord| record.layers.iter().map(|layer| bounds[layer]).sum();
    let promising = records.into_iter().filter(|record| is_enough(bound(record), record));
    let counted = promising.collect::<Vec<_>>().into_par_iter().map(|record| {
        let layers = Layers::stored(store, &record.layers)?;
        let held = layers.view().contents().iter().filter(|content| contents.contains(&content.id)).count();
        Ok(Holder { record, held: held as u64 })
    });
    let mut holders: Vec<Holder> = counted.collect::<Result<_>>()?;
    holders.retain(|holder| is_enough(holder.held, &holder.record));
    Ok(holders)
}

fn layer_bounds(
    store: &Store,
    records: &[ImageRecord],
    contents: &HashSet<ContentId>,
) -> Result<HashMap<DiffId, u64>> {
    let mut layers: Vec<DiffId> = records.iter().flat_map(|record| record.layers.iter().copied()).collect();
    layers.sort_unstable();
    layers.dedup();
    let bound = |layer: DiffId| {
        let held = store.layer_contents(&layer)?.unwrap_or_default();
        Ok((layer, held.iter().filter(|content| contents.contains(&content.id)).count() as u64))
    };
    layers.into_par_iter().map(bound).collect()
}

/// Returns the holders worth reading: those that hold most, and those that hold little else, without those that have
/// it all from another holder below them.
pub(crate) fn nearest(mut holders: Vec<Holder>) -> Vec<Holder> {
    let by_layers: HashMap<_, u64> =
        holders.iter().map(|holder| (holder.record.layers.clone(), holder.held)).collect();
    let has_it_from_below = |holder: &Holder| {
        let layers = &holder.record.layers;
        (1..layers.len())
            .any(|count| by_layers.get(&layers[..count]).is_some_and(|held| *held >= holder.held))
    };
    holders.retain(|holder| !has_it_from_below(holder));
    holders.sort_by_key(|holder| (Reverse(holder.held), holder.record.content_count, holder.record.id));
    let mut others = holders.split_off(holders.len().min(LARGEST_MAX));
    let closeness = |holder: &Holder| share(holder.held, holder.record.content_count);
    others.sort_by(|a, b| closeness(b).total_cmp(&closeness(a)).then_with(|| a.record.id.cmp(&b.record.id)));
    holders.extend(others.into_iter().take(CLOSEST_MAX));
    holders
}
