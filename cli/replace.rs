//! Files that are there whole or not at all.
//!
//! A link that the user names is followed, as a shell does: what it leads to is replaced. Not so one that somebody else put into a
//! folder where everybody may, such as `/tmp`: it may lead to a file of the user. The file beside the target, which becomes the
//! target, has a name that cannot be guessed and is created exclusively, so that it follows no link.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::disk::{self, Place};

/// Longest chain of links that is followed, as in Linux.
const LINKS_MAX: usize = 40;

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum CannotWrite {
    /// It is a folder.
    #[error("{path}: is a folder")]
    Folder { path: PathBuf },
    /// The folder that it is to be in is none.
    #[error("{path}: there is no folder {folder}")]
    NoFolder { path: PathBuf, folder: PathBuf },
    /// Somebody else has put a link or a pipe there.
    #[error("{path}: {planted} is a link, pipe or device that another user has put into a folder for all")]
    Planted { path: PathBuf, planted: PathBuf },
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
            Self::Planted { .. } => "name a file in a folder of your own".into(),
            Self::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                "name a file in a folder that you may write to".into()
            }
            Self::Io { source, .. } => return disk::hint(source, Place::File),
        })
    }
}

/// Finds out whether a file could be written, and leaves all as it is: a file without a name is made beside it, and is gone. A
/// device or pipe is not asked, for opening one does something.
pub fn check(path: &Path) -> Result<(), CannotWrite> {
    let failed = |source| CannotWrite::Io { path: path.to_owned(), source };
    let target = target(path)?;
    match fs::metadata(path) {
        Ok(known) if known.is_dir() => return Err(CannotWrite::Folder { path: path.to_owned() }),
        Ok(known) if !known.is_file() => return Ok(()),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ if path.as_os_str().as_bytes().ends_with(b"/") => {
            return Err(CannotWrite::Folder { path: path.to_owned() });
        }
        _ => {}
    }
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

/// Returns what is replaced: behind a link that leads somewhere, what it leads to, whether that is there or not. Of two paths to
/// one file it is the same.
///
/// # Errors
///
/// Fails if it is, or is reached by, what somebody else put there, and if links lead nowhere.
pub fn target(path: &Path) -> Result<PathBuf, CannotWrite> {
    let mut at = path.to_owned();
    for _ in 0..LINKS_MAX {
        let folder = folder_of(&at).canonicalize();
        let Some(place) = folder.ok().zip(at.file_name()).map(|(folder, name)| folder.join(name)) else {
            // Not a name, or in no folder: what is wrong with it is found out when it is written.
            return Ok(at);
        };
        if is_planted(&place) {
            return Err(CannotWrite::Planted { path: path.to_owned(), planted: place });
        }
        match fs::read_link(&place) {
            Ok(further) => at = folder_of(&place).join(further),
            Err(_) => return Ok(place),
        }
    }
    Err(CannotWrite::Io { path: path.to_owned(), source: rustix::io::Errno::LOOP.into() })
}

/// Returns true for what may have been put there to be written to by somebody else, by the rule of Linux for links
/// (`fs.protected_symlinks`, which not every machine has on): it is in a folder where all may put something and none may remove what
/// others did, and belongs neither to this user nor to the owner of the folder.
fn is_planted(place: &Path) -> bool {
    const FOR_ALL: u32 = 0o1002;
    let (Ok(known), Ok(folder)) = (fs::symlink_metadata(place), fs::metadata(folder_of(place))) else {
        return false;
    };
    let is_ours = known.uid() == geteuid().as_raw() || known.uid() == folder.uid();
    !known.is_file() && !known.is_dir() && folder.mode() & FOR_ALL == FOR_ALL && !is_ours
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes beside a file and renames, so that nobody finds half of it. A device or pipe is written as it is.
pub fn replace<T>(path: &Path, write: impl FnOnce(&mut File) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let target = target(path)?;
    let known = fs::metadata(path).ok();
    if known.is_some_and(|known| !known.is_file()) {
        return write(&mut File::options().write(true).open(path)?);
    }
    let folder = folder_of(&target);
    let mut beside = tempfile::Builder::new();
    // The umask takes from these what it takes from every new file.
    beside.prefix(".layerprint-").permissions(fs::Permissions::from_mode(0o666));
    let mut file = beside.tempfile_in(folder)?;
    let written = write(file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist(&target)?;
    File::open(folder)?.sync_all()?;
    Ok(written)
}
