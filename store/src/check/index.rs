//! The index: whether it opens, every block of it, and the images in it.

use rayon::prelude::*;

use super::{DamagedPart, Findings, Opened, place_name};
use crate::body;
use crate::error::{Result, StoreError};
use crate::index::Index;
use crate::log::catalogue::Tree;
use crate::log::frame::{FrameKind, Place};
use crate::log::journal::frame_key;
use crate::log::layout::Layout;
use crate::log::pack::Packs;

/// Opens what is published. A store whose packs hold nothing has no index.
pub(super) fn open(layout: &Layout, packs: &Packs, found: &mut Findings) -> Result<Option<Index>> {
    match Index::of_layout(layout) {
        Ok(index) => Ok(Some(index)),
        Err(StoreError::NotPublished { .. }) if packs.end() <= packs.start() => Ok(None),
        Err(error @ (StoreError::IndexDamaged { .. } | StoreError::NotPublished { .. })) => {
            found.add(DamagedPart::Index, "CURRENT and segments", error.to_string());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Reads the layers that the index knows, where the catalogue does not say which there are. Returns the places of those that
/// are whole.
pub(super) fn layers(store: &Opened, index: &Index, found: &mut Findings) -> Result<Vec<Place>> {
    let layers: Vec<_> = index.layer_places().collect::<Result<_>>()?;
    let read = |(layer, place): (crate::id::DiffId, Place)| {
        let key = frame_key(Tree::Bodies, layer.as_bytes());
        let problem = match store.packs.read(place, FrameKind::Value, key) {
            Ok(bytes) => body::decode(&bytes).err().map(|error| error.to_string()),
            Err(StoreError::Corrupt { problem, .. }) => Some(problem),
            Err(error) => return Err(error),
        };
        Ok((layer, place, problem))
    };
    let checked: Vec<_> = layers.into_par_iter().map(read).collect::<Result<_>>()?;
    let mut whole = Vec::new();
    for (layer, place, problem) in checked {
        found.checked.layers += 1;
        found.read(place.frame_bytes());
        match problem {
            None => whole.push(place),
            Some(problem) => {
                found.damaged_starts.insert(place.start);
                found.add_layer(layer, place_name(&store.packs, place), problem);
            }
        }
    }
    Ok(whole)
}

/// Checks every block, that the index has the images of the catalogue, and that it could read all layers.
pub(super) fn check(store: &Opened, index: &Index, found: &mut Findings) -> Result<()> {
    let stats = index.stats();
    found.checked.segments = stats.segments;
    for problem in index.damaged_segments() {
        found.add(DamagedPart::Index, "segments", problem.to_string());
    }
    found.read(stats.segment_bytes);
    match disagreement(store, index) {
        Ok(None) => {}
        Ok(Some(problem)) => found.add(DamagedPart::Index, "segments", problem),
        Err(error) => found.add(DamagedPart::Index, "segments", error.to_string()),
    }
    Ok(())
}

fn disagreement(store: &Opened, index: &Index) -> Result<Option<String>> {
    let Some((catalogue, applied)) = &store.catalogue else { return Ok(None) };
    // Where one is behind the other, they differ rightly.
    if index.through() != applied.end {
        return Ok(None);
    }
    let mut differing = 0_u64;
    let mut count = 0_u64;
    for record in super::catalogue::images(store, catalogue) {
        count += 1;
        differing += u64::from(index.image(&record.id)?.as_ref() != Some(&record));
    }
    let missing = index.image_count().abs_diff(count);
    if differing + missing > 0 {
        return Ok(Some(format!("{} images are not those of the catalogue", differing.max(missing))));
    }
    for layer in index.unreadable_layers(None)? {
        let key = layer.as_bytes();
        let is_whole = catalogue.get(Tree::Bodies, key)?.is_some_and(|sealed| {
            let place = store.seal.open(Tree::Bodies, key, &sealed).ok();
            let place = place.and_then(|(_, place)| postcard::from_bytes(place).ok());
            let read =
                |place| store.packs.read(place, FrameKind::Value, frame_key(Tree::Bodies, key)).is_ok();
            place.is_some_and(read)
        });
        if is_whole {
            return Ok(Some(format!("layer {layer} could not be read when the index was built, and can be")));
        }
    }
    Ok(None)
}
