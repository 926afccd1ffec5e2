//! A tar of real files of this machine, in the order of their paths.
//!
//! An even share of all files below a folder is taken, so that a large folder is represented by libraries, documents
//! and binaries as it has them, and not by whatever comes first. Equal folders make equal tars: owners and times are fixed.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tar::{Builder, EntryType, Header};
use walkdir::WalkDir;

/// 2026-01-01T00:00:00Z, as the time of every entry.
const MTIME: u64 = 1_767_225_600;
const BLOCK_BYTES: u64 = 512;

/// Writes a tar of at most so many bytes, a little less where the folder has more.
pub fn write_tar(folder: &Path, bytes_max: u64, out: &mut dyn Write) -> Result<()> {
    let leaves = leaves(folder)?;
    let total: u64 = leaves.iter().map(|leaf| leaf.tar_bytes).sum();
    let mut builder = Builder::new(out);
    let (mut owed, mut written) = (0, 2 * BLOCK_BYTES);
    for leaf in &leaves {
        owed += bytes_max.min(total);
        if owed < total || written + leaf.tar_bytes > bytes_max {
            continue;
        }
        owed -= total;
        written += leaf.tar_bytes;
        leaf.append(folder, &mut builder).with_context(|| format!("read {}", leaf.path.display()))?;
    }
    builder.finish().context("end of the tar")
}

/// A regular file or a symlink.
struct Leaf {
    path: PathBuf,
    /// What it takes in the tar at most, with a long name.
    tar_bytes: u64,
}

fn leaves(folder: &Path) -> Result<Vec<Leaf>> {
    let mut leaves = Vec::new();
    for entry in WalkDir::new(folder).same_file_system(true).sort_by_file_name() {
        let entry = entry.with_context(|| format!("walk {}", folder.display()))?;
        let kind = entry.file_type();
        if !kind.is_file() && !kind.is_symlink() {
            continue;
        }
        let size_bytes = if kind.is_file() { entry.metadata()?.len() } else { 0 };
        let tar_bytes = size_bytes.next_multiple_of(BLOCK_BYTES) + 5 * BLOCK_BYTES;
        leaves.push(Leaf { path: entry.into_path(), tar_bytes });
    }
    Ok(leaves)
}

impl Leaf {
    fn append(&self, folder: &Path, builder: &mut Builder<&mut dyn Write>) -> Result<()> {
        let parent = folder.parent().unwrap_or(folder);
        let name = self.path.strip_prefix(parent)?;
        let metadata = fs::symlink_metadata(&self.path)?;
        let mut header = header(metadata.permissions().mode());
        if metadata.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            let target = fs::read_link(&self.path)?;
            ensure!(!target.as_os_str().as_bytes().is_empty(), "link leads nowhere");
            return Ok(builder.append_link(&mut header, name, target)?);
        }
        header.set_size(metadata.len());
        let file = File::open(&self.path)?;
        Ok(builder.append_data(&mut header, name, file.take(metadata.len()))?)
    }
}

/// Returns the header of a regular file without a name or a size.
pub fn header(mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode & 0o7777);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MTIME);
    header.set_size(0);
    header
}
