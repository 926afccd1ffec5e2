//! Cells of CSV that spreadsheets show and do not run.

use std::io;

use crate::output::plain;

/// How formulas begin, for those, too, who write the wide forms.
const FORMULAS: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Returns a cell that no spreadsheet takes for a formula and no terminal for a command: one that begins as a formula does gets
/// an apostrophe in front (<https://owasp.org/www-community/attacks/CSV_Injection>), after spaces, too, which some spreadsheets cut.
/// What no one would see or moves a cursor is escaped. No reference has any of these; paths and hostile names may.
pub fn harmless(cell: &str) -> String {
    let shown = plain(cell);
    if shown.trim_start_matches(' ').starts_with(FORMULAS) { format!("'{shown}") } else { shown.into_owned() }
}

/// Returns what went wrong below CSV: nothing else can, where all records have as many cells as the header.
pub fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn formulas_become_text() {
        let cells = ["=1+1", "@SUM(A1)", "+1", "-1", "\t=1", "\n=1", "\u{ff1d}1", "debian:12", "", "'=1"];
        let shown =
            ["'=1+1", "'@SUM(A1)", "'+1", "'-1", "\\t=1", "\\n=1", "'\u{ff1d}1", "debian:12", "", "'=1"];
        assert_eq!(cells.map(harmless), shown);
        let cells = [" =1", "  -1", "\u{feff}=1", "\u{a0}+1", " \u{200b}@a", " debian", " "];
        let shown = ["' =1", "'  -1", "\\u{feff}=1", "\\u{a0}+1", " \\u{200b}@a", " debian", " "];
        assert_eq!(cells.map(harmless), shown);
    }

    #[test]
    fn no_cell_moves_the_cursor() {
        assert_eq!(harmless("a\u{1b}]0;b\u{7}"), "a\\u{1b}]0;b\\u{7}");
    }
}
