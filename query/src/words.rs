//! Shares and ties in words, said alike wherever they are said.
//!
//! Figures for machines are not rounded; these are for people.

/// Returns a share for people: `98.7 %`. Rounded half up; but what is more than nothing never reads as nothing, and what is
/// less than all never as all.
pub fn percent(share: f64) -> String {
    rounded(share, 1)
}

/// Returns a share for people, in a whole number of percent: `99 %`.
pub fn whole_percent(share: f64) -> String {
    rounded(share, 0)
}

fn rounded(share: f64, places: usize) -> String {
    let (unit, least, most) = if places == 0 { (1.0, "<1 %", ">99 %") } else { (10.0, "<0.1 %", ">99.9 %") };
    let all = 100.0 * unit;
    // What division and multiplication lose of a half is given back.
    let units = (share * all * (1.0 + 2.0 * f64::EPSILON)).round();
    match share {
        _ if share > 0.0 && units < 1.0 => least.into(),
        _ if share < 1.0 && units >= all => most.into(),
        _ => format!("{:.places$} %", units / unit),
    }
}

/// Returns the names of a tie, of which any may be the one that is meant: `debian:12 or debian:12.5`.
pub fn either(names: &[String]) -> String {
    match names {
        [] => "a base without a name".into(),
        [name] => name.clone(),
        [names @ .., last] => format!("{} or {last}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_half_up_and_only_nothing_and_all_read_as_such() {
        let cases = [
            (0.0, "0.0 %", "0 %"),
            (0.000_000_1, "<0.1 %", "<1 %"),
            (0.000_499, "<0.1 %", "<1 %"),
            (0.000_5, "0.1 %", "<1 %"),
            (0.004_999, "0.5 %", "<1 %"),
            (0.005, "0.5 %", "1 %"),
            (0.123_449, "12.3 %", "12 %"),
            (0.125, "12.5 %", "13 %"),
            (2.0 / 3.0, "66.7 %", "67 %"),
            (0.994_999, "99.5 %", "99 %"),
            (0.995, "99.5 %", ">99 %"),
            (0.999_499, "99.9 %", ">99 %"),
            (0.999_5, ">99.9 %", ">99 %"),
            (0.999_999_9, ">99.9 %", ">99 %"),
            (1.0, "100.0 %", "100 %"),
            (1.25, "125.0 %", "125 %"),
        ];
        for (share, expected, expected_whole) in cases {
            assert_eq!((&*percent(share), &*whole_percent(share)), (expected, expected_whole), "{share}");
        }
    }

    /// A share of counts that lies in the middle is a fraction of 2000, which no float has exactly.
    #[test]
    fn no_half_is_lost_between_counts_and_what_is_shown() {
        for tenths in 1..999_u32 {
            let share = f64::from(2 * tenths + 1) / 2000.0;
            let up = tenths + 1;
            assert_eq!(percent(share), format!("{}.{} %", up / 10, up % 10), "{share}");
        }
    }

    #[test]
    fn of_a_tie_any_name_may_be_meant() {
        let told = |names: &[&str]| either(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(told(&[]), "a base without a name");
        assert_eq!(told(&["debian:12"]), "debian:12");
        assert_eq!(told(&["debian:12", "debian:12.5"]), "debian:12 or debian:12.5");
        assert_eq!(told(&["a:1", "a:2", "b:1"]), "a:1, a:2 or b:1");
    }
}
