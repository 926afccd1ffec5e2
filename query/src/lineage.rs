//! What a base is itself built on, and so on down.
//!
//! Stored images whose whole stack of layers is the lower part of another's are its ancestors for certain. Below the
//! lowest of them, content decides: an ancestor is a smaller image that is all there. No image is named twice, none
//! that is itself built on one that was named, and none for another platform.

use std::cell::RefCell;
use std::sync::Arc;

use layerprint_store::id::{DiffId, ImageId, SetId};
use layerprint_store::{Content, ImageRecord, Platform, Result};

use crate::compare::compare_trees;
use crate::created;
use crate::finding::{Evidence, Kin};
use crate::kept::Weighed;
use crate::rank::PRESENT_MIN;
use crate::reader::Reader;
use crate::scan::{Overlap, scan, share};
use crate::seen::Seen;
use crate::tree::Tree;

/// Containment at which a smaller stored image is taken for an ancestor: a base edits some files of its own base.
pub(crate) const ANCESTOR_CONTAINMENT: f64 = 0.98;
/// Images that are read for each generation.
const PARENTS_MAX: usize = 8;
/// Longest lineage that is followed.
const GENERATIONS_MAX: usize = 16;

/// Returns the lineage of an image's base, parent first.
///
/// The image itself matters only where an ancestor could be the image, or built on it. So the way down is found once for
/// all images for a platform, and anew for an image that would not have been let pass.
pub(crate) fn lineage(reader: &Reader, image: &ImageRecord, base: &Arc<ImageRecord>) -> Result<Vec<Kin>> {
    let platform = narrowed(&image.platform, &base.platform);
    let key = (base.id, platform.clone());
    let walk = || Walk::new(reader, platform.clone(), vec![Passed::of(base)]).down(base);
    let remembered = reader.memory.lineages.get_or(&key, walk)?;
    let image = Passed::of(image);
    if remembered.open.iter().all(|open| image.lets_pass(open)) {
        return Ok(remembered.kin.clone());
    }
    Ok(Walk::new(reader, platform, vec![image, Passed::of(base)]).down(base)?.kin)
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

/// A lineage as it was found without asking for which image.
pub(crate) struct Remembered {
    kin: Vec<Kin>,
    /// Whoever could come next, at any step. An image that lets all of these pass changes nothing.
    open: Vec<Passed>,
}

impl Weighed for Remembered {
    fn size_bytes(&self) -> u64 {
        let names = self.kin.iter().flat_map(|kin| &kin.names).map(|name| name.len() + size_of::<String>());
        let open = self.open.iter().map(|open| size_of::<Passed>() + open.layers.len() * 32);
        let images = self.kin.iter().map(|kin| kin.images.len() * size_of::<ImageId>()).sum::<usize>();
        let kin = self.kin.len() * size_of::<Kin>() + images + names.sum::<usize>();
        (size_of::<Self>() + kin + open.sum::<usize>()) as u64
    }
}

/// What of an image tells whether another can stand below it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Passed {
    set_id: SetId,
    layers: Vec<DiffId>,
}

impl Passed {
    fn of(image: &ImageRecord) -> Self {
        Self { set_id: image.set_id, layers: image.layers.clone() }
    }

    /// Returns false for what cannot come next. One with the very same contents (an empty layer on top) is the same, not
    /// below.
    fn lets_pass(&self, other: &Self) -> bool {
        self.set_id != other.set_id && !other.layers.starts_with(&self.layers)
    }
}

/// A way from a base down to its oldest ancestor.
struct Walk<'a> {
    reader: &'a Reader<'a>,
    platform: Platform,
    /// The base and the ancestors so far, and before them the image if it matters.
    passed: Vec<Passed>,
    /// Whoever could come next so far.
    open: RefCell<Vec<Passed>>,
}

impl<'a> Walk<'a> {
    fn new(reader: &'a Reader<'a>, platform: Platform, passed: Vec<Passed>) -> Self {
        Self { reader, platform, passed, open: RefCell::default() }
    }

    fn down(mut self, base: &Arc<ImageRecord>) -> Result<Remembered> {
        let (mut kin, mut child) = (Vec::new(), Arc::clone(base));
        while kin.len() < GENERATIONS_MAX {
            let Some((parent, next)) = self.parent(&child)? else { break };
            kin.push(next);
            self.passed.push(Passed::of(&parent));
            child = parent;
        }
        Ok(Remembered { kin, open: self.open.into_inner() })
    }

    fn parent(&self, child: &ImageRecord) -> Result<Option<(Arc<ImageRecord>, Kin)>> {
        let tree = self.reader.tree(child)?;
        let by_chain = self.reader.by_chain(&child.layers)?.into_iter().find(|parent| self.is_open(parent));
        let (parent, evidence) = match by_chain {
            Some(parent) => (parent, Evidence::ChainId),
            None => match self.by_content(child, &tree)? {
                Some(parent) => (parent, Evidence::Content),
                None => return Ok(None),
            },
        };
        let below = self.reader.tree(&parent)?;
        let kin = Kin {
            names: self.reader.tie_names(&parent.set_id, &self.platform)?,
            evidence,
            containment: share(below.shared(&tree), parent.content_count),
            set_id: parent.set_id,
            images: self.reader.tie(&parent.set_id, &self.platform)?.iter().map(|image| image.id).collect(),
        };
        Ok(Some((parent, kin)))
    }

    /// Returns true for what can come next: it is for this platform, and everyone so far lets it pass.
    fn is_open(&self, image: &ImageRecord) -> bool {
        let other = Passed::of(image);
        let is_open =
            image.platform.fits(&self.platform) && self.passed.iter().all(|passed| passed.lets_pass(&other));
        if is_open {
            self.open.borrow_mut().push(other);
        }
        is_open
    }

    /// The smaller image that explains most of a child: it is all there and was not made later. The index tells which
    /// these are; the first few are read.
    fn by_content(&self, child: &ImageRecord, tree: &Arc<Tree>) -> Result<Option<Arc<ImageRecord>>> {
        let contents: Vec<Content> = tree.contents().collect();
        let mut smaller = scan(self.reader, child, &contents)?;
        smaller.retain(|parent| {
            (PRESENT_MIN..child.content_count).contains(&parent.record.content_count)
                && parent.containment() >= ANCESTOR_CONTAINMENT
                && self.is_open(&parent.record)
                && !created::is_after(&parent.record, child)
        });
        let balance =
            |parent: &Overlap| 2 * i128::from(parent.present) - i128::from(parent.record.content_count);
        smaller.sort_by_key(|parent| std::cmp::Reverse(balance(parent)));
        let seen = Seen::of(Arc::clone(tree));
        for parent in smaller.into_iter().take(PARENTS_MAX) {
            let below = self.reader.tree(&parent.record)?;
            let is_there = share(below.shared(tree), parent.record.content_count) >= ANCESTOR_CONTAINMENT;
            if is_there && is_grown(&seen, &below) {
                return Ok(Some(parent.record));
            }
        }
        Ok(None)
    }
}

/// Returns true if a child has its parent's files at their paths and adds more than it changes. Two rebuilds of one image
/// change files and add next to none.
fn is_grown(child: &Seen, parent: &Tree) -> bool {
    let kept = compare_trees(parent, child);
    let added = child.tree.file_count() - kept.same - kept.modified;
    share(kept.same, kept.total) >= ANCESTOR_CONTAINMENT && added > kept.modified
}
