//! A row of a report: what is found of one stored image, and what follows from the others that are stored.
//!
//! A row is the answer of [`find`](fn@crate::find) with the same figures, and then the family of the base, how fresh it is, and
//! what the image is made of. What only the whole report can tell, its children, its place among those of its names, and remarks, is filled in by who has it.

use layerprint_store::id::{ContentId, ImageId};
use layerprint_store::{Index, Result, StoreError};
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::find::{Image, find_with};
use crate::finding::{Base, Finding, Verdict};
use crate::fleet::{Fleet, Freshness, family};
use crate::made_of::{MadeOf, made_of};
use crate::proper::{Proper, Tie};
use crate::questions::Questions;

/// What a report says of one image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// What the image is built on.
    #[serde(flatten)]
    pub finding: Finding,
    /// The repository of the base; absent where none is known or it has no name.
    pub family: Option<String>,
    /// How many newer stored images there are of the base's family and flavour.
    pub freshness: Option<Freshness>,
    /// Of the images that are equal in content, which is the base proper, and which is each of what that is built on: as the
    /// base's lineage. Empty where the verdict is another.
    #[serde(default)]
    pub proper: Vec<Proper>,
    /// Where the image's contents come from: the oldest ancestor first, what is new last. The sums are those of the image.
    pub made_of: Vec<MadeOf>,
    /// Images of the report whose base this one is.
    pub children: u64,
    /// True if some of these are of other repositories: then it is a base, and not only another build of the same.
    #[serde(default)]
    pub is_base: bool,
    /// True if other images have got all its names since.
    #[serde(default)]
    pub superseded: bool,
    /// What there is to say about the image.
    pub remarks: Vec<Remark>,
    /// What became of it since an earlier report; absent where nothing did, or none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
}

impl Row {
    /// Returns what can be said without looking at the image again: all but what it is made of, its children and remarks.
    pub fn of(finding: Finding, fleet: &Fleet) -> Self {
        let base = finding.base.as_ref();
        let of_base = base.filter(|_| finding.verdict == Verdict::Base);
        let proper = of_base.map(|base| propers(base, fleet)).unwrap_or_default();
        let names = proper.first().map(|proper| &proper.names).or(base.map(|base| &base.names));
        Self {
            family: names.and_then(|names| family(names)),
            freshness: of_base.and_then(|base| fleet.freshness(&finding.image.id, base)),
            proper,
            made_of: Vec::new(),
            children: 0,
            is_base: false,
            superseded: false,
            remarks: Vec::new(),
            change: None,
            finding,
        }
    }

    /// Returns the names of the base proper: not those of images that were made of it and have the same files.
    pub fn base_names(&self) -> &[String] {
        let all = self.finding.base.as_ref().map(|base| &base.names);
        self.proper.first().map(|proper| &proper.names).or(all).map_or(&[], |names| names)
    }

    /// Returns the names of what the base is built on, likewise.
    pub fn lineage_names(&self) -> impl Iterator<Item = &String> {
        let lineage = self.finding.base.iter().flat_map(|base| &base.lineage);
        let proper = self.proper.iter().skip(1).map(Some).chain(std::iter::repeat(None));
        lineage.zip(proper).flat_map(|(kin, proper)| proper.map_or(&kin.names, |proper| &proper.names))
    }

    /// Returns when the base was made, likewise.
    pub fn base_created(&self) -> Option<&str> {
        match self.proper.first() {
            Some(proper) => proper.created.as_deref(),
            None => self.finding.base.as_ref()?.created(),
        }
    }
}

/// Says it of a base and of what it is built on.
fn propers(base: &Base, fleet: &Fleet) -> Vec<Proper> {
    let base_images = base.images.iter().map(|member| member.id).collect();
    let images = [base_images].into_iter().chain(base.lineage.iter().map(|kin| kin.images.clone()));
    let ties: Vec<Tie> = images.map(|images: Vec<ImageId>| Tie::of(fleet, images.into_iter())).collect();
    // Of what was stored after this look at the fleet nobody can say more than is found.
    match ties.iter().all(|tie| !tie.own.is_empty()) {
        true => ties.iter().map(Tie::proper).collect(),
        false => Vec::new(),
    }
}

impl Row {
    /// Returns why the answer is what it is. That the image is stored itself says something of one that was read from elsewhere;
    /// every image of a report is.
    pub fn reason(&self) -> &str {
        let Finding { reason, image, .. } = &self.finding;
        let is_stored = format!("; it is stored itself: {}", image.names.join(", "));
        reason.strip_suffix(&is_stored).unwrap_or(reason)
    }
}

/// Something to say about an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// What kind of remark it is.
    pub rule: Rule,
    /// How bad it is.
    pub level: Level,
    /// What it is, in words.
    pub message: String,
    /// The content that it is about, if it is about one: an image may have several such remarks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentId>,
}

impl Remark {
    /// Says something about an image as a whole.
    pub fn new(rule: Rule, level: Level, message: String) -> Self {
        Self { rule, level, message, content: None }
    }
}

/// The kinds of remarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// No stored image is its base.
    BaseUnknown,
    /// It is like a stored image, whose relative may be its base.
    BaseUncertain,
    /// Newer images of the base's family and flavour are stored.
    BaseOutdated,
    /// The policy allows other bases.
    BaseNotAllowed,
    /// The policy forbids this base.
    BaseForbidden,
    /// The base is older than the policy allows.
    BaseTooOld,
    /// The policy asks for a surer answer.
    ConfidenceTooLow,
    /// It holds a file that the policy forbids.
    FileForbidden,
    /// The policy does not ask it.
    Exempt,
}

impl Rule {
    /// All rules, in order.
    pub const ALL: [Self; 9] = [
        Self::BaseUnknown,
        Self::BaseUncertain,
        Self::BaseOutdated,
        Self::BaseNotAllowed,
        Self::BaseForbidden,
        Self::BaseTooOld,
        Self::ConfidenceTooLow,
        Self::FileForbidden,
        Self::Exempt,
    ];

    /// The rule as it is written everywhere.
    pub fn word(self) -> &'static str {
        match self {
            Self::BaseUnknown => "base-unknown",
            Self::BaseUncertain => "base-uncertain",
            Self::BaseOutdated => "base-outdated",
            Self::BaseNotAllowed => "base-not-allowed",
            Self::BaseForbidden => "base-forbidden",
            Self::BaseTooOld => "base-too-old",
            Self::ConfidenceTooLow => "confidence-too-low",
            Self::FileForbidden => "file-forbidden",
            Self::Exempt => "exempt",
        }
    }
}

/// How bad a remark is, as SARIF has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Worth looking at.
    Warning,
    /// A policy is broken.
    Error,
}

impl Level {
    /// The level as it is written everywhere.
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Makes rows.
pub struct Rows<'a> {
    questions: Questions<'a>,
    fleet: &'a Fleet,
}

impl<'a> Rows<'a> {
    /// Makes rows about images of an index, of which this is the fleet.
    pub fn new(index: &'a Index, fleet: &'a Fleet) -> Self {
        Self { questions: Questions::new(index), fleet }
    }

    /// Returns the row of an image.
    pub fn row(&self, id: &ImageId) -> Result<Row> {
        let reader = self.questions.reader();
        let record = reader.image(id)?.ok_or_else(|| StoreError::NotFound { text: id.to_string() })?;
        let image = Image::stored(&reader, record)?;
        let source = image.names.first().map_or_else(|| id.to_string(), Clone::clone);
        let finding = find_with(&reader, &image, &source)?;
        let made_of = made_of(&reader, &image, &finding)?;
        Ok(Row { made_of, ..Row::of(finding, self.fleet) })
    }
}
