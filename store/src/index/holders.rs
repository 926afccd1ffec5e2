//! Which images stand on a layer that brings a content.
//!
//! The postings of a content say where it comes into view, so an image can hold it only in the lowest such layer of its stack
//! and in those above: lower ones have nothing to do with it, higher ones may hold it once more without a posting. Told by the
//! first 64 bits of the id, to be confirmed on the entries of those layers.

use super::Index;
use super::postings::{self, Probe, key_of};
use super::segment::Section;
use super::state::{ImageAt, NO_NODE, State};
use crate::error::Result;
use crate::id::{ContentId, DiffId};

/// An image that may hold a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Where the image stands.
    pub image: ImageAt,
    /// Its layers from the lowest that brings the content up to the highest. No layer below them holds it.
    pub layers: Vec<DiffId>,
}

impl Index {
    /// Returns the images that may hold a content in any of their layers, seen or hidden by a higher one.
    ///
    /// Costs a look at the postings of the content, a pass over all nodes, and what is returned. What is left out is only a file
    /// that another entry of its own layer replaces, which no container ever saw.
    pub fn holders(&self, content: &ContentId) -> Result<Vec<Holder>> {
        let lowest = lowest_bringing(&self.state, content)?;
        let mut images = Vec::new();
        self.state.each_row(|image, row| {
            let first = lowest.get(row.node as usize).copied().filter(|first| *first != NO_NODE);
            if let Some(first) = first.filter(|_| self.state.is_live(image)) {
                images.push((image, row.node, first));
            }
        })?;
        let holder =
            |(image, node, first)| Ok(Holder { image, layers: self.state.layers_between(first, node)? });
        images.into_iter().map(holder).collect()
    }
}

/// Returns for each node the lowest one at or below it that brings a content.
fn lowest_bringing(state: &State, content: &ContentId) -> Result<Vec<u32>> {
    let mut lowest = vec![NO_NODE; state.nodes_end() as usize];
    for segment in &state.segments {
        let Some(colour) = Probe::new(segment).colour(key_of(content))? else { continue };
        let (first, mut fits) = (segment.facts.nodes_first, true);
        let is_whole = postings::decode(postings::list(segment, colour)?, |posting| {
            let node = first.saturating_add(posting.node());
            match lowest.get_mut(node as usize) {
                Some(place) if !posting.takes() => *place = node,
                Some(_) => {}
                None => fits = false,
            }
        });
        if !is_whole || !fits {
            return Err(postings::corrupt_list(segment));
        }
    }
    // Parents come before their children.
    for segment in &state.segments {
        let first = segment.facts.nodes_first;
        for (node, parent) in (first..).zip(segment.all(Section::Parents)?.chunks_exact(4)) {
            let parent = u32::from_le_bytes(parent.try_into().expect("four bytes"));
            let below = if parent < node { lowest[parent as usize] } else { NO_NODE };
            if below != NO_NODE {
                lowest[node as usize] = below;
            }
        }
    }
    Ok(lowest)
}
