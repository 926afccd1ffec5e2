//! What a hostile image may cost at most.
//!
//! Every limit has a name, which the error that it causes carries, and a default that no honest image reaches.

use std::time::Duration;

use crate::tar::TarLimits;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Bounds on what is read from one image.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest manifest, index, configuration or attestation. Registries refuse manifests over 4 MiB.
    pub document_bytes_max: u64,
    /// Sum of all such documents in one archive that is read front to back, where they wait for the manifest.
    pub documents_bytes_max: u64,
    /// Most descriptors that the indexes of one source may name.
    pub descriptors_max: usize,
    /// How deep indexes may nest.
    pub index_depth_max: usize,
    /// Most layers of one image. Docker itself stops at 127.
    pub layers_max: usize,
    /// Largest uncompressed layer.
    pub layer_bytes_max: u64,
    /// Most bytes that one compressed byte may become, once [`Limits::RATIO_FREE_BYTES`] have come out.
    /// Deflate cannot pass 1,032; zstd can.
    pub gzip_ratio_max: u64,
    /// The same for zstd, xz and bzip2, which compress long runs much further.
    pub ratio_max: u64,
    /// Sum of the paths and link targets of one layer, all of which are held in memory.
    pub paths_bytes_max: u64,
    /// Longest time for one layer.
    pub layer_time_max: Duration,
    /// Largest window that a zstd frame may ask for, as a power of two: 128 MiB.
    pub zstd_window_log_max: u32,
    /// Most memory that an xz stream may ask for.
    pub xz_memory_bytes_max: u64,
    /// Bounds on the entries of a tar.
    pub tar: TarLimits,
}

impl Limits {
    /// Output below which no ratio is too high: short runs of zeros are everywhere.
    pub const RATIO_FREE_BYTES: u64 = 64 * MIB;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes_max: 4 * MIB,
            documents_bytes_max: 64 * MIB,
            descriptors_max: 10_000,
            index_depth_max: 4,
            layers_max: 1_024,
            layer_bytes_max: 64 * GIB,
            gzip_ratio_max: 2_000,
            ratio_max: 100_000,
            paths_bytes_max: 512 * MIB,
            layer_time_max: Duration::from_secs(30 * 60),
            zstd_window_log_max: 27,
            xz_memory_bytes_max: 128 * MIB,
            tar: TarLimits::default(),
        }
    }
}
