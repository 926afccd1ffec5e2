//! The layers of a set as they lie on disk, each distinct one once.
//!
//! Reads the OCI layouts and archives that this benchmark is given, without any of layerprint's code, so that the limit
//! is worked out from the bytes and not from what layerprint makes of them.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Plain,
    Gzip,
    Zstd,
}

impl Compression {
    /// What a media type appends.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => "+gzip",
            Self::Zstd => "+zstd",
        }
    }
}

/// A layer's bytes within a file.
pub struct Blob {
    pub file: PathBuf,
    pub offset: u64,
    pub size_bytes: u64,
    pub compression: Compression,
}

impl Blob {
    pub fn read(&self) -> Result<Vec<u8>> {
        let mut file = File::open(&self.file).with_context(|| format!("open {}", self.file.display()))?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.take(self.size_bytes).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Returns the layers of an OCI layout, or of every archive in a folder.
pub fn blobs(source: &Path) -> Result<Vec<Blob>> {
    if source.join("index.json").exists() {
        return in_layout(source);
    }
    let mut seen = HashSet::new();
    let mut blobs = Vec::new();
    for entry in fs::read_dir(source).with_context(|| format!("read {}", source.display()))? {
        in_archive(&entry?.path(), &mut seen, &mut blobs)?;
    }
    Ok(blobs)
}

fn in_layout(folder: &Path) -> Result<Vec<Blob>> {
    let index = json(&fs::read(folder.join("index.json"))?)?;
    let mut seen = HashSet::new();
    let mut blobs = Vec::new();
    for row in rows(&index, "manifests") {
        let manifest = json(&fs::read(blob_path(folder, row)?)?)?;
        for layer in rows(&manifest, "layers") {
            let file = blob_path(folder, layer)?;
            if !seen.insert(file.clone()) {
                continue;
            }
            let size_bytes = fs::metadata(&file)?.len();
            blobs.push(Blob { file, offset: 0, size_bytes, compression: compression(layer)? });
        }
    }
    Ok(blobs)
}

fn blob_path(folder: &Path, row: &Value) -> Result<PathBuf> {
    let digest = row["digest"].as_str().context("descriptor without a digest")?;
    Ok(folder.join("blobs").join(digest.replace(':', "/")))
}

fn compression(layer: &Value) -> Result<Compression> {
    let media_type = layer["mediaType"].as_str().unwrap_or_default();
    Ok(match media_type.rsplit(['+', '.']).next() {
        Some("tar") => Compression::Plain,
        Some("gzip") => Compression::Gzip,
        Some("zstd") => Compression::Zstd,
        _ => bail!("media type {media_type} is not one of this benchmark's sets"),
    })
}

/// Adds the layers of an archive of Docker's, which are plain.
fn in_archive(file: &Path, seen: &mut HashSet<String>, blobs: &mut Vec<Blob>) -> Result<()> {
    let layers = layers_of_archive(file).with_context(|| format!("read {}", file.display()))?;
    let mut archive = tar::Archive::new(File::open(file)?);
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !layers.contains(&path) || !seen.insert(path) {
            continue;
        }
        let (offset, size_bytes) = (entry.raw_file_position(), entry.size());
        blobs.push(Blob { file: file.to_owned(), offset, size_bytes, compression: Compression::Plain });
    }
    Ok(())
}

fn layers_of_archive(file: &Path) -> Result<HashSet<String>> {
    let mut archive = tar::Archive::new(File::open(file)?);
    for entry in archive.entries_with_seek()? {
        let mut entry = entry?;
        if *entry.path_bytes() != *b"manifest.json" {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        let manifest = json(&bytes)?;
        let names = manifest.as_array().into_iter().flatten().flat_map(|image| rows(image, "Layers"));
        return Ok(names.filter_map(Value::as_str).map(str::to_owned).collect());
    }
    bail!("manifest.json is missing")
}

fn json(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).context("not JSON")
}

fn rows<'a>(document: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    document[name].as_array().into_iter().flatten()
}
