//! Patterns for names of images.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use layerprint_query::repository_of;
use layerprint_store::id::ImageId;
use serde::Deserialize;

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
    /// Returns true if a name is meant: the whole of it, or what comes before its tag.
    pub fn matches(&self, name: &str) -> bool {
        self.glob.is_match(name) || self.glob.is_match(repository_of(name))
    }

    /// Returns true if an image is meant by its ID.
    pub fn is_id(&self, id: &ImageId) -> bool {
        let digits = self.text.strip_prefix("sha256:").unwrap_or(&self.text);
        let is_long = digits.len() >= ID_DIGITS_MIN;
        is_long && id.to_string().strip_prefix("sha256:").is_some_and(|id| id.starts_with(digits))
    }
}

/// Why a text is no pattern.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// It means no image at all.
    #[error("a pattern is empty: it is a name, a repository or an ID, with * for anything")]
    Empty,
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
        // Names have slashes and dots of their own, which `*` passes over; a backslash is a character as any other.
        let glob = GlobBuilder::new(text).literal_separator(false).backslash_escape(false).build()?;
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
        ];
        for (text, name, expected) in cases {
            let pattern: Pattern = text.parse().expect("a pattern");
            assert_eq!(pattern.matches(name), expected, "{pattern} {name}");
        }
        let id = ImageId::of_config(b"{}");
        for (length, expected) in [(7 + 12, true), (7 + 4, false), (71, true)] {
            let pattern: Pattern = id.to_string()[..length].parse().expect("a pattern");
            assert_eq!(pattern.is_id(&id), expected, "{pattern}");
        }
        assert!(matches!("debian[".parse::<Pattern>(), Err(PatternError::Glob(_))));
        for nothing in ["", " ", "\t\n"] {
            assert!(matches!(nothing.parse::<Pattern>(), Err(PatternError::Empty)), "{nothing:?}");
        }
    }
}
