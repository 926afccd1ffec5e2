//! What an image breaks of what is asked of bases.
//!
//! A base is forbidden if any name of its tie is, for it has the very same files; so is an image that is itself what is forbidden.
//! What is forbidden cannot be allowed. Allowed it is by a name of the base proper, not of what was made of it later
//! ([`Row::base_names`]). An image whose base is not known breaks what is said of unknown bases and nothing else, for nothing else
//! is known.

use layerprint_query::{Base, Level, Remark, Row, Rule, Verdict, either, family_of};

use super::{Bases, means};
use crate::day::Day;
use crate::pattern::Pattern;

impl Bases {
    /// Returns what an image breaks, where ages are counted to a day.
    pub fn broken(&self, row: &Row, as_of: Day) -> Vec<Remark> {
        let base = row.finding.base.as_ref().filter(|_| row.finding.verdict == Verdict::Base);
        let forbidden = self.is_forbidden(row).or_else(|| self.is_on_forbidden(base?));
        let forbidden = forbidden.map(|told| error(Rule::BaseForbidden, told));
        let Some(base) = base else { return forbidden.into_iter().collect() };
        let named = forbidden.or_else(|| self.not_allowed(row, base));
        let told = [named, self.aged(row, as_of), self.undated(row), self.sure(row.finding.confidence)];
        told.into_iter().flatten().collect()
    }

    /// Says that an image is itself what is forbidden, or has the very same contents.
    fn is_forbidden(&self, row: &Row) -> Option<String> {
        let image = &row.finding.image;
        let is_itself = |pattern: &&Pattern| means(pattern, &image.names, [&image.id]);
        if let Some(pattern) = self.forbid.iter().find(is_itself) {
            return Some(format!(
                "is itself forbidden base {}: {pattern} is forbidden",
                either(&image.names)
            ));
        }
        let (name, pattern) = first(&self.forbid, image.same_content_as.iter())?;
        Some(format!("has the same contents as forbidden base {name}: {pattern} is forbidden"))
    }

    fn is_on_forbidden(&self, base: &Base) -> Option<String> {
        let own = either(&base.names);
        let ids = || base.images.iter().map(|member| &member.id);
        if let Some(pattern) = self.forbid.iter().find(|pattern| means(pattern, &base.names, ids())) {
            return Some(format!("{own}: {pattern} is forbidden"));
        }
        base.lineage.iter().find_map(|kin| {
            let pattern = self.forbid.iter().find(|pattern| means(pattern, &kin.names, &kin.images))?;
            let name = kin.names.iter().find(|name| pattern.matches(name));
            let name = name.map_or_else(|| either(&kin.names), String::clone);
            Some(format!("{own} is built on {name}: {pattern} is forbidden"))
        })
    }

    fn not_allowed(&self, row: &Row, base: &Base) -> Option<Remark> {
        if self.allow.is_none() && self.allow_families.is_none() || self.allows(row, base) {
            return None;
        }
        let own = either(row.base_names());
        let nor = match (self.direct, base.lineage.len()) {
            (false, 1..) => ", nor is anything that it is built on",
            _ => "",
        };
        let later = base.names.iter().find(|name| self.is_allowed(name));
        let later = later.map(|name| format!("; {name} has the same contents and was made later"));
        let message = format!("{own} is no base that is allowed{nor}{}", later.unwrap_or_default());
        Some(error(Rule::BaseNotAllowed, message))
    }

    /// An ID is that of certain contents, so whatever has them is allowed by it.
    fn allows(&self, row: &Row, base: &Base) -> bool {
        let patterns = self.allow.as_deref().unwrap_or_default();
        let kin = base.lineage.iter().filter(|_| !self.direct).flat_map(|kin| &kin.images);
        let ids: Vec<_> = base.images.iter().map(|member| &member.id).chain(kin).collect();
        patterns.iter().any(|pattern| ids.iter().any(|id| pattern.is_id(id)))
            || row.base_names().iter().any(|name| self.is_allowed(name))
            || !self.direct && row.lineage_names().any(|name| self.is_allowed(name))
    }

    fn is_allowed(&self, name: &str) -> bool {
        let families = self.allow_families.as_deref().unwrap_or_default();
        let is_kin = |family: &str| families.iter().any(|allowed| family_of(&allowed.0) == Some(family));
        let patterns = self.allow.as_deref().unwrap_or_default();
        family_of(name).is_some_and(is_kin) || patterns.iter().any(|pattern| pattern.matches(name))
    }

    /// A base that says to be of a later day than ages are counted to does not say how old it is.
    fn aged(&self, row: &Row, as_of: Day) -> Option<Remark> {
        let max = self.max_age_days?;
        let own = either(row.base_names());
        let made = row.base_created().and_then(Day::of_rfc3339);
        let unknown = match made.map(|made| (made, as_of.days_since(made))) {
            Some((_, days)) if days > i64::from(max) => {
                return Some(error(Rule::BaseTooOld, format!("{own} is {days} days old; {max} are allowed")));
            }
            Some((made, ..0)) => format!("{own} says to be of {made}, which is after {as_of}"),
            Some(_) if is_dated(row) => return None,
            _ => format!("when {own} was made is not known"),
        };
        let level = self.undated.level()?;
        Some(Remark::new(Rule::BaseTooOld, level, format!("{unknown}; {max} days are allowed")))
    }

    /// Of a base without a name or a date nobody can say how many newer ones there are.
    fn undated(&self, row: &Row) -> Option<Remark> {
        let max = self.max_newer.filter(|_| row.freshness.is_none())?;
        let level = self.undated.level()?;
        let own = either(row.base_names());
        let message = format!("how many newer ones than {own} are stored is not known; {max} are allowed");
        Some(Remark::new(Rule::BaseOutdated, level, message))
    }

    fn sure(&self, confidence: f64) -> Option<Remark> {
        let min = self.min_confidence?.0;
        let message = || format!("the base is told with confidence {confidence:.3}; {min} is asked for");
        (confidence < min).then(|| error(Rule::ConfidenceTooLow, message()))
    }
}

/// Returns true if nobody in the base's tie could be the base proper and older than is told.
fn is_dated(row: &Row) -> bool {
    row.proper.first().is_none_or(|proper| proper.is_dated)
}

fn error(rule: Rule, message: String) -> Remark {
    Remark::new(rule, Level::Error, message)
}

/// Returns the first name that a pattern means, with that pattern.
fn first<'a>(
    patterns: &'a [Pattern],
    mut names: impl Iterator<Item = &'a String>,
) -> Option<(&'a String, &'a Pattern)> {
    names.find_map(|name| Some((name, patterns.iter().find(|pattern| pattern.matches(name))?)))
}
