//! Writers that hash and count what passes through them.

use std::io::{self, Write};

use layerprint_store::id::{BlobDigest, DiffId};
use sha2::{Digest, Sha256, Sha512};

/// The algorithm of blob digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// SHA-256, which all tools know.
    #[default]
    Sha256,
    /// SHA-512, which the OCI specification allows.
    Sha512,
}

impl Algorithm {
    pub(super) fn digest(self, bytes: &[u8]) -> BlobDigest {
        let mut hashing = Hashing::new(io::sink(), self);
        hashing.write_all(bytes).expect("a sink takes everything");
        hashing.finish().1
    }
}

/// Counts and hashes the bytes on their way to `inner`.
pub(super) struct Hashing<W> {
    inner: W,
    hasher: Hasher,
    size_bytes: u64,
}

enum Hasher {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl<W: Write> Hashing<W> {
    pub fn new(inner: W, algorithm: Algorithm) -> Self {
        let hasher = match algorithm {
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(Box::default()),
        };
        Self { inner, hasher, size_bytes: 0 }
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub fn finish(self) -> (W, BlobDigest, u64) {
        let digest = match self.hasher {
            Hasher::Sha256(hasher) => BlobDigest::Sha256(hasher.finalize().into()),
            Hasher::Sha512(hasher) => BlobDigest::Sha512(hasher.finalize().into()),
        };
        (self.inner, digest, self.size_bytes)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(bytes)?;
        match &mut self.hasher {
            Hasher::Sha256(hasher) => hasher.update(&bytes[..taken]),
            Hasher::Sha512(hasher) => hasher.update(&bytes[..taken]),
        }
        self.size_bytes += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Hashes into a hasher that outlives it: a diff ID runs over several gzip members.
pub(super) struct Tee<'a, W> {
    pub inner: W,
    pub hasher: &'a mut Sha256,
}

impl<W: Write> Write for Tee<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

pub(super) fn diff_id(hasher: Sha256) -> DiffId {
    DiffId::from_bytes(hasher.finalize().into())
}
