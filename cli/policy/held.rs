//! Which forbidden files an image holds that is at hand: in any of its layers, and whether a container sees them.

use std::collections::BTreeSet;

use layerprint_query::Subject;

use super::{Held, Policy};
use crate::output::path;

/// Returns the forbidden files of an image, in the order of the policy.
pub fn held(policy: &Policy, subject: &Subject) -> Vec<Held> {
    if policy.files.is_empty() {
        return Vec::new();
    }
    let view = subject.layers.view();
    let in_view = |content| view.files().filter(move |(_, held)| held.id == content);
    let in_layers = |content| {
        let entries = subject.layers.iter().flat_map(|layer| layer.entries());
        entries.filter(move |entry| entry.content().is_some_and(|held| held.id == content))
    };
    let held = policy.files.iter().enumerate().filter_map(|(file, forbidden)| {
        let seen: BTreeSet<String> = in_view(forbidden.content).map(|(bytes, _)| path(bytes)).collect();
        if !seen.is_empty() {
            return Some(Held::at(file, &seen, true));
        }
        let hidden: BTreeSet<String> = in_layers(forbidden.content).map(|entry| path(&entry.path)).collect();
        (!hidden.is_empty()).then(|| Held::at(file, &hidden, false))
    });
    held.collect()
}
