//! `layerprint report`
//!
//! Selection, rows, spool, formats: each stored image that is meant becomes a row (`compute`), in parallel and in any order; rows
//! wait in the `spool` and are told by name, in every format that was asked for (`outputs`), from one computation.

mod again;
mod ages;
mod changes;
mod compute;
mod csv;
mod cyclonedx;
mod diff;
mod format;
mod gate;
mod html;
mod markdown;
mod outputs;
mod overview;
mod reference;
mod rules;
mod sarif;
mod selection;
mod spool;
mod stream;
mod summary;
mod text;

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use layerprint_query::{Finding, Fleet, FleetImage, Row, Storage, Verdict, family_of};
use layerprint_store::StoreError;
use layerprint_store::id::ImageId;

use crate::args::{self, Global};
use crate::day::Day;
use crate::error::Status;
use crate::ingest::now_unix_s;
use crate::output::{counted, path, plain};
use crate::policy::{Judge, Policy};
use crate::progress::complain;
use crate::store::Published;
use crate::subjects::Trouble;

use diff::{Gone, Old};
pub use format::Format;
pub use gate::Gate;
use outputs::Outputs;
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
    /// What the policy came to, if there is one.
    pub gate: Option<Gate>,
    /// Images of the earlier report that are not stored any more, if there is one.
    pub gone: Option<Vec<Gone>>,
    old: Option<Old>,
    judge: Option<Judge>,
    images: Vec<ImageId>,
    children: HashMap<ImageId, Children>,
    spool: Spool,
}

impl Report {
    /// Returns a report of rows that are in a spool, with nothing that only a store, a policy or an earlier report tells.
    fn of(images: Vec<ImageId>, spool: Spool, as_of: Day, place: String) -> anyhow::Result<Self> {
        Ok(Self {
            as_of,
            place,
            selection: String::new(),
            storage: None,
            gate: None,
            gone: None,
            old: None,
            judge: None,
            children: children(&images, &spool)?,
            images,
            spool,
        })
    }

    /// Returns the rows, by the first name of the image and its ID.
    pub fn rows(&self) -> impl Iterator<Item = anyhow::Result<Row>> {
        self.images.iter().map(|id| {
            let mut row = self.spool.row(id)?;
            let Children { all, others } = self.children.get(id).copied().unwrap_or_default();
            (row.children, row.is_base) = (all, others > 0);
            row.remarks = layerprint_query::remarks(&row);
            if let Some(judge) = &self.judge {
                judge.judge(&mut row);
            }
            row.change = self.old.as_ref().and_then(|old| old.change(&row));
            Ok(row)
        })
    }

    /// Returns the images, in the order of the rows.
    pub fn images(&self) -> &[ImageId] {
        &self.images
    }
}

pub fn run(global: &Global, command: &args::Report) -> anyhow::Result<Status> {
    let outputs = Outputs::of(global, command)?;
    if let Some(rows) = &command.from {
        return again::run(command, &outputs, rows);
    }
    let policy = command.policy.as_deref().map(Policy::read).transpose()?;
    let old = command.diff.as_deref().map(Old::read).transpose()?;
    let published = Published::open(global)?;
    let fleet = published.ask(Fleet::of)?;
    let index = published.index();
    let images = selection::select(&index, &fleet, &command.selection, told_day(command)?)?;
    if images.is_empty() && old.is_none() {
        complain("no stored image is meant");
        return Ok(Status::Nothing);
    }
    let spool = spool(command, &outputs, &fleet)?;
    if command.resume && !global.quiet {
        complain(&format!("asked before: {}", counted(spool.len() as u64, "image")));
    }
    let failed = compute::compute(global, command.jobs, &published, &fleet, &images, &spool)?;
    failed.iter().for_each(Trouble::complain);
    let is_there = |image: &&&FleetImage| spool.has(&image.id);
    let images = images.iter().filter(is_there).map(|image| image.id).collect();
    let mut report = Report::of(images, spool, as_of(command, &fleet)?, told("store", index.root()))?;
    report.selection = selection::told(&command.selection);
    report.storage = outputs.show_storage().then(|| storage(&published, &report.images)).flatten();
    report.gone = old.as_ref().map(|old| old.gone(&fleet, &command.selection));
    report.old = old;
    let judge = policy.map(|policy| gate::judge(global, &published, policy, report.as_of));
    report.judge = judge.transpose()?;
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
    match told_day(command)? {
        Some(told) => Ok(told),
        None if command.policy.is_some() => Ok(Day::now()),
        None => Day::of_unix_s(fleet.last_seen_unix_s()).context("the store names no day"),
    }
}

/// The day that was told, if one was.
fn told_day(command: &args::Report) -> anyhow::Result<Option<Day>> {
    if command.as_of.is_some() {
        return Ok(command.as_of);
    }
    let told = now_unix_s()?
        .map(|seconds| Day::of_unix_s(seconds).context("SOURCE_DATE_EPOCH is out of all bounds"));
    told.transpose()
}

fn spool(command: &args::Report, outputs: &Outputs, fleet: &Fleet) -> anyhow::Result<Spool> {
    let basis = Basis { layerprint: env!("CARGO_PKG_VERSION").into(), store: fleet.digest() };
    match outputs.first_file() {
        Some(path) => Spool::beside(path, &basis, command.resume),
        None if command.resume => anyhow::bail!("--resume goes on with what -o began: give the same -o FILE"),
        None => Spool::unnamed(),
    }
}

/// What images take is worth a word if it cannot be told, and no more: it is one figure of many.
fn storage(published: &Published, images: &[ImageId]) -> Option<Storage> {
    let asked = published.ask(|index| layerprint_query::storage(index, images, &|_| ()));
    let complain = |error: &StoreError| {
        complain(&format!("what images take is left out: {}", plain(&error.to_string())));
    };
    asked.inspect_err(complain).ok()
}

/// A place by its name alone: where it is on this machine says nothing to others.
fn told(what: &str, place: &Path) -> String {
    let name = place.file_name().unwrap_or_default();
    format!("{what} {}", path(name.as_encoded_bytes()))
}

/// The images that are built on one directly.
#[derive(Debug, Clone, Copy, Default)]
struct Children {
    all: u64,
    /// Those of other repositories.
    others: u64,
}

fn children(images: &[ImageId], spool: &Spool) -> anyhow::Result<HashMap<ImageId, Children>> {
    let mut children: HashMap<ImageId, Children> = HashMap::new();
    for image in images {
        let Finding { image, base, verdict, .. } = spool.row(image)?.finding;
        let Some(base) = base.filter(|_| verdict == Verdict::Base) else { continue };
        let is_other = !image.names.iter().any(|name| is_among(name, &base.names));
        for member in &base.images {
            let children = children.entry(member.id).or_default();
            children.all += 1;
            children.others += u64::from(is_other);
        }
    }
    Ok(children)
}

/// Returns true if an image is of the repository of one of these.
fn is_among(name: &str, names: &[String]) -> bool {
    family_of(name).is_some_and(|family| names.iter().any(|name| family_of(name) == Some(family)))
}
