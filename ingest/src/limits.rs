//! What a hostile image may cost at most.
//!
//! Every limit has a name, which the error that it causes carries, and a default that no honest image reaches.

use std::time::Duration;

use layerprint_store::Fingerprint;

use crate::tar::TarLimits;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Bounds on what is read from one image, and sums over the images of one source: one file, folder or pipe.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest manifest, index, configuration or attestation. Registries refuse manifests over 4 MiB.
    pub document_bytes_max: u64,
    /// Sum of all such documents that are read of one source. All are held until its images are stored; ten thousand
    /// images have some 100 MiB of them.
    pub documents_bytes_max: u64,
    /// Most descriptors that the indexes of one source may name, and images that its `manifest.json` may.
    pub descriptors_max: usize,
    /// Sum of the layers of all images of one source, each of which is held until its image is stored. A layout of 2,000
    /// images has 12,748.
    pub source_layers_max: usize,
    /// Sum of the names that one source gives its images. Every name is kept, with each image that it has stood for.
    pub source_names_max: usize,
    /// Sum of the bytes of these names: a hundred for each.
    pub source_names_bytes_max: u64,
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
    /// Sum of the uncompressed bytes of all layers that are read of one source, as a multiple of their stored bytes and
    /// beyond [`Limits::layer_bytes_max`]: what one layer may not become, many may not together.
    pub source_ratio_max: u64,
    /// Sum of the holes of sparse files in all layers that are read of one source, beyond [`TarLimits::sparse_ratio_max`]
    /// times the stored bytes of these files. Hashing them takes half a second; databases and login records have a few
    /// hundred megabytes of them.
    pub source_hole_bytes_max: u64,
    /// Sum of the paths and link targets of one layer, all of which are held in memory: a million paths of 134 bytes. The
    /// format of the store has the same limit.
    pub paths_bytes_max: u64,
    /// Sum of the paths and link targets of all layers of one image: twice what one layer may have, for a layer may change
    /// all files of the one below.
    pub image_paths_bytes_max: u64,
    /// Most memory that the entries of one image take, in all its layers: what
    /// [`Fingerprint::memory_bytes`](layerprint_store::Fingerprint::memory_bytes) counts. A million files with paths of a
    /// hundred bytes take 290 MiB, and another time as much where a further layer changes all of them.
    pub image_memory_bytes_max: u64,
    /// Most memory that the members of an archive take which is read front to back: their names, and where they are. It is
    /// held while the layers among them are read.
    pub members_memory_bytes_max: u64,
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
            documents_bytes_max: 128 * MIB,
            descriptors_max: 10_000,
            source_layers_max: 250_000,
            source_names_max: 10_000,
            source_names_bytes_max: MIB,
            index_depth_max: 4,
            layers_max: 1_024,
            layer_bytes_max: 64 * GIB,
            gzip_ratio_max: 2_000,
            ratio_max: 100_000,
            source_ratio_max: 2_000,
            source_hole_bytes_max: GIB,
            paths_bytes_max: 128 * MIB,
            members_memory_bytes_max: 64 * MIB,
            image_paths_bytes_max: Fingerprint::IMAGE_PATHS_BYTES_MAX,
            image_memory_bytes_max: Fingerprint::MEMORY_BYTES_MAX,
            layer_time_max: Duration::from_secs(30 * 60),
            zstd_window_log_max: 27,
            xz_memory_bytes_max: 128 * MIB,
            tar: TarLimits::default(),
        }
    }
}
