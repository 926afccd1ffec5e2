//! Which of stored images with the same contents are the base proper.
//!
//! Who changes only what is said of an image, its command or its environment, makes another one with the very same files. That one
//! shall neither make its base look younger nor lend it a name. Dates tell them apart: the family of the image that was made first
//! is the base's own, and what was made later in another family is built on it. An image that does not say when it was made is
//! not known to be later. Images without a name are of no family and have no say where others have one.

use std::collections::BTreeSet;

use layerprint_store::id::ImageId;
use serde::{Deserialize, Serialize};

use crate::created;
use crate::fleet::{Fleet, FleetImage};
use crate::reference::family_of;

/// What is said of the base proper.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proper {
    /// Its names, sorted.
    pub names: Vec<String>,
    /// When the last image of its own family was made: who builds the same again has it fresh.
    pub created: Option<String>,
    /// False if an image of another family does not say when it was made, so that it may be the first, or if none says it.
    pub is_dated: bool,
}

/// Images with the same contents.
pub(crate) struct Tie<'f> {
    /// Those of the family that was there first; all if none has a date.
    pub(crate) own: Vec<&'f FleetImage>,
    /// That family; several if the first image has several names.
    families: BTreeSet<&'f str>,
    /// Those of other families that do not say when they were made.
    undated: Vec<&'f FleetImage>,
}

impl<'f> Tie<'f> {
    /// Takes stored images apart.
    pub(crate) fn of(fleet: &'f Fleet, images: impl Iterator<Item = ImageId>) -> Self {
        let all: Vec<&FleetImage> = images.filter_map(|id| fleet.image(&id)).collect();
        let (named, unnamed): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|image| families(image).next().is_some());
        if named.is_empty() {
            return Self { own: unnamed, families: BTreeSet::new(), undated: Vec::new() };
        }
        let first = named.iter().filter_map(|image| made(image)).min();
        let is_first = |image: &&&FleetImage| made(image) == first;
        let own_families: BTreeSet<&str> =
            named.iter().filter(is_first).flat_map(|image| families(image)).collect();
        let is_own = |image: &&FleetImage| families(image).any(|family| own_families.contains(family));
        let (own, others): (Vec<_>, Vec<_>) = named.into_iter().partition(is_own);
        let undated = others.into_iter().filter(|image| made(image).is_none()).collect();
        Self { own, families: own_families, undated }
    }

    /// Returns the names of the base's own family.
    pub(crate) fn own_names(&self) -> impl Iterator<Item = &'f str> {
        // Where nobody has a name, all go by where they were found.
        let is_own = |name: &&str| {
            family_of(name).map_or(self.families.is_empty(), |family| self.families.contains(family))
        };
        self.own.iter().flat_map(|image| names(image)).filter(is_own)
    }

    /// Returns what is said of the base proper.
    pub(crate) fn proper(&self) -> Proper {
        let undated = self.undated.iter().flat_map(|image| names(image));
        let undated = undated.filter(|name| family_of(name).is_some());
        let names: BTreeSet<&str> = self.own_names().chain(undated).collect();
        let last = self.own.iter().filter(|image| made(image).is_some()).max_by_key(|image| made(image));
        let created = last.and_then(|image| image.created.clone());
        let is_dated = created.is_some() && self.undated.is_empty();
        Proper { names: names.into_iter().map(str::to_owned).collect(), created, is_dated }
    }
}

fn made(image: &FleetImage) -> Option<i64> {
    created::seconds(image.created.as_deref()?)
}

fn names(image: &FleetImage) -> impl Iterator<Item = &str> {
    image.names.iter().map(|(name, _)| &**name)
}

fn families(image: &FleetImage) -> impl Iterator<Item = &str> {
    names(image).filter_map(family_of)
}
