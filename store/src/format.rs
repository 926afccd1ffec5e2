//! Every constant of the bytes on disk, as `FORMAT.md` describes them.
//!
//! Changing one of these changes what old programs read: raise the version beside it and keep a fixture of
//! the old bytes. Limits are part of the format too: a writer refuses what a reader would.

/// Version of the store as a whole: which files and trees there are and what they mean.
pub(crate) const STORE_VERSION: u32 = 2;
/// First line of the `FORMAT` file; the second is `version N`, the third `id HEX`.
pub(crate) const STORE_MAGIC: &str = "layerprint store";
/// Bytes of the random id that ties packs and catalogue to one store.
pub(crate) const STORE_ID_BYTES: usize = 16;
/// Longest `FORMAT` file that is read.
pub(crate) const STORE_HEADER_BYTES_MAX: u64 = 1024;

/// Fingerprint body.
pub(crate) mod body {
    pub(crate) const MAGIC: [u8; 4] = *b"LPFP";
    pub(crate) const VERSION: u16 = 1;
    pub(crate) const HEADER_BYTES: usize = 32;
    /// Flag: the metadata section is one zstd frame, else it is plain.
    pub(crate) const FLAG_ZSTD: u16 = 1;
    /// Level 1: paths of one layer are so alike that higher levels gain a few per cent for twice the time.
    pub(crate) const ZSTD_LEVEL: i32 = 1;
    /// Largest window accepted, 8 MiB: more than level 1 ever asks for.
    pub(crate) const ZSTD_WINDOW_LOG_MAX: u32 = 23;
    /// Columns of the metadata section.
    pub(crate) const COLUMN_COUNT: usize = 9;
    /// Longest metadata section before compression. A few kilobytes of zstd can claim gigabytes.
    pub(crate) const METADATA_BYTES_MAX: u64 = 1 << 30;
    /// Most entries of one layer. Large builds have a million; what they may take in memory is below this.
    pub(crate) const ENTRIES_MAX: u64 = 1 << 24;
    /// Most that the entries of one layer may take in memory, as [`Fingerprint::memory_bytes`] counts: two
    /// million files with usual paths. Every reader of a store holds whole layers.
    ///
    /// [`Fingerprint::memory_bytes`]: crate::Fingerprint::memory_bytes
    pub(crate) const MEMORY_BYTES_MAX: u64 = 576 << 20;
    /// Longest path or link target.
    pub(crate) const PATH_BYTES_MAX: usize = 64 << 10;
    /// Most bytes of all paths together. Front coding can claim a thousand times what it takes; a million paths of a
    /// hundred bytes are within.
    pub(crate) const PATHS_BYTES_MAX: u64 = 128 << 20;

    /// Entry kinds in the `kinds` column.
    pub(crate) mod kind {
        pub(crate) const WHITEOUT: u8 = 0;
        pub(crate) const OPAQUE: u8 = 1;
        pub(crate) const DIRECTORY: u8 = 2;
        pub(crate) const FILE: u8 = 3;
        pub(crate) const FILE_LINKED: u8 = 4;
        pub(crate) const SYMLINK: u8 = 5;
        pub(crate) const HARD_LINK: u8 = 6;
        pub(crate) const CHAR_DEVICE: u8 = 7;
        pub(crate) const BLOCK_DEVICE: u8 = 8;
        pub(crate) const FIFO: u8 = 9;
    }
}

/// Pack files.
pub(crate) mod pack {
    pub(crate) const MAGIC: [u8; 4] = *b"LPPK";
    pub(crate) const VERSION: u16 = 1;
    pub(crate) const HEADER_BYTES: usize = 32;
    /// A pack that would grow past this is sealed and the next one begun. Small enough to copy and check in
    /// seconds, large enough that a million layers are a few dozen files.
    pub(crate) const PACK_BYTES_MAX: u64 = 256 << 20;
    pub(crate) const FRAME_MAGIC: [u8; 4] = *b"LPFR";
    pub(crate) const FRAME_HEADER_BYTES: usize = 80;
    /// Longest payload of one frame; one that is longer than a pack has a pack of its own.
    pub(crate) const PAYLOAD_BYTES_MAX: u64 = 2 << 30;
    /// Context of the key under which frames are hashed, so that bytes of a hostile image never pass for one.
    pub(crate) const KEY_CONTEXT: &str = "layerprint store 1 pack frame";
}

/// Records of the catalogue, and commits.
pub(crate) mod record {
    /// Version of the layout of keys and values.
    pub(crate) const VERSION: u8 = 1;
    pub(crate) const CHECKSUM_BYTES: usize = 16;
    /// The value follows.
    pub(crate) const INLINE: u8 = 0;
    /// The place of the value in a pack follows.
    pub(crate) const PACKED: u8 = 1;
    /// Longest value kept in the catalogue itself. Most layers are smaller; sled's pages suffer from more.
    pub(crate) const INLINE_BYTES_MAX: usize = 2 << 10;
    /// Context of the checksums of values.
    pub(crate) const KEY_CONTEXT: &str = "layerprint store 1 record";
    /// Longest commit before compression.
    pub(crate) const COMMIT_BYTES_MAX: u64 = 1 << 30;
    pub(crate) const COMMIT_ZSTD_LEVEL: i32 = 1;
    /// Operations for one sled batch: larger ones cost gigabytes of memory.
    pub(crate) const BATCH_OPERATIONS: usize = 256;
    /// Longest document kept, the size up to which registries accept manifests.
    pub(crate) const DOCUMENT_BYTES_MAX: u64 = 4 << 20;
    pub(crate) const DOCUMENT_ZSTD_LEVEL: i32 = 3;
    /// Longest image reference.
    pub(crate) const REFERENCE_BYTES_MAX: usize = 4096;
}

/// Index segments, and the file that names the live ones.
pub(crate) mod index {
    pub(crate) const MAGIC: [u8; 4] = *b"LPSG";
    /// 2: where documents stand. 3: records of layers, and which layers cannot be read.
    pub(crate) const VERSION: u16 = 3;
    /// Header without the section table.
    pub(crate) const FIXED_BYTES: usize = 48;
    pub(crate) const CHECKSUM_BYTES: usize = 16;
    /// Bytes under one checksum: a look-up touches a page here and a page there.
    pub(crate) const BLOCK_BYTES: usize = 4096;
    pub(crate) const BLOCK_CHECKSUM_BYTES: usize = 8;
    /// Context of the key of all checksums of the index.
    pub(crate) const KEY_CONTEXT: &str = "layerprint store 2 index";
    /// First line of `CURRENT`.
    pub(crate) const CURRENT_MAGIC: &str = "layerprint index";
    /// 2: how many bytes of the packs are commits.
    pub(crate) const CURRENT_VERSION: u32 = 2;
    /// Longest `CURRENT` that is read: segments merge in tiers, so there are a few dozen.
    pub(crate) const CURRENT_BYTES_MAX: u64 = 1 << 20;
    /// Keys that share a bucket on average. Keys are uniform, so a bucket is found by its number.
    pub(crate) const BUCKET_KEYS: u64 = 16;
    pub(crate) const BUCKET_BITS_MAX: u32 = 24;
    /// Most nodes of a store: a posting is twice the node's number, and a bit for the sign.
    pub(crate) const NODES_MAX: u32 = 1 << 30;
}

/// Exports of a store.
pub(crate) mod export {
    pub(crate) const MAGIC: [u8; 8] = *b"LPEXPORT";
    /// Covers the records in it, too: whatever changes `LayerRecord`, `ImageRecord` or a fingerprint raises it.
    pub(crate) const VERSION: u32 = 1;
    /// Magic, version, and a zero of four bytes.
    pub(crate) const HEADER_BYTES: usize = 16;
    /// Kind, three zero bytes, and the length of the payload.
    pub(crate) const FRAME_HEADER_BYTES: usize = 8;
    pub(crate) const CHECKSUM_BYTES: usize = 32;
    /// Longest frame of a layer: a fingerprint as long as a pack takes, and its record.
    pub(crate) const LAYER_BYTES_MAX: u64 = super::pack::PAYLOAD_BYTES_MAX + (16 << 20);
    /// Longest frame of a document: the longest document, and its digest.
    pub(crate) const DOCUMENT_BYTES_MAX: u64 = super::record::DOCUMENT_BYTES_MAX + 128;
    /// Longest frame of an image. It may have had thousands of names.
    pub(crate) const IMAGE_BYTES_MAX: u64 = 256 << 20;
    /// Longest frame of a blob. Its media type stood in a manifest, which is no longer than a document.
    pub(crate) const BLOB_BYTES_MAX: u64 = super::record::DOCUMENT_BYTES_MAX + 256;
    /// Longest end: four counts.
    pub(crate) const END_BYTES_MAX: u64 = 40;
}
