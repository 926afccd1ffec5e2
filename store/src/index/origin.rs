//! What the index is made of, as the publisher reads it: layers, documents and blobs of the catalogue and the packs.
//!
//! What is damaged is missing to whoever asks about it, and keeps nothing else waiting; of layers the index says so.

use crate::body;
use crate::error::{Result, StoreError};
use crate::fingerprint::Fingerprint;
use crate::id::{BlobDigest, DiffId};
use crate::log::catalogue::Tree;
use crate::log::frame::Place;
use crate::log::journal::Journal;
use crate::record::LayerRecord;

/// A layer as the index keeps it.
pub(super) struct IndexedLayer {
    /// Where its fingerprint lies in the packs; none if it was lost.
    pub(super) place: Option<Place>,
    /// What else is known of it.
    pub(super) record: LayerRecord,
}

/// Returns what the index keeps of a layer, as it was committed.
pub(super) fn layer(journal: &Journal, diff_id: &DiffId) -> Result<IndexedLayer> {
    let key = diff_id.as_bytes();
    let place = or_none(journal.place(Tree::Bodies, key))?;
    let record = or_none(journal.committed_record(Tree::Layers, key))?;
    Ok(IndexedLayer { place, record: record.unwrap_or_else(|| LayerRecord::unknown(*diff_id)) })
}

/// Reads a layer. One that is damaged or lost is none: the index says which, and every answer that it could change does.
pub(super) fn fingerprint(journal: &Journal, diff_id: &DiffId) -> Result<Option<Fingerprint>> {
    let read = || {
        let Some(bytes) = journal.get(Tree::Bodies, diff_id.as_bytes())? else { return Ok(None) };
        body::decode(&bytes).map(Some).map_err(StoreError::body(*diff_id))
    };
    or_none(read())
}

fn or_none<T>(read: Result<Option<T>>) -> Result<Option<T>> {
    match read {
        Err(StoreError::Corrupt { .. }) => Ok(None),
        read => read,
    }
}

/// Puts documents into the packs that the catalogue holds: programs whose index had no documents left small ones there.
pub(super) fn pack_documents(journal: &Journal) -> Result<()> {
    let mut writer = journal.write()?;
    for key in journal.committed_keys(Tree::Documents, &[]) {
        let key = key?;
        match journal.place(Tree::Documents, &key) {
            Ok(None) => {
                let compressed = journal.committed_value(Tree::Documents, &key)?.unwrap_or_default();
                writer.put_packed(Tree::Documents, &key, &compressed)?;
            }
            // One that is damaged stays as it is.
            Ok(Some(_)) | Err(StoreError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    drop(writer.finish());
    journal.commit(|| ())
}

/// Where a document stands. One that is not there, or damaged, is missing to whoever asks about it.
pub(super) fn document_place(journal: &Journal, digest: &BlobDigest) -> Result<Option<Place>> {
    or_none(journal.place(Tree::Documents, &digest.to_key()))
}

/// Returns what every known blob unpacks to.
pub(super) fn all_blobs(journal: &Journal) -> Result<Vec<(BlobDigest, DiffId)>> {
    let mut blobs = Vec::new();
    for blob in journal.records_by_key::<crate::store::BlobRecord>(Tree::Blobs) {
        let (key, record) = blob?;
        blobs.extend(BlobDigest::from_key(&key).map(|digest| (digest, record.diff_id)));
    }
    Ok(blobs)
}
