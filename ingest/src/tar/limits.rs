//! How much of an archive the reader is willing to believe.

/// Bounds on one archive; each has a [`LimitExceeded`](super::TarError::LimitExceeded) of its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarLimits {
    /// Longest PAX header, GNU long name or sparse map. Go's own limit, so raising it departs from Go.
    pub extension_bytes_max: u64,
    /// Longest path or link target. Linux unpacks none over 4096 bytes; the rest is room for odd tools.
    pub path_bytes_max: usize,
    /// Most entries. The largest layers in use hold under a million; each costs the caller memory, of which there is
    /// room for some two and a half million.
    pub entries_max: u64,
    /// Largest file as it would be unpacked, holes included. Hashing one takes about a minute.
    pub file_bytes_max: u64,
    /// How many times larger than its stored bytes a sparse file may be. Deflate manages about as much.
    pub sparse_ratio_max: u64,
    /// Holes of a file up to which its ratio does not matter: hashing them takes about a second, and databases
    /// and login records are small files that are nearly all hole.
    pub sparse_free_bytes: u64,
    /// Most bytes of holes in the whole archive, so that many files do not add up to what one may not.
    pub hole_bytes_max: u64,
}

impl Default for TarLimits {
    fn default() -> Self {
        Self {
            extension_bytes_max: 1 << 20,
            path_bytes_max: 64 << 10,
            entries_max: 3_000_000,
            file_bytes_max: 64 << 30,
            sparse_ratio_max: 1000,
            sparse_free_bytes: 1 << 30,
            hole_bytes_max: 64 << 30,
        }
    }
}
