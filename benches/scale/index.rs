//! The index, behind the few calls that are measured.
//!
//! THE ONLY PLACE TO FILL IN once `layerprint_store::Index` is there: `missing` goes, the rest calls the index.

use std::path::Path;

use anyhow::{Result, bail};
use layerprint_store::Content;
use layerprint_store::id::ImageId;
use serde::{Deserialize, Serialize};

/// What an image shares with a question.
pub struct Overlap {
    pub image: ImageId,
    pub present: u64,
    pub present_bytes: u64,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Built {
    /// Size of all files that a reader may map.
    pub bytes: u64,
    pub seconds: f64,
}

/// Returns why there is no index to measure, if so.
pub fn missing() -> Option<&'static str> {
    Some("the store has no index yet")
}

/// Builds the index of a store anew from its fingerprints.
pub fn build(_store: &Path) -> Result<Built> {
    bail!("the store has no index yet")
}

/// One published state of a store.
pub struct Reader;

impl Reader {
    pub fn open(_store: &Path) -> Result<Self> {
        bail!("the store has no index yet")
    }

    /// Returns the images that share most with a question.
    pub fn overlaps(&self, _query: &[Content]) -> Result<Vec<Overlap>> {
        bail!("the store has no index yet")
    }

    pub fn holds(&self, _image: &ImageId) -> Result<bool> {
        bail!("the store has no index yet")
    }
}
