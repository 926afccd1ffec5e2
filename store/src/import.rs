//! What another store exported, joined with this one as if its images had been ingested here.
//!
//! Nothing of an export is believed that can be checked: frames by their checksums (`export::frames`), layers, documents, images
//! and blobs by what they say of each other (`check`). What is left is two things that only a layer's own bytes could
//! prove: which files a diff ID has, and which diff ID a blob unpacks to. Where the store knows better it keeps what it has, and
//! tells of the conflict.
//!
//! Read front to back with bounded memory, and committed in groups. An export that turns out to be broken stops there; what was
//! committed before stays, and is whole, because an image comes after its layers.

mod check;

use std::collections::HashSet;
use std::io::{self, Read};

use rayon::prelude::*;
use serde::Serialize;

use crate::error::StoreError;
use crate::export::frames::{Frame, FrameReader, Kind};
use crate::id::{BlobDigest, DiffId, ImageId};
use crate::recent::RecentLayers;
use crate::record::ImageRecord;
use crate::stack::{Stacks, Steps};
use crate::store::{BlobRecord, Store};
use check::{BlobFrame, DocumentFrame, ImageFrame, LayerFrame, Verdict};

/// Frames that are checked together, on all cores.
const BATCH_FRAMES_MAX: usize = 1024;
/// Their bytes, but for the last one.
const BATCH_BYTES_MAX: usize = 16 << 20;
/// Frames that are committed together: each commit waits for the disk, and makes a segment of the index.
const GROUP_FRAMES_MAX: usize = 4096;
/// Their bytes.
const GROUP_BYTES_MAX: usize = 256 << 20;
/// Entries of layers that are kept while images are checked, some 15 MiB.
const RECENT_ENTRIES_MAX: u64 = 100_000;
/// Entries of stacks that are kept because images share them, some 60 MiB.
const STACK_ENTRIES_MAX: u64 = 300_000;

/// Says what is wrong with an image, given its configuration if that is among its documents. What configurations look like is not
/// the store's business.
pub type CheckConfig<'a> = &'a (dyn Fn(&ImageRecord, Option<&[u8]>) -> Result<(), String> + Sync);

/// Something that happened on the way.
#[derive(Debug)]
pub enum ImportEvent<'a> {
    /// So many bytes have been read in all.
    Read(u64),
    /// The store has something else under this identity, and keeps it.
    Conflict(&'a Conflict),
}

/// Two stores say different things, of which one is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Of a layer.
    #[error("layer {0}: stored with other files")]
    Layer(DiffId),
    /// Of an image.
    #[error("image {0}: stored with other layers, and these do not match its configuration")]
    Image(ImageId),
    /// Of an image with a layer that is in conflict.
    #[error("image {0}: does not match the stored files of its layers")]
    ImageFiles(ImageId),
    /// Of the stored form of a layer.
    #[error("blob {0}: stored as that of another layer")]
    Blob(BlobDigest),
}

/// What an import came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Layers that the store did not have.
    pub layers_new: u64,
    /// Layers that it had.
    pub layers_known: u64,
    /// Documents that it did not have.
    pub documents_new: u64,
    /// Documents that it had.
    pub documents_known: u64,
    /// Images that it did not have.
    pub images_new: u64,
    /// Images that it had.
    pub images_known: u64,
    /// Stored forms of layers that it did not have.
    pub blobs_new: u64,
    /// Stored forms of layers that it had.
    pub blobs_known: u64,
    /// Layers, images and blobs that it has otherwise.
    pub conflicts: u64,
    /// Bytes read.
    pub read_bytes: u64,
}

/// Why an import stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The bytes are something else.
    #[error("not an export of a layerprint store")]
    NotAnExport,
    /// Another version wrote it.
    #[error("export: format version is {found}, this program reads {expected}")]
    Version {
        /// The version it says.
        found: u32,
        /// The version that this program reads and writes.
        expected: u32,
    },
    /// The export ends too early.
    #[error("ends at offset {offset_bytes}, within the {what} that begins at {start_bytes}")]
    Truncated {
        /// Where.
        offset_bytes: u64,
        /// Within what.
        what: &'static str,
        /// Where that begins.
        start_bytes: u64,
    },
    /// The bytes are not those that were written, or make no sense.
    #[error("{what} at offset {offset_bytes}: {problem}")]
    Malformed {
        /// The kind of frame.
        what: &'static str,
        /// Where it begins.
        offset_bytes: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A frame is longer than the format allows.
    #[error("{what} at offset {offset_bytes}: {found} bytes are more than {limit} ({max})")]
    TooLarge {
        /// The kind of frame.
        what: &'static str,
        /// Where it begins.
        offset_bytes: u64,
        /// How long it says it is.
        found: u64,
        /// The limit's name.
        limit: &'static str,
        /// Its value.
        max: u64,
    },
    /// The export cannot be read.
    #[error("read at offset {offset_bytes}: {source}")]
    Read {
        /// How much was read before.
        offset_bytes: u64,
        /// What the operating system said.
        source: io::Error,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ImportError {
    pub(crate) fn malformed(what: &'static str, offset_bytes: u64, problem: impl Into<String>) -> Self {
        Self::Malformed { what, offset_bytes, problem: problem.into() }
    }
}

type Result<T, E = ImportError> = std::result::Result<T, E>;

impl Store {
    /// Adds what another store exported. When this returns, what it counts is on the disk.
    ///
    /// # Errors
    ///
    /// Stops at the first thing that is wrong with the export; what was checked and put before it stays.
    pub fn import(
        &self,
        input: impl Read,
        check_config: CheckConfig,
        observer: &mut dyn FnMut(ImportEvent),
    ) -> Result<Imported> {
        let imported = Importer::new(self, check_config, observer).read(input);
        // Also if it failed: what is left uncommitted would go with whatever is committed next, or with nothing.
        let committed = self.commit();
        let imported = imported?;
        committed?;
        Ok(imported)
    }
}

/// An import that is going on.
struct Importer<'a> {
    store: &'a Store,
    check_config: CheckConfig<'a>,
    observer: &'a mut dyn FnMut(ImportEvent),
    /// The frame before, and what it is of.
    last: Option<(Kind, Vec<u8>)>,
    /// Frames of one kind that wait to be checked.
    batch: Vec<Frame>,
    batch_bytes: usize,
    group_frames: usize,
    group_bytes: usize,
    recent: RecentLayers,
    stacks: Stacks,
    disputed: HashSet<DiffId>,
    /// How many frames of each kind have come.
    counts: [u64; 4],
    imported: Imported,
}

impl<'a> Importer<'a> {
    fn new(
        store: &'a Store,
        check_config: CheckConfig<'a>,
        observer: &'a mut dyn FnMut(ImportEvent),
    ) -> Self {
        Self {
            store,
            check_config,
            observer,
            last: None,
            batch: Vec::new(),
            batch_bytes: 0,
            group_frames: 0,
            group_bytes: 0,
            recent: RecentLayers::new(RECENT_ENTRIES_MAX),
            stacks: Stacks::new(STACK_ENTRIES_MAX),
            disputed: HashSet::new(),
            counts: [0; 4],
            imported: Imported::default(),
        }
    }

    fn read(mut self, input: impl Read) -> Result<Imported> {
        let mut frames = FrameReader::new(input)?;
        loop {
            let frame = frames.next()?;
            self.in_order(&frame)?;
            if frame.kind == Kind::End {
                self.end(&frame)?;
                frames.expect_end()?;
                (self.observer)(ImportEvent::Read(frames.read_bytes));
                return Ok(Imported { read_bytes: frames.read_bytes, ..self.imported });
            }
            self.take(frame)?;
            (self.observer)(ImportEvent::Read(frames.read_bytes));
        }
    }

    /// One content has one export, so kinds and identities ascend.
    fn in_order(&mut self, frame: &Frame) -> Result<()> {
        let next = Some((frame.kind, check::key(frame)?));
        if self.last >= next {
            let problem = "stands before what it should follow, or twice";
            return Err(ImportError::malformed(frame.kind.name(), frame.offset_bytes, problem));
        }
        let changes_kind = self.batch.last().is_some_and(|last| last.kind != frame.kind);
        self.last = next;
        if changes_kind { self.flush() } else { Ok(()) }
    }

    fn take(&mut self, frame: Frame) -> Result<()> {
        self.counts[frame.kind as usize - 1] += 1;
        self.batch_bytes += frame.payload.len();
        self.batch.push(frame);
        if self.batch.len() >= BATCH_FRAMES_MAX || self.batch_bytes >= BATCH_BYTES_MAX {
            self.flush()?;
        }
        Ok(())
    }

    fn end(&mut self, frame: &Frame) -> Result<()> {
        let expected = check::counts(frame)?;
        if self.counts != expected {
            let problem = format!("counts {expected:?} frames, there are {:?}", self.counts);
            return Err(ImportError::malformed(frame.kind.name(), frame.offset_bytes, problem));
        }
        Ok(())
    }

    /// Checks and puts what waits, and commits when it is enough.
    fn flush(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.group_frames += batch.len();
        self.group_bytes += std::mem::take(&mut self.batch_bytes);
        match batch.first().map(|frame| frame.kind) {
            Some(Kind::Layer) => self.layers(batch)?,
            Some(Kind::Document) => self.documents(batch)?,
            Some(Kind::Image) => self.images(batch)?,
            Some(Kind::Blob) => self.blobs(batch)?,
            Some(Kind::End) | None => {}
        }
        if self.group_frames >= GROUP_FRAMES_MAX || self.group_bytes >= GROUP_BYTES_MAX {
            self.store.commit()?;
            (self.group_frames, self.group_bytes) = (0, 0);
        }
        Ok(())
    }

    /// What takes time is done on all cores; what is put goes in order, so that packs come out the same.
    fn layers(&mut self, batch: Vec<Frame>) -> Result<()> {
        let store = self.store;
        let checked = batch.into_par_iter().map(|frame| LayerFrame::parse(frame)?.check(store));
        for layer in checked.collect::<Vec<Result<_>>>() {
            let (record, verdict) = layer?;
            match &verdict {
                Verdict::New(body) => _ = store.put_encoded_layer(&record, body)?,
                Verdict::Known => _ = store.note_layer(&record)?,
                Verdict::Conflict => {
                    self.disputed.insert(record.diff_id);
                    self.conflict(Conflict::Layer(record.diff_id));
                    continue;
                }
            }
            let is_new = matches!(verdict, Verdict::New(_));
            count(is_new, &mut self.imported.layers_new, &mut self.imported.layers_known);
        }
        Ok(())
    }

    fn documents(&mut self, batch: Vec<Frame>) -> Result<()> {
        let documents = batch.into_par_iter().map(DocumentFrame::parse);
        for document in documents.collect::<Vec<Result<_>>>() {
            let document = document?;
            let is_new = !self.store.has_document(&document.digest)?
                && self.store.put_document(&document.digest, document.bytes())?;
            count(is_new, &mut self.imported.documents_new, &mut self.imported.documents_known);
        }
        Ok(())
    }

    fn images(&mut self, batch: Vec<Frame>) -> Result<()> {
        let mut images = batch.into_iter().map(ImageFrame::parse).collect::<Result<Vec<_>>>()?;
        // Neighbours with a common base share what is read of it.
        images.sort_by(|a, b| a.record.layers.cmp(&b.record.layers));
        let kept = (&self.recent, &self.stacks);
        let check = |image: &ImageFrame| image.check(self.store, kept, self.check_config, &self.disputed);
        let verdicts: Vec<Result<Option<Steps>>> = images.par_iter().map(check).collect();
        let mut images: Vec<_> = images.into_iter().zip(verdicts).collect();
        images.sort_by_key(|(image, _)| image.record.id);
        for (image, steps) in images {
            let id = image.record.id;
            let Some(steps) = steps? else {
                self.conflict(Conflict::ImageFiles(id));
                continue;
            };
            match self.store.put_image_seen(&image.record, &image.names, steps) {
                Ok(is_new) => count(is_new, &mut self.imported.images_new, &mut self.imported.images_known),
                Err(StoreError::ImageConflict { .. }) => self.conflict(Conflict::Image(id)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn blobs(&mut self, batch: Vec<Frame>) -> Result<()> {
        for frame in batch {
            let BlobFrame { digest, diff_id, media_type } = BlobFrame::parse(&frame, self.store)?;
            let known = self.store.blob(&digest)?;
            if known.as_ref().is_some_and(|known| known.diff_id != diff_id) {
                self.conflict(Conflict::Blob(digest));
                continue;
            }
            self.store.put_blob(&digest, &BlobRecord { diff_id, media_type })?;
            count(known.is_none(), &mut self.imported.blobs_new, &mut self.imported.blobs_known);
        }
        Ok(())
    }

    fn conflict(&mut self, conflict: Conflict) {
        self.imported.conflicts += 1;
        (self.observer)(ImportEvent::Conflict(&conflict));
    }
}

fn count(is_new: bool, new: &mut u64, known: &mut u64) {
    *if is_new { new } else { known } += 1;
}
