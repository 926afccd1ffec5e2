//! What the template puts in its places: figures as text, charts as widths and heights.

use askama::Template;
use layerprint_query::{Level, Rule};

use super::changes::ChangesView;
use super::gate::GateView;
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
const FAMILIES_MAX: usize = 12;
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
    lead: String,
    tiles: Vec<Tile>,
    families: Vec<Bar>,
    answers: Vec<AnswerRow>,
    unexplained: String,
    listed: Vec<ListedFamily>,
    listed_more: usize,
    ages: Option<Columns>,
    age_lead: String,
    outdated: Vec<OutdatedRow>,
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

struct Tile {
    label: &'static str,
    value: String,
    note: String,
    filter: Option<Filter>,
}

/// What a figure asks of the table.
pub struct Filter {
    key: &'static str,
    value: String,
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
    pub fn of(report: &Report, overview: &Overview, ages: &Ages) -> Self {
        let listed = listed(overview);
        Self {
            policy: policy(),
            early: EARLY,
            style: STYLE,
            as_of: report.as_of.to_string(),
            place: plain(&report.place).into_owned(),
            selection: plain(&report.selection).into_owned(),
            lead: lead(overview),
            tiles: tiles(overview, ages),
            families: families(overview),
            answers: answers(overview),
            unexplained: unexplained(overview),
            listed_more: listed.len().saturating_sub(LISTED_FAMILIES_MAX),
            listed: listed.into_iter().take(LISTED_FAMILIES_MAX).collect(),
            ages: columns(ages),
            age_lead: age_lead(ages),
            outdated: outdated(overview, report.as_of),
            storage: report.shared.as_ref().map(StorageView::of),
            remarks: remarks(overview, |level| report.gate.is_none() || level != Level::Error),
            gate: report.gate.as_ref().map(|gate| GateView::of(gate, overview)),
            changes: ChangesView::of(report, overview),
        }
    }
}

/// The whole report in two sentences.
fn lead(overview: &Overview) -> String {
    let based = overview.based();
    let all = overview.images;
    let mut lead = format!(
        "Of {}, {} ({}) stand on a known base. ",
        counted(all, "image"),
        count(based),
        share(based, all)
    );
    lead += &match overview.outdated {
        0 => "Of none of these bases a newer one is stored.".to_owned(),
        outdated => {
            format!("For {} of these ({}) a newer base is stored.", count(outdated), share(outdated, based))
        }
    };
    lead
}

fn tiles(overview: &Overview, ages: &Ages) -> Vec<Tile> {
    let sum = |answer| overview.sum(answer).images;
    let all = overview.images;
    let by_answer = |answer: Answer| Some(Filter { key: "answer", value: (answer as usize).to_string() });
    let total: u64 = overview.answers.iter().map(|sum| sum.bytes).sum();
    vec![
        Tile { label: "Images", value: count(all), note: format!("{} in files", bytes(total)), filter: None },
        Tile {
            label: "Base known",
            value: share(overview.based(), all),
            note: format!(
                "{} by layers, {} by content",
                count(sum(Answer::ByLayers)),
                count(sum(Answer::ByContent))
            ),
            filter: None,
        },
        Tile {
            label: "Family only",
            value: count(sum(Answer::Family)),
            note: share(sum(Answer::Family), all),
            filter: by_answer(Answer::Family),
        },
        Tile {
            label: "No base known",
            value: count(sum(Answer::Unknown)),
            note: format!(
                "{}; {} more are bases of others",
                share(sum(Answer::Unknown), all),
                count(sum(Answer::IsBase))
            ),
            filter: by_answer(Answer::Unknown),
        },
        Tile {
            label: "On an outdated base",
            value: count(overview.outdated),
            note: format!("{} of those with a base", share(overview.outdated, overview.based())),
            filter: (overview.outdated > 0).then(|| Filter { key: "outdated", value: String::new() }),
        },
        Tile {
            label: "Median age of bases",
            value: ages
                .median_days
                .map_or_else(|| "–".into(), |days| counted(u64::try_from(days).unwrap_or(0), "day")),
            note: "half of the images stand on older ones".into(),
            filter: None,
        },
    ]
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
    let longest = own.first().map_or(0, |family| family.images()).max(other.images()).max(roots).max(nothing);
    let all = overview.images;
    let mut bars: Vec<Bar> = own.iter().map(|family| family_bar(family, longest, all)).collect();
    if !others.is_empty() {
        let label = format!("{} other families", count(others.len() as u64));
        bars.push(Bar { label, filter: None, ..family_bar(&other, longest, all) });
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
    ANSWERS.into_iter().map(row).collect()
}

fn unexplained(overview: &Overview) -> String {
    let new: u64 = overview.answers.iter().map(|sum| sum.new_bytes).sum();
    let all: u64 = overview.answers.iter().map(|sum| sum.bytes).sum();
    format!("{} of {} ({}) is in no stored image that is named.", bytes(new), bytes(all), share(new, all))
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
fn first(base: &BaseSum) -> String {
    match &base.names[..] {
        [name] => plain(name).into_owned(),
        [name, more @ ..] => format!("{} +{}", plain(name), more.len()),
        [] => names(&[]),
    }
}

fn age_lead(ages: &Ages) -> String {
    match ages.undated {
        0 => String::new(),
        undated => format!("{} more on bases whose date is not known.", counted(undated, "image")),
    }
}

/// The bases to renew first: those that most images stand on.
fn outdated(overview: &Overview, as_of: Day) -> Vec<OutdatedRow> {
    let mut bases: Vec<&BaseSum> = overview.bases.iter().filter(|base| base.is_outdated()).collect();
    bases.sort_by(|a, b| b.images.cmp(&a.images).then_with(|| a.names.cmp(&b.names)));
    let made = |base: &BaseSum| {
        let made = Day::of_rfc3339(base.created.as_deref()?)?;
        let days = u64::try_from(as_of.days_since(made)).ok()?;
        Some(format!("{made}, {} ago", counted(days, "day")))
    };
    let row = |base: &BaseSum| OutdatedRow {
        name: first(base),
        images: count(base.images),
        made: made(base).unwrap_or_else(|| "–".into()),
        newer: count(base.newer.unwrap_or(0)),
        newest: base.newest.first().map(|name| plain(name).into_owned()).unwrap_or_default(),
    };
    bases.into_iter().take(OUTDATED_MAX).map(row).collect()
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

fn label(rule: Rule) -> &'static str {
    match rule {
        Rule::BaseUnknown => "No base known",
        Rule::BaseUncertain => "Base uncertain",
        Rule::BaseOutdated => "Base outdated",
        Rule::BaseNotAllowed => "Base not allowed",
        Rule::BaseForbidden => "Base forbidden",
        Rule::BaseTooOld => "Base too old",
        Rule::ConfidenceTooLow => "Confidence too low",
        Rule::FileForbidden => "Forbidden file",
        Rule::Exempt => "Exempt",
    }
}
