//! What an image says of a layer, true or not, and how the layer's blob lies where it should.

use layerprint_store::id::DiffId;

use super::{Compression, Layer};

#[derive(Debug, Clone, Default)]
pub(super) struct Declared {
    pub(super) created_by: Option<String>,
    pub(super) media_type: Option<String>,
    pub(super) urls: Vec<String>,
    pub(super) diff_id: Option<DiffId>,
    pub(super) stored: Stored,
    pub(super) compression: Option<Compression>,
}

/// How a layer's blob lies in an OCI layout or a `dir:` folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stored {
    /// As a file with the name of its digest.
    #[default]
    Whole,
    /// Not at all, as layouts may do.
    Missing,
    /// Elsewhere in the layout, with a symlink in its place.
    Symlinked,
    /// Under a digest that is not its own; its bytes are intact.
    Misnamed,
}

impl Layer {
    /// Says in the image's history how this layer came about.
    #[must_use]
    pub fn created_by(mut self, step: impl Into<String>) -> Self {
        self.declared.created_by = Some(step.into());
        self
    }

    /// Compresses this layer in its own way, whatever the options say.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.declared.compression = Some(compression);
        self
    }

    /// Declares another media type than the one that fits.
    #[must_use]
    pub fn media_type(mut self, media_type: impl Into<String>) -> Self {
        self.declared.media_type = Some(media_type.into());
        self
    }

    /// Makes this a foreign layer, as Windows bases had until 2023: to be fetched from there, not kept here.
    #[must_use]
    pub fn foreign(mut self, url: impl Into<String>) -> Self {
        self.declared.urls.push(url.into());
        self.media_type("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip").stored(Stored::Missing)
    }

    /// Declares a diff ID in the configuration that is not the layer's.
    #[must_use]
    pub fn declared_diff_id(mut self, diff_id: DiffId) -> Self {
        self.declared.diff_id = Some(diff_id);
        self
    }

    /// Chooses how the blob lies in a layout or folder.
    #[must_use]
    pub fn stored(mut self, stored: Stored) -> Self {
        self.declared.stored = stored;
        self
    }
}
