//! What every new node adds to the contents of its parent, or takes from them.
//!
//! Images come sorted by their layers, so those that share a chain stand together and it is merged once for all of them.
//! Chains that part are walked in parallel; the answer is the same in whatever order they end.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::postings::{Posting, key_of};
use crate::fingerprint::Fingerprint;
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
            view.apply(&self.layers[&first.layers[depth]]);
            let next = keys_of(&view);
            if node >= self.new_first {
                differences(&keys, &next, node - self.nodes_first, &mut found);
            }
            keys = next;
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

fn keys_of(view: &MergedView) -> Vec<u64> {
    let files = view.files().filter(|(_, content)| content.id != ContentId::EMPTY);
    let mut keys: Vec<u64> = files.map(|(_, content)| key_of(&content.id)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn differences(before: &[u64], after: &[u64], node: u32, found: &mut Vec<KeyPosting>) {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let (gone, new) = match (before.peek(), after.peek()) {
            (None, None) => return,
            (Some(_), None) => (true, false),
            (None, Some(_)) => (false, true),
            (Some(old), Some(new)) => (old < new, new < old),
        };
        let key = if new { after.next() } else { before.next() };
        if let Some(key) = key.filter(|_| gone || new) {
            found.push((*key, Posting::new(node, gone)));
        } else {
            after.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_what_came_and_what_went() {
        let mut found = Vec::new();
        differences(&[1, 3, 5, 9], &[1, 2, 5, 7, 10], 4, &mut found);
        let expected = [(2, false), (3, true), (7, false), (9, true), (10, false)];
        let expected: Vec<_> = expected.into_iter().map(|(key, gone)| (key, Posting::new(4, gone))).collect();
        assert_eq!(found, expected);
    }
}
