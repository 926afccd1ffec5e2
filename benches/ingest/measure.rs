//! Everything that is measured of one set: layerprint on one core and on two, a second run, and the limit.
//!
//! All kinds of runs take turns within a round, so that whatever else the machine does meets all of them; each first run
//! begins with an empty store, and what it reads is in the page cache.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::blobs::blobs;
use super::hand::{ByHand, Hand};
use super::limit::Limit;
use super::process::{Usage, measure, pinned};
use super::profile::{self, Profile};
use super::sets::Set;
use super::task::Task;
use super::tools::{self, Decompressor};

/// The cores that are used, by `taskset`'s names.
pub const ONE_CORE: &str = "0";
pub const TWO_CORES: &str = "0,1";

#[derive(Default)]
pub struct Measured {
    pub set: Set,
    pub one_core: Vec<Usage>,
    pub two_cores: Vec<Usage>,
    pub again: Vec<Usage>,
    pub limits: Vec<Limit>,
    pub decompressors: Vec<Decompressor>,
    pub by_hand: Vec<ByHand>,
    pub profile: Option<Profile>,
    /// What was not measured, and why.
    pub notes: Vec<String>,
}

/// Who is measured, and where there is room.
pub struct Bench {
    pub binary: PathBuf,
    pub scratch: PathBuf,
    pub rounds: usize,
    pub beside: Beside,
}

/// What else is measured.
#[derive(Clone, Copy)]
pub struct Beside {
    pub decompressors: bool,
    pub by_hand: bool,
    /// Those by hand that take minutes.
    pub slow: bool,
    pub profile: bool,
    /// Whether the binary keeps frame pointers.
    pub frame_pointers: bool,
}

impl Bench {
    pub fn measure(&self, set: Set, source: &Path) -> Result<Measured> {
        eprintln!("reading {} into the page cache", source.display());
        warm(source)?;
        let mut measured = Measured { set, ..Measured::default() };
        for round in 1..=self.rounds {
            eprintln!("{}: round {round} of {}", set.name(), self.rounds);
            let store = tempfile::tempdir_in(&self.scratch)?;
            let mut one = pinned(ONE_CORE, &self.binary);
            measured.one_core.push(measure(ingest(&mut one, source, store.path()).args(["--jobs", "1"]))?);
            let store = tempfile::tempdir_in(&self.scratch)?;
            let mut two = pinned(TWO_CORES, &self.binary);
            measured.two_cores.push(measure(ingest(&mut two, source, store.path()))?);
            let mut again = pinned(TWO_CORES, &self.binary);
            measured.again.push(measure(ingest(&mut again, source, store.path()))?);
            if set != Set::Huge {
                measured.limits.push(Task::Limit(source.to_owned()).run()?);
            }
        }
        self.measure_others(&mut measured, source)?;
        Ok(measured)
    }

    fn measure_others(&self, measured: &mut Measured, source: &Path) -> Result<()> {
        let Beside { decompressors, by_hand, slow, profile, .. } = self.beside;
        let set = measured.set;
        if decompressors {
            eprintln!("{}: decompressors", set.name());
            let (found, notes) = tools::decompressors(&blobs(source)?, self.rounds, &self.scratch)?;
            measured.decompressors = found;
            measured.notes.extend(notes);
        }
        if by_hand && set.is_layout() {
            eprintln!("{}: by hand", set.name());
            let hand = Hand { scratch: &self.scratch, rounds: self.rounds, slow };
            let (found, notes) = hand.measure(source, set.is_one_image())?;
            measured.by_hand = found;
            measured.notes.extend(notes);
        }
        if profile {
            match profile::profile(self, set, source) {
                Ok(profile) => measured.profile = Some(profile),
                Err(problem) => measured.notes.push(format!("profile: skipped, {problem:#}")),
            }
        }
        Ok(())
    }
}

pub fn ingest<'a>(command: &'a mut Command, source: &Path, store: &Path) -> &'a mut Command {
    command.args(["ingest", "--quiet", "--store"]).arg(store).arg(source)
}

fn warm(source: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(source) {
        let entry = entry.with_context(|| format!("walk {}", source.display()))?;
        if entry.file_type().is_file() {
            io::copy(&mut File::open(entry.path())?, &mut io::sink())?;
        }
    }
    Ok(())
}
