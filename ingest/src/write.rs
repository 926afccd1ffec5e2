//! Composes container images and writes them in every form that images are kept in.
//!
//! An [`Image`] is a stack of [`Layer`]s and what its configuration says of them; one function per form writes
//! it and returns the identities of what was written, so that a reader can be compared exactly. Equal input
//! makes equal bytes. Layers stream from disk to disk: no more than one buffer of a file added by
//! [`Layer::file_from`] is held. What is asked for is written, right or wrong; judging it is left to readers.
//!
//! ```
//! use layerprint_ingest::write::{Compression, Image, Layer, Options, oci_layout};
//!
//! let folder = tempfile::tempdir()?;
//! let base = Image::new("base:1").layer(Layer::new().dir("etc/").file("etc/motd", "hi\n").file("etc/issue", ""));
//! let app = base.clone().named("app:1").layer(Layer::new().file("srv/app", "run").whiteout("etc/issue"));
//! let options = Options { compression: Compression::Zstd, ..Options::default() };
//!
//! let written = oci_layout(&[base, app], &folder.path().join("images"), &options)?;
//! assert_eq!(written.images[0].layers[0], written.images[1].layers[0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::io;
use std::path::{Path, PathBuf};

use layerprint_store::id::{BlobDigest, DiffId, ImageId};

mod bundle;
mod compress;
mod declared;
mod digest;
mod disk;
mod docker;
mod docker_25;
mod entry;
mod estargz;
mod extension;
mod extras;
mod flatten;
mod forms;
mod image;
mod layer;
mod layout;
mod media_types;
mod names;
mod rootfs;
#[cfg(test)]
mod tests;

pub use compress::Compression;
pub use declared::Stored;
pub use digest::Algorithm;
pub use docker::{DockerSave, docker_archive};
pub use entry::LongNames;
pub use forms::{Form, forms};
pub use image::Image;
pub use layer::Layer;
pub use layout::{oci_archive, oci_layout, skopeo_dir};
pub use media_types::MediaTypes;
pub use rootfs::rootfs_archive;

/// How images are written. A form passes over what it has no place for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How layers are compressed that do not say so themselves; `Gzip` unless told.
    pub compression: Compression,
    /// How an archive is compressed as a whole; `None` unless told.
    pub outer: Compression,
    /// The algorithm of all blob digests in an OCI layout.
    pub algorithm: Algorithm,
    /// Whose media types manifests, configurations and layers have.
    pub media_types: MediaTypes,
    /// Names images in `index.json` as containerd does, instead of as skopeo does.
    pub containerd_names: bool,
    /// How many indexes lie between `index.json` and a manifest. From 1 on, images of one name share one.
    pub index_depth: usize,
    /// What else `index.json` lists.
    pub extras: Vec<Extra>,
    /// Puts `manifest.json` (or `index.json`) at an archive's begin instead of its end.
    pub manifest_first: bool,
    /// Puts symlinks to layers in front of the layers that they lead to.
    pub links_first: bool,
    /// Writes OCI manifests without layers, as the first releases of Docker 25 did.
    pub layerless_manifests: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            compression: Compression::Gzip,
            outer: Compression::None,
            algorithm: Algorithm::default(),
            media_types: MediaTypes::default(),
            containerd_names: false,
            index_depth: 0,
            extras: Vec::new(),
            manifest_first: false,
            links_first: false,
            layerless_manifests: false,
        }
    }
}

/// A row of `index.json` that is no image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// An artifact manifest: its configuration is the empty JSON object.
    Artifact,
    /// A blob of a media type that nobody knows, which readers must pass over.
    UnknownType,
}

/// What was written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The word in front of the path in a reference (`oci`, `docker-archive`), empty for a root file system.
    pub transport: &'static str,
    /// The folder or file.
    pub path: PathBuf,
    /// One for each image, in the order given.
    pub images: Vec<WrittenImage>,
}

/// The identities of an image as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WrittenImage {
    /// Its names, where the form keeps any.
    pub names: Vec<String>,
    /// The SHA-256 of its configuration, where the form keeps one.
    pub image_id: Option<ImageId>,
    /// The digest that the manifest gives for the configuration.
    pub config_digest: Option<BlobDigest>,
    /// The digest of its manifest, where the form has one.
    pub manifest_digest: Option<BlobDigest>,
    /// Its layers from the bottom up.
    pub layers: Vec<WrittenLayer>,
}

/// The identities of a layer as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenLayer {
    /// The digest of its tar, whatever the configuration declares.
    pub diff_id: DiffId,
    /// The digest that the manifest gives for its blob.
    pub digest: BlobDigest,
    /// The size of its blob.
    pub size_bytes: u64,
    /// The media type declared, empty in a form that declares none.
    pub media_type: String,
}

impl Written {
    /// Returns how a user names the image: `oci:DIR:REF`, `docker-archive:FILE:REF`, `dir:DIR`, or the path alone.
    ///
    /// An image without a name in an archive of Docker's is named by its position, `@0`.
    pub fn reference(&self, image: usize) -> String {
        let path = self.path.display();
        match (self.transport, self.images[image].names.first()) {
            ("", _) => path.to_string(),
            (transport, Some(name)) => format!("{transport}:{path}:{name}"),
            ("docker-archive", None) => format!("docker-archive:{path}:@{image}"),
            (transport, None) => format!("{transport}:{path}"),
        }
    }
}

/// Why an image was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A file that was to become part of a layer.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file had another size when its contents were read than when its header was written.
    #[error("{}: size is {found} bytes, was {expected} at first", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its size afterwards.
        found: u64,
        /// Its size when the header was written.
        expected: u64,
    },
    /// The destination.
    #[error("{}: cannot be written", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes whose entries are not known cannot be merged with others.
    #[error("layer {layer}: holds raw bytes, which cannot be flattened")]
    RawLayer {
        /// Counted from the bottom, from 0.
        layer: usize,
    },
}

/// Gives an I/O error its place, unless it carries one of ours that knows better.
fn at(path: &Path) -> impl Fn(io::Error) -> WriteError + '_ {
    |error| match error.downcast::<WriteError>() {
        Ok(inner) => inner,
        Err(source) => WriteError::Write { path: path.to_owned(), source },
    }
}
