//! The frame around every value of the catalogue: a version, where the rest is, and a checksum.
//!
//! A value counts only in its own tree and under its own key, and only in its own store.

use data_encoding::HEXLOWER;

use crate::error::{Result, StoreError};
use crate::format::STORE_ID_BYTES;
use crate::format::record::{CHECKSUM_BYTES, KEY_CONTEXT, VERSION};
use crate::log::catalogue::Tree;

/// Seals and opens the values of one store.
pub(crate) struct Seal {
    key: [u8; 32],
}

impl Seal {
    pub(crate) fn new(store_id: &[u8; STORE_ID_BYTES]) -> Self {
        Self { key: blake3::derive_key(KEY_CONTEXT, store_id) }
    }

    /// Frames a value; `tag` says whether it is the value or its place.
    pub(crate) fn close(&self, tree: Tree, key: &[u8], tag: u8, payload: &[u8]) -> Vec<u8> {
        [&[VERSION, tag], &self.checksum(tree, key, tag, payload)[..], payload].concat()
    }

    /// Returns the tag and the value of a frame after checking it.
    pub(crate) fn open<'a>(&self, tree: Tree, key: &[u8], sealed: &'a [u8]) -> Result<(u8, &'a [u8])> {
        let corrupt = |problem| corrupt_record(tree, key, problem);
        let (version, rest) = sealed.split_first().ok_or_else(|| corrupt("record is empty"))?;
        if *version != VERSION {
            let what = format!("record {} {}", tree.name(), HEXLOWER.encode(key));
            let found = version.to_string();
            return Err(StoreError::FormatVersion { what, found, expected: VERSION.into() });
        }
        let (tag, rest) = rest.split_first().ok_or_else(|| corrupt("record is cut short"))?;
        let (checksum, payload) =
            rest.split_at_checked(CHECKSUM_BYTES).ok_or_else(|| corrupt("record is cut short"))?;
        if self.checksum(tree, key, *tag, payload) != checksum {
            return Err(corrupt("checksum does not match"));
        }
        Ok((*tag, payload))
    }

    fn checksum(&self, tree: Tree, key: &[u8], tag: u8, payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[tree as u8]).update(&(key.len() as u64).to_le_bytes()).update(key);
        hasher.update(&[VERSION, tag]).update(payload);
        let mut checksum = [0; CHECKSUM_BYTES];
        checksum.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM_BYTES]);
        checksum
    }
}

/// Says which record is bad.
pub(crate) fn corrupt_record(tree: Tree, key: &[u8], problem: &str) -> StoreError {
    let (key, problem) = (HEXLOWER.encode(key), problem.to_owned());
    StoreError::Corrupt { what: tree.name(), key, offset_bytes: 0, problem }
}
