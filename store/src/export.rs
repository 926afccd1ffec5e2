//! All that is stored, as one stream of bytes for another machine or for keeping.
//!
//! The bytes follow from what is stored alone: not from the order or the threads of ingests, the machine, the store's id or
//! secret, nor from where things lie in the packs. Two stores with the same images give the same export. What machines remember of
//! their own files (`sources`) is not in it. Only what is committed is. Memory holds one layer at a time. What is damaged is
//! left out, with the images that need it, and named.

pub(crate) mod frames;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::PoisonError;

use serde::Serialize;

use crate::error::StoreError;
use crate::id::{BlobDigest, ImageId};
use crate::images;
use crate::index::state::IndexedImage;
use crate::log::catalogue::Tree;
use crate::log::journal::Journal;
use crate::log::seal::corrupt_record;
use crate::record::{ImageRecord, LayerRecord};
use crate::store::{BlobRecord, Store, document_of};
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
    /// What is damaged and therefore not in it, in words.
    pub left_out: Vec<String>,
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
            left_out: BTreeSet::new(),
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
    /// Layers and documents that are damaged or lost, by tree and key.
    left_out: BTreeSet<(u8, Vec<u8>)>,
    exported: Exported,
}

type Written = Result<(), ExportError>;

impl<W: Write> Exporter<'_, W> {
    fn layers(&mut self) -> Written {
        let journal = self.journal;
        for key in journal.committed_keys(Tree::Layers, &[]) {
            let key = key?;
            let Some((record, body)) = self.whole(layer(journal, &key))?.flatten() else {
                self.left_out.insert((Tree::Layers as u8, key));
                continue;
            };
            self.frame(Kind::Layer, &[&encode(&record.merged(None)), &body])?;
            self.exported.layers += 1;
        }
        Ok(())
    }

    fn documents(&mut self) -> Written {
        let journal = self.journal;
        for key in journal.committed_keys(Tree::Documents, &[]) {
            let key = key?;
            let Some((digest, document)) = self.whole(document(journal, &key))?.flatten() else {
                self.left_out.insert((Tree::Documents as u8, key));
                continue;
            };
            self.frame(Kind::Document, &[&encode(&digest), &document])?;
            self.exported.documents += 1;
        }
        Ok(())
    }

    fn images(&mut self) -> Written {
        let journal = self.journal;
        for key in journal.committed_keys(Tree::Images, &[]) {
            let key = key?;
            let image = image(journal, &key);
            let Some(image) = self.whole(image)?.flatten() else { continue };
            if let Some(missing) = self.missing(&image.record)? {
                self.exported.left_out.push(format!("image {}: {missing}", image.record.id));
                continue;
            }
            self.frame(Kind::Image, &[&encode(&(image.record.merged(None), image.names))])?;
            self.exported.images += 1;
        }
        Ok(())
    }

    /// Says what of an image is not in the export.
    fn missing(&self, record: &ImageRecord) -> Result<Option<String>, StoreError> {
        for layer in &record.layers {
            if !self.has(Tree::Layers, layer.as_bytes())? {
                return Ok(Some(format!("layer {layer} is damaged or lost")));
            }
        }
        for document in &record.documents {
            if !self.has(Tree::Documents, &document.digest.to_key())? {
                return Ok(Some(format!("document {} is damaged or lost", document.digest)));
            }
        }
        Ok(None)
    }

    fn has(&self, tree: Tree, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.journal.is_committed(tree, key)? && !self.left_out.contains(&(tree as u8, key.to_vec())))
    }

    /// Blobs come after images, whose layers they are: so the importing store's index takes them up at once.
    fn blobs(&mut self) -> Written {
        let journal = self.journal;
        for key in journal.committed_keys(Tree::Blobs, &[]) {
            let key = key?;
            let Some((digest, record)) = self.whole(blob(journal, &key))?.flatten() else { continue };
            let BlobRecord { diff_id, media_type } = record;
            // A blob whose layer is not there is as good as none.
            if self.has(Tree::Layers, diff_id.as_bytes())? {
                self.frame(Kind::Blob, &[&encode(&(digest, diff_id, media_type))])?;
                self.exported.blobs += 1;
            }
        }
        Ok(())
    }

    /// Returns what was read; nothing if it is damaged, which is noted.
    fn whole<T>(&mut self, read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match read {
            Err(error @ StoreError::Corrupt { .. }) => {
                self.exported.left_out.push(error.to_string());
                Ok(None)
            }
            read => read.map(Some),
        }
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

/// Reads a layer. None if its fingerprint was lost, which the images that have it say.
fn layer(journal: &Journal, key: &[u8]) -> Result<Option<(LayerRecord, Vec<u8>)>, StoreError> {
    let Some(record) = journal.committed_record::<LayerRecord>(Tree::Layers, key)? else { return Ok(None) };
    let Some(bytes) = journal.committed_value(Tree::Bodies, key)? else { return Ok(None) };
    Ok(Some((record, bytes)))
}

fn document(journal: &Journal, key: &[u8]) -> Result<Option<(BlobDigest, Vec<u8>)>, StoreError> {
    let Some(compressed) = journal.committed_value(Tree::Documents, key)? else { return Ok(None) };
    let digest = BlobDigest::from_key(key);
    let digest = digest.ok_or_else(|| corrupt_record(Tree::Documents, key, "not the key of a digest"))?;
    document_of(key, &compressed).map(|document| Some((digest, document)))
}

fn image(journal: &Journal, key: &[u8]) -> Result<Option<IndexedImage>, StoreError> {
    let id: Result<[u8; 32], _> = key.try_into();
    let id = id.map_err(|_| corrupt_record(Tree::Images, key, "not an image id"))?;
    images::indexed(journal, &ImageId::from_bytes(id))
}

fn blob(journal: &Journal, key: &[u8]) -> Result<Option<(BlobDigest, BlobRecord)>, StoreError> {
    let digest = BlobDigest::from_key(key);
    let digest = digest.ok_or_else(|| corrupt_record(Tree::Blobs, key, "not the key of a digest"))?;
    Ok(journal.committed_record(Tree::Blobs, key)?.map(|record| (digest, record)))
}

/// Returns the bytes of a record, which has only one spelling.
pub(crate) fn encode(record: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(record).expect("records hold nothing that postcard cannot write")
}
