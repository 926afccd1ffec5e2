//! What can go wrong in the store, and where.
//!
//! Missing, locked, of another version, corrupt and I/O are different things to a caller, so they are
//! different variants. The database beneath is named nowhere here: it is an implementation detail.

use std::io;
use std::path::{Path, PathBuf};

use crate::body::BodyError;
use crate::id::{DiffId, ImageId};

/// Results of the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no store, and none was to be created.
    #[error("{path}: no store here")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The directory holds other things.
    #[error("{path}: not empty and not a store")]
    NotAStore {
        /// The directory.
        path: PathBuf,
    },
    /// Another process has the store open.
    #[error("{path}: store is in use by another process")]
    Locked {
        /// The store.
        path: PathBuf,
    },
    /// The bytes were written by another version.
    #[error("{what}: format version is {found}, this program reads {expected}")]
    FormatVersion {
        /// The file or record.
        what: String,
        /// The version it says.
        found: String,
        /// The version that this program reads and writes.
        expected: u32,
    },
    /// The catalogue did not open in time, as a damaged one may do.
    #[error("{path}: catalogue did not open within {timeout_seconds} s")]
    OpenTimeout {
        /// The catalogue.
        path: PathBuf,
        /// How long it was waited for.
        timeout_seconds: u64,
    },
    /// No index of the store is published.
    #[error("{path}: no index is published")]
    NotPublished {
        /// The store.
        path: PathBuf,
    },
    /// A file of the index is missing, or its bytes are not those that were written. The index can be rebuilt.
    #[error("index {file}: corrupt at offset {offset_bytes}: {problem}")]
    IndexDamaged {
        /// The segment.
        file: String,
        /// Where in it.
        offset_bytes: u64,
        /// What was found.
        problem: String,
    },
    /// Bytes are not those that were written.
    #[error("{what} {key}: corrupt at offset {offset_bytes}: {problem}")]
    Corrupt {
        /// The kind of thing.
        what: &'static str,
        /// Which one: a digest, a key in hexadecimal, or a file name.
        key: String,
        /// Where in it, or in its file.
        offset_bytes: u64,
        /// What was found.
        problem: String,
    },
    /// The operating system refused.
    #[error("{path}: {action}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// The catalogue failed in a way of its own.
    #[error("{path}: catalogue failed: {problem}")]
    Catalogue {
        /// The catalogue.
        path: PathBuf,
        /// What it said.
        problem: String,
    },
    /// An earlier commit failed half way; what is on disk is unknown until the store is opened again.
    #[error("{path}: an earlier commit failed, open the store again")]
    Poisoned {
        /// The store.
        path: PathBuf,
    },
    /// A thing is larger than the format allows.
    #[error("{what}: {found} is more than {max}")]
    TooLarge {
        /// The thing.
        what: String,
        /// How much there is.
        found: u64,
        /// How much there may be.
        max: u64,
    },
    /// The fingerprint of a layer could not be read when the index was built.
    #[error("layer {layer}: its fingerprint is damaged or lost")]
    UnreadableLayer {
        /// The layer.
        layer: DiffId,
    },
    /// An image refers to a layer that was not put first.
    #[error("image {image}: layer {layer} is not in the store")]
    MissingLayer {
        /// The image.
        image: ImageId,
        /// The layer.
        layer: DiffId,
    },
    /// An image is already stored with other layers, and the new ones contradict its configuration.
    #[error("image {image}: stored with other layers, and these do not match its configuration")]
    ImageConflict {
        /// The image.
        image: ImageId,
    },
    /// A reference that cannot be a key.
    #[error("name {name:?}: {problem}")]
    InvalidName {
        /// The reference.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nothing goes by this text.
    #[error("{text:?}: no image or layer of that name or id")]
    NotFound {
        /// The text.
        text: String,
    },
    /// Several things go by this text.
    #[error("{text:?}: could be any of {}", matches.join(", "))]
    Ambiguous {
        /// The text.
        text: String,
        /// The first of them.
        matches: Vec<String>,
    },
}

impl StoreError {
    /// Returns true if the index is damaged or a part of it is gone: it can be rebuilt from the packs.
    pub fn is_index_damage(&self) -> bool {
        matches!(self, Self::IndexDamaged { .. })
    }

    /// Says what was tried on which path, for `map_err`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), action, source }
    }

    /// Says which body of which layer is bad, for `map_err`.
    pub(crate) fn body(layer: DiffId) -> impl FnOnce(BodyError) -> Self {
        move |error| match error {
            BodyError::Version { found, expected } => Self::FormatVersion {
                what: format!("fingerprint {layer}"),
                found: found.to_string(),
                expected: expected.into(),
            },
            BodyError::TooLarge { what, found, max } => {
                Self::TooLarge { what: format!("fingerprint {layer}: {what}"), found, max }
            }
            BodyError::Malformed { what, offset_bytes } => Self::Corrupt {
                what: "fingerprint",
                key: layer.to_string(),
                offset_bytes,
                problem: what.to_owned(),
            },
        }
    }
}
