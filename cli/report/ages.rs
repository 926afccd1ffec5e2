//! How old bases are: by quarter of the year in which they were made, with how many images stand on each.
//!
//! Dates are what configurations say. Some builders write none, or the first of 1970 or 1980, so that the same input gives
//! the same bytes: what comes before containers did is no date.

use jiff::civil::Date;

use super::overview::Overview;

/// Docker's first release. What claims to be older says nothing.
const FIRST: Date = Date::constant(2013, 3, 1);
/// Quarters that a chart shows; the first stands for all before it, too.
const QUARTERS_MAX: usize = 24;

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
    /// Each quarter from the first to the last.
    pub quarters: Vec<AgeSum>,
    /// Whether the first quarter stands for earlier ones, too.
    pub has_earlier: bool,
    /// Images on bases without a date that says something.
    pub undated: u64,
    /// Half of the images stand on bases that are as old or older.
    pub median_days: Option<i64>,
}

impl Ages {
    pub fn of(overview: &Overview, as_of: Date) -> Self {
        let mut ages = Self::default();
        let mut days = Vec::new();
        let mut dated = Vec::new();
        for base in overview.bases.iter().filter(|base| base.images > 0) {
            match base.created.as_deref().and_then(date) {
                Some(date) => {
                    days.push((days_between(date, as_of), base.images));
                    dated.push((Quarter::of(date), base));
                }
                None => ages.undated += base.images,
            }
        }
        ages.median_days = median(days);
        let Some(last) = dated.iter().map(|(quarter, _)| *quarter).max() else { return ages };
        let earliest = dated.iter().map(|(quarter, _)| *quarter).min().unwrap_or(last);
        let first = earliest.max(Quarter(last.0 + 1 - i32::try_from(QUARTERS_MAX).expect("a small number")));
        ages.has_earlier = first > earliest;
        ages.quarters = (first.0..=last.0).map(|at| AgeSum::none(Quarter(at))).collect();
        for (quarter, base) in dated {
            let at = usize::try_from(quarter.0 - first.0).unwrap_or(0);
            let sum = &mut ages.quarters[at];
            sum.bases += 1;
            *if base.is_outdated() { &mut sum.outdated } else { &mut sum.current } += base.images;
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

/// Returns the day of a time as configurations have it, if it says something.
pub fn date(time: &str) -> Option<Date> {
    let date: Date = time.get(..10)?.parse().ok()?;
    (date >= FIRST).then_some(date)
}

pub fn days_between(from: Date, to: Date) -> i64 {
    (to - from).get_days().into()
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
    fn dates_that_say_nothing_are_none() {
        let none =
            ["", "1970-01-01T00:00:00Z", "1980-01-01T00:00:01Z", "0001-01-01T00:00:00Z", "2025-13-01", "20é"];
        assert_eq!(none.map(date), [None; 6]);
        assert_eq!(date("2025-03-31T23:59:59.999Z"), Some(Date::constant(2025, 3, 31)));
    }

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
    fn a_median_counts_how_often_a_value_occurs() {
        assert_eq!(median(vec![(400, 1), (10, 1), (30, 5)]), Some(30));
        assert_eq!(median(vec![(10, 1), (30, 1)]), Some(30));
        assert_eq!(median(Vec::new()), None);
    }
}
