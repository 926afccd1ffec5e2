//! The forms that a report can take.

use std::io::Write;
use std::path::Path;

use clap::ValueEnum;

use super::{Report, csv, cyclonedx, html, markdown, sarif, text};
use crate::escape::write_json;

/// What files end with, for people.
pub const ENDINGS: &str = ".txt, .jsonl, .csv, .md, .sarif, .cdx.json, .html";

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A summary for people
    Text,
    /// One object a line for each image
    Jsonl,
    /// One line for each image
    Csv,
    /// A summary for the page of a job or a review
    Markdown,
    /// Remarks as SARIF 2.1.0, for code hosts
    Sarif,
    /// Images and what they descend from as CycloneDX 1.6
    Cyclonedx,
    /// A page to look at, in one file
    Html,
}

impl Format {
    /// Returns the format that the name of a file means.
    pub fn of_path(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let endings = [
            (".txt", Self::Text),
            (".jsonl", Self::Jsonl),
            (".ndjson", Self::Jsonl),
            (".csv", Self::Csv),
            (".md", Self::Markdown),
            (".sarif", Self::Sarif),
            (".sarif.json", Self::Sarif),
            (".cdx.json", Self::Cyclonedx),
            (".html", Self::Html),
        ];
        endings.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| *format)
    }

    /// Writes a report to a file or pipe: without colours.
    pub fn write(self, report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
        match self {
            Self::Text => plain_text(report, out),
            Self::Jsonl => jsonl(report, out),
            Self::Csv => csv::write(report, out),
            Self::Markdown => markdown::write(report, out),
            Self::Sarif => sarif::write(report, out),
            Self::Cyclonedx => cyclonedx::write(report, out),
            Self::Html => html::write(report, out),
        }
    }
}

fn plain_text(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut page = anstream::StripStream::new(Vec::new());
    text::write(report, &mut page)?;
    Ok(out.write_all(&page.into_inner())?)
}

fn jsonl(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    for row in report.rows() {
        write_json(&mut *out, &row?)?;
        writeln!(out)?;
    }
    for gone in report.gone.iter().flatten() {
        write_json(&mut *out, gone)?;
        writeln!(out)?;
    }
    Ok(())
}
