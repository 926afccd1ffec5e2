//! One measurement as a process of its own, so that none has another's memory or leftovers.
//!
//! The benchmark starts itself again with a task as JSON, and reads the result as JSON from its standard output.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use layerprint_store::Store;
use layerprint_store::id::ImageId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::answers::{self, Answer, CHECKED, Shared};
use super::measure::{Memory, Times, Watch, ask};
use super::queries::{Query, Questions};
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
    IndexRebuild(Place),
    Index { place: Place, tool: String, limit: Duration },
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

/// What came of asking the index.
#[derive(Serialize, Deserialize)]
pub struct IndexAsked {
    pub asked: Asked,
    pub opened_ms: f64,
    pub size: index::Size,
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
            Self::IndexRebuild(place) => print(&made(|| index::rebuild(&place.store()))?),
            Self::Scan { place, limit } => print(&ask_scan(&place, limit)?),
            Self::Sled { place, limit } => print(&ask_sled(&place, limit)?),
            Self::Index { place, tool, limit } => print(&ask_index(&place, &tool, limit)?),
            Self::Crowd(role) => print(&role.perform()?),
        }
    }

    /// Does it in a process of its own and returns the result.
    pub fn run<T: DeserializeOwned>(&self) -> Result<T> {
        eprintln!("{}", self.title());
        finish(self.start()?)
    }

    /// What is going on, for whoever waits.
    fn title(&self) -> String {
        let (what, place) = match self {
            Self::Queries(place) => ("making questions", place),
            Self::Fill { place, .. } => ("filling", place),
            Self::Scan { place, .. } => ("asking the former scan", place),
            Self::SledBuild { place, .. } => ("building sled", place),
            Self::Sled { place, .. } => ("asking sled", place),
            Self::IndexRebuild(place) => ("rebuilding the index", place),
            Self::Index { place, .. } => ("asking the index", place),
            Self::Crowd(_) => return "a writer and its company".to_owned(),
        };
        format!("{what}: {}", place.folder.display())
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
    let shared = |overlap: &scan::Overlap| Shared {
        image: numbers[&overlap.record.id],
        present: u32::try_from(overlap.present).expect("no more than an image has contents"),
        present_bytes: overlap.present_bytes,
    };
    let answer = |overlaps: Vec<scan::Overlap>| {
        let mut answer: Answer = overlaps.iter().map(shared).collect();
        answer.sort_unstable();
        Ok(answer)
    };
    asked(place, "scan", limit, |query| Ok(scan::scan(&store, query)?), answer)
}

fn ask_sled(place: &Place, limit: Duration) -> Result<Asked> {
    let database = by_key::ByKey::open(&place.sled(), &place.matrix())?;
    asked(place, "sled", limit, |query| database.overlaps(query), Ok)
}

fn ask_index(place: &Place, tool: &str, limit: Duration) -> Result<IndexAsked> {
    let questions = Questions::open(&place.queries)?;
    let watch = Watch::start();
    let started = Instant::now();
    let reader = index::Reader::open(&place.store())?;
    let opened_ms = started.elapsed().as_secs_f64() * 1e3;
    let (times, _) = ask(&questions, limit, |query| reader.overlaps(query), |_| Ok(Vec::new()))?;
    let memory = watch.finish();
    // Apart, because the numbers of all images take memory that is not the index's.
    let numbers = numbers(&place.matrix())?;
    let answer = |number| reader.answer(&reader.overlaps(&questions.get(number)?)?, |id| numbers[id]);
    let answers = (0..times.questions().min(CHECKED)).map(answer).collect::<Result<Vec<_>>>()?;
    answers::write(&place.answers(tool), &answers)?;
    Ok(IndexAsked { asked: Asked { times, memory }, opened_ms, size: reader.size() })
}

fn numbers(matrix: &Path) -> Result<HashMap<ImageId, u32>> {
    Ok((0..).zip(matrix::images(matrix)?).map(|(number, (id, _))| (id, number)).collect())
}

fn asked<T>(
    place: &Place,
    tool: &str,
    limit: Duration,
    find: impl FnMut(&Query) -> Result<T>,
    answer: impl Fn(T) -> Result<Answer>,
) -> Result<Asked> {
    let questions = Questions::open(&place.queries)?;
    let watch = Watch::start();
    let (times, answers) = ask(&questions, limit, find, answer)?;
    let memory = watch.finish();
    answers::write(&place.answers(tool), &answers)?;
    Ok(Asked { times, memory })
}
