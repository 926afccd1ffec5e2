//! One layer, from stored bytes to fingerprint, in one pass.
//!
//! Stored bytes -> blob digest -> decompression -> diff ID -> tar entries -> content ids. A caller never holds more
//! than a few fixed buffers and the fingerprint. Both digests cover every byte, also what follows the end of the tar.
//! The bytes are handled in `unpack` and `stream`, tar is read in [`crate::tar`], entries are judged in `fingerprint`.

use std::io::Read;
use std::sync::Arc;

use layerprint_store::id::{BlobDigest, DiffId};
use layerprint_store::{Anomalies, AnomalyKind, Fingerprint, LayerRecord};

use crate::buffers::Buffers;
use crate::codec::Codec;
use crate::error::LayerError;
use crate::fingerprint;
use crate::helpers::Helpers;
use crate::limits::Limits;
use crate::memory::Hold;
use crate::stream::Unpacked;
use crate::sums::Sums;
use crate::tar::{ReadSkip, TarReader};

/// How much memory is asked for at once while entries come.
const HOLD_STEP_BYTES: u64 = 1 << 20;

/// A layer as read: what the store keeps of it, and what named it.
#[derive(Debug, Clone)]
pub struct LayerRead {
    /// Digest of the stored bytes: the promised one, else SHA-256.
    pub digest: BlobDigest,
    /// Compression that was found.
    pub codec: Codec,
    /// Counts, sizes, anomalies.
    pub record: LayerRecord,
    /// The entries.
    pub fingerprint: Fingerprint,
}

/// What a manifest and a configuration promise of a layer's stored bytes.
#[derive(Debug, Clone, Default)]
pub struct Promise {
    /// Their digest.
    pub digest: Option<BlobDigest>,
    /// Their number.
    pub size_bytes: Option<u64>,
    /// Their media type: a hint that is compared, not believed.
    pub media_type: String,
    /// The diff ID that the configuration claims: the hash of what they unpack to.
    pub diff_id: Option<DiffId>,
}

/// Reads one layer to its last byte. `on_read` is told of every run of stored bytes, for progress.
pub fn read_layer(
    stored: impl Read,
    promise: &Promise,
    limits: &Limits,
    on_read: &dyn Fn(u64),
) -> Result<LayerRead, LayerError> {
    LayerReader::new(limits).read(stored, promise, on_read)
}

/// Reads layers, with buffers and idle threads that those who read in one run share.
#[derive(Clone)]
pub(crate) struct LayerReader {
    pub(crate) limits: Limits,
    buffers: Buffers,
    helpers: Option<Arc<Helpers>>,
    hold: Option<Arc<Hold>>,
    sums: Arc<Sums>,
}

impl LayerReader {
    /// Has no threads to help.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            limits: limits.clone(),
            buffers: Buffers::default(),
            helpers: None,
            hold: None,
            sums: Arc::default(),
        }
    }

    /// Is helped by threads that wait for work there.
    pub(crate) fn helped_by(self, helpers: Arc<Helpers>) -> Self {
        Self { helpers: Some(helpers), ..self }
    }

    /// Returns one whose layers take their memory from a share of the run's.
    pub(crate) fn within(&self, hold: Arc<Hold>) -> Self {
        Self { hold: Some(hold), ..self.clone() }
    }

    /// Returns one for the layers of one source, which cost no more together than is summed up there.
    pub(crate) fn of_source(&self, sums: Arc<Sums>) -> Self {
        Self { sums, ..self.clone() }
    }

    /// Makes the share of the memory at least so large, which may have to wait.
    pub(crate) fn hold(&self, bytes: u64) {
        if let Some(hold) = &self.hold {
            hold.grow(bytes);
        }
    }

    /// Returns one that nobody helps: for what may keep its reader waiting, who is enough.
    pub(crate) fn alone(&self) -> Self {
        Self { helpers: None, ..self.clone() }
    }

    /// Reads one layer in this thread, to its last byte.
    pub(crate) fn read(
        &self,
        stored: impl Read,
        promise: &Promise,
        on_read: &dyn Fn(u64),
    ) -> Result<LayerRead, LayerError> {
        let tar = Unpacked::new(stored, promise.digest, &self.limits, &self.buffers, on_read)?;
        self.read_unpacked(tar.summed_in(&self.sums, &self.limits), promise)
    }

    /// Reads one layer from a source that may go to another thread.
    pub(crate) fn read_helped(
        &self,
        stored: impl Read + Send + 'static,
        promise: &Promise,
        on_read: &dyn Fn(u64),
    ) -> Result<LayerRead, LayerError> {
        self.read_unpacked(self.unpack(stored, promise, on_read)?, promise)
    }

    /// Starts to unpack a source that may go to another thread.
    pub(crate) fn unpack<'a, R: Read + Send + 'static>(
        &'a self,
        stored: R,
        promise: &Promise,
        on_read: &'a dyn Fn(u64),
    ) -> Result<Unpacked<'a, R>, LayerError> {
        let tar = Unpacked::new(stored, promise.digest, &self.limits, &self.buffers, on_read)?;
        Ok(tar.summed_in(&self.sums, &self.limits).helped_by(self.helpers.as_deref()))
    }

    /// Reads a layer of which nothing has been taken.
    pub(crate) fn read_unpacked(
        &self,
        mut tar: Unpacked<impl Read>,
        promise: &Promise,
    ) -> Result<LayerRead, LayerError> {
        let codec = tar.codec();
        let (fingerprint, mut anomalies) = self.read_entries(&mut tar)?;
        let finished = tar.finish(promise)?;
        if finished.trailing {
            anomalies.add(AnomalyKind::TrailingCompressedData, None, codec.name());
        }
        note_media_type(promise, codec, &mut anomalies);
        let record = describe(finished.diff_id, finished.size_bytes, &fingerprint, anomalies);
        Ok(LayerRead { digest: finished.digest, codec, record, fingerprint })
    }

    fn read_entries(&self, tar: impl ReadSkip) -> Result<(Fingerprint, Anomalies), LayerError> {
        let mut reader = TarReader::new(tar, self.limits.tar.clone());
        let (mut builder, mut held_bytes) = (fingerprint::Builder::new(&self.limits), 0);
        while let Some(entry) = reader.next_entry()? {
            self.sums.add_entry(&entry, &self.limits)?;
            builder.count(&entry)?;
            if builder.memory_bytes() > held_bytes {
                held_bytes = builder.memory_bytes() + HOLD_STEP_BYTES;
                self.hold(held_bytes);
            }
            builder.add(entry, &mut reader)?;
        }
        // The diff ID covers what follows the end of the tar, and the reader notes where that is not zeros.
        reader.drain()?;
        let (fingerprint, mut anomalies) = builder.finish();
        anomalies.extend(reader.take_anomalies());
        Ok((fingerprint, anomalies))
    }
}

fn note_media_type(promise: &Promise, codec: Codec, anomalies: &mut Anomalies) {
    let named = Codec::of_media_type(&promise.media_type);
    if named.is_some_and(|named| named != codec) {
        let detail = format!("{} holds {}", promise.media_type, codec.name());
        anomalies.add(AnomalyKind::MediaTypeMismatch, None, detail);
    }
}

fn describe(
    diff_id: DiffId,
    tar_size_bytes: u64,
    fingerprint: &Fingerprint,
    anomalies: Anomalies,
) -> LayerRecord {
    let (mut file_count, mut file_size_bytes) = (0, 0_u64);
    for content in fingerprint.entries().iter().filter_map(|entry| entry.content()) {
        file_count += 1;
        file_size_bytes = file_size_bytes.saturating_add(content.size_bytes);
    }
    let entry_count = fingerprint.entries().len() as u64;
    LayerRecord { diff_id, tar_size_bytes, entry_count, file_count, file_size_bytes, anomalies }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::write::Layer;

    #[test]
    fn what_follows_the_tar_is_noted_also_where_the_head_was_looked_at_before() {
        let mut stored = Layer::new().file("f", "text").to_tar().unwrap();
        stored.extend_from_slice(b"hidden");
        let reader = LayerReader::new(&Limits::default());
        for looks in [0, 1] {
            let mut tar =
                reader.unpack(io::Cursor::new(stored.clone()), &Promise::default(), &|_| ()).unwrap();
            (0..looks).for_each(|_| assert_eq!(tar.peek().unwrap(), stored));
            let read = reader.read_unpacked(tar, &Promise::default()).unwrap();
            let trailing = read.record.anomalies.counts().get(&AnomalyKind::TrailingData);
            assert_eq!((trailing, read.record.tar_size_bytes), (Some(&1), stored.len() as u64));
        }
    }
}
