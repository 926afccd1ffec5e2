//! What the index is made of, as the publisher reads it: layers, documents and blobs of the catalogue and the packs.
//!
//! What is damaged is missing to whoever asks about it, and keeps nothing else waiting.

use crate::body;
use crate::error::{Result, StoreError};
use crate::fingerprint::Fingerprint;
use crate::id::{BlobDigest, DiffId};
use crate::log::catalogue::Tree;
use crate::log::frame::Place;
use crate::log::journal::Journal;

/// Reads a layer. One that is damaged has no contents to the index: whoever asks about it is told, all others are not
/// kept waiting for it.
pub(super) fn fingerprint(journal: &Journal, diff_id: &DiffId) -> Result<Fingerprint> {
    let read = || {
        let bytes = journal.get(Tree::Bodies, diff_id.as_bytes())?;
        body::decode(&bytes.ok_or_else(|| missing(diff_id))?).map_err(StoreError::body(*diff_id))
    };
    match read() {
        Err(StoreError::Corrupt { .. }) => Ok(Fingerprint::default()),
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
    match journal.place(Tree::Documents, &digest.to_key()) {
        Err(StoreError::Corrupt { .. }) => Ok(None),
        place => place,
    }
}

/// Where a layer stands.
pub(super) fn place_of(journal: &Journal, diff_id: &DiffId) -> Result<Place> {
    journal.place(Tree::Bodies, diff_id.as_bytes())?.ok_or_else(|| missing(diff_id))
}

fn missing(diff_id: &DiffId) -> StoreError {
    StoreError::NotFound { text: diff_id.to_string() }
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
