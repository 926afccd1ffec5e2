//! `layerprint demo`
//!
//! Makes images from files of this machine, types what a user would type, and checks the answers against the truth,
//! which only the makers of the images know. What is shown is what `ingest` and `find` print; nothing is printed for
//! them.

mod files;
mod images;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use layerprint_query::{Finding, Verdict};
use tempfile::TempDir;

use crate::args::{Args, Command, Demo, Global};
use crate::error::Status;
use crate::output::{align_right, bytes, count, names, plain, print_table, table};
use crate::signals::Signals;
use crate::{find, ingest, private};
use files::Pieces;
use images::{ASKS, Ask, BASES, Made};

const STORE: &str = "store";

pub fn run(global: &Global, command: &Demo) -> anyhow::Result<Status> {
    let started = Instant::now();
    let show = !global.json;
    let stage = Stage::new(command.keep.as_deref())?;
    // What is typed below names files as a user would who is where they are.
    std::env::set_current_dir(&stage.folder)
        .with_context(|| format!("{}: cannot be entered", stage.folder.display()))?;
    make_images(&stage, show)?;
    let global = Global { store: Some(STORE.into()), quiet: true, ..global.clone() };
    if show {
        typed(&format!("ingest {BASES}"))?;
    }
    ingest_bases(&global)?;
    // The first answer is shown whole, the others without the paths that it lists.
    let mut answers = Vec::new();
    for ask in &ASKS {
        answers.push(Answer::to(ask, &global, answers.is_empty())?);
    }
    let wrong = answers.iter().filter(|answer| !answer.is_right()).count();
    if show {
        print_answers(&answers, started.elapsed())?;
        print_end(command.keep.is_some().then_some(&*stage.folder))?;
    }
    if wrong > 0 {
        eprintln!(
            "error: {wrong} of {} answers are wrong; please report it, with what is above",
            answers.len()
        );
        return Ok(Status::Nothing);
    }
    Ok(Status::Done)
}

/// Where images and store are.
struct Stage {
    folder: PathBuf,
    /// Removes itself. The copies of files always do; the images are in it unless they are kept.
    scratch: TempDir,
}

impl Stage {
    fn new(keep: Option<&Path>) -> anyhow::Result<Self> {
        let scratch = tempfile::Builder::new().prefix("layerprint-demo-").tempdir();
        let scratch = scratch.context("no folder for temporary files (set TMPDIR)")?;
        let folder = match keep {
            Some(folder) => kept(folder)?,
            None => scratch.path().to_owned(),
        };
        Ok(Self { folder, scratch })
    }

    fn copies(&self) -> anyhow::Result<PathBuf> {
        let copies = self.scratch.path().join("files");
        fs::create_dir(&copies).with_context(|| format!("{}: cannot be made", copies.display()))?;
        Ok(copies)
    }
}

/// Returns the absolute path of a folder that holds nothing yet.
fn kept(folder: &Path) -> anyhow::Result<PathBuf> {
    let named = || folder.display().to_string();
    fs::create_dir_all(folder).with_context(named)?;
    let others_write = private::may_others_write(folder).with_context(named)?;
    anyhow::ensure!(!others_write, "{}: other users may write to it; name a folder of your own", named());
    anyhow::ensure!(fs::read_dir(folder).with_context(named)?.next().is_none(), "{}: is not empty", named());
    folder.canonicalize().with_context(named)
}

fn make_images(stage: &Stage, show: bool) -> anyhow::Result<()> {
    let pieces = Pieces::gather(&stage.copies()?)?;
    if show {
        let mut out = io::stdout().lock();
        let size = bytes(pieces.size_bytes);
        writeln!(out, "Making images from {} files of this machine, {size},", count(pieces.files() as u64))?;
        writeln!(out, "from {}\n", pieces.folders.join(", "))?;
    }
    let made = images::make(&pieces, &stage.folder)?;
    if show { print_made(&made) } else { Ok(()) }
}

fn print_made(made: &[Made]) -> anyhow::Result<()> {
    let mut rows = table(&["FILE", "SIZE", "IMAGE", "LAYERS", "FILES", "WHAT IT IS"]);
    let mut above = "";
    for image in made {
        let first = image.file != above;
        let size = bytes(fs::metadata(image.file).with_context(|| image.file.to_owned())?.len());
        above = image.file;
        rows.add_row([
            if first { image.file } else { "" },
            if first { &size } else { "" },
            image.name,
            &image.layers.to_string(),
            &count(image.files as u64),
            &image.story,
        ]);
    }
    align_right(&mut rows, &[1, 3, 4]);
    print_table(&rows)?;
    Ok(writeln!(io::stdout().lock())?)
}

/// Shows what a user types.
fn typed(line: &str) -> io::Result<()> {
    let bold = anstyle::Style::new().bold();
    writeln!(anstream::stdout().lock(), "{bold}$ layerprint {line}{bold:#}")
}

/// Reads a line as the command line it is.
fn parsed(line: &str) -> anyhow::Result<Command> {
    Ok(Args::try_parse_from(["layerprint"].into_iter().chain(line.split(' ')))?.command)
}

fn ingest_bases(global: &Global) -> anyhow::Result<()> {
    let Command::Ingest(command) = parsed(&format!("ingest {BASES}"))? else {
        unreachable!("it says ingest")
    };
    if global.json {
        // The findings are what is asked for; what is ingested is known.
        let store = layerprint_store::Store::create_or_open(Path::new(STORE))?;
        let sources = ingest::sources(&command.sources)?;
        let global = Global { json: false, ..global.clone() };
        ingest::ingest(&global, &sources, &store, &ingest::options(&command.sources)?)?;
        return Ok(());
    }
    let status = ingest::run(global, &command, &Signals::default())?;
    anyhow::ensure!(status == Status::Done, "{BASES}: was not ingested");
    Ok(writeln!(io::stdout().lock())?)
}

/// What was found of an image, beside the truth.
struct Answer {
    ask: &'static Ask,
    finding: Finding,
}

impl Answer {
    fn to(ask: &'static Ask, global: &Global, whole: bool) -> anyhow::Result<Self> {
        let line = format!("find {}", ask.source);
        if !global.json {
            typed(&line)?;
        }
        let Command::Find(command) = parsed(&line)? else { unreachable!("it says find") };
        let found = Mutex::new(None);
        find::answer(global, &command, &|finding, _| {
            *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(finding.clone());
            if whole || global.json {
                find::print(global, finding)
            } else {
                find::print(global, &brief(finding))
            }
        })?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let finding = found.with_context(|| format!("{}: no answer", ask.source))?;
        Ok(Self { ask, finding })
    }

    /// The base, what that is built on, and so on; of each, all names.
    fn said(&self) -> Vec<String> {
        match &self.finding.base {
            Some(base) if self.finding.verdict == Verdict::Base => {
                let lineage = base.lineage.iter().map(|kin| &kin.names);
                std::iter::once(&base.names).chain(lineage).map(|tie| names(tie)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn is_right(&self) -> bool {
        let claims_nothing = self.finding.verdict == Verdict::None;
        self.said() == self.ask.truth && claims_nothing == self.ask.truth.is_empty()
    }
}

/// Leaves out the paths that tell the base from the runner-up: they have been seen once.
fn brief(finding: &Finding) -> Finding {
    let mut finding = finding.clone();
    if let Some(runner_up) = &mut finding.runner_up {
        runner_up.only_base_paths.clear();
        runner_up.only_runner_up_paths.clear();
    }
    finding
}

fn print_answers(answers: &[Answer], took: Duration) -> anyhow::Result<()> {
    let mut rows = table(&["IMAGE", "WHAT HAPPENED TO IT", "BASE LAYERS", "ANSWER", ""]);
    for answer in answers {
        let truth = answer.ask.truth;
        let judged = if answer.is_right() { "right".to_owned() } else { format!("WRONG: {}", on(truth)) };
        let left = answer.finding.base.as_ref().map_or(0, |base| base.layers_shared);
        rows.add_row([
            answer.ask.source.trim_start_matches("rootfs:").to_owned(),
            answer.ask.story.to_owned(),
            format!("{left} of {}", answer.finding.image.layers),
            on(&answer.said()),
            judged,
        ]);
    }
    print_table(&rows)?;
    let right = answers.iter().filter(|answer| answer.is_right()).count();
    let seconds = took.as_secs_f64();
    Ok(writeln!(
        io::stdout().lock(),
        "\n{right} of {} answers are right. Images, store and answers took {seconds:.1} s.",
        answers.len()
    )?)
}

fn on<S: AsRef<str>>(line: &[S]) -> String {
    match line {
        [] => "none known".into(),
        line => line.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" on "),
    }
}

fn print_end(kept: Option<&Path>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if let Some(folder) = kept {
        let folder = folder.display().to_string();
        let folder = plain(&folder);
        writeln!(out, "\nKept in {folder}. To ask again:")?;
        writeln!(out, "  layerprint --store {folder}/{STORE} find {folder}/app-squashed.tar")?;
    }
    writeln!(
        out,
        "\nNow with your own images:\n  \
         docker save debian:12 python:3.12 | layerprint ingest -\n  \
         docker save my/app | layerprint find -\n  \
         docker export my-container | layerprint find rootfs:-"
    )
}
