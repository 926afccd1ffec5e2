//! Files that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum CannotWrite {
    /// It is a folder.
    #[error("{path}: is a folder")]
    Folder { path: PathBuf },
    /// The folder that it is to be in is none.
    #[error("{path}: there is no folder {folder}")]
    NoFolder { path: PathBuf, folder: PathBuf },
    /// The operating system refuses.
    #[error("{path}: cannot be written: {source}")]
    Io { path: PathBuf, source: io::Error },
}

impl CannotWrite {
    /// Returns what may be done about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Folder { path } => format!("name a file in it, such as {}", path.join("NAME").display()),
            Self::NoFolder { folder, .. } => format!("make it first: mkdir -p {}", folder.display()),
            Self::Io { source, .. } => match source.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    "name a file in a folder that you may write to".into()
                }
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    "free space, or name a file elsewhere".into()
                }
                _ => return None,
            },
        })
    }
}

/// Finds out whether a file could be written, and leaves all as it is: a file without a name is made beside it, and is gone. A
/// device or pipe is not asked, for opening one does something.
pub fn check(path: &Path) -> Result<(), CannotWrite> {
    let failed = |source| CannotWrite::Io { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(known) if known.is_dir() => return Err(CannotWrite::Folder { path: path.to_owned() }),
        Ok(known) if !known.is_file() => return Ok(()),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ if path.as_os_str().as_bytes().ends_with(b"/") => {
            return Err(CannotWrite::Folder { path: path.to_owned() });
        }
        _ => {}
    }
    let target = target(path);
    let folder = folder_of(&target);
    if !folder.is_dir() {
        return Err(CannotWrite::NoFolder { path: path.to_owned(), folder: folder.to_owned() });
    }
    tempfile::tempfile_in(folder).map(drop).map_err(failed)
}

/// Returns true if a path is a device or a pipe, beside which nothing is to be put.
pub fn is_device(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|known| !known.is_file() && !known.is_dir())
}

/// Returns what is replaced: behind a link that leads somewhere, what it leads to. Of two paths to one file it is the same.
pub fn target(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| {
        let folder = folder_of(path).canonicalize();
        let beside = folder.ok().zip(path.file_name()).map(|(folder, name)| folder.join(name));
        beside.unwrap_or_else(|| path.to_owned())
    })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes beside a file and renames, so that nobody finds half of it. A device or pipe is written as it is.
pub fn replace<T>(path: &Path, write: impl FnOnce(&mut File) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let known = fs::metadata(path).ok();
    if known.is_some_and(|known| !known.is_file()) {
        return write(&mut File::options().write(true).open(path)?);
    }
    let path = target(path);
    let folder = folder_of(&path);
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
