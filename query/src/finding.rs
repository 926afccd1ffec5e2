//! The answer to `find`: what is said, with the figures that it rests on.
//!
//! Text and JSON are views of these structs; the JSON is documented in the repository as `docs/find.md`.

use layerprint_store::id::{ImageId, SetId};
use serde::{Deserialize, Serialize};

use crate::compare::Comparison;
use crate::cover::Part;
use crate::created;

/// What one image is built on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// Where the image was read from, as it was named.
    pub source: String,
    /// The image.
    pub image: ImageFacts,
    /// What is said.
    pub verdict: Verdict,
    /// The base, or the best candidate of the family; absent for `none`.
    pub base: Option<Base>,
    /// The next best that is not the same in content; absent where the base was found by layers: nothing competes with it.
    pub runner_up: Option<RunnerUp>,
    /// Further stored images that hold parts of what the base does not explain, the largest part first.
    pub cover: Vec<Part>,
    /// What the image has that its base has not; everything where no base is named.
    pub new: New,
    /// How likely the true base is among those that are named: from 0 to 1, 0 if none is.
    pub confidence: f64,
    /// Why this verdict, in words.
    pub reason: String,
}

/// What is said of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is built on this base.
    Base,
    /// It is built on something like this, but which member of the family cannot be told, or is not stored.
    Family,
    /// Nothing stored is its base.
    None,
}

/// How a base was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The image's lowest layers are exactly those of the base.
    ChainId,
    /// The image's files are those of the base.
    Content,
}

impl Evidence {
    /// The evidence as it is written everywhere.
    pub fn word(self) -> &'static str {
        match self {
            Self::ChainId => "chain-id",
            Self::Content => "content",
        }
    }
}

/// An image in figures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImageFacts {
    /// Its ID.
    pub id: ImageId,
    /// Its names.
    pub names: Vec<String>,
    /// What it runs on: `os/architecture[/variant]`.
    pub platform: String,
    /// When it was made, as its configuration says.
    pub created: Option<String>,
    /// Layers.
    pub layers: usize,
    /// Regular files of the merged view.
    pub files: u64,
    /// Distinct, non-empty contents among them.
    pub contents: u64,
    /// Sum of the sizes of those contents.
    pub content_bytes: u64,
    /// Stored images with exactly these contents, itself excluded.
    pub same_content_as: Vec<String>,
}

/// The base of an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Base {
    /// All names of the tie group, sorted: stored images with the same contents cannot be told apart.
    pub names: Vec<String>,
    /// The stored images of that group.
    pub images: Vec<Member>,
    /// How it was recognised.
    pub evidence: Evidence,
    /// Share of the base's distinct, non-empty contents that the image has.
    pub containment: f64,
    /// The same in figures.
    pub contents: Share,
    /// The same by bytes.
    pub bytes: Share,
    /// Of the base's paths that the image still has, the share with the base's content.
    pub agreement: f64,
    /// The same by bytes: what tells an image that edits many small files from a relative whose programs differ.
    pub agreement_bytes: f64,
    /// What became of the base's files.
    pub files: Comparison,
    /// How many of the image's lowest layers are the base's; 0 if they were squashed or rebuilt.
    pub layers_shared: usize,
    /// `present - lambda * missing`, by which candidates are ordered.
    pub score: f64,
    /// How much one missing content costs; from the image's own retention: of the base, where it was found by layers.
    pub lambda: f64,
    /// What the base itself is built on: parent first, oldest last.
    pub lineage: Vec<Kin>,
}

impl Base {
    /// Returns when the last of its images was made, as their configurations say: who builds the same again has it fresh.
    pub fn created(&self) -> Option<&str> {
        let known = self.images.iter().filter_map(|image| image.created.as_deref());
        known.filter_map(|text| Some((created::seconds(text)?, text))).max().map(|(_, text)| text)
    }
}

/// A stored image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Member {
    /// Its ID.
    pub id: ImageId,
    /// What it runs on.
    pub platform: String,
    /// When it was made, as its configuration says.
    pub created: Option<String>,
}

/// An ancestor of a base.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kin {
    /// All names of its tie group, sorted.
    pub names: Vec<String>,
    /// How it was recognised.
    pub evidence: Evidence,
    /// Share of its contents that the descendant has.
    pub containment: f64,
    /// Its contents.
    pub set_id: SetId,
    /// The stored images of that group.
    #[serde(default)]
    pub images: Vec<ImageId>,
}

/// The best candidate that was not chosen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunnerUp {
    /// All names of its tie group, sorted.
    pub names: Vec<String>,
    /// Share of its contents that the image has.
    pub containment: f64,
    /// Its score.
    pub score: f64,
    /// Contents in the image that the base has and this one has not.
    pub only_base: u64,
    /// The paths of some of them, in the base.
    pub only_base_paths: Vec<String>,
    /// Contents in the image that this one has and the base has not.
    pub only_runner_up: u64,
    /// The paths of some of them, in the runner-up.
    pub only_runner_up_paths: Vec<String>,
}

/// What an image adds to its base. A file that the base took away from its own base, and the image brought back, is new.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct New {
    /// Files whose content is not empty and at no path of the base, of all files.
    pub files: Share,
    /// Sum of the sizes of those contents, each counted once.
    pub bytes: u64,
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The part.
    pub present: u64,
    /// The whole.
    pub total: u64,
}

impl Share {
    pub(crate) fn of(present: u64, total: u64) -> Self {
        Self { present, total }
    }
}
