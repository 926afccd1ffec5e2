//! `layerprint ingest`

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Context;
use layerprint_ingest::progress::{Failure, Progress, SkipReason, Summary};
use layerprint_ingest::{Options, Source};
use layerprint_store::Store;
use serde_json::json;

use crate::args::{Global, Ingest, Sources};
use crate::counted::Counted;
use crate::error::{Aborted, Status, hint, hint_of, message};
use crate::output::{bytes, count, counted as plural, plain, print_json};
use crate::progress::Bars;
use crate::signals::Signals;
use crate::store;

pub fn run(global: &Global, command: &Ingest, signals: &Signals) -> anyhow::Result<Status> {
    let sources = sources(&command.sources)?;
    if command.shard.is_some() && sources.iter().any(Source::is_stdin) {
        return Err(SharedStdin.into());
    }
    let options = Options {
        rescan: command.rescan,
        shard: command.shard,
        memory_bytes: command.memory,
        stop: signals.stop.clone(),
        ..options(&command.sources)?
    };
    let store = store::open_or_create(global)?;
    let (summary, counted) = ingest(global, &sources, &store, &options)?;
    let printed = match global.json {
        true => print_json(&summary_json(&summary, &counted)),
        false => print_summary(&summary, &counted, sources.len() > 1).map_err(Into::into),
    };
    let status = match () {
        () if summary.stopped => signals.status(),
        () if summary.failed.is_empty() => Status::Done,
        () => Status::Failed,
    };
    // A closed pipe is no error, and does not hide one.
    if status == Status::Done { printed.map(|()| status) } else { Ok(status) }
}

/// Ingests with progress; images and failures are told as they happen.
pub fn ingest(
    global: &Global,
    sources: &[Source],
    store: &Store,
    options: &Options,
) -> anyhow::Result<(Summary, Arc<Counted>)> {
    let bars = Bars::new(global.quiet, "ingest");
    let observer = |event: Progress| {
        bars.on(&event);
        // Whether anybody reads standard output is noticed when the summary is printed.
        match &event {
            Progress::Failed(failure) => {
                complain(&bars, failure);
                if global.json {
                    drop(print_json(&failed_json(failure)));
                }
            }
            Progress::ImageDone(row) if global.json => {
                drop(print_json(&json!({"event": "image", "image": row})))
            }
            Progress::Stopping(layers) if !global.quiet => bars.complain(&stopping(*layers)),
            _ => {}
        }
    };
    let summary = layerprint_ingest::ingest(sources, store, options, &observer);
    bars.finish();
    let counted = Arc::clone(&bars.counted);
    match summary {
        Ok(summary) => Ok((summary, counted)),
        Err(cause) => {
            let images_stored = Counted::of(&counted.images_done);
            let error = anyhow::Error::new(Aborted { cause, images_stored });
            if global.json {
                drop(print_json(&aborted_json(&error, images_stored)));
            }
            Err(error)
        }
    }
}

/// How an ingest that was stopped is continued.
const GO_ON: &str = "the same command goes on where this one stopped";

fn stopping(layers: usize) -> String {
    let what = match layers {
        0 => "what was read is being stored".into(),
        1 => "1 layer is being finished".into(),
        layers => format!("{} layers are being finished", count(layers as u64)),
    };
    format!("stopping: {what}; a second signal (Ctrl-C) stops at once")
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

/// Returns what time it is to be, where that is told (<https://reproducible-builds.org/specs/source-date-epoch/>).
pub fn now_unix_s() -> anyhow::Result<Option<u64>> {
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
fn complain(bars: &Bars, failure: &Failure) {
    bars.complain(&format!("error: {}", plain(&told(failure))));
    if let Some(hint) = hint_of(&failure.error) {
        bars.complain(&format!("hint: {}", plain(&hint)));
    }
}

/// Says what failed and why. Most errors say where they are themselves.
fn told(failure: &Failure) -> String {
    let text = failure.error.to_string();
    let origin = failure.origin.as_str();
    if text.starts_with(origin) { text } else { format!("{origin}: {text}") }
}

fn print_summary(summary: &Summary, counted: &Counted, has_many: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{} new, {} known, {} failed; {} read ({}) in {:.1} s, {} known",
        plural(summary.images_new, "image"),
        count(summary.images_known),
        count(summary.failed.len() as u64),
        plural(Counted::of(&counted.layers_read), "layer"),
        bytes(Counted::of(&counted.read_bytes)),
        summary.elapsed.as_secs_f64(),
        count(Counted::of(&counted.layers_known)),
    )?;
    let skipped = |reason| summary.skipped.iter().filter(|skipped| skipped.reason == reason).count() as u64;
    let reasons = [
        (summary.sources_unchanged, "source", "unchanged since the last run (--rescan reads them again)"),
        (skipped(SkipReason::NotAnImage), "file", "holding no image"),
        (skipped(SkipReason::OtherPlatform), "image", "for another platform"),
        (summary.other_shard, "image", "of other shards"),
    ];
    for (number, things, reason) in reasons.into_iter().filter(|(number, ..)| *number > 0) {
        writeln!(out, "skipped {} {reason}", plural(number, things))?;
    }
    // What was told while it went is told again, for it may have passed among much else.
    if has_many || summary.images_new + summary.images_known + summary.failed.len() as u64 > 1 {
        print_failures(&mut out, &summary.failed)?;
    }
    if summary.stopped {
        let left = match summary.images_left {
            0 => "some sources were not looked at".into(),
            left => format!("at least {} left", plural(left, "image")),
        };
        writeln!(out, "stopped, {left}; {GO_ON}")?;
    }
    Ok(())
}

/// Lists what failed, each hint once.
fn print_failures(out: &mut impl Write, failed: &[Failure]) -> io::Result<()> {
    if failed.is_empty() {
        return Ok(());
    }
    writeln!(out, "{} failed:", count(failed.len() as u64))?;
    let mut hints = HashSet::new();
    for failure in failed {
        writeln!(out, "  {}", plain(&told(failure)))?;
        if let Some(hint) = hint_of(&failure.error).filter(|hint| hints.insert(hint.clone())) {
            writeln!(out, "  hint: {}", plain(&hint))?;
        }
    }
    Ok(())
}

fn failed_json(failure: &Failure) -> serde_json::Value {
    let (error, hint) = (failure.error.to_string(), hint_of(&failure.error));
    json!({"event": "failed", "origin": failure.origin, "error": error, "hint": hint})
}

fn aborted_json(error: &anyhow::Error, images_stored: u64) -> serde_json::Value {
    json!({"event": "aborted", "error": message(error), "hint": hint(error), "images_stored": images_stored})
}

fn summary_json(summary: &Summary, counted: &Counted) -> serde_json::Value {
    let failed = |failure: &Failure| json!({"origin": failure.origin, "error": failure.error.to_string()});
    json!({
        "event": "summary",
        "images_new": summary.images_new,
        "images_known": summary.images_known,
        "images_failed": summary.failed.len(),
        "images_left": summary.images_left,
        "sources_unchanged": summary.sources_unchanged,
        "other_shard": summary.other_shard,
        "layers_read": Counted::of(&counted.layers_read),
        "layers_known": Counted::of(&counted.layers_known),
        "read_bytes": Counted::of(&counted.read_bytes),
        "elapsed_ms": u64::try_from(summary.elapsed.as_millis()).unwrap_or(u64::MAX),
        "failed": summary.failed.iter().map(failed).collect::<Vec<_>>(),
        "skipped": summary.skipped,
        "stopped": summary.stopped,
        "hint": summary.stopped.then_some(GO_ON),
    })
}
