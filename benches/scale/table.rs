//! The results as a table, on the terminal and in Markdown.

use std::fmt::Write;
use std::fs;

use super::crowd;
use super::fill::Filled;
use super::measure::{Memory, Times, per_cent};
use super::random::real;

/// One way to answer, at one size of fleet.
#[derive(Default)]
pub struct Row {
    pub name: String,
    pub bytes: Option<u64>,
    pub build_seconds: Option<f64>,
    pub times: Option<Times>,
    pub memory: Option<Memory>,
    /// Why a figure is missing, or what is odd about one.
    pub note: String,
}

/// Everything about one size of fleet.
pub struct Section {
    pub filled: Filled,
    pub rows: Vec<Row>,
    /// Which answers were compared, and how many.
    pub checks: Vec<String>,
}

const HEAD: [&str; 10] = [
    "",
    "bytes",
    "of raw",
    "built in s",
    "questions",
    "median ms",
    "p99 ms",
    "times the first",
    "peak MiB",
    "anonymous MiB",
];

/// Returns the section as Markdown, which reads well enough on a terminal.
pub fn section(section: &Section) -> String {
    let Filled { images, layers, entries, raw_bytes, pairs, seconds } = section.filled;
    let mut text = format!("### {} images\n\n", thousands(images));
    let _ = writeln!(
        text,
        "{} layers, {} entries, {} pairs of image and content; made and stored in {seconds:.0} s. Raw fingerprints: {}.\n",
        thousands(layers),
        thousands(entries),
        thousands(pairs),
        mebibytes(raw_bytes)
    );
    let first = section.rows.first().and_then(|row| row.times.as_ref());
    let rows: Vec<_> = section.rows.iter().map(|row| cells(row, raw_bytes, first)).collect();
    text += &table(&HEAD.map(str::to_owned), &rows);
    for row in section.rows.iter().filter(|row| !row.note.is_empty()) {
        let _ = writeln!(text, "- {}: {}", row.name, row.note);
    }
    section.checks.iter().for_each(|check| _ = writeln!(text, "- {check}"));
    text
}

/// `first` is what the row is held against, question by question.
fn cells(row: &Row, raw_bytes: u64, first: Option<&Times>) -> [String; 10] {
    let times = row.times.as_ref();
    let number = |number: Option<f64>| number.map(significant).unwrap_or_default();
    [
        row.name.clone(),
        row.bytes.map(mebibytes).unwrap_or_default(),
        row.bytes.map(|bytes| format!("{:.3}", real(bytes) / real(raw_bytes.max(1)))).unwrap_or_default(),
        number(row.build_seconds),
        times.map(|times| times.questions().to_string()).unwrap_or_default(),
        number(times.map(Times::median_ms)),
        number(times.map(Times::p99_ms)),
        number(times.zip(first).map(|(times, first)| times.beside(first))),
        row.memory.map(|memory| (memory.peak_bytes >> 20).to_string()).unwrap_or_default(),
        row.memory.map(|memory| (memory.anonymous_peak_bytes >> 20).to_string()).unwrap_or_default(),
    ]
}

/// Returns what became of the writer and its readers.
pub fn crowd(measured: &crowd::Measured) -> String {
    let head = ["writer", "wall s", "CPU s", "wall / alone", "wall s of each round"].map(str::to_owned);
    let alone = median(&measured.alone, |report| report.seconds);
    let row = |name: &str, reports: &[crowd::Report]| {
        let seconds = median(reports, |report| report.seconds);
        let cpu_seconds = median(reports, |report| report.cpu_seconds);
        let all: Vec<String> = reports.iter().map(|report| significant(report.seconds)).collect();
        let ratio = significant(seconds / alone);
        [name.to_owned(), significant(seconds), significant(cpu_seconds), ratio, all.join(", ")]
    };
    let rows = [
        row("alone", &measured.alone),
        row(&format!("beside {} that burn CPU", crowd::BESIDE), &measured.beside_burners),
        row(&format!("beside {} that ask", crowd::BESIDE), &measured.beside_readers),
    ];
    let sum = |field: fn(&crowd::Report) -> u64| measured.readers.iter().map(field).sum::<u64>();
    let mut text = format!("### {} images put in groups while others ask\n\n", thousands(measured.images));
    text += &table(&head, &rows);
    let _ = writeln!(
        text,
        "- medians of {} rounds; readers: {} openings, {} questions, {} states seen, {} errors, {} torn answers",
        crowd::ROUNDS,
        thousands(sum(|reader| reader.openings)),
        thousands(sum(|reader| reader.questions)),
        thousands(sum(|reader| reader.states)),
        sum(|reader| reader.errors),
        sum(|reader| reader.torn)
    );
    for problem in measured.readers.iter().filter_map(|reader| reader.problem.as_ref()) {
        let _ = writeln!(text, "- a reader's first problem: {problem}");
    }
    text
}

fn median(reports: &[crowd::Report], field: fn(&crowd::Report) -> f64) -> f64 {
    per_cent(&reports.iter().map(field).collect::<Vec<_>>(), 50)
}

/// Returns what was measured on, and how to do it again.
pub fn machine(arguments: &str) -> String {
    let field = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let (model, memory) = (field("/proc/cpuinfo", "model name"), field("/proc/meminfo", "MemTotal"));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "Machine: {cores} cores of {model}, {memory} memory, load at the start {load}. Command: `cargo bench --bench scale -- {arguments}`\n"
    )
}

fn table<const N: usize>(head: &[String; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        rows.iter().chain([head]).map(|row| row[column].chars().count()).max().unwrap_or(0).max(2)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cell = |(column, cell): (usize, &String)| match column {
            0 => format!(" {cell:<width$} |", width = widths[column]),
            _ => format!(" {cell:>width$} |", width = widths[column]),
        };
        format!("|{}\n", row.iter().enumerate().map(cell).collect::<String>())
    };
    let rule: String = (0..N)
        .map(|column| format!("{}{}|", "-".repeat(widths[column] + 1), if column == 0 { "-" } else { ":" }))
        .collect();
    let rows: String = rows.iter().map(line).collect();
    format!("{}|{rule}\n{rows}\n", line(head))
}

/// Three digits that mean something.
fn significant(number: f64) -> String {
    let decimals = match number {
        number if number >= 100.0 => 0,
        number if number >= 10.0 => 1,
        number if number >= 1.0 => 2,
        _ => 3,
    };
    format!("{number:.decimals$}")
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", significant(real(bytes) / real(1 << 20)))
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}
