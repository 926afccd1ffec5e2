//! The tables, as text for people and as Markdown for the repository: two views of the same cells.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::{CellAlignment, Table, TableStyle, presets};

use crate::judge::{Mark, ratio};
use crate::methods::METHODS;

/// How all methods did on one image.
pub struct Outcome {
    /// The corpus's own images come before those that were made of them.
    pub is_made: bool,
    pub label: String,
    /// False where no stored image is the base.
    pub has_base: bool,
    /// Whether siblings of the true base are stored.
    pub has_relatives: bool,
    /// Whether another stored image has left just what the true base has.
    pub is_ambiguous: bool,
    /// In the order of the methods.
    pub marks: Vec<Mark>,
}

/// Bounds of the bins of stated confidence.
const BINS: [f64; 8] = [0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99];

/// What is asked of layerprint: a class of rows, and the least that is good enough.
const CLASSES: [(&str, &[&str], &str); 8] = [
    (
        "base layers untouched",
        &[
            "derived",
            "squash-above",
            "chmod-all",
            "chown-app",
            "slim-whiteout",
            "layers kept, edited",
            "layers kept, dropped",
            "layers kept, two bases",
        ],
        "top-1 1.000",
    ),
    (
        "squashed, flattened, rebuilt, etc edited, added to",
        &[
            "squash-all",
            "flatten",
            "rebuilt",
            "cfg-edited-squash",
            "squashed",
            "flattened",
            "etc edited",
            "large application",
            "vendored files",
            "odd names, links lost",
        ],
        "top-1 0.99",
    ),
    ("moved below a folder", &["reroot", "moved below a folder"], ""),
    (
        "documents dropped or compressed anew",
        &["slim-squash", "docs-recompressed", "drop docs, tests", "docs recompressed"],
        "top-1 0.93, family 0.99",
    ),
    ("upgraded in place", &["apt-upgraded", "upgraded in part", "upgraded whole"], "top-1 0.85, family 0.99"),
    ("up to half dropped", &["drop30", "drop 5-25 %", "drop 25-50 %", "drop packages"], "top-1 0.90 at 30 %"),
    ("most dropped", &["drop60", "drop 50-80 %", "distroless"], "named 0.90, family 0.80"),
    ("several edits, binaries stripped", &["combined", "binaries stripped"], ""),
];

/// A table with its title.
pub struct Page {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Makes all tables.
pub fn pages(outcomes: &[Outcome]) -> Vec<Page> {
    let mut pages =
        vec![by_class(outcomes), by_transform(outcomes), methods_by_transform(outcomes), methods(outcomes)];
    pages.extend(reliability(outcomes));
    pages
}

impl Page {
    pub fn text(&self) -> String {
        format!("{}\n\n{}\n", self.title, self.table(presets::NOTHING))
    }

    pub fn markdown(&self) -> String {
        let mut text = format!("### {}\n\n", self.title);
        writeln!(text, "{}", self.table(presets::ASCII_MARKDOWN)).expect("writing to a string cannot fail");
        text
    }

    fn table(&self, style: TableStyle) -> Table {
        let mut table = Table::new();
        table.load_style(style).set_header(&self.head).add_rows(&self.rows);
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        table
    }
}

/// The outcomes of each row, in order: the corpus's own, then those made; with a base, then without.
fn groups(outcomes: &[Outcome]) -> Vec<(String, Vec<&Outcome>)> {
    let mut groups: BTreeMap<(bool, bool, &str), Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        groups.entry((outcome.is_made, !outcome.has_base, &outcome.label)).or_default().push(outcome);
    }
    let mut rows: Vec<(String, Vec<&Outcome>)> = Vec::new();
    for ((is_made, _, label), group) in groups {
        rows.push((format!("{}{label}", if is_made { "+ " } else { "" }), group));
    }
    for (title, is_made, has_base) in [
        ("corpus, with a base", false, true),
        ("corpus, without", false, false),
        ("made, with a base", true, true),
        ("made, without", true, false),
    ] {
        let of = |outcome: &&Outcome| outcome.is_made == is_made && outcome.has_base == has_base;
        let group: Vec<&Outcome> = outcomes.iter().filter(of).collect();
        if !group.is_empty() {
            rows.push((format!("= {title}"), group));
        }
    }
    rows
}

fn by_class(outcomes: &[Outcome]) -> Page {
    let row = |title: &str, target: &str, group: &[&Outcome]| {
        let marks: Vec<&Mark> = group.iter().map(|outcome| &outcome.marks[0]).collect();
        let ambiguous = group.iter().filter(|outcome| outcome.is_ambiguous).count();
        let mut row = vec![title.to_owned(), group.len().to_string()];
        let figures = figures(&marks);
        row.extend([0, 1, 3, 6].map(|place| figures[place].clone()));
        row.insert(3, interval(count(&marks, |mark| mark.top1), marks.len()));
        row.extend([ambiguous.to_string(), cover(&marks), lineage(&marks)[0].clone()]);
        row.push(count(&marks, |mark| mark.false_claim).to_string());
        row.push(target.to_owned());
        row
    };
    let mut rows = Vec::new();
    for (title, labels, target) in CLASSES {
        let of = |outcome: &&Outcome| outcome.has_base && labels.contains(&outcome.label.as_str());
        let group: Vec<&Outcome> = outcomes.iter().filter(of).collect();
        rows.push(row(title, target, &group));
    }
    let all: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.has_base).collect();
    rows.push(row("= all with a base", "cover 0.95, lineage 0.95", &all));
    let without: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.has_base).collect();
    let mut last = row("= all without a base", "no false claim", &without);
    last[2..10].iter_mut().for_each(String::clear);
    rows.push(last);
    let head =
        "images|n|top-1|95 % interval|or same|named|family|ambiguous|cover|lineage|false claims|at least";
    Page {
        title: "layerprint, by class, and what is asked of it".into(),
        head: head.split('|').map(str::to_owned).collect(),
        rows,
    }
}

/// Wilson's interval: where the true share is, were the images drawn from a large number.
fn interval(hits: usize, all: usize) -> String {
    const Z: f64 = 1.96;
    if all == 0 {
        return String::new();
    }
    let (share, all) = (ratio(hits, all), ratio(all, 1));
    let middle = (share + Z * Z / (2.0 * all)) / (1.0 + Z * Z / all);
    let half = Z / (1.0 + Z * Z / all) * (share * (1.0 - share) / all + Z * Z / (4.0 * all * all)).sqrt();
    format!("{:.3} to {:.3}", (middle - half).max(0.0), (middle + half).min(1.0))
}

fn by_transform(outcomes: &[Outcome]) -> Page {
    let head = "images|n|top-1|or same|by chance|named|tie|MRR|family|ambiguous|cover|lineage|extra|\
                false claims|of siblings|days off";
    let row = |(title, group): (String, Vec<&Outcome>)| {
        let marks: Vec<&Mark> = group.iter().map(|outcome| &outcome.marks[0]).collect();
        let ambiguous = group.iter().filter(|outcome| outcome.is_ambiguous).count();
        let has_base = group.iter().any(|outcome| outcome.has_base);
        let mut row = vec![title, group.len().to_string()];
        if has_base {
            row.extend(figures(&marks));
            row.push(ambiguous.to_string());
        } else {
            let relatives = group.iter().filter(|outcome| outcome.has_relatives).count();
            let family = ratio(count(&marks, |mark| mark.family), relatives);
            row.extend((0..6).map(|_| String::new()));
            row.push(if relatives == group.len() { share(family) } else { String::new() });
            row.push(String::new());
        }
        row.push(cover(&marks));
        row.extend(lineage(&marks));
        row.push(count(&marks, |mark| mark.false_claim).to_string());
        row.push(count(&marks, |mark| mark.sibling_claim).to_string());
        let days: Vec<f64> = marks.iter().filter_map(|mark| mark.days).collect();
        row.push(if has_base && !days.is_empty() { format!("{:.0}", mean(&days)) } else { String::new() });
        row
    };
    Page {
        title: "layerprint, by what was done to the images".into(),
        head: head.split('|').map(str::to_owned).collect(),
        rows: groups(outcomes).into_iter().map(row).collect(),
    }
}

fn methods_by_transform(outcomes: &[Outcome]) -> Page {
    let row = |(title, group): (String, Vec<&Outcome>)| {
        let has_base = group.iter().any(|outcome| outcome.has_base);
        let marks =
            |method: usize| -> Vec<&Mark> { group.iter().map(|outcome| &outcome.marks[method]).collect() };
        let mut row = vec![title, group.len().to_string()];
        row.push(if has_base { share(average(&marks(0), |mark| mark.expected)) } else { String::new() });
        row.extend((0..METHODS.len()).map(|method| match has_base {
            true => share(average(&marks(method), |mark| mark.named_expected)),
            false => format!("{} false", count(&marks(method), |mark| mark.false_claim)),
        }));
        row
    };
    let head = ["images", "n", "claimed by layerprint"].into_iter().chain(METHODS);
    Page {
        title: "First by method, whatever the verdict (ties by chance); without a base: false claims".into(),
        head: head.map(str::to_owned).collect(),
        rows: groups(outcomes).into_iter().map(row).collect(),
    }
}

fn methods(outcomes: &[Outcome]) -> Page {
    let head = "method|n|top-1|or same|by chance|named|tie|MRR|family|cover|wrong base claimed|n without|false claims|planted";
    let mut rows = Vec::new();
    for (index, method) in METHODS.into_iter().enumerate() {
        let of = |has_base: bool| -> Vec<&Mark> {
            let chosen = outcomes.iter().filter(|outcome| outcome.has_base == has_base);
            chosen.map(|outcome| &outcome.marks[index]).collect()
        };
        let (with, without) = (of(true), of(false));
        let mut row = vec![method.to_owned(), with.len().to_string()];
        row.extend(figures(&with));
        row.push(cover(&with));
        row.push(count(&with, |mark| mark.false_claim).to_string());
        row.push(without.len().to_string());
        row.push(count(&without, |mark| mark.false_claim).to_string());
        row.push((count(&with, |mark| mark.planted) + count(&without, |mark| mark.planted)).to_string());
        rows.push(row);
    }
    Page { title: "All methods".into(), head: head.split('|').map(str::to_owned).collect(), rows }
}

/// Stated confidence beside how often the truth was named; none if nothing states it.
fn reliability(outcomes: &[Outcome]) -> Option<Page> {
    let marks: Vec<&Mark> = outcomes.iter().map(|outcome| &outcome.marks[0]).collect();
    let stated: Vec<(f64, bool)> =
        marks.iter().filter_map(|mark| Some((mark.confidence?, mark.named))).collect();
    if stated.is_empty() {
        return None;
    }
    let mut rows = Vec::new();
    for (place, low) in BINS.into_iter().enumerate() {
        let high = BINS.get(place + 1).copied().unwrap_or(f64::INFINITY);
        let bin: Vec<&(f64, bool)> =
            stated.iter().filter(|(stated, _)| (low..high).contains(stated)).collect();
        let confidences: Vec<f64> = bin.iter().map(|(stated, _)| *stated).collect();
        let right = bin.iter().filter(|(_, right)| *right).count();
        let bounds = format!("{low:.2} to {:.2}", high.min(1.0));
        rows.push(vec![
            bounds,
            bin.len().to_string(),
            share(mean(&confidences)),
            share(ratio(right, bin.len())),
        ]);
    }
    let squares: Vec<f64> =
        stated.iter().map(|(stated, right)| (stated - f64::from(u8::from(*right))).powi(2)).collect();
    let title = format!("Confidence: stated and observed (Brier score {:.4})", mean(&squares));
    let head = ["stated", "n", "mean stated", "truth named"].map(str::to_owned).to_vec();
    Some(Page { title, head, rows })
}

/// top-1, or same, by chance, named, tie, MRR, family.
fn figures(marks: &[&Mark]) -> Vec<String> {
    let of = |test: fn(&Mark) -> bool| share(ratio(count(marks, test), marks.len()));
    let ties: Vec<f64> = marks.iter().filter(|mark| mark.tie > 0).map(|mark| ratio(mark.tie, 1)).collect();
    vec![
        of(|mark| mark.top1),
        of(|mark| mark.top1_or_same),
        share(average(marks, |mark| mark.expected)),
        of(|mark| mark.named),
        format!("{:.2}", mean(&ties)),
        share(average(marks, |mark| mark.reciprocal)),
        of(|mark| mark.family),
    ]
}

/// How often all is named that the image is made of, and with how many names in the mean.
fn cover(marks: &[&Mark]) -> String {
    let asked: Vec<(bool, usize)> = marks.iter().filter_map(|mark| mark.cover).collect();
    let all = asked.iter().filter(|(all, _)| *all).count();
    let names: usize = asked.iter().map(|(_, names)| names).sum();
    let mean = ratio(names, asked.len());
    if asked.is_empty() { String::new() } else { format!("{all}/{} by {mean:.1}", asked.len()) }
}

fn lineage(marks: &[&Mark]) -> [String; 2] {
    let edges: Vec<(usize, usize, usize)> = marks.iter().filter_map(|mark| mark.edges).collect();
    let (found, all) = edges.iter().fold((0, 0), |(found, all), edge| (found + edge.0, all + edge.1));
    let extra: usize = edges.iter().map(|edge| edge.2).sum();
    if edges.is_empty() {
        return [String::new(), String::new()];
    }
    [if all > 0 { format!("{found}/{all}") } else { String::new() }, extra.to_string()]
}

fn count(marks: &[&Mark], test: impl Fn(&Mark) -> bool) -> usize {
    marks.iter().filter(|mark| test(mark)).count()
}

fn average(marks: &[&Mark], value: impl Fn(&Mark) -> f64) -> f64 {
    mean(&marks.iter().map(|mark| value(mark)).collect::<Vec<f64>>())
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / ratio(values.len(), 1) }
}

fn share(value: f64) -> String {
    format!("{value:.3}")
}
