//! The last day of an exemption: a date of TOML, or text.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::value::Datetime;

use crate::day::{Day, date};

/// See the module.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "Written")]
pub struct Until(Date);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Date(Datetime),
    Text(String),
}

impl TryFrom<Written> for Until {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let text = match written {
            Written::Date(date) => date.to_string(),
            Written::Text(text) => text,
        };
        date(&text).map(Self).ok_or("a last day is a date such as 2026-12-31, without a time")
    }
}

impl Until {
    /// Returns true if a moment is on that day in UTC, or before.
    pub fn includes(self, day: Day) -> bool {
        let Ok(next) = self.0.tomorrow() else { return true };
        let end = next.to_zoned(TimeZone::UTC).map(|next| Day::of_timestamp(next.timestamp()));
        end.is_ok_and(|end| day < end)
    }
}

impl std::fmt::Display for Until {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_is_included_to_its_end() {
        let until = |text: &str| toml::from_str::<std::collections::HashMap<String, Until>>(text);
        let last = until("day = 2026-12-31").unwrap()["day"];
        let is_in = |moment: &str| last.includes(moment.parse().unwrap());
        assert!(is_in("2026-12-31T23:59:59Z") && !is_in("2027-01-01T00:00:00Z"));
        assert_eq!(until("day = \"2026-12-31\"").unwrap()["day"].to_string(), "2026-12-31");
        let times =
            ["day = 2026-12-31T12:00:00", "day = 2026-12-31T12:00:00-10:00", "day = \"2026-12-31T12:00Z\""];
        let others = ["day = \"31.12.2026\"", "day = 12:30:00", "day = 2026", "day = \"30d\""];
        for wrong in times.into_iter().chain(others) {
            assert!(until(wrong).is_err(), "{wrong}");
        }
    }
}
