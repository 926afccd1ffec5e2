//! `layerprint report`
//!
//! Selection, rows, spool, formats: each stored image that is meant becomes a row, in parallel and in any order; rows wait in the
//! spool and are told by name, in every format that was asked for, from one computation.

mod changes;
mod csv;
mod cyclonedx;
mod diff;
mod format;
mod gate;
mod markdown;
mod reference;
mod rules;
mod sarif;
mod selection;
mod spool;
mod stream;
mod summary;
mod text;

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use layerprint_query::{Change, Fleet, FleetImage, Row, Rows, Verdict};
use layerprint_store::StoreError;
use layerprint_store::id::ImageId;
use rayon::prelude::*;

use crate::args::{self, Global};
use crate::day::Day;
use crate::error::Status;
use crate::ingest::now_unix_s;
use crate::output::counted;
use crate::policy::{Judge, Policy};
use crate::progress::{bar, complain};
use crate::replace::replace;
use crate::store::Published;
use crate::subjects::Trouble;

use diff::{Gone, Old};
pub use format::Format;
pub use gate::Gate;
use spool::{Basis, Spool};

/// A report, as formats see it.
pub struct Report {
    /// What ages are counted to.
    pub as_of: Day,
    /// What the policy came to, if there is one.
    pub gate: Option<Gate>,
    /// Images of the earlier report that are not stored any more, if there is one.
    pub gone: Option<Vec<Gone>>,
    old: Option<Old>,
    judge: Option<Judge>,
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
            if let Some(judge) = &self.judge {
                judge.judge(&mut row);
            }
            row.change = self.change(&row);
            Ok(row)
        })
    }

    /// Returns the images, in the order of the rows.
    pub fn images(&self) -> &[ImageId] {
        &self.images
    }

    fn change(&self, row: &Row) -> Option<Change> {
        self.old.as_ref()?.change(row)
    }
}

pub fn run(global: &Global, command: &args::Report) -> anyhow::Result<Status> {
    let outputs = Outputs::of(global, command)?;
    let policy = command.policy.as_deref().map(Policy::read).transpose()?;
    let old = command.diff.as_deref().map(Old::read).transpose()?;
    let published = Published::open(global)?;
    let fleet = published.ask(Fleet::of)?;
    let index = published.index();
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
    let judge = policy.map(|policy| gate::judge(global, &published, policy, as_of)).transpose()?;
    let gone = old.as_ref().map(|old| old.gone(&fleet, &command.selection));
    let mut report = Report { as_of, gate: None, gone, old, judge, images, children, spool };
    report.gate = Gate::of(&report, command.policy.as_deref())?;
    outputs.write(&report)?;
    report.spool.remove()?;
    let failed = if failed.is_empty() { Status::Done } else { Status::Failed };
    let told = report.gate.as_ref().map_or(Status::Done, |gate| gate.tell(outputs.tells_people()));
    Ok(failed.max(told))
}

/// What ages are counted to: as told, else when something was last stored, so that the same store gives the same report. A gate
/// counts to today, for bases grow old while nothing is stored.
fn as_of(command: &args::Report, fleet: &Fleet) -> anyhow::Result<Day> {
    if let Some(told) = command.as_of {
        return Ok(told);
    }
    match now_unix_s()? {
        Some(seconds) => Day::of_unix_s(seconds).context("SOURCE_DATE_EPOCH is out of all bounds"),
        None if command.policy.is_some() => Ok(Day::now()),
        None => Day::of_unix_s(fleet.last_seen_unix_s()).context("the store names no day"),
    }
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

    /// Returns true if what is printed is text.
    fn tells_people(&self) -> bool {
        self.stdout == Some(Format::Text)
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
