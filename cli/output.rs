//! Text for people: names of hostile images shown harmlessly, sizes and shares shown short.

use std::borrow::Cow;
use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{HumanBytes, HumanCount};
pub use layerprint_query::percent;
use serde::Serialize;

pub use crate::escape::plain;
use crate::escape::write_json;

/// Returns a path as text for people; bytes that are not UTF-8 are escaped.
pub fn path(bytes: &[u8]) -> String {
    plain(&path_value(bytes)).into_owned()
}

/// Returns a path as data: as it is if it is UTF-8, else its bytes escaped.
pub fn path_value(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes.escape_ascii().to_string().into(),
    }
}

/// Returns names as one text; all of them, for a tie is an answer only if it is whole.
pub fn names(names: &[String]) -> String {
    match names {
        [] => "(no name)".into(),
        names => names.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", "),
    }
}

/// Returns the names of a tie as one text that stands in a sentence: any of them may be meant.
pub fn either(names: &[String]) -> String {
    plain(&layerprint_query::either(names)).into_owned()
}

/// Returns a size for people: `61.2 MiB`.
pub fn bytes(count: u64) -> String {
    HumanBytes(count).to_string()
}

/// Returns a count for people: `12,345`.
pub fn count(count: u64) -> String {
    HumanCount(count).to_string()
}

/// Returns a count with what is counted: `1 layer`, `2 layers`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// Returns a part of a whole for people: `98.7 %`. Nothing of nothing is nothing.
#[expect(clippy::cast_precision_loss, reason = "a share is for reading; counts are far below 2^52")]
pub fn share(part: u64, whole: u64) -> String {
    percent(if whole == 0 { 0.0 } else { part as f64 / whole as f64 })
}

/// Returns the start of an ID, as Docker shows it.
pub fn short(id: impl std::fmt::Display) -> String {
    let id = id.to_string();
    id.split_once(':').map_or(id.as_str(), |(_, hex)| hex).chars().take(12).collect()
}

/// Returns the day of an RFC 3339 time; `-` where there is none.
pub fn day(time: Option<&str>) -> String {
    let day: String = time.unwrap_or("-").chars().take("2026-01-31".len()).collect();
    plain(&day).into_owned()
}

/// Starts a table without lines, so that its columns can be cut and sorted.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// Aligns columns of figures.
pub fn align_right(table: &mut Table, columns: &[usize]) {
    for index in columns {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Prints a table without spaces at the ends of its lines.
pub fn print_table(table: &Table) -> io::Result<()> {
    let mut out = io::stdout().lock();
    table.lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}

/// Prints one line of JSON.
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    write_json(&mut out, value)?;
    Ok(writeln!(out)?)
}

/// Prints one line of JSON, whole, and hands it on at once: others may wait for it.
pub fn print_json_now(value: &impl Serialize) -> anyhow::Result<()> {
    let mut line = Vec::new();
    write_json(&mut line, value)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_harmlessly_and_told_as_they_are() {
        assert_eq!((path(b"a\nb"), path_value(b"a\nb")), ("a\\nb".into(), "a\nb".into()));
        assert_eq!(path(b"caf\xe9"), "caf\\xe9");
        assert_eq!(path("café".as_bytes()), "café");
    }

    #[test]
    fn parts_of_counts_are_shares() {
        assert_eq!(
            [(1, 3), (0, 0), (1, 5_000), (7, 7)].map(|(part, whole)| share(part, whole)),
            ["33.3 %", "0.0 %", "<0.1 %", "100.0 %"]
        );
    }
}
