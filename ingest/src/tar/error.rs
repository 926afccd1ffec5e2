//! Why an archive cannot be read on, and where.

use std::io;

/// What stopped the reader. Paths are cut to 256 bytes.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// A header block that no format explains.
    #[error("tar header at byte {offset_bytes}: {problem}")]
    BadHeader {
        /// Where the header starts.
        offset_bytes: u64,
        /// Which field, and what is wrong with it.
        problem: &'static str,
    },
    /// A block that is no header, or a damaged one.
    #[error("tar header at byte {offset_bytes}: checksum does not match")]
    BadChecksum {
        /// Where the block starts.
        offset_bytes: u64,
    },
    /// The archive ends inside a header, a body or an extension.
    #[error("tar ends at byte {offset_bytes}, inside {}", name_or(path, "a header"))]
    Truncated {
        /// How many bytes there are.
        offset_bytes: u64,
        /// The entry, as far as its name is known; else empty.
        path: Vec<u8>,
    },
    /// A PAX header, long name or sparse map over the limit that Go sets.
    #[error("tar extension at byte {offset_bytes}: has {size_bytes} bytes, limit is {limit_bytes}")]
    ExtensionTooLarge {
        /// Where the header of the extension starts.
        offset_bytes: u64,
        /// How large it says it is, or is at least.
        size_bytes: u64,
        /// What is allowed.
        limit_bytes: u64,
    },
    /// A PAX record that cannot be parsed, or says what cannot be.
    #[error("tar extension of {} at byte {offset_bytes}: {problem}", name_or(path, "what follows"))]
    BadPax {
        /// Where the header that it belongs to starts.
        offset_bytes: u64,
        /// The entry, as far as its name is known; else empty.
        path: Vec<u8>,
        /// Which record, and what is wrong with it.
        problem: &'static str,
    },
    /// A sparse file whose map contradicts itself, its size or its bytes.
    #[error("sparse file {} at byte {offset_bytes}: {problem}", name_or(path, "without a name"))]
    BadSparse {
        /// Where the header of the file starts.
        offset_bytes: u64,
        /// The file.
        path: Vec<u8>,
        /// What is wrong with the map.
        problem: &'static str,
    },
    /// More than [`TarLimits`](super::TarLimits) allow.
    #[error(
        "tar entry {} at byte {offset_bytes}: {limit} is {allowed}, found {found}",
        name_or(path, "without a name")
    )]
    LimitExceeded {
        /// The field of the limits.
        limit: &'static str,
        /// Its value.
        allowed: u64,
        /// What was found.
        found: u64,
        /// Where the header of the entry starts.
        offset_bytes: u64,
        /// The entry.
        path: Vec<u8>,
    },
    /// The caller asked for more after an error; what would follow cannot be trusted.
    #[error("tar reader stopped at byte {offset_bytes} with an error")]
    Stopped {
        /// Where it stopped.
        offset_bytes: u64,
    },
    /// The bytes could not be had: the disk, the network, the decompressor.
    #[error("tar at byte {offset_bytes}: {source}")]
    Io {
        /// How far reading came.
        offset_bytes: u64,
        /// What the source said.
        source: io::Error,
    },
}

/// Writes a path for a person, or what stands for one that is not known.
fn name_or(path: &[u8], unknown: &str) -> String {
    if path.is_empty() { unknown.to_owned() } else { format!("\"{}\"", path.escape_ascii()) }
}

impl From<TarError> for io::Error {
    fn from(error: TarError) -> Self {
        let kind = match &error {
            TarError::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            TarError::Io { source, .. } => source.kind(),
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// The entry that is being read: what an error needs to say where it stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) offset_bytes: u64,
    pub(super) path: &'a [u8],
}

impl Place<'_> {
    pub(super) fn bad_pax(self, problem: &'static str) -> TarError {
        TarError::BadPax { offset_bytes: self.offset_bytes, path: self.shown_path(), problem }
    }

    pub(super) fn bad_sparse(self, problem: &'static str) -> TarError {
        TarError::BadSparse { offset_bytes: self.offset_bytes, path: self.shown_path(), problem }
    }

    /// Fails if `found` is over the limit.
    pub(super) fn within(self, limit: &'static str, allowed: u64, found: u64) -> Result<(), TarError> {
        if found <= allowed {
            return Ok(());
        }
        let (offset_bytes, path) = (self.offset_bytes, self.shown_path());
        Err(TarError::LimitExceeded { limit, allowed, found, offset_bytes, path })
    }

    /// Cuts the path: it can be a mebibyte of anything.
    pub(super) fn shown_path(self) -> Vec<u8> {
        const SHOWN_BYTES_MAX: usize = 256;
        self.path[..self.path.len().min(SHOWN_BYTES_MAX)].to_vec()
    }
}
