//! The directory of a store and the file that says so.
//!
//! `FORMAT` is the first thing written and the first thing read: a directory without it is not touched, one of
//! another version is refused before anything else in it is opened.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;

use crate::error::{Result, StoreError};
use crate::format::{STORE_HEADER_BYTES_MAX, STORE_ID_BYTES, STORE_MAGIC, STORE_VERSION};
use crate::log::pack::sync_directory;

/// How names of headers begin that are being written; one may be left by a process that died.
const HALF_MADE: &str = "FORMAT.new.";

/// A directory that is known to hold a store of this version.
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    pub(crate) store_id: [u8; STORE_ID_BYTES],
}

impl Layout {
    /// Reads the header of an existing store.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let path = root.join(NAME);
        let mut bytes = Vec::new();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Err(StoreError::Missing { path: root.to_owned() });
            }
            Err(error) => return Err(StoreError::io(&path, "open")(error)),
        };
        let read = file.take(STORE_HEADER_BYTES_MAX).read_to_end(&mut bytes);
        read.map_err(StoreError::io(&path, "read"))?;
        // Bytes that are no text are no header either.
        let store_id = parse(&String::from_utf8_lossy(&bytes), &path)?;
        Ok(Self { root: root.to_owned(), store_id })
    }

    /// Reads the header of a store, or writes one into a directory that is empty or does not exist.
    pub(crate) fn create_or_open(root: &Path) -> Result<Self> {
        match Self::open(root) {
            Err(StoreError::Missing { .. }) => Self::create(root),
            opened => opened,
        }
    }

    /// Returns the directory of the catalogue.
    pub(crate) fn catalogue(&self) -> PathBuf {
        self.root.join("db")
    }

    /// Returns the directory of the packs.
    pub(crate) fn packs(&self) -> PathBuf {
        self.root.join("packs")
    }

    /// Returns the directory of the index's segments.
    pub(crate) fn segments(&self) -> PathBuf {
        self.root.join("segments")
    }

    fn create(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).map_err(StoreError::io(root, "create"))?;
        for item in fs::read_dir(root).map_err(StoreError::io(root, "list"))? {
            let name = item.map_err(StoreError::io(root, "list"))?.file_name();
            if !name.as_encoded_bytes().starts_with(HALF_MADE.as_bytes()) {
                // Another process may have made it a store since the caller looked.
                return Self::open(root).map_err(|_| StoreError::NotAStore { path: root.to_owned() });
            }
        }
        let store_id: [u8; STORE_ID_BYTES] = random_bytes()?;
        let (path, half_made) = (root.join(NAME), write_half_made(root, &store_id)?);
        // A link instead of a rename: of two processes that create one store, one finds the other's header.
        match fs::hard_link(&half_made, &path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(StoreError::io(&path, "create")(error));
            }
            _ => sync_directory(root)?,
        }
        fs::remove_file(&half_made).map_err(StoreError::io(&half_made, "remove"))?;
        Self::open(root)
    }
}

impl Layout {
    /// Writes the header of a store anew, which was damaged. The caller knows the store's id from its packs.
    pub(crate) fn restore(root: &Path, store_id: [u8; STORE_ID_BYTES]) -> Result<Self> {
        let (path, half_made) = (root.join(NAME), write_half_made(root, &store_id)?);
        fs::rename(&half_made, &path).map_err(StoreError::io(&path, "replace"))?;
        sync_directory(root)?;
        Self::open(root)
    }

    /// What a store in a folder would be like, whose header says nothing.
    pub(crate) fn assumed(root: &Path, store_id: [u8; STORE_ID_BYTES]) -> Self {
        Self { root: root.to_owned(), store_id }
    }
}

/// Writes a header under a name of its own, for the caller to put in its place.
fn write_half_made(root: &Path, store_id: &[u8; STORE_ID_BYTES]) -> Result<PathBuf> {
    let id = HEXLOWER.encode(store_id);
    let text = format!("{STORE_MAGIC}\nversion {STORE_VERSION}\nid {id}\n");
    let text = format!("{text}{CHECKSUM}{}\n", checksum(&text));
    let half_made = root.join(format!("{HALF_MADE}{id}"));
    let written = File::create(&half_made).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(StoreError::io(&half_made, "write"))?;
    Ok(half_made)
}

/// The file that makes a directory a store.
pub(crate) const NAME: &str = "FORMAT";
const CHECKSUM: &str = "checksum ";

/// Of a damaged version no one could tell what it was. Not keyed: the id is in the text.
fn checksum(text: &str) -> String {
    HEXLOWER.encode(&blake3::hash(text.as_bytes()).as_bytes()[..STORE_ID_BYTES])
}

/// Returns the header without its checksum, if that is right. Stores of the first programs have none.
fn checked(text: &str) -> Option<&str> {
    match text.strip_suffix('\n')?.rsplit_once('\n') {
        Some((body, last)) if last.starts_with(CHECKSUM) => {
            let body = &text[..=body.len()];
            (last[CHECKSUM.len()..] == checksum(body)).then_some(body)
        }
        _ => Some(text),
    }
}

fn parse(text: &str, path: &Path) -> Result<[u8; STORE_ID_BYTES]> {
    let corrupt = |problem: &str| StoreError::Corrupt {
        what: "store header",
        key: path.display().to_string(),
        offset_bytes: 0,
        problem: problem.to_owned(),
    };
    let text = checked(text).ok_or_else(|| corrupt("checksum does not match"))?;
    let mut lines = text.lines();
    if lines.next() != Some(STORE_MAGIC) {
        return Err(corrupt("not the header of a store"));
    }
    let version = lines.next().and_then(|line| line.strip_prefix("version "));
    let version = version.ok_or_else(|| corrupt("no version"))?;
    if version != STORE_VERSION.to_string() {
        let what = format!("store {}", path.parent().unwrap_or(path).display());
        return Err(StoreError::FormatVersion { what, found: version.to_owned(), expected: STORE_VERSION });
    }
    let id = lines.next().and_then(|line| line.strip_prefix("id "));
    let id = id.and_then(|id| HEXLOWER.decode(id.as_bytes()).ok()?.try_into().ok());
    let id = id.ok_or_else(|| corrupt("no store id"))?;
    // A damaged word before the checksum would make a line that is not looked at.
    if lines.next().is_some() { Err(corrupt("more lines than a header has")) } else { Ok(id) }
}

/// Returns bytes that nobody can guess.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; N];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(StoreError::io(path, "read"))?;
    Ok(bytes)
}
