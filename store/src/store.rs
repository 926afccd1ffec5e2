//! The store: layers, images and what came with them, on disk.
//!
//! Many threads of one process may read and put at once; other processes are locked out. What is put is visible
//! to this process immediately and durable after [`Store::commit`]: a process that dies leaves every image of
//! the commits that returned, each with all of its layers, and of the one that did not either all or nothing.
//! Every byte is checked when it is read. Images and names are in `images`; the bytes are in `FORMAT.md`.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::body;
use crate::compression;
use crate::error::{Result, StoreError};
use crate::fingerprint::{Content, Fingerprint};
use crate::format::record::{DOCUMENT_BYTES_MAX, DOCUMENT_ZSTD_LEVEL};
use crate::id::{BlobDigest, DiffId, ImageId};
use crate::index::Index;
use crate::index::fresh::{Fresh, Written};
use crate::index::publisher::Publisher;
use crate::log::catalogue::Tree;
use crate::log::journal::Journal;
use crate::log::layout::{Layout, random_bytes};
use crate::log::seal::corrupt_record;
use crate::record::LayerRecord;

/// Key in `meta`: the secret for hashes whose values images must not be able to choose.
const SECRET: &[u8] = b"secret";

/// An open store.
pub struct Store {
    pub(crate) journal: Journal,
    secret: [u8; 32],
    /// Held by the one commit that is going on.
    pub(crate) publisher: Mutex<Publisher>,
    fresh: Mutex<Fresh>,
}

/// What a stored blob is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRecord {
    /// The layer that it decompresses to.
    pub diff_id: DiffId,
    /// Its media type, as the manifest said.
    pub media_type: String,
}

/// What was read from a path or reference, so that it can be skipped while it has not changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// Its size.
    pub size_bytes: u64,
    /// When it was last changed, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// The images found in it.
    pub images: Vec<ImageId>,
    /// When it was read, seconds since 1970.
    pub read_unix_s: u64,
}

/// How much the store holds, and in how many bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Images.
    pub images: u64,
    /// Distinct layers.
    pub layers: u64,
    /// Pairs of a reference and an image.
    pub names: u64,
    /// Documents.
    pub documents: u64,
    /// Entries of all layers.
    pub entries: u64,
    /// Size of the layers' uncompressed tars.
    pub tar_bytes: u64,
    /// Size of the packs.
    pub pack_bytes: u64,
    /// Bytes of packed values that the catalogue refers to.
    pub live_bytes: u64,
    /// Bytes of the log of commits, from which the catalogue can be rebuilt.
    pub commit_bytes: u64,
    /// The rest of the packs: values that were replaced or forgotten, and headers.
    pub dead_bytes: u64,
    /// Size of the catalogue's files.
    pub catalogue_bytes: u64,
}

impl Store {
    /// Opens a store. A directory that does not exist or is empty becomes one.
    pub fn create_or_open(path: &Path) -> Result<Self> {
        Self::from_layout(Layout::create_or_open(path)?)
    }

    /// Opens a store that exists.
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_layout(Layout::open(path)?)
    }

    fn from_layout(layout: Layout) -> Result<Self> {
        Self::of_journal(Journal::open(layout)?)
    }

    pub(crate) fn of_journal(journal: Journal) -> Result<Self> {
        let secret = match journal.record(Tree::Meta, SECRET)? {
            Some(secret) => secret,
            None => {
                let secret: [u8; 32] = random_bytes()?;
                let mut writer = journal.write()?;
                writer.put_record(Tree::Meta, SECRET, &secret)?;
                drop(writer.finish());
                journal.commit(|| ())?;
                secret
            }
        };
        let publisher = Mutex::new(Publisher::open(&journal)?);
        Ok(Self { journal, secret, publisher, fresh: Mutex::default() })
    }

    /// Returns what was repaired when the store was opened, in a line for the user; none if nothing was.
    pub fn notice(&self) -> Option<String> {
        let problem = self.journal.rebuilt()?;
        Some(format!("{problem}; the catalogue was rebuilt from the packs"))
    }

    /// Returns a secret of this store, for hashes whose values the makers of images must not be able to choose.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// Makes everything put so far durable. Other threads may go on putting; that is for the next commit.
    ///
    /// What is durable is then published, so that every [`Index`](crate::Index) that is opened from now on has it. If that
    /// fails, it is published when the store is opened the next time.
    pub fn commit(&self) -> Result<()> {
        let mut publisher = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = Fresh::default();
        let committed = self.journal.commit(|| fresh = std::mem::take(&mut *self.fresh()));
        committed.inspect_err(|_| publisher.fall_behind())?;
        publisher.publish(&self.journal, fresh)
    }

    /// Builds the index again from what is stored. The bytes are the same whenever it is done, and by however many threads.
    pub fn reindex(&self) -> Result<()> {
        self.reindex_observed(&|_, _| ())
    }

    /// Does the same, and tells from time to time how many images are done, of how many.
    pub fn reindex_observed(&self, observer: &dyn Fn(u64, u64)) -> Result<()> {
        self.commit()?;
        let mut publisher = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        publisher.reindex(&self.journal, observer)
    }

    /// Reads the whole index, and rebuilds it if any of it is damaged. Returns true if it was.
    pub(crate) fn repair_index(&self) -> Result<bool> {
        let is_damaged = !self.index()?.damaged_segments().is_empty();
        if is_damaged {
            self.reindex()?;
        }
        Ok(is_damaged)
    }

    /// Opens what is published of this store.
    pub fn index(&self) -> Result<Index> {
        Index::open(&self.journal.layout().root)
    }

    pub(crate) fn fresh(&self) -> MutexGuard<'_, Fresh> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a layer. Returns false if it is known; then only its anomalies are added. One whose stored fingerprint is damaged
    /// or was lost is put again.
    pub fn put_layer(&self, record: &LayerRecord, fingerprint: &Fingerprint) -> Result<bool> {
        // Asked twice: encoding is the expensive part and happens outside the lock.
        if self.is_whole(&record.diff_id)? && self.note_layer(record)? {
            return Ok(false);
        }
        let body = body::encode(fingerprint).map_err(StoreError::body(record.diff_id))?;
        self.put_encoded_layer(record, &body)
    }

    /// Does the same with a fingerprint that [`body::encode`] has encoded.
    pub(crate) fn put_encoded_layer(&self, record: &LayerRecord, body: &[u8]) -> Result<bool> {
        let key = record.diff_id.as_bytes();
        let mut writer = self.journal.write()?;
        let is_whole = self.is_whole(&record.diff_id)?;
        let known: Option<LayerRecord> = or_damaged(self.journal.record(Tree::Layers, key))?;
        if !is_whole {
            writer.put_packed(Tree::Bodies, key, body)?;
        }
        writer.put_record(Tree::Layers, key, &record.merged(known.as_ref()))?;
        let writing = writer.finish();
        let mut fresh = self.fresh();
        fresh.layers.extend(known.map(|known| known.diff_id));
        fresh.written.extend((!is_whole).then_some(Written::Layer(record.diff_id)));
        drop((fresh, writing));
        Ok(!is_whole)
    }

    /// Adds the anomalies of a layer. Returns false if it is not known.
    pub(crate) fn note_layer(&self, record: &LayerRecord) -> Result<bool> {
        let key = record.diff_id.as_bytes();
        let merged = |known: &LayerRecord| Some(known.merged(Some(record))).filter(|merged| merged != known);
        let Some(known) = self.layer(&record.diff_id)? else { return Ok(false) };
        if merged(&known).is_some() {
            let mut writer = self.journal.write()?;
            let Some(known) = self.layer(&record.diff_id)? else { return Ok(false) };
            if let Some(merged) = merged(&known) {
                writer.put_record(Tree::Layers, key, &merged)?;
                let writing = writer.finish();
                self.fresh().layers.insert(record.diff_id);
                drop(writing);
            }
        }
        Ok(true)
    }

    /// Returns true if the fingerprint of a layer is there and has the bytes that were written. Reads it.
    pub fn is_whole(&self, layer: &DiffId) -> Result<bool> {
        Ok(or_damaged(self.journal.get(Tree::Bodies, layer.as_bytes()))?.is_some())
    }

    /// Returns true if a layer is known, and its fingerprint was not found to be lost. Reads neither.
    pub fn has_layer(&self, layer: &DiffId) -> Result<bool> {
        let key = layer.as_bytes();
        Ok(self.journal.contains(Tree::Layers, key)? && self.journal.contains(Tree::Bodies, key)?)
    }

    /// Returns what is known of a layer besides its entries.
    pub fn layer(&self, layer: &DiffId) -> Result<Option<LayerRecord>> {
        self.journal.record(Tree::Layers, layer.as_bytes())
    }

    /// Returns what is known of every layer, in order of diff IDs.
    pub fn layers(&self) -> impl Iterator<Item = Result<LayerRecord>> {
        self.journal.records(Tree::Layers)
    }

    /// Returns the entries of a layer.
    pub fn fingerprint(&self, layer: &DiffId) -> Result<Option<Fingerprint>> {
        let body = self.journal.get(Tree::Bodies, layer.as_bytes())?;
        body.map(|body| body::decode(&body).map_err(StoreError::body(*layer))).transpose()
    }

    /// Returns the entries of a layer as they are encoded.
    pub(crate) fn body(&self, layer: &DiffId) -> Result<Option<Vec<u8>>> {
        self.journal.get(Tree::Bodies, layer.as_bytes())
    }

    /// Returns the distinct contents of a layer, sorted, without decoding its paths.
    pub fn layer_contents(&self, layer: &DiffId) -> Result<Option<Vec<Content>>> {
        let body = self.journal.get(Tree::Bodies, layer.as_bytes())?;
        body.map(|body| body::decode_contents(&body).map_err(StoreError::body(*layer))).transpose()
    }

    /// Puts the layer that a blob decompresses to. The layer must have been put before.
    ///
    /// Of several media types that manifests gave it, the last in the alphabet is kept, whichever came first.
    pub fn put_blob(&self, blob: &BlobDigest, record: &BlobRecord) -> Result<()> {
        let key = blob.to_key();
        let mut writer = self.journal.write()?;
        let known: Option<BlobRecord> = self.journal.record(Tree::Blobs, &key)?;
        let same = known.as_ref().filter(|known| known.diff_id == record.diff_id);
        if same.is_none_or(|known| known.media_type < record.media_type) {
            writer.put_record(Tree::Blobs, &key, record)?;
        }
        let writing = writer.finish();
        self.fresh().blobs.push((*blob, record.diff_id));
        drop(writing);
        Ok(())
    }

    /// Returns what a blob is, if its layer is known.
    pub fn blob(&self, blob: &BlobDigest) -> Result<Option<BlobRecord>> {
        let record: Option<BlobRecord> = self.journal.record(Tree::Blobs, &blob.to_key())?;
        match record {
            Some(record) if self.has_layer(&record.diff_id)? => Ok(Some(record)),
            _ => Ok(None),
        }
    }

    /// Returns the layer that a blob decompresses to, if both are known.
    pub fn layer_of_blob(&self, blob: &BlobDigest) -> Result<Option<DiffId>> {
        Ok(self.blob(blob)?.map(|record| record.diff_id))
    }

    /// Keeps a document under its digest, which the caller has checked. Returns false if it is known.
    pub fn put_document(&self, digest: &BlobDigest, bytes: &[u8]) -> Result<bool> {
        let (key, found) = (digest.to_key(), bytes.len() as u64);
        if found > DOCUMENT_BYTES_MAX {
            let what = format!("document {digest}");
            return Err(StoreError::TooLarge { what, found, max: DOCUMENT_BYTES_MAX });
        }
        // Asked twice, as for a layer. Documents are few and small, so that reading them costs little.
        let is_whole = || Ok(or_damaged(self.document(digest))?.is_some());
        if is_whole()? {
            return Ok(false);
        }
        let compressed = compression::compress(bytes, DOCUMENT_ZSTD_LEVEL);
        let mut writer = self.journal.write()?;
        if self.journal.contains(Tree::Documents, &key)? && is_whole()? {
            return Ok(false);
        }
        writer.put_packed(Tree::Documents, &key, &compressed)?;
        let writing = writer.finish();
        self.fresh().written.push(Written::Document(*digest));
        drop(writing);
        Ok(true)
    }

    /// Returns true if a document is known.
    pub fn has_document(&self, digest: &BlobDigest) -> Result<bool> {
        self.journal.contains(Tree::Documents, &digest.to_key())
    }

    /// Returns a document.
    pub fn document(&self, digest: &BlobDigest) -> Result<Option<Vec<u8>>> {
        let key = digest.to_key();
        let compressed = self.journal.get(Tree::Documents, &key)?;
        compressed.map(|compressed| document_of(&key, &compressed)).transpose()
    }

    /// Remembers what was read from a path or reference.
    pub fn put_source(&self, key: &[u8], record: &SourceRecord) -> Result<()> {
        let mut writer = self.journal.write()?;
        writer.put_record(Tree::Sources, key, record)?;
        drop(writer.finish());
        Ok(())
    }

    /// Returns what was read from a path or reference the last time.
    pub fn source(&self, key: &[u8]) -> Result<Option<SourceRecord>> {
        self.journal.record(Tree::Sources, key)
    }

    /// Counts what is committed, reading every layer record.
    pub fn stats(&self) -> Result<Stats> {
        let (pack_bytes, commit_bytes, catalogue_bytes) = self.journal.size_bytes()?;
        let mut stats = Stats { pack_bytes, commit_bytes, catalogue_bytes, ..Stats::default() };
        for layer in self.layers() {
            let layer = layer?;
            stats.layers += 1;
            stats.entries += layer.entry_count;
            stats.tar_bytes += layer.tar_size_bytes;
        }
        for tree in Tree::ALL {
            for packed in self.journal.packed_bytes(tree) {
                stats.live_bytes += packed?.unwrap_or(0);
            }
        }
        stats.images = self.journal.count(Tree::Images);
        stats.names = self.journal.count(Tree::Names);
        stats.documents = self.journal.count(Tree::Documents);
        stats.dead_bytes = pack_bytes.saturating_sub(stats.live_bytes).saturating_sub(commit_bytes);
        Ok(stats)
    }
}

/// Takes a damaged value for none.
pub(crate) fn or_damaged<T>(read: Result<Option<T>>) -> Result<Option<T>> {
    match read {
        Err(StoreError::Corrupt { .. }) => Ok(None),
        read => read,
    }
}

/// Returns the document that is kept in these bytes.
pub(crate) fn document_of(key: &[u8], compressed: &[u8]) -> Result<Vec<u8>> {
    let document = compression::decompress(compressed, DOCUMENT_BYTES_MAX);
    document.map_err(|_| corrupt_record(Tree::Documents, key, "document does not decompress"))
}
