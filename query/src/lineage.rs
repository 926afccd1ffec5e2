//! What a base is itself built on, and so on down.
//!
//! Stored images whose whole stack of layers is the lower part of another's are its ancestors for certain. Below the
//! lowest of them, content decides: an ancestor is a smaller image that is all there. No image is named twice, none
//! that is itself built on one that was named, and none for another platform.

use layerprint_store::id::{ChainId, DiffId, ImageId, SetId};
use layerprint_store::{Content, ImageRecord, Index, MergedView, Platform, Result};

use crate::compare::compare;
use crate::created;
use crate::finding::{Evidence, Kin};
use crate::rank::PRESENT_MIN;
use crate::reference::is_place;
use crate::scan::{Overlap, scan, share};
use crate::subject::Layers;

/// Containment at which a smaller stored image is taken for an ancestor: a base edits some files of its own base.
pub(crate) const ANCESTOR_CONTAINMENT: f64 = 0.98;
/// Images that are read for each generation.
const PARENTS_MAX: usize = 8;
/// Longest lineage that is followed.
const GENERATIONS_MAX: usize = 16;

/// Returns the stored images whose whole stack of layers is a prefix of these layers, longest first. Images without
/// any content are no base.
pub(crate) fn by_chain(index: &Index, layers: &[DiffId]) -> Result<Vec<ImageRecord>> {
    let mut found = Vec::new();
    for chain in ChainId::of_prefixes(layers).iter().rev() {
        for id in index.images_by_chain(chain)? {
            found.extend(index.image(&id)?.filter(|record| record.content_count > 0));
        }
    }
    Ok(found)
}

/// Returns the lineage of an image's base, parent first.
pub(crate) fn lineage(index: &Index, image: &ImageRecord, base: &ImageRecord) -> Result<Vec<Kin>> {
    let platform = narrowed(&image.platform, &base.platform);
    let mut walk = Walk { index, platform, passed: vec![image.clone(), base.clone()] };
    let mut kin = Vec::new();
    while kin.len() < GENERATIONS_MAX {
        let Some((parent, next)) = walk.parent()? else { break };
        kin.push(next);
        walk.passed.push(parent);
    }
    Ok(kin)
}

/// What an image runs on that does not say it itself, but is built on one that does.
fn narrowed(image: &Platform, base: &Platform) -> Platform {
    let either = |image: &String, base: &String| if image.is_empty() { base.clone() } else { image.clone() };
    Platform {
        os: either(&image.os, &base.os),
        architecture: either(&image.architecture, &base.architecture),
        variant: either(&image.variant, &base.variant),
        os_version: either(&image.os_version, &base.os_version),
    }
}

/// A way from a base down to its oldest ancestor.
struct Walk<'a> {
    index: &'a Index,
    platform: Platform,
    /// The image, its base and the ancestors so far.
    passed: Vec<ImageRecord>,
}

impl Walk<'_> {
    fn parent(&self) -> Result<Option<(ImageRecord, Kin)>> {
        let child = self.passed.last().expect("a walk starts at the base");
        let layers = Layers::stored(self.index, &child.layers)?;
        let view = layers.view();
        let contents = view.contents();
        let by_chain = by_chain(self.index, &child.layers)?.into_iter().find(|parent| self.is_open(parent));
        let (parent, evidence) = match by_chain {
            Some(parent) => (parent, Evidence::ChainId),
            None => match self.by_content(child, &view, &contents)? {
                Some(parent) => (parent, Evidence::Content),
                None => return Ok(None),
            },
        };
        let layers = Layers::stored(self.index, &parent.layers)?;
        let kin = Kin {
            names: tie_names(self.index, &parent.set_id, &self.platform)?,
            evidence,
            containment: share(shared(&layers.view(), &contents), parent.content_count),
            set_id: parent.set_id,
        };
        Ok(Some((parent, kin)))
    }

    /// Returns false for what cannot come next. One with the very same contents as another that was passed (an empty
    /// layer on top) is the same, not below.
    fn is_open(&self, image: &ImageRecord) -> bool {
        let is_above = |passed: &ImageRecord| {
            image.layers.len() >= passed.layers.len() && image.layers.starts_with(&passed.layers)
        };
        image.platform.fits(&self.platform)
            && !self.passed.iter().any(|passed| passed.set_id == image.set_id || is_above(passed))
    }

    /// The smaller image that explains most of a child: it is all there and was not made later. The index tells which
    /// these are; the first few are read.
    fn by_content(
        &self,
        child: &ImageRecord,
        view: &MergedView,
        contents: &[Content],
    ) -> Result<Option<ImageRecord>> {
        let held = contents.iter().map(|content| (content.id, content.size_bytes)).collect();
        let mut smaller = scan(self.index, child, &held)?;
        smaller.retain(|parent| {
            (PRESENT_MIN..child.content_count).contains(&parent.record.content_count)
                && parent.containment() >= ANCESTOR_CONTAINMENT
                && self.is_open(&parent.record)
                && !created::is_after(&parent.record, child)
        });
        let balance =
            |parent: &Overlap| 2 * i128::from(parent.present) - i128::from(parent.record.content_count);
        smaller.sort_by_key(|parent| std::cmp::Reverse(balance(parent)));
        for parent in smaller.into_iter().take(PARENTS_MAX) {
            let layers = Layers::stored(self.index, &parent.record.layers)?;
            let below = layers.view();
            let is_there =
                share(shared(&below, contents), parent.record.content_count) >= ANCESTOR_CONTAINMENT;
            if is_there && is_grown(view, &below) {
                return Ok(Some(parent.record));
            }
        }
        Ok(None)
    }
}

/// Returns true if a child has its parent's files at their paths and adds more than it changes. Two rebuilds of one image
/// change files and add next to none.
fn is_grown(child: &MergedView, parent: &MergedView) -> bool {
    let kept = compare(parent, child);
    let added = child.file_count() - kept.same - kept.modified;
    share(kept.same, kept.total) >= ANCESTOR_CONTAINMENT && added > kept.modified
}

fn shared(view: &MergedView, contents: &[Content]) -> u64 {
    let held = |content: &Content| contents.binary_search_by(|other| other.id.cmp(&content.id)).is_ok();
    view.contents().iter().filter(|content| held(content)).count() as u64
}

/// Returns the stored images with these contents that can run on a platform, in order of ids.
pub(crate) fn tie(index: &Index, set: &SetId, platform: &Platform) -> Result<Vec<ImageRecord>> {
    let ids: Vec<ImageId> = index.images_by_set(set)?;
    let mut images: Vec<ImageRecord> =
        ids.iter().filter_map(|id| index.image(id).transpose()).collect::<Result<_>>()?;
    images.retain(|image| image.platform.fits(platform));
    Ok(images)
}

/// Returns all names of those images, sorted.
pub(crate) fn tie_names(index: &Index, set: &SetId, platform: &Platform) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for image in tie(index, set, platform)? {
        names.extend(index.names_of(&image.id)?);
    }
    if names.iter().any(|name| !is_place(name)) {
        names.retain(|name| !is_place(name));
    }
    names.sort();
    names.dedup();
    Ok(names)
}
