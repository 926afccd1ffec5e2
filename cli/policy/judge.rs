//! What an image breaks of a policy, as remarks of its row.
//!
//! What is asked of bases is told in `bases`; here is what is asked of all images, and who is not asked.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use layerprint_query::{Level, Remark, Row, Rule};
use layerprint_store::id::ImageId;

use super::{Exemption, Policy, Severity, means};
use crate::day::Day;
use crate::pattern::Pattern;

/// Judges rows.
pub struct Judge {
    policy: Policy,
    as_of: Day,
    held: HashMap<ImageId, Vec<Held>>,
}

/// A forbidden file in an image.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its place in [`Policy::files`].
    pub file: usize,
    /// The first places where it stands; where only hidden copies are left, in the layers that hold them.
    paths: Vec<String>,
    /// How many more there are.
    more: usize,
    /// True if a container sees it.
    is_visible: bool,
}

impl Held {
    /// Keeps of the places, which are sorted, no more than is told: an image may have a hundred thousand.
    pub fn at(file: usize, places: &BTreeSet<String>, is_visible: bool) -> Self {
        let paths: Vec<String> = places.iter().take(PATHS_TOLD).cloned().collect();
        Self { file, more: places.len() - paths.len(), paths, is_visible }
    }
}

/// Paths that a message names.
const PATHS_TOLD: usize = 3;

impl Judge {
    /// Judges by a policy on a day. `held` says which images hold which forbidden files.
    pub fn new(policy: Policy, as_of: Day, held: HashMap<ImageId, Vec<Held>>) -> Self {
        Self { policy, as_of, held }
    }

    /// Returns what is judged by.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Adds to the remarks about an image what it breaks, and says how bad the others are: the worst first.
    pub fn judge(&self, row: &mut Row) {
        let held = self.held.get(&row.finding.image.id).map_or(&[][..], |held| held);
        self.judge_with(row, held);
    }

    /// The same of an image that holds these files, stored or not.
    pub fn judge_with(&self, row: &mut Row, held: &[Held]) {
        row.remarks.retain_mut(|remark| self.grade(remark, row.freshness.as_ref().map(|fresh| fresh.newer)));
        match self.exemption(row) {
            Some(exemption) => exempt(row, exemption),
            None => {
                row.remarks.extend(self.policy.base.broken(row, self.as_of));
                row.remarks.extend(held.iter().map(|held| self.holding(held)));
            }
        }
        row.remarks.sort_by_key(|remark| (Reverse(remark.level), remark.rule));
    }

    /// Returns why an image is not asked.
    pub fn exemption(&self, row: &Row) -> Option<&Exemption> {
        let image = &row.finding.image;
        let of = |exemption: &&Exemption| {
            exemption.images.0.iter().any(|one| means(one, &image.names, [&image.id]))
        };
        let holds = |exemption: &&Exemption| exemption.until.is_none_or(|until| until.includes(self.as_of));
        self.policy.exemptions.iter().filter(of).find(holds)
    }

    /// Returns the exemptions that have ended, in words.
    pub fn ended(&self) -> impl Iterator<Item = String> {
        let ended = |exemption: &&Exemption| exemption.until.is_some_and(|until| !until.includes(self.as_of));
        self.policy.exemptions.iter().filter(ended).map(|exemption| {
            let until = exemption.until.map(|until| until.to_string()).unwrap_or_default();
            format!("the exemption of {} ended on {until}: {}", list(&exemption.images.0), exemption.reason)
        })
    }

    /// Says how bad a remark is that needs no policy. False if it is not to be told.
    fn grade(&self, remark: &mut Remark, newer: Option<u64>) -> bool {
        let base = &self.policy.base;
        let severity = match remark.rule {
            Rule::BaseUnknown => base.unknown,
            Rule::BaseUncertain => base.uncertain,
            Rule::BaseOutdated => match (base.max_newer, newer) {
                (Some(max), Some(newer)) if newer > max => {
                    remark.message += &format!("; {max} {} allowed", if max == 1 { "is" } else { "are" });
                    Severity::Error
                }
                _ => base.outdated.unwrap_or(Severity::Warning),
            },
            _ => return true,
        };
        remark.level = severity.level().unwrap_or(remark.level);
        severity != Severity::Ignore
    }

    fn holding(&self, held: &Held) -> Remark {
        let file = &self.policy.files[held.file];
        let mut paths = held.paths.join(", ");
        if held.more > 0 {
            paths += &format!(" and {} more", held.more);
        }
        let (level, hidden) = match held.is_visible {
            true => (Level::Error, ""),
            false => (Level::Warning, ", hidden by a higher layer"),
        };
        let message = format!("holds {} at {paths}{hidden}", file.reason);
        Remark { content: Some(file.content), ..Remark::new(Rule::FileForbidden, level, message) }
    }
}

/// Of an exempt image is told what is known anyhow, as nothing that anybody must look at, and why.
fn exempt(row: &mut Row, exemption: &Exemption) {
    for remark in &mut row.remarks {
        remark.level = remark.level.min(Level::Warning);
    }
    let until = exemption.until.map(|until| format!(" until {until}")).unwrap_or_default();
    let message = format!("is exempt{until}: {}", exemption.reason);
    row.remarks.push(Remark::new(Rule::Exempt, Level::Note, message));
}

fn list(patterns: &[Pattern]) -> String {
    patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
