//! What can be wrong with a source, an image or a layer.

use std::io;
use std::path::{Path, PathBuf};

use layerprint_store::StoreError;
use layerprint_store::id::BlobDigest;

use crate::tar::TarError;

/// Why an image could not be read.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Nothing at this path is an image in a form that we read.
    #[error("{origin}: not a container image: {found}")]
    NotAnImage {
        /// Where.
        origin: String,
        /// What was found instead.
        found: String,
    },
    /// A form that is recognised and not read.
    #[error("{origin}: {what} is not supported")]
    Unsupported {
        /// Where.
        origin: String,
        /// The form.
        what: String,
    },
    /// A manifest, index or configuration that cannot be what it should be.
    #[error("{origin}: {document}: {reason}")]
    Document {
        /// Where.
        origin: String,
        /// Which document: its path or digest.
        document: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something that a manifest names is not there.
    #[error("{origin}: {what} is missing")]
    Missing {
        /// Where it was looked for.
        origin: String,
        /// What: a path or digest.
        what: String,
    },
    /// The source has images, but not the one asked for.
    #[error("{origin}: no image {wanted:?}; there is {}", list(known))]
    UnknownReference {
        /// Where.
        origin: String,
        /// The reference or platform asked for.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A limit of [`crate::Limits`] was passed outside any layer.
    #[error("{origin}: more than {limit} ({max})")]
    Limit {
        /// Where.
        origin: String,
        /// The limit's name.
        limit: &'static str,
        /// Its value.
        max: u64,
    },
    /// A layer of the image is broken.
    #[error("layer {index} ({layer}): {source}")]
    Layer {
        /// Its place in the image, from 0 for the lowest.
        index: usize,
        /// Its digest or path.
        layer: String,
        /// What is wrong.
        source: std::sync::Arc<LayerError>,
    },
    /// The archive around the images is broken.
    #[error("{origin}: {source}")]
    Archive {
        /// The archive.
        origin: String,
        /// What is wrong.
        source: LayerError,
    },
    /// The run was asked to stop before this was read.
    #[error("{origin}: not read, the run was stopped")]
    Stopped {
        /// The source.
        origin: String,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a layer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The bytes are not those that the manifest promised.
    #[error("digest is {found}, expected {expected}")]
    DigestMismatch {
        /// Computed. Boxed, as is the other: together they would make every error four times as large.
        found: Box<BlobDigest>,
        /// Promised.
        expected: Box<BlobDigest>,
    },
    /// More or fewer bytes than promised.
    #[error("size is {found} bytes, expected {expected}")]
    SizeMismatch {
        /// Read.
        found: u64,
        /// Promised.
        expected: u64,
    },
    /// The compressed stream is broken.
    #[error("{codec} stream, after {offset_bytes} bytes of output: {source}")]
    Codec {
        /// The compression.
        codec: &'static str,
        /// How much had come out.
        offset_bytes: u64,
        /// What the decompressor said.
        source: io::Error,
    },
    /// A compression that is recognised and not read.
    #[error("{codec} compression is not supported")]
    UnsupportedCodec {
        /// The compression.
        codec: &'static str,
    },
    /// The tar is broken.
    #[error(transparent)]
    Tar(TarError),
    /// A limit of [`crate::Limits`] was passed.
    #[error("more than {limit} ({max})")]
    Limit {
        /// The limit's name.
        limit: &'static str,
        /// Its value.
        max: u64,
    },
    /// The source does not hold the layer.
    #[error("{what} is missing")]
    Missing {
        /// Its name or digest.
        what: String,
    },
    /// The run was asked to stop before this was read.
    #[error("not read, the run was stopped")]
    Stopped,
    /// The store cannot hold it. Boxed, for its size.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// A mistake of ours; please report it.
    #[error("internal error: {what}")]
    Internal {
        /// What was promised and did not hold.
        what: String,
    },
    /// Reading failed below.
    #[error(transparent)]
    Io(io::Error),
}

impl From<TarError> for LayerError {
    /// Takes the error of a stage below out of the one that it passed through.
    fn from(error: TarError) -> Self {
        match error {
            TarError::Io { source, .. } => Self::of_stream(source),
            error => Self::Tar(error),
        }
    }
}

impl IngestError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// Returns what the user may do about it, if we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotAnImage { found, .. } if found.contains("root file system") => {
                Some("write rootfs:PATH to read it as one".into())
            }
            Self::NotAnImage { .. } => Some(
                "layerprint reads docker save and OCI archives, OCI layouts, skopeo dir: folders, and root \
                 file systems (rootfs:PATH)"
                    .into(),
            ),
            Self::UnknownReference { .. } => Some("leave the reference out to take all of them".into()),
            _ => None,
        }
    }
}

fn list(known: &[String]) -> String {
    const SHOWN: usize = 10;
    match known.len() {
        0 => "none".into(),
        n if n > SHOWN => format!("{} and {} more", known[..SHOWN].join(", "), n - SHOWN),
        _ => known.join(", "),
    }
}
