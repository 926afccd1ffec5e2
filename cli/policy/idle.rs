//! Entries of a policy that mean nothing that is stored: mostly misspelled, or not ingested.

use std::collections::HashSet;
use std::path::Path;

use layerprint_query::{Fleet, family_of};

use super::Policy;
use crate::output::plain;
use crate::pattern::Pattern;
use crate::progress::complain;

impl Policy {
    /// Returns what is said of bases and means none, in words.
    pub fn idle_bases(&self, fleet: &Fleet) -> impl Iterator<Item = String> {
        let families =
            self.base.allow_families.iter().flatten().filter(|family| !is_stored(fleet, &family.0));
        let families = families.map(|family| format!("allow_families: {family}"));
        let allow = idle(self.base.allow.iter().flatten(), fleet).map(|one| format!("allow: {one}"));
        let forbid = idle(self.base.forbid.iter(), fleet).map(|one| format!("forbid: {one}"));
        allow.chain(families).chain(forbid)
    }

    /// Returns who is exempt and not there, in words.
    pub fn idle_exemptions(&self, fleet: &Fleet) -> impl Iterator<Item = String> {
        let patterns = self.exemptions.iter().flat_map(|exemption| &exemption.images.0);
        idle(patterns, fleet).map(|one| format!("exempt: {one}"))
    }

    /// Returns the files that nobody holds, in words; `held` says which somebody does, by their place.
    pub fn idle_files(&self, held: &HashSet<usize>) -> impl Iterator<Item = String> {
        let idle = self.files.iter().enumerate().filter(|(place, _)| !held.contains(place));
        idle.map(|(_, file)| format!("file: {}", file.content))
    }
}

/// Warns of entries. What is forbidden and not there is no fault.
pub fn tell_idle(policy: &Path, entries: impl Iterator<Item = String>) {
    for entry in entries {
        let told = format!("warning: {}: {entry}: nothing that is stored", policy.display());
        complain(&plain(&told));
    }
}

fn idle<'p>(patterns: impl Iterator<Item = &'p Pattern>, fleet: &Fleet) -> impl Iterator<Item = &'p Pattern> {
    patterns.filter(|pattern| !fleet.images().iter().any(|image| pattern.means(image)))
}

fn is_stored(fleet: &Fleet, family: &str) -> bool {
    let mut names = fleet.images().iter().flat_map(|image| &image.names);
    names.any(|(name, _)| family_of(name).is_some_and(|own| family_of(family) == Some(own)))
}
