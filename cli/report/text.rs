//! A report as a page of text: sums, families, what to look at.

use std::cmp::Reverse;
use std::io::{self, Write};

use comfy_table::Table;
use layerprint_query::Level;

use super::Report;
use super::changes::Changes;
use super::summary::{Group, Summary};
use crate::find::{BOLD, DIM};
use crate::output::{align_right, bytes, count, counted, plain, share, table};

/// Families and bases that are listed.
const GROUPS_MAX: usize = 12;

/// Writes the page.
pub fn write(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    let summary = Summary::of(report)?;
    let (images, size) = (counted(summary.images, "image"), bytes(summary.content_bytes));
    writeln!(out, "{BOLD}{images}, {size}, as of {}{BOLD:#}\n", report.as_of.day)?;
    if let Some(lack) = report.lack() {
        writeln!(out, "{BOLD}{}{BOLD:#}\n", plain(&lack))?;
    }
    if let Some(changes) = Changes::of(report)? {
        write_changes(out, &changes)?;
    }
    gate(out, report)?;
    print(out, &verdicts(&summary))?;
    if let Some(days) = summary.median_age_days() {
        writeln!(
            out,
            "half of the images with a base have one that is {} days old or older",
            count(days.max(0).unsigned_abs())
        )?;
    }
    groups(out, "FAMILY OF THE BASE", &summary, &summary.families)?;
    groups(out, "BASE", &summary, &summary.bases)?;
    Ok(remarks(out, &summary)?)
}

fn write_changes(out: &mut dyn Write, changes: &Changes) -> io::Result<()> {
    if changes.kinds.is_empty() {
        return writeln!(out, "nothing changed\n");
    }
    for (kind, changed) in &changes.kinds {
        writeln!(out, "{BOLD}{}{BOLD:#}  {}", kind.word(), counted(changed.images, "image"))?;
        for (name, told) in &changed.first {
            writeln!(out, "  {}  {DIM}{}{DIM:#}", plain(name), plain(told))?;
        }
        if let Some(others) = changed.others() {
            writeln!(out, "  {DIM}{others}{DIM:#}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// All offenders: that is what somebody waits for.
fn gate(out: &mut dyn Write, report: &Report) -> anyhow::Result<()> {
    let Some(gate) = &report.gate else { return Ok(()) };
    writeln!(out, "{BOLD}{}{BOLD:#}", plain(&gate.told()))?;
    for row in report.rows() {
        let row = row?;
        for remark in row.remarks.iter().filter(|remark| remark.level == Level::Error) {
            let (name, message) = (plain(&row.finding.source), plain(&remark.message));
            writeln!(out, "  {name}  {}  {DIM}{message}{DIM:#}", remark.rule.word())?;
        }
    }
    Ok(writeln!(out)?)
}

fn verdicts(summary: &Summary) -> Table {
    let mut rows = table(&["ANSWER", "IMAGES", "SHARE"]);
    for (answer, images) in &summary.verdicts {
        rows.add_row([answer.told().to_owned(), count(*images), share(*images, summary.images)]);
    }
    let new = share(summary.new_bytes, summary.explained_bytes);
    rows.add_row(["bytes in no named image".to_owned(), bytes(summary.new_bytes), new]);
    align_right(&mut rows, &[1, 2]);
    rows
}

fn groups(
    out: &mut dyn Write,
    title: &str,
    summary: &Summary,
    groups: &std::collections::BTreeMap<String, Group>,
) -> io::Result<()> {
    if groups.is_empty() {
        return Ok(());
    }
    let mut largest: Vec<(&String, &Group)> = groups.iter().collect();
    largest.sort_by_key(|(name, group)| (Reverse(group.images), *name));
    let mut rows = table(&[title, "IMAGES", "SHARE", "OUTDATED", "SIZE"]);
    for (name, group) in largest.iter().take(GROUPS_MAX) {
        rows.add_row([
            plain(name).into_owned(),
            count(group.images),
            share(group.images, summary.images),
            count(group.outdated),
            bytes(group.content_bytes),
        ]);
    }
    align_right(&mut rows, &[1, 2, 3, 4]);
    writeln!(out)?;
    print(out, &rows)?;
    match largest.len().checked_sub(GROUPS_MAX) {
        Some(others) if others > 0 => writeln!(out, "{DIM}and {} more{DIM:#}", count(others as u64)),
        _ => Ok(()),
    }
}

fn remarks(out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
    for (rule, remarked) in &summary.remarks {
        writeln!(out, "\n{BOLD}{}{BOLD:#}  {}", rule.word(), counted(remarked.images, "image"))?;
        for (image, message) in &remarked.examples {
            writeln!(out, "  {}  {DIM}{}{DIM:#}", plain(image), plain(message))?;
        }
        let others = remarked.images - remarked.examples.len() as u64;
        if others > 0 {
            writeln!(out, "  {DIM}and {} more{DIM:#}", count(others))?;
        }
    }
    Ok(())
}

fn print(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    table.lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}
