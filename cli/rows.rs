//! Rows of an answer, as a text table, as lines of JSON or as CSV: three views of one list of columns.
//!
//! A [`Column`] names one fact of a row and says how to get it. Where its name has a point, JSON nests it (`contents.total`),
//! and CSV keeps the name. Lists are one cell in CSV, joined by `; `. Cells that a spreadsheet would take for a formula begin
//! with an apostrophe (`cells`); JSON keeps every value.

use std::io::{self, Write};

use serde_json::{Map, Value};

use crate::args::{Global, Tabular};
use crate::cells::{harmless, io_error};
use crate::output::{align_right, plain, print_json, print_table, table};

/// What stands between the members of a list that is one cell.
const LIST_SEPARATOR: &str = "; ";

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// An object a line.
    Json,
    /// With a header.
    Csv,
}

impl Form {
    /// Returns the form that was asked for.
    pub fn of(global: &Global, tabular: Tabular) -> Self {
        match (global.json, tabular.csv) {
            (true, _) => Self::Json,
            (false, true) => Self::Csv,
            (false, false) => Self::Text,
        }
    }
}

/// One fact of every row.
pub struct Column<T> {
    name: &'static str,
    value: fn(&T) -> Value,
    cell: Option<fn(&T) -> String>,
    text: Option<Text<T>>,
    in_data: bool,
}

/// A fact as people are told.
struct Text<T> {
    title: &'static str,
    show: fn(&T) -> String,
    is_figure: bool,
}

impl<T> Column<T> {
    /// A fact by its name, in JSON and CSV.
    pub fn new(name: &'static str, value: fn(&T) -> Value) -> Self {
        Self { name, value, cell: None, text: None, in_data: true }
    }

    /// What only people are told.
    pub fn only_text(title: &'static str, show: fn(&T) -> String) -> Self {
        Self { in_data: false, ..Self::new("", |_| Value::Null) }.text(title, show)
    }

    /// Shows it in the text table, too.
    pub fn text(self, title: &'static str, show: fn(&T) -> String) -> Self {
        Self { text: Some(Text { title, show, is_figure: false }), ..self }
    }

    /// Aligns it in the text table to the right, as a figure.
    pub fn right(self) -> Self {
        Self { text: self.text.map(|text| Text { is_figure: true, ..text }), ..self }
    }

    /// Writes it otherwise in CSV, which has no lists of objects.
    pub fn cell(self, cell: fn(&T) -> String) -> Self {
        Self { cell: Some(cell), ..self }
    }
}

/// Prints all rows.
pub fn print<T>(form: Form, columns: &[Column<T>], rows: &[T]) -> anyhow::Result<()> {
    match form {
        Form::Text => Ok(print_text(columns, rows)?),
        Form::Json => rows.iter().try_for_each(|row| print_json(&object(columns, row))),
        Form::Csv => Ok(write_csv(io::stdout().lock(), columns, rows)?),
    }
}

fn print_text<T>(columns: &[Column<T>], rows: &[T]) -> io::Result<()> {
    let shown: Vec<&Text<T>> = columns.iter().filter_map(|column| column.text.as_ref()).collect();
    let titles: Vec<&str> = shown.iter().map(|text| text.title).collect();
    let mut lines = table(&titles);
    for row in rows {
        lines.add_row(shown.iter().map(|text| plain(&(text.show)(row)).into_owned()));
    }
    let figures: Vec<usize> = (0..shown.len()).filter(|index| shown[*index].is_figure).collect();
    align_right(&mut lines, &figures);
    print_table(&lines)
}

/// Returns a row as JSON.
pub fn object<T>(columns: &[Column<T>], row: &T) -> Value {
    let mut object = Map::new();
    for column in columns.iter().filter(|column| column.in_data) {
        let mut inner = &mut object;
        let mut parts: Vec<&str> = column.name.split('.').collect();
        let last = parts.pop().expect("a split has a part");
        for part in parts {
            let nested = inner.entry(part).or_insert_with(|| Value::Object(Map::new()));
            inner = nested.as_object_mut().expect("no column has the name of an outer part");
        }
        inner.insert(last.to_owned(), (column.value)(row));
    }
    Value::Object(object)
}

/// Writes rows as CSV (RFC 4180), with a header.
pub fn write_csv<T>(out: impl Write, columns: &[Column<T>], rows: &[T]) -> io::Result<()> {
    let columns: Vec<&Column<T>> = columns.iter().filter(|column| column.in_data).collect();
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(columns.iter().map(|column| column.name)).map_err(io_error)?;
    for row in rows {
        let cells = columns.iter().map(|column| match column.cell {
            Some(cell) => harmless(&cell(row)),
            None => harmless(&plain_cell(&(column.value)(row))),
        });
        writer.write_record(cells).map_err(io_error)?;
    }
    writer.flush()
}

fn plain_cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(member).collect::<Vec<_>>().join(LIST_SEPARATOR),
        other => other.to_string(),
    }
}

/// A member of a list; one that is itself a list is a tie of names.
fn member(value: &Value) -> String {
    match value {
        Value::Array(tie) => tie.iter().map(plain_cell).collect::<Vec<_>>().join(" = "),
        other => plain_cell(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Row {
        name: &'static str,
        tie: Vec<Vec<&'static str>>,
        total: Option<u64>,
    }

    type Fact = Column<Row>;

    fn columns() -> Vec<Fact> {
        vec![
            Fact::new("name", |row| json!(row.name)),
            Fact::new("tie", |row| json!(row.tie)),
            Fact::new("files.total", |row| json!(row.total)),
            Fact::new("files.list", |row| json!([{"of": row.name}])).cell(|row| row.name.to_owned()),
            Fact::only_text("SHOWN", |row| row.name.to_owned()),
        ]
    }

    fn row(name: &'static str) -> Row {
        Row { name, tie: vec![vec!["a", "b"], vec!["c"]], total: Some(3) }
    }

    fn csv_of(rows: &[Row]) -> String {
        let mut written = Vec::new();
        write_csv(&mut written, &columns(), rows).unwrap();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn a_name_with_a_point_is_nested_in_json_and_a_column_in_csv() {
        let nested = json!({
            "name": "x", "tie": [["a", "b"], ["c"]], "files": {"total": 3, "list": [{"of": "x"}]},
        });
        assert_eq!(object(&columns(), &row("x")), nested);
        let nothing = Row { total: None, tie: Vec::new(), ..row("y") };
        let expected = "name,tie,files.total,files.list\nx,a = b; c,3,x\ny,,,y\n";
        assert_eq!(csv_of(&[row("x"), nothing]), expected);
        assert_eq!(csv_of(&[]), "name,tie,files.total,files.list\n");
    }

    #[test]
    fn no_cell_is_a_formula_and_a_parser_reads_what_was_written() {
        let hostile = ["=1+1", "+a", "-a", "@SUM(A1)", "\tx", "\r=x", "a\"b,c\nd", "-1", "plain", "'="];
        let rows: Vec<Row> = hostile.iter().map(|name| row(name)).collect();
        let written = csv_of(&rows);
        let mut reader = csv::Reader::from_reader(written.as_bytes());
        let read: Vec<String> = reader.records().map(|record| record.unwrap()[0].to_owned()).collect();
        let expected =
            ["'=1+1", "'+a", "'-a", "'@SUM(A1)", "\\tx", "\\r=x", "a\"b,c\\nd", "'-1", "plain", "'="];
        assert_eq!(read, expected);
    }
}
