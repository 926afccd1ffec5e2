//! One measurement as a process of its own, so that none has another's memory or leftovers.
//!
//! The benchmark starts itself again with a task as JSON, and reads the result as JSON from its standard output.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use layerprint_store::Store;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::answers::{self, Answer, Shared};
use super::measure::{Memory, Times, Watch, ask};
use super::{by_key, crowd, fill, fleet, index, matrix, queries, scan};

/// Where everything about a fleet of one size is kept.
#[derive(Clone, Serialize, Deserialize)]
pub struct Place {
    pub folder: PathBuf,
    /// Where the questions are.
    pub queries: PathBuf,
}

impl Place {
    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    pub fn matrix(&self) -> PathBuf {
        self.folder.join("matrix")
    }

    pub fn sled(&self) -> PathBuf {
        self.folder.join("sled")
    }

    pub fn answers(&self, tool: &str) -> PathBuf {
        self.folder.join(format!("answers-{tool}"))
    }
}

/// What a process is started for.
#[derive(Clone, Serialize, Deserialize)]
pub enum Task {
    Queries(Place),
    Fill { place: Place, images: u64 },
    Scan { place: Place, limit: Duration },
    SledBuild { place: Place, limit: Duration },
    Sled { place: Place, limit: Duration },
    IndexBuild(Place),
    Index { place: Place, limit: Duration },
    Crowd(crowd::Role),
}

/// What came of building something.
#[derive(Clone, Serialize, Deserialize)]
pub struct Made<T> {
    pub made: T,
    pub memory: Memory,
}

/// What came of asking.
#[derive(Clone, Serialize, Deserialize)]
pub struct Asked {
    pub times: Times,
    pub memory: Memory,
}

impl Task {
    /// Does it, in this process, and prints the result.
    pub fn perform(self) -> Result<()> {
        match self {
            Self::Queries(place) => print(&queries::write(&place.queries, &queries::make())?),
            Self::Fill { place, images } => {
                let units = fleet::plan(images);
                print(&made(|| fill::fill(&place.store(), &place.matrix(), &units))?)
            }
            Self::SledBuild { place, limit } => {
                print(&made(|| by_key::build(&place.sled(), &place.matrix(), limit))?)
            }
            Self::IndexBuild(place) => print(&made(|| index::build(&place.store()))?),
            Self::Scan { place, limit } => print(&ask_scan(&place, limit)?),
            Self::Sled { place, limit } => print(&ask_sled(&place, limit)?),
            Self::Index { place, limit } => print(&ask_index(&place, limit)?),
            Self::Crowd(role) => print(&role.perform()?),
        }
    }

    /// Does it in a process of its own and returns the result.
    pub fn run<T: DeserializeOwned>(&self) -> Result<T> {
        finish(self.start()?)
    }

    /// Starts a process that does it.
    pub fn start(&self) -> Result<Child> {
        let program = std::env::current_exe().context("path of this benchmark")?;
        let mut command = Command::new(program);
        command.arg("--task").arg(serde_json::to_string(self)?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start a process")
    }
}

/// Waits for a process and takes its result.
pub fn finish<T: DeserializeOwned>(child: Child) -> Result<T> {
    let output = child.wait_with_output().context("wait for a process")?;
    ensure!(output.status.success(), "the process of a measurement failed: {}", output.status);
    serde_json::from_slice(&output.stdout).context("result of a measurement")
}

fn print(result: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(result)?);
    Ok(())
}

fn made<T>(make: impl FnOnce() -> Result<T>) -> Result<Made<T>> {
    let watch = Watch::start();
    Ok(Made { made: make()?, memory: watch.finish() })
}

fn ask_scan(place: &Place, limit: Duration) -> Result<Asked> {
    let numbers = numbers(&place.matrix())?;
    let store = Store::open(&place.store())?;
    asked(place, "scan", limit, |query| {
        let overlaps = scan::scan(&store, query)?;
        let shared = overlaps.iter().map(|overlap| Shared {
            image: numbers[&overlap.record.id],
            present: u32::try_from(overlap.present).expect("no more than a layer's entries"),
            present_bytes: overlap.present_bytes,
        });
        let mut answer: Answer = shared.collect();
        answer.sort_unstable();
        Ok(answer)
    })
}

fn ask_sled(place: &Place, limit: Duration) -> Result<Asked> {
    let database = by_key::ByKey::open(&place.sled(), &place.matrix())?;
    asked(place, "sled", limit, |query| database.overlaps(query))
}

fn ask_index(place: &Place, limit: Duration) -> Result<Asked> {
    let numbers = numbers(&place.matrix())?;
    let index = index::Reader::open(&place.store())?;
    asked(place, "index", limit, |query| {
        let overlaps = index.overlaps(query)?;
        let shared = overlaps.iter().map(|overlap| Shared {
            image: numbers[&overlap.image],
            present: u32::try_from(overlap.present).expect("no more than a layer's entries"),
            present_bytes: overlap.present_bytes,
        });
        let mut answer: Answer = shared.collect();
        answer.sort_unstable();
        Ok(answer)
    })
}

fn numbers(matrix: &Path) -> Result<std::collections::HashMap<layerprint_store::id::ImageId, u32>> {
    Ok((0..).zip(matrix::images(matrix)?).map(|(number, (id, _))| (id, number)).collect())
}

fn asked(
    place: &Place,
    tool: &str,
    limit: Duration,
    answer: impl FnMut(&queries::Query) -> Result<Answer>,
) -> Result<Asked> {
    let queries = queries::read(&place.queries)?;
    let watch = Watch::start();
    let (times, answers) = ask(&queries, limit, answer)?;
    let memory = watch.finish();
    answers::write(&place.answers(tool), &answers)?;
    Ok(Asked { times, memory })
}
