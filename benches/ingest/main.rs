//! What reading images costs, beside the sum of what cannot be avoided and beside public tools on the same bytes.
//!
//! `cargo bench --bench ingest -- [--sets gzip,zstd,plain,many,tiny,archives,scale] [--cache FOLDER] [--rounds N]`
//!
//! Whole runs of the `layerprint` binary, each into an empty store: on one core, on two, and once more over what it has
//! read. `sets.rs` says what is read, `limit.rs` what the limit is. CPU time is user and system time of the process; every
//! figure is the median of the rounds. Never fails on a timing, only where a program fails.
//!
//! Leaves out the disk: everything is read from the page cache.

mod blobs;
mod files;
mod layout;
mod limit;
mod measure;
mod process;
mod sets;
mod table;
mod task;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

use measure::{Bench, Measured};
use sets::{Cache, Set, Sizes};
use task::Task;

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
    let bench =
        Bench { binary: arguments.binary(), scratch: scratch.path().to_owned(), rounds: arguments.rounds };
    let mut measured: Vec<Measured> = Vec::new();
    for set in &arguments.sets {
        let Some(source) = source(arguments, cache, *set)? else {
            tell(
                &mut text,
                &format!("- {}: skipped, no folder is given or it has no `index.json`", set.name()),
            );
            continue;
        };
        measured.push(bench.measure(*set, &source).with_context(|| set.name())?);
    }
    tell(&mut text, &table::limit(&measured));
    tell(&mut text, &table::runs(&measured));
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
