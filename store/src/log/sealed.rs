//! Values of the catalogue as they are stored, for a repair: it compares, moves and writes them without asking what they mean.

use serde::Serialize;

use super::catalogue::{Pair, Tree};
use super::changes::Changes;
use super::frame::Place;
use super::journal::{Journal, encode};
use crate::error::Result;
use crate::format::record::{INLINE, PACKED};

impl Journal {
    /// Returns all committed keys of a tree and their sealed values.
    pub(crate) fn sealed_pairs(&self, tree: Tree) -> impl Iterator<Item = Result<Pair>> + use<> {
        self.catalogue.scan(tree, &[])
    }

    /// Returns true if a sealed value is whole.
    pub(crate) fn is_sealed(&self, tree: Tree, key: &[u8], sealed: &[u8]) -> bool {
        self.seal.open(tree, key, sealed).is_ok()
    }

    /// Seals a value, a record, or the place of a value in the packs.
    pub(crate) fn seal_value(&self, tree: Tree, key: &[u8], value: &[u8]) -> Vec<u8> {
        self.seal.close(tree, key, INLINE, value)
    }

    pub(crate) fn seal_record(&self, tree: Tree, key: &[u8], record: &impl Serialize) -> Vec<u8> {
        self.seal_value(tree, key, &encode(record))
    }

    pub(crate) fn seal_place(&self, tree: Tree, key: &[u8], place: Place) -> Vec<u8> {
        self.seal.close(tree, key, PACKED, &encode(&place))
    }

    /// Returns what was sealed.
    pub(crate) fn unsealed(&self, tree: Tree, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        self.unseal(tree, key, sealed)
    }

    /// Commits values that are sealed.
    pub(crate) fn commit_sealed(&self, changes: Changes) -> Result<()> {
        let mut writer = self.write()?;
        for (tree, changes) in Tree::ALL.into_iter().zip(changes) {
            writer.changes.extend(changes.into_iter().map(|(key, value)| (tree, key, value)));
        }
        drop(writer.finish());
        self.commit(|| ())
    }
}
