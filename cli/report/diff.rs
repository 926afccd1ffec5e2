//! What became of images since an earlier report, which is read line by line.
//!
//! An image is compared with itself, told by its ID, and one that is new under a name with the one that had the name on the same
//! platform: of several the one that was made last. Of the earlier report no more is kept than is compared.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use layerprint_query::{Before, Change, ChangeKind, Fleet, Row, Verdict, Was};
use layerprint_store::id::ImageId;
use serde::{Deserialize, Serialize};

use crate::args;
use crate::day::Day;
use crate::error::input_hint;
use crate::output::plain;
use crate::pattern::Pattern;
use crate::progress::complain;

/// An earlier report.
pub struct Old {
    images: Vec<OldImage>,
    by_id: HashMap<ImageId, usize>,
    by_name: HashMap<(String, String), usize>,
}

struct OldImage {
    id: ImageId,
    source: String,
    names: Vec<String>,
    platform: String,
    created: Option<Day>,
    before: Before,
}

/// The images that there are, with names and platforms.
#[derive(Default)]
pub struct Stored {
    ids: HashSet<ImageId>,
    names: HashSet<(String, String)>,
}

impl Stored {
    pub fn of(fleet: &Fleet) -> Self {
        let mut stored = Self::default();
        for image in fleet.images() {
            let names = image.names.iter().map(|(name, _)| name.clone());
            stored.add(image.id, names, &image.platform.to_string());
        }
        stored
    }

    pub fn add(&mut self, id: ImageId, names: impl Iterator<Item = String>, platform: &str) {
        self.ids.insert(id);
        self.names.extend(names.map(|name| (name, platform.to_owned())));
    }
}

/// An image that is not stored any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gone {
    /// Its first name, or its ID.
    pub source: String,
    /// What it ran on.
    pub platform: String,
    /// What was said of it.
    pub change: Change,
}

/// What is read of a line.
#[derive(Deserialize)]
struct Line {
    image: Option<LineImage>,
    verdict: Option<Verdict>,
    base: Option<LineBase>,
    freshness: Option<LineFreshness>,
    change: Option<Change>,
}

#[derive(Deserialize)]
struct LineImage {
    id: ImageId,
    names: Vec<String>,
    platform: String,
    created: Option<String>,
}

#[derive(Deserialize)]
struct LineBase {
    names: Vec<String>,
    images: Vec<LineMember>,
}

#[derive(Deserialize)]
struct LineMember {
    id: ImageId,
}

#[derive(Deserialize)]
struct LineFreshness {
    newer: u64,
}

/// Why an earlier report cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// A line is none of a report.
    #[error("{path}, line {line}: not a row of a report: {source}")]
    Malformed { path: PathBuf, line: u64, source: serde_json::Error },
    /// A line says nothing of an image.
    #[error("{path}, line {line}: not a row of a report: it has no image or verdict")]
    NoImage { path: PathBuf, line: u64 },
}

impl RowsError {
    /// Returns what may be done about it.
    pub fn hint(&self) -> Option<String> {
        const WANTED: &str = "what is read here is what `layerprint report -o FILE.jsonl` writes";
        match self {
            Self::Io { source, .. } => input_hint(source.kind(), WANTED),
            Self::Malformed { .. } | Self::NoImage { .. } => Some(WANTED.into()),
        }
    }
}

impl Old {
    /// Reads an earlier report.
    pub fn read(path: &Path) -> Result<Self, RowsError> {
        let failed = |source| RowsError::Io { path: path.to_owned(), source };
        let mut lines = BufReader::new(File::open(path).map_err(failed)?);
        let mut old = Self { images: Vec::new(), by_id: HashMap::new(), by_name: HashMap::new() };
        let (mut bytes, mut line) = (Vec::new(), 0);
        loop {
            bytes.clear();
            line += 1;
            if lines.read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
                if old.images.is_empty() {
                    complain(&format!("{}: tells of no image: all are new", plain(&path.to_string_lossy())));
                }
                return Ok(old);
            }
            let malformed = |source| RowsError::Malformed { path: path.to_owned(), line, source };
            let told: Line = serde_json::from_slice(&bytes).map_err(malformed)?;
            // What was gone then is no news.
            let was_gone = told.change.as_ref().is_some_and(|change| change.kind == ChangeKind::Gone);
            match OldImage::of(told) {
                Some(image) => old.add(image),
                None if was_gone => {}
                None => return Err(RowsError::NoImage { path: path.to_owned(), line }),
            }
        }
    }

    fn add(&mut self, image: OldImage) {
        let place = self.images.len();
        for name in &image.names {
            let of_name = self.by_name.entry((name.clone(), image.platform.clone())).or_insert(place);
            if self.images.get(*of_name).is_some_and(|other| other.created < image.created) {
                *of_name = place;
            }
        }
        self.by_id.insert(image.id, place);
        self.images.push(image);
    }

    /// Returns true if a pattern means one of its images.
    pub fn has(&self, pattern: &Pattern) -> bool {
        let is_named = |image: &OldImage| image.names.iter().any(|name| pattern.matches(name));
        self.images.iter().any(|image| is_named(image) || pattern.is_id(&image.id))
    }

    /// Returns what became of the image of a row.
    pub fn change(&self, row: &Row) -> Option<Change> {
        let image = &row.finding.image;
        let of_name = |name: &String| self.by_name.get(&(name.clone(), image.platform.clone()));
        let place = self.by_id.get(&image.id).or_else(|| image.names.iter().find_map(of_name));
        match place {
            Some(place) => self.images[*place].before.change(row),
            None => Some(Change { kind: ChangeKind::New, was: None }),
        }
    }

    /// Returns the images that are meant and not stored any more, by name. An earlier report tells no labels, so that none is
    /// told where they are asked for.
    pub fn gone(&self, stored: &Stored, meant: &args::Selection, since: Option<Day>) -> Vec<Gone> {
        let is_named = |image: &OldImage| {
            image.names.iter().any(|name| stored.names.contains(&(name.clone(), image.platform.clone())))
        };
        let is_stored = |image: &OldImage| stored.ids.contains(&image.id) || is_named(image);
        let is_meant = |image: &&OldImage| {
            meant.labels.is_empty()
                && meant.fits(&image.platform)
                && since.is_none_or(|since| image.created.is_some_and(|made| made >= since))
                && meant.means(image.names.iter().map(String::as_str), &image.id)
        };
        let gone = self.images.iter().filter(is_meant).filter(|image| !is_stored(image));
        let mut gone: Vec<Gone> = gone.map(OldImage::gone).collect();
        gone.sort_by(|a, b| (&a.source, &a.platform).cmp(&(&b.source, &b.platform)));
        gone
    }
}

impl OldImage {
    fn of(line: Line) -> Option<Self> {
        let (image, verdict) = (line.image?, line.verdict?);
        let (names, images) = line.base.map_or_else(Default::default, |base| {
            (base.names, base.images.iter().map(|member| member.id).collect::<Vec<_>>())
        });
        let was = Was { verdict, base: names, newer: line.freshness.map(|freshness| freshness.newer) };
        // An answer of `find` names the place where it was read instead.
        let source = image.names.first().cloned().unwrap_or_else(|| image.id.to_string());
        let before = Before { was, images };
        let created = image.created.as_deref().and_then(Day::of_rfc3339);
        Some(Self { id: image.id, source, names: image.names, platform: image.platform, created, before })
    }

    fn gone(&self) -> Gone {
        let change = Change { kind: ChangeKind::Gone, was: Some(self.before.was.clone()) };
        Gone { source: self.source.clone(), platform: self.platform.clone(), change }
    }
}
