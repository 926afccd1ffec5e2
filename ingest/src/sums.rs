//! What the layers that are read of one source cost together.
//!
//! One source is one file, folder or pipe, made by one hand. A limit on each layer alone is a limit on little: an image
//! of a thousand layers, each a kilobyte that becomes a gigabyte, costs a thousand times what one layer may. Sums are
//! over what is read, in any order: a layer that is known costs nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::LayerError;
use crate::limits::Limits;
use crate::tar::TarEntry;

/// Counts, for all threads that read layers of one source.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    stored_bytes: AtomicU64,
    unpacked_bytes: AtomicU64,
    /// Stored bytes of sparse files, and their holes.
    sparse_bytes: AtomicU64,
    hole_bytes: AtomicU64,
}

impl Sums {
    /// Counts stored bytes.
    pub(crate) fn add_stored(&self, count_bytes: u64) {
        add(&self.stored_bytes, count_bytes);
    }

    /// Counts unpacked bytes; fails if they are too many for the stored ones.
    pub(crate) fn add_unpacked(&self, count_bytes: u64, limits: &Limits) -> Result<(), LayerError> {
        let unpacked_bytes = add(&self.unpacked_bytes, count_bytes);
        let stored_bytes = self.stored_bytes.load(Ordering::Relaxed);
        let earned = stored_bytes.saturating_mul(limits.source_ratio_max);
        within(
            ("source_ratio_max", limits.source_ratio_max),
            unpacked_bytes <= earned.saturating_add(limits.layer_bytes_max),
        )
    }

    /// Counts the holes of an entry before they are hashed; fails if they are too many for what is stored.
    pub(crate) fn add_entry(&self, entry: &TarEntry, limits: &Limits) -> Result<(), LayerError> {
        if !entry.is_sparse {
            return Ok(());
        }
        let sparse_bytes = add(&self.sparse_bytes, entry.body_stored_bytes);
        let holes = entry.size_bytes.saturating_sub(entry.body_stored_bytes);
        let hole_bytes = add(&self.hole_bytes, holes);
        let earned = sparse_bytes.saturating_mul(limits.tar.sparse_ratio_max);
        within(
            ("source_hole_bytes_max", limits.source_hole_bytes_max),
            hole_bytes <= earned.saturating_add(limits.source_hole_bytes_max),
        )
    }
}

/// Returns the sum with what was added. A file has less than 2^63 bytes, a source fewer than 2^32 files.
fn add(sum: &AtomicU64, count: u64) -> u64 {
    sum.fetch_add(count, Ordering::Relaxed).saturating_add(count)
}

fn within((limit, max): (&'static str, u64), is_within: bool) -> Result<(), LayerError> {
    if is_within { Ok(()) } else { Err(LayerError::Limit { limit, max }) }
}
