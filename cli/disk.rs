//! What may be done when a disk refuses: a hint for each answer of the operating system.

use std::io::{self, ErrorKind};

use rustix::io::Errno;

/// What was written or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The store.
    Store,
    /// A file of the user, or its folder.
    File,
}

/// Returns what the user may do about what the operating system said; nothing where the message says it all.
pub fn hint(error: &io::Error, place: Place) -> Option<String> {
    if code(error) == Some(Errno::IO.raw_os_error()) {
        return Some(failing(place));
    }
    let elsewhere = elsewhere(place);
    Some(match error.kind() {
        ErrorKind::StorageFull => {
            format!(
                "free space and run the same command again, or {elsewhere}; df -h shows bytes, df -i inodes"
            )
        }
        ErrorKind::QuotaExceeded => {
            format!(
                "your quota on this disk is used up: remove files of yours or {elsewhere}, then run the same command again"
            )
        }
        ErrorKind::FileTooLarge => {
            format!(
                "no file may be that large here: raise the limit (ulimit -f), or {elsewhere} on another file system"
            )
        }
        ErrorKind::ReadOnlyFilesystem => {
            format!(
                "the file system is mounted read-only; Linux does that when a disk fails, so look at the kernel log \
                 (dmesg); mount it writable, or {elsewhere}"
            )
        }
        ErrorKind::PermissionDenied => match place {
            Place::Store => {
                "make the store writable and run the same command again, or name another --store".into()
            }
            Place::File => return None,
        },
        _ => return None,
    })
}

/// Returns the code of the operating system. An error that a library wrapped, to say which path it is about, has the code in
/// its text alone: `Input/output error (os error 5) at path "out"`.
fn code(error: &io::Error) -> Option<i32> {
    let in_text = || {
        let text = error.to_string();
        let (_, after) = text.split_once("(os error ")?;
        after.split_once(')')?.0.parse().ok()
    };
    error.raw_os_error().or_else(in_text)
}

/// After EIO nothing on the disk is sure, so that to try again is no advice.
fn failing(place: Place) -> String {
    let cause = "the disk or its connection fails: look at the kernel log (dmesg)";
    match place {
        Place::Store => {
            format!("{cause}, copy the store to another disk, then run `layerprint check` on the copy")
        }
        Place::File => format!("{cause}, and use another disk"),
    }
}

fn elsewhere(place: Place) -> &'static str {
    match place {
        Place::Store => "name another --store",
        Place::File => "name a file elsewhere",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_a_library_wrapped_is_found() {
        let wrapped = tempfile::NamedTempFile::new_in("no/such/folder").unwrap_err();
        assert_eq!((wrapped.raw_os_error(), code(&wrapped)), (None, Some(Errno::NOENT.raw_os_error())));
    }

    #[test]
    fn every_way_in_which_a_disk_refuses_has_a_hint_of_its_own() {
        let refusals = [Errno::IO, Errno::ROFS, Errno::DQUOT, Errno::NOSPC, Errno::FBIG];
        for place in [Place::Store, Place::File] {
            let hints = refusals.map(|errno| hint(&errno.into(), place).unwrap());
            let starts = [
                "the disk or its connection fails: look at the kernel log (dmesg), ",
                "the file system is mounted read-only; ",
                "your quota on this disk is used up: ",
                "free space and run the same command again, or ",
                "no file may be that large here: raise the limit (ulimit -f), or ",
            ];
            for (hint, start) in hints.iter().zip(starts) {
                assert!(hint.starts_with(start), "{hint}");
            }
        }
        let check = "copy the store to another disk, then run `layerprint check` on the copy";
        assert!(hint(&Errno::IO.into(), Place::Store).unwrap().ends_with(check));
    }

    #[test]
    fn where_the_message_says_it_all_there_is_no_hint() {
        assert_eq!(hint(&io::Error::other("disk on fire"), Place::Store), None);
        assert_eq!(hint(&Errno::NOENT.into(), Place::File), None);
    }
}
