//! Which images have which contents: keys, colours and their lists.
//!
//! A key is the first 64 bits of a content id. Contents that occur in exactly the same nodes have one colour, which has
//! one list of postings: nodes that have the content and whose parent has not, and nodes that lack it and whose parent has
//! it. So the contents that an image shares with another set are summed along its chain of nodes.

use super::segment::{Section, Segment};
use super::state::State;
use crate::cursor::push_varint;
use crate::error::{Result, StoreError};
use crate::fingerprint::Content;
use crate::id::ContentId;

/// The first 64 bits of a content id; keys are ordered as ids are.
pub(crate) fn key_of(content: &ContentId) -> u64 {
    content.head()
}

/// A node of one segment, and whether it adds the content or takes it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Posting(u32);

impl Posting {
    pub(crate) fn new(node: u32, takes: bool) -> Self {
        Self(node << 1 | u32::from(takes))
    }

    pub(crate) fn node(self) -> u32 {
        self.0 >> 1
    }

    pub(crate) fn takes(self) -> bool {
        self.0 & 1 == 1
    }

    /// Returns the same posting for a node with another number.
    pub(crate) fn shifted(self, by: u32) -> Self {
        Self(self.0 + (by << 1))
    }
}

/// Writes a list of postings, in order of nodes, as differences.
pub(crate) fn encode(postings: impl IntoIterator<Item = Posting>, list: &mut Vec<u8>) {
    let mut last = 0;
    for posting in postings {
        push_varint(list, u64::from(posting.0 - last));
        last = posting.0;
    }
}

/// Reads a list of postings. False where it makes no sense.
pub(crate) fn decode(list: &[u8], mut on_posting: impl FnMut(Posting)) -> bool {
    let (mut last, mut difference, mut shift) = (0_u32, 0_u32, 0);
    for byte in list {
        if shift > 28 {
            return false;
        }
        difference |= u32::from(byte & 0x7f) << shift;
        if *byte >= 0x80 {
            shift += 7;
            continue;
        }
        last = last.wrapping_add(difference);
        on_posting(Posting(last));
        (difference, shift) = (0, 0);
    }
    shift == 0
}

/// Returns the list of a colour.
pub(crate) fn list(segment: &Segment, colour: u32) -> Result<&[u8]> {
    segment.slice(Section::Lists, segment.extent(Section::ListEnds, colour as usize)?)
}

/// Says that a list makes no sense.
pub(crate) fn corrupt_list(segment: &Segment) -> StoreError {
    segment.corrupt(Section::Lists, "a list of postings does not decode")
}

/// Number of keys of a segment.
pub(crate) fn key_count(segment: &Segment) -> usize {
    segment.length(Section::KeyColours) / usize::from(segment.facts.colour_bytes)
}

/// Finds the colours of keys in one segment. Keys that are looked up in their order touch its pages in theirs.
pub(crate) struct Probe<'a> {
    segment: &'a Segment,
    key_bytes: usize,
    colour_bytes: usize,
}

impl<'a> Probe<'a> {
    pub(crate) fn new(segment: &'a Segment) -> Self {
        let facts = segment.facts;
        Self { segment, key_bytes: facts.key_bytes(), colour_bytes: usize::from(facts.colour_bytes) }
    }

    /// Returns the colour of a key.
    pub(crate) fn colour(&self, key: u64) -> Result<Option<u32>> {
        if self.segment.length(Section::Keys) == 0 {
            return Ok(None);
        }
        let bits = u32::from(self.segment.facts.bucket_bits);
        let bucket = usize::try_from(key.checked_shr(64 - bits).unwrap_or(0)).expect("few bits");
        let ends = self.segment.slice(Section::Buckets, 4 * bucket..4 * bucket + 8)?;
        let end = |at: usize| u32::from_le_bytes(ends[at..at + 4].try_into().expect("four bytes")) as usize;
        let (start, stop) = (end(0), end(4));
        let keys = self.segment.slice(Section::Keys, start * self.key_bytes..stop * self.key_bytes)?;
        let wanted = &key.to_be_bytes()[8 - self.key_bytes..];
        let (mut low, mut high) = (0, stop.saturating_sub(start));
        while low < high {
            let middle = low + (high - low) / 2;
            let there = &keys[middle * self.key_bytes..(middle + 1) * self.key_bytes];
            if there < wanted { low = middle + 1 } else { high = middle }
        }
        let found = keys.get(low * self.key_bytes..(low + 1) * self.key_bytes) == Some(wanted);
        if found { self.colour_at(start + low).map(Some) } else { Ok(None) }
    }

    /// Returns the colour of the key with a number.
    pub(crate) fn colour_at(&self, number: usize) -> Result<u32> {
        let place = number * self.colour_bytes..(number + 1) * self.colour_bytes;
        let mut colour = [0; 4];
        colour[..self.colour_bytes].copy_from_slice(self.segment.slice(Section::KeyColours, place)?);
        Ok(u32::from_le_bytes(colour))
    }
}

/// How many contents of a set a node has, and how many bytes they are.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) present: u32,
    pub(crate) present_bytes: u64,
}

impl Count {
    /// Sums may wrap on the way, when a node takes away what its parent adds; along a whole chain they do not.
    fn add(&mut self, other: Self) {
        self.present = self.present.wrapping_add(other.present);
        self.present_bytes = self.present_bytes.wrapping_add(other.present_bytes);
    }

    fn subtract(&mut self, other: Self) {
        self.present = self.present.wrapping_sub(other.present);
        self.present_bytes = self.present_bytes.wrapping_sub(other.present_bytes);
    }
}

/// Counts what every node has of some contents, which are sorted and differ.
pub(crate) fn count(state: &State, contents: &[Content]) -> Result<Vec<Count>> {
    let mut counts = vec![Count::default(); state.nodes_end() as usize];
    for segment in &state.segments {
        add(segment, contents, &mut counts)?;
    }
    for segment in &state.segments {
        let first = segment.facts.nodes_first as usize;
        for (number, parent) in segment.all(Section::Parents)?.chunks_exact(4).enumerate() {
            let parent = u32::from_le_bytes(parent.try_into().expect("four bytes")) as usize;
            let node = first + number;
            if parent < node {
                let below = counts[parent];
                counts[node].add(below);
            }
        }
    }
    Ok(counts)
}

/// Adds what the postings of one segment say.
fn add(segment: &Segment, contents: &[Content], counts: &mut [Count]) -> Result<()> {
    let first = segment.facts.nodes_first as usize;
    let counts = counts.get_mut(first..).ok_or_else(|| corrupt_list(segment))?;
    let found = colours(segment, contents)?;
    for colour in found.chunk_by(|a, b| a.0 == b.0) {
        let bytes = colour.iter().fold(0_u64, |sum, (_, size_bytes)| sum.wrapping_add(*size_bytes));
        let present = u32::try_from(colour.len()).expect("no more than a segment has keys");
        let (more, mut is_whole) = (Count { present, present_bytes: bytes }, true);
        is_whole &=
            decode(list(segment, colour[0].0)?, |posting| match counts.get_mut(posting.node() as usize) {
                Some(count) if posting.takes() => count.subtract(more),
                Some(count) => count.add(more),
                None => is_whole = false,
            });
        if !is_whole {
            return Err(corrupt_list(segment));
        }
    }
    Ok(())
}

/// Returns the colours of the contents that a segment knows, sorted, each with a size.
fn colours(segment: &Segment, contents: &[Content]) -> Result<Vec<(u32, u64)>> {
    let probe = Probe::new(segment);
    let mut found: Vec<(u32, u64)> = Vec::new();
    let mut last = None;
    for content in contents {
        let key = key_of(&content.id);
        // Of several contents with one key the index knows only that there is one.
        if last.replace(key) == Some(key) {
            continue;
        }
        if let Some(colour) = probe.colour(key)? {
            found.push((colour, content.size_bytes));
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back_and_those_cut_short_do_not() {
        let numbers = [0, 1, 2, 63, 64, 8_191, 8_192, 1 << 20, (1 << 30) - 1];
        let postings: Vec<Posting> = numbers.iter().map(|node| Posting::new(*node, node % 2 == 1)).collect();
        let mut bytes = Vec::new();
        encode(postings.iter().copied(), &mut bytes);
        let mut read = Vec::new();
        assert!(decode(&bytes, |posting| read.push(posting)));
        assert_eq!(read, postings);
        assert!(!decode(&bytes[..bytes.len() - 1], |_| ()));
        assert!(!decode(&[0xff; 6], |_| ()));
    }
}
