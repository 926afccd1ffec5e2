//! The rows of an earlier report, told again without what they were made from.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use layerprint_query::Row;

use super::outputs::Outputs;
use super::spool::Spool;
use super::{Report, told};
use crate::args;
use crate::error::Status;

/// Reads lines of JSON and writes them in other formats.
pub fn run(command: &args::Report, outputs: &Outputs, rows: &Path) -> anyhow::Result<Status> {
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
    outputs.write(&Report::of(images, spool, as_of, told("rows of", rows))?)?;
    Ok(Status::Done)
}
