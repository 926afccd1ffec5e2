//! Writes one image as an OCI layout, its layers streamed and compressed as registries serve them.
//!
//! The writer in the ingest crate is made for tests: its compression is as fast as can be, and here the ratio is
//! what decides how long decompression takes. So layers are gzip level 6 and zstd level 3, in one member or frame.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::write::GzEncoder;
use layerprint_store::id::BlobDigest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::blobs::Compression;

const GZIP_LEVEL: flate2::Compression = flate2::Compression::new(6);
const ZSTD_LEVEL: i32 = 3;
/// What all images here are called within their layouts.
pub const NAME: &str = "set:1";

/// A layout under construction.
pub struct Layout<'a> {
    folder: &'a Path,
    rows: Vec<Value>,
    diff_ids: Vec<String>,
}

impl<'a> Layout<'a> {
    pub fn new(folder: &'a Path) -> Result<Self> {
        fs::create_dir_all(folder.join("blobs/sha256")).context("make the folder of blobs")?;
        Ok(Self { folder, rows: Vec::new(), diff_ids: Vec::new() })
    }

    /// Adds a layer on top, whose tar the function writes.
    pub fn layer(
        &mut self,
        compression: Compression,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        let staged = self.folder.join("layer");
        let blob = Hashing::new(BufWriter::new(File::create(&staged)?));
        let mut tar = Hashing::new(Encoder::new(compression, blob)?);
        write(&mut tar)?;
        let (encoder, diff_id, _) = tar.finish();
        let (mut file, digest, size_bytes) = encoder.finish()?.finish();
        file.flush()?;
        fs::rename(&staged, self.blob(&digest))?;
        let media_type = format!("application/vnd.oci.image.layer.v1.tar{}", compression.suffix());
        self.rows.push(json!({"mediaType": media_type, "digest": digest, "size": size_bytes}));
        self.diff_ids.push(diff_id.to_string());
        Ok(())
    }

    pub fn finish(mut self) -> Result<()> {
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
        });
        let config = self.put("application/vnd.oci.image.config.v1+json", &config)?;
        let manifest_type = "application/vnd.oci.image.manifest.v1+json";
        let layers = std::mem::take(&mut self.rows);
        let manifest =
            json!({"schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": layers});
        let mut row = self.put(manifest_type, &manifest)?;
        row["annotations"] = json!({"org.opencontainers.image.ref.name": NAME});
        let index = json!({"schemaVersion": 2, "manifests": [row]});
        fs::write(self.folder.join("index.json"), index.to_string())?;
        fs::write(self.folder.join("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}).to_string())?;
        Ok(())
    }

    /// Adds a document and returns its descriptor.
    fn put(&self, media_type: &str, document: &Value) -> Result<Value> {
        let bytes = document.to_string().into_bytes();
        let digest = BlobDigest::Sha256(Sha256::digest(&bytes).into());
        fs::write(self.blob(&digest), &bytes)?;
        Ok(json!({"mediaType": media_type, "digest": digest, "size": bytes.len()}))
    }

    fn blob(&self, digest: &BlobDigest) -> std::path::PathBuf {
        self.folder.join("blobs/sha256").join(digest.to_hex())
    }
}

/// Hashes and counts what is written.
struct Hashing<W> {
    inner: W,
    hasher: Sha256,
    size_bytes: u64,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: Sha256::new(), size_bytes: 0 }
    }

    fn finish(self) -> (W, BlobDigest, u64) {
        (self.inner, BlobDigest::Sha256(self.hasher.finalize().into()), self.size_bytes)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..taken]);
        self.size_bytes += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

enum Encoder<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    fn new(compression: Compression, out: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::Plain => Self::Plain(out),
            Compression::Gzip => Self::Gzip(GzEncoder::new(out, GZIP_LEVEL)),
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(out, ZSTD_LEVEL)?),
        })
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}
