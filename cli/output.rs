//! Text for people: names of hostile images shown harmlessly, sizes and shares shown short.

use std::borrow::Cow;
use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{HumanBytes, HumanCount};
pub use layerprint_query::percent;
use serde::Serialize;

/// Returns text in which nothing can move the cursor or colour the terminal.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return text.into();
    }
    let escape = |c: char| if is_harmful(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect::<String>().into()
}

/// Control characters, those that change the direction of what is beside them (CVE-2021-42574), and those that end a line.
fn is_harmful(c: char) -> bool {
    let is_directed =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_directed || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Returns a path as text; bytes that are not UTF-8 are escaped.
pub fn path(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => plain(text).into_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
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
    serde_json::to_writer(&mut out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

/// Prints one line of JSON, whole, and hands it on at once: others may wait for it.
pub fn print_json_now(value: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_move_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb\\nc\\u{202e}d");
        assert_eq!(plain("a\u{200f}b\u{2028}c\u{61c}d"), "a\\u{200f}b\\u{2028}c\\u{61c}d");
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
