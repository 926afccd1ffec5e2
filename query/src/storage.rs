//! What stored images take: each by itself, by distinct layers, and by distinct contents.
//!
//! Sizes are those of the files in layers, uncompressed: what tar and compression add or save is left out, because it depends
//! on who packs. The three sums can be compared: layers that are shared count once in the second, contents that are shared
//! count once in the third, however the layers are cut. Memory is bounded whatever the store holds: where the distinct
//! contents are too many to be held at one time, ids are counted range by range, each with a pass over the layers.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use layerprint_store::id::{ContentId, DiffId, ImageId};
use layerprint_store::{Content, Index, Result, StoreError, Subject};
use rayon::prelude::*;
use serde::Serialize;

use crate::children::Asked;
use crate::unread::{Partly, Unreadable};

/// Contents that are held at one time, of 40 bytes each.
const CONTENTS_MAX: usize = 2 << 20;

/// What images take, in bytes of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// Images.
    pub images: u64,
    /// What they take if nothing is shared: the files of all layers of each.
    pub image_bytes: u64,
    /// Distinct layers.
    pub layers: u64,
    /// What they take if layers are shared, as in registries and on hosts.
    pub layer_bytes: u64,
    /// Distinct, non-empty contents.
    pub contents: u64,
    /// What they take if contents are shared.
    pub content_bytes: u64,
    /// What is shared by content but not by layer: the difference of the last two.
    pub shared_by_content_bytes: u64,
}

/// Adds up what some stored images take. An image that is not stored is left out, and so is a layer that cannot be read.
pub fn storage(
    index: &Index,
    images: &[ImageId],
    on_read: &(dyn Fn(Asked) + Sync),
) -> Result<Partly<Storage>> {
    storage_within(index, images, CONTENTS_MAX, on_read)
}

fn storage_within(
    index: &Index,
    images: &[ImageId],
    contents_max: usize,
    on_read: &(dyn Fn(Asked) + Sync),
) -> Result<Partly<Storage>> {
    let unreadable = Unreadable::default();
    let distinct: BTreeSet<ImageId> = images.iter().copied().collect();
    let mut uses: HashMap<DiffId, u64> = HashMap::new();
    let mut storage = Storage::default();
    for id in &distinct {
        let Some(record) = index.image(id)? else { continue };
        storage.images += 1;
        record.layers.into_iter().for_each(|layer| *uses.entry(layer).or_default() += 1);
    }
    let mut layers: Vec<DiffId> = uses.keys().copied().collect();
    layers.sort_unstable();
    on_read(Asked::Total(layers.len() as u64));
    let sizes = layers.par_iter().map(|layer| {
        let size_bytes = unreadable.or_none(Subject::Layer(*layer), files_bytes(index, layer))?;
        on_read(Asked::One);
        Ok(size_bytes.map(|size_bytes| (*layer, size_bytes)))
    });
    let sizes: Vec<(DiffId, u64)> = sizes.filter_map(Result::transpose).collect::<Result<_>>()?;
    storage.layers = sizes.len() as u64;
    for (layer, size_bytes) in &sizes {
        let of_images = size_bytes.saturating_mul(uses[layer]);
        storage.layer_bytes = storage.layer_bytes.saturating_add(*size_bytes);
        storage.image_bytes = storage.image_bytes.saturating_add(of_images);
    }
    let layers: Vec<DiffId> = sizes.into_iter().map(|(layer, _)| layer).collect();
    (storage.contents, storage.content_bytes) = distinct_contents(index, &layers, contents_max, &unreadable)?;
    storage.shared_by_content_bytes = storage.layer_bytes.saturating_sub(storage.content_bytes);
    Ok(unreadable.with(storage))
}

/// Sum of the sizes of a layer's files; further hard links to one take nothing.
pub(crate) fn files_bytes(index: &Index, layer: &DiffId) -> Result<u64> {
    let fingerprint = index.fingerprint(layer)?.ok_or_else(|| missing(layer))?;
    let files = fingerprint.entries().iter().filter(|entry| !entry.is_linked());
    Ok(files
        .filter_map(|entry| entry.content())
        .map(|content| content.size_bytes)
        .fold(0, u64::saturating_add))
}

pub(crate) fn missing(layer: &DiffId) -> StoreError {
    StoreError::NotFound { text: layer.to_string() }
}

/// Counts the distinct, non-empty contents of layers and adds up their sizes.
fn distinct_contents(
    index: &Index,
    layers: &[DiffId],
    contents_max: usize,
    unreadable: &Unreadable,
) -> Result<(u64, u64)> {
    let (mut count, mut size_bytes) = (0_u64, 0_u64);
    let mut next = Some(ContentId::from_bytes([0; 32]));
    while let Some(from) = next {
        let range = Mutex::new(Range { from, until: None, held: Vec::new(), max: contents_max.max(1) });
        layers.par_iter().try_for_each(|layer| {
            let read = index.layer_contents(layer).and_then(|read| read.ok_or_else(|| missing(layer)));
            let contents = unreadable.or_none(Subject::Layer(*layer), read)?.unwrap_or_default();
            range.lock().unwrap_or_else(PoisonError::into_inner).add(&contents);
            Ok(())
        })?;
        let mut range = range.into_inner().unwrap_or_else(PoisonError::into_inner);
        range.compact();
        count += range.held.len() as u64;
        size_bytes = range.held.iter().map(|held| held.size_bytes).fold(size_bytes, u64::saturating_add);
        next = range.until;
    }
    Ok((count, size_bytes))
}

/// The distinct contents of one pass: those from an id on that there is room for.
struct Range {
    from: ContentId,
    /// The first that there was no room for.
    until: Option<ContentId>,
    held: Vec<Content>,
    max: usize,
}

impl Range {
    fn add(&mut self, contents: &[Content]) {
        let start = contents.partition_point(|content| content.id < self.from);
        for content in &contents[start..] {
            if self.until.is_some_and(|until| content.id >= until) {
                return;
            }
            if content.id != ContentId::EMPTY {
                self.held.push(*content);
                // Twice the room, so that sorting is worth it.
                if self.held.len() >= 2 * self.max {
                    self.compact();
                }
            }
        }
    }

    /// Lets go of what is there twice, and of the greatest ids while there are too many.
    fn compact(&mut self) {
        // Where one id is said to have two sizes, the smaller one counts.
        self.held.sort_unstable();
        self.held.dedup_by_key(|content| content.id);
        if self.held.len() > self.max {
            self.until = Some(self.held[self.max].id);
            self.held.truncate(self.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(number: u64) -> Content {
        Content { id: ContentId::of(&number.to_le_bytes()), size_bytes: number }
    }

    /// Counts what passes over some layers hold, as `distinct_contents` does.
    fn counted(layers: &[Vec<Content>], max: usize) -> (Vec<Content>, usize) {
        let (mut all, mut passes, mut next) = (Vec::new(), 0, Some(ContentId::from_bytes([0; 32])));
        while let Some(from) = next {
            let mut range = Range { from, until: None, held: Vec::new(), max };
            layers.iter().for_each(|layer| range.add(layer));
            range.compact();
            assert!(range.held.capacity() <= 4 * max.max(4), "memory is bounded");
            all.append(&mut range.held);
            (passes, next) = (passes + 1, range.until);
        }
        (all, passes)
    }

    #[test]
    fn passes_count_every_content_once_however_little_room_there_is() {
        let layers: Vec<Vec<Content>> = (0..20_u64)
            .map(|layer| {
                let mut contents: Vec<Content> = (layer * 5..layer * 5 + 40).map(content).collect();
                contents.push(Content { id: ContentId::EMPTY, size_bytes: 0 });
                contents.sort_unstable();
                contents
            })
            .collect();
        let mut expected: Vec<Content> = (0..135).map(content).collect();
        expected.sort_unstable();
        for (max, passes) in [(1, 135), (2, 68), (10, 14), (134, 2), (135, 1), (1000, 1)] {
            assert_eq!(counted(&layers, max), (expected.clone(), passes), "room for {max}");
        }
    }
}
