//! A root file system without a configuration: the tar of `docker export`, or a folder.
//!
//! It becomes an image of one layer. A folder is written as a tar on the way, in path order and without times, so
//! that one code reads layers and the same files always give the same diff ID.

use std::collections::BTreeSet;
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use layerprint_store::Platform;
use layerprint_store::id::DiffId;
use serde_json::json;
use walkdir::WalkDir;

use crate::error::LayerError;
use crate::layer::{LayerRead, LayerReader, Promise};
use crate::plan::{ImagePlan, LayerPlan};
use crate::tree::Blob;

/// Returns an image of the one layer in `blob`.
pub fn image(origin: &str, blob: Blob) -> ImagePlan {
    let layer = LayerPlan { name: origin.to_owned(), blob: Ok(blob), promise: Promise::default() };
    let config = config_without_layers(&Platform::default(), None);
    ImagePlan { config, layers: vec![layer], ..ImagePlan::new(origin.to_owned(), Vec::new()) }
}

/// Returns the start of a configuration for an image that has none; [`with_layers`] completes it
/// once the layers are known.
pub fn config_without_layers(platform: &Platform, created: Option<&str>) -> Arc<[u8]> {
    let mut config = json!({"architecture": platform.architecture, "os": platform.os});
    if let Some(created) = created {
        config["created"] = created.into();
    }
    config.to_string().into_bytes().into()
}

/// Puts the diff IDs into a configuration, as `docker import` does; its hash is the image ID.
pub fn with_layers(config: &[u8], layers: &[DiffId]) -> Option<Arc<[u8]>> {
    let mut config: serde_json::Value = serde_json::from_slice(config).ok()?;
    let diff_ids: Vec<_> = layers.iter().map(DiffId::to_string).collect();
    config.as_object_mut()?.insert("rootfs".into(), json!({"type": "layers", "diff_ids": diff_ids}));
    Some(config.to_string().into_bytes().into())
}

/// Reads a folder as the layer that a tar of it would be.
pub fn read_folder(
    root: &Path,
    layers: &LayerReader,
    on_read: &dyn Fn(u64),
) -> Result<LayerRead, LayerError> {
    let (reader, writer) = io::pipe().map_err(LayerError::Io)?;
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || write_tar(root, writer));
        let read = layers.read_helped(reader, &Promise::default(), on_read);
        let written = writing.join().expect("the tar writer does not panic");
        match (read, written) {
            // If reading stopped first, the writer only saw a closed pipe.
            (Err(error), _) => Err(error),
            (Ok(_), Err(error)) => Err(LayerError::Io(error)),
            (Ok(read), Ok(())) => Ok(read),
        }
    })
}

fn write_tar(root: &Path, writer: impl Write) -> io::Result<()> {
    let mut builder = tar::Builder::new(io::BufWriter::with_capacity(128 << 10, writer));
    // One file system: what is mounted below a running root (`/proc`, `/sys`) is not part of it.
    let walk = WalkDir::new(root).sort_by_file_name().same_file_system(true).min_depth(1);
    for entry in walk {
        let entry = entry?;
        let path = entry.path().strip_prefix(root).expect("a walk stays below its root");
        append(&mut builder, path, entry.path(), &entry.path().symlink_metadata()?)?;
    }
    builder.into_inner()?.flush()
}

fn append<W: Write>(
    builder: &mut tar::Builder<W>,
    name: &Path,
    path: &Path,
    meta: &Metadata,
) -> io::Result<()> {
    let Some(kind) = entry_type(meta.file_type()) else { return Ok(()) };
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(meta.mode() & 0o7777);
    header.set_uid(meta.uid().into());
    header.set_gid(meta.gid().into());
    header.set_mtime(0);
    header.set_size(0);
    match kind {
        tar::EntryType::Regular => {
            header.set_size(meta.len());
            // A file that shrinks while it is read is filled up, one that grows is cut: the archive stays whole.
            let body = File::open(path)?.chain(io::repeat(0)).take(meta.len());
            builder.append_data(&mut header, name, body)
        }
        tar::EntryType::Symlink => builder.append_link(&mut header, name, fs::read_link(path)?),
        _ => {
            let (major, minor) = device_numbers(meta.rdev());
            header.set_device_major(major)?;
            header.set_device_minor(minor)?;
            builder.append_data(&mut header, name, io::empty())
        }
    }
}

/// Sockets have no place in a tar.
fn entry_type(kind: FileType) -> Option<tar::EntryType> {
    match kind {
        kind if kind.is_file() => Some(tar::EntryType::Regular),
        kind if kind.is_dir() => Some(tar::EntryType::Directory),
        kind if kind.is_symlink() => Some(tar::EntryType::Symlink),
        kind if kind.is_char_device() => Some(tar::EntryType::Char),
        kind if kind.is_block_device() => Some(tar::EntryType::Block),
        kind if kind.is_fifo() => Some(tar::EntryType::Fifo),
        _ => None,
    }
}

/// Splits a device number as Linux does (`gnu_dev_major`, `gnu_dev_minor`).
fn device_numbers(device: u64) -> (u32, u32) {
    let low = |value: u64| u32::try_from(value & 0xffff_ffff).expect("masked to 32 bits");
    let major = low(((device >> 8) & 0xfff) | ((device >> 32) & !0xfff));
    let minor = low((device & 0xff) | ((device >> 12) & !0xff));
    (major, minor)
}

/// Names of folders that a root file system has at its top. Two of them make one.
const TOP_FOLDERS: [&[u8]; 8] = [b"bin", b"etc", b"lib", b"sbin", b"usr", b"var", b"dev", b"Files"];

/// Judges by the names at the top whether files make up a root file system. Windows has one folder there.
pub fn looks_like_rootfs<'a>(names: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut found: BTreeSet<&[u8]> = BTreeSet::new();
    for name in names {
        let first = name.split(|byte| *byte == b'/').next().unwrap_or_default();
        found.extend(TOP_FOLDERS.iter().find(|top| **top == first));
        let windows = name.starts_with(b"Files/Windows");
        if first == b".dockerenv" || windows || found.len() >= 2 {
            return true;
        }
    }
    false
}

/// Returns the names at the top of a folder.
pub fn top_names(path: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().as_bytes().to_vec()).collect()
}
