//! `aside/`: copies of bytes before they are cut off or written over.
//!
//! Nothing is ever taken from a pack without a copy here. What a killed writer left unfinished was never acknowledged,
//! so of such tails only the newest are kept; what a repair replaced stays until someone removes it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::pack::sync_directory;
use crate::error::{Result, StoreError};

/// Tails together. A tail is what one killed writer had not committed: some tens of megabytes at most.
const TAILS_BYTES_MAX: u64 = 256 << 20;
const TAIL: &str = "tail-";
/// Copies of one place, which a repair that is killed again and again makes.
const COPIES_MAX: u32 = 10_000;

/// The folder of one store.
pub(crate) struct Aside {
    folder: PathBuf,
}

impl Aside {
    pub(crate) fn of(root: &Path) -> Self {
        Self { folder: root.join("aside") }
    }

    /// Copies a range of a file that is about to be cut off as unfinished.
    pub(crate) fn keep_tail(&self, name: &str, file: &File, range: Range<u64>) -> Result<()> {
        self.keep(&format!("{TAIL}{name}"), file, range)?;
        self.remove_old_tails()
    }

    /// Copies a range of a file that is about to be written over, and makes the copy durable.
    pub(crate) fn keep(&self, name: &str, file: &File, range: Range<u64>) -> Result<()> {
        let (mut copy, path) = self.create(name)?;
        let copied = copy_range(file, range, &mut copy).and_then(|()| copy.sync_all());
        copied.map_err(StoreError::io(&path, "write"))?;
        sync_directory(&self.folder)
    }

    /// Moves a whole file here.
    pub(crate) fn keep_file(&self, path: &Path) -> Result<()> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // The name is taken first, so that two repairs never take one.
        let (_, target) = self.create(&name)?;
        fs::rename(path, &target).map_err(StoreError::io(path, "set aside"))?;
        sync_directory(&self.folder)
    }

    fn create(&self, name: &str) -> Result<(File, PathBuf)> {
        fs::create_dir_all(&self.folder).map_err(StoreError::io(&self.folder, "create"))?;
        let names = (1..COPIES_MAX).map(|copy| format!("{name}.{copy}"));
        for name in std::iter::once(name.to_owned()).chain(names) {
            let path = self.folder.join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((file, path)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::io(&path, "create")(error)),
            }
        }
        let full = io::Error::new(ErrorKind::AlreadyExists, "too many copies of one place");
        Err(StoreError::io(&self.folder, "create a file in")(full))
    }

    fn remove_old_tails(&self) -> Result<()> {
        let mut tails = self.tails().map_err(StoreError::io(&self.folder, "list"))?;
        tails.sort_unstable_by_key(|(written, ..)| std::cmp::Reverse(*written));
        let mut sum_bytes = 0;
        for (number, (_, size_bytes, path)) in tails.into_iter().enumerate() {
            sum_bytes += size_bytes;
            if number > 0 && sum_bytes > TAILS_BYTES_MAX {
                fs::remove_file(&path).map_err(StoreError::io(&path, "remove"))?;
            }
        }
        Ok(())
    }

    /// Returns when each tail was written, its size and its path.
    fn tails(&self) -> io::Result<Vec<(SystemTime, u64, PathBuf)>> {
        let mut tails = Vec::new();
        for item in fs::read_dir(&self.folder)? {
            let item = item?;
            if item.file_name().to_string_lossy().starts_with(TAIL) {
                let metadata = item.metadata()?;
                tails.push((metadata.modified()?, metadata.len(), item.path()));
            }
        }
        Ok(tails)
    }
}

fn copy_range(file: &File, range: Range<u64>, out: &mut impl Write) -> io::Result<()> {
    let mut file = file;
    file.seek(SeekFrom::Start(range.start))?;
    io::copy(&mut file.take(range.end - range.start), out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_one_place_have_names_of_their_own_and_old_tails_go() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::write(&source, b"0123456789").unwrap();
        let (file, aside) = (File::open(&source).unwrap(), Aside::of(folder.path()));
        aside.keep("bytes", &file, 2..5).unwrap();
        aside.keep("bytes", &file, 5..9).unwrap();
        let read = |name: &str| fs::read(folder.path().join("aside").join(name)).unwrap();
        assert_eq!((read("bytes"), read("bytes.1")), (b"234".to_vec(), b"5678".to_vec()));
        let large = folder.path().join("aside/tail-large");
        File::create(&large).unwrap().set_len(TAILS_BYTES_MAX).unwrap();
        aside.keep_tail("new", &file, 0..1).unwrap();
        assert!(!large.exists(), "only the newest tails stay");
        assert_eq!(read("tail-new"), b"0");
        aside.keep_file(&source).unwrap();
        assert_eq!((read("source"), source.exists()), (b"0123456789".to_vec(), false));
    }
}
