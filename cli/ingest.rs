//! `layerprint ingest`

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use layerprint_ingest::progress::{Failure, Progress, SkipReason, Summary};
use layerprint_ingest::{Options, Source};
use layerprint_store::Store;
use serde_json::json;

use crate::args::{Global, Ingest, Sources};
use crate::error::{Status, hint_of};
use crate::output::{bytes, count, counted as plural, plain, print_json};
use crate::progress::Bars;
use crate::store;

pub fn run(global: &Global, command: &Ingest) -> anyhow::Result<Status> {
    let sources = sources(&command.sources)?;
    let options = Options { rescan: command.rescan, shard: command.shard, ..options(&command.sources)? };
    if command.shard.is_some() && sources.iter().any(Source::is_stdin) {
        return Err(SharedStdin.into());
    }
    let store = store::open_or_create(global)?;
    let counted = Counted::default();
    let summary = ingest(global, &sources, &store, &options, &counted)?;
    match global.json {
        true => print_json(&summary_json(&summary, &counted))?,
        false => print_summary(&summary, &counted)?,
    }
    Ok(if summary.failed.is_empty() { Status::Done } else { Status::Failed })
}

/// Ingests with progress bars; failures are told as they happen.
pub fn ingest(
    global: &Global,
    sources: &[Source],
    store: &Store,
    options: &Options,
    counted: &Counted,
) -> anyhow::Result<Summary> {
    let bars = Bars::new(global.quiet);
    let observer = |event: Progress| {
        counted.on(&event);
        bars.on(&event);
        match &event {
            Progress::Failed(failure) => complain(&bars, failure),
            // A closed pipe is noticed when the summary is printed.
            Progress::ImageDone(row) if global.json => {
                drop(print_json(&json!({"event": "image", "image": row})))
            }
            _ => {}
        }
    };
    let summary = layerprint_ingest::ingest(sources, store, options, &observer);
    bars.finish();
    Ok(summary?)
}

/// Returns the sources of a command line, those in lists included.
pub fn sources(args: &Sources) -> anyhow::Result<Vec<Source>> {
    let mut texts = args.sources.clone();
    for list in &args.from_list {
        let text = match list.as_os_str() == "-" {
            true => io::read_to_string(io::stdin()),
            false => std::fs::read_to_string(list),
        };
        let text = text.map_err(|error| anyhow::anyhow!("{}: {error}", list.display()))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        texts.extend(lines.map(str::to_owned));
    }
    Ok(texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)
}

pub fn options(args: &Sources) -> anyhow::Result<Options> {
    let default = Options::default();
    Ok(Options {
        jobs: args.jobs.map_or(default.jobs, usize::from),
        platform: args.platform.clone(),
        name: args.name.clone(),
        now_unix_s: now_unix_s()?,
        ..default
    })
}

/// Returns the time that is to be stored, where it is told (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn now_unix_s() -> anyhow::Result<Option<u64>> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let Some(value) = std::env::var_os(NAME).filter(|value| !value.is_empty()) else { return Ok(None) };
    let seconds = value.to_str().and_then(|text| text.parse().ok());
    let seconds =
        seconds.with_context(|| format!("{NAME} is {value:?}, which is no number of seconds since 1970"))?;
    Ok(Some(seconds))
}

/// Standard input that several machines are to share.
#[derive(Debug, thiserror::Error)]
#[error("standard input cannot be read in parts: only one machine has it")]
pub struct SharedStdin;

impl SharedStdin {
    pub fn hint(&self) -> String {
        "save it to a file that all machines see, or ingest it on one without --shard".into()
    }
}

/// Tells of an image that could not be read.
pub fn complain(bars: &Bars, failure: &Failure) {
    let text = failure.error.to_string();
    let origin = failure.origin.as_str();
    // Most errors say where they are themselves.
    let line = if text.starts_with(origin) { text } else { format!("{origin}: {text}") };
    bars.complain(&format!("error: {}", plain(&line)));
    if let Some(hint) = hint_of(&failure.error) {
        bars.complain(&format!("hint: {}", plain(&hint)));
    }
}

/// What passed, counted across threads.
#[derive(Default)]
pub struct Counted {
    layers_read: AtomicU64,
    layers_known: AtomicU64,
    read_bytes: AtomicU64,
}

impl Counted {
    fn on(&self, event: &Progress) {
        let (counter, by) = match event {
            Progress::LayerRead => (&self.layers_read, 1),
            Progress::LayerKnown => (&self.layers_known, 1),
            Progress::Read(count) => (&self.read_bytes, *count),
            _ => return,
        };
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

fn print_summary(summary: &Summary, counted: &Counted) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    writeln!(
        out,
        "{} new, {} known, {} failed; {} read ({}) in {:.1} s, {} known",
        plural(summary.images_new, "image"),
        count(summary.images_known),
        count(summary.failed.len() as u64),
        plural(load(&counted.layers_read), "layer"),
        bytes(load(&counted.read_bytes)),
        summary.elapsed.as_secs_f64(),
        count(load(&counted.layers_known)),
    )?;
    let skipped = |reason| summary.skipped.iter().filter(|skipped| skipped.reason == reason).count() as u64;
    let reasons = [
        (summary.sources_unchanged, "unchanged since the last run (--rescan reads them again)"),
        (skipped(SkipReason::NotAnImage), "holding no image"),
        (skipped(SkipReason::OtherPlatform), "for another platform"),
        (summary.other_shard, "of other shards"),
    ];
    for (number, reason) in reasons.into_iter().filter(|(number, _)| *number > 0) {
        writeln!(out, "skipped {} {reason}", count(number))?;
    }
    Ok(())
}

fn summary_json(summary: &Summary, counted: &Counted) -> serde_json::Value {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let failed = |failure: &Failure| json!({"origin": failure.origin, "error": failure.error.to_string()});
    json!({
        "event": "summary",
        "images_new": summary.images_new,
        "images_known": summary.images_known,
        "images_failed": summary.failed.len(),
        "sources_unchanged": summary.sources_unchanged,
        "other_shard": summary.other_shard,
        "layers_read": load(&counted.layers_read),
        "layers_known": load(&counted.layers_known),
        "read_bytes": load(&counted.read_bytes),
        "elapsed_ms": u64::try_from(summary.elapsed.as_millis()).unwrap_or(u64::MAX),
        "failed": summary.failed.iter().map(failed).collect::<Vec<_>>(),
        "skipped": summary.skipped,
    })
}
