//! What the threads of a run say to one another.

use std::path::Path;
use std::sync::Arc;

use layerprint_store::id::{BlobDigest, DiffId};

use crate::codec::Codec;
use crate::discover::Found;
use crate::error::{IngestError, LayerError};
use crate::layer::Promise;
use crate::plan::ImagePlan;
use crate::progress::{Failure, ImageRow, Skipped};
use crate::seen::Seen;
use crate::tree::FileRange;

/// Tells one reading of bytes from all others: the file, the offset in it, and what is promised of them: digest, size and
/// compression. One image's false promise about a layer must not become the failure of another that tells the truth.
pub(crate) type LayerKey = (Arc<Path>, u64, Option<BlobDigest>, Option<u64>, Option<Codec>);

/// Something for a worker to do.
pub(crate) enum Job {
    /// Open a source whose layers are read on the way.
    Open(usize, Found),
    /// Read a layer.
    Read(LayerKey, FileRange, Box<Promise>),
    /// Merge the layers of an image and hand it on.
    Finish(Box<ReadyImage>),
}

/// Something for the collector to know. Sources go by their number in the run.
pub(crate) enum Event {
    /// A source is about to be opened.
    SourceOpened(usize, Option<Seen>),
    /// All images of a source have been told of.
    SourceClosed(usize),
    /// A source was passed over; so many of its images are known.
    Skipped(Skipped, u64),
    /// An image was found that the store knows.
    Known(usize, ImageRow),
    /// An image was found. Its layers are known, or will be told of by their keys.
    Image(Box<PlannedImage>),
    /// A layer was read, or could not be.
    Layer(LayerKey, Result<DiffId, Arc<LayerError>>),
    /// An image went to the sink.
    Finished(usize, ImageRow),
    /// An image could not be finished.
    Unfinished(usize, Failure),
    /// A source, or an image that never was planned, failed.
    Failed(Option<usize>, Failure),
    /// So many images of a source, or more, are left for another run.
    Left(usize, u64),
    /// There are no more sources, or the rest is left for another run.
    Planned { all: bool },
    /// The run cannot go on.
    Fatal(IngestError),
}

/// An image and what is known of its layers.
pub(crate) struct PlannedImage {
    pub(crate) source: usize,
    pub(crate) plan: ImagePlan,
    pub(crate) layers: Vec<LayerState>,
    /// True if it holds one of the planner's permits.
    pub(crate) permitted: bool,
}

/// How a layer of a planned image is known.
pub(crate) enum LayerState {
    Known(DiffId),
    Pending(LayerKey),
    Broken(Arc<LayerError>),
}

/// An image all of whose layers are known.
pub(crate) struct ReadyImage {
    pub(crate) source: usize,
    pub(crate) plan: ImagePlan,
    pub(crate) layers: Vec<DiffId>,
}
