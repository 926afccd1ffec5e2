//! Files that are there whole or not at all.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes beside a file and renames, so that nobody finds half of it. A device or pipe is written as it is.
pub fn replace<T>(path: &Path, write: impl FnOnce(&mut File) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let known = fs::metadata(path).ok();
    if known.is_some_and(|known| !known.is_file()) {
        return write(&mut File::options().write(true).open(path)?);
    }
    // Behind a link that leads somewhere, what it leads to is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = tempfile::Builder::new();
    // The umask takes from these what it takes from every new file.
    beside.prefix(".layerprint-").permissions(fs::Permissions::from_mode(0o666));
    let mut file = beside.tempfile_in(folder)?;
    let written = write(file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    File::open(folder)?.sync_all()?;
    Ok(written)
}
