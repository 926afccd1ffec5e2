//! What a run tells while it goes, and what it comes to.

use std::time::Duration;

use layerprint_store::id::{BlobDigest, DiffId, ImageId};
use serde::Serialize;

use crate::error::IngestError;

/// Something that happened. Sent from several threads.
#[derive(Debug)]
pub enum Progress<'a> {
    /// An image was found; its layers are being looked at.
    ImageFound,
    /// A layer will be read: so many stored bytes.
    LayerQueued(u64),
    /// An archive will be read front to back: so many stored bytes.
    ArchiveQueued(u64),
    /// All sources have been opened; there is no more to be found.
    Planned,
    /// A layer need not be read: the store or this run has it.
    LayerKnown,
    /// Stored bytes passed.
    Read(u64),
    /// A layer was read.
    LayerRead,
    /// An image is in the store and on the disk (or, for a run that stores nothing, has been read).
    ImageDone(&'a ImageRow),
    /// An image or source could not be read.
    Failed(&'a Failure),
    /// A source needed no look, or is no image.
    Skipped(&'a Skipped),
    /// The store had stored bytes down for another layer than they unpack to, and has the right one now.
    Corrected {
        /// The digest of the bytes.
        digest: BlobDigest,
        /// The layer that the store had.
        wrong: DiffId,
        /// The layer that they unpack to.
        right: DiffId,
    },
    /// The run was asked to stop, and so many layers that were begun take their time.
    Stopping(usize),
}

/// Takes what is told.
pub type Observer<'a> = &'a (dyn Fn(Progress) + Sync);

/// An image that was read.
#[derive(Debug, Clone, Serialize)]
pub struct ImageRow {
    /// The image.
    pub id: ImageId,
    /// Where it was found.
    pub origin: String,
    /// Its names.
    pub names: Vec<String>,
    /// True if the store had it already.
    pub known: bool,
}

/// An image or source that could not be read.
#[derive(Debug)]
pub struct Failure {
    /// Which.
    pub origin: String,
    /// Why.
    pub error: IngestError,
}

/// A source that was passed over.
#[derive(Debug, Clone, Serialize)]
pub struct Skipped {
    /// Which.
    pub origin: String,
    /// Why.
    pub reason: SkipReason,
}

impl Skipped {
    /// Returns what is left to other machines.
    pub(crate) fn of_other_shard(origin: String) -> Self {
        Self { origin, reason: SkipReason::OtherShard }
    }
}

/// Why a source was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// Its size and time are those of the last run, and the store has all its images.
    Unchanged,
    /// It was found in a folder and holds no image.
    NotAnImage,
    /// It is an image for another platform than asked for.
    OtherPlatform,
    /// It falls to another shard, or the source does.
    OtherShard,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// Images that were read or known, in the order in which they were done; without those of unchanged sources.
    pub images: Vec<ImageRow>,
    /// Images that the store did not have.
    pub images_new: u64,
    /// Images that it had.
    pub images_known: u64,
    /// Sources that are as an earlier run left them.
    pub sources_unchanged: u64,
    /// Images that fall to other shards, and sources that do as a whole.
    pub other_shard: u64,
    /// Images and sources that failed, in the order in which they did.
    pub failed: Vec<Failure>,
    /// Sources that were passed over for other reasons.
    pub skipped: Vec<Skipped>,
    /// True if the run was asked to stop and left something undone.
    pub stopped: bool,
    /// Images that were found and left for the next run. There may be more where nobody has looked.
    pub images_left: u64,
    /// How long it took.
    pub elapsed: Duration,
}
