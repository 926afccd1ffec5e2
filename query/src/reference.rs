//! What the reference of an image says of its kin: family, flavour and version.
//!
//! A family is a repository: `debian` of `docker.io/library/debian:12-slim`. Within it tags differ by version and by flavour,
//! the words that are no versions: `12-slim` and `13-slim` have the same, `12` has none. Digits of a commit are neither. References are what people
//! call images; nothing here looks at what is in them.

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
    /// The words of the tag that are no versions, joined by `-`.
    pub flavour: String,
    /// The numbers of the tag's versions, in order; empty if it has none.
    pub version: Vec<u64>,
}

impl<'a> Reference<'a> {
    /// Takes a reference apart. Nothing for the place of an image that has no name.
    pub fn of(name: &'a str) -> Option<Self> {
        let family = family_of(name)?;
        let (mut flavour, mut version) = (String::new(), Vec::new());
        for word in tag_of(name).split(['-', '_', '+']).filter(|word| !MOVING.contains(word)) {
            let Word::Told(letters, numbers) = Word::of(word) else { continue };
            version.extend(numbers);
            if !letters.is_empty() {
                flavour.push_str(if flavour.is_empty() { "" } else { "-" });
                flavour.push_str(letters);
            }
        }
        Some(Self { family, flavour, version })
    }
}

/// Returns true if a version comes before another. Of versions with different numbers of parts those are compared that
/// both have: `12` is neither earlier nor later than `12.4`.
pub(crate) fn is_earlier(version: &[u64], other: &[u64]) -> bool {
    let both = version.len().min(other.len());
    version[..both] < other[..both]
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

/// A word of a tag.
enum Word<'a> {
    /// Letters with the version of what they name, if there is one: `slim`, `alpine3.20`, `v2.9.1`, `17rc1`.
    Told(&'a str, Vec<u64>),
    /// Neither: `4f2a9c1`.
    Opaque,
}

impl<'a> Word<'a> {
    fn of(word: &'a str) -> Self {
        let start = word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len());
        let (letters, version) = word.split_at(start);
        let numbers = version.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let (release, candidate) = split_candidate(numbers);
        let parts = release.split('.').chain(candidate);
        let Some(numbers) = parts.filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect()
        else {
            return Self::Opaque;
        };
        let is_mark = !version.is_empty() && matches!(letters, "v" | "V" | "r");
        Self::Told(if is_mark { "" } else { letters }, numbers)
    }
}

/// Divides `17rc1`: what comes before `rc`, `alpha`, `beta` or `p`, and the number after it.
fn split_candidate(version: &str) -> (&str, Option<&str>) {
    let found = ["alpha", "beta", "rc", "p"].iter().find_map(|mark| version.split_once(mark));
    found.map_or((version, None), |(release, candidate)| (release, Some(candidate)))
}

/// An image without a name goes by where it was found: a path, and which of several it was there. That is its name
/// only as long as no other image with the same contents has a real one.
pub(crate) fn is_place(name: &str) -> bool {
    name.contains([' ', '\\']) || name.contains(":/") || name.starts_with(['/', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(name: &str) -> Option<(String, String, Vec<u64>)> {
        let reference = Reference::of(name)?;
        Some((reference.family.to_owned(), reference.flavour, reference.version))
    }

    #[test]
    fn references_are_taken_apart() {
        let cases: [(&str, &str, &str, &[u64]); 14] = [
            ("debian", "debian", "", &[]),
            ("debian:latest", "debian", "", &[]),
            ("docker.io/library/debian:12.4-slim", "debian", "slim", &[12, 4]),
            ("docker.io/grafana/loki:v2.9.1", "grafana/loki", "", &[2, 9, 1]),
            ("debian:bookworm-20260711-slim", "debian", "bookworm-slim", &[20_260_711]),
            ("python:3.12-alpine3.20", "python", "alpine", &[3, 12, 3, 20]),
            ("registry.example:5000/corp/base", "registry.example:5000/corp/base", "", &[]),
            ("registry.example:5000/corp/base:1", "registry.example:5000/corp/base", "", &[1]),
            ("corp/base:2@sha256:0000", "corp/base", "", &[2]),
            ("alpine:3.20.3-r1", "alpine", "", &[3, 20, 3, 1]),
            ("postgres:17rc1", "postgres", "", &[17, 1]),
            ("corp/base:git-4f2a9c1", "corp/base", "git", &[]),
            ("corp/base:jdk17_x86b2", "corp/base", "jdk", &[17]),
            ("base000:v3", "base000", "", &[3]),
        ];
        for (name, family, flavour, version) in cases {
            assert_eq!(apart(name), Some((family.into(), flavour.into(), version.to_vec())), "{name}");
        }
        assert_eq!(apart("/srv/images/app.tar"), None);
        assert_eq!(apart(":1"), None);
    }

    #[test]
    fn versions_are_compared_as_far_as_both_go() {
        let version = |name| Reference::of(name).expect("a name").version;
        let is_earlier = |a, b| is_earlier(&version(a), &version(b));
        assert!(is_earlier("debian:11.9", "debian:12"));
        assert!(is_earlier("debian:9", "debian:11"));
        for (a, b) in [("debian:12", "debian:12.4"), ("debian:12.4", "debian:12"), ("debian", "debian:12")] {
            assert!(!is_earlier(a, b), "{a} {b}");
        }
    }
}
