//! Cells of CSV that spreadsheets show and do not run.

use std::borrow::Cow;
use std::io;

use crate::output::plain;

/// How formulas begin, for those, too, who write the wide forms.
const FORMULAS: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Returns a cell that no spreadsheet takes for a formula and no terminal for a command: one that begins as a formula does gets
/// an apostrophe in front (<https://owasp.org/www-community/attacks/CSV_Injection>), after spaces, too, which some spreadsheets cut.
/// So does each part after a semicolon: where people write a comma in numbers, spreadsheets cut lines there. What cannot be seen or
/// moves a cursor is escaped. No reference has any of these; paths and hostile names may.
pub fn harmless(cell: &str) -> String {
    plain(cell).split(';').map(no_formula).collect::<Vec<_>>().join(";")
}

fn no_formula(text: &str) -> Cow<'_, str> {
    match text.trim_start_matches(' ').starts_with(FORMULAS) {
        true => format!("'{text}").into(),
        false => text.into(),
    }
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
    fn no_part_of_a_cell_becomes_a_formula_where_lines_are_cut_at_semicolons() {
        let cells = ["a;=1", "a; @b;c", "debian:12; debian:bookworm", ";", "=1;-2"];
        let shown = ["a;'=1", "a;' @b;c", "debian:12; debian:bookworm", ";", "'=1;'-2"];
        assert_eq!(cells.map(harmless), shown);
    }

    #[test]
    fn no_cell_moves_the_cursor() {
        assert_eq!(harmless("a\u{1b}]0;b\u{7}"), "a\\u{1b}]0;b\\u{7}");
    }
}
