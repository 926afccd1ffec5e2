//! What the template puts in its places: figures as text, charts as widths and heights.

use askama::Template;
use layerprint_query::{Level, Rule};

use super::changes::ChangesView;
use super::first::First;
use super::gate::{GateView, label};
use super::storage::StorageView;
use super::{EARLY, STYLE, policy};
use crate::day::Day;
use crate::output::{bytes, count, counted, names, plain};
use crate::report::Report;
use crate::report::ages::Ages;
use crate::report::html::charts::{Columns, Piece, columns, share};
use crate::report::overview::{BaseSum, FamilySum, Overview};
use crate::report::summary::Answer;

/// Families with a bar of their own.
const FAMILIES_MAX: usize = 18;
/// Families up to which there is room below them.
const FAMILIES_FEW: usize = 10;
/// Outdated bases that are named.
const OUTDATED_MAX: usize = 8;
/// Of the tree as a list: families, and bases of each.
const LISTED_FAMILIES_MAX: usize = 40;
const LISTED_BASES_MAX: usize = 40;

/// What is said of images, with a mark and a name for its style. The script has the same.
const ANSWERS: [(Answer, &str, &str, &str); 5] = [
    (Answer::ByLayers, "Base, by layers", "■", "layers"),
    (Answer::ByContent, "Base, by content", "▣", "content"),
    (Answer::Family, "Family only", "◪", "family"),
    (Answer::IsBase, "Base of others", "◇", "root"),
    (Answer::Unknown, "No base known", "□", "nothing"),
];

/// The page up to the figures for the script.
#[derive(Template)]
#[template(path = "page.html")]
pub struct Head {
    policy: String,
    early: &'static str,
    style: &'static str,
    as_of: String,
    place: String,
    selection: String,
    first: First,
    families: Vec<Bar>,
    families_note: String,
    answers: Vec<AnswerRow>,
    unexplained: String,
    listed: Vec<ListedFamily>,
    listed_more: usize,
    ages: Option<Columns>,
    age_lead: String,
    outdated: Vec<OutdatedRow>,
    outdated_more: usize,
    storage: Option<StorageView>,
    remarks: Vec<RemarkRow>,
    gate: Option<GateView>,
    changes: Option<ChangesView>,
}

/// What follows the figures.
#[derive(Template)]
#[template(path = "tail.html")]
pub struct Tail {
    pub script: &'static str,
}

/// What a figure asks of the table, or which part of the page it is about.
pub struct Filter {
    pub key: &'static str,
    pub value: String,
}

/// A bar with its figures.
pub struct Bar {
    pub label: String,
    pub pieces: Vec<Piece>,
    pub images: String,
    pub percent: String,
    pub note: String,
    pub filter: Option<Filter>,
}

struct AnswerRow {
    label: &'static str,
    mark: &'static str,
    number: usize,
    images: String,
    percent: String,
    bytes: String,
    new_bytes: String,
    new_percent: String,
    pieces: Vec<Piece>,
}

struct ListedFamily {
    name: String,
    images: String,
    bases: Vec<ListedBase>,
    more: usize,
}

struct ListedBase {
    depth: usize,
    name: String,
    images: String,
}

struct OutdatedRow {
    /// A place in the list of bases.
    at: usize,
    name: String,
    images: String,
    made: String,
    newer: String,
    newest: String,
}

pub struct RemarkRow {
    rule: &'static str,
    label: &'static str,
    level: &'static str,
    images: String,
}

impl Head {
    /// Whether remarks stand below families, so that cards beside each other are about as high.
    fn has_few_families(&self) -> bool {
        self.families.len() <= FAMILIES_FEW
    }

    pub fn of(report: &Report, overview: &Overview, ages: &Ages) -> Self {
        let listed = listed(overview);
        Self {
            policy: policy(),
            early: EARLY,
            style: STYLE,
            as_of: report.as_of.day.to_string(),
            place: plain(&report.place).into_owned(),
            selection: plain(&report.selection).into_owned(),
            first: First::of(report, overview, ages),
            families: families(overview),
            families_note: families_note(overview),
            answers: answers(overview),
            unexplained: unexplained(overview),
            listed_more: listed.len().saturating_sub(LISTED_FAMILIES_MAX),
            listed: listed.into_iter().take(LISTED_FAMILIES_MAX).collect(),
            ages: columns(ages),
            age_lead: age_lead(ages),
            outdated: outdated(overview, report.as_of.day),
            outdated_more: overview.outdated_bases().len().saturating_sub(OUTDATED_MAX),
            storage: report.shared.as_ref().map(StorageView::of),
            remarks: remarks(overview, |level| report.gate.is_none() || level != Level::Error),
            gate: report.gate.as_ref().map(|gate| GateView::of(gate, overview)),
            changes: ChangesView::of(report, overview),
        }
    }
}

/// A bar for each large family, one for all others, and one for images without a base.
fn families(overview: &Overview) -> Vec<Bar> {
    let sums = overview.families();
    let (own, others) = sums.split_at(sums.len().min(FAMILIES_MAX));
    let [roots, nothing] = [Answer::IsBase, Answer::Unknown].map(|answer| overview.sum(answer).images);
    let other = others.iter().fold(FamilySum::default(), |sum, family| FamilySum {
        sure: sum.sure + family.sure,
        unsure: sum.unsure + family.unsure,
        ..sum
    });
    // Others are many together and small each: as a bar they would be taken for the largest family.
    let longest = own.first().map_or(0, |family| family.images()).max(roots).max(nothing);
    let all = overview.images;
    let mut bars: Vec<Bar> = own.iter().map(|family| family_bar(family, longest, all)).collect();
    if !others.is_empty() {
        let label = format!("{} other families", count(others.len() as u64));
        bars.push(Bar { label, filter: None, pieces: Vec::new(), ..family_bar(&other, longest, all) });
    }
    let rest = [
        ("Bases of others", roots, "root", Answer::IsBase),
        ("No base known", nothing, "nothing", Answer::Unknown),
    ];
    for (label, images, class, answer) in rest.into_iter().filter(|(_, images, ..)| *images > 0) {
        bars.push(Bar {
            label: label.into(),
            pieces: Piece::row(longest, &[(images, class)]),
            images: count(images),
            percent: share(images, all),
            note: String::new(),
            filter: Some(Filter { key: "answer", value: (answer as usize).to_string() }),
        });
    }
    bars
}

/// What the bar of all others would say if it had one.
fn families_note(overview: &Overview) -> String {
    match overview.families().get(FAMILIES_MAX) {
        Some(largest) => format!("{} each, or fewer", counted(largest.images(), "image")),
        None => String::new(),
    }
}

fn family_bar(family: &FamilySum, longest: u64, all: u64) -> Bar {
    Bar {
        label: if family.name.is_empty() { "(no name)".into() } else { plain(&family.name).into_owned() },
        pieces: Piece::row(longest, &[(family.sure, "sure"), (family.unsure, "family")]),
        images: count(family.images()),
        percent: share(family.images(), all),
        note: if family.unsure > 0 { count(family.unsure) } else { String::new() },
        filter: Some(Filter { key: "family", value: plain(&family.name).into_owned() }),
    }
}

fn answers(overview: &Overview) -> Vec<AnswerRow> {
    let most = overview.answers.iter().map(|sum| sum.bytes).max().unwrap_or(0);
    let row = |(answer, label, mark, class): (Answer, &'static str, &'static str, &'static str)| {
        let sum = overview.sum(answer);
        AnswerRow {
            label,
            mark,
            number: answer as usize,
            images: count(sum.images),
            percent: share(sum.images, overview.images),
            bytes: bytes(sum.bytes),
            new_bytes: bytes(sum.new_bytes),
            new_percent: share(sum.new_bytes, sum.bytes),
            pieces: Piece::row(most, &[(sum.bytes - sum.new_bytes, class), (sum.new_bytes, "new")]),
        }
    };
    let is_said = |(answer, ..): &(Answer, &str, &str, &str)| overview.sum(*answer).images > 0;
    ANSWERS.into_iter().filter(is_said).map(row).collect()
}

fn unexplained(overview: &Overview) -> String {
    // Bases explain the others; nothing that is stored is to explain them.
    let asked =
        || ANSWERS.iter().zip(&overview.answers).filter(|((answer, ..), _)| *answer != Answer::IsBase);
    let new: u64 = asked().map(|(_, sum)| sum.new_bytes).sum();
    let all: u64 = asked().map(|(_, sum)| sum.bytes).sum();
    format!(
        "{} of all bytes ({} of {}), bases of others aside, are in no other stored image that is named: what images add themselves, or what comes from a \
         base that is not stored. Bars are as long as files are large.",
        share(new, all),
        bytes(new),
        bytes(all)
    )
}

/// The tree of bases as a list, for whoever has no script or wants it in order.
fn listed(overview: &Overview) -> Vec<ListedFamily> {
    let above = overview.images_above();
    let mut on = vec![Vec::new(); overview.bases.len()];
    let mut families: std::collections::BTreeMap<String, Vec<usize>> = std::collections::BTreeMap::new();
    for (at, base) in overview.bases.iter().enumerate() {
        match base.parent {
            Some(parent) => on[parent].push(at),
            None => families
                .entry(base.family.clone().unwrap_or_else(|| "(no name)".into()))
                .or_default()
                .push(at),
        }
    }
    let mut listed: Vec<(u64, ListedFamily)> = families
        .into_iter()
        .map(|(name, roots)| {
            let images = roots.iter().map(|at| above[*at]).sum();
            let mut bases = Vec::new();
            descend(overview, &above, &on, &roots, 0, &mut bases);
            let more = bases.len().saturating_sub(LISTED_BASES_MAX);
            bases.truncate(LISTED_BASES_MAX);
            (
                images,
                ListedFamily {
                    name: plain(&name).into_owned(),
                    images: counted(images, "image"),
                    bases,
                    more,
                },
            )
        })
        .collect();
    listed.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)));
    listed.into_iter().map(|(_, family)| family).collect()
}

fn descend(
    overview: &Overview,
    above: &[u64],
    on: &[Vec<usize>],
    these: &[usize],
    depth: usize,
    bases: &mut Vec<ListedBase>,
) {
    let mut these = these.to_vec();
    these.sort_by(|a, b| {
        above[*b].cmp(&above[*a]).then_with(|| overview.bases[*a].names.cmp(&overview.bases[*b].names))
    });
    for at in these {
        bases.push(ListedBase {
            depth: depth.min(5),
            name: first(&overview.bases[at]),
            images: counted(above[at], "image"),
        });
        descend(overview, above, on, &on[at], depth + 1, bases);
    }
}

/// The name of a base where there is no room for all.
pub fn first(base: &BaseSum) -> String {
    match &base.names[..] {
        [name] => plain(name).into_owned(),
        [name, more @ ..] => format!("{} +{}", plain(name), more.len()),
        [] => names(&[]),
    }
}

/// Characters of a name up to which nothing of it is left out, and how many of its end always show: names that begin alike
/// differ there.
const CLIP_MIN_CHARS: usize = 26;
const CLIP_TAIL_CHARS: usize = 10;

/// Parts a long name, so that where there is no room for it what is left out is in its middle. The script does the same.
pub fn clip(text: impl AsRef<str>) -> Option<(String, String)> {
    let text = text.as_ref();
    let chars = text.chars().count();
    let (at, _) = text.char_indices().nth(chars.checked_sub(CLIP_TAIL_CHARS)?)?;
    (chars > CLIP_MIN_CHARS).then(|| (text[..at].to_owned(), text[at..].to_owned()))
}

fn age_lead(ages: &Ages) -> String {
    match ages.undated {
        0 => String::new(),
        undated => format!("{} more on bases whose date is not known.", counted(undated, "image")),
    }
}

/// When a base was made, and how long ago that was.
pub fn made(base: &BaseSum, as_of: Day) -> Option<String> {
    let made = Day::of_rfc3339(base.created.as_deref()?)?;
    let days = u64::try_from(as_of.days_since(made)).ok()?;
    Some(format!("{made}, {} ago", counted(days, "day")))
}

/// The bases to renew first: those that most images stand on.
fn outdated(overview: &Overview, as_of: Day) -> Vec<OutdatedRow> {
    let row = |at: usize| {
        let base = &overview.bases[at];
        OutdatedRow {
            at,
            name: first(base),
            images: count(base.images),
            made: made(base, as_of).unwrap_or_else(|| "–".into()),
            newer: count(base.newer.unwrap_or(0)),
            newest: base.newest.first().map(|name| plain(name).into_owned()).unwrap_or_default(),
        }
    };
    overview.outdated_bases().into_iter().take(OUTDATED_MAX).map(row).collect()
}

/// Remarks of some levels, with how many images have them.
pub fn remarks(overview: &Overview, is_meant: impl Fn(Level) -> bool) -> Vec<RemarkRow> {
    let row = |((rule, level), images): (&(Rule, Level), &u64)| RemarkRow {
        rule: rule.word(),
        label: label(*rule),
        level: level.word(),
        images: count(*images),
    };
    overview.remarks.iter().filter(|((_, level), _)| is_meant(*level)).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_its_end_and_no_character_is_cut() {
        let parts = |text: &str| clip(text).map(|(head, tail)| format!("{head}|{tail}"));
        assert_eq!(parts("debian:12-slim"), None);
        assert_eq!(parts(""), None);
        assert_eq!(parts("registry/platform/python:3.12"), Some("registry/platform/p|ython:3.12".into()));
        let wide = "é".repeat(CLIP_MIN_CHARS + 1);
        assert_eq!(parts(&wide), Some(format!("{}|{}", "é".repeat(17), "é".repeat(10))));
    }
}
