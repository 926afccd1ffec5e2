//! What each fuzz target does with its bytes.
//!
//! A target reads bytes as an attacker or a damaged disk gives them. It panics only where a promise is broken: a reader that
//! panics, answers that disagree, bytes that do not come back. Where a checksum guards what is to be read, the target computes
//! it, or no mutation would get past it. The programs for libFuzzer are in `fuzz_targets`, one for each module here.

pub mod archive;
pub mod documents;
pub mod export;
pub mod fingerprint;
pub mod layer;
mod query;
pub mod seeds;
pub mod segment;
pub mod tar;

use std::path::Path;

use layerprint_ingest::Limits;
use tempfile::TempDir;

/// Limits that are reached in a moment, so that no input is slow for being large.
pub fn limits() -> Limits {
    const MIB: u64 = 1 << 20;
    let mut limits = Limits { layer_bytes_max: 16 * MIB, xz_memory_bytes_max: 16 * MIB, ..Limits::default() };
    limits.zstd_window_log_max = 23;
    limits.paths_bytes_max = 4 * MIB;
    limits.tar.file_bytes_max = 8 * MIB;
    limits.tar.hole_bytes_max = 8 * MIB;
    limits
}

/// Returns a folder that costs no disk, where there is such a place.
pub fn folder() -> TempDir {
    const MEMORY: &str = "/dev/shm";
    let made = if Path::new(MEMORY).is_dir() { tempfile::tempdir_in(MEMORY) } else { tempfile::tempdir() };
    made.expect("a folder for temporary files can be made")
}
