//! What an image is made of: which of its contents its base brought, which the base's ancestors, and which are new.
//!
//! Each content counts once and for the oldest that has it, so that the parts sum to the image.

use std::sync::Arc;

use layerprint_store::id::{ContentId, SetId};
use layerprint_store::{Content, Index, Platform, Result};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Verdict};
use crate::lineage::tie;
use crate::subject::{Layers, Subject};

/// Contents that are remembered of bases and their ancestors: 64 MiB.
const REMEMBERED_MAX: u64 = 2 << 20;
/// Bases among them.
const REMEMBERED_BASES: usize = 1024;

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

/// Tells what images are made of, and remembers what bases hold.
pub(crate) struct Makers<'a> {
    index: &'a Index,
    held: Cache<SetId, Arc<Vec<ContentId>>, ByLength>,
}

#[derive(Clone)]
struct ByLength;

impl Weighter<SetId, Arc<Vec<ContentId>>> for ByLength {
    fn weight(&self, _: &SetId, contents: &Arc<Vec<ContentId>>) -> u64 {
        contents.len() as u64 + 1
    }
}

impl<'a> Makers<'a> {
    pub(crate) fn new(index: &'a Index) -> Self {
        Self { index, held: Cache::with_weighter(REMEMBERED_BASES, REMEMBERED_MAX, ByLength) }
    }

    /// Returns the parts of an image of which this was found.
    pub(crate) fn made_of(&self, subject: &Subject, finding: &Finding) -> Result<Vec<MadeOf>> {
        let platform = &subject.record.platform;
        let mut rest = subject.layers.view().contents();
        let mut parts = Vec::new();
        for (kind, set, names) in self.makers(finding)? {
            let contents = self.contents(&set, platform)?;
            parts.push(take(&mut rest, &contents, kind, names));
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

    /// The base and its ancestors, the oldest first.
    fn makers(&self, finding: &Finding) -> Result<Vec<(Kind, SetId, Vec<String>)>> {
        let Some(base) = &finding.base else { return Ok(Vec::new()) };
        let is_base = finding.verdict == Verdict::Base;
        let lineage = base.lineage.iter().rev().filter(|_| is_base);
        let mut makers: Vec<_> = lineage.map(|kin| (Kind::Ancestor, kin.set_id, kin.names.clone())).collect();
        let image = base.images.first().map(|member| self.index.image(&member.id)).transpose()?.flatten();
        let kind = if is_base { Kind::Base } else { Kind::Relative };
        makers.extend(image.map(|image| (kind, image.set_id, base.names.clone())));
        Ok(makers)
    }

    /// The contents of a stored image, sorted.
    fn contents(&self, set: &SetId, platform: &Platform) -> Result<Arc<Vec<ContentId>>> {
        if let Some(contents) = self.held.get(set) {
            return Ok(contents);
        }
        let image = tie(self.index, set, platform)?.into_iter().next();
        let layers = image.map(|image| Layers::stored(self.index, &image.layers)).transpose()?;
        let contents = layers.map(|layers| layers.view().contents()).unwrap_or_default();
        let contents = Arc::new(contents.into_iter().map(|content| content.id).collect::<Vec<_>>());
        self.held.insert(*set, Arc::clone(&contents));
        Ok(contents)
    }
}

/// Takes from `rest` what is in `contents`; both are sorted.
fn take(rest: &mut Vec<Content>, contents: &[ContentId], kind: Kind, names: Vec<String>) -> MadeOf {
    let mut others = contents.iter().peekable();
    let (taken, left) = rest.drain(..).partition::<Vec<_>, _>(|content| {
        while others.next_if(|other| **other < content.id).is_some() {}
        others.peek() == Some(&&content.id)
    });
    *rest = left;
    MadeOf { kind, names, ..sum(&taken) }
}

fn sum(contents: &[Content]) -> MadeOf {
    let bytes = contents.iter().map(|content| content.size_bytes).fold(0, u64::saturating_add);
    MadeOf { kind: Kind::New, names: Vec::new(), contents: contents.len() as u64, bytes }
}
