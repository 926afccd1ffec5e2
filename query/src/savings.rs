//! What building on shared layers would save, of images whose base was found by content.
//!
//! Such an image has its base's files in layers of its own: squashed, exported, or built on a rebuild of it. What of those
//! layers the base's stored layers hold would not have to be stored again. Each distinct layer counts once, with the base that
//! spares most of it. Sizes are those of files, uncompressed, as in `storage`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use layerprint_store::id::{ContentId, DiffId, ImageId};
use layerprint_store::{ImageRecord, Index, Result, Subject};
use rayon::prelude::*;
use serde::Serialize;

use crate::children::Asked;
use crate::finding::{Evidence, Finding, Verdict};
use crate::questions::Questions;
use crate::storage::missing;
use crate::unread::{Partly, Unreadable};

/// An image that could be built on the layers of its base.
#[derive(Debug, Clone)]
pub struct Rebase {
    /// The image.
    pub image: ImageId,
    /// Distinct, non-empty contents of it.
    pub contents: u64,
    /// The stored images that are its base: a tie. The layers of the first are compared with.
    pub bases: Vec<ImageId>,
    /// All their names.
    pub base_names: Vec<String>,
    /// Its layers that are not the base's.
    pub layers: Vec<RebaseLayer>,
}

/// A layer of such an image.
#[derive(Debug, Clone, Copy)]
pub struct RebaseLayer {
    /// The layer.
    pub diff_id: DiffId,
    /// Sum of the sizes of its files.
    pub bytes: u64,
    /// What of them the base's layers hold.
    pub saved_bytes: u64,
}

/// What images on one base could share with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// All names of the base.
    pub base: Vec<String>,
    /// Images whose base it is, by content.
    pub images: u64,
    /// Their distinct layers that are not the base's. A layer of images on several bases is told with one of them.
    pub layers: u64,
    /// Sum of the sizes of the files in these.
    pub bytes: u64,
    /// What of it the base's layers hold.
    pub saved_bytes: u64,
}

/// A base: its names, and a stored image that has them.
type Key<'a> = (&'a [String], ImageId);

/// Images that could be built on the layers of their bases, in any order.
#[derive(Debug, Default)]
pub struct Savings {
    rebases: Vec<Rebase>,
}

impl Savings {
    /// Adds an image, once.
    pub fn add(&mut self, rebase: Rebase) {
        self.rebases.push(rebase);
    }

    /// Returns a group for each base, those that save most first.
    pub fn groups(&self) -> Vec<Group> {
        let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
        let mut layers: HashMap<DiffId, (RebaseLayer, Key)> = HashMap::new();
        for rebase in self.one_way() {
            let Some(key) = rebase.key() else { continue };
            let base = rebase.base_names.clone();
            let blank = || Group { base, images: 0, layers: 0, bytes: 0, saved_bytes: 0 };
            groups.entry(key).or_insert_with(blank).images += 1;
            for layer in &rebase.layers {
                let place = layers.entry(layer.diff_id).or_insert((*layer, key));
                if (Reverse(layer.saved_bytes), key) < (Reverse(place.0.saved_bytes), place.1) {
                    *place = (*layer, key);
                }
            }
        }
        for (layer, key) in layers.values() {
            let group = groups.get_mut(key).expect("a layer comes with its image");
            group.layers += 1;
            group.bytes = group.bytes.saturating_add(layer.bytes);
            group.saved_bytes = group.saved_bytes.saturating_add(layer.saved_bytes);
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        // Stable: of several that save as much, the first by name comes first.
        groups.sort_by_key(|group| Reverse(group.saved_bytes));
        groups
    }

    /// Where two images are each the base of the other, as a base and what was squashed on it may seem to be, only one can
    /// be built on the other: the larger.
    fn one_way(&self) -> impl Iterator<Item = &Rebase> {
        let by_image: HashMap<ImageId, &Rebase> =
            self.rebases.iter().map(|rebase| (rebase.image, rebase)).collect();
        self.rebases.iter().filter(move |rebase| {
            let back = rebase.bases.iter().filter_map(|base| by_image.get(base));
            let mut mutual = back.filter(|base| base.bases.contains(&rebase.image));
            !mutual.any(|base| (base.contents, base.image) > (rebase.contents, rebase.image))
        })
    }
}

impl Rebase {
    fn key(&self) -> Option<Key<'_>> {
        self.bases.first().map(|base| (&self.base_names[..], *base))
    }
}

/// Returns what an image could share with its base; none unless its base was found by content.
pub fn rebase(index: &Index, image: &ImageRecord, finding: &Finding) -> Result<Option<Rebase>> {
    let by_content = |base: &&crate::finding::Base| base.evidence == Evidence::Content;
    let is_base = finding.verdict == Verdict::Base;
    let Some(base) = finding.base.as_ref().filter(|_| is_base).filter(by_content) else { return Ok(None) };
    let Some(member) = base.images.first() else { return Ok(None) };
    let Some(record) = index.image(&member.id)? else { return Ok(None) };
    let mut held: HashSet<ContentId> = HashSet::new();
    for layer in &record.layers {
        let contents = index.layer_contents(layer)?.ok_or_else(|| missing(layer))?;
        held.extend(contents.iter().map(|content| content.id));
    }
    let own: HashSet<&DiffId> = image.layers.iter().filter(|layer| !record.layers.contains(layer)).collect();
    let layers = own.into_iter().map(|layer| rebase_layer(index, layer, &held)).collect::<Result<_>>()?;
    Ok(Some(Rebase {
        image: image.id,
        contents: image.content_count,
        bases: base.images.iter().map(|member| member.id).collect(),
        base_names: base.names.clone(),
        layers,
    }))
}

fn rebase_layer(index: &Index, layer: &DiffId, held: &HashSet<ContentId>) -> Result<RebaseLayer> {
    let fingerprint = index.fingerprint(layer)?.ok_or_else(|| missing(layer))?;
    let (mut bytes, mut saved_bytes) = (0_u64, 0_u64);
    for entry in fingerprint.entries().iter().filter(|entry| !entry.is_linked()) {
        let Some(content) = entry.content() else { continue };
        bytes = bytes.saturating_add(content.size_bytes);
        if held.contains(&content.id) {
            saved_bytes = saved_bytes.saturating_add(content.size_bytes);
        }
    }
    Ok(RebaseLayer { diff_id: *layer, bytes, saved_bytes })
}

/// Asks stored images for their bases, and adds up what those could share whose base is found by content. It is quickest in
/// the order of [`FleetImage::place`](crate::FleetImage::place). An image of which a layer cannot be read is left out.
pub fn savings(
    index: &Index,
    images: &[ImageId],
    on_asked: &(dyn Fn(Asked) + Sync),
) -> Result<Partly<Savings>> {
    let unreadable = Unreadable::default();
    on_asked(Asked::Total(images.len() as u64));
    let questions = Questions::new(index);
    let ask = |id: &ImageId| {
        let finding = questions.find_stored(id, &id.to_string());
        on_asked(Asked::One);
        index.image(id)?.map_or(Ok(None), |record| rebase(index, &record, &finding?))
    };
    let ask = |id: &ImageId| Ok(unreadable.or_none(Subject::Image(*id), ask(id))?.flatten());
    let rebases = images.par_iter().map(ask).filter_map(Result::transpose);
    let savings = Savings { rebases: rebases.collect::<Result<_>>()? };
    Ok(unreadable.with(savings))
}
