//! What a house asks of its images: the file behind `--policy`.
//!
//! TOML, of which every key is known here: a misspelled one is an error that says where it stands, for a gate that silently
//! asks less is worse than none. What images break is told in [`judge`]; the file is described in `docs/policy.md`.

mod bases;
mod held;
mod idle;
mod judge;
#[cfg(test)]
mod properties;
mod until;

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use layerprint_query::{Level, repository_of};
use layerprint_store::id::{ContentId, ImageId};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::error::input_hint;
use crate::pattern::Pattern;

pub use held::held;
pub use idle::tell_idle;
pub use judge::{Held, Judge};
use until::Until;

/// See the module.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What the base may be.
    #[serde(default)]
    pub base: Bases,
    /// Files that no image may hold.
    #[serde(default, rename = "file")]
    pub files: Vec<ForbiddenFile>,
    /// Images that are not asked.
    #[serde(default, rename = "exempt")]
    pub exemptions: Vec<Exemption>,
}

/// What the base of an image may be. What is not told is not asked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bases {
    allow: Option<Vec<Pattern>>,
    allow_families: Option<Vec<FamilyName>>,
    /// True if the base itself must be allowed, not something that it is built on.
    direct: bool,
    forbid: Vec<Pattern>,
    max_age_days: Option<u32>,
    max_newer: Option<u64>,
    min_confidence: Option<Confidence>,
    unknown: Severity,
    uncertain: Severity,
    undated: Severity,
    outdated: Option<Severity>,
}

/// How bad something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The policy is broken.
    #[default]
    Error,
    /// It is told.
    Warning,
    /// It is not told.
    Ignore,
}

/// Returns true if a pattern means an image by one of its names, or one of several by its ID.
fn means<'i>(pattern: &Pattern, names: &[String], ids: impl IntoIterator<Item = &'i ImageId>) -> bool {
    names.iter().any(|name| pattern.matches(name)) || ids.into_iter().any(|id| pattern.is_id(id))
}

impl Severity {
    fn level(self) -> Option<Level> {
        match self {
            Self::Error => Some(Level::Error),
            Self::Warning => Some(Level::Warning),
            Self::Ignore => None,
        }
    }
}

/// A share that must be reached.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
struct Confidence(f64);

impl TryFrom<f64> for Confidence {
    type Error = String;

    fn try_from(share: f64) -> Result<Self, String> {
        let is_share = (0.0..=1.0).contains(&share);
        is_share.then_some(Self(share)).ok_or_else(|| format!("confidence goes from 0 to 1, not to {share}"))
    }
}

/// A content that no image may hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForbiddenFile {
    /// The content.
    #[serde(deserialize_with = "content")]
    pub content: ContentId,
    /// What it is, or why it is forbidden.
    pub reason: Words,
}

/// Images that are not asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exemption {
    images: Patterns,
    reason: Words,
    /// The last day on which they are not.
    until: Option<Until>,
}

/// Patterns, of which there is at least one.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<Pattern>")]
struct Patterns(Vec<Pattern>);

impl TryFrom<Vec<Pattern>> for Patterns {
    type Error = &'static str;

    fn try_from(patterns: Vec<Pattern>) -> Result<Self, Self::Error> {
        if patterns.is_empty() { Err("no image is named") } else { Ok(Self(patterns)) }
    }
}

/// A text that says something.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Words(String);

impl TryFrom<String> for Words {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.trim().is_empty() { Err("a text is empty") } else { Ok(Self(text)) }
    }
}

impl fmt::Display for FamilyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a family: a repository.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct FamilyName(String);

impl TryFrom<String> for FamilyName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match repository_of(&text) {
            _ if text.trim().is_empty() => Err("a text is empty".into()),
            repository if repository != text => {
                Err(format!("a family has no tag: write {repository}, or {text} in allow"))
            }
            _ => Ok(Self(text)),
        }
    }
}

/// Reads a content as it is written everywhere, or as `b3sum` prints it.
fn content<'de, D: Deserializer<'de>>(text: D) -> Result<ContentId, D::Error> {
    let text = String::deserialize(text)?;
    let is_bare = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let told = if is_bare { format!("blake3:{}", text.to_ascii_lowercase()) } else { text };
    told.parse().map_err(D::Error::custom)
}

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// It is no policy.
    #[error("{path}:{line}:{column}: {message}")]
    Malformed { path: PathBuf, line: usize, column: usize, message: String },
    /// It forbids what every image has.
    #[error("{path}: a [[file]] forbids the content of the empty file, which nearly every image has")]
    EmptyFile { path: PathBuf },
}

impl PolicyError {
    /// Returns what may be done about it.
    pub fn hint(&self) -> Option<String> {
        const WANTED: &str = "a policy is TOML, as `[base]` and `max_age_days = 90` on two lines; docs/policy.md tells all of it";
        match self {
            Self::Io { source, .. } => input_hint(source.kind(), WANTED),
            Self::Malformed { .. } => Some(WANTED.into()),
            Self::EmptyFile { .. } => Some("leave this [[file]] out".into()),
        }
    }
}

impl Policy {
    /// Reads a policy.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let path = path.to_owned();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(PolicyError::Io { path, source }),
        };
        let policy: Self = toml::from_str(&text).map_err(|error| malformed(&path, &text, &error))?;
        match policy.files.iter().any(|file| file.content == ContentId::EMPTY) {
            true => Err(PolicyError::EmptyFile { path }),
            false => Ok(policy),
        }
    }
}

fn malformed(path: &Path, text: &str, error: &toml::de::Error) -> PolicyError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    PolicyError::Malformed {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: error.message().replace('\n', ", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_policy_is_said_with_its_place() {
        let cases = [
            ("[base]\nalow = []\n", "2:1: unknown field `alow`, expected one of "),
            ("[base]\nallow = [\"a\", \"b[\"]\n", "2:9: error parsing glob 'b[': "),
            ("[base]\nmin_confidence = 1.5\n", "2:18: confidence goes from 0 to 1, not to 1.5"),
            ("[base]\nmin_confidence = nan\n", "2:18: confidence goes from 0 to 1, not to NaN"),
            ("[base]\nunknown = \"fatal\"\n", "2:11: unknown variant `fatal`, expected one of "),
            ("[base]\nmax_age_days = -1\n", "2:16: invalid value: integer `-1`, expected u32"),
            ("[[file]]\ncontent = \"sha256:00\"\nreason = \"x\"\n", "2:11: "),
            ("[base]\nallow = [\"a\", \"\"]\n", "2:9: a pattern is empty: it is a name, "),
            ("[base]\nforbid = [\"  \"]\n", "2:10: a pattern is empty: "),
            ("[base]\nallow_families = [\"debian\", \"\"]\n", "2:18: a text is empty"),
            (
                "[base]\nallow_families = [\"debian:12\"]\n",
                "2:18: a family has no tag: write debian, or debian:12 in allow",
            ),
            ("[[exempt]]\nimages = []\nreason = \"r\"\n", "2:10: no image is named"),
            ("[[exempt]]\nimages = [\"a\", \"\"]\nreason = \"r\"\n", "2:10: a pattern is empty: "),
            ("[[exempt]]\nimages = [\"a\"]\nreason = \"\"\n", "3:10: a text is empty"),
            ("[[exempt]]\nimages = [\"a\"]\n", "1:1: missing field `reason`"),
            ("[[exempt]]\nimages = [\"a\"]\nreason = \"r\"\nuntil = \"soon\"\n", "4:9: "),
            ("# é\n[bases]\n", "2:2: unknown field `bases`, expected one of `base`, `file`, `exempt`"),
            ("[base\n", "1:6: "),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        for (text, expected) in cases {
            fs::write(&path, text).unwrap();
            let error = Policy::read(&path).unwrap_err().to_string();
            let told = error.strip_prefix(&format!("{}:", path.display())).unwrap();
            assert!(told.starts_with(expected), "{text:?}: {told}");
        }
        fs::write(&path, b"# \xff").unwrap();
        assert!(matches!(Policy::read(&path), Err(PolicyError::Io { .. })));
        fs::write(&path, format!("[[file]]\ncontent = \"{}\"\nreason = \"x\"\n", ContentId::EMPTY)).unwrap();
        assert!(matches!(Policy::read(&path), Err(PolicyError::EmptyFile { .. })));
        let bare = "[[file]]\ncontent = \"AB".to_owned() + &"0".repeat(62) + "\"\nreason = \"x\"\n";
        fs::write(&path, bare).unwrap();
        let told = Policy::read(&path).unwrap().files[0].content.to_string();
        assert_eq!(told, format!("blake3:ab{}", "0".repeat(62)));
        fs::write(&path, "").unwrap();
        assert_eq!(Policy::read(&path).unwrap().base.unknown, Severity::Error);
    }
}
