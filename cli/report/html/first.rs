//! What the page says before all else: how many images, on what, and what to do first.
//!
//! One bar that all images are in once, its figures, and a few steps: the offences against a policy, the bases to renew, what is
//! not known, what could be shared. For whoever has a minute.

use layerprint_query::{Group, Level};

use super::charts::{Piece, share};
use super::gate::label;
use super::view::{Filter, first, made};
use crate::output::{bytes, count, counted, path, plain};
use crate::report::Report;
use crate::report::ages::Ages;
use crate::report::overview::Overview;
use crate::report::summary::Answer;

/// Bases among the steps.
const BASES_MAX: usize = 2;
/// Families, and rules, that a step names.
const NAMED_MAX: usize = 3;

/// The first screen.
pub struct First {
    pub lead: String,
    /// What the page lacks; empty if it is whole.
    pub lack: String,
    /// All images, each once.
    pub bar: Vec<Piece>,
    /// The same pieces in figures, after the figure of all.
    pub tiles: Vec<Tile>,
    pub steps: Vec<Step>,
    pub done: &'static str,
}

pub struct Tile {
    pub label: &'static str,
    pub value: String,
    pub note: String,
    /// The piece of the bar that it stands for; none for all of it.
    pub class: &'static str,
    pub filter: Option<Filter>,
}

/// What could be done, with what it would concern.
pub struct Step {
    pub figure: String,
    pub what: &'static str,
    pub name: String,
    pub note: String,
    pub filter: Option<Filter>,
}

impl First {
    pub fn of(report: &Report, overview: &Overview, ages: &Ages) -> Self {
        Self {
            lead: lead(overview, ages),
            lack: report.lack().map(|lack| plain(&lack).into_owned()).unwrap_or_default(),
            bar: bar(overview),
            tiles: tiles(overview),
            steps: steps(report, overview),
            done: match overview.images {
                0 => "Store images first: layerprint ingest.",
                _ => "Nothing: every image stands on a known base, and none newer of these is stored.",
            },
        }
    }
}

/// The whole report in a few sentences.
fn lead(overview: &Overview, ages: &Ages) -> String {
    match (overview.images, overview.based()) {
        (0, _) => "No stored image is meant.".into(),
        (1, 0) => "What this image stands on is not known: no stored image is surely its base.".into(),
        (all, 0) => format!("Of {} none stands on a known base.", counted(all, "image")),
        (all, based @ 1) => {
            format!("{}{} {}", on_bases(based, all), age(ages, based), newer(overview.outdated, based))
        }
        (all, based) => {
            format!("{} {}{}", on_bases(based, all), newer(overview.outdated, based), age(ages, based))
        }
    }
}

fn on_bases(based: u64, all: u64) -> String {
    match (based, all) {
        (1, 1) => "This image stands on a known base.".into(),
        _ if based == all => format!("All {} stand on a known base.", counted(all, "image")),
        _ => {
            let stand = if based == 1 { "stands" } else { "stand" };
            let (all, share) = (counted(all, "image"), share(based, all));
            format!("Of {all}, {} ({share}) {stand} on a known base.", count(based))
        }
    }
}

fn newer(outdated: u64, based: u64) -> String {
    match (outdated, based) {
        (0, 1) => "None newer is stored.".into(),
        (_, 1) => "A newer one is stored.".into(),
        (0, _) => "Of none of these bases a newer one is stored.".into(),
        _ => format!("For {} of these ({}) a newer base is stored.", count(outdated), share(outdated, based)),
    }
}

fn age(ages: &Ages, based: u64) -> String {
    match ages.median_days.and_then(|days| u64::try_from(days).ok()) {
        Some(days) if based == 1 => format!(" It was made {} ago.", counted(days, "day")),
        Some(days) => format!(" Half of them stand on bases made {} ago or earlier.", counted(days, "day")),
        None => String::new(),
    }
}

/// Images by what is to be done about them, each once.
fn pieces(overview: &Overview) -> [(u64, &'static str); 5] {
    let sum = |answer| overview.sum(answer).images;
    [
        (overview.based().saturating_sub(overview.outdated), "sure"),
        (overview.outdated, "old"),
        (sum(Answer::Family), "family"),
        (sum(Answer::Unknown), "nothing"),
        (sum(Answer::IsBase), "root"),
    ]
}

fn bar(overview: &Overview) -> Vec<Piece> {
    Piece::row(overview.images, &pieces(overview))
}

fn tiles(overview: &Overview) -> Vec<Tile> {
    let total: u64 = overview.answers.iter().map(|sum| sum.bytes).sum();
    let whole = Tile {
        label: "Images",
        value: count(overview.images),
        note: format!("{} in files", bytes(total)),
        class: "",
        filter: None,
    };
    let by_answer = |answer: Answer| Filter { key: "answer", value: (answer as usize).to_string() };
    let told = [
        ("On a current base", "no newer one is stored", Filter { key: "outdated", value: "no".into() }),
        ("On an outdated base", "newer ones are stored", Filter { key: "outdated", value: "yes".into() }),
        ("Family only", "which base is uncertain", by_answer(Answer::Family)),
        ("No base known", "none that is stored", by_answer(Answer::Unknown)),
        ("Bases of others", "where families begin", by_answer(Answer::IsBase)),
    ];
    let tile = |((images, class), (label, note, filter)): ((u64, &'static str), (_, _, Filter))| Tile {
        label,
        value: count(images),
        note: format!("{}, {note}", share(images, overview.images)),
        class,
        filter: (images > 0).then_some(filter),
    };
    std::iter::once(whole).chain(pieces(overview).into_iter().zip(told).map(tile)).collect()
}

/// What concerns most comes first of its kind; what breaks a policy comes before all.
fn steps(report: &Report, overview: &Overview) -> Vec<Step> {
    let mut steps: Vec<Step> = offences(report, overview).into_iter().collect();
    steps.extend(renewals(report, overview));
    steps.extend(unknown(overview));
    steps.extend(uncertain(overview));
    steps.extend(report.shared.as_ref().and_then(|shared| sharing(&shared.groups)));
    steps
}

fn offences(report: &Report, overview: &Overview) -> Option<Step> {
    let gate = report.gate.as_ref().filter(|gate| gate.offenders > 0)?;
    let errors = overview.remarks.iter().filter(|((_, level), _)| *level == Level::Error);
    let mut rules: Vec<(u64, &str)> = errors.map(|((rule, _), images)| (*images, label(*rule))).collect();
    rules.sort_by_key(|(images, _)| std::cmp::Reverse(*images));
    Some(Step {
        figure: counted(gate.offenders, "image"),
        what: "Bring within the policy",
        name: path(gate.policy.file_name().unwrap_or_default().as_encoded_bytes()),
        note: named(
            rules.into_iter().map(|(images, rule)| format!("{} {}", count(images), rule.to_lowercase())),
        ),
        filter: Some(Filter { key: "remark", value: "error".into() }),
    })
}

/// The outdated bases that most images stand on.
fn renewals(report: &Report, overview: &Overview) -> Vec<Step> {
    let step = |at: usize| {
        let base = &overview.bases[at];
        let made = made(base, report.as_of.day).map_or_else(String::new, |made| format!("made {made}; "));
        let newest =
            base.newest.first().map_or_else(String::new, |name| format!(", the newest {}", plain(name)));
        Step {
            figure: counted(base.images, "image"),
            what: "Renew the base",
            name: first(base),
            note: format!("{made}{} newer stored{newest}", count(base.newer.unwrap_or(0))),
            filter: Some(Filter { key: "on", value: at.to_string() }),
        }
    };
    overview.outdated_bases().into_iter().take(BASES_MAX).map(step).collect()
}

fn unknown(overview: &Overview) -> Option<Step> {
    let images = overview.sum(Answer::Unknown).images;
    (images > 0).then(|| Step {
        figure: counted(images, "image"),
        what: "Find out what is under them",
        name: String::new(),
        note: "no stored image is their base: store the bases they may come from and ask again".into(),
        filter: Some(Filter { key: "answer", value: (Answer::Unknown as usize).to_string() }),
    })
}

fn uncertain(overview: &Overview) -> Option<Step> {
    let images = overview.sum(Answer::Family).images;
    let mut families = overview.families();
    families.retain(|family| family.unsure > 0 && !family.name.is_empty());
    families.sort_by_key(|family| std::cmp::Reverse(family.unsure));
    let families =
        named(families.iter().map(|family| format!("{} {}", plain(&family.name), count(family.unsure))));
    (images > 0).then(|| Step {
        figure: counted(images, "image"),
        what: "Pin down the base",
        name: String::new(),
        note: match families.is_empty() {
            true => "only their family is known: store more of its images".into(),
            false => format!("only their family is known ({families}): store more of its images"),
        },
        filter: Some(Filter { key: "answer", value: (Answer::Family as usize).to_string() }),
    })
}

fn sharing(groups: &[Group]) -> Option<Step> {
    let images: u64 = groups.iter().map(|group| group.images).sum();
    let saved = groups.iter().fold(0, |sum: u64, group| sum.saturating_add(group.saved_bytes));
    (saved > 0).then(|| Step {
        figure: counted(images, "image"),
        what: "Share the layers of bases",
        name: String::new(),
        note: format!("they hold their base's files in layers of their own; sharing saves {}", bytes(saved)),
        filter: Some(Filter { key: "section", value: "storage".into() }),
    })
}

/// The first of a list, and how many more there are.
fn named(all: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = all.collect();
    let more = all.len().saturating_sub(NAMED_MAX);
    let told = all[..all.len() - more].join(", ");
    if more > 0 { format!("{told} and {more} more") } else { told }
}
