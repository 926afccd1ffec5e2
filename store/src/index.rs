//! What was published of a store, for questions: read-only, beside whoever writes, without the catalogue.
//!
//! An [`Index`] is one published state as a whole: the segments that `CURRENT` named when it was opened, mapped into memory,
//! and the packs. It stays what it is however long it is held; opening again shows what was published since. Full
//! identities are found exactly; which images share contents is told by the first 64 bits of theirs ([`Index::overlaps`]),
//! to be confirmed on the entries of their layers.

mod columns;
pub(crate) mod current;
mod draft;
pub(crate) mod fresh;
mod holders;
mod images;
mod layers;
mod merge;
mod origin;
mod postings;
pub(crate) mod publisher;
mod resolve;
mod segment;
pub(crate) mod state;
mod views;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::body;
use crate::error::{Result, StoreError};
use crate::fingerprint::{Content, Fingerprint};
use crate::id::{BlobDigest, ChainId, DiffId, ImageId, SetId};
use crate::log::catalogue::{self, Tree};
use crate::log::changes;
use crate::log::frame::{FrameKind, Place, Position};
use crate::log::journal::frame_key;
use crate::log::layout::Layout;
use crate::log::lock::WriterLock;
use crate::log::pack::Packs;
use crate::log::walk::Piece;
use crate::recent::RecentLayers;
use crate::record::{ImageRecord, LayerRecord, Platform};
use crate::store::{Stats, document_of};

use current::Current;
use segment::Segment;
use state::{IndexedImage, NO_NODE, State};

pub use holders::Holder;
pub use state::ImageAt;

/// How often it is tried to open what is live while it is replaced.
const ATTEMPTS_MAX: usize = 100;

/// Entries of layers that are kept after they were read, some 40 MiB.
const RECENT_ENTRIES_MAX: u64 = 250_000;

/// See the module.
pub struct Index {
    root: PathBuf,
    state: State,
    packs: Packs,
    current: Current,
    recent: RecentLayers,
}

/// An image, and what it has of a set of contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// Where the image stands.
    pub image: ImageAt,
    /// Distinct contents that both have, told by the first 64 bits of their ids.
    pub present: u64,
    /// Sum of their sizes.
    pub present_bytes: u64,
    /// Distinct, non-empty contents of the image.
    pub content_count: u64,
}

/// How large the index is.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct IndexStats {
    /// Live segments.
    pub segments: u64,
    /// Their size.
    pub segment_bytes: u64,
    /// Distinct prefixes of stacks of layers.
    pub nodes: u64,
    /// Distinct contents, told by the first 64 bits of their ids; one that several segments know counts for each.
    pub keys: u64,
    /// Sets of contents that occur in exactly the same places of a segment.
    pub colours: u64,
    /// Images.
    pub images: u64,
    /// Images that were replaced or forgotten and still take room.
    pub dead_images: u64,
}

impl Index {
    /// Opens what was published last. Writes nothing, and waits for no one.
    ///
    /// A store to which no image was ever committed has an empty index.
    ///
    /// # Errors
    ///
    /// Fails if there is no store, if no index of it was published, and if that cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        Self::of_layout(&Layout::open(path)?)
    }

    /// Opens what was published last of a store whose header was read.
    pub(crate) fn of_layout(layout: &Layout) -> Result<Self> {
        let mut last_error = None;
        for _ in 0..ATTEMPTS_MAX {
            let Some(current) = Current::read(&layout.root, &layout.store_id)? else {
                return Self::unpublished(layout);
            };
            match Self::of(layout, &current) {
                // A writer has replaced it since: what is current now names others.
                Err(error)
                    if Current::read(&layout.root, &layout.store_id)?.is_some_and(|now| now != current) =>
                {
                    last_error = Some(error);
                }
                opened => return opened,
            }
        }
        Err(last_error.unwrap_or(StoreError::NotPublished { path: layout.root.clone() }))
    }

    /// What there is to ask before anything was published: nothing, unless the index was lost.
    fn unpublished(layout: &Layout) -> Result<Self> {
        let packs = match Packs::open_read_only(layout.packs(), layout.store_id) {
            // The process that made the store died right then.
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Packs::none(layout.packs(), layout.store_id)
            }
            packs => packs?,
        };
        // `CURRENT` is written before the first segment, so that one without the other was lost.
        if has_segments(layout) || holds_images(&packs)? {
            return Err(StoreError::NotPublished { path: layout.root.clone() });
        }
        Self::checked(layout.root.clone(), State::default(), packs, Current::default())
    }

    /// Opens one published state.
    fn of(layout: &Layout, current: &Current) -> Result<Self> {
        let state = State::open(&layout.segments(), &layout.store_id, &current.segments, &State::default())?;
        let packs = Packs::open_read_only(layout.packs(), layout.store_id)?;
        Self::checked(layout.root.clone(), state, packs, current.clone())
    }

    fn checked(root: PathBuf, state: State, packs: Packs, current: Current) -> Result<Self> {
        state.check_if_small()?;
        Ok(Self { root, state, packs, current, recent: RecentLayers::new(RECENT_ENTRIES_MAX) })
    }

    /// Returns true if something was committed that is not published, and no process is about to publish it: one died in
    /// between, or could not go on. The next writer publishes it.
    pub fn is_behind(&self) -> Result<bool> {
        let through = self.current.through;
        if self.packs.end() <= through || WriterLock::is_held(&self.root) {
            return Ok(false);
        }
        let mut pieces = self.packs.walk(through);
        let is_commit = |piece: &Result<Piece>| match piece {
            Ok(Piece::Frame(frame)) => frame.kind == FrameKind::Commit as u8,
            Ok(Piece::Damage(_)) => false,
            Err(_) => true,
        };
        pieces.find(is_commit).map_or(Ok(false), |piece| piece.map(|_| true))
    }

    /// Returns the layers whose fingerprints could not be read when the index was built, of images that can run on a platform,
    /// where one is given. What the index says of those images may lack contents.
    pub fn unreadable_layers(&self, platform: Option<&Platform>) -> Result<Vec<DiffId>> {
        let unreadable = &self.state.unreadable;
        if unreadable.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = BTreeSet::new();
        for record in self.images() {
            let record = record?;
            if platform.is_none_or(|platform| record.platform.fits(platform)) {
                found.extend(record.layers);
            }
        }
        let numbers = unreadable.iter().map(|number| self.state.diff_id(*number));
        let layers: Vec<DiffId> = numbers.collect::<Result<_>>()?;
        Ok(layers.into_iter().filter(|layer| found.contains(layer)).collect())
    }

    /// Returns the folder of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads everything and compares it with its checksums. Returns what is damaged, a problem for each segment.
    pub(crate) fn damaged_segments(&self) -> Vec<StoreError> {
        self.state.segments.par_iter().filter_map(|segment| segment.check().err()).collect()
    }

    /// Returns where the fingerprints of all layers lie, but for those that are known to be lost.
    pub(crate) fn layer_places(&self) -> impl Iterator<Item = Result<(DiffId, Place)>> {
        let numbers = 0..self.state.layers_end();
        let places = numbers.map(|number| Ok((self.state.diff_id(number)?, self.state.place(number)?)));
        places.filter(|layer| layer.as_ref().map_or(true, |(_, place)| *place != Place::default()))
    }

    /// Returns the position up to which commits are in this state.
    pub(crate) fn through(&self) -> Position {
        self.current.through
    }

    /// Returns the size of its segments.
    pub fn size_bytes(&self) -> u64 {
        self.state.segments.iter().map(|segment| segment.file_bytes()).sum()
    }

    /// Returns what is known of a layer besides its entries.
    pub fn layer(&self, layer: &DiffId) -> Result<Option<LayerRecord>> {
        let number = self.state.layer_of_diff_id(layer)?;
        number.map(|number| self.state.layer_record(number)).transpose()
    }

    /// Counts what the published images hold, reading every image record.
    pub fn totals(&self) -> Result<Stats> {
        let mut stats = Stats {
            pack_bytes: self.packs.size_bytes()?,
            commit_bytes: self.current.commit_bytes,
            catalogue_bytes: catalogue::size_bytes(&self.root.join("db")),
            ..Stats::default()
        };
        let (mut layers, mut documents) = (BTreeSet::new(), BTreeSet::new());
        for image in self.images_with_names() {
            let (record, names) = image?;
            stats.images += 1;
            stats.names += names.len() as u64;
            layers.extend(record.layers);
            documents.extend(record.documents.into_iter().map(|document| document.digest));
        }
        for layer in &layers {
            let Some(number) = self.state.layer_of_diff_id(layer)? else { continue };
            let record = self.state.layer_record(number)?;
            stats.entries += record.entry_count;
            stats.tar_bytes += record.tar_size_bytes;
            stats.live_bytes += self.state.place(number)?.frame_bytes();
        }
        for document in &documents {
            stats.live_bytes += self.state.document(document)?.map_or(0, |place| place.frame_bytes());
        }
        (stats.layers, stats.documents) = (layers.len() as u64, documents.len() as u64);
        let used_bytes = stats.live_bytes + stats.commit_bytes;
        stats.dead_bytes = stats.pack_bytes.saturating_sub(used_bytes);
        Ok(stats)
    }

    /// Returns how large the index is.
    pub fn stats(&self) -> IndexStats {
        let segments = &self.state.segments;
        let sum = |of: &dyn Fn(&Segment) -> u64| segments.iter().map(|segment| of(segment)).sum();
        let (images, dead_images) = self.state.image_counts();
        IndexStats {
            segments: segments.len() as u64,
            segment_bytes: sum(&Segment::file_bytes),
            nodes: self.state.nodes_end().into(),
            keys: sum(&|segment| postings::key_count(segment) as u64),
            colours: sum(&|segment| segment.length(segment::Section::ListEnds) as u64 / 4),
            images,
            dead_images,
        }
    }

    /// Returns an image.
    pub fn image(&self, image: &ImageId) -> Result<Option<ImageRecord>> {
        self.state.image(image)?.map(|at| self.image_at(at)).transpose()
    }

    /// Returns the image that stands at a place.
    pub fn image_at(&self, at: ImageAt) -> Result<ImageRecord> {
        Ok(self.state.indexed(at)?.record)
    }

    /// Returns all images, by the time at which they were published.
    pub fn images(&self) -> impl Iterator<Item = Result<ImageRecord>> {
        self.state.images().map(|at| self.image_at(at))
    }

    /// Returns all images as [`Index::images`] does, each with its references, sorted, and when each was last seen, in seconds
    /// since 1970.
    pub fn images_with_names(&self) -> impl Iterator<Item = Result<(ImageRecord, Vec<(String, u64)>)>> {
        self.state.images().map(|at| self.state.indexed(at).map(|image| (image.record, image.names)))
    }

    /// Returns how many images there are.
    pub fn image_count(&self) -> u64 {
        self.state.image_counts().0
    }

    /// Returns the image that a manifest describes.
    pub fn image_of_manifest(&self, manifest: &BlobDigest) -> Result<Option<ImageId>> {
        self.state.image_of_manifest(manifest)?.map(|at| self.state.image_id(at)).transpose()
    }

    /// Returns the images whose whole stack of layers has this chain ID.
    pub fn images_by_chain(&self, chain: &ChainId) -> Result<Vec<ImageId>> {
        let Some(node) = self.state.node_of_chain(chain)? else { return Ok(Vec::new()) };
        self.ids(&self.state.images_of_node(node)?)
    }

    /// Returns the images that have exactly these contents: more than one is a tie.
    pub fn images_by_set(&self, set: &SetId) -> Result<Vec<ImageId>> {
        self.ids(&self.state.images_of_set(set)?)
    }

    /// Returns the images that a reference stands for or stood for, with their platforms and when that was seen, the last
    /// seen first.
    pub fn images_named(&self, reference: &str) -> Result<Vec<(ImageId, Platform, u64)>> {
        let mut images = Vec::new();
        for at in self.state.images_named(reference)? {
            let IndexedImage { record, names } = self.state.indexed(at)?;
            let seen = names.iter().find(|(name, _)| name == reference).map_or(0, |(_, seen)| *seen);
            images.push((record.id, record.platform, seen));
        }
        images.sort_by_key(|(id, _, seen)| (std::cmp::Reverse(*seen), *id));
        Ok(images)
    }

    /// Returns the references of an image, sorted.
    pub fn names_of(&self, image: &ImageId) -> Result<Vec<String>> {
        let Some(at) = self.state.image(image)? else { return Ok(Vec::new()) };
        Ok(self.state.indexed(at)?.names.into_iter().map(|(name, _)| name).collect())
    }

    /// Returns true if a layer is known and can be read, as far as the index knows.
    pub fn has_layer(&self, layer: &DiffId) -> Result<bool> {
        let number = self.state.layer_of_diff_id(layer)?;
        Ok(number.is_some_and(|number| !self.state.unreadable.contains(&number)))
    }

    /// Returns the layer that a blob unpacks to, if it is known and can be read.
    pub fn layer_of_blob(&self, blob: &BlobDigest) -> Result<Option<DiffId>> {
        let number = self.state.layer_of_blob(blob)?;
        let number = number.filter(|number| !self.state.unreadable.contains(number));
        number.map(|number| self.state.diff_id(number)).transpose()
    }

    /// Returns the entries of a layer. Those that were read lately are kept.
    pub fn fingerprint(&self, layer: &DiffId) -> Result<Option<Arc<Fingerprint>>> {
        if let Some(found) = self.recent.get(layer) {
            return Ok(Some(found));
        }
        let Some(bytes) = self.body(layer)? else { return Ok(None) };
        let fingerprint = Arc::new(body::decode(&bytes).map_err(StoreError::body(*layer))?);
        self.recent.insert(*layer, Arc::clone(&fingerprint));
        Ok(Some(fingerprint))
    }

    /// Returns the distinct contents of a layer, sorted, without decoding its paths. Nothing is kept.
    pub fn layer_contents(&self, layer: &DiffId) -> Result<Option<Vec<Content>>> {
        let body = self.body(layer)?;
        body.map(|body| body::decode_contents(&body).map_err(StoreError::body(*layer))).transpose()
    }

    /// Returns the entries of a layer as they are encoded.
    fn body(&self, layer: &DiffId) -> Result<Option<Vec<u8>>> {
        let Some(number) = self.state.layer_of_diff_id(layer)? else { return Ok(None) };
        let key = frame_key(Tree::Bodies, layer.as_bytes());
        self.packs.read(self.state.place(number)?, FrameKind::Value, key).map(Some)
    }

    /// Returns a document that came with an image.
    pub fn document(&self, document: &BlobDigest) -> Result<Option<Vec<u8>>> {
        let Some(place) = self.state.document(document)? else { return Ok(None) };
        let key = document.to_key();
        let compressed = self.packs.read(place, FrameKind::Value, frame_key(Tree::Documents, &key))?;
        document_of(&key, &compressed).map(Some)
    }

    /// Returns what every image for a platform has of some contents, which are sorted and differ. Images that have none
    /// of them are left out.
    pub fn overlaps(&self, contents: &[Content], platform: &Platform) -> Result<Vec<Overlap>> {
        let counts = postings::count(&self.state, contents)?;
        let fitting = self.state.fitting(platform)?;
        let mut overlaps = Vec::new();
        self.state.each_row(|image, row| {
            let count = counts.get(row.node as usize).copied().unwrap_or_default();
            let fits = || fitting[image.parts().0].get(row.platform as usize).copied().unwrap_or(false);
            if count.present > 0 && self.state.is_live(image) && fits() {
                overlaps.push(Overlap {
                    image,
                    present: count.present.into(),
                    present_bytes: count.present_bytes,
                    content_count: row.content_count.into(),
                });
            }
        })?;
        Ok(overlaps)
    }

    /// Returns the identity of an image's contents, without reading the image's record.
    pub fn set_id_at(&self, at: ImageAt) -> Result<SetId> {
        self.state.set_id(at)
    }

    /// Returns the identity of an image's contents and its own, by which images are put in an order that does not depend on
    /// when they were stored.
    pub fn key_at(&self, at: ImageAt) -> Result<(SetId, ImageId)> {
        Ok((self.state.set_id(at)?, self.state.image_id(at)?))
    }

    /// Returns true if an image has all layers of a chain, and others above them.
    pub fn is_above(&self, at: ImageAt, chain: &ChainId) -> Result<bool> {
        let Some(below) = self.state.node_of_chain(chain)? else { return Ok(false) };
        let mut node = Some(self.state.row(at)?.node).filter(|node| *node != NO_NODE);
        // Parents have smaller numbers.
        while let Some(number) = node.filter(|node| *node > below) {
            node = self.state.parent(number)?;
            if node == Some(below) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the images that have all layers of a chain, and others above them.
    pub fn images_above(&self, chain: &ChainId) -> Result<Vec<ImageId>> {
        let Some(below) = self.state.node_of_chain(chain)? else { return Ok(Vec::new()) };
        let above = self.state.nodes_above(below)?;
        let stands_above = |at: &ImageAt| {
            let node = self.state.row(*at)?.node;
            Ok(above.get(node as usize).copied().unwrap_or(false).then_some(*at))
        };
        let images: Vec<ImageAt> =
            self.state.images().filter_map(|at| stands_above(&at).transpose()).collect::<Result<_>>()?;
        self.ids(&images)
    }

    fn ids(&self, images: &[ImageAt]) -> Result<Vec<ImageId>> {
        let mut ids: Vec<ImageId> =
            images.iter().map(|at| self.state.image_id(*at)).collect::<Result<_>>()?;
        ids.sort_unstable();
        Ok(ids)
    }
}

fn has_segments(layout: &Layout) -> bool {
    let items = std::fs::read_dir(layout.segments()).into_iter().flatten().flatten();
    items.into_iter().any(|item| item.path().extension().is_some_and(|extension| extension == "segment"))
}

/// Returns true if any commit in the packs is of an image.
fn holds_images(packs: &Packs) -> Result<bool> {
    for piece in packs.walk(packs.start()) {
        let Piece::Frame(frame) = piece? else { continue };
        if frame.kind == FrameKind::Commit as u8 {
            let changes = changes::decode(&frame.payload);
            if changes.is_none_or(|changes| !changes[Tree::Images as usize].is_empty()) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
