//! How old bases are: by quarter of the year in which they were made, with how many images stand on each.
//!
//! Dates are what configurations say, but for those that mean nothing: `Base::created` passes over them.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::overview::{Made, Overview};
use crate::day::Day;

/// Quarters that a chart shows; the first stands for all before it, too.
const QUARTERS_MAX: i32 = 24;
/// Quarters that it shows at least: of one alone nobody sees whether it is long ago.
const QUARTERS_MIN: i32 = 8;

/// Three months of a year, counted from year zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarter(i32);

impl Quarter {
    pub fn of(date: Date) -> Self {
        Self(i32::from(date.year()) * 4 + i32::from((date.month() - 1) / 3))
    }

    pub fn year(self) -> i32 {
        self.0.div_euclid(4)
    }

    /// From 1 to 4.
    pub fn number(self) -> i32 {
        self.0.rem_euclid(4) + 1
    }
}

/// What was made in a quarter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgeSum {
    pub quarter: Quarter,
    pub bases: u64,
    /// Images on bases of which none newer is stored, or of which that is not known.
    pub current: u64,
    /// Images on bases of which newer ones are stored.
    pub outdated: u64,
}

/// The ages of all bases that images stand on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ages {
    /// Each quarter from the first to the day that ages are counted to, or to the last.
    pub quarters: Vec<AgeSum>,
    /// Whether the first quarter stands for earlier ones, too.
    pub has_earlier: bool,
    /// Images on bases without a date that says something.
    pub undated: u64,
    /// Half of the images stand on bases that are as old or older.
    pub median_days: Option<i64>,
}

impl Ages {
    pub fn of(overview: &Overview, as_of: Day) -> Self {
        let known = || overview.made.iter().filter_map(|(day, made)| Some(((*day)?, made)));
        let mut ages = Self {
            undated: overview.made.get(&None).map_or(0, Made::images),
            median_days: median(known().map(|(day, made)| (as_of.days_since(day), made.images())).collect()),
            ..Self::default()
        };
        let quarters = || known().map(|(day, _)| Quarter::of(day.date()));
        // Days come in order.
        let (Some(earliest), Some(last)) = (quarters().next(), quarters().next_back()) else { return ages };
        let last = last.max(Quarter::of(as_of.date()));
        let first = earliest.min(Quarter(last.0 + 1 - QUARTERS_MIN)).max(Quarter(last.0 + 1 - QUARTERS_MAX));
        ages.has_earlier = first > earliest;
        ages.quarters = (first.0..=last.0).map(|at| AgeSum::none(Quarter(at))).collect();
        let mut bases = vec![BTreeSet::<usize>::new(); ages.quarters.len()];
        for (day, made) in known() {
            let at = usize::try_from(Quarter::of(day.date()).0 - first.0).unwrap_or(0);
            bases[at].extend(&made.bases);
            ages.quarters[at].current += made.current;
            ages.quarters[at].outdated += made.outdated;
        }
        for (quarter, bases) in ages.quarters.iter_mut().zip(bases) {
            quarter.bases = bases.len() as u64;
        }
        ages
    }
}

impl AgeSum {
    fn none(quarter: Quarter) -> Self {
        Self { quarter, bases: 0, current: 0, outdated: 0 }
    }

    pub fn images(&self) -> u64 {
        self.current + self.outdated
    }
}

/// The middle of values that occur so many times each.
fn median(mut values: Vec<(i64, u64)>) -> Option<i64> {
    values.sort_unstable();
    let half = values.iter().map(|(_, times)| times).sum::<u64>() / 2;
    let mut seen = 0;
    let middle = values.iter().find(|(_, times)| {
        seen += times;
        seen > half
    });
    middle.map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_are_those_of_the_calendar() {
        let told = |year, month| {
            let quarter = Quarter::of(Date::constant(year, month, 1));
            (quarter.year(), quarter.number())
        };
        let all = [told(2025, 3), told(2025, 4), told(2025, 12), told(2026, 1)];
        assert_eq!(all, [(2025, 1), (2025, 2), (2025, 4), (2026, 1)]);
    }

    #[test]
    fn columns_reach_from_the_oldest_base_to_the_day_of_the_report() {
        let told = |day: &str, made: &[(&str, u64)]| {
            let made = made.iter().map(|(day, current)| {
                let made = Made { bases: BTreeSet::from([0]), current: *current, outdated: 0 };
                (Some(day.parse().unwrap()), made)
            });
            let mut overview = Overview::default();
            overview.made = made.collect();
            let ages = Ages::of(&overview, day.parse().unwrap());
            let ends = [ages.quarters.first(), ages.quarters.last()].map(|end| end.unwrap().quarter);
            let images =
                ages.quarters.iter().map(AgeSum::images).filter(|images| *images > 0).collect::<Vec<_>>();
            (ends.map(|end| (end.year(), end.number())), ages.quarters.len(), ages.has_earlier, images)
        };
        assert_eq!(told("2026-02-01", &[("2026-01-31", 3)]), ([(2024, 2), (2026, 1)], 8, false, vec![3]));
        let long = [("2012-01-01", 1), ("2019-07-01", 2), ("2023-04-01", 4)];
        assert_eq!(told("2026-02-01", &long), ([(2020, 2), (2026, 1)], 24, true, vec![3, 4]));
        // A date that lies ahead is shown where it lies.
        assert_eq!(told("2026-02-01", &[("2026-07-01", 1)]), ([(2024, 4), (2026, 3)], 8, false, vec![1]));
    }

    #[test]
    fn a_median_counts_how_often_a_value_occurs() {
        assert_eq!(median(vec![(400, 1), (10, 1), (30, 5)]), Some(30));
        assert_eq!(median(vec![(10, 1), (30, 1)]), Some(30));
        assert_eq!(median(Vec::new()), None);
    }
}
