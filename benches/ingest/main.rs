//! What reading images costs, beside the sum of what cannot be avoided and beside public tools on the same bytes.
//!
//! `cargo bench --bench ingest -- [--sets gzip,zstd,plain,many,tiny,archives,huge,scale] [--scale FOLDER] [--rounds N]
//! [--decompressors] [--by-hand] [--perf]`
//!
//! Whole runs of the `layerprint` binary, each into an empty store: on one core, on two, and once more over what it has
//! read. `sets.rs` says what is read, `limit.rs` what the limit is. CPU time is user and system time of the process; every
//! figure is the median of the rounds. Never fails on a timing, only where a program fails.
//!
//! Leaves out the disk: everything is read from the page cache. Takes 8 GB for the sets, which `--cache` keeps elsewhere than
//! below the target folder, and 3 GB more by hand. Needs Linux and `taskset`; of the other tools it uses those that are there,
//! from Debian's packages `igzip` (isal), `libdeflate-tools`, `pigz`, `zstd`, `b3sum`, `skopeo`, `umoci` and `linux-perf`, and
//! from PyPI `rapidgzip`, `blake3` and `zstandard`.

mod blobs;
mod files;
mod hand;
mod layout;
mod limit;
mod measure;
mod process;
mod profile;
mod sets;
mod table;
mod task;
mod tools;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

use measure::{Bench, Beside, Measured};
use sets::{Cache, Set, Sizes};
use task::Task;

/// One for each question.
const TABLES: [fn(&[Measured]) -> String; 7] = [
    table::limit,
    table::decompressors,
    table::cores,
    table::again,
    table::memory,
    table::by_hand,
    table::profiles,
];

#[derive(Parser)]
struct Arguments {
    /// Sets to read
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "gzip,zstd,plain,many,tiny,archives,scale"
    )]
    sets: Vec<Set>,
    /// Rounds, of which the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where sets are kept for the next run [default: below the target folder]
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Whose files layers are made of
    #[arg(long, default_value = "/usr")]
    from: PathBuf,
    /// An OCI layout of many images, for the set `scale`
    #[arg(long)]
    scale: Option<PathBuf>,
    /// The program to measure [default: the one that is built with this benchmark]
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Measure other decompressors on the same layers
    #[arg(long)]
    decompressors: bool,
    /// Measure other tools on the same images
    #[arg(long)]
    by_hand: bool,
    /// Measure `tar --to-command`, too, which takes minutes
    #[arg(long, requires = "by_hand")]
    slow: bool,
    /// Measure where CPU time goes, with `perf`
    #[arg(long)]
    perf: bool,
    /// Walk frame pointers for that, which the binary must have
    #[arg(long, requires = "perf")]
    perf_frames: bool,
    /// Write the tables here, too
    #[arg(long)]
    markdown: Option<PathBuf>,
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
    let scratch = tempfile::tempdir().context("scratch folder")?;
    let cache = match arguments.bench {
        true => arguments.cache(),
        false => arguments.test_cache(scratch.path().join("cache")),
    };
    let text = run(&arguments, &cache)?;
    match &arguments.markdown {
        Some(path) => fs::write(path, text).with_context(|| format!("write {}", path.display())),
        None => Ok(()),
    }
}

impl Arguments {
    fn cache(&self) -> Cache {
        let below_target = || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ingest");
        let folder = self.cache.clone().unwrap_or_else(below_target);
        Cache { folder, from: self.from.clone(), sizes: Sizes::WHOLE }
    }

    fn test_cache(&self, folder: PathBuf) -> Cache {
        Cache { folder, from: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("ingest"), sizes: Sizes::TEST }
    }

    fn beside(&self) -> Beside {
        let Self { decompressors, by_hand, slow, perf: profile, perf_frames: frame_pointers, .. } = *self;
        Beside { decompressors, by_hand, slow, profile, frame_pointers }
    }

    fn binary(&self) -> PathBuf {
        self.binary.clone().unwrap_or_else(|| env!("CARGO_BIN_EXE_layerprint").into())
    }
}

fn run(arguments: &Arguments, cache: &Cache) -> Result<String> {
    let given: Vec<String> = std::env::args().skip(1).filter(|given| given != "--bench").collect();
    let mut text = String::new();
    tell(&mut text, &table::machine(&given.join(" ")));
    fs::create_dir_all(&cache.folder)?;
    let scratch = tempfile::tempdir_in(&cache.folder).context("scratch folder")?;
    let bench = Bench {
        binary: arguments.binary(),
        scratch: scratch.path().to_owned(),
        rounds: arguments.rounds,
        beside: arguments.beside(),
    };
    let mut measured: Vec<Measured> = Vec::new();
    for set in &arguments.sets {
        let Some(source) = source(arguments, cache, *set)? else {
            tell(&mut text, "- scale: skipped, no folder with an `index.json` is given\n");
            continue;
        };
        measured.push(bench.measure(*set, &source).with_context(|| set.name())?);
    }
    for table in TABLES.map(|table| table(&measured)).iter().filter(|table| !table.is_empty()) {
        tell(&mut text, table);
    }
    for measured in &measured {
        for note in &measured.notes {
            tell(&mut text, &format!("- {}: {note}", measured.set.name()));
        }
    }
    Ok(text)
}

/// Returns where a set lies, made if it was not yet.
fn source(arguments: &Arguments, cache: &Cache, set: Set) -> Result<Option<PathBuf>> {
    if set == Set::Scale {
        let given = arguments.scale.clone();
        return Ok(given.filter(|folder| folder.join("index.json").exists()));
    }
    for needed in set.made_from().into_iter().chain([set]) {
        if !cache.path(needed).exists() {
            eprintln!("making the set {}", needed.name());
            Task::Make(cache.clone(), needed).run::<()>()?;
        }
    }
    Ok(Some(cache.path(set)))
}

fn tell(text: &mut String, part: &str) {
    println!("{part}");
    text.push_str(part);
    text.push('\n');
}
