//! What a base is itself built on, and so on down.
//!
//! Stored images whose whole stack of layers is the lower part of another's are its ancestors for certain. Below the
//! lowest of them, content decides: an ancestor is a smaller image that is all there.

use layerprint_store::id::{ChainId, ImageId, SetId};
use layerprint_store::{ImageRecord, MergedView, Result, Store};

use crate::finding::{Evidence, Kin};
use crate::rank::PRESENT_MIN;
use crate::scan::{Overlap, share};
use crate::subject::Layers;

/// Containment at which a smaller stored image is taken for an ancestor: a base edits some files of its own base.
const ANCESTOR_CONTAINMENT: f64 = 0.98;
/// Containment in the image in question below which an ancestor of its base is not looked for: it would itself have
/// been a better base than one that is all but gone.
const ANCESTOR_SHOWS: f64 = 0.05;
/// Longest lineage that is followed.
const GENERATIONS_MAX: usize = 16;

/// Returns the stored images whose whole stack of layers is a prefix of these layers, longest first. Images without
/// any content are no base.
pub(crate) fn by_chain(store: &Store, layers: &[layerprint_store::id::DiffId]) -> Result<Vec<ImageRecord>> {
    let mut found = Vec::new();
    for chain in ChainId::of_prefixes(layers).iter().rev() {
        for id in store.images_by_chain(chain)? {
            found.extend(store.image(&id)?.filter(|record| record.content_count > 0));
        }
    }
    Ok(found)
}

/// Returns the lineage of a base, parent first. `candidates` are the images that share much with what is built on it.
pub(crate) fn lineage(store: &Store, base: &ImageRecord, candidates: &[Overlap]) -> Result<Vec<Kin>> {
    let mut kin: Vec<Kin> = Vec::new();
    let mut current = base.clone();
    while kin.len() < GENERATIONS_MAX {
        let next = match chain_parent(store, &current)? {
            Some(parent) => Some((parent, Evidence::ChainId, 1.0)),
            None => content_parent(store, &current, candidates)?,
        };
        let Some((parent, evidence, containment)) = next else { break };
        kin.push(Kin {
            names: tie_names(store, &parent.set_id)?,
            evidence,
            containment,
            set_id: parent.set_id,
        });
        current = parent;
    }
    Ok(kin)
}

/// The nearest ancestor by layers. One with the very same contents (an empty layer on top) is the same, not below.
fn chain_parent(store: &Store, image: &ImageRecord) -> Result<Option<ImageRecord>> {
    let found = by_chain(store, &image.layers)?;
    Ok(found
        .into_iter()
        .find(|parent| parent.set_id != image.set_id && parent.layers.len() < image.layers.len()))
}

fn content_parent(
    store: &Store,
    image: &ImageRecord,
    candidates: &[Overlap],
) -> Result<Option<(ImageRecord, Evidence, f64)>> {
    let layers = Layers::stored(store, &image.layers)?;
    let contents = layers.view().contents();
    let mut best: Option<(ImageRecord, u64, f64)> = None;
    let smaller = |overlap: &&Overlap| {
        let record = &overlap.record;
        record.content_count < image.content_count
            && record.content_count >= PRESENT_MIN
            && record.platform.fits(&image.platform)
            && overlap.containment() >= ANCESTOR_SHOWS
    };
    for candidate in candidates.iter().filter(smaller) {
        let layers = Layers::stored(store, &candidate.record.layers)?;
        let present = shared(&layers.view(), &contents);
        let containment = share(present, candidate.record.content_count);
        if containment >= ANCESTOR_CONTAINMENT && best.as_ref().is_none_or(|(_, most, _)| present > *most) {
            best = Some((candidate.record.clone(), present, containment));
        }
    }
    Ok(best.map(|(record, _, containment)| (record, Evidence::Content, containment)))
}

fn shared(view: &MergedView, contents: &[layerprint_store::Content]) -> u64 {
    let held = |content: &layerprint_store::Content| {
        contents.binary_search_by(|other| other.id.cmp(&content.id)).is_ok()
    };
    view.contents().iter().filter(|content| held(content)).count() as u64
}

/// Returns the stored images with these contents.
pub(crate) fn tie(store: &Store, set: &SetId) -> Result<Vec<ImageRecord>> {
    let ids: Vec<ImageId> = store.images_by_set(set)?;
    ids.iter().filter_map(|id| store.image(id).transpose()).collect()
}

/// Returns all names of the stored images with these contents, sorted.
pub(crate) fn tie_names(store: &Store, set: &SetId) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for id in store.images_by_set(set)? {
        names.extend(store.names_of(&id)?);
    }
    names.sort();
    names.dedup();
    Ok(names)
}
