//! Which of two images was made first, by the dates in their configurations.
//!
//! Reads the RFC 3339 dates that builders write, and knows which of them mean nothing: builds that can be repeated put
//! the epoch or another fixed day there. A date is a statement, not a proof; what rests on it is left to others.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use layerprint_store::ImageRecord;

/// Container images began with Docker, in this year. Earlier dates are placeholders: year 1, 1970, 1980.
const YEAR_MIN: i16 = 2013;
const DAY_S: i64 = 86_400;

/// Returns true if both say when they were made, and the first was made later.
pub(crate) fn is_after(image: &ImageRecord, other: &ImageRecord) -> bool {
    made(image).zip(made(other)).is_some_and(|(image, other)| image > other)
}

/// Returns true if all others, of which there are some, were made more than a day after an image, by what they say. Clocks differ,
/// and pipelines build a base and what is built on it in any order within a night.
pub(crate) fn are_all_later(others: &[Arc<ImageRecord>], image: &ImageRecord) -> bool {
    let is_later = |other: &Arc<ImageRecord>| {
        made(other).zip(made(image)).is_some_and(|(other, image)| other - image > DAY_S)
    };
    !others.is_empty() && others.iter().all(is_later)
}

/// Returns true if both say when they were made.
pub(crate) fn are_known(image: &ImageRecord, other: &ImageRecord) -> bool {
    made(image).is_some() && made(other).is_some()
}

/// Returns when an image was made, in seconds since 1970, if it says so.
pub(crate) fn made(image: &ImageRecord) -> Option<i64> {
    seconds(image.created.as_deref()?)
}

/// Returns seconds since 1970; the part after the point is dropped.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let made = text.parse::<Timestamp>().ok()?;
    Some(made.as_second()).filter(|_| made.to_zoned(TimeZone::UTC).year() >= YEAR_MIN)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn dates_are_ordered_as_the_moments_that_they_name() {
        let ordered = [
            "2013-01-01T00:00:00Z",
            "2024-02-28T23:59:59.999999999Z",
            "2024-02-29T00:00:00Z",
            "2024-03-01T01:00:00+02:00",
            "2024-03-01T00:00:00Z",
            "2024-12-31T23:59:59-00:30",
            "2025-01-01t01:00:00.5z",
            "2026-11-21 12:00:00+00:00",
        ];
        let moments: Vec<i64> = ordered.iter().map(|text| seconds(text).expect(text)).collect();
        assert!(moments.is_sorted_by(|a, b| a < b), "{moments:?}");
        assert_eq!(
            seconds("2024-03-01T00:00:00Z").unwrap() - seconds("2024-02-28T00:00:00Z").unwrap(),
            2 * 86_400
        );
        assert_eq!(seconds("2026-01-01T02:00:00+02:00"), seconds("2025-12-31T23:00:00-01:00"));
    }

    #[test]
    fn what_is_no_date_or_means_none_is_unknown() {
        let unknown = [
            "",
            "yesterday",
            "0001-01-01T00:00:00Z",
            "1970-01-01T00:00:00Z",
            "1980-01-01T00:00:01Z",
            "2012-12-31T23:59:59Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00+2:0",
            "2024-01-01T00:00:00 UTC",
            "+024-01-01T00:00:00Z",
            "2024-01-01T99:00:00Z",
            "２０２４-01-01T00:00:00Z",
        ];
        for text in unknown {
            assert_eq!(seconds(text), None, "{text:?}");
        }
    }
}
