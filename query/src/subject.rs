//! The image that is asked about: stored, or only read.

use std::collections::HashMap;
use std::sync::Arc;

use layerprint_store::id::{ContentId, DiffId, ImageId};
use layerprint_store::{Fingerprint, ImageRecord, MergedView, Result, Store, StoreError};

/// An image with the entries of its layers.
pub struct Subject {
    /// What is known of it.
    pub record: ImageRecord,
    /// Its names.
    pub names: Vec<String>,
    /// Its layers, lowest first.
    pub layers: Layers,
}

/// A stack of layers, lowest first.
pub struct Layers(Vec<Arc<Fingerprint>>);

impl Subject {
    /// Takes an image that was read, with its layers, lowest first.
    pub fn new(record: ImageRecord, names: Vec<String>, layers: Vec<Arc<Fingerprint>>) -> Self {
        Self { record, names, layers: Layers(layers) }
    }

    /// Takes a stored image.
    pub fn stored(store: &Store, id: &ImageId) -> Result<Self> {
        let record = store.image(id)?.ok_or_else(|| StoreError::NotFound { text: id.to_string() })?;
        let layers = Layers::stored(store, &record.layers)?;
        Ok(Self { names: store.names_of(id)?, record, layers })
    }
}

impl Layers {
    /// Reads stored layers.
    pub fn stored(store: &Store, layers: &[DiffId]) -> Result<Self> {
        let read = |layer: &DiffId| {
            let fingerprint = store.fingerprint(layer)?;
            fingerprint.map(Arc::new).ok_or_else(|| StoreError::NotFound { text: layer.to_string() })
        };
        layers.iter().map(read).collect::<Result<_>>().map(Self)
    }

    /// Returns them, lowest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Fingerprint> {
        self.0.iter().map(|layer| &**layer)
    }

    /// Merges them: the files as a container would see them.
    pub fn view(&self) -> MergedView<'_> {
        MergedView::of(self.iter())
    }
}

/// Returns the sizes of the distinct, non-empty contents of a view.
pub(crate) fn contents_of(view: &MergedView) -> HashMap<ContentId, u64> {
    view.contents().into_iter().map(|content| (content.id, content.size_bytes)).collect()
}
