//! Rows between their making and their telling: a file of JSON lines.
//!
//! Rows come in any order, from several threads, and are read back in the order of images, so that the order in which they were
//! made shows nowhere and memory holds a few words for each. The file begins with what the rows depend on; a later run of the
//! same report over the same store goes on from there. A line that a killed run left half written is made again.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use layerprint_query::Row;
use layerprint_store::id::{ContentId, ImageId};
use serde::{Deserialize, Serialize};

/// What rows depend on: the first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// Version of this program.
    pub layerprint: String,
    /// What was stored: [`layerprint_query::Fleet::digest`].
    pub store: ContentId,
}

/// See the module.
pub struct Spool {
    file: File,
    /// Where the file is, if it has a name.
    path: Option<PathBuf>,
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
        Ok(Self { file, path: None, state: Mutex::default() })
    }

    /// Opens a spool beside an output. What it holds is kept if `resume` is true and it rests on the same.
    pub fn beside(output: &Path, basis: &Basis, resume: bool) -> anyhow::Result<Self> {
        let path = path_beside(output);
        let told = || path.display().to_string();
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).open(&path).with_context(told)?;
        file.try_lock().with_context(|| format!("{}: another report is being made", path.display()))?;
        let spool = Self { file, path: Some(path.clone()), state: Mutex::default() };
        match resume {
            true => spool.go_on(basis).with_context(told)?,
            false => spool.begin(basis).with_context(told)?,
        }
        Ok(spool)
    }

    fn begin(&self, basis: &Basis) -> io::Result<()> {
        self.file.set_len(0)?;
        *self.lock() = State::default();
        self.append(basis).map(drop)
    }

    /// Keeps the rows that are there and whole.
    fn go_on(&self, basis: &Basis) -> io::Result<()> {
        let mut lines = BufReader::new(&self.file);
        lines.seek(SeekFrom::Start(0))?;
        let mut line = Vec::new();
        lines.read_until(b'\n', &mut line)?;
        if serde_json::from_slice::<Basis>(&line).ok().as_ref() != Some(basis) {
            return self.begin(basis);
        }
        let mut state = State { end: line.len() as u64, places: HashMap::new() };
        loop {
            line.clear();
            let length = lines.read_until(b'\n', &mut line)?;
            let row = line.ends_with(b"\n").then(|| serde_json::from_slice::<Row>(&line).ok()).flatten();
            let Some(row) = row else { break };
            state.places.insert(row.finding.image.id, (state.end, length));
            state.end += length as u64;
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
        let (start, length) = self.append(row)?;
        self.lock().places.insert(row.finding.image.id, (start, length));
        Ok(())
    }

    fn append(&self, value: &impl Serialize) -> io::Result<(u64, usize)> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        let mut state = self.lock();
        let start = state.end;
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
        Ok(serde_json::from_slice(&line)?)
    }

    /// Removes the file: the report is written.
    pub fn remove(&self) -> io::Result<()> {
        self.path.as_ref().map_or(Ok(()), fs::remove_file)
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
