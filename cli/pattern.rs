//! Patterns for names of images.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use layerprint_ingest::familiar;
use layerprint_query::{FleetImage, repository_of};
use layerprint_store::id::ImageId;
use serde::Deserialize;

/// What stands before the names of the registry that is left out.
const HUB: &str = "docker.io/";
const ID_PREFIX: &str = "sha256:";
/// Digits of an ID that stand for it.
const ID_DIGITS_MIN: usize = 12;

/// A pattern as it was written: `debian:12*`, `registry.example/*/base`, `debian` for every tag, or the start of an image ID.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    text: String,
    glob: GlobMatcher,
}

impl Pattern {
    /// Returns true if a name is meant: the whole of it, or what comes before its tag; as people type it, or spelled out.
    pub fn matches(&self, name: &str) -> bool {
        let is_match = |name: &str| self.glob.is_match(name) || self.glob.is_match(repository_of(name));
        let name = familiar(name);
        is_match(&name) || spelled_out(&name).is_some_and(|name| is_match(&name))
    }

    /// Returns true if a stored image is meant.
    pub fn means(&self, image: &FleetImage) -> bool {
        image.names.iter().any(|(name, _)| self.matches(name)) || self.is_id(&image.id)
    }

    /// Returns true if an image is meant by its ID.
    pub fn is_id(&self, id: &ImageId) -> bool {
        let digits = self.text.strip_prefix(ID_PREFIX).unwrap_or(&self.text);
        digits.len() >= ID_DIGITS_MIN && id.to_hex().starts_with(digits)
    }
}

/// Names are stored in the form that people type. A pattern without wildcards is brought into it; one with some would mean others
/// then: of `docker.io/*` everything would be left.
fn wanted(text: &str) -> String {
    match text.contains(['*', '?', '[', '{']) {
        true => text.strip_prefix("index.").filter(|rest| rest.starts_with(HUB)).unwrap_or(text).to_owned(),
        false => familiar(text),
    }
}

/// Returns a name with what [`familiar`] leaves out. Nothing for a name at another registry, and for a place.
fn spelled_out(name: &str) -> Option<String> {
    match name.split_once('/') {
        _ if name.contains([' ', '\\']) => None,
        None => Some(format!("{HUB}library/{name}")),
        Some((host, _)) if host.is_empty() || host.contains(['.', ':']) || host == "localhost" => None,
        Some(_) => Some(format!("{HUB}{name}")),
    }
}

fn is_id(digits: &str) -> bool {
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    (ID_DIGITS_MIN..=64).contains(&digits.len()) && digits.bytes().all(is_digit)
}

/// Why a text is no pattern.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// It means no image at all.
    #[error("a pattern is empty: it is a name, a repository or an ID, with * for anything")]
    Empty,
    /// It begins as an ID does, and is none.
    #[error("{text} is no image ID: sha256: and {ID_DIGITS_MIN} to 64 digits, each 0-9 or a-f")]
    Id { text: String },
    /// It cannot be read.
    #[error(transparent)]
    Glob(#[from] globset::Error),
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() {
            return Err(PatternError::Empty);
        }
        if text.strip_prefix(ID_PREFIX).is_some_and(|digits| !is_id(digits)) {
            return Err(PatternError::Id { text: text.to_owned() });
        }
        // Names have slashes and dots of their own, which `*` passes over; a backslash is a character as any other.
        let glob =
            GlobBuilder::new(&wanted(text)).literal_separator(false).backslash_escape(false).build()?;
        Ok(Self { text: text.to_owned(), glob: glob.compile_matcher() })
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_names_repositories_and_ids() {
        let cases = [
            ("debian", "debian:12", true),
            ("debian", "corp/debian:12", false),
            ("*debian", "corp/debian:12", true),
            ("debian:1?", "debian:12", true),
            ("debian:12*", "debian:12-slim@sha256:0123", true),
            ("debian:{11,12}", "debian:13", false),
            ("registry.example:5000/*", "registry.example:5000/a/b:1", true),
            ("Debian", "debian:12", false),
            ("docker.io/library/debian:12", "debian:12", true),
            ("docker.io/debian", "debian:12", true),
            ("index.docker.io/library/deb*", "debian:12", true),
            ("docker.io/*", "grafana/loki:2", true),
            ("docker.io/*", "registry.example/debian:12", false),
            ("docker.io/*", "localhost/debian:12", false),
            ("docker.io/*", "/srv/debian.tar", false),
            ("docker.io/library/*", "grafana/loki:2", false),
            ("debian", "docker.io/library/debian:12", true),
        ];
        for (text, name, expected) in cases {
            let pattern: Pattern = text.parse().expect("a pattern");
            assert_eq!(pattern.matches(name), expected, "{pattern} {name}");
        }
        let id = ImageId::of_config(b"{}");
        for (length, expected) in [(7 + 12, true), (7 + 13, true), (71, true)] {
            let pattern: Pattern = id.to_string()[..length].parse().expect("a pattern");
            assert_eq!(pattern.is_id(&id), expected, "{pattern}");
        }
        for wrong in ["sha256:", "sha256:0123456789a", "sha256:0123456789AB", "sha256:*", &format!("{id}0")] {
            assert!(matches!(wrong.parse::<Pattern>(), Err(PatternError::Id { .. })), "{wrong}");
        }
        assert!(!id.to_hex()[..4].parse::<Pattern>().expect("a name").is_id(&id));
        assert!(matches!("debian[".parse::<Pattern>(), Err(PatternError::Glob(_))));
        for nothing in ["", " ", "\t\n"] {
            assert!(matches!(nothing.parse::<Pattern>(), Err(PatternError::Empty)), "{nothing:?}");
        }
    }
}
