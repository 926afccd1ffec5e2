//! How fast a base is found in a store of up to a hundred thousand images, beside what it replaces and what others offer.
//!
//! `cargo bench --bench scale -- [--images 2000,20000,100000] [--dir FOLDER] [--keep] [--markdown FILE]`
//!
//! For each size a fleet is made from a fixed seed (`fleet.rs`) and stored through the store's public functions. Then 200
//! questions (`queries.rs`), the same for every size, are asked of the index, of the scan that it replaced, of sled with
//! a key for each file, and of DuckDB over Parquet; each in a process of its own, each warm. The answers of all of them
//! must be equal, or the benchmark fails. Last, a writer is timed beside eight processes that ask.
//!
//! Leaves out reading images: fingerprints are made, not read from tars. Leaves out ranking: what is timed ends with the
//! overlaps. All three sizes together take an hour and more on two cores, and 11 GB of disk; what exceeds `--seconds` is cut
//! short and says so. DuckDB is asked where `python3` can import `duckdb` and `numpy`.

mod answers;
mod application;
mod by_key;
mod crowd;
mod describe;
mod duckdb;
mod fill;
mod fleet;
mod index;
mod matrix;
mod measure;
mod names;
mod package;
mod queries;
mod random;
mod scan;
mod table;
mod task;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;

use answers::expect_same;
use fill::Filled;
use measure::Times;
use table::{Row, Section};
use task::{Asked, IndexAsked, Made, Place, Task};

/// Whose answers are held against the scan's.
const TOOLS: [&str; 4] = ["index-as-ingested", "index-rebuilt", "sled", "duckdb"];
/// Size of the fleet when this is run as a test and not as a benchmark.
const TEST_IMAGES: u64 = 500;

#[derive(Parser)]
struct Arguments {
    /// Sizes of the fleets
    #[arg(long, value_delimiter = ',', default_values_t = [2_000])]
    images: Vec<u64>,
    /// Scratch folder [default: a temporary one]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Keep the fleets in the scratch folder, where the next run uses them again
    #[arg(long, requires = "dir")]
    keep: bool,
    /// Write the tables here, too
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Longest time for asking one tool, and for building one of the other tools' databases
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Describe a store instead
    #[arg(long)]
    describe: Option<PathBuf>,
    /// Given by `cargo bench`, not by `cargo test`
    #[arg(long, hide = true)]
    bench: bool,
    #[arg(long, hide = true)]
    task: Option<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(task) = &arguments.task {
        return serde_json::from_str::<Task>(task).context("task")?.perform();
    }
    if let Some(store) = &arguments.describe {
        return describe::describe(store);
    }
    let scratch = tempfile::tempdir().context("scratch folder")?;
    let folder = arguments.dir.clone().unwrap_or_else(|| scratch.path().to_owned());
    let sizes = if arguments.bench { arguments.images.clone() } else { vec![TEST_IMAGES] };
    let given: Vec<String> = std::env::args().skip(1).filter(|given| given != "--bench").collect();
    let report = Report { folder: &folder, arguments: &arguments }.run(&sizes, &given.join(" "))?;
    match &arguments.markdown {
        Some(path) => fs::write(path, report).with_context(|| format!("write {}", path.display())),
        None => Ok(()),
    }
}

/// The whole run.
struct Report<'a> {
    folder: &'a Path,
    arguments: &'a Arguments,
}

impl Report<'_> {
    fn run(&self, sizes: &[u64], given: &str) -> Result<String> {
        let mut text = String::new();
        tell(&mut text, &table::machine(given));
        fs::create_dir_all(self.folder)?;
        Task::Queries(self.place(0)).run::<()>().context("make the questions")?;
        for images in sizes {
            let section = self.measure(*images).with_context(|| format!("{images} images"))?;
            tell(&mut text, &table::section(&section));
            if *images == sizes[0] {
                let measured = crowd::measure(&self.place(*images).store(), &self.folder.join("crowd"))?;
                tell(&mut text, &table::crowd(&measured));
            }
            if !self.arguments.keep {
                fs::remove_dir_all(self.place(*images).folder)?;
            }
        }
        Ok(text)
    }

    fn place(&self, images: u64) -> Place {
        Place { folder: self.folder.join(format!("fleet-{images}")), queries: self.folder.to_owned() }
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(self.arguments.seconds)
    }

    fn measure(&self, images: u64) -> Result<Section> {
        let place = self.place(images);
        let filled = fill(&place, images)?;
        for tool in TOOLS.iter().chain(&["scan"]) {
            absent(fs::remove_file(place.answers(tool)))?;
        }
        let mut section = Section { filled, rows: Vec::new(), checks: Vec::new() };
        section.rows.extend(self.indexes(&place).context("index")?);
        section.rows.push(self.sled(&place).context("sled")?);
        section.rows.push(self.duckdb(&place).context("duckdb")?);
        section.rows.push(self.scan(&place).context("scan")?);
        section.checks = checks(&place)?;
        Ok(section)
    }

    /// The index as publishing it commit by commit left it, and built at once.
    fn indexes(&self, place: &Place) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let rebuilt = place.folder.join("rebuilt");
        // In a fleet that an earlier run kept, the first is gone.
        if !rebuilt.exists() {
            rows.push(self.index(place, "index, as ingested", None)?);
        }
        fs::write(rebuilt, "")?;
        let made: Made<f64> = Task::IndexRebuild(place.clone()).run().context("rebuild")?;
        rows.push(self.index(place, "index, rebuilt", Some(made))?);
        Ok(rows)
    }

    fn index(&self, place: &Place, name: &str, rebuilt: Option<Made<f64>>) -> Result<Row> {
        let (tool, limit) = (name.replace(", ", "-").replace(' ', "-"), self.limit());
        let asked: IndexAsked = Task::Index { place: place.clone(), tool, limit }.run()?;
        let index::Size { bytes, segments, keys, colours, nodes } = asked.size;
        let mut note = format!(
            "{segments} segments, {keys} keys, {colours} colours, {nodes} nodes; opened in {:.1} ms",
            asked.opened_ms
        );
        if let Some(rebuilt) = &rebuilt {
            note += &format!("; rebuilding took {} MiB of memory", rebuilt.memory.anonymous_peak_bytes >> 20);
        }
        let build_seconds = rebuilt.map(|rebuilt| rebuilt.made);
        Ok(Row { bytes: Some(bytes), build_seconds, note, ..asked_row(name.to_owned(), asked.asked) })
    }

    fn sled(&self, place: &Place) -> Result<Row> {
        let name = "sled, a key for each file".to_owned();
        let limit = self.limit();
        remove_folder(&place.sled())?;
        let built: Made<by_key::Built> = Task::SledBuild { place: place.clone(), limit }.run()?;
        let by_key::Built { whole, keys, bytes, seconds } = built.made;
        let memory = format!("building took {} MiB of memory", built.memory.anonymous_peak_bytes >> 20);
        if !whole {
            let note = format!(
                "stopped after {seconds:.0} s with {keys} keys in {bytes} bytes, not asked; {memory}"
            );
            return Ok(Row { name, note, ..Row::default() });
        }
        let asked: Asked = Task::Sled { place: place.clone(), limit }.run()?;
        let note = format!("{keys} keys; {memory}");
        Ok(Row { bytes: Some(bytes), build_seconds: Some(seconds), note, ..asked_row(name, asked) })
    }

    fn duckdb(&self, place: &Place) -> Result<Row> {
        if let Some(reason) = duckdb::missing() {
            let note = format!("skipped: {reason}");
            return Ok(Row { name: "DuckDB over Parquet".to_owned(), note, ..Row::default() });
        }
        remove_folder(&place.folder.join("parquet"))?;
        let measured = duckdb::measure(place, self.limit())?;
        Ok(Row {
            name: format!("DuckDB {} over Parquet", measured.version),
            bytes: Some(measured.bytes),
            build_seconds: Some(measured.build_seconds),
            times: Some(Times(measured.milliseconds)),
            memory: Some(measured.memory),
            note: "memory is that of Python, building included".to_owned(),
        })
    }

    fn scan(&self, place: &Place) -> Result<Row> {
        let asked: Asked = Task::Scan { place: place.clone(), limit: self.limit() }.run()?;
        Ok(asked_row("former scan".to_owned(), asked))
    }
}

fn tell(text: &mut String, part: &str) {
    println!("{part}");
    text.push_str(part);
    text.push('\n');
}

fn asked_row(name: String, asked: Asked) -> Row {
    Row { name, times: Some(asked.times), memory: Some(asked.memory), ..Row::default() }
}

/// Makes and stores a fleet, unless an earlier run kept it.
fn fill(place: &Place, images: u64) -> Result<Filled> {
    let kept = place.folder.join("filled.json");
    if let Ok(text) = fs::read(&kept) {
        return serde_json::from_slice(&text).with_context(|| format!("read {}", kept.display()));
    }
    remove_folder(&place.folder)?;
    let made: Made<Filled> = Task::Fill { place: place.clone(), images }.run().context("fill")?;
    fs::write(&kept, serde_json::to_vec(&made.made)?)?;
    Ok(made.made)
}

fn remove_folder(path: &Path) -> Result<()> {
    absent(fs::remove_dir_all(path)).with_context(|| format!("remove {}", path.display()))
}

/// Takes it as done where there was nothing to remove.
fn absent(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Holds the answers of all tools against those of the scan.
fn checks(place: &Place) -> Result<Vec<String>> {
    let scan = answers::read(&place.answers("scan"))?;
    let mut checks = Vec::new();
    for tool in TOOLS {
        let path = place.answers(tool);
        if path.exists() {
            let asked = expect_same((tool, "scan"), &answers::read(&path)?, &scan)?;
            checks.push(format!("{tool} and the scan agree on {asked} questions"));
        }
    }
    Ok(checks)
}
