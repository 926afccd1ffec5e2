//! `layerprint report`
//!
//! Selection, rows, spool, formats: each stored image that is meant becomes a row, in parallel and in any order; rows wait in the
//! spool and are told by name, in every format that was asked for, from one computation.

mod ages;
mod csv;
mod format;
mod html;
mod overview;
mod selection;
mod spool;
mod summary;
mod text;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use layerprint_query::{Fleet, FleetImage, Row, Rows, Storage, Verdict};
use layerprint_store::StoreError;
use layerprint_store::id::ImageId;
use rayon::prelude::*;

use crate::args::{self, Global};
use crate::day::Day;
use crate::error::Status;
use crate::output::{counted, path, plain};
use crate::progress::{bar, complain};
use crate::replace::replace;
use crate::store::Published;
use crate::subjects::Trouble;

pub use format::Format;
use spool::{Basis, Spool};

/// A report, as formats see it.
pub struct Report {
    /// What ages are counted to.
    pub as_of: Day,
    /// Where the images are stored, or the rows were read from, for people.
    pub place: String,
    /// Which of the images are meant, as it was typed; empty if all are.
    pub selection: String,
    /// What the images take, where a format shows it and no layer of theirs is damaged.
    pub storage: Option<Storage>,
    images: Vec<ImageId>,
    children: HashMap<ImageId, u64>,
    spool: Spool,
}

impl Report {
    /// Returns the rows, by the first name of the image and its ID.
    pub fn rows(&self) -> impl Iterator<Item = anyhow::Result<Row>> {
        self.images.iter().map(|id| {
            let mut row = self.spool.row(id)?;
            row.children = self.children.get(id).copied().unwrap_or(0);
            row.remarks = layerprint_query::remarks(&row);
            Ok(row)
        })
    }
}

pub fn run(global: &Global, command: &args::Report) -> anyhow::Result<Status> {
    let outputs = Outputs::of(global, command)?;
    if let Some(rows) = &command.from {
        return again(command, &outputs, rows);
    }
    let published = Published::open(global)?;
    let index = published.index();
    let fleet = Fleet::of(&index)?;
    let images = selection::select(&index, &fleet, &command.selection)?;
    if images.is_empty() {
        complain("no stored image is meant");
        return Ok(Status::Nothing);
    }
    let spool = spool(command, &outputs, &fleet)?;
    if command.resume && !global.quiet {
        complain(&format!("asked before: {}", counted(spool.len() as u64, "image")));
    }
    let failed = compute(global, command, &published, &fleet, &images, &spool)?;
    failed.iter().for_each(Trouble::complain);
    let is_there = |image: &&&FleetImage| spool.has(&image.id);
    let images: Vec<ImageId> = images.iter().filter(is_there).map(|image| image.id).collect();
    let as_of = as_of(command, &fleet)?;
    let children = children(&images, &spool)?;
    let (place, selection) = (told("store", index.root()), selection::told(&command.selection));
    let storage = outputs.show_storage().then(|| storage(&published, &images)).flatten();
    let report = Report { as_of, place, selection, storage, images, children, spool };
    outputs.write(&report)?;
    report.spool.remove()?;
    Ok(if failed.is_empty() { Status::Done } else { Status::Failed })
}

/// Tells the rows of an earlier report again, without what they were made from.
fn again(command: &args::Report, outputs: &Outputs, rows: &Path) -> anyhow::Result<Status> {
    let context = || rows.display().to_string();
    let spool = Spool::unnamed()?;
    let mut images = Vec::new();
    for (at, line) in BufReader::new(File::open(rows).with_context(context)?).lines().enumerate() {
        let row: Row = serde_json::from_str(&line.with_context(context)?)
            .with_context(|| format!("{}: line {} is no row of a report", rows.display(), at + 1))?;
        if !spool.has(&row.finding.image.id) {
            images.push(row.finding.image.id);
        }
        spool.add(&row).context("cannot keep a row")?;
    }
    let as_of = command.as_of.context("--from needs --as-of DAY: rows do not say it")?;
    let children = children(&images, &spool)?;
    let (place, selection) = (told("rows of", rows), String::new());
    outputs.write(&Report { as_of, place, selection, storage: None, images, children, spool })?;
    Ok(Status::Done)
}

/// What images take is worth a word if it cannot be told, and no more: it is one figure of many.
fn storage(published: &Published, images: &[ImageId]) -> Option<Storage> {
    let asked = published.ask(|index| layerprint_query::storage(index, images, &|_| ()));
    let complain = |error: &StoreError| {
        complain(&format!("what images take is left out: {}", plain(&error.to_string())))
    };
    asked.inspect_err(complain).ok()
}

/// A place by its name alone: where it is on this machine says nothing to others.
fn told(what: &str, place: &Path) -> String {
    let name = place.file_name().unwrap_or_default();
    format!("{what} {}", path(name.as_encoded_bytes()))
}

/// What ages are counted to: as told, else when something was last stored, so that the same store gives the same report.
fn as_of(command: &args::Report, fleet: &Fleet) -> anyhow::Result<Day> {
    let last_seen = || Day::of_unix_s(fleet.last_seen_unix_s()).context("the store names no day");
    command.as_of.map_or_else(last_seen, Ok)
}

fn spool(command: &args::Report, outputs: &Outputs, fleet: &Fleet) -> anyhow::Result<Spool> {
    let basis = Basis { layerprint: env!("CARGO_PKG_VERSION").into(), store: fleet.digest() };
    match outputs.files.first() {
        Some((path, _)) => Spool::beside(path, &basis, command.resume),
        None if command.resume => anyhow::bail!("--resume goes on with what -o began: give the same -o FILE"),
        None => Spool::unnamed(),
    }
}

/// Makes the rows that are not there yet. Returns what could not be asked about.
fn compute(
    global: &Global,
    command: &args::Report,
    published: &Published,
    fleet: &Fleet,
    images: &[&FleetImage],
    spool: &Spool,
) -> anyhow::Result<Vec<Trouble>> {
    let threads = command.jobs.map_or(0, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let bar = bar(global.quiet, "images asked");
    bar.set_length(images.len() as u64);
    let mut in_order = images.to_vec();
    in_order.sort_unstable_by_key(|image| image.place);
    let failed = Mutex::new(Vec::new());
    let asked = pool.install(|| {
        published.ask(|index| {
            let rows = Rows::new(index, fleet);
            let left = in_order.par_iter().filter(|image| !spool.has(&image.id));
            left.try_for_each(|image| {
                let told = add(&rows, image, spool, &failed);
                bar.inc(1);
                told
            })
        })
    });
    bar.finish_and_clear();
    asked?;
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_by(|a: &Trouble, b| a.source.cmp(&b.source));
    Ok(failed)
}

/// One image that cannot be read stops no other; a damaged index is another matter.
fn add(
    rows: &Rows,
    image: &FleetImage,
    spool: &Spool,
    failed: &Mutex<Vec<Trouble>>,
) -> Result<(), StoreError> {
    let told = match rows.row(&image.id) {
        Err(error) if error.is_segment() => return Err(error),
        Err(error) => Err(error.into()),
        Ok(row) => spool.add(&row).context("cannot keep a row"),
    };
    if let Err(error) = told {
        let name = image.names.first().map_or_else(|| image.id.to_string(), |(name, _)| name.clone());
        failed.lock().unwrap_or_else(PoisonError::into_inner).push(Trouble::failed(&name, &error));
    }
    Ok(())
}

/// Counts for each image how many are built on it directly.
fn children(images: &[ImageId], spool: &Spool) -> anyhow::Result<HashMap<ImageId, u64>> {
    let mut children = HashMap::new();
    for image in images {
        let finding = spool.row(image)?.finding;
        let base = finding.base.filter(|_| finding.verdict == Verdict::Base);
        for member in base.iter().flat_map(|base| &base.images) {
            *children.entry(member.id).or_default() += 1;
        }
    }
    Ok(children)
}

/// Where a report goes.
struct Outputs {
    files: Vec<(PathBuf, Format)>,
    stdout: Option<Format>,
}

impl Outputs {
    fn of(global: &Global, command: &args::Report) -> anyhow::Result<Self> {
        let told = command.format.or(global.json.then_some(Format::Jsonl));
        let mut files = Vec::new();
        for path in &command.output {
            let format = told.or_else(|| Format::of_path(path));
            let format = format.with_context(|| {
                format!(
                    "{}: no format ends like this; give --format, or one of {}",
                    path.display(),
                    format::ENDINGS
                )
            })?;
            files.push((path.clone(), format));
        }
        let stdout = files.is_empty().then(|| told.unwrap_or(Format::Text));
        Ok(Self { files, stdout })
    }

    /// Only the page shows what images take, which a pass over all layers must find out.
    fn show_storage(&self) -> bool {
        let formats = self.files.iter().map(|(_, format)| *format).chain(self.stdout);
        formats.into_iter().any(|format| format == Format::Html)
    }

    fn write(&self, report: &Report) -> anyhow::Result<()> {
        for (path, format) in &self.files {
            let written = replace(path, |file| {
                let mut out = io::BufWriter::new(file);
                format.write(report, &mut out)?;
                Ok(out.flush()?)
            });
            written.with_context(|| path.display().to_string())?;
        }
        match self.stdout {
            Some(Format::Text) => text::write(report, &mut anstream::stdout().lock()),
            Some(format) => {
                let mut out = io::BufWriter::new(io::stdout().lock());
                format.write(report, &mut out)?;
                Ok(out.flush()?)
            }
            None => Ok(()),
        }
    }
}
