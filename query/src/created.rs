//! Which of two images was made first, by the dates in their configurations.
//!
//! Reads the RFC 3339 dates that builders write, and knows which of them mean nothing: builds that can be repeated put
//! the epoch or another fixed day there. A date is a statement, not a proof; what rests on it is left to others.

use layerprint_store::ImageRecord;

/// Container images began with Docker, in this year. Earlier dates are placeholders: year 1, 1970, 1980.
const YEAR_MIN: i64 = 2013;

/// Returns true if both say when they were made, and the first was made later.
pub(crate) fn is_after(image: &ImageRecord, other: &ImageRecord) -> bool {
    made(image).zip(made(other)).is_some_and(|(image, other)| image > other)
}

/// Returns true if both say when they were made.
pub(crate) fn are_known(image: &ImageRecord, other: &ImageRecord) -> bool {
    made(image).is_some() && made(other).is_some()
}

fn made(image: &ImageRecord) -> Option<i64> {
    seconds(image.created.as_deref()?)
}

/// Returns seconds since the year 0, all years of the Gregorian calendar; the part after the point is dropped.
fn seconds(text: &str) -> Option<i64> {
    let number = |from: usize, length: usize| {
        let digits =
            text.get(from..from + length).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse::<i64>().ok())
    };
    let is = |at: usize, any: &[u8]| text.as_bytes().get(at).is_some_and(|byte| any.contains(byte));
    let separated = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let in_day = number(11, 2)? * 3600 + number(14, 2)? * 60 + number(17, 2)?;
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day) && in_day <= 86_400;
    if !separated || !is_date || year < YEAR_MIN {
        return None;
    }
    // Years that begin in March have their leap day at the end, and months of 153 days in five.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = years * 365 + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day;
    Some(days * 86_400 + in_day - offset_s(text.get(19..)?)?)
}

/// Reads what follows the seconds: a fraction, then `Z` or the distance from it.
fn offset_s(text: &str) -> Option<i64> {
    let zone = match text.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|digit: char| digit.is_ascii_digit()),
        None => text,
    };
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, clock) = match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
        (Some(clock), _) => (1, clock),
        (_, Some(clock)) => (-1, clock),
        _ => return None,
    };
    let (hours, minutes) = clock.split_once(':')?;
    let number = |digits: &str| digits.parse::<u8>().ok().filter(|_| digits.len() == 2).map(i64::from);
    Some(sign * (number(hours)? * 3600 + number(minutes)? * 60))
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
