//! What is to change in the catalogue: as one commit in bytes, and laid over what the catalogue has.
//!
//! Knows trees, keys and sealed values. When changes become durable is the journal's business.

use std::collections::BTreeMap;
use std::collections::btree_map::IntoIter;
use std::iter::Peekable;

use serde::{Deserialize, Serialize};

use crate::compression::{compress, decompress};
use crate::error::{Result, StoreError};
use crate::format::record::{COMMIT_BYTES_MAX, COMMIT_ZSTD_LEVEL};
use crate::log::catalogue::{Pair, Tree};

/// Changes of one tree by key; none for a removal. Values are sealed.
pub(crate) type ByKey = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Changes of all trees.
pub(crate) type Changes = [ByKey; Tree::ALL.len()];

/// One change as it stands in a commit.
#[derive(Serialize, Deserialize)]
struct Operation<'a> {
    tree: u8,
    key: &'a [u8],
    value: Option<&'a [u8]>,
}

/// Returns the payload of a commit.
pub(crate) fn encode(changes: &Changes) -> Result<Vec<u8>> {
    let mut operations = Vec::new();
    for (tree, changes) in Tree::ALL.into_iter().zip(changes) {
        operations.extend(changes.iter().map(|(key, value)| Operation {
            tree: tree as u8,
            key,
            value: value.as_deref(),
        }));
    }
    let encoded = postcard::to_stdvec(&operations).expect("operations are bytes and numbers");
    let found = encoded.len() as u64;
    if found > COMMIT_BYTES_MAX {
        return Err(StoreError::TooLarge { what: "commit".to_owned(), found, max: COMMIT_BYTES_MAX });
    }
    Ok(compress(&encoded, COMMIT_ZSTD_LEVEL))
}

/// Returns the changes of a commit; none if the payload is not one.
pub(crate) fn decode(payload: &[u8]) -> Option<Changes> {
    let encoded = decompress(payload, COMMIT_BYTES_MAX).ok()?;
    let operations: Vec<Operation<'_>> = postcard::from_bytes(&encoded).ok()?;
    let mut changes = Changes::default();
    for Operation { tree, key, value } in operations {
        changes[Tree::from_number(tree)? as usize].insert(key.to_vec(), value.map(<[u8]>::to_vec));
    }
    Some(changes)
}

/// Changes laid over the catalogue, both in order of keys.
pub(crate) struct Scan<I: Iterator<Item = Result<Pair>>> {
    changes: Peekable<IntoIter<Vec<u8>, Option<Vec<u8>>>>,
    catalogue: Peekable<I>,
}

impl<I: Iterator<Item = Result<Pair>>> Scan<I> {
    pub(crate) fn new(changes: ByKey, catalogue: I) -> Self {
        Self { changes: changes.into_iter().peekable(), catalogue: catalogue.peekable() }
    }
}

impl<I: Iterator<Item = Result<Pair>>> Iterator for Scan<I> {
    type Item = Result<Pair>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let changed = self.changes.peek().map(|(key, _)| key);
            let stored = match self.catalogue.peek() {
                Some(Ok((key, _))) => Some(key),
                Some(Err(_)) => return self.catalogue.next(),
                None => None,
            };
            if changed.is_none() || stored.is_some_and(|stored| Some(stored) < changed) {
                return self.catalogue.next();
            }
            if stored == changed {
                self.catalogue.next();
            }
            if let Some((key, Some(value))) = self.changes.next() {
                return Some(Ok((key, value)));
            }
        }
    }
}
