//! The image that is asked about: stored, or only read.

use std::collections::HashMap;
use std::sync::Arc;

use layerprint_store::id::{ContentId, DiffId, ImageId};
use layerprint_store::{Fingerprint, ImageRecord, Index, MergedView, Result, StoreError};

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
    pub fn stored(index: &Index, id: &ImageId) -> Result<Self> {
        let record = index.image(id)?.ok_or_else(|| StoreError::NotFound { text: id.to_string() })?;
        let layers = Layers::stored(index, &record.layers)?;
        Ok(Self { names: index.names_of(id)?, record, layers })
    }
}

impl Layers {
    /// Reads stored layers.
    pub fn stored(index: &Index, layers: &[DiffId]) -> Result<Self> {
        let read = |layer: &DiffId| {
            let fingerprint = index.fingerprint(layer)?;
            fingerprint.ok_or_else(|| StoreError::NotFound { text: layer.to_string() })
        };
        layers.iter().map(read).collect::<Result<_>>().map(Self)
    }

    /// Returns them, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = &Fingerprint> {
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
