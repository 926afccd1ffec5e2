//! What an image breaks of a policy, as remarks of its row.
//!
//! A base is known by all names of its tie: allowed if any of them is, forbidden if any of them is. What is forbidden cannot be
//! allowed. An image whose base is not known breaks what is said of unknown bases and nothing else, for nothing else is known.

use std::cmp::Reverse;
use std::collections::HashMap;

use layerprint_query::{Base, Level, Remark, Row, Rule, Verdict, either, family_of};
use layerprint_store::id::ImageId;

use super::{Exemption, Policy, Severity};
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
    /// Where it stands; where only hidden copies are left, in the layers that hold them.
    pub paths: Vec<String>,
    /// True if a container sees it.
    pub is_visible: bool,
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
        if self.exemption(row).is_some() {
            return;
        }
        row.remarks.retain_mut(|remark| self.grade(remark, row.freshness.as_ref().map(|fresh| fresh.newer)));
        if let Some(base) = row.finding.base.as_ref().filter(|_| row.finding.verdict == Verdict::Base) {
            let fresh = if row.freshness.is_none() { self.undated(base) } else { None };
            let told = [self.named(base), self.aged(base), fresh, self.sure(row.finding.confidence)];
            row.remarks.extend(told.into_iter().flatten());
        }
        row.remarks.extend(held.iter().map(|held| self.holding(held)));
        row.remarks.sort_by_key(|remark| (Reverse(remark.level), remark.rule));
    }

    /// Returns why an image is not asked.
    pub fn exemption(&self, row: &Row) -> Option<&Exemption> {
        let of = |exemption: &&Exemption| exemption.images.0.iter().any(|pattern| means(pattern, row));
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

    fn named(&self, base: &Base) -> Option<Remark> {
        let rules = &self.policy.base;
        let own = either(&base.names);
        if let Some(pattern) = rules.forbid.iter().find(|pattern| is_base(pattern, base)) {
            return error(Rule::BaseForbidden, format!("{own}: {pattern} is forbidden"));
        }
        if let Some((name, pattern)) = below(base).find_map(|name| Some((name, by(&rules.forbid, name)?))) {
            return error(Rule::BaseForbidden, format!("{own} is built on {name}: {pattern} is forbidden"));
        }
        if rules.allow.is_none() && rules.allow_families.is_none() || self.allows(base) {
            return None;
        }
        let nor = match (rules.direct, base.lineage.len()) {
            (false, 1..) => ", nor is anything that it is built on",
            _ => "",
        };
        error(Rule::BaseNotAllowed, format!("{own} is no base that is allowed{nor}"))
    }

    fn allows(&self, base: &Base) -> bool {
        let rules = &self.policy.base;
        let patterns = rules.allow.as_deref().unwrap_or_default();
        let families = rules.allow_families.as_deref().unwrap_or_default();
        let is_allowed = |name: &String| {
            let is_kin =
                family_of(name).is_some_and(|family| families.iter().any(|allowed| allowed.0 == family));
            is_kin || by(patterns, name).is_some()
        };
        patterns.iter().any(|pattern| is_base(pattern, base))
            || base.names.iter().any(is_allowed)
            || !rules.direct && below(base).any(is_allowed)
    }

    fn aged(&self, base: &Base) -> Option<Remark> {
        let max = self.policy.base.max_age_days?;
        let own = either(&base.names);
        let Some(made) = base.created().and_then(Day::of_rfc3339) else {
            let message = format!("when {own} was made is not known; {max} days are allowed");
            let level = self.policy.base.undated.level()?;
            return Some(Remark::new(Rule::BaseTooOld, level, message));
        };
        let days = self.as_of.days_since(made);
        let is_older = days > i64::from(max);
        is_older.then(|| error(Rule::BaseTooOld, format!("{own} is {days} days old; {max} are allowed")))?
    }

    /// Of a base without a name or a date nobody can say how many newer ones there are.
    fn undated(&self, base: &Base) -> Option<Remark> {
        let max = self.policy.base.max_newer?;
        let level = self.policy.base.undated.level()?;
        let own = either(&base.names);
        let message = format!("how many newer ones than {own} are stored is not known; {max} are allowed");
        Some(Remark::new(Rule::BaseOutdated, level, message))
    }

    fn sure(&self, confidence: f64) -> Option<Remark> {
        let min = self.policy.base.min_confidence?.0;
        let message = || format!("the base is told with confidence {confidence:.3}; {min} is asked for");
        (confidence < min).then(|| error(Rule::ConfidenceTooLow, message()))?
    }

    fn holding(&self, held: &Held) -> Remark {
        let file = &self.policy.files[held.file];
        let mut paths = held.paths.iter().take(PATHS_TOLD).cloned().collect::<Vec<_>>().join(", ");
        if held.paths.len() > PATHS_TOLD {
            paths += &format!(" and {} more", held.paths.len() - PATHS_TOLD);
        }
        let (level, hidden) = match held.is_visible {
            true => (Level::Error, ""),
            false => (Level::Warning, ", hidden by a higher layer"),
        };
        let message = format!("holds {} at {paths}{hidden}", file.reason);
        Remark { content: Some(file.content), ..Remark::new(Rule::FileForbidden, level, message) }
    }
}

fn error(rule: Rule, message: String) -> Option<Remark> {
    Some(Remark::new(rule, Level::Error, message))
}

/// All names of what the base is built on.
fn below(base: &Base) -> impl Iterator<Item = &String> {
    base.lineage.iter().flat_map(|kin| &kin.names)
}

/// Returns true if a pattern means the base by a name or by its ID.
fn is_base(pattern: &Pattern, base: &Base) -> bool {
    let names = base.names.iter().any(|name| pattern.matches(name));
    names || base.images.iter().any(|member| pattern.is_id(&member.id))
}

fn by<'p>(patterns: &'p [Pattern], name: &str) -> Option<&'p Pattern> {
    patterns.iter().find(|pattern| pattern.matches(name))
}

/// Returns true if a pattern means the image of a row.
fn means(pattern: &Pattern, row: &Row) -> bool {
    let image = &row.finding.image;
    image.names.iter().any(|name| pattern.matches(name)) || pattern.is_id(&image.id)
}

fn list(patterns: &[Pattern]) -> String {
    patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
