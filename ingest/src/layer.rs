//! One layer, from stored bytes to fingerprint, in one pass.
//!
//! Stored bytes -> blob digest -> decompression -> diff ID -> tar entries -> content ids. A caller never holds more
//! than a few fixed buffers and the fingerprint. Both digests cover every byte, also what follows the end of the tar.
//! The bytes are handled in `stream`, tar is read in [`crate::tar`], entries are judged in
//! `fingerprint`.

use std::io::{Cursor, Read};

use layerprint_store::id::{BlobDigest, DiffId};
use layerprint_store::{Anomalies, AnomalyKind, Fingerprint, LayerRecord};

use crate::codec::Codec;
use crate::error::LayerError;
use crate::fingerprint;
use crate::limits::Limits;
use crate::stream::{Stored, Unpacked};
use crate::tar::{ReadSkip, Stream, TarReader};

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

/// What a manifest promises of a layer's stored bytes.
#[derive(Debug, Clone, Default)]
pub struct Promise {
    /// Their digest.
    pub digest: Option<BlobDigest>,
    /// Their number.
    pub size_bytes: Option<u64>,
    /// Their media type: a hint that is compared, not believed.
    pub media_type: String,
}

/// Reads one layer to its last byte. `on_read` is told of every run of stored bytes, for progress.
pub fn read_layer(
    stored: impl Read,
    promise: &Promise,
    limits: &Limits,
    on_read: &dyn Fn(u64),
) -> Result<LayerRead, LayerError> {
    let tar = Unpacked::new(Stored::new(stored, promise.digest, on_read), limits)?;
    read_unpacked(tar, Vec::new(), promise, limits)
}

/// Reads a layer whose first unpacked bytes, `head`, have been read already.
pub fn read_unpacked(
    mut tar: Unpacked<impl Read>,
    head: Vec<u8>,
    promise: &Promise,
    limits: &Limits,
) -> Result<LayerRead, LayerError> {
    let codec = tar.codec();
    let (fingerprint, mut anomalies) = read_entries(Stream(Cursor::new(head).chain(&mut tar)), limits)?;
    let finished = tar.finish(promise)?;
    if finished.trailing {
        anomalies.add(AnomalyKind::TrailingCompressedData, None, codec.name());
    }
    note_media_type(promise, codec, &mut anomalies);
    let record = describe(finished.diff_id, finished.size_bytes, &fingerprint, anomalies);
    Ok(LayerRead { digest: finished.digest, codec, record, fingerprint })
}

fn read_entries(tar: impl ReadSkip, limits: &Limits) -> Result<(Fingerprint, Anomalies), LayerError> {
    let mut reader = TarReader::new(tar, limits.tar.clone());
    let mut builder = fingerprint::Builder::new(limits);
    while let Some(entry) = reader.next_entry()? {
        builder.add(entry, &mut reader)?;
    }
    // The diff ID covers what follows the end of the tar, and the reader notes where that is not zeros.
    reader.drain()?;
    let (fingerprint, mut anomalies) = builder.finish();
    anomalies.extend(reader.take_anomalies());
    Ok((fingerprint, anomalies))
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
    use super::*;
    use crate::write::Layer;

    #[test]
    fn what_follows_the_tar_is_noted_also_where_the_head_was_read_before() {
        let mut stored = Layer::new().file("f", "text").to_tar().unwrap();
        stored.extend_from_slice(b"hidden");
        let limits = Limits::default();
        for head_bytes in [0, stored.len() as u64] {
            let mut tar = Unpacked::new(Stored::new(&stored[..], None, &|_| ()), &limits).unwrap();
            let head = tar.read_head(head_bytes).unwrap();
            let read = read_unpacked(tar, head, &Promise::default(), &limits).unwrap();
            let trailing = read.record.anomalies.counts().get(&AnomalyKind::TrailingData);
            assert_eq!((trailing, read.record.tar_size_bytes), (Some(&1), stored.len() as u64));
        }
    }
}
