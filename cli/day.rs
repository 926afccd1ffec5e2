//! Days: from what a person types, and as text.

use std::fmt;
use std::str::FromStr;

use anyhow::Context;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::ingest::now_unix_s;

/// A moment that was given as a day, its beginning in UTC, or as a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Timestamp);

impl Day {
    /// Returns what is now.
    pub fn now() -> Self {
        Self(Timestamp::now())
    }

    /// Returns a moment.
    pub fn of_timestamp(timestamp: Timestamp) -> Self {
        Self(timestamp)
    }

    /// Returns the day of a moment, in seconds since 1970.
    pub fn of_unix_s(seconds: u64) -> Option<Self> {
        Timestamp::from_second(i64::try_from(seconds).ok()?).ok().map(Self)
    }

    /// Returns the moment of an RFC 3339 time.
    pub fn of_rfc3339(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// Returns the day of the calendar, in UTC.
    pub fn date(self) -> Date {
        self.0.to_zoned(TimeZone::UTC).date()
    }

    /// Returns how many days of the calendar lie between an earlier moment and this one, in UTC; negative if it was later.
    pub fn days_since(self, earlier: Self) -> i64 {
        let days = |day: Self| day.0.as_second().div_euclid(24 * 3600);
        days(self) - days(earlier)
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let day = || date(text)?.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp());
        let moment = text.parse().ok().or_else(day);
        moment
            .map(Self)
            .ok_or_else(|| "a day is 2026-01-31, or a time with Z or an offset: 2026-01-31T12:00:00Z".into())
    }
}

/// Reads a date and nothing else: of a time that does not say where it is, nobody knows the day.
pub fn date(text: &str) -> Option<Date> {
    let is_date = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    text.parse().ok().filter(|_| is_date)
}

/// The day that ages are counted to, and who says so.
#[derive(Debug, Clone, Copy)]
pub struct AsOf {
    pub day: Day,
    from: &'static str,
}

impl AsOf {
    /// Returns the day that was told: by an option, or else by the environment.
    pub fn told(option: Option<Day>) -> anyhow::Result<Option<Self>> {
        if let Some(day) = option {
            return Ok(Some(Self { day, from: "--as-of" }));
        }
        let Some(seconds) = now_unix_s()? else { return Ok(None) };
        let day = Day::of_unix_s(seconds).context("SOURCE_DATE_EPOCH is out of all bounds")?;
        Ok(Some(Self { day, from: "SOURCE_DATE_EPOCH" }))
    }

    /// Returns what is now.
    pub fn today() -> Self {
        Self { day: Day::now(), from: "today" }
    }

    /// Returns when something was last stored.
    pub fn last_stored(day: Day) -> Self {
        Self { day, from: "last stored" }
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.day, self.from)
    }
}

/// A day, or so many days before the one to which a report counts.
#[derive(Debug, Clone, Copy)]
pub enum Since {
    Day(Day),
    DaysAgo(Span),
}

impl Since {
    /// Returns the day, where days ago are counted from `today`, or else from now.
    pub fn before(self, today: Option<Day>) -> Day {
        let today = today.unwrap_or_else(Day::now);
        match self {
            Self::Day(day) => day,
            // Before all days that there are: everything is since then.
            Self::DaysAgo(span) => Day(today.0.checked_sub(span).unwrap_or(Timestamp::MIN)),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ago = text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok());
        let span = ago.and_then(|days| Span::new().try_hours(days.checked_mul(24)?).ok());
        let day = || text.parse().map(Self::Day).map_err(|told| format!("{told}, or 30d for days ago"));
        span.map_or_else(day, |span| Ok(Self::DaysAgo(span)))
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => day.fmt(f),
            Self::DaysAgo(span) => write!(f, "{} days ago", span.get_hours() / 24),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_read_and_nothing_else() {
        let read = |text: &str| text.parse::<Day>().ok().map(|day| day.to_string());
        assert_eq!(read("2024-02-29").as_deref(), Some("2024-02-29"));
        assert_eq!(read("2024-02-29T23:30:00-01:00").as_deref(), Some("2024-03-01"));
        assert_eq!(read("2024-02-29T12:00Z").as_deref(), Some("2024-02-29"));
        assert_eq!(["2023-02-29", "yesterday", "", "30d"].map(read), [const { None }; 4]);
        // Noon of where?
        assert_eq!(
            ["2024-02-29T12:00", "2024-02-29 12:00:00", "2024-02-29T00"].map(read),
            [const { None }; 3]
        );
        let [first, second]: [Day; 2] = ["2024-02-28", "2024-03-01"].map(|day| day.parse().expect("a day"));
        assert_eq!((second.days_since(first), first.days_since(second)), (2, -2));
        let late: Day = "2024-02-28T23:59:59Z".parse().expect("a time");
        assert_eq!(second.days_since(late), 2, "as the calendar counts");
    }

    #[test]
    fn days_ago_are_counted_from_the_day_that_is_told() {
        let today: Day = "2026-07-20".parse().expect("a day");
        let since = |text: &str| text.parse::<Since>().map(|since| since.before(Some(today)).to_string());
        assert_eq!(since("30d").as_deref(), Ok("2026-06-20"));
        assert_eq!(since("2026-01-31").as_deref(), Ok("2026-01-31"));
        assert!(since("99999999999999999d").is_err() && since("d").is_err() && since("soon").is_err());
    }
}
