//! What an image is made of: which of its contents its base brought, which the base's ancestors, and which are new.
//!
//! Each content counts once and for the oldest that has it, so that the parts sum to the image.

use std::sync::Arc;

use layerprint_store::{Content, ImageRecord, Result};
use serde::{Deserialize, Serialize};

use crate::find::Image;
use crate::finding::{Finding, Verdict};
use crate::reader::Reader;

/// A part of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeOf {
    /// What it is.
    pub kind: Kind,
    /// All names of where it comes from; none of what is new.
    pub names: Vec<String>,
    /// Distinct contents.
    pub contents: u64,
    /// Sum of their sizes.
    pub bytes: u64,
}

/// Where a part of an image comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What the base is built on.
    Ancestor,
    /// The base.
    Base,
    /// A relative of the base, where only the family is known.
    Relative,
    /// A further stored image that holds it.
    Part,
    /// No stored image that is named.
    New,
}

/// Returns the parts of an image of which this was found.
pub(crate) fn made_of(reader: &Reader, image: &Image, finding: &Finding) -> Result<Vec<MadeOf>> {
    let mut rest: Vec<Content> = image.files.tree.contents().collect();
    let mut parts = Vec::new();
    for Maker { kind, record, names } in makers(reader, image, finding)? {
        parts.push(take(&mut rest, reader.tree(&record)?.contents(), kind, names));
    }
    // What the parts of further images hold was counted when they were found, file by file.
    let mut left = MadeOf { kind: Kind::New, names: Vec::new(), ..sum(&rest) };
    for part in &finding.cover {
        let (contents, bytes) = (part.contents.min(left.contents), part.bytes.min(left.bytes));
        (left.contents, left.bytes) = (left.contents - contents, left.bytes - bytes);
        parts.push(MadeOf { kind: Kind::Part, names: part.names.clone(), contents, bytes });
    }
    parts.push(left);
    parts.retain(|part| part.contents > 0);
    Ok(parts)
}

/// A stored image that an image is built on.
struct Maker {
    kind: Kind,
    record: Arc<ImageRecord>,
    names: Vec<String>,
}

/// Returns the same without relatives, whose part is new: a base is like what is built on it, which is not where it comes from.
pub fn without_relatives(parts: Vec<MadeOf>) -> Vec<MadeOf> {
    let is_rest = |part: &MadeOf| matches!(part.kind, Kind::Relative | Kind::New);
    let (rest, mut parts): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_rest);
    let contents = rest.iter().map(|part| part.contents).sum();
    let bytes = rest.iter().map(|part| part.bytes).fold(0, u64::saturating_add);
    parts.extend((contents > 0).then_some(MadeOf { kind: Kind::New, names: Vec::new(), contents, bytes }));
    parts
}

/// The base and its ancestors, the oldest first.
fn makers(reader: &Reader, image: &Image, finding: &Finding) -> Result<Vec<Maker>> {
    let Some(base) = &finding.base else { return Ok(Vec::new()) };
    let is_base = finding.verdict == Verdict::Base;
    let mut makers = Vec::new();
    for kin in base.lineage.iter().rev().filter(|_| is_base) {
        let record = reader.tie(&kin.set_id, &image.record.platform)?.into_iter().next();
        makers.extend(record.map(|record| Maker { kind: Kind::Ancestor, record, names: kin.names.clone() }));
    }
    let record = base.images.first().map(|member| reader.image(&member.id)).transpose()?.flatten();
    let kind = if is_base { Kind::Base } else { Kind::Relative };
    makers.extend(record.map(|record| Maker { kind, record, names: base.names.clone() }));
    Ok(makers)
}

/// Takes from `rest` what is in `contents`; both are sorted.
fn take(
    rest: &mut Vec<Content>,
    contents: impl Iterator<Item = Content>,
    kind: Kind,
    names: Vec<String>,
) -> MadeOf {
    let mut others = contents.map(|content| content.id).peekable();
    let (taken, left) = rest.drain(..).partition::<Vec<_>, _>(|content| {
        while others.next_if(|other| *other < content.id).is_some() {}
        others.peek() == Some(&content.id)
    });
    *rest = left;
    MadeOf { kind, names, ..sum(&taken) }
}

fn sum(contents: &[Content]) -> MadeOf {
    let bytes = contents.iter().map(|content| content.size_bytes).fold(0, u64::saturating_add);
    MadeOf { kind: Kind::New, names: Vec::new(), contents: contents.len() as u64, bytes }
}
