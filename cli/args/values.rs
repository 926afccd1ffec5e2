//! How values of options are read.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use layerprint_query::State;
use layerprint_store::Platform;

/// A state by its name.
#[derive(Debug, Clone, Copy)]
pub struct StateName(pub State);

impl ValueEnum for StateName {
    fn value_variants<'a>() -> &'a [Self] {
        const NAMES: [StateName; State::ALL.len()] = {
            let mut names = [StateName(State::Same); State::ALL.len()];
            let mut index = 0;
            while index < names.len() {
                names[index] = StateName(State::ALL[index]);
                index += 1;
            }
            names
        };
        &NAMES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.word()))
    }
}

pub fn platform(text: &str) -> Result<Platform, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let (os, architecture, variant) = match parts[..] {
        [os, architecture] => (os, architecture, ""),
        [os, architecture, variant] if !variant.is_empty() => (os, architecture, variant),
        _ => ("", "", ""),
    };
    if os.is_empty() || architecture.is_empty() {
        return Err("a platform is os/architecture[/variant], such as linux/arm64".into());
    }
    Ok(Platform {
        os: os.to_owned(),
        architecture: architecture.to_owned(),
        variant: variant.to_owned(),
        os_version: String::new(),
    })
}

/// A label that is asked for: its key, and its value if that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub key: String,
    pub value: Option<String>,
}

impl FromStr for Label {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
        match key.trim() {
            "" => Err("a label has no key: it is KEY, or KEY=VALUE where the value may be empty"),
            _ => Ok(Self { key: key.to_owned(), value: value.map(str::to_owned) }),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

/// Reads a share of which layers must have at least half.
pub fn share(text: &str) -> Result<f64, String> {
    let share: Option<f64> = text.parse().ok();
    share.filter(|share| (0.5..=1.0).contains(share)).ok_or_else(|| "a share is from 0.5 to 1".into())
}

/// Reads a size in powers of 1024: `512M`, `1GiB`, `1073741824`.
pub fn size_bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor =
        match text[digits.len()..].trim().to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
            "" => Some(1_u64),
            unit => ["k", "m", "g", "t"]
                .iter()
                .zip([10, 20, 30, 40])
                .find(|(name, _)| **name == unit)
                .map(|(_, by)| 1 << by),
        };
    let size = factor.zip(digits.parse::<u64>().ok()).and_then(|(factor, count)| count.checked_mul(factor));
    size.ok_or_else(|| "a size is a number of bytes, KiB, MiB or GiB, such as 512M or 1GiB".into())
}

#[cfg(test)]
mod tests {
    use super::Label;

    #[test]
    fn labels_have_a_key_and_may_have_a_value() {
        let read = |text: &str| text.parse::<Label>().ok().map(|label| (label.key, label.value));
        let label = |key: &str, value: Option<&str>| Some((key.to_owned(), value.map(str::to_owned)));
        assert_eq!(read("team"), label("team", None));
        assert_eq!(read("team="), label("team", Some("")));
        assert_eq!(read("a=b=c"), label("a", Some("b=c")));
        assert_eq!(["", " ", "=", "=b"].map(read), [const { None }; 4]);
    }

    #[test]
    fn sizes_are_read_with_and_without_units() {
        let read = |text| super::size_bytes(text).ok();
        assert_eq!(
            ["0", "512M", "512 MiB", "1g", "2TB"].map(read),
            [0, 512 << 20, 512 << 20, 1 << 30, 2 << 40].map(Some)
        );
        assert_eq!(["", "M", "-1", "1.5G", "1X", "99999999999999T"].map(read), [None; 6]);
    }
}
