//! `layerprint find`

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use layerprint_ingest::progress::{Progress, Summary};
use layerprint_ingest::{Source, Transport};
use layerprint_query::{Base, Evidence, Finding, RunnerUp, Subject, Verdict};
use layerprint_store::{Store, StoreError};

use crate::args::{Find, Global};
use crate::error::Status;
use crate::ingest::{Counted, complain, ingest, options, sources, store_path};
use crate::output::{bytes, count, names, percent, plain, print_json, short};
use crate::progress::Bars;

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
    let path = store_path(global)?;
    let store = if command.save { Store::create_or_open(&path)? } else { Store::open(&path)? };
    let mut status = Status::Done;
    for source in &sources {
        let (subjects, failed) = subjects(global, command, &store, source)?;
        for (origin, subject) in &subjects {
            let finding = layerprint_query::find(&store, subject, origin)?;
            on_finding(&finding)?;
            if finding.verdict == Verdict::None && status == Status::Done {
                status = Status::Nothing;
            }
        }
        if failed {
            status = Status::Failed;
        }
    }
    Ok(status)
}

/// Returns the images of a source, and whether some could not be read.
fn subjects(
    global: &Global,
    command: &Find,
    store: &Store,
    source: &Source,
) -> anyhow::Result<(Vec<(String, Subject)>, bool)> {
    if let Some(subject) = stored(store, source)? {
        return Ok((vec![(source.to_string(), subject)], false));
    }
    let options = options(&command.sources);
    if command.save {
        return save(global, store, source, &options);
    }
    let bars = Bars::new(global.quiet);
    let observer = |event: Progress| {
        bars.on(&event);
        if let Progress::Failed(failure) = &event {
            complain(&bars, failure);
        }
    };
    let read = layerprint_ingest::read(std::slice::from_ref(source), Some(store), &options, &observer);
    bars.finish();
    let (images, summary) = read?;
    let subject = |image: layerprint_ingest::ImageRead| {
        (image.origin, Subject::new(image.record, image.names, image.layers))
    };
    Ok((images.into_iter().map(subject).collect(), !summary.failed.is_empty()))
}

/// A bare name that is no path may be that of a stored image.
fn stored(store: &Store, source: &Source) -> anyhow::Result<Option<Subject>> {
    if source.transport != Transport::Detect || source.is_stdin() || source.path.exists() {
        return Ok(None);
    }
    match store.resolve(&source.to_string()) {
        Ok(layerprint_store::Subject::Image(id)) => Ok(Some(Subject::stored(store, &id)?)),
        Ok(layerprint_store::Subject::Layer(_)) | Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn save(
    global: &Global,
    store: &Store,
    source: &Source,
    options: &layerprint_ingest::Options,
) -> anyhow::Result<(Vec<(String, Subject)>, bool)> {
    // Every image is to be answered for, so none may be skipped as unchanged.
    let options = layerprint_ingest::Options { rescan: true, ..options.clone() };
    let quiet_json = Global { json: false, ..global.clone() };
    let summary: Summary =
        ingest(&quiet_json, std::slice::from_ref(source), store, &options, &Counted::default())?;
    let subject = |row: &layerprint_ingest::progress::ImageRow| {
        Ok((row.origin.clone(), Subject::stored(store, &row.id)?))
    };
    let subjects = summary.images.iter().map(subject).collect::<anyhow::Result<_>>()?;
    Ok((subjects, !summary.failed.is_empty()))
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
                &format!("{style}{}{style:#}  {}", names(&base.names), evidence(base.evidence)),
            )?;
        }
        (Verdict::Family, Some(base)) => {
            row(out, "family", &format!("{style}like {}{style:#}", names(&base.names)))?;
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

fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::ChainId => "by layers",
        Evidence::Content => "by content",
    }
}

fn row(out: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {label:<8} {text}")
}
