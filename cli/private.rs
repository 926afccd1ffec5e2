//! Files that wait beside those of the user and are for this program alone.
//!
//! The folder may be open to others, who may have put something there under the same name: a link to a file that is not to be
//! overwritten, a pipe, a file of their own. None of that is followed, read or changed; it is an error.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::geteuid;

/// Only the user who runs this reads it: it names images that others may not know of.
const MODE: u32 = 0o600;
/// How often another process may take the file away between two steps.
const ATTEMPTS_MAX: usize = 100;

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NotPrivate {
    /// There is something else in its place.
    #[error("{path}: {found}, and is left as it is")]
    Foreign { path: PathBuf, found: &'static str },
    /// Another process is at work on it.
    #[error("{path}: another report is being made")]
    InUse { path: PathBuf },
    /// The operating system refuses.
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

impl NotPrivate {
    /// Returns what may be done about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Foreign { .. } => {
                Some("find out who put it there; remove it, or write to a folder of your own".into())
            }
            Self::InUse { .. } => Some("wait for it, or write to another file".into()),
            Self::Io { .. } => None,
        }
    }
}

/// Opens a file and locks it; makes it if it is not there.
pub fn open_locked(path: &Path) -> Result<File, NotPrivate> {
    let failed = |source| NotPrivate::Io { path: path.to_owned(), source };
    let foreign = |found| NotPrivate::Foreign { path: path.to_owned(), found };
    for _ in 0..ATTEMPTS_MAX {
        let file = match create(path).or_else(|error| reopen(path, error)) {
            Err(error) if error.kind() == ErrorKind::NotFound && is_folder_there(path) => continue,
            Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                return Err(foreign("is a symbolic link"));
            }
            opened => opened.map_err(failed)?,
        };
        if let Some(found) = anomaly(&file).map_err(failed)? {
            return Err(foreign(found));
        }
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => NotPrivate::InUse { path: path.to_owned() },
            TryLockError::Error(source) => failed(source),
        })?;
        // The one who had the lock before may have removed the file.
        if file.metadata().map_err(failed)?.nlink() > 0 {
            file.set_permissions(fs::Permissions::from_mode(MODE)).map_err(failed)?;
            return Ok(file);
        }
    }
    Err(NotPrivate::InUse { path: path.to_owned() })
}

/// Removes the file; that it is gone already is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Returns true if others may put something into a folder while it is written to. A group is the user's own on most machines.
pub fn may_others_write(folder: &Path) -> io::Result<bool> {
    const OTHERS_WRITE: u32 = 0o002;
    let known = fs::metadata(folder)?;
    Ok(known.uid() != geteuid().as_raw() || known.mode() & OTHERS_WRITE != 0)
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(MODE).open(path)
}

/// Opens what is there, but no link. Opening a pipe would wait for its other end.
fn reopen(path: &Path, error: io::Error) -> io::Result<File> {
    if error.kind() != ErrorKind::AlreadyExists {
        return Err(error);
    }
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)
}

fn is_folder_there(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.as_os_str().is_empty() || folder.is_dir())
}

/// Returns what makes an open file none of ours. A file with a second name may be anywhere else, too.
fn anomaly(file: &File) -> io::Result<Option<&'static str>> {
    let known = file.metadata()?;
    Ok(match known {
        known if !known.is_file() => Some("is no regular file"),
        known if known.uid() != geteuid().as_raw() => Some("belongs to another user"),
        known if known.nlink() > 1 => Some("is a file that has another name, too"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    fn refused(path: &Path) -> String {
        let error = open_locked(path).unwrap_err().to_string();
        error.strip_prefix(&path.display().to_string()).unwrap().to_owned()
    }

    #[test]
    fn what_is_no_file_of_ours_is_neither_followed_nor_changed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("victim"), "as before").unwrap();
        fs::hard_link(at("victim"), at("hard")).unwrap();
        symlink("victim", at("link")).unwrap();
        symlink("nothing", at("dangling")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert_eq!(refused(&at("link")), ": is a symbolic link, and is left as it is");
        assert_eq!(refused(&at("dangling")), ": is a symbolic link, and is left as it is");
        assert_eq!(refused(&at("hard")), ": is a file that has another name, too, and is left as it is");
        assert_eq!(refused(&at("pipe")), ": is no regular file, and is left as it is");
        assert_eq!(fs::read_to_string(at("victim")).unwrap(), "as before");
        assert!(!at("nothing").exists());
        if chown(at("pipe"), Some(12_345), None).is_err() {
            eprintln!("skipped: only root may give files away");
            return;
        }
        fs::write(at("others"), "as before").unwrap();
        chown(at("others"), Some(12_345), None).unwrap();
        assert_eq!(refused(&at("others")), ": belongs to another user, and is left as it is");
        assert_eq!(fs::read_to_string(at("others")).unwrap(), "as before");
    }

    #[test]
    fn a_file_is_for_one_user_and_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let mut first = open_locked(&path).unwrap();
        first.write_all(b"row").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        assert_eq!(refused(&path), ": another report is being made");
        drop(first);
        // One that an earlier version made for all to read.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let again = open_locked(&path).unwrap();
        assert_eq!(
            (again.metadata().unwrap().mode() & 0o777, fs::read(&path).unwrap()),
            (MODE, b"row".to_vec())
        );
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }
}
