//! Who may write: the one process that holds the lock of the store's header, `FORMAT`.
//!
//! The operating system drops the lock with the process, however that ends. It is ours, not the database's: the
//! catalogue may be damaged, replaced or hung, and there is still one writer at most.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::layout::NAME as HEADER_NAME;
use crate::error::{Result, StoreError};

/// A reader that looks whether a writer is alive holds the lock for microseconds.
const ATTEMPTS_MAX: usize = 5;
const ATTEMPT_EVERY: Duration = Duration::from_millis(5);

/// The right to write, until it is dropped.
pub(crate) struct WriterLock {
    file: File,
}

impl WriterLock {
    /// Takes the lock of a store.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] while another process has it.
    pub(crate) fn take(root: &Path) -> Result<Self> {
        let path = root.join(HEADER_NAME);
        // For writing, too: who may not write has no use for the lock, and some file systems want it.
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(StoreError::io(&path, "open"))?;
        for _ in 0..ATTEMPTS_MAX {
            match file.try_lock() {
                Ok(()) => return Ok(Self { file }),
                Err(TryLockError::WouldBlock) => thread::sleep(ATTEMPT_EVERY),
                Err(TryLockError::Error(error)) => return Err(StoreError::io(&path, "lock")(error)),
            }
        }
        Err(StoreError::Locked { path: root.to_owned() })
    }

    /// Returns true while a process may be writing. Where no lock can be looked at, none is.
    pub(crate) fn is_held(root: &Path) -> bool {
        let Ok(file) = File::open(root.join(HEADER_NAME)) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread is just starting has a copy of the descriptor until it
        // runs its program, and with it the lock. If unlocking fails, the next writer waits for that child.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_holds_the_lock_and_readers_see_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!WriterLock::is_held(folder.path()), "no store, no writer");
        std::fs::write(folder.path().join(HEADER_NAME), "header").unwrap();
        let lock = WriterLock::take(folder.path()).unwrap();
        assert!(WriterLock::is_held(folder.path()));
        assert!(matches!(WriterLock::take(folder.path()), Err(StoreError::Locked { .. })));
        drop(lock);
        assert!(!WriterLock::is_held(folder.path()));
        WriterLock::take(folder.path()).unwrap();
    }
}
