//! The rows of an earlier report, told again without what they were made from.
//!
//! What they remark and what they say of changes is told as it is, unless they are judged or compared again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use layerprint_query::{ChangeKind, Row};
use layerprint_store::id::ImageId;

use super::diff::{Gone, Old, RowsError, Stored};
use super::outputs::Outputs;
use super::spool::Spool;
use super::{Report, told};
use crate::args;
use crate::day::{AsOf, Day};
use crate::error::{Mistake, Status};
use crate::output::plain;
use crate::policy::{Judge, Policy};
use crate::progress::complain;

/// Reads lines of JSON and writes them in other formats.
pub fn run(command: &args::Report, outputs: &Outputs, rows: &Path) -> anyhow::Result<Status> {
    let as_of = AsOf::told(command.as_of)?.context("--from needs --as-of DAY: rows do not say it")?;
    let judge = command.policy.as_deref().map(|policy| judge(policy, as_of.day)).transpose()?;
    let old = command.diff.as_deref().map(Old::read).transpose()?;
    let read = Lines::read(rows)?;
    let mut report = Report::of(read.images, read.spool, as_of, told("from", rows))?;
    report.is_told = true;
    report.judge = judge;
    report.gone = read.has_changes.then_some(read.gone);
    report.compare(command, old, &read.stored);
    report.tell(command, outputs)
}

/// Which images hold a file only a store can tell.
fn judge(policy: &Path, as_of: Day) -> anyhow::Result<Judge> {
    let read = Policy::read(policy)?;
    if !read.files.is_empty() {
        let what = format!("{}: rows do not tell which images hold a [[file]]", policy.display());
        return Err(Mistake::new(what, "leave out --from, so that the store is asked").into());
    }
    let judge = Judge::new(read, as_of, HashMap::new());
    judge.ended().for_each(|ended| complain(&plain(&ended)));
    Ok(judge)
}

/// What a file of rows says.
struct Lines {
    images: Vec<ImageId>,
    spool: Spool,
    stored: Stored,
    gone: Vec<Gone>,
    has_changes: bool,
}

impl Lines {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let mut read = Self {
            images: Vec::new(),
            spool: Spool::unnamed()?,
            stored: Stored::default(),
            gone: Vec::new(),
            has_changes: false,
        };
        let failed = |source| RowsError::Io { path: path.to_owned(), source };
        for (at, line) in (1..).zip(BufReader::new(File::open(path).map_err(failed)?).lines()) {
            let malformed = |source| RowsError::Malformed { path: path.to_owned(), line: at, source };
            match read_line(&line.map_err(failed)?).map_err(malformed)? {
                Line::Row(row) => read.add(&row)?,
                Line::Gone(gone) => read.add_gone(gone),
            }
        }
        Ok(read)
    }

    fn add(&mut self, row: &Row) -> anyhow::Result<()> {
        let image = &row.finding.image;
        if !self.spool.has(&image.id) {
            self.images.push(image.id);
        }
        self.has_changes |= row.change.is_some();
        self.stored.add(image.id, image.names.iter().cloned(), &image.platform);
        self.spool.add(row).context("cannot keep a row")
    }

    fn add_gone(&mut self, gone: Gone) {
        self.has_changes = true;
        self.gone.push(gone);
    }
}

/// What a line says.
enum Line {
    Row(Box<Row>),
    Gone(Gone),
}

/// Of an image that is not stored any more there is no row, but a line.
fn read_line(line: &str) -> serde_json::Result<Line> {
    let gone = || serde_json::from_str(line).ok().filter(|gone: &Gone| gone.change.kind == ChangeKind::Gone);
    match serde_json::from_str(line) {
        Ok(row) => Ok(Line::Row(row)),
        Err(error) => gone().map(Line::Gone).ok_or(error),
    }
}
