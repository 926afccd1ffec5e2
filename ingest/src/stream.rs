//! Stored bytes and what they unpack to, both hashed while they pass.
//!
//! [`Stored`] counts and hashes what comes from the source; [`Unpacked`] decompresses, counts and hashes what comes
//! out, and stops at the limits. A typed error passes through readers above as the source of an [`io::Error`].

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::time::Instant;

use layerprint_store::id::{BlobDigest, DiffId};
use sha2::{Digest, Sha256, Sha512};

use crate::codec::{Codec, Decoder, MAGIC_BYTES};
use crate::error::LayerError;
use crate::layer::Promise;
use crate::limits::Limits;
use crate::tar::TarError;

/// Size of the buffers between the stages. Large enough that hashing is not called for crumbs, small enough that
/// both stay in the second-level cache.
const BUFFER_BYTES: usize = 128 << 10;

/// Bytes as they are stored: compressed layers, archives.
pub struct Stored<'a, R> {
    inner: R,
    sha256: Sha256,
    sha512: Option<Sha512>,
    count_bytes: u64,
    on_read: &'a dyn Fn(u64),
}

impl<'a, R: Read> Stored<'a, R> {
    /// Wraps a reader. SHA-512 is computed beside SHA-256 only where a SHA-512 digest was promised.
    pub fn new(inner: R, promised: Option<BlobDigest>, on_read: &'a dyn Fn(u64)) -> Self {
        let sha512 = matches!(promised, Some(BlobDigest::Sha512(_))).then(Sha512::new);
        Self { inner, sha256: Sha256::new(), sha512, count_bytes: 0, on_read }
    }

    /// Compares size, then digest, with what was promised and returns the digest.
    fn finish(self, promise: &Promise) -> (u64, BlobDigest, [u8; 32]) {
        let sha256: [u8; 32] = self.sha256.finalize().into();
        let digest = match (promise.digest, self.sha512) {
            (Some(BlobDigest::Sha512(_)), Some(sha512)) => BlobDigest::Sha512(sha512.finalize().into()),
            _ => BlobDigest::Sha256(sha256),
        };
        (self.count_bytes, digest, sha256)
    }
}

impl<R: Read> Read for Stored<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = read_uninterrupted(&mut self.inner, buffer)?;
        self.sha256.update(&buffer[..count]);
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(&buffer[..count]);
        }
        self.count_bytes += count as u64;
        (self.on_read)(count as u64);
        Ok(count)
    }
}

/// A tar as it comes out of the decompressor, buffered.
pub struct Unpacked<'a, R: Read> {
    output: BufReader<Output<'a, R>>,
}

/// Stored bytes, the first of which were read to be looked at and are put back.
type Sniffed<'a, R> = BufReader<Chain<Cursor<Vec<u8>>, Stored<'a, R>>>;

struct Output<'a, R: Read> {
    decoder: Decoder<Sniffed<'a, R>>,
    codec: Codec,
    /// None where nothing is compressed: the digest of the stored bytes is the diff ID then.
    sha256: Option<Sha256>,
    count_bytes: u64,
    limits: Limits,
    started: Instant,
}

/// What is known when everything has been read.
pub struct Finished {
    /// SHA-256 of the unpacked bytes.
    pub diff_id: DiffId,
    /// Their number.
    pub size_bytes: u64,
    /// Digest of the stored bytes, of the algorithm that was promised.
    pub digest: BlobDigest,
    /// True if bytes other than zeros follow the compressed stream.
    pub trailing: bool,
}

impl<'a, R: Read> Unpacked<'a, R> {
    /// Looks at the first bytes and starts to unpack.
    pub fn new(mut stored: Stored<'a, R>, limits: &Limits) -> Result<Self, LayerError> {
        let magic = read_magic(&mut stored).map_err(LayerError::of_stream)?;
        let codec = Codec::sniff(&magic)?;
        let stored = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(magic).chain(stored));
        let output = Output {
            decoder: Decoder::new(codec, stored, limits)?,
            codec,
            sha256: (codec != Codec::Plain).then(Sha256::new),
            count_bytes: 0,
            limits: limits.clone(),
            started: Instant::now(),
        };
        Ok(Self { output: BufReader::with_capacity(BUFFER_BYTES, output) })
    }

    /// Returns the compression that was found.
    pub fn codec(&self) -> Codec {
        self.output.get_ref().codec
    }

    /// Reads the first bytes: `count`, or all there are.
    pub fn read_head(&mut self, count: u64) -> Result<Vec<u8>, LayerError> {
        let mut head = Vec::new();
        self.take(count).read_to_end(&mut head).map_err(LayerError::of_stream)?;
        Ok(head)
    }

    /// Reads what follows the compressed stream and compares size, then digest, with what was promised.
    pub fn finish(self, promise: &Promise) -> Result<Finished, LayerError> {
        let Output { decoder, sha256, count_bytes, .. } = self.output.into_inner();
        let mut stored = decoder.into_inner();
        let trailing = drain(&mut stored).map_err(LayerError::of_stream)?;
        let (stored_bytes, digest, stored_sha256) = stored.into_inner().into_inner().1.finish(promise);
        if let Some(expected) = promise.size_bytes.filter(|expected| *expected != stored_bytes) {
            return Err(LayerError::SizeMismatch { found: stored_bytes, expected });
        }
        if let Some(expected) = promise.digest.filter(|expected| *expected != digest) {
            return Err(LayerError::digest_mismatch(digest, expected));
        }
        let diff_id = DiffId::from_bytes(sha256.map_or(stored_sha256, |hasher| hasher.finalize().into()));
        Ok(Finished { diff_id, size_bytes: count_bytes, digest, trailing })
    }
}

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.read(buffer)
    }
}

impl<R: Read> Output<'_, R> {
    fn check_limits(&self) -> Result<(), LayerError> {
        let limits = &self.limits;
        if self.count_bytes > limits.layer_bytes_max {
            return Err(LayerError::Limit { limit: "layer_bytes_max", max: limits.layer_bytes_max });
        }
        let ratio_max = self.codec.ratio_max(limits);
        let stored_bytes = self.decoder.get_ref().get_ref().get_ref().1.count_bytes;
        if self.count_bytes > Limits::RATIO_FREE_BYTES.saturating_add(stored_bytes.saturating_mul(ratio_max))
        {
            return Err(LayerError::Limit { limit: self.codec.ratio_limit_name(), max: ratio_max });
        }
        if self.started.elapsed() > limits.layer_time_max {
            return Err(LayerError::Limit { limit: "layer_time_max", max: limits.layer_time_max.as_secs() });
        }
        Ok(())
    }
}

impl<R: Read> Read for Output<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer).map_err(|source| {
            let (codec, offset_bytes) = (self.codec.name(), self.count_bytes);
            let already_typed = source.get_ref().is_some_and(|inner| inner.is::<LayerError>());
            if self.codec == Codec::Plain || already_typed {
                return source;
            }
            io::Error::other(LayerError::Codec { codec, offset_bytes, source })
        })?;
        self.count_bytes += count as u64;
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(&buffer[..count]);
        }
        self.check_limits().map_err(io::Error::other)?;
        Ok(count)
    }
}

impl LayerError {
    pub(crate) fn digest_mismatch(found: BlobDigest, expected: BlobDigest) -> Self {
        Self::DigestMismatch { found: Box::new(found), expected: Box::new(expected) }
    }

    /// Takes the typed error out of one that passed through readers.
    pub(crate) fn of_stream(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => error,
            Err(error) => error.downcast::<TarError>().map_or_else(Self::Io, Self::from),
        }
    }
}

/// Signals interrupt a read of a pipe. The stages above take every error for the end.
fn read_uninterrupted(inner: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match inner.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Reads the first bytes: as many as [`Codec::sniff`] wants, or all there are. A pipe may give them one by one.
fn read_magic(stored: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut magic = Vec::with_capacity(MAGIC_BYTES);
    stored.take(MAGIC_BYTES as u64).read_to_end(&mut magic)?;
    Ok(magic)
}

fn drain(reader: &mut impl BufRead) -> io::Result<bool> {
    let mut trailing = false;
    loop {
        let rest = reader.fill_buf()?;
        if rest.is_empty() {
            return Ok(trailing);
        }
        trailing |= rest.iter().any(|byte| *byte != 0);
        let count = rest.len();
        reader.consume(count);
    }
}
