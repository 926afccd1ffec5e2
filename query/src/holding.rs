//! Which stored images hold a good deal of some contents.
//!
//! The other way round from `scan`: what counts is how much of the question an image holds, not how much of the image is
//! asked for. A part of a large image is a small share of it, and so is a small base of what is built on it.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use layerprint_store::id::ContentId;
use layerprint_store::{Content, ImageRecord, Index, Overlap, Platform, Result};

use crate::best::for_best;
use crate::ids::IdSet;
use crate::reader::Reader;
use crate::scan::share;

/// Stored images that are worth reading: those that hold most of what is asked for,
const LARGEST_MAX: usize = 12;
/// and those that hold little else: a base rather than what is built on it.
const CLOSEST_MAX: usize = 12;
/// Images of either kind among which those are looked for, ...
const POOL_MAX: usize = 256;
/// ... and how many are looked at to find them.
const LOOKED_AT_MAX: usize = 4096;

/// A stored image, and how many of the contents asked for it holds.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub(crate) record: Arc<ImageRecord>,
    pub(crate) held: u64,
}

/// Returns the stored images that hold enough of `contents`, in no order. `is_enough` is told how many an image holds.
pub(crate) fn holders(
    index: &Index,
    contents: &HashSet<ContentId>,
    is_enough: impl Fn(u64, &ImageRecord) -> bool,
) -> Result<Vec<Holder>> {
    let mut holders = Vec::new();
    for overlap in overlaps(index, &unsized_contents(contents))? {
        let record = Arc::new(index.image_at(overlap.image)?);
        if is_enough(overlap.present, &record) {
            holders.push(Holder { record, held: overlap.present });
        }
    }
    Ok(holders)
}

/// Returns those that are worth reading, of images with the same contents one: those that hold most, and those that hold
/// little else. The contents are sorted. `may_be_enough` is asked before an image is read.
pub(crate) fn nearest_holders(
    reader: &Reader,
    contents: &[Content],
    may_be_enough: impl Fn(&Overlap) -> bool,
    is_enough: impl Fn(u64, &ImageRecord) -> bool,
) -> Result<Vec<Holder>> {
    let index = reader.index;
    let mut overlaps = overlaps(index, contents)?;
    let (mut sets, mut holders) = (IdSet::default(), Vec::new());
    let figures: [fn(&Overlap) -> f64; 2] =
        [|overlap| share(overlap.present, 1), |overlap| share(overlap.present, overlap.content_count)];
    for figure in figures {
        let (end, mut looked_at) = (holders.len() + POOL_MAX, 0);
        for_best(index, &mut overlaps, figure, |overlap| {
            looked_at += 1;
            let set = index.set_id_at(overlap.image)?;
            if may_be_enough(overlap) && !sets.contains(&set) {
                let record = reader.image_at(overlap.image)?;
                // Another image with these contents may be enough where this one is not: it is for another platform.
                if is_enough(overlap.present, &record) {
                    sets.insert(set);
                    holders.push(Holder { record, held: overlap.present });
                }
            }
            let is_done = holders.len() == end || looked_at == LOOKED_AT_MAX;
            Ok(if is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
    }
    Ok(nearest(holders))
}

/// Returns contents as the index is asked about them, where nobody wants to know sizes.
pub(crate) fn unsized_contents(ids: &HashSet<ContentId>) -> Vec<Content> {
    let mut contents: Vec<Content> = ids.iter().map(|id| Content { id: *id, size_bytes: 0 }).collect();
    contents.sort_unstable();
    contents
}

fn overlaps(index: &Index, contents: &[Content]) -> Result<Vec<Overlap>> {
    index.overlaps(contents, &Platform::default())
}

/// Returns the holders worth reading: those that hold most, and those that hold little else, without those that have
/// it all from another holder below them.
fn nearest(mut holders: Vec<Holder>) -> Vec<Holder> {
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
