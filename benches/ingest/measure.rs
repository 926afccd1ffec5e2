//! Everything that is measured of one set: layerprint on one core and on two, a second run, and the limit.
//!
//! All kinds of runs take turns within a round, so that whatever else the machine does meets all of them; each first run
//! begins with an empty store, and what it reads is in the page cache.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::limit::Limit;
use super::process::{Usage, measure, pinned};
use super::sets::Set;
use super::task::Task;

/// The cores that are used, by `taskset`'s names.
pub const ONE_CORE: &str = "0";
pub const TWO_CORES: &str = "0,1";

pub struct Measured {
    pub set: Set,
    pub one_core: Vec<Usage>,
    pub two_cores: Vec<Usage>,
    pub again: Vec<Usage>,
    pub limits: Vec<Limit>,
}

/// Who is measured, and where there is room.
pub struct Bench {
    pub binary: PathBuf,
    pub scratch: PathBuf,
    pub rounds: usize,
}

impl Bench {
    pub fn measure(&self, set: Set, source: &Path) -> Result<Measured> {
        eprintln!("reading {} into the page cache", source.display());
        warm(source)?;
        let mut measured =
            Measured { set, one_core: vec![], two_cores: vec![], again: vec![], limits: vec![] };
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
        Ok(measured)
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
