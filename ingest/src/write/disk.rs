//! What layers take from disk: files, folders, their modes.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use super::{Layer, WriteError};

impl Layer {
    /// Adds what lies in a folder on disk, sorted by name: directories, regular files and symlinks.
    ///
    /// Sockets, pipes and devices are left out; files with several links are added once for each.
    pub fn tree_from(mut self, path: impl AsRef<[u8]>, disk: &Path) -> Result<Self, WriteError> {
        let reading = |source| WriteError::Read { path: disk.to_owned(), source };
        let mut children: Vec<_> =
            fs::read_dir(disk).and_then(|entries| entries.collect()).map_err(reading)?;
        children.sort_by_key(fs::DirEntry::file_name);
        for child in children {
            let name = child.file_name();
            let prefix = path.as_ref();
            let slash: &[u8] = if prefix.is_empty() { b"" } else { b"/" };
            self = self.leaf_from([prefix, slash, name.as_encoded_bytes()].concat(), &child.path())?;
        }
        Ok(self)
    }

    fn leaf_from(self, path: Vec<u8>, disk: &Path) -> Result<Self, WriteError> {
        let reading = |source| WriteError::Read { path: disk.to_owned(), source };
        let metadata = fs::symlink_metadata(disk).map_err(reading)?;
        if metadata.is_symlink() {
            let target = fs::read_link(disk).map_err(reading)?;
            Ok(self.symlink(path, target.as_os_str().as_encoded_bytes()))
        } else if metadata.is_dir() {
            self.dir([&path[..], b"/"].concat()).mode(mode_on_disk(&metadata)).tree_from(path, disk)
        } else if metadata.is_file() {
            Ok(self.file_from(path, disk))
        } else {
            Ok(self)
        }
    }
}

/// Copies exactly as many bytes as the header announced: a file that changed meanwhile is an error.
pub(super) fn copy_file(path: &Path, size_bytes: u64, out: &mut impl Write) -> io::Result<()> {
    let mut file = File::open(path).map_err(reading(path))?;
    let found = io::copy(&mut (&mut file).take(size_bytes), out)?;
    let more = file.read(&mut [0]).map_err(reading(path))?;
    if found == size_bytes && more == 0 {
        return Ok(());
    }
    let found = fs::metadata(path).map_err(reading(path))?.len();
    Err(io::Error::other(WriteError::Changed { path: path.to_owned(), found, expected: size_bytes }))
}

pub(super) fn reading(path: &Path) -> impl Fn(io::Error) -> io::Error + '_ {
    |source| io::Error::other(WriteError::Read { path: path.to_owned(), source })
}

#[cfg(unix)]
pub(super) fn mode_on_disk(metadata: &fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o7777
}

#[cfg(not(unix))]
pub(super) fn mode_on_disk(metadata: &fs::Metadata) -> u32 {
    if metadata.is_dir() { 0o755 } else { 0o644 }
}
