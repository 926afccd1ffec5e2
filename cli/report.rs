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
mod shared;
mod spool;
mod standing;
mod stream;
mod summary;
mod text;

use std::collections::HashSet;
use std::path::Path;

use anyhow::Context;
use layerprint_query::{Fleet, FleetImage, Row, without_relatives};
use layerprint_store::id::ImageId;

use crate::args::{self, Global};
use crate::day::{AsOf, Day};
use crate::error::{Mistake, Status, is_closed_pipe};
use crate::output::{count, counted, path, plain};
use crate::pattern::Pattern;
use crate::policy::{Judge, Policy};
use crate::progress::complain;
use crate::store::Published;
use crate::subjects::Trouble;
use crate::workers::workers;

pub use diff::RowsError;
use diff::{Gone, Old, Stored};
pub use format::Format;
pub use gate::Gate;
pub use outputs::NotAnOutput;
use outputs::Outputs;
use shared::Shared;
use spool::{Key, Spool};
use standing::{Children, Standing};

/// What could not be read is named up to so many; standard error has all.
const LEFT_OUT_NAMED_MAX: usize = 10;

/// A report, as formats see it.
pub struct Report {
    /// What ages are counted to, and who says so.
    pub as_of: AsOf,
    /// Patterns that were typed and mean no stored image.
    idle: Vec<String>,
    /// Where the images are stored, or the rows were read from, for people: `from rows.jsonl`.
    pub place: String,
    /// Which of the images are meant, as it was typed; empty if all are.
    pub selection: String,
    /// What the images take, where a format shows it and no layer of theirs is damaged.
    pub shared: Option<Shared>,
    /// What the policy came to, if there is one.
    pub gate: Option<Gate>,
    /// Images of the earlier report that are not stored any more, if there is one.
    pub gone: Option<Vec<Gone>>,
    /// Images of which there is no row and layers of which nothing is told, for they could not be read.
    pub left_out: Vec<String>,
    /// The file of the earlier report, where it was compared with one.
    pub earlier: Option<String>,
    /// Whether rows say already what is remarked and what changed.
    is_told: bool,
    old: Option<Old>,
    judge: Option<Judge>,
    images: Vec<ImageId>,
    standing: Standing,
    superseded: HashSet<ImageId>,
    spool: Spool,
}

impl Report {
    /// Returns a report of rows that are in a spool, with nothing that only a store, a policy or an earlier report tells.
    fn of(images: Vec<ImageId>, spool: Spool, as_of: AsOf, place: String) -> anyhow::Result<Self> {
        Ok(Self {
            as_of,
            idle: Vec::new(),
            place,
            selection: String::new(),
            shared: None,
            gate: None,
            gone: None,
            left_out: Vec::new(),
            earlier: None,
            is_told: false,
            old: None,
            judge: None,
            standing: Standing::of(&images, &spool)?,
            superseded: HashSet::new(),
            images,
            spool,
        })
    }

    /// Returns the rows, by the first name of the image and its ID.
    pub fn rows(&self) -> impl Iterator<Item = anyhow::Result<Row>> {
        self.images.iter().map(|id| {
            let mut row = self.spool.row(id)?;
            let Children { all, others } = self.standing.children(id);
            (row.children, row.is_base) = (all, others > 0);
            if row.is_base {
                row.made_of = without_relatives(row.made_of);
            }
            row.superseded |= self.superseded.contains(id);
            if !self.is_told || self.judge.is_some() {
                row.remarks = layerprint_query::remarks(&row);
            }
            if let Some(judge) = &self.judge {
                judge.judge(&mut row);
            }
            if let Some(old) = &self.old {
                row.change = old.change(&row);
            }
            Ok(row)
        })
    }

    fn compare(&mut self, command: &args::Report, old: Option<Old>, stored: &Stored) {
        let Some(old) = old else { return };
        let since = command.selection.since.map(|since| since.before(Some(self.as_of.day)));
        self.gone = Some(old.gone(stored, &command.selection, since));
        let name = command.diff.as_deref().and_then(Path::file_name).unwrap_or_default();
        self.earlier = Some(path(name.as_encoded_bytes()));
        self.old = Some(old);
    }

    /// Judges and writes. Returns what the gate says.
    fn tell(&mut self, command: &args::Report, outputs: &Outputs) -> anyhow::Result<Status> {
        self.gate = Gate::of(self, command.policy.as_deref())?;
        let written = outputs.write(self);
        let Some(gate) = &self.gate else { return written.map(|()| Status::Done) };
        // Whoever reads the page has seen enough, and still waits for what the gate says.
        let is_closed = written.as_ref().is_err_and(is_closed_pipe);
        if !is_closed {
            written?;
        }
        gate.tell(self, outputs.tells_people() && !is_closed)
    }

    /// Says what the report lacks; nothing if it is whole.
    pub fn lack(&self) -> Option<String> {
        let named = self.left_out.iter().take(LEFT_OUT_NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
        let more = match self.left_out.len().saturating_sub(LEFT_OUT_NAMED_MAX) {
            0 => String::new(),
            more => format!(", and {} more", count(more as u64)),
        };
        (!self.left_out.is_empty())
            .then(|| format!("Incomplete, for these could not be read and are left out: {named}{more}"))
    }

    /// Returns the image of the report that one is built on directly. Nobody stands on himself, whatever is between.
    pub fn parent(&self, image: &ImageId) -> Option<ImageId> {
        self.standing.parent(image)
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
    let images = selection::select(
        &index,
        &fleet,
        &command.selection,
        AsOf::told(command.as_of)?.map(|told| told.day),
    )?;
    let is_empty = images.is_empty() && old.is_none();
    if is_empty && !published.tell_if_empty() {
        complain("no stored image is meant\nhint: layerprint list shows what is stored");
    }
    // Files are written all the same, or those of an earlier run would be taken for what was asked now.
    if is_empty && outputs.first_file().is_none() {
        return Ok(Status::Nothing);
    }
    let workers = workers(command.jobs)?;
    let spool = spool(command, &outputs, index.root(), &fleet)?;
    if command.resume && !global.quiet {
        complain(&format!("asked before: {}", counted(spool.len() as u64, "image")));
    }
    let failed = compute::compute(global, &workers, &published, &fleet, &images, &spool)?;
    failed.iter().for_each(Trouble::complain);
    let is_there = |image: &&&FleetImage| spool.has(&image.id);
    let images = images.iter().filter(is_there).map(|image| image.id).collect();
    let mut report =
        Report::of(images, spool, as_of(command, &fleet)?, told("from the store", index.root()))?;
    let mut left_out = published.unreadable()?;
    report.selection = selection::told(&command.selection);
    let superseded = fleet.images().iter().filter(|image| !image.is_current);
    report.superseded = superseded.map(|image| image.id).collect();
    report.shared = match outputs.show_storage() {
        true => workers.install(|| Shared::of(&published, &report, &mut left_out)),
        false => None,
    };
    report.compare(command, old, &Stored::of(&fleet));
    report.idle = idle(command, &fleet, report.old.as_ref());
    let judge = |policy| {
        let judge = || gate::judge(global, &published, &fleet, policy, report.as_of.day, &mut left_out);
        workers.install(judge)
    };
    report.judge = command.policy.as_deref().zip(policy).map(judge).transpose()?;
    report.left_out = failed.iter().map(|trouble| trouble.source.clone()).collect();
    report.left_out.extend(left_out.names(&published));
    let told = report.tell(command, &outputs)?;
    report.spool.remove()?;
    let failed = if failed.is_empty() { Status::Done } else { Status::Failed };
    let found = if is_empty { Status::Nothing } else { Status::Done };
    Ok(failed.max(found).max(left_out.tell(&published)).max(told))
}

/// What ages are counted to: as told, else when something was last stored, so that the same store gives the same report. A gate
/// counts to today, for bases grow old while nothing is stored.
fn as_of(command: &args::Report, fleet: &Fleet) -> anyhow::Result<AsOf> {
    match AsOf::told(command.as_of)? {
        Some(told) => Ok(told),
        None if command.policy.is_some() => Ok(AsOf::today()),
        None => {
            let last = Day::of_unix_s(fleet.last_seen_unix_s()).context("the store names no day")?;
            Ok(AsOf::last_stored(last))
        }
    }
}

/// Tells and returns the patterns that mean no stored image, nor one of an earlier report. Nobody is to take silence about images
/// for good news of them.
fn idle(command: &args::Report, fleet: &Fleet, old: Option<&Old>) -> Vec<String> {
    let is_idle = |one: &&Pattern| {
        !fleet.images().iter().any(|image| one.means(image)) && !old.is_some_and(|old| old.has(one))
    };
    let args::Selection { images, exclude, .. } = &command.selection;
    for pattern in exclude.iter().filter(is_idle) {
        complain(&format!("--exclude {}: no stored image is meant", plain(&pattern.to_string())));
    }
    let idle: Vec<String> = images.iter().filter(is_idle).map(ToString::to_string).collect();
    idle.iter().for_each(|pattern| complain(&format!("{}: no stored image is meant", plain(pattern))));
    idle
}

fn spool(command: &args::Report, outputs: &Outputs, store: &Path, fleet: &Fleet) -> anyhow::Result<Spool> {
    match outputs.first_file() {
        Some(path) => {
            let key = Key::of(store, fleet).with_context(|| store.display().to_string())?;
            Spool::beside(path, key, command.resume)
        }
        None if command.resume => {
            let hint = "give the same -o FILE as to the report that was stopped";
            Err(Mistake::new("--resume goes on with rows that wait beside a file, and none is named", hint)
                .into())
        }
        None => Spool::unnamed(),
    }
}

/// A place by its name alone: where it is on this machine says nothing to others.
fn told(what: &str, place: &Path) -> String {
    let name = place.file_name().unwrap_or_default();
    format!("{what} {}", path(name.as_encoded_bytes()))
}
