//! `layerprint find`

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use layerprint_ingest::progress::{Progress, SkipReason, Summary};
use layerprint_ingest::{Source, Transport};
use layerprint_query::{Base, Evidence, Finding, RunnerUp, Subject, Verdict};
use layerprint_store::{Index, Store, StoreError};

use crate::args::{Find, Global};
use crate::error::Status;
use crate::ingest::{Counted, complain, ingest, options, sources};
use crate::output::{bytes, count, counted, names, percent, plain, print_json, short};
use crate::progress::Bars;
use crate::store;

pub fn run(global: &Global, command: &Find) -> anyhow::Result<Status> {
    answer(global, command, &mut |finding| print(global, finding))
}

/// Hands on what is found of each image, in order.
pub fn answer(
    global: &Global,
    command: &Find,
    on_finding: &mut dyn FnMut(&Finding) -> anyhow::Result<()>,
) -> anyhow::Result<Status> {
    let sources = sources(&command.sources)?;
    let store = if command.save { Some(store::open_or_create(global)?) } else { None };
    let mut status = Status::Done;
    let mut ask = |index: &Index, origin: &str, subject: &Subject| -> anyhow::Result<Verdict> {
        let finding = layerprint_query::find(index, subject, origin)?;
        on_finding(&finding)?;
        Ok(finding.verdict)
    };
    let index = if let Some(store) = &store { store.index()? } else { store::index(global)? };
    for source in &sources {
        let answered = match stored(&index, source)? {
            Some(subject) => status_of(ask(&index, &source.to_string(), &subject)?),
            None => match &store {
                Some(store) => save_and_answer(global, command, store, source, &mut ask)?,
                None => read_and_answer(global, command, &index, source, &mut ask)?,
            },
        };
        status = status.max(answered);
    }
    Ok(status)
}

/// Asks about one image.
type Ask<'a> = &'a mut dyn FnMut(&Index, &str, &Subject) -> anyhow::Result<Verdict>;

fn save_and_answer(
    global: &Global,
    command: &Find,
    store: &Store,
    source: &Source,
    ask: Ask,
) -> anyhow::Result<Status> {
    let summary = save(global, store, source, &options(&command.sources))?;
    let index = store.index()?;
    let mut status = Status::Done;
    for row in &summary.images {
        let subject = Subject::stored(&index, &row.id)?;
        status = status.max(status_of(ask(&index, &row.origin, &subject)?));
    }
    Ok(status.max(status_of_run(source, &summary)))
}

fn read_and_answer(
    global: &Global,
    command: &Find,
    index: &Index,
    source: &Source,
    ask: Ask,
) -> anyhow::Result<Status> {
    let bars = Bars::new(global.quiet);
    let observer = |event: Progress| observe(&bars, &event);
    let sources = std::slice::from_ref(source);
    let read = layerprint_ingest::read(sources, Some(index), &options(&command.sources), &observer);
    bars.finish();
    let (images, summary) = read?;
    let mut status = Status::Done;
    for image in images {
        let image = image?;
        let subject = Subject::new(image.record, image.names, image.layers);
        status = status.max(status_of(ask(index, &image.origin, &subject)?));
    }
    Ok(status.max(status_of_run(source, &summary)))
}

fn observe(bars: &Bars, event: &Progress) {
    bars.on(event);
    if let Progress::Failed(failure) = event {
        complain(bars, failure);
    }
}

fn status_of(verdict: Verdict) -> Status {
    if verdict == Verdict::None { Status::Nothing } else { Status::Done }
}

/// A source without an image that was asked about is no success, and nobody should have to guess why.
fn status_of_run(source: &Source, summary: &Summary) -> Status {
    if !summary.failed.is_empty() {
        return Status::Failed;
    }
    if summary.images_new + summary.images_known > 0 {
        return Status::Done;
    }
    let skipped = |reason| summary.skipped.iter().filter(|skipped| skipped.reason == reason).count() as u64;
    let other = skipped(SkipReason::OtherPlatform);
    let found = match other {
        0 => format!("{} looked at, none is an image", counted(summary.skipped.len() as u64, "file")),
        other => format!("{}, all for another platform", counted(other, "image")),
    };
    eprintln!("{}: nothing to answer for: {found}", plain(&source.to_string()));
    Status::Nothing
}

/// A bare name that is no path may be that of a stored image.
fn stored(index: &Index, source: &Source) -> anyhow::Result<Option<Subject>> {
    if source.transport != Transport::Detect || source.is_stdin() || source.path.exists() {
        return Ok(None);
    }
    match index.resolve(&source.to_string()) {
        Ok(layerprint_store::Subject::Image(id)) => Ok(Some(Subject::stored(index, &id)?)),
        Ok(layerprint_store::Subject::Layer(_)) | Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn save(
    global: &Global,
    store: &Store,
    source: &Source,
    options: &layerprint_ingest::Options,
) -> anyhow::Result<Summary> {
    // Every image is to be answered for, so none may be skipped as unchanged.
    let options = layerprint_ingest::Options { rescan: true, ..options.clone() };
    let quiet_json = Global { json: false, ..global.clone() };
    ingest(&quiet_json, std::slice::from_ref(source), store, &options, &Counted::default())
}

/// Prints a finding in the form asked for.
pub fn print(global: &Global, finding: &Finding) -> anyhow::Result<()> {
    match global.json {
        true => print_json(finding),
        false => Ok(print_text(&mut anstream::stdout().lock(), finding)?),
    }
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

fn style_of(verdict: Verdict) -> Style {
    let color = match verdict {
        Verdict::Base => AnsiColor::Green,
        Verdict::Family => AnsiColor::Yellow,
        Verdict::None => AnsiColor::Red,
    };
    color.on_default().bold()
}

fn print_text(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let image = &finding.image;
    writeln!(out, "{BOLD}{}{BOLD:#}", plain(&finding.source))?;
    row(
        out,
        "image",
        &format!(
            "{}  {}, {} {}, {} files, {}",
            short(image.id),
            plain(&image.platform),
            image.layers,
            if image.layers == 1 { "layer" } else { "layers" },
            count(image.files),
            bytes(image.content_bytes)
        ),
    )?;
    let style = style_of(finding.verdict);
    match (finding.verdict, &finding.base) {
        (Verdict::Base, Some(base)) => {
            row(
                out,
                "base",
                &format!(
                    "{style}{}{style:#}  {}{}",
                    names(&base.names),
                    evidence(base.evidence),
                    sure(finding)
                ),
            )?;
        }
        (Verdict::Family, Some(base)) => {
            row(out, "family", &format!("{style}like {}{style:#}{}", names(&base.names), sure(finding)))?;
            row(out, "", &plain(&finding.reason))?;
        }
        _ => {
            row(out, "base", &format!("{style}none known{style:#}"))?;
            row(out, "", &plain(&finding.reason))?;
        }
    }
    if let Some(base) = &finding.base {
        print_base(out, base)?;
    }
    if let Some(runner_up) = &finding.runner_up {
        print_runner_up(out, runner_up)?;
    }
    print_new(out, finding)?;
    if !image.same_content_as.is_empty() {
        row(out, "same as", &names(&image.same_content_as))?;
    }
    writeln!(out)
}

fn print_base(out: &mut impl Write, base: &Base) -> io::Result<()> {
    let files = &base.files;
    row(
        out,
        "kept",
        &format!(
            "{} of its contents ({} of {}; {} of {})",
            percent(base.containment),
            count(base.contents.present),
            count(base.contents.total),
            bytes(base.bytes.present),
            bytes(base.bytes.total),
        ),
    )?;
    row(
        out,
        "",
        &format!(
            "{} files: {} same, {} moved, {} modified, {} deleted",
            count(files.total),
            count(files.same),
            count(files.moved),
            count(files.modified),
            count(files.deleted),
        ),
    )?;
    if let Some(folder) = &files.moved_to {
        row(out, "", &format!("its tree stands in {}/", plain(folder)))?;
    }
    for (index, kin) in base.lineage.iter().enumerate() {
        let label = if index == 0 { "on" } else { "" };
        row(out, label, &format!("{}  {DIM}{}{DIM:#}", names(&kin.names), evidence(kin.evidence)))?;
    }
    Ok(())
}

fn print_runner_up(out: &mut impl Write, runner_up: &RunnerUp) -> io::Result<()> {
    row(
        out,
        "not",
        &format!(
            "{}  {DIM}{}; the image has {} contents that only the base has, {} that only this has{DIM:#}",
            names(&runner_up.names),
            percent(runner_up.containment),
            count(runner_up.only_base),
            count(runner_up.only_runner_up),
        ),
    )?;
    for path in &runner_up.only_base_paths {
        row(out, "", &format!("{DIM}+ {}{DIM:#}", plain(path)))?;
    }
    for path in &runner_up.only_runner_up_paths {
        row(out, "", &format!("{DIM}- {}{DIM:#}", plain(path)))?;
    }
    Ok(())
}

fn print_new(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let new = &finding.new;
    row(
        out,
        "new",
        &format!("{} of {} files, {}", count(new.files.present), count(new.files.total), bytes(new.bytes)),
    )
}

/// How sure the answer is. Layers are certain, which goes without saying.
fn sure(finding: &Finding) -> String {
    let is_certain = finding.confidence >= 1.0;
    if is_certain { String::new() } else { format!(", {:.0} % sure", (finding.confidence * 100.0).floor()) }
}

fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::ChainId => "by layers",
        Evidence::Content => "by content",
    }
}

fn row(out: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {label:<8} {text}")
}
