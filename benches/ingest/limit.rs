//! The limit: what cannot be avoided, each part alone, on the same bytes, in memory, on one thread.
//!
//! Decompression into a buffer that is used again, SHA-256 of the blob, SHA-256 of the tar (of a plain layer, both are
//! the same and counted once), BLAKE3 of each file. Leaves out reading, walking the tar, and everything else.

use std::hint::black_box;
use std::io::{Cursor, Read};

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::blobs::{Blob, Compression};
use super::process::thread_cpu_s;

/// About what decoders are asked for at once; in the caches, as a pipeline would have it.
const BUFFER_BYTES: usize = 256 << 10;

/// CPU seconds of each part.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Limit {
    pub layers: u64,
    pub blob_bytes: u64,
    pub tar_bytes: u64,
    pub files: u64,
    pub file_bytes: u64,
    pub decompress_s: f64,
    pub sha256_blob_s: f64,
    pub sha256_tar_s: f64,
    pub blake3_s: f64,
}

impl Limit {
    pub fn sum_s(&self) -> f64 {
        self.decompress_s + self.sha256_blob_s + self.sha256_tar_s + self.blake3_s
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 bytes")]
    pub fn tar_megabytes(&self) -> f64 {
        self.tar_bytes as f64 / 1e6
    }
}

/// Measures layer by layer, so that no more than one is in memory.
pub fn limit(blobs: &[Blob]) -> Result<Limit> {
    let mut limit = Limit::default();
    for blob in blobs {
        add(&mut limit, blob).with_context(|| format!("layer {}", blob.file.display()))?;
    }
    Ok(limit)
}

fn add(limit: &mut Limit, blob: &Blob) -> Result<()> {
    let stored = blob.read()?;
    let tar = match blob.compression {
        Compression::Plain => None,
        _ => Some(unpacked(blob.compression, &stored)?),
    };
    let (tar, plain) = (tar.as_deref().unwrap_or(&stored), tar.is_none());
    let files = files(tar)?;
    limit.layers += 1;
    limit.blob_bytes += stored.len() as u64;
    limit.tar_bytes += tar.len() as u64;
    limit.files += files.len() as u64;
    limit.file_bytes += files.iter().map(|file| file.len() as u64).sum::<u64>();
    limit.sha256_blob_s += timed(|| Sha256::digest(&stored));
    if !plain {
        let mut buffer = vec![1; BUFFER_BYTES];
        limit.decompress_s += timed(|| decompress(blob.compression, &stored, &mut buffer));
        limit.sha256_tar_s += timed(|| Sha256::digest(tar));
    }
    limit.blake3_s += timed(|| {
        for file in &files {
            black_box(blake3::hash(file));
        }
    });
    Ok(())
}

fn timed<T>(part: impl FnOnce() -> T) -> f64 {
    let before = thread_cpu_s();
    black_box(part());
    thread_cpu_s() - before
}

fn decoder(compression: Compression, stored: &[u8]) -> Result<Box<dyn Read + '_>> {
    Ok(match compression {
        Compression::Plain => Box::new(stored),
        Compression::Gzip => Box::new(MultiGzDecoder::new(stored)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(stored)?),
    })
}

fn unpacked(compression: Compression, stored: &[u8]) -> Result<Vec<u8>> {
    let mut tar = Vec::new();
    decoder(compression, stored)?.read_to_end(&mut tar).context("decompress")?;
    Ok(tar)
}

fn decompress(compression: Compression, stored: &[u8], buffer: &mut [u8]) {
    let mut decoder = decoder(compression, stored).expect("it was decompressed before");
    while decoder.read(buffer).expect("it was decompressed before") > 0 {
        black_box(&buffer);
    }
}

/// Returns the bytes of each regular file.
fn files(tar: &[u8]) -> Result<Vec<&[u8]>> {
    let mut files = Vec::new();
    for entry in tar::Archive::new(Cursor::new(tar)).entries_with_seek()? {
        let entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let start = usize::try_from(entry.raw_file_position())?;
        let end = start + usize::try_from(entry.size())?;
        files.push(tar.get(start..end).context("tar ends within a file")?);
    }
    Ok(files)
}
