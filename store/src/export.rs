//! All that is stored, as one stream of bytes for another machine or for keeping.
//!
//! The bytes follow from what is stored alone: not from the order or the threads of ingests, the machine, the store's id or
//! secret, nor from where things lie in the packs. Two stores with the same images give the same export. What machines remember of
//! their own files (`sources`) is not in it. Only what is committed is. Memory holds one layer at a time.

pub(crate) mod frames;

use std::io::{self, Write};
use std::sync::PoisonError;

use serde::Serialize;

use crate::compression;
use crate::error::StoreError;
use crate::format::record::DOCUMENT_BYTES_MAX;
use crate::id::{BlobDigest, ImageId};
use crate::images;
use crate::log::catalogue::Tree;
use crate::log::journal::Journal;
use crate::log::seal::corrupt_record;
use crate::record::LayerRecord;
use crate::store::{BlobRecord, Store};
use frames::{FrameWriter, Kind};

/// Things between two words to the observer.
const TELL_EVERY: u64 = 64;

/// What an export holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Layers.
    pub layers: u64,
    /// Documents.
    pub documents: u64,
    /// Images.
    pub images: u64,
    /// Stored forms of layers.
    pub blobs: u64,
    /// Its length.
    pub size_bytes: u64,
    /// BLAKE3 of all of it, in hexadecimal: equal for equal stores.
    pub blake3: String,
}

/// Why a store could not be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The export cannot be written.
    #[error("write at offset {offset_bytes}: {source}")]
    Write {
        /// How much was written before.
        offset_bytes: u64,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Store {
    /// Writes all that is committed; `observer` is told how many things are done, of how many.
    ///
    /// No commit is made meanwhile: other threads wait with theirs.
    pub fn export(&self, out: impl Write, observer: &dyn Fn(u64, u64)) -> Result<Exported, ExportError> {
        let _no_commits = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        let trees = [Tree::Layers, Tree::Documents, Tree::Images, Tree::Blobs];
        let total = trees.iter().map(|tree| self.journal.count(*tree)).sum();
        let write = |source| ExportError::Write { offset_bytes: 0, source };
        let frames = FrameWriter::new(out).map_err(write)?;
        let mut exporter = Exporter {
            journal: &self.journal,
            frames,
            observer,
            done: 0,
            total,
            exported: Exported::default(),
        };
        exporter.layers()?;
        exporter.documents()?;
        exporter.images()?;
        exporter.blobs()?;
        exporter.end()
    }
}

/// An export that is being written.
struct Exporter<'a, W> {
    journal: &'a Journal,
    frames: FrameWriter<W>,
    observer: &'a dyn Fn(u64, u64),
    done: u64,
    total: u64,
    exported: Exported,
}

type Written = Result<(), ExportError>;

impl<W: Write> Exporter<'_, W> {
    fn layers(&mut self) -> Written {
        let journal = self.journal;
        for record in journal.committed_records::<LayerRecord>(Tree::Layers) {
            let record = record?;
            let key = record.diff_id.as_bytes();
            let body = journal.committed_value(Tree::Bodies, key)?;
            let body = body.ok_or_else(|| corrupt_record(Tree::Layers, key, "its fingerprint is missing"))?;
            self.frame(Kind::Layer, &[&encode(&record.merged(None)), &body])?;
            self.exported.layers += 1;
        }
        Ok(())
    }

    fn documents(&mut self) -> Written {
        let journal = self.journal;
        for pair in journal.committed_pairs(Tree::Documents) {
            let (key, compressed) = pair?;
            let corrupt = |problem| corrupt_record(Tree::Documents, &key, problem);
            let digest = BlobDigest::from_key(&key).ok_or_else(|| corrupt("not the key of a digest"))?;
            let document = compression::decompress(&compressed, DOCUMENT_BYTES_MAX);
            let document = document.map_err(|_| corrupt("document does not decompress"))?;
            self.frame(Kind::Document, &[&encode(&digest), &document])?;
            self.exported.documents += 1;
        }
        Ok(())
    }

    fn images(&mut self) -> Written {
        let journal = self.journal;
        for key in journal.committed_keys(Tree::Images, &[]) {
            let key = key?;
            let corrupt = |problem| corrupt_record(Tree::Images, &key, problem);
            let id: [u8; 32] = key[..].try_into().map_err(|_| corrupt("not an image id"))?;
            let image = images::indexed(journal, &ImageId::from_bytes(id))?;
            let image = image.ok_or_else(|| corrupt("it went while it was read"))?;
            for document in &image.record.documents {
                if !journal.is_committed(Tree::Documents, &document.digest.to_key())? {
                    return Err(corrupt("a document of it is missing").into());
                }
            }
            self.frame(Kind::Image, &[&encode(&(image.record.merged(None), image.names))])?;
            self.exported.images += 1;
        }
        Ok(())
    }

    /// Blobs come after images, whose layers they are: so the importing store's index takes them up at once.
    fn blobs(&mut self) -> Written {
        let journal = self.journal;
        for pair in journal.committed_pairs(Tree::Blobs) {
            let (key, value) = pair?;
            let corrupt = |problem| corrupt_record(Tree::Blobs, &key, problem);
            let digest = BlobDigest::from_key(&key).ok_or_else(|| corrupt("not the key of a digest"))?;
            let record = postcard::from_bytes(&value).map_err(|_| corrupt("record does not decode"))?;
            let BlobRecord { diff_id, media_type } = record;
            // A blob whose layer is not there is as good as none.
            if journal.is_committed(Tree::Layers, diff_id.as_bytes())? {
                self.frame(Kind::Blob, &[&encode(&(digest, diff_id, media_type))])?;
                self.exported.blobs += 1;
            }
        }
        Ok(())
    }

    fn end(mut self) -> Result<Exported, ExportError> {
        let Exported { layers, documents, images, blobs, .. } = self.exported;
        self.frame(Kind::End, &[&encode(&(layers, documents, images, blobs))])?;
        (self.observer)(self.total, self.total);
        let size_bytes = self.frames.written_bytes;
        let hash = self.frames.finish();
        let hash = hash.map_err(|source| ExportError::Write { offset_bytes: size_bytes, source })?;
        Ok(Exported { size_bytes, blake3: hash.to_string(), ..self.exported })
    }

    fn frame(&mut self, kind: Kind, parts: &[&[u8]]) -> Written {
        let found = parts.iter().map(|part| part.len() as u64).sum();
        let (limit, max) = kind.limit();
        if found > max {
            return Err(StoreError::TooLarge { what: format!("export: {limit}"), found, max }.into());
        }
        let offset_bytes = self.frames.written_bytes;
        let written = self.frames.frame(kind, parts);
        written.map_err(|source| ExportError::Write { offset_bytes, source })?;
        self.done += 1;
        if self.done.is_multiple_of(TELL_EVERY) {
            (self.observer)(self.done, self.total);
        }
        Ok(())
    }
}

/// Returns the bytes of a record, which has only one spelling.
pub(crate) fn encode(record: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(record).expect("records hold nothing that postcard cannot write")
}
