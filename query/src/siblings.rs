//! The stored images that are built on the same base as another image.
//!
//! What `find` says is the base of the one, and what `children` says is built on that base: nothing is decided here.

use std::collections::{BTreeMap, BTreeSet};

use layerprint_store::{Index, Result};

use crate::children::{Asked, Child, children};
use crate::find::find;
use crate::finding::{Finding, Member, Verdict};
use crate::subject::Subject;

/// An image, and what is built on the same base.
#[derive(Debug, Clone)]
pub struct Siblings {
    /// What the image is built on. Without a base it has no siblings.
    pub finding: Finding,
    /// The others, by name.
    pub siblings: Vec<Sibling>,
}

/// A stored image that is built on the same base.
#[derive(Debug, Clone)]
pub struct Sibling {
    /// The image.
    pub child: Child,
    /// True if its contents are exactly those of the image asked about.
    pub same: bool,
}

/// Returns the stored images that are built on the same base as an image, without itself. `source` is how the user named it.
pub fn siblings(
    index: &Index,
    subject: &Subject,
    source: &str,
    on_asked: &(dyn Fn(Asked) + Sync),
) -> Result<Siblings> {
    let finding = find(index, subject, source)?;
    let base = finding.base.as_ref().filter(|_| finding.verdict == Verdict::Base);
    let mut found = BTreeMap::new();
    for member in base.map(|base| one_for_each_platform(&base.images)).unwrap_or_default() {
        for child in children(index, &member.id, false, on_asked)? {
            if child.image.id != subject.record.id {
                found.insert((child.image.names.clone(), child.image.id), child);
            }
        }
    }
    let sibling = |child: Child| {
        let record = index.image(&child.image.id)?;
        let same = record.is_some_and(|record| record.set_id == subject.record.set_id);
        Ok(Sibling { child, same })
    };
    let siblings = found.into_values().map(sibling).collect::<Result<_>>()?;
    Ok(Siblings { finding, siblings })
}

/// Images of one tie have the same children, if they run on the same.
fn one_for_each_platform(images: &[Member]) -> Vec<&Member> {
    let mut platforms = BTreeSet::new();
    images.iter().filter(|member| platforms.insert(&member.platform)).collect()
}
