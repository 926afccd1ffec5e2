//! A report in figures: sums by verdict, family, base and remark.

use std::collections::{BTreeMap, BTreeSet};

use layerprint_query::{Evidence, Kind, Row, Rule, Verdict};

use super::Report;
use crate::day::Day;

/// Images that are kept as examples of a remark.
const EXAMPLES_MAX: usize = 5;

/// See the module.
#[derive(Debug, Default)]
pub struct Summary {
    /// Images.
    pub images: u64,
    /// Sum of the sizes of their contents, those of each image counted once.
    pub content_bytes: u64,
    /// The same without images of which nothing is known but that others are built on them: they explain, and are not
    /// explained.
    pub explained_bytes: u64,
    /// What of that is in no stored image that is named.
    pub new_bytes: u64,
    /// Images by what is said of them.
    pub verdicts: BTreeMap<Answer, u64>,
    /// Images by the family of their base.
    pub families: BTreeMap<String, Group>,
    /// Images by their base.
    pub bases: BTreeMap<String, Group>,
    /// How many days old bases were, of every image with a base that says when it was made; sorted.
    pub base_ages_days: Vec<i64>,
    /// Images by remark.
    pub remarks: BTreeMap<Rule, Remarked>,
}

/// Images with the same kind of remark.
#[derive(Debug, Clone, Default)]
pub struct Remarked {
    /// How many.
    pub images: u64,
    /// The first of them: image and what is said first.
    pub examples: Vec<(String, String)>,
}

/// What is said of an image, in the order of certainty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    ByLayers,
    ByContent,
    Family,
    /// Nothing; but others are built on it.
    IsBase,
    Unknown,
}

/// Images that have something in common.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// How many.
    pub images: u64,
    /// Those of them whose base is outdated.
    pub outdated: u64,
    /// Sum of the sizes of their contents.
    pub content_bytes: u64,
}

impl Summary {
    /// Sums a report.
    pub fn of(report: &Report) -> anyhow::Result<Self> {
        let mut summary = Self::default();
        for row in report.rows() {
            summary.add(&row?, report.as_of.day);
        }
        summary.base_ages_days.sort_unstable();
        Ok(summary)
    }

    fn add(&mut self, row: &Row, as_of: Day) {
        let content_bytes = row.finding.image.content_bytes;
        self.images += 1;
        self.content_bytes = self.content_bytes.saturating_add(content_bytes);
        let answer = Answer::of(row);
        *self.verdicts.entry(answer).or_default() += 1;
        if answer != Answer::IsBase {
            let new = row.made_of.iter().filter(|part| part.kind == Kind::New);
            self.new_bytes = new.fold(self.new_bytes, |sum, part| sum.saturating_add(part.bytes));
            self.explained_bytes = self.explained_bytes.saturating_add(content_bytes);
        }
        self.add_remarks(row);
        let Some(base) = row.finding.base.as_ref().filter(|_| row.finding.verdict == Verdict::Base) else {
            return;
        };
        let made = row.base_created().and_then(Day::of_rfc3339);
        self.base_ages_days.extend(made.map(|made| as_of.days_since(made)));
        let outdated = u64::from(row.freshness.as_ref().is_some_and(|freshness| freshness.newer > 0));
        let family = row.family.clone().unwrap_or_else(|| "(no name)".into());
        for group in [
            self.families.entry(family).or_default(),
            self.bases.entry(crate::output::names(&base.names)).or_default(),
        ] {
            group.images += 1;
            group.outdated += outdated;
            group.content_bytes = group.content_bytes.saturating_add(content_bytes);
        }
    }
}

impl Summary {
    /// An image counts once for a rule, however many remarks it has of it: forbidden files are told one by one.
    fn add_remarks(&mut self, row: &Row) {
        let mut seen = BTreeSet::new();
        for remark in row.remarks.iter().filter(|remark| seen.insert(remark.rule)) {
            let remarked = self.remarks.entry(remark.rule).or_default();
            remarked.images += 1;
            if remarked.examples.len() < EXAMPLES_MAX {
                let more = row.remarks.iter().filter(|other| other.rule == remark.rule).count() - 1;
                let more = if more > 0 { format!("; and {more} more") } else { String::new() };
                remarked.examples.push((row.finding.source.clone(), format!("{}{more}", remark.message)));
            }
        }
    }

    /// Returns the age that half of the bases have at most, in days.
    pub fn median_age_days(&self) -> Option<i64> {
        self.base_ages_days.get(self.base_ages_days.len() / 2).copied()
    }
}

impl Answer {
    /// Returns what is said in a row.
    pub fn of(row: &Row) -> Self {
        let evidence = row.finding.base.as_ref().map(|base| base.evidence);
        match (row.finding.verdict, evidence) {
            (Verdict::Base, Some(Evidence::ChainId)) => Self::ByLayers,
            (Verdict::Base, _) => Self::ByContent,
            (Verdict::Family | Verdict::None, _) if row.is_base => Self::IsBase,
            (Verdict::Family, _) => Self::Family,
            (Verdict::None, _) => Self::Unknown,
        }
    }

    /// What it is called.
    pub fn told(self) -> &'static str {
        match self {
            Self::ByLayers => "base, by layers",
            Self::ByContent => "base, by content",
            Self::Family => "family only",
            Self::IsBase => "none; others are built on it",
            Self::Unknown => "none known",
        }
    }
}

#[cfg(test)]
mod tests {
    use layerprint_query::{Level, Remark};

    use super::super::overview::tests::row;
    use super::*;

    #[test]
    fn an_image_counts_once_for_a_rule_however_many_files_it_holds() {
        let remark = |message: &str| Remark::new(Rule::FileForbidden, Level::Error, message.into());
        let mut summary = Summary::default();
        for (name, messages) in [("app:1", &["one", "two", "three"][..]), ("app:2", &["four"])] {
            let remarks = messages.iter().map(|message| remark(message)).collect();
            summary.add(&Row { remarks, ..row(name, "none", &[], 0) }, "2026-07-01".parse().expect("a day"));
        }
        let told = &summary.remarks[&Rule::FileForbidden];
        let examples: Vec<_> = told.examples.iter().map(|(image, text)| (&**image, &**text)).collect();
        assert_eq!((told.images, examples), (2, vec![("app:1", "one; and 2 more"), ("app:2", "four")]));
    }
}
