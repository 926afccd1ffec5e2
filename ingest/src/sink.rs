//! Where layers and images go when they have been read: into the store, or into memory for one question.
//!
//! Both look up what is stored first, so that nothing that is known is read again.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use layerprint_store::id::{BlobDigest, DiffId, ImageId};
use layerprint_store::{
    BlobRecord, Fingerprint, ImageRecord, Index, RecentLayers, Stacks, Steps, Store, StoreError,
};

use crate::codec::Codec;
use crate::image::KeptDocument;
use crate::layer::LayerRead;
use crate::memory::Budget;
use crate::pipeline::Options;
use crate::plan::ImagePlan;
use crate::spill::HeldLayers;
use crate::tree::LayerKnown;

/// Takes what has been read. Called from several threads.
pub(crate) trait Sink: Sync {
    /// Returns the layer that these stored bytes unpack to, if it need not be read. A manifest calls them by this media type.
    fn layer_of_blob(&self, digest: &BlobDigest, media_type: &str) -> Result<Option<DiffId>, StoreError>;
    /// Takes an image that the store knows by its manifest, if nothing of it need be read.
    fn put_known_image(&self, plan: &ImagePlan) -> Result<Option<ImageId>, StoreError>;
    /// Adds what an image calls the stored bytes of a layer that has been taken.
    fn note_media_type(&self, digest: &BlobDigest, media_type: &str) -> Result<(), StoreError>;
    /// Returns true if a layer need not be read.
    fn has_layer(&self, diff_id: &DiffId) -> Result<bool, StoreError>;
    /// Takes a layer.
    fn put_layer(&self, layer: LayerRead, media_type: &str) -> Result<LayerKnown, StoreError>;
    /// Returns the entries of a layer that was taken, or that the store has.
    fn fingerprint(&self, diff_id: &DiffId) -> Result<Option<Arc<Fingerprint>>, StoreError>;
    /// Returns what makes views of layers that were taken.
    fn stacks(&self) -> &Stacks;
    /// Takes an image all of whose layers are there, with its origin and names, and what is known of its layers. Returns
    /// false if the store had it already.
    fn put_image(
        &self,
        record: ImageRecord,
        row: (&str, &[String]),
        documents: Vec<KeptDocument>,
        steps: Steps,
    ) -> Result<bool, StoreError>;
}

/// An image that was read and not stored.
#[derive(Debug, Clone)]
pub struct ImageRead {
    /// Where it was found.
    pub origin: String,
    /// What is known of it.
    pub record: ImageRecord,
    /// Its names.
    pub names: Vec<String>,
    /// The entries of its layers, lowest first.
    pub layers: Vec<Arc<Fingerprint>>,
}

/// Puts everything into a store, without committing.
pub(crate) struct StoreSink<'a> {
    store: &'a Store,
    options: &'a Options,
    recent: RecentLayers,
    stacks: Stacks,
    /// Layers that were found whole, where a run looks.
    whole: Mutex<HashSet<DiffId>>,
}

impl<'a> StoreSink<'a> {
    pub(crate) fn new(store: &'a Store, options: &'a Options, budget: Budget) -> Self {
        let recent = RecentLayers::with_room(budget.recent_bytes);
        let stacks = Stacks::with_room(budget.stack_bytes);
        Self { store, options, recent, stacks, whole: Mutex::default() }
    }

    /// Returns true if a layer need not be read. A run that looks again at everything reads what is stored of it.
    fn has_whole_layer(&self, diff_id: &DiffId) -> Result<bool, StoreError> {
        if !self.options.rescan {
            return self.store.has_layer(diff_id);
        }
        if lock(&self.whole).contains(diff_id) {
            return Ok(true);
        }
        let is_whole = self.store.has_layer(diff_id)? && self.store.is_whole(diff_id)?;
        if is_whole {
            lock(&self.whole).insert(*diff_id);
        }
        Ok(is_whole)
    }

    /// Returns true if all that an image is made of is stored, so that nothing of it need be read.
    fn is_complete(&self, record: &ImageRecord) -> Result<bool, StoreError> {
        for layer in &record.layers {
            if !self.has_whole_layer(layer)? {
                return Ok(false);
            }
        }
        for document in &record.documents {
            let is_there = match self.options.rescan {
                true => matches!(self.store.document(&document.digest), Ok(Some(_))),
                false => self.store.has_document(&document.digest)?,
            };
            if !is_there {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn put_seen(&self, record: &ImageRecord, names: &[String], steps: Steps) -> Result<bool, StoreError> {
        let now_unix_s = self.options.now_unix_s();
        let names: Vec<_> = names.iter().map(|name| (name.clone(), now_unix_s)).collect();
        self.store.put_image_seen(record, &names, steps)
    }

    /// Returns true if a reference stands for an image already: none was seen under it later.
    fn stands_for(&self, name: &str, image: &ImageId) -> Result<bool, StoreError> {
        Ok(self.store.images_named(name)?.first().is_some_and(|latest| latest.image == *image))
    }
}

impl Sink for StoreSink<'_> {
    fn put_known_image(&self, plan: &ImagePlan) -> Result<Option<ImageId>, StoreError> {
        let Some(manifest) = &plan.manifest else { return Ok(None) };
        let Some(id) = self.store.image_of_manifest(manifest)? else { return Ok(None) };
        let Some(record) = self.store.image(&id)?.filter(|record| brings_nothing(plan, record)) else {
            return Ok(None);
        };
        if !self.is_complete(&record)? {
            return Ok(None);
        }
        let stand = plan.names.iter().map(|name| self.stands_for(name, &record.id));
        if !stand.collect::<Result<Vec<_>, _>>()?.iter().all(|stands| *stands) {
            self.put_seen(&record, &plan.names, Steps::default())?;
        }
        Ok(Some(record.id))
    }

    fn layer_of_blob(&self, digest: &BlobDigest, media_type: &str) -> Result<Option<DiffId>, StoreError> {
        let Some(known) = self.store.blob(digest)? else { return Ok(None) };
        let is_whole = self.has_whole_layer(&known.diff_id)?;
        let (before, here) = (Codec::of_media_type(&known.media_type), Codec::of_media_type(media_type));
        if before.is_some() && here.is_some() && before != here {
            // One of the two is wrong, which is noted when the layer is read.
            return Ok(None);
        }
        Ok(Some(known.diff_id).filter(|_| is_whole))
    }

    fn note_media_type(&self, digest: &BlobDigest, media_type: &str) -> Result<(), StoreError> {
        match self.store.blob(digest)? {
            Some(known) if known.media_type.as_str() < media_type => {
                self.store.put_blob(digest, &BlobRecord { media_type: media_type.to_owned(), ..known })
            }
            _ => Ok(()),
        }
    }

    fn has_layer(&self, diff_id: &DiffId) -> Result<bool, StoreError> {
        self.has_whole_layer(diff_id)
    }

    fn put_layer(&self, layer: LayerRead, media_type: &str) -> Result<LayerKnown, StoreError> {
        let known = LayerKnown { digest: layer.digest, diff_id: layer.record.diff_id };
        self.store.put_layer(&layer.record, &layer.fingerprint)?;
        let blob = BlobRecord { diff_id: known.diff_id, media_type: media_type.to_owned() };
        self.store.put_blob(&known.digest, &blob)?;
        self.recent.insert(known.diff_id, Arc::new(layer.fingerprint));
        Ok(known)
    }

    fn fingerprint(&self, diff_id: &DiffId) -> Result<Option<Arc<Fingerprint>>, StoreError> {
        if let Some(found) = self.recent.get(diff_id) {
            return Ok(Some(found));
        }
        let found = self.store.fingerprint(diff_id)?.map(Arc::new);
        if let Some(fingerprint) = &found {
            self.recent.insert(*diff_id, fingerprint.clone());
        }
        Ok(found)
    }

    fn stacks(&self) -> &Stacks {
        &self.stacks
    }

    fn put_image(
        &self,
        record: ImageRecord,
        (_origin, names): (&str, &[String]),
        documents: Vec<KeptDocument>,
        steps: Steps,
    ) -> Result<bool, StoreError> {
        for (digest, bytes) in documents {
            self.store.put_document(&digest, &bytes)?;
        }
        self.put_seen(&record, names, steps)
    }
}

/// Keeps everything in memory, beside what is published of a store.
pub(crate) struct MemorySink<'a> {
    index: Option<&'a Index>,
    layers: HeldLayers,
    blobs: Mutex<HashMap<BlobDigest, DiffId>>,
    stacks: Stacks,
    /// Their layers are filled in at the end.
    images: Mutex<Vec<ImageRead>>,
}

impl<'a> MemorySink<'a> {
    pub(crate) fn new(index: Option<&'a Index>, budget: Budget) -> Self {
        Self {
            index,
            // Few images of one question share a stack: most of the room is for layers.
            layers: HeldLayers::new(budget.stack_bytes),
            blobs: Mutex::default(),
            stacks: Stacks::with_room(budget.recent_bytes),
            images: Mutex::default(),
        }
    }

    /// Returns what was read, by origin: the threads finish in any order. Layers that the store has are read from it
    /// when their image's turn comes.
    pub(crate) fn into_images(self) -> impl Iterator<Item = Result<ImageRead, StoreError>> + use<'a> {
        let mut images = std::mem::take(&mut *lock(&self.images));
        images.sort_by(|a, b| (&a.origin, a.record.id).cmp(&(&b.origin, b.record.id)));
        images.into_iter().map(move |mut image| {
            for layer in &image.record.layers {
                let fingerprint = self.fingerprint(layer)?;
                image.layers.push(fingerprint.expect("an image is taken only with all its layers"));
            }
            Ok(image)
        })
    }
}

impl Sink for MemorySink<'_> {
    fn put_known_image(&self, plan: &ImagePlan) -> Result<Option<ImageId>, StoreError> {
        let (Some(index), Some(manifest)) = (self.index, &plan.manifest) else { return Ok(None) };
        let row = (&*plan.origin, &*plan.names);
        let Some(record) = known_image(index, manifest)? else { return Ok(None) };
        self.put_image(record.clone(), row, Vec::new(), Steps::default())?;
        Ok(Some(record.id))
    }

    fn layer_of_blob(&self, digest: &BlobDigest, _media_type: &str) -> Result<Option<DiffId>, StoreError> {
        if let Some(found) = lock(&self.blobs).get(digest) {
            return Ok(Some(*found));
        }
        self.index.map_or(Ok(None), |index| index.layer_of_blob(digest))
    }

    fn note_media_type(&self, _digest: &BlobDigest, _media_type: &str) -> Result<(), StoreError> {
        Ok(())
    }

    fn has_layer(&self, diff_id: &DiffId) -> Result<bool, StoreError> {
        if self.layers.contains(diff_id) {
            return Ok(true);
        }
        self.index.map_or(Ok(false), |index| index.has_layer(diff_id))
    }

    fn put_layer(&self, layer: LayerRead, _media_type: &str) -> Result<LayerKnown, StoreError> {
        let known = LayerKnown { digest: layer.digest, diff_id: layer.record.diff_id };
        lock(&self.blobs).insert(known.digest, known.diff_id);
        self.layers.insert(known.diff_id, layer.fingerprint)?;
        Ok(known)
    }

    fn fingerprint(&self, diff_id: &DiffId) -> Result<Option<Arc<Fingerprint>>, StoreError> {
        if let Some(found) = self.layers.get(diff_id)? {
            return Ok(Some(found));
        }
        self.index.map_or(Ok(None), |index| index.fingerprint(diff_id))
    }

    fn stacks(&self) -> &Stacks {
        &self.stacks
    }

    fn put_image(
        &self,
        record: ImageRecord,
        (origin, names): (&str, &[String]),
        _documents: Vec<KeptDocument>,
        _steps: Steps,
    ) -> Result<bool, StoreError> {
        let new =
            self.index.map_or(Ok(true), |index| index.image(&record.id).map(|known| known.is_none()))?;
        let layers = Vec::new();
        lock(&self.images).push(ImageRead {
            origin: origin.to_owned(),
            record,
            names: names.to_vec(),
            layers,
        });
        Ok(new)
    }
}

/// Returns true if a source that names an image by its manifest says nothing of it that is not stored.
fn brings_nothing(plan: &ImagePlan, record: &ImageRecord) -> bool {
    let is_kept = |digest: &BlobDigest| record.documents.iter().any(|kept| kept.digest == *digest);
    plan.documents.iter().all(|(_, digest, _)| is_kept(digest)) && plan.platform <= record.platform
}

fn known_image(index: &Index, manifest: &BlobDigest) -> Result<Option<ImageRecord>, StoreError> {
    index.image_of_manifest(manifest)?.map_or(Ok(None), |id| index.image(&id))
}

/// A thread that panicked has been reported; what it held is whole, for every change here is a single step.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
