//! The rows as the page's script reads them: names that repeat are told once, what the page does not show is left out.
//!
//! Text in it was made harmless for people by `plain`, and nothing in it can end the element that it stands in.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;

use layerprint_query::{
    Base, Change, ChangeKind, Finding, Kind, Level, MadeOf, Part, Remark, Row, Rule, RunnerUp, Verdict,
};
use serde::Serialize;

use crate::escape::write_json_for_html;
use crate::output::plain;
use crate::report::overview::Overview;
use crate::report::summary::Answer;

/// An image, for the table, the tree and the panel.
#[derive(Serialize)]
struct Image<'a> {
    id: String,
    names: Vec<Cow<'a, str>>,
    platform: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Cow<'a, str>>,
    layers: usize,
    files: u64,
    contents: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    same: Vec<Cow<'a, str>>,
    /// A place in the order of answers.
    answer: usize,
    confidence: f64,
    /// A place in the list of texts.
    reason: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<Cow<'a, str>>,
    /// Which of the bases it is itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    is: Option<usize>,
    /// Which of the bases it stands on.
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<Under<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newer: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<(usize, Cow<'a, str>)>,
    parts: Vec<(Kind, usize, u64, u64)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cover: Vec<Held<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    second: Option<Second<'a>>,
    children: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<(Rule, Level, Cow<'a, str>)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Changed>,
}

/// What became of it since an earlier report.
#[derive(Serialize)]
struct Changed {
    kind: ChangeKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<(Verdict, usize, Option<u64>)>,
}

/// What an image stands on, or is like, and what is left of it.
#[derive(Serialize)]
struct Under<'a> {
    names: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Cow<'a, str>>,
    share: f64,
    contents: (u64, u64),
    /// Total, same, moved, modified, deleted.
    files: [u64; 5],
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_to: Option<Cow<'a, str>>,
    layers: usize,
    lineage: Vec<(usize, layerprint_query::Evidence)>,
}

/// The base that was not chosen.
#[derive(Serialize)]
struct Second<'a> {
    names: usize,
    share: f64,
    only_base: u64,
    only_base_paths: Vec<Cow<'a, str>>,
    only_second: u64,
    only_second_paths: Vec<Cow<'a, str>>,
}

/// What a further stored image holds of it.
#[derive(Serialize)]
struct Held<'a> {
    names: usize,
    files: u64,
    bytes: u64,
    share: f64,
    from: Cow<'a, str>,
    to: Cow<'a, str>,
}

/// A base, for the tree.
#[derive(Serialize)]
struct Node<'a> {
    names: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<usize>,
}

/// Writes all rows, and then what they refer to, as one JSON object.
pub fn write(
    out: &mut dyn Write,
    overview: &Overview,
    rows: impl Iterator<Item = anyhow::Result<Row>>,
) -> anyhow::Result<()> {
    let mut told = Told::default();
    write!(out, "{{\"images\":[")?;
    for (at, row) in rows.enumerate() {
        out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
        put(out, &image(&row?, overview, &mut told))?;
    }
    write!(out, "],\n\"bases\":")?;
    let bases = overview.bases.iter().map(|base| Node {
        names: told.names(&base.names),
        family: base.family.as_deref().map(plain),
        parent: base.parent,
    });
    put(out, &bases.collect::<Vec<_>>())?;
    write!(out, ",\n\"names\":")?;
    put(out, &told.names.list)?;
    write!(out, ",\n\"texts\":")?;
    put(out, &told.texts.list)?;
    Ok(write!(out, "}}")?)
}

fn image<'a>(row: &'a Row, overview: &Overview, told: &mut Told) -> Image<'a> {
    let Row { finding, family, freshness, made_of, children, remarks, change, .. } = row;
    let Finding { image, base, runner_up, cover, confidence, .. } = finding;
    // What a base is like may be built on it, and is not told as its own.
    let is_told = Answer::of(row) != Answer::IsBase;
    let (base, runner_up) = (base.as_ref().filter(|_| is_told), runner_up.as_ref().filter(|_| is_told));
    let newest = freshness.as_ref().and_then(|fresh| fresh.newest.as_ref());
    let part = |part: &MadeOf| (part.kind, told.names(&part.names), part.contents, part.bytes);
    Image {
        id: image.id.to_string(),
        names: plain_all(&image.names),
        platform: plain(&image.platform),
        created: image.created.as_deref().map(plain),
        layers: image.layers,
        files: image.files,
        contents: image.contents,
        bytes: image.content_bytes,
        same: plain_all(&image.same_content_as),
        answer: Answer::of(row) as usize,
        confidence: rounded(*confidence),
        parts: made_of.iter().map(part).collect(),
        reason: told.text(row.reason()),
        family: family.as_deref().map(plain),
        is: overview.is_base(row),
        on: base.filter(|_| finding.verdict == Verdict::Base).and_then(|base| overview.base_of(&base.names)),
        base: base.map(|base| under(base, row.base_created(), told)),
        newer: freshness.as_ref().map(|fresh| fresh.newer),
        newest: newest.map(|newest| (told.names(&newest.names), plain(&newest.created))),
        cover: cover.iter().map(|part| held(part, told)).collect(),
        second: runner_up.map(|second| runner(second, told)),
        children: *children,
        remarks: remarks
            .iter()
            .map(|Remark { rule, level, message, .. }| (*rule, *level, plain(message)))
            .collect(),
        change: change.as_ref().map(|change| changed(change, told)),
    }
}

fn changed(change: &Change, told: &mut Told) -> Changed {
    let was = change.was.as_ref().map(|was| (was.verdict, told.names(&was.base), was.newer));
    Changed { kind: change.kind, was }
}

fn under<'a>(base: &'a Base, created: Option<&'a str>, told: &mut Told) -> Under<'a> {
    let files = &base.files;
    Under {
        names: told.names(&base.names),
        created: created.map(plain),
        share: rounded(base.containment),
        contents: (base.contents.present, base.contents.total),
        files: [files.total, files.same, files.moved, files.modified, files.deleted],
        moved_to: files.moved_to.as_deref().map(plain),
        layers: base.layers_shared,
        lineage: base.lineage.iter().map(|kin| (told.names(&kin.names), kin.evidence)).collect(),
    }
}

fn held<'a>(part: &'a Part, told: &mut Told) -> Held<'a> {
    Held {
        names: told.names(&part.names),
        files: part.files,
        bytes: part.bytes,
        share: rounded(part.share),
        from: plain(&part.from),
        to: plain(&part.to),
    }
}

fn runner<'a>(second: &'a RunnerUp, told: &mut Told) -> Second<'a> {
    Second {
        names: told.names(&second.names),
        share: rounded(second.containment),
        only_base: second.only_base,
        only_base_paths: plain_all(&second.only_base_paths),
        only_second: second.only_runner_up,
        only_second_paths: plain_all(&second.only_runner_up_paths),
    }
}

fn plain_all(texts: &[String]) -> Vec<Cow<'_, str>> {
    texts.iter().map(|text| plain(text)).collect()
}

/// As many places as the page shows; one more where more than nothing or less than all would read as such.
fn rounded(share: f64) -> f64 {
    let rounded = (share * 1000.0 * (1.0 + 2.0 * f64::EPSILON)).round() / 1000.0;
    if share > 0.0 && rounded == 0.0 {
        0.0001
    } else if share < 1.0 && rounded == 1.0 {
        0.9999
    } else {
        rounded
    }
}

/// What many rows say, told once each.
#[derive(Default)]
struct Told {
    names: Once<Vec<String>>,
    texts: Once<String>,
}

struct Once<T> {
    places: HashMap<T, usize>,
    list: Vec<T>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self { places: HashMap::new(), list: Vec::new() }
    }
}

impl Told {
    fn names(&mut self, names: &[String]) -> usize {
        self.names.place(names.iter().map(|name| plain(name).into_owned()).collect())
    }

    fn text(&mut self, text: &str) -> usize {
        self.texts.place(plain(text).into_owned())
    }
}

impl<T: Clone + Eq + std::hash::Hash> Once<T> {
    fn place(&mut self, value: T) -> usize {
        if let Some(at) = self.places.get(&value) {
            return *at;
        }
        self.places.insert(value.clone(), self.list.len());
        self.list.push(value);
        self.list.len() - 1
    }
}

fn put(out: &mut dyn Write, value: &impl Serialize) -> anyhow::Result<()> {
    Ok(write_json_for_html(out, value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nothing_and_all_are_sent_as_such() {
        let shares = [0.0, 0.000_4, 0.000_5, 0.062_5, 0.500_5, 0.999_4, 0.999_5, 1.0];
        assert_eq!(shares.map(rounded), [0.0, 0.000_1, 0.001, 0.063, 0.501, 0.999, 0.999_9, 1.0]);
    }

    #[test]
    fn what_repeats_is_told_once() {
        let mut told = Told::default();
        let places = [told.text("a"), told.text("b\n"), told.text("a")];
        assert_eq!((places, &told.texts.list[..]), ([0, 1, 0], &["a".to_owned(), "b\\n".to_owned()][..]));
    }
}
