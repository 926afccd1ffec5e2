//! A report as a table for spreadsheets: one line for each image.

use std::io::Write;

use layerprint_query::{Base, Level, Row, Verdict};

use super::Report;
use super::changes::said;
use super::diff::Gone;
use crate::cells::{harmless, io_error};

type Cell = fn(&Row) -> String;

/// The columns, and what stands in them. Several values in one cell are divided by `; `, names that mean one thing by ` = `.
const COLUMNS: [(&str, Cell); 32] = [
    ("image", |row| row.finding.source.clone()),
    ("id", |row| row.finding.image.id.to_string()),
    ("names", |row| row.finding.image.names.join("; ")),
    ("platform", |row| row.finding.image.platform.clone()),
    ("created", |row| row.finding.image.created.clone().unwrap_or_default()),
    ("layers", |row| row.finding.image.layers.to_string()),
    ("files", |row| row.finding.image.files.to_string()),
    ("contents", |row| row.finding.image.contents.to_string()),
    ("content_bytes", |row| row.finding.image.content_bytes.to_string()),
    ("verdict", |row| verdict(row.finding.verdict).to_owned()),
    ("confidence", |row| row.finding.confidence.to_string()),
    ("evidence", |row| of_base(row, |base| base.evidence.word().to_owned())),
    ("base", |row| of_base(row, |base| tie(&base.names))),
    ("base_ids", |row| of_base(row, |base| joined(base.images.iter().map(|member| member.id.to_string())))),
    ("base_created", |row| row.base_created().unwrap_or_default().to_owned()),
    ("family", |row| row.family.clone().unwrap_or_default()),
    ("containment", |row| of_base(row, |base| base.containment.to_string())),
    ("agreement_bytes", |row| of_base(row, |base| base.agreement_bytes.to_string())),
    ("layers_shared", |row| of_base(row, |base| base.layers_shared.to_string())),
    ("lineage", |row| of_base(row, |base| joined(base.lineage.iter().map(|kin| tie(&kin.names))))),
    ("newer", |row| row.freshness.as_ref().map(|fresh| fresh.newer.to_string()).unwrap_or_default()),
    ("newest", |row| newest(row).unwrap_or_default()),
    ("new_files", |row| row.finding.new.files.present.to_string()),
    ("new_bytes", |row| row.finding.new.bytes.to_string()),
    ("parts", |row| joined(row.finding.cover.iter().map(|part| tie(&part.names)))),
    ("children", |row| row.children.to_string()),
    ("superseded", |row| if row.superseded { "true".into() } else { String::new() }),
    ("remarks", |row| joined(row.remarks.iter().map(|remark| remark.rule.word().to_owned()))),
    ("reason", |row| row.reason().to_owned()),
    ("offences", |row| joined(offences(row))),
    ("change", |row| row.change.as_ref().map(|change| change.kind.word().to_owned()).unwrap_or_default()),
    ("was", |row| row.change.as_ref().and_then(|change| change.was.as_ref()).map(said).unwrap_or_default()),
];

/// Writes a header and the rows.
pub fn write(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(COLUMNS.map(|(name, _)| name)).map_err(io_error)?;
    for row in report.rows() {
        let row = row?;
        csv.write_record(COLUMNS.map(|(_, cell)| harmless(&cell(&row)))).map_err(io_error)?;
    }
    for gone in report.gone.iter().flatten() {
        csv.write_record(COLUMNS.map(|(name, _)| harmless(&of_gone(gone, name)))).map_err(io_error)?;
    }
    Ok(csv.flush()?)
}

/// What is told of an image that is not stored any more.
fn of_gone(gone: &Gone, column: &str) -> String {
    match column {
        "image" => gone.source.clone(),
        "platform" => gone.platform.clone(),
        "change" => gone.change.kind.word().to_owned(),
        "was" => gone.change.was.as_ref().map(said).unwrap_or_default(),
        _ => String::new(),
    }
}

fn offences(row: &Row) -> impl Iterator<Item = String> {
    let errors = row.remarks.iter().filter(|remark| remark.level == Level::Error);
    errors.map(|remark| format!("{}: {}", remark.rule.word(), remark.message))
}

pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Base => "base",
        Verdict::Family => "family",
        Verdict::None => "none",
    }
}

fn of_base(row: &Row, cell: fn(&Base) -> String) -> String {
    row.finding.base.as_ref().map(cell).unwrap_or_default()
}

fn joined(values: impl Iterator<Item = String>) -> String {
    values.collect::<Vec<_>>().join("; ")
}

fn newest(row: &Row) -> Option<String> {
    Some(tie(&row.freshness.as_ref()?.newest.as_ref()?.names))
}

/// Names that mean one thing.
fn tie(names: &[String]) -> String {
    names.join(" = ")
}
