//! What every new node adds to the contents of its parent, or takes from them.
//!
//! Images come sorted by their layers, so those that share a chain stand together and it is merged once for all of them.
//! Chains that part are walked in parallel; the answer is the same in whatever order they end.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::postings::{Posting, key_of};
use crate::fingerprint::{Content, Fingerprint};
use crate::id::{ContentId, DiffId};
use crate::merge::MergedView;

/// A stack of layers, and the node of each of its prefixes.
pub(crate) struct Stack {
    pub(crate) layers: Vec<DiffId>,
    pub(crate) nodes: Vec<u32>,
}

/// A key and the posting of a node.
pub(crate) type KeyPosting = (u64, Posting);

/// Layers by diff ID.
pub(crate) type Layers = HashMap<DiffId, Arc<Fingerprint>>;

/// Returns the postings of the nodes from `new_first` on, of stacks that are sorted by their layers. The nodes in them are
/// counted from `nodes_first`.
pub(crate) fn postings(
    stacks: &[Stack],
    layers: &Layers,
    nodes_first: u32,
    new_first: u32,
) -> Vec<KeyPosting> {
    let walk = Walk { layers, nodes_first, new_first };
    walk.below(stacks, 0, &MergedView::new(), &[])
}

struct Walk<'a> {
    layers: &'a Layers,
    nodes_first: u32,
    new_first: u32,
}

impl<'a> Walk<'a> {
    /// Postings of all nodes above a prefix of `depth` layers, with the view and the keys of that.
    fn below(&self, stacks: &[Stack], depth: usize, view: &MergedView<'a>, keys: &[u64]) -> Vec<KeyPosting> {
        let longer = &stacks[stacks.partition_point(|stack| stack.layers.len() <= depth)..];
        let groups: Vec<&[Stack]> = longer.chunk_by(|a, b| a.nodes[depth] == b.nodes[depth]).collect();
        let found = groups.into_par_iter().flat_map_iter(|group| self.along(group, depth, view, keys));
        found.collect()
    }

    /// Follows stacks that have the next layer in common, for as long as they do.
    fn along(
        &self,
        stacks: &[Stack],
        mut depth: usize,
        view: &MergedView<'a>,
        keys: &[u64],
    ) -> Vec<KeyPosting> {
        let (mut view, mut keys) = (view.clone(), keys.to_vec());
        let mut found = Vec::new();
        let (first, last) = (&stacks[0], stacks.last().expect("a group is not empty"));
        loop {
            let node = first.nodes[depth];
            let below = view.clone();
            view.apply(&self.layers[&first.layers[depth]]);
            let change = Change::between(&below, &view, &keys);
            if node >= self.new_first {
                change.post(node - self.nodes_first, &mut found);
            }
            change.apply(&mut keys);
            depth += 1;
            // Sorted: what the first and the last have in common, all have. The shortest comes first.
            if first.nodes.len() <= depth || first.nodes[depth] != last.nodes[depth] {
                break;
            }
        }
        found.extend(self.below(stacks, depth, &view, &keys));
        found
    }
}

/// What a layer does to the set of keys: both lists are sorted.
struct Change {
    came: Vec<u64>,
    went: Vec<u64>,
}

impl Change {
    /// Compares two views, of which the lower one has these keys. A content that stands elsewhere, too, neither comes nor
    /// goes.
    fn between(below: &MergedView, view: &MergedView, keys: &[u64]) -> Self {
        let (came, went) = view.changes(below);
        let (mut came, mut went) = (keys_of(came), keys_of(went));
        came.retain(|key| keys.binary_search(key).is_err());
        if !went.is_empty() {
            let stays = view.files().map(|(_, content)| key_of(&content.id));
            let stays: HashSet<u64> = stays.filter(|key| went.binary_search(key).is_ok()).collect();
            went.retain(|key| !stays.contains(key));
        }
        Self { came, went }
    }

    fn post(&self, node: u32, found: &mut Vec<KeyPosting>) {
        found.extend(self.came.iter().map(|key| (*key, Posting::new(node, false))));
        found.extend(self.went.iter().map(|key| (*key, Posting::new(node, true))));
    }

    fn apply(&self, keys: &mut Vec<u64>) {
        if !self.went.is_empty() {
            keys.retain(|key| self.went.binary_search(key).is_err());
        }
        keys.extend(&self.came);
        // Two sorted runs, which the sort finds and merges.
        keys.sort();
    }
}

/// Sorted keys of contents, the empty one left out.
fn keys_of(contents: Vec<Content>) -> Vec<u64> {
    let contents = contents.iter().filter(|content| content.id != ContentId::EMPTY);
    let mut keys: Vec<u64> = contents.map(|content| key_of(&content.id)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
