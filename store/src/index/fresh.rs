//! What was put since the last time that the index was published.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::state::IndexedImage;
use crate::id::{BlobDigest, ChainId, DiffId, ImageId};
use crate::stack::Steps;
use crate::tally::Change;

/// Keys that are held of what layers do to those below. One takes 8 bytes. What is beyond is found out again from the layers.
const STEP_KEYS_MAX: usize = 2 << 20;

/// What was put and is not published yet.
#[derive(Default)]
pub(crate) struct Fresh {
    pub(crate) images: BTreeMap<ImageId, IndexedImage>,
    pub(crate) gone: BTreeSet<ImageId>,
    pub(crate) blobs: Vec<(BlobDigest, DiffId)>,
    /// Known layers whose records have changed.
    pub(crate) layers: BTreeSet<DiffId>,
    /// Fingerprints and documents that went to the packs.
    pub(crate) written: Vec<Written>,
    /// What the top layer of a stack does to the contents below it, of as many as are known.
    pub(crate) steps: HashMap<ChainId, Change>,
    pub(crate) step_keys: usize,
}

/// Something that went to the packs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Written {
    Layer(DiffId),
    Document(BlobDigest),
}

impl Fresh {
    /// Takes what is known of stacks, while there is room.
    pub(crate) fn add_steps(&mut self, steps: Steps) {
        for (chain, change) in steps.0 {
            if self.step_keys + change.len() <= STEP_KEYS_MAX {
                self.step_keys += change.len();
                self.steps.insert(chain, change);
            }
        }
    }
}
