//! Rows between their making and their telling: a file of lines, each a checksum and a row as JSON.
//!
//! Rows come in any order, from several threads, and are read back in the order of images, so that the order in which they were
//! made shows nowhere and memory holds a few words for each. A later run of the same report over the same store goes on from there.
//!
//! A row is believed only if its checksum says that this version of the program wrote it, over this store, at this place of the
//! file. Lines that were changed, moved, swapped, cut off or brought from elsewhere are made again. The checksums are keyed with
//! what is stored and with the random id of the store, so that only who may read the store can make them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use blake3::Hash;
use layerprint_query::{Fleet, Row};
use layerprint_store::id::ImageId;

use crate::escape::write_json;
use crate::private;

/// The first line: nothing more than what this file is.
const HEADER: &[u8] = b"rows of a layerprint report";
/// A checksum in hexadecimal digits and the space after it.
const SUM_BYTES: usize = 2 * blake3::OUT_LEN + 1;
/// Domain of the key; it has a date, as BLAKE3 asks for.
const KEY_CONTEXT: &str = "layerprint 2026-12-01 rows of a report between their making and their telling";

/// What checksums are keyed with.
pub struct Key([u8; blake3::KEY_LEN]);

impl Key {
    /// Returns the key for the rows of what is stored: of another store, other images, other names or another version of this program
    /// it is another one.
    pub fn of(store: &Path, fleet: &Fleet) -> io::Result<Self> {
        let version = env!("CARGO_PKG_VERSION").as_bytes();
        // The header of a store, which holds its random id.
        let header = fs::read(store.join("FORMAT"))?;
        let stored = fleet.digest();
        let parts = [version, stored.as_bytes(), &header];
        Ok(Self(blake3::derive_key(KEY_CONTEXT, &parts.join(&b'\n'))))
    }

    fn sum(&self, position: u64, text: &[u8]) -> Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&position.to_le_bytes()).update(text).finalize()
    }

    /// Returns a line for a place in the file.
    fn line(&self, position: u64, text: &[u8]) -> Vec<u8> {
        let sum = self.sum(position, text).to_hex();
        [sum.as_bytes(), b" ", text, b"\n"].concat()
    }

    /// Returns what a line says, if it was written at this place of this file.
    fn text<'a>(&self, position: u64, line: &'a [u8]) -> Option<&'a [u8]> {
        let (sum, text) = line.strip_suffix(b"\n")?.split_at_checked(SUM_BYTES)?;
        let sum = Hash::from_hex(sum.strip_suffix(b" ")?).ok()?;
        (sum == self.sum(position, text)).then_some(text)
    }
}

/// See the module.
pub struct Spool {
    file: File,
    /// Where the file is, if it has a name.
    path: Option<PathBuf>,
    key: Key,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    end: u64,
    places: HashMap<ImageId, (u64, usize)>,
}

impl Spool {
    /// Begins a spool without a name, which ends with this process.
    pub fn unnamed() -> anyhow::Result<Self> {
        let file = tempfile::tempfile().context("cannot make a temporary file")?;
        // Others cannot open the file, but a disk may still damage it.
        Ok(Self { file, path: None, key: Key(*blake3::hash(HEADER).as_bytes()), state: Mutex::default() })
    }

    /// Opens a spool beside an output. Rows that it holds are kept if `resume` is true and they have this key.
    pub fn beside(output: &Path, key: Key, resume: bool) -> anyhow::Result<Self> {
        let path = path_beside(output);
        let file = private::open_locked(&path)?;
        let spool = Self { file, path: Some(path.clone()), key, state: Mutex::default() };
        let begun = if resume { spool.go_on() } else { spool.begin() };
        begun.with_context(|| path.display().to_string())?;
        Ok(spool)
    }

    fn begin(&self) -> io::Result<()> {
        self.file.set_len(0)?;
        *self.lock() = State::default();
        self.append(HEADER).map(drop)
    }

    /// Keeps the rows that are as they were written. What stands between them is left behind, and made again at the end.
    fn go_on(&self) -> io::Result<()> {
        let mut lines = BufReader::new(&self.file);
        lines.seek(SeekFrom::Start(0))?;
        let (mut line, mut start, mut state) = (Vec::new(), 0, State::default());
        loop {
            line.clear();
            let length = lines.read_until(b'\n', &mut line)?;
            let text = self.key.text(start, &line);
            if start == 0 && text != Some(HEADER) {
                return self.begin();
            }
            if length == 0 {
                break;
            }
            let end = start + length as u64;
            let row = text.and_then(|text| serde_json::from_slice::<Row>(text).ok());
            if let Some(row) = &row {
                state.places.insert(row.finding.image.id, (start, length));
            }
            if start == 0 || row.is_some() {
                state.end = end;
            }
            start = end;
        }
        self.file.set_len(state.end)?;
        *self.lock() = state;
        Ok(())
    }

    /// Returns true if the row of an image is there.
    pub fn has(&self, image: &ImageId) -> bool {
        self.lock().places.contains_key(image)
    }

    /// Returns how many rows are there.
    pub fn len(&self) -> usize {
        self.lock().places.len()
    }

    /// Adds the row of an image.
    pub fn add(&self, row: &Row) -> io::Result<()> {
        let mut text = Vec::new();
        write_json(&mut text, row)?;
        let place = self.append(&text)?;
        self.lock().places.insert(row.finding.image.id, place);
        Ok(())
    }

    fn append(&self, text: &[u8]) -> io::Result<(u64, usize)> {
        let mut state = self.lock();
        let start = state.end;
        let line = self.key.line(start, text);
        self.file.write_all_at(&line, start)?;
        state.end += line.len() as u64;
        Ok((start, line.len()))
    }

    /// Returns the row of an image.
    pub fn row(&self, image: &ImageId) -> anyhow::Result<Row> {
        let place = self.lock().places.get(image).copied();
        let (start, length) = place.context("a row was not made")?;
        let mut line = vec![0; length];
        self.file.read_exact_at(&mut line, start)?;
        let text = self.key.text(start, &line).context("a row is not what was written: the disk failed")?;
        Ok(serde_json::from_slice(text)?)
    }

    /// Removes the file: the report is written.
    pub fn remove(&self) -> io::Result<()> {
        self.path.as_deref().map_or(Ok(()), private::remove)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `fleet.html` is made from `.fleet.html.rows`.
fn path_beside(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    output.with_file_name(format!(".{name}.rows"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_believed_only_where_it_was_written_and_as_it_was() {
        let (key, other) = (Key([1; 32]), Key([2; 32]));
        let line = key.line(100, b"{}");
        assert_eq!(key.text(100, &line), Some(&b"{}"[..]));
        assert_eq!((key.text(101, &line), other.text(100, &line)), (None, None));
        for at in 0..line.len() {
            let mut changed = line.clone();
            changed[at] ^= 1;
            assert_eq!(key.text(100, &changed), None, "byte {at}");
            assert_eq!(key.text(100, &line[..at]), None, "cut at {at}");
        }
    }
}
