//! What the reference of an image says of its kin: family, flavour and version.
//!
//! A family is a repository: `debian` of `docker.io/library/debian:12-slim`. Within it tags differ by version and by flavour,
//! the words that are no versions: `12-slim` and `13-slim` have the same, `12` has none. Commit hashes are neither. References
//! are what people call images; nothing here looks at what is in them.

use std::cmp::Ordering;

/// Prefixes that Docker leaves out when it shows a reference: hub and official images (`reference.FamiliarName` of
/// distribution/reference).
const FAMILIAR_PREFIXES: [&str; 4] =
    ["docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/"];
/// Tags that stand for whatever is current.
const MOVING: [&str; 2] = ["latest", "stable"];

/// A reference taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The repository, as Docker shows it.
    pub family: &'a str,
    /// The words of the tag that are no versions, in lower case, joined by `-`.
    pub flavour: String,
    pub(crate) version: Version,
}

/// The versions that a tag tells, in order: `22.5-alpine3.20` tells that of node and that of alpine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Version(Vec<Told>);

/// A version in one word of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    /// What it is a version of: `alpine`; empty for the image itself.
    of: String,
    /// Its numbers.
    numbers: Vec<u64>,
    /// Of what comes before a release, which step and number: `rc1` is later than `beta3`.
    early: Option<(u8, u64)>,
}

impl<'a> Reference<'a> {
    /// Takes a reference apart. Nothing for the place of an image that has no name.
    pub fn of(name: &'a str) -> Option<Self> {
        let family = family_of(name)?;
        let (mut flavour, mut version) = (Vec::new(), Version::default());
        let tag = tag_of(name).to_ascii_lowercase();
        let words = tag.split(['-', '_', '+']).filter(|word| !MOVING.contains(word) && !is_hash(word));
        for (letters, told) in words.filter_map(word) {
            flavour.extend((!letters.is_empty()).then(|| letters.to_owned()));
            version.0.extend(told);
        }
        Some(Self { family, flavour: flavour.join("-"), version })
    }
}

impl Version {
    /// Compares with another one, word by word and number by number, as far as both go: `12` is neither earlier nor later than
    /// `12.4`. Nothing where the two count differently: `3.20` and `20240807`.
    pub(crate) fn compared(&self, other: &Self) -> Option<Ordering> {
        for (own, other) in self.0.iter().zip(&other.0).take_while(|(own, other)| own.of == other.of) {
            match own.compared(other)? {
                Ordering::Equal => {}
                decided => return Some(decided),
            }
        }
        Some(Ordering::Equal)
    }

    /// Returns true if it comes before a release: an alpha, beta or release candidate.
    pub(crate) fn is_early(&self) -> bool {
        self.0.iter().any(|told| told.early.is_some())
    }

    /// Returns how much it tells.
    pub(crate) fn numbers(&self) -> usize {
        self.0.iter().map(|told| told.numbers.len()).sum()
    }
}

impl Told {
    fn compared(&self, other: &Self) -> Option<Ordering> {
        let both = self.numbers.len().min(other.numbers.len());
        if both > 0 && is_day(self.numbers[0]) != is_day(other.numbers[0]) {
            return None;
        }
        let release = self.numbers[..both].cmp(&other.numbers[..both]);
        // What comes before a release is earlier than the release.
        let step = |told: &Self| told.early.unwrap_or((u8::MAX, 0));
        Some(release.then_with(|| step(self).cmp(&step(other))))
    }
}

/// Returns the family of a reference. Nothing for the place of an image that has no name.
pub fn family_of(name: &str) -> Option<&str> {
    if is_place(name) {
        return None;
    }
    let name = FAMILIAR_PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    Some(repository_of(name)).filter(|family| !family.is_empty())
}

/// Returns a reference without tag and digest.
pub fn repository_of(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    match name.rsplit_once(':') {
        // A colon before a slash is that of a port.
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

fn tag_of(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    name.get(repository_of(name).len() + 1..).unwrap_or_default()
}

/// Takes a word apart: letters with the version of what they name, if there is one (`slim`, `alpine3.20`, `v2.9.1`, `17rc1`).
/// Nothing for what is neither.
fn word(word: &str) -> Option<(&str, Option<Told>)> {
    let start = word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len());
    let (letters, version) = word.split_at(start);
    if version.is_empty() {
        return Some((letters, None));
    }
    let letters = if matches!(letters, "v" | "r") { "" } else { letters };
    let (release, early) = early(version)?;
    let numbers = release.split('.').filter(|part| !part.is_empty()).map(|part| part.parse().ok());
    Some((letters, Some(Told { of: letters.to_owned(), numbers: numbers.collect::<Option<_>>()?, early })))
}

/// A release, and what comes before it: a step and a number.
type Early<'a> = (&'a str, Option<(u8, u64)>);

/// Divides `17rc1` into the release and what comes before it.
fn early(version: &str) -> Option<Early<'_>> {
    let Some(start) = version.find(|c: char| c.is_ascii_alphabetic()) else { return Some((version, None)) };
    let (release, rest) = version.split_at(start);
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (mark, number) = rest.split_at(end);
    let step = match mark {
        "a" | "alpha" => 0,
        "b" | "beta" => 1,
        "rc" | "pre" => 2,
        _ => return None,
    };
    let number = number.trim_start_matches('.');
    Some((release, Some((step, if number.is_empty() { 0 } else { number.parse().ok()? }))))
}

/// Returns true for a commit's hash: seven hexadecimal digits and more that are no day, with a `g` in front as `git describe` writes.
fn is_hash(word: &str) -> bool {
    let digits = word.strip_prefix('g').filter(|digits| digits.len() >= 7).unwrap_or(word);
    let is_hex = digits.len() >= 7 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex && !digits.get(..8).and_then(|day| day.parse().ok()).is_some_and(is_day)
}

/// Returns true for the day of a snapshot: `20240807`, and times that begin so.
fn is_day(number: u64) -> bool {
    let mut day = number;
    while day > 99_999_999 {
        day /= 10;
    }
    let (year, month) = (day / 10_000, day / 100 % 100);
    (1970..2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&(day % 100))
}

/// An image without a name goes by where it was found: a path, and which of several it was there. That is its name
/// only as long as no other image with the same contents has a real one.
pub(crate) fn is_place(name: &str) -> bool {
    name.contains([' ', '\\']) || name.contains(":/") || name.starts_with(['/', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(name: &str) -> Option<(String, String, String)> {
        let Reference { family, flavour, version } = Reference::of(name)?;
        let told = version.0.iter().map(|told| {
            let numbers: Vec<String> = told.numbers.iter().map(ToString::to_string).collect();
            let early = told.early.map(|(step, number)| format!("~{step}.{number}")).unwrap_or_default();
            format!("{}{}{early}", told.of, numbers.join("."))
        });
        Some((family.to_owned(), flavour, told.collect::<Vec<_>>().join(" ")))
    }

    #[test]
    fn references_are_taken_apart() {
        let cases = [
            ("debian", "debian", "", ""),
            ("debian:latest", "debian", "", ""),
            ("docker.io/library/debian:12.4-slim", "debian", "slim", "12.4"),
            ("docker.io/grafana/loki:v2.9.1", "grafana/loki", "", "2.9.1"),
            ("debian:bookworm-20260711-slim", "debian", "bookworm-slim", "20260711"),
            ("python:3.12-alpine3.20", "python", "alpine", "3.12 alpine3.20"),
            ("registry.example:5000/corp/base", "registry.example:5000/corp/base", "", ""),
            ("registry.example:5000/corp/base:1", "registry.example:5000/corp/base", "", "1"),
            ("corp/base:2@sha256:0000", "corp/base", "", "2"),
            ("alpine:3.20.3-r1", "alpine", "", "3.20.3 1"),
            ("postgres:17rc1", "postgres", "", "17~2.1"),
            ("python:3.13.0a4-slim", "python", "slim", "3.13.0~0.4"),
            ("corp/base:git-4f2a9c1", "corp/base", "git", ""),
            ("corp/base:1234567", "corp/base", "", ""),
            ("corp/base:v1.2-3-gdeadbee", "corp/base", "", "1.2 3"),
            ("corp/base:1.0-SNAPSHOT", "corp/base", "snapshot", "1.0"),
            ("corp/base:20261121093000", "corp/base", "", "20261121093000"),
            ("corp/base:jdk17_x86b2q", "corp/base", "jdk", "jdk17"),
            ("base000:v3", "base000", "", "3"),
        ];
        for (name, family, flavour, version) in cases {
            assert_eq!(apart(name), Some((family.into(), flavour.into(), version.into())), "{name}");
        }
        assert_eq!(apart("/srv/images/app.tar"), None);
        assert_eq!(apart(":1"), None);
    }

    #[test]
    fn versions_are_compared_word_by_word_as_far_as_both_go() {
        use Ordering::{Equal, Greater, Less};
        let cases = [
            ("11.9", "12", Some(Less)),
            ("9", "11", Some(Less)),
            ("12", "12.4", Some(Equal)),
            ("latest", "12", Some(Equal)),
            ("22.5-alpine3.20", "22-alpine3.21", Some(Less)),
            ("22-alpine3.20", "22.1-alpine3.21", Some(Less)),
            ("23-alpine3.20", "22-alpine3.21", Some(Greater)),
            ("17rc1", "17.0", Some(Less)),
            ("17beta3", "17rc1", Some(Less)),
            ("17rc1", "16.4", Some(Greater)),
            ("3.20", "20240807", None),
            ("jammy-20240808", "jammy-20240911", Some(Less)),
        ];
        for (a, b, expected) in cases {
            let [a, b] = [a, b].map(|tag| format!("x:{tag}"));
            let version = |name| Reference::of(name).expect("a name").version;
            assert_eq!(version(&a).compared(&version(&b)), expected, "{a} {b}");
            let reversed = expected.map(Ordering::reverse);
            assert_eq!(version(&b).compared(&version(&a)), reversed, "{b} {a}");
        }
    }
}
