//! Several segments, one after the other in the index, become one.
//!
//! Nodes and layers keep their numbers, so nothing else changes. Images that were overridden are left out, and with
//! them the postings of nodes that no image stands on any more. Memory is bounded by the number of colours and of images,
//! not of keys.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;

use super::columns::Columns;
use super::draft::{
    Colours, Keys, bucket_bits, write_documents, write_layer_records, write_numbers, write_order, write_table,
};
use super::images::Images;
use super::postings::{self, Posting, Probe, key_count};
use super::segment::{Facts, Section, Segment, SegmentId};
use super::state::{NO_NODE, OVERRIDE_BYTES, State, count, place};
use crate::error::Result;
use crate::format::STORE_ID_BYTES;
use crate::format::index::CHECKSUM_BYTES;

/// The colour of contents that are in no node any more.
const NO_COLOUR: u32 = u32::MAX;

/// Segments of about one size, next to each other, that are merged into one.
const SEGMENTS_OF_A_SIZE: usize = 4;
/// Sizes up to here count as one.
const SMALL_SEGMENT_BYTES: u64 = 64 << 10;

/// Returns from which segment on all are to be merged: where there are several of the largest size.
pub(crate) fn merge_from(sizes: &[u64]) -> Option<usize> {
    let level = |size: u64| (size / SMALL_SEGMENT_BYTES).max(1).ilog2() / 2;
    (0..sizes.len()).find(|from| {
        let levels = sizes[*from..].iter().map(|size| level(*size));
        let largest = levels.clone().max().unwrap_or(0);
        levels.filter(|level| *level == largest).count() >= SEGMENTS_OF_A_SIZE
    })
}

/// Writes one segment that says what a range of the live ones says.
pub(crate) fn merge(
    state: &State,
    range: Range<usize>,
    directory: &Path,
    store_id: &[u8; STORE_ID_BYTES],
) -> Result<SegmentId> {
    let segments: Vec<&Segment> = state.segments[range.clone()].iter().map(|segment| &**segment).collect();
    let keys: u64 = segments.iter().map(|segment| key_count(segment) as u64).sum();
    let facts = Facts {
        bucket_bits: bucket_bits(keys),
        nodes_first: segments[0].facts.nodes_first,
        layers_first: segments[0].facts.layers_first,
        ..Facts::default()
    };
    let used = used_nodes(state)?;
    let mut columns = Columns::new(directory, store_id);
    write_keys(&mut columns, &segments, &facts, &used)?;
    write_nodes(&mut columns, &segments, &facts, &used)?;
    write_layers(&mut columns, &segments)?;
    copy_layer_records(&mut columns, &segments)?;
    write_images(&mut columns, state, range.clone())?;
    write_blobs(&mut columns, &segments)?;
    copy_documents(&mut columns, &segments)?;
    write_overrides(&mut columns, state, &segments)?;
    columns.finish(facts)
}

/// Tells for each node whether an image stands on it or above it.
fn used_nodes(state: &State) -> Result<Vec<bool>> {
    let mut used = vec![false; state.nodes_end() as usize];
    for at in state.images() {
        let node = state.row(at)?.node;
        if node != NO_NODE
            && let Some(used) = used.get_mut(node as usize)
        {
            *used = true;
        }
    }
    for segment in state.segments.iter().rev() {
        let parents = segment.all(Section::Parents)?;
        for number in (0..parents.len() / 4).rev() {
            let node = segment.facts.nodes_first as usize + number;
            let parent = segment.number(Section::Parents, number)? as usize;
            if used[node] && parent < node {
                used[parent] = true;
            }
        }
    }
    Ok(used)
}

/// The keys of one segment in their order.
struct KeyCursor<'a> {
    segment: &'a Segment,
    probe: Probe<'a>,
    bucket: usize,
    bucket_end: usize,
    number: usize,
    total: usize,
    /// The next key and its colour.
    next: Option<(u64, u32)>,
}

impl<'a> KeyCursor<'a> {
    fn new(segment: &'a Segment) -> Result<Self> {
        let (probe, total) = (Probe::new(segment), key_count(segment));
        let mut cursor = Self { segment, probe, bucket: 0, bucket_end: 0, number: 0, total, next: None };
        if total > 0 {
            cursor.bucket_end = segment.number(Section::Buckets, 1)? as usize;
        }
        cursor.advance()?;
        Ok(cursor)
    }

    fn advance(&mut self) -> Result<()> {
        self.next = None;
        if self.number >= self.total {
            return Ok(());
        }
        while self.number >= self.bucket_end {
            self.bucket += 1;
            self.bucket_end = self.segment.number(Section::Buckets, self.bucket + 1)? as usize;
        }
        let bytes = self.segment.facts.key_bytes();
        let stored = self.segment.slice(Section::Keys, self.number * bytes..(self.number + 1) * bytes)?;
        let mut key = [0; 8];
        key[8 - bytes..].copy_from_slice(stored);
        let bits = u32::from(self.segment.facts.bucket_bits);
        let head = (self.bucket as u64).checked_shl(64 - bits).unwrap_or(0);
        self.next = Some((u64::from_be_bytes(key) | head, self.probe.colour_at(self.number)?));
        self.number += 1;
        Ok(())
    }
}

fn write_keys(columns: &mut Columns, segments: &[&Segment], facts: &Facts, used: &[bool]) -> Result<()> {
    let mut cursors: Vec<KeyCursor> =
        segments.iter().map(|segment| KeyCursor::new(segment)).collect::<Result<_>>()?;
    let mut keys = Keys::new(facts);
    let mut recolour = Recolour::new(segments, facts, used);
    let mut sources: Vec<(u32, u32)> = Vec::new();
    while let Some(key) = cursors.iter().filter_map(|cursor| cursor.next).map(|(key, _)| key).min() {
        sources.clear();
        for (number, cursor) in (0_u32..).zip(&mut cursors) {
            if let Some((_, colour)) = cursor.next.filter(|(next, _)| *next == key) {
                sources.push((number, colour));
                cursor.advance()?;
            }
        }
        let colour = recolour.of(columns, &sources)?;
        if colour != NO_COLOUR {
            keys.push(columns, key, colour)?;
        }
    }
    keys.finish(columns)
}

/// New colours for contents, by the colours that they have in the segments that know them.
struct Recolour<'a> {
    segments: &'a [&'a Segment],
    nodes_first: u32,
    used: &'a [bool],
    colours: Colours,
    /// Of contents that only one segment knows: its colours.
    single: Vec<HashMap<u32, u32>>,
    several: HashMap<Vec<(u32, u32)>, u32>,
    list: Vec<u8>,
}

impl<'a> Recolour<'a> {
    fn new(segments: &'a [&'a Segment], facts: &Facts, used: &'a [bool]) -> Self {
        let single = segments.iter().map(|_| HashMap::new()).collect();
        Self {
            segments,
            nodes_first: facts.nodes_first,
            used,
            colours: Colours::default(),
            single,
            several: HashMap::new(),
            list: Vec::new(),
        }
    }

    fn of(&mut self, columns: &mut Columns, sources: &[(u32, u32)]) -> Result<u32> {
        let known = match sources {
            [(segment, colour)] => self.single[*segment as usize].get(colour),
            several => self.several.get(several),
        };
        if let Some(known) = known {
            return Ok(*known);
        }
        let new = self.new_colour(columns, sources)?;
        match sources {
            [(segment, colour)] => {
                if let Entry::Vacant(place) = self.single[*segment as usize].entry(*colour) {
                    place.insert(new);
                }
            }
            several => _ = self.several.insert(several.to_vec(), new),
        }
        Ok(new)
    }

    fn new_colour(&mut self, columns: &mut Columns, sources: &[(u32, u32)]) -> Result<u32> {
        let mut merged: Vec<Posting> = Vec::new();
        for (number, colour) in sources {
            let segment = self.segments[*number as usize];
            let shift = segment.facts.nodes_first - self.nodes_first;
            let is_whole = postings::decode(postings::list(segment, *colour)?, |posting| {
                let node = (segment.facts.nodes_first + posting.node()) as usize;
                if self.used.get(node).copied().unwrap_or(false) {
                    merged.push(posting.shifted(shift));
                }
            });
            if !is_whole {
                return Err(postings::corrupt_list(segment));
            }
        }
        if merged.is_empty() {
            return Ok(NO_COLOUR);
        }
        self.list.clear();
        postings::encode(merged, &mut self.list);
        self.colours.of(columns, &self.list)
    }
}

/// Copies the nodes. Those that nothing stands on keep their number and lose their name.
fn write_nodes(columns: &mut Columns, segments: &[&Segment], facts: &Facts, used: &[bool]) -> Result<()> {
    let mut chains: Vec<([u8; 32], u32)> = Vec::new();
    for segment in segments {
        for section in [Section::Parents, Section::NodeLayers, Section::ChainIds] {
            columns.push(section, segment.all(section)?)?;
        }
        let first = segment.facts.nodes_first;
        for number in 0..count(segment, Section::Parents, 4) {
            if used[(first + number) as usize] {
                let chain = segment.id_at(Section::ChainIds, number as usize)?;
                chains.push((chain, first + number - facts.nodes_first));
            }
        }
    }
    chains.sort_unstable();
    chains.iter().try_for_each(|(_, node)| columns.push_number(Section::ChainOrder, *node))
}

fn write_layers(columns: &mut Columns, segments: &[&Segment]) -> Result<()> {
    let mut diff_ids: Vec<[u8; 32]> = Vec::new();
    for segment in segments {
        columns.push(Section::DiffIds, segment.all(Section::DiffIds)?)?;
        columns.push(Section::Places, segment.all(Section::Places)?)?;
        for number in 0..segment.length(Section::DiffIds) / 32 {
            diff_ids.push(segment.id_at(Section::DiffIds, number)?);
        }
    }
    write_order(columns, Section::DiffOrder, &diff_ids, |diff_id| *diff_id)
}

/// Copies records of layers, of several of one layer the newest, and which layers cannot be read.
fn copy_layer_records(columns: &mut Columns, segments: &[&Segment]) -> Result<()> {
    let (mut records, mut unreadable) = (BTreeMap::new(), BTreeSet::new());
    for segment in segments {
        for at in 0..segment.length(Section::RecordLayers) / 4 {
            let record =
                segment.slice(Section::LayerRecords, segment.extent(Section::LayerRecordEnds, at)?)?;
            records.insert(segment.number(Section::RecordLayers, at)?, record.to_vec());
        }
        for at in 0..segment.length(Section::Unreadable) / 4 {
            unreadable.insert(segment.number(Section::Unreadable, at)?);
        }
    }
    write_layer_records(columns, &records)?;
    write_numbers(columns, Section::Unreadable, &unreadable)
}

fn write_images(columns: &mut Columns, state: &State, range: Range<usize>) -> Result<()> {
    let live = state.images().filter(|at| range.contains(&at.parts().0));
    let identified = live.map(|at| {
        let (segment, number) = at.parts();
        Ok((state.segments[segment].id_at(Section::ImageIds, number)?, at))
    });
    let mut sorted: Vec<_> = identified.collect::<Result<_>>()?;
    sorted.sort_unstable();
    let mut images = Images::default();
    for (_, at) in sorted {
        images.push(columns, state.row(at)?.node, state.indexed(at)?)?;
    }
    images.finish(columns)
}

/// Of several layers that one blob is said to unpack to, the last one counts.
fn write_blobs(columns: &mut Columns, segments: &[&Segment]) -> Result<()> {
    let mut blobs: HashMap<[u8; 32], u32> = HashMap::new();
    for segment in segments {
        for number in 0..segment.length(Section::Blobs) / 32 {
            let layer = segment.number(Section::BlobLayers, number)?;
            blobs.insert(segment.id_at(Section::Blobs, number)?, layer);
        }
    }
    write_table(columns, Section::Blobs, Section::BlobLayers, blobs.into_iter().collect())
}

/// Copies where documents stand. Bytes in the packs stay, so all of it stays true.
fn copy_documents(columns: &mut Columns, segments: &[&Segment]) -> Result<()> {
    let mut documents = BTreeMap::new();
    for segment in segments {
        for number in 0..segment.length(Section::Documents) / 32 {
            let key = segment.id_at(Section::Documents, number)?;
            documents.insert(key, place(segment, Section::DocumentPlaces, number)?);
        }
    }
    write_documents(columns, &documents)
}

/// Keeps what is said of segments that stay.
fn write_overrides(columns: &mut Columns, state: &State, segments: &[&Segment]) -> Result<()> {
    let stays = |id: &[u8]| {
        let is_live = state.segments.iter().any(|segment| segment.id == *id);
        is_live && !segments.iter().any(|segment| segment.id == *id)
    };
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in segments {
        let entries = segment.all(Section::Overrides)?.chunks_exact(OVERRIDE_BYTES);
        kept.extend(entries.filter(|entry| stays(&entry[..CHECKSUM_BYTES])));
    }
    kept.sort_unstable();
    kept.dedup();
    kept.iter().try_for_each(|entry| columns.push(Section::Overrides, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_merged_when_four_are_of_one_size() {
        let kib = |sizes: &[u64]| merge_from(&sizes.iter().map(|size| size << 10).collect::<Vec<_>>());
        let cases: [(&[u64], Option<usize>); 7] = [
            (&[], None),
            (&[9, 9, 9], None),
            (&[9, 9, 9, 9], Some(0)),
            (&[9000, 9, 9, 9], None),
            (&[9000, 9, 9, 9, 9], Some(1)),
            (&[9000, 9000, 9, 9000, 9, 9000], Some(0)),
            (&[900_000, 9000, 300, 9, 9, 9, 9], Some(3)),
        ];
        for (sizes, expected) in cases {
            assert_eq!(kib(sizes), expected, "{sizes:?}");
        }
    }
}
