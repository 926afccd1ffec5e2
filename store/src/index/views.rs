//! What every new node adds to the contents of its parent, or takes from them.
//!
//! Images come sorted by their layers, so those that share a chain stand together and it is merged once for all of them.
//! Chains that part are walked in parallel; the answer is the same in whatever order they end.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::postings::Posting;
use crate::fingerprint::Fingerprint;
use crate::id::DiffId;
use crate::merge::MergedView;
use crate::tally::{Change, Tally};

/// A stack of layers, and the node of each of its prefixes.
pub(crate) struct Stack {
    pub(crate) layers: Vec<DiffId>,
    pub(crate) nodes: Vec<u32>,
}

/// A key and the posting of a node.
pub(crate) type KeyPosting = (u64, Posting);

/// Layers by diff ID.
pub(crate) type Layers = HashMap<DiffId, Arc<Fingerprint>>;

/// Which nodes postings are made for.
pub(crate) struct Wanted<'a> {
    /// Postings count nodes from this one.
    pub(crate) nodes_first: u32,
    /// Nodes below this one have theirs.
    pub(crate) new_first: u32,
    /// And so have these.
    pub(crate) posted: &'a HashSet<u32>,
}

/// Returns the postings of the nodes that are wanted, of stacks that are sorted by their layers.
pub(crate) fn postings(stacks: &[Stack], layers: &Layers, wanted: &Wanted) -> Vec<KeyPosting> {
    Walk { layers, wanted }.below(stacks, 0, &MergedView::new(), &Tally::default())
}

/// Adds the postings of a node.
pub(crate) fn post(change: &Change, node: u32, found: &mut Vec<KeyPosting>) {
    found.extend(change.came.iter().map(|key| (*key, Posting::new(node, false))));
    found.extend(change.went.iter().map(|key| (*key, Posting::new(node, true))));
}

struct Walk<'a> {
    layers: &'a Layers,
    wanted: &'a Wanted<'a>,
}

impl<'a> Walk<'a> {
    /// Postings of all nodes above a prefix of `depth` layers, with the view and the contents of that.
    fn below(&self, stacks: &[Stack], depth: usize, view: &MergedView<'a>, tally: &Tally) -> Vec<KeyPosting> {
        let longer = &stacks[stacks.partition_point(|stack| stack.layers.len() <= depth)..];
        let groups: Vec<&[Stack]> = longer.chunk_by(|a, b| a.nodes[depth] == b.nodes[depth]).collect();
        let found = groups.into_par_iter().flat_map_iter(|group| self.along(group, depth, view, tally));
        found.collect()
    }

    /// Follows stacks that have the next layer in common, for as long as they do.
    fn along(
        &self,
        stacks: &[Stack],
        mut depth: usize,
        view: &MergedView<'a>,
        tally: &Tally,
    ) -> Vec<KeyPosting> {
        let (mut view, mut tally) = (view.clone(), tally.clone());
        let mut found = Vec::new();
        let (first, last) = (&stacks[0], stacks.last().expect("a group is not empty"));
        loop {
            let node = first.nodes[depth];
            let change = tally.apply(&mut view, &self.layers[&first.layers[depth]]);
            if node >= self.wanted.new_first && !self.wanted.posted.contains(&node) {
                post(&change, node - self.wanted.nodes_first, &mut found);
            }
            depth += 1;
            // Sorted: what the first and the last have in common, all have. The shortest comes first.
            if first.nodes.len() <= depth || first.nodes[depth] != last.nodes[depth] {
                break;
            }
        }
        found.extend(self.below(stacks, depth, &view, &tally));
        found
    }
}
