//! Cells of CSV that spreadsheets show and do not run.

use std::io;

/// Returns a cell that no spreadsheet takes for a formula: one that begins as a formula does gets an apostrophe in front
/// (<https://owasp.org/www-community/attacks/CSV_Injection>). No reference begins so; paths and hostile names may.
pub fn harmless(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
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
        let cells = ["=1+1", "@SUM(A1)", "+1", "-1", "\t=1", "debian:12", "", "'=1"].map(str::to_owned);
        let shown = ["'=1+1", "'@SUM(A1)", "'+1", "'-1", "'\t=1", "debian:12", "", "'=1"].map(str::to_owned);
        assert_eq!(cells.map(harmless), shown);
    }
}
