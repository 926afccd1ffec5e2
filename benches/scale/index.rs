//! The index, behind the few calls that are measured.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use layerprint_store::id::ImageId;
use layerprint_store::{Content, Index, Overlap, Platform, Store};
use serde::{Deserialize, Serialize};

use super::answers::{Answer, Shared, is_enough};
use super::fill::platform;

/// How large an index is.
#[derive(Clone, Serialize, Deserialize)]
pub struct Size {
    pub bytes: u64,
    pub segments: u64,
    pub keys: u64,
    pub colours: u64,
    pub nodes: u64,
}

/// Builds the index of a store anew from its fingerprints; returns the seconds that took.
pub fn rebuild(store: &Path) -> Result<f64> {
    let store = Store::open(store)?;
    let started = Instant::now();
    store.reindex()?;
    Ok(started.elapsed().as_secs_f64())
}

/// One published state of a store.
pub struct Reader {
    index: Index,
    platform: Platform,
}

impl Reader {
    pub fn open(store: &Path) -> Result<Self> {
        Ok(Self { index: Index::open(store)?, platform: platform() })
    }

    pub fn size(&self) -> Size {
        let stats = self.index.stats();
        Size {
            bytes: stats.segment_bytes,
            segments: stats.segments,
            keys: stats.keys,
            colours: stats.colours,
            nodes: stats.nodes,
        }
    }

    /// Returns what every image shares with a question, where it is enough.
    pub fn overlaps(&self, query: &[Content]) -> Result<Vec<Overlap>> {
        let mut overlaps = self.index.overlaps(query, &self.platform)?;
        overlaps.retain(|overlap| is_enough(overlap.present, overlap.content_count));
        Ok(overlaps)
    }

    /// Returns overlaps by the numbers that images have elsewhere.
    pub fn answer(&self, overlaps: &[Overlap], number: impl Fn(&ImageId) -> u32) -> Result<Answer> {
        let shared = |overlap: &Overlap| {
            Ok(Shared {
                image: number(&self.id(overlap)?),
                present: u32::try_from(overlap.present).expect("no more than an image has contents"),
                present_bytes: overlap.present_bytes,
            })
        };
        let mut answer = overlaps.iter().map(shared).collect::<Result<Answer>>()?;
        answer.sort_unstable();
        Ok(answer)
    }

    pub fn id(&self, overlap: &Overlap) -> Result<ImageId> {
        Ok(self.index.image_at(overlap.image)?.id)
    }

    pub fn holds(&self, image: &ImageId) -> Result<bool> {
        Ok(self.index.image(image)?.is_some())
    }
}
