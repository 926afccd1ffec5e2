//! A report as Markdown: for the summary of a job, or as a comment where changes are reviewed.
//!
//! What to look at comes first, all images last and folded. Everything that images say of themselves stands in code spans, in
//! which neither HTML nor links nor mentions mean anything; the two characters that could end one are written as escapes.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

use layerprint_query::{Level, Row};

use super::Report;
use super::changes::Changes;
use super::rules::words;
use super::summary::{Answer, Group, Summary};
use crate::output::{bytes, count, counted, plain, share};

/// Images that are listed: the summary of a job takes 1 MiB.
const IMAGES_MAX: usize = 1000;
/// Offenders that are listed.
const OFFENDERS_MAX: usize = 200;
/// Families and bases that are listed.
const GROUPS_MAX: usize = 20;

/// Writes the page.
pub fn write(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    let summary = Summary::of(report)?;
    let (images, size) = (counted(summary.images, "image"), bytes(summary.content_bytes));
    writeln!(out, "## What {images} are built on\n\n{images}, {size}, as of {}.", report.as_of.day)?;
    if let Some(lack) = report.lack() {
        writeln!(out, "\n{}", code(&lack))?;
    }
    gate(report, out)?;
    if let Some(changes) = Changes::of(report)? {
        write_changes(&changes, out)?;
    }
    write_remarks(&summary, out)?;
    write_answers(&summary, out)?;
    groups(out, "Family of the base", &summary, &summary.families)?;
    groups(out, "Base", &summary, &summary.bases)?;
    write_images(report, out)
}

fn gate(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    let Some(gate) = &report.gate else { return Ok(()) };
    let mark = if gate.is_met() { "Met" } else { "Not met" };
    writeln!(out, "\n**{mark}**: {}", code(&gate.told()))?;
    if gate.offenders == 0 {
        return Ok(());
    }
    head(out, &["Image", "Rule", "Why"], 0)?;
    let mut listed = 0;
    for row in report.rows() {
        let row = row?;
        let errors = row.remarks.iter().filter(|remark| remark.level == Level::Error);
        for remark in errors {
            line(out, &[code(&row.finding.source), remark.rule.word().into(), code(&remark.message)])?;
            listed += 1;
        }
        if listed >= OFFENDERS_MAX {
            writeln!(out, "\nThe first {listed} reasons are listed; CSV and JSON lines have all.")?;
            break;
        }
    }
    Ok(())
}

fn write_changes(changes: &Changes, out: &mut dyn Write) -> io::Result<()> {
    if changes.kinds.is_empty() {
        return writeln!(out, "\n### Changes\n\nNothing changed.");
    }
    writeln!(out, "\n### Changes")?;
    head(out, &["Change", "Image", "What"], 0)?;
    for (kind, changed) in &changes.kinds {
        for (name, told) in &changed.first {
            line(out, &[kind.word().into(), code(name), code(told)])?;
        }
        if let Some(others) = changed.others() {
            line(out, &[kind.word().into(), others, String::new()])?;
        }
    }
    Ok(())
}

fn write_remarks(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    if summary.remarks.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n### Remarks")?;
    head(out, &["Rule", "What", "Images"], 1)?;
    for (rule, remarked) in &summary.remarks {
        line(out, &[rule.word().into(), words(*rule).short.into(), count(remarked.images)])?;
    }
    Ok(())
}

fn write_answers(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n### Answers")?;
    head(out, &["Answer", "Images", "Share"], 2)?;
    for (answer, images) in &summary.verdicts {
        line(out, &[answer.told().into(), count(*images), share(*images, summary.images)])?;
    }
    let new = share(summary.new_bytes, summary.explained_bytes);
    line(out, &["bytes in no named image".into(), bytes(summary.new_bytes), new])
}

fn groups(
    out: &mut dyn Write,
    title: &str,
    summary: &Summary,
    groups: &BTreeMap<String, Group>,
) -> io::Result<()> {
    if groups.is_empty() {
        return Ok(());
    }
    let mut largest: Vec<(&String, &Group)> = groups.iter().collect();
    largest.sort_by_key(|(name, group)| (Reverse(group.images), *name));
    head(out, &[title, "Images", "Share", "Outdated", "Size"], 4)?;
    for (name, group) in largest.iter().take(GROUPS_MAX) {
        let share = share(group.images, summary.images);
        let figures = [count(group.images), share, count(group.outdated), bytes(group.content_bytes)];
        line(out, &[&[code(name)], &figures[..]].concat())?;
    }
    match largest.len().checked_sub(GROUPS_MAX) {
        Some(others) if others > 0 => writeln!(out, "\nAnd {} more.", count(others as u64)),
        _ => Ok(()),
    }
}

fn write_images(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "\n<details>\n<summary>All images</summary>")?;
    head(out, &["Image", "Answer", "Base", "Newer", "Children", "Remarks"], 0)?;
    for row in report.rows().take(IMAGES_MAX) {
        line(out, &cells(&row?))?;
    }
    if report.images().len() > IMAGES_MAX {
        let others = count((report.images().len() - IMAGES_MAX) as u64);
        writeln!(out, "\n{others} more images are in the CSV and JSON lines of this report.")?;
    }
    Ok(writeln!(out, "\n</details>")?)
}

fn cells(row: &Row) -> [String; 6] {
    let base = row.finding.base.as_ref().map(|base| code(&base.names.join(", ")));
    let rules: Vec<&str> = row.remarks.iter().map(|remark| remark.rule.word()).collect();
    [
        code(&row.finding.source),
        Answer::of(row).told().into(),
        base.unwrap_or_default(),
        row.freshness.as_ref().map(|freshness| count(freshness.newer)).unwrap_or_default(),
        count(row.children),
        rules.join(", "),
    ]
}

/// The head of a table whose last columns are figures.
fn head(out: &mut dyn Write, titles: &[&str], figures: usize) -> io::Result<()> {
    writeln!(out)?;
    line(out, &titles.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let texts = titles.len() - figures;
    let rule = (0..titles.len()).map(|column| if column < texts { "---" } else { "---:" }.to_owned());
    line(out, &rule.collect::<Vec<_>>())
}

fn line(out: &mut dyn Write, cells: &[String]) -> io::Result<()> {
    writeln!(out, "| {} |", cells.join(" | "))
}

/// Text as it is, whatever it is.
fn code(text: &str) -> String {
    let shown = plain(text).replace('`', "\\u{60}").replace('|', "\\u{7c}");
    match shown.trim() {
        "" => "(nothing)".into(),
        shown => format!("`{shown}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn no_name_leaves_its_cell() {
        let cases = [
            ("debian:12", "`debian:12`"),
            ("a`b|c\\|d", "`a\\u{60}b\\u{7c}c\\\\u{7c}d`"),
            ("@everyone <img src=x> [a](http://b)", "`@everyone <img src=x> [a](http://b)`"),
            ("a\n# b", "`a\\n# b`"),
            (" ", "(nothing)"),
        ];
        for (name, expected) in cases {
            assert_eq!(code(name), expected);
        }
    }
}
