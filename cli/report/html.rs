//! A report as one HTML file, to look at.
//!
//! Self-contained: styles, script and figures stand in it, and its content security policy lets nothing else in, be it from the
//! network or from the name of an image. Charts are drawn here and show without a script; the tree, the table and what is
//! known of each image are drawn by the script from `data`. Rows are read twice and never held: once for the figures, once
//! to be written.

mod changes;
mod charts;
mod data;
mod first;
mod gate;
mod storage;
mod view;

use std::io::Write;

use askama::Template;
use data_encoding::BASE64;
use sha2::{Digest, Sha256};

use super::Report;
use super::ages::Ages;
use super::overview::Overview;
use view::{Head, Tail};

const STYLE: &str = include_str!("html/page.css");
/// Runs before anything is drawn, so that a page in the dark does not flash.
const EARLY: &str = include_str!("html/early.js");
/// The parts in the order in which they need each other.
const SCRIPT: &str = concat!(
    "\"use strict\";\n(() => {\n",
    include_str!("html/format.js"),
    include_str!("html/model.js"),
    include_str!("html/address.js"),
    include_str!("html/panel.js"),
    include_str!("html/table.js"),
    include_str!("html/tree.js"),
    include_str!("html/page.js"),
    "})();\n"
);

/// Writes the page.
pub fn write(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut overview = Overview::default();
    for row in report.rows() {
        overview.add(&row?);
    }
    let ages = Ages::of(&overview, report.as_of.day);
    Head::of(report, &overview, &ages).write_into(out)?;
    data::write(out, &overview, report.rows())?;
    Ok(Tail { script: SCRIPT }.write_into(out)?)
}

/// Only what is written here is run or applied, and nothing is fetched.
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", BASE64.encode(&Sha256::digest(text)));
    format!(
        "default-src 'none'; script-src {} {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        hash(EARLY),
        hash(SCRIPT),
        hash(STYLE)
    )
}
