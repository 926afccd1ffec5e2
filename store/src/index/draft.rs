//! A segment before it is written: nodes, layers, images and postings that the live segments do not have.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use rayon::prelude::*;

use super::columns::Columns;
use super::images::Images;
use super::origin::IndexedLayer;
use super::postings;
use super::segment::{Facts, Section, SegmentId};
use super::state::{ImageAt, IndexedImage, NO_NODE, State, key_of};
use super::views::{self, KeyPosting};
use crate::error::{Result, StoreError};
use crate::format::STORE_ID_BYTES;
use crate::format::index::{BUCKET_BITS_MAX, BUCKET_KEYS, NODES_MAX};
use crate::id::{BlobDigest, ChainId, DiffId};
use crate::log::frame::Place;
use crate::record::LayerRecord;
use crate::tally::Change;

/// A node that is not in any segment yet.
struct Node {
    chain: ChainId,
    parent: u32,
    layer: u32,
}

/// See the module.
pub(crate) struct Draft {
    nodes_first: u32,
    layers_first: u32,
    nodes: Vec<Node>,
    node_of_chain: HashMap<ChainId, u32>,
    layers: Vec<(DiffId, Place)>,
    /// Records of layers, by their number.
    records: BTreeMap<u32, Vec<u8>>,
    unreadable: BTreeSet<u32>,
    layer_of_diff_id: HashMap<DiffId, u32>,
    images: Vec<(u32, IndexedImage)>,
    blobs: Vec<(BlobDigest, u32)>,
    documents: BTreeMap<[u8; 32], Place>,
    overrides: Vec<(SegmentId, u32)>,
    postings: Vec<KeyPosting>,
}

impl Draft {
    /// Begins where the live segments end.
    pub(crate) fn after(state: &State) -> Self {
        Self {
            nodes_first: state.nodes_end(),
            layers_first: state.layers_end(),
            nodes: Vec::new(),
            node_of_chain: HashMap::new(),
            layers: Vec::new(),
            records: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            layer_of_diff_id: HashMap::new(),
            images: Vec::new(),
            blobs: Vec::new(),
            documents: BTreeMap::new(),
            overrides: Vec::new(),
            postings: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        let has_images = !self.images.is_empty() || !self.overrides.is_empty();
        !has_images && self.blobs.is_empty() && self.records.is_empty() && self.unreadable.is_empty()
    }

    pub(crate) fn posting_count(&self) -> usize {
        self.postings.len()
    }

    pub(crate) fn nodes_first(&self) -> u32 {
        self.nodes_first
    }

    /// Returns the number of the next node.
    pub(crate) fn nodes_end(&self) -> Result<u32> {
        numbered(self.nodes_first, self.nodes.len())
    }

    /// Returns the nodes of every prefix of a stack of layers, which have these chain IDs; those that are new are added.
    pub(crate) fn nodes_of(
        &mut self,
        state: &State,
        chain: &[ChainId],
        layers: &[DiffId],
        load: impl Fn(&DiffId) -> Result<IndexedLayer>,
    ) -> Result<Vec<u32>> {
        let mut nodes = self.known_nodes(state, chain)?;
        for (chain, diff_id) in chain.iter().zip(layers).skip(nodes.len()) {
            let parent = nodes.last().copied().unwrap_or(NO_NODE);
            let layer = self.layer(state, diff_id, &load)?;
            nodes.push(self.add_node(Node { chain: *chain, parent, layer })?);
        }
        Ok(nodes)
    }

    /// Returns the nodes of those prefixes that have one, the lowest first. One is looked for: a node is never without those
    /// below it.
    fn known_nodes(&self, state: &State, chain: &[ChainId]) -> Result<Vec<u32>> {
        let mut nodes = Vec::with_capacity(chain.len());
        for (below, stack) in chain.iter().enumerate().rev() {
            let mut next = match self.node_of_chain.get(stack) {
                Some(node) => Some(*node),
                None => state.node_of_chain(stack)?,
            };
            while let Some(node) = next {
                nodes.push(node);
                next = self.parent(state, node)?;
            }
            if !nodes.is_empty() {
                debug_assert_eq!(nodes.len(), below + 1, "as many nodes as layers");
                break;
            }
        }
        nodes.reverse();
        Ok(nodes)
    }

    fn parent(&self, state: &State, node: u32) -> Result<Option<u32>> {
        match node.checked_sub(self.nodes_first) {
            Some(number) => Ok(Some(self.nodes[number as usize].parent).filter(|parent| *parent != NO_NODE)),
            None => state.parent(node),
        }
    }

    /// Adds an image, which takes the place of one that a segment has under its id.
    pub(crate) fn add_image(&mut self, state: &State, node: Option<u32>, image: IndexedImage) -> Result<()> {
        if let Some(at) = state.image(&image.record.id)? {
            self.add_override(state, at);
        }
        self.images.push((node.unwrap_or(NO_NODE), image));
        Ok(())
    }

    /// Says that an image of a segment is no more.
    pub(crate) fn add_override(&mut self, state: &State, at: ImageAt) {
        let (segment, number) = at.parts();
        let number = u32::try_from(number).expect("numbers in a segment have 32 bits");
        self.overrides.push((state.segments[segment].id, number));
    }

    /// Adds what a blob unpacks to, if its layer has a number.
    pub(crate) fn add_blob(&mut self, state: &State, blob: BlobDigest, diff_id: &DiffId) -> Result<()> {
        if let Some(layer) = self.number_of(state, diff_id)?
            && state.layer_of_blob(&blob)? != Some(layer)
        {
            self.blobs.push((blob, layer));
        }
        Ok(())
    }

    /// Adds where a document stands, which `place` knows if it is in the packs, unless a segment has it.
    pub(crate) fn add_document(
        &mut self,
        state: &State,
        document: &BlobDigest,
        place: impl Fn(&BlobDigest) -> Result<Option<Place>>,
    ) -> Result<()> {
        let key = key_of(document);
        if !self.documents.contains_key(&key)
            && state.document(document)?.is_none()
            && let Some(place) = place(document)?
        {
            self.documents.insert(key, place);
        }
        Ok(())
    }

    /// Adds postings.
    pub(crate) fn add_postings(&mut self, mut postings: Vec<KeyPosting>) {
        self.postings.append(&mut postings);
    }

    /// Adds the postings of a node.
    pub(crate) fn post(&mut self, change: &Change, node: u32) {
        views::post(change, node - self.nodes_first, &mut self.postings);
    }

    /// Writes the segment.
    pub(crate) fn write(mut self, directory: &Path, store_id: &[u8; STORE_ID_BYTES]) -> Result<SegmentId> {
        let mut columns = Columns::new(directory, store_id);
        self.postings.par_sort_unstable();
        let bucket_bits = bucket_bits(self.postings.len() as u64);
        let facts = Facts {
            bucket_bits,
            nodes_first: self.nodes_first,
            layers_first: self.layers_first,
            ..Facts::default()
        };
        write_keys(&mut columns, &self.postings, &facts)?;
        write_nodes(&mut columns, &self.nodes)?;
        write_layers(&mut columns, &self.layers)?;
        write_layer_records(&mut columns, &self.records)?;
        write_numbers(&mut columns, Section::Unreadable, &self.unreadable)?;
        self.images.sort_by_key(|(_, image)| image.record.id);
        let mut images = Images::default();
        for (node, image) in self.images {
            images.push(&mut columns, node, image)?;
        }
        images.finish(&mut columns)?;
        write_digests(&mut columns, Section::Blobs, Section::BlobLayers, self.blobs)?;
        write_documents(&mut columns, &self.documents)?;
        self.overrides.sort_unstable();
        self.overrides.dedup();
        for (segment, number) in self.overrides {
            columns.push(Section::Overrides, &segment)?;
            columns.push_number(Section::Overrides, number)?;
        }
        columns.finish(facts)
    }

    fn layer(
        &mut self,
        state: &State,
        diff_id: &DiffId,
        load: &impl Fn(&DiffId) -> Result<IndexedLayer>,
    ) -> Result<u32> {
        if let Some(layer) = self.number_of(state, diff_id)? {
            return Ok(layer);
        }
        let number = numbered(self.layers_first, self.layers.len())?;
        let IndexedLayer { place, record } = load(diff_id)?;
        if place.is_none() {
            self.unreadable.insert(number);
        }
        self.layers.push((*diff_id, place.unwrap_or_default()));
        self.records.insert(number, encode_layer(&record));
        self.layer_of_diff_id.insert(*diff_id, number);
        Ok(number)
    }

    fn number_of(&self, state: &State, diff_id: &DiffId) -> Result<Option<u32>> {
        match self.layer_of_diff_id.get(diff_id) {
            Some(layer) => Ok(Some(*layer)),
            None => state.layer_of_diff_id(diff_id),
        }
    }

    /// Says that the fingerprint of a layer could not be read, so that postings lack what it holds.
    pub(crate) fn add_unreadable(&mut self, state: &State, diff_id: &DiffId) -> Result<()> {
        self.unreadable.extend(self.number_of(state, diff_id)?);
        Ok(())
    }

    /// Adds the record of a layer that has changed, if the layer has a number.
    pub(crate) fn add_layer_record(&mut self, state: &State, record: &LayerRecord) -> Result<()> {
        if let Some(number) = self.number_of(state, &record.diff_id)? {
            self.records.insert(number, encode_layer(record));
        }
        Ok(())
    }

    fn add_node(&mut self, node: Node) -> Result<u32> {
        let number = numbered(self.nodes_first, self.nodes.len())?;
        self.node_of_chain.insert(node.chain, number);
        self.nodes.push(node);
        Ok(number)
    }
}

fn numbered(first: u32, count: usize) -> Result<u32> {
    let number = u32::try_from(count).ok().and_then(|count| first.checked_add(count));
    let too_large = || StoreError::TooLarge {
        what: "nodes or layers of a store".to_owned(),
        found: count as u64 + u64::from(first),
        max: NODES_MAX.into(),
    };
    number.filter(|number| *number < NODES_MAX).ok_or_else(too_large)
}

/// Bits of a key that tell its bucket, for so many keys.
pub(crate) fn bucket_bits(keys: u64) -> u8 {
    let bits = (keys / BUCKET_KEYS).checked_ilog2().unwrap_or(0).min(BUCKET_BITS_MAX);
    u8::try_from(bits).expect("few bits")
}

/// Writes keys in their order, with the buckets between them.
pub(crate) struct Keys {
    facts: Facts,
    count: u32,
    bucket: u64,
}

impl Keys {
    pub(crate) fn new(facts: &Facts) -> Self {
        Self { facts: *facts, count: 0, bucket: 0 }
    }

    pub(crate) fn push(&mut self, columns: &mut Columns, key: u64, colour: u32) -> Result<()> {
        let bucket = key.checked_shr(64 - u32::from(self.facts.bucket_bits)).unwrap_or(0);
        self.begin(columns, bucket + 1)?;
        columns.push(Section::Keys, &key.to_be_bytes()[8 - self.facts.key_bytes()..])?;
        columns.push_number(Section::KeyColours, colour)?;
        self.count += 1;
        Ok(())
    }

    pub(crate) fn finish(mut self, columns: &mut Columns) -> Result<()> {
        self.begin(columns, (1 << self.facts.bucket_bits) + 1)
    }

    /// Writes where all buckets before this one begin that did not begin yet.
    fn begin(&mut self, columns: &mut Columns, bucket: u64) -> Result<()> {
        while self.bucket < bucket {
            columns.push_number(Section::Buckets, self.count)?;
            self.bucket += 1;
        }
        Ok(())
    }
}

/// Gives every list of postings a colour, and writes it when it is new.
#[derive(Default)]
pub(crate) struct Colours {
    known: HashMap<Vec<u8>, u32>,
    list_bytes: u32,
}

impl Colours {
    /// Returns the colour of a list.
    pub(crate) fn of(&mut self, columns: &mut Columns, list: &[u8]) -> Result<u32> {
        if let Some(colour) = self.known.get(list) {
            return Ok(*colour);
        }
        let colour = u32::try_from(self.known.len()).expect("no more than there are keys");
        let end = u32::try_from(list.len()).ok().and_then(|length| self.list_bytes.checked_add(length));
        self.list_bytes = end.ok_or_else(|| StoreError::TooLarge {
            what: "postings of a segment".to_owned(),
            found: u64::from(self.list_bytes) + list.len() as u64,
            max: u32::MAX.into(),
        })?;
        columns.push(Section::Lists, list)?;
        columns.push_number(Section::ListEnds, self.list_bytes)?;
        self.known.insert(list.to_vec(), colour);
        Ok(colour)
    }
}

fn write_keys(columns: &mut Columns, postings: &[KeyPosting], facts: &Facts) -> Result<()> {
    let (mut keys, mut colours) = (Keys::new(facts), Colours::default());
    let mut list = Vec::new();
    for group in postings.chunk_by(|a, b| a.0 == b.0) {
        list.clear();
        postings::encode(group.iter().map(|(_, posting)| *posting), &mut list);
        let colour = colours.of(columns, &list)?;
        keys.push(columns, group[0].0, colour)?;
    }
    keys.finish(columns)
}

fn write_nodes(columns: &mut Columns, nodes: &[Node]) -> Result<()> {
    for node in nodes {
        columns.push_number(Section::Parents, node.parent)?;
        columns.push_number(Section::NodeLayers, node.layer)?;
        columns.push(Section::ChainIds, node.chain.as_bytes())?;
    }
    write_order(columns, Section::ChainOrder, nodes, |node| node.chain)
}

fn write_layers(columns: &mut Columns, layers: &[(DiffId, Place)]) -> Result<()> {
    for (diff_id, place) in layers {
        columns.push(Section::DiffIds, diff_id.as_bytes())?;
        push_place(columns, Section::Places, place)?;
    }
    write_order(columns, Section::DiffOrder, layers, |(diff_id, _)| *diff_id)
}

/// Writes records of layers, by their numbers.
pub(crate) fn write_layer_records(columns: &mut Columns, records: &BTreeMap<u32, Vec<u8>>) -> Result<()> {
    let mut end = 0;
    for (number, record) in records {
        end += record.len();
        columns.push_number(Section::RecordLayers, *number)?;
        columns.push(Section::LayerRecords, record)?;
        columns.push_number(Section::LayerRecordEnds, narrow(end)?)?;
    }
    Ok(())
}

/// Writes numbers that ascend.
pub(crate) fn write_numbers(columns: &mut Columns, section: Section, numbers: &BTreeSet<u32>) -> Result<()> {
    numbers.iter().try_for_each(|number| columns.push_number(section, *number))
}

/// Returns the record of a layer as the index keeps it: the diff ID is that of its number.
pub(crate) fn encode_layer(record: &LayerRecord) -> Vec<u8> {
    let LayerRecord { diff_id: _, tar_size_bytes, entry_count, file_count, file_size_bytes, anomalies } =
        record;
    encode(&(tar_size_bytes, entry_count, file_count, file_size_bytes, anomalies))
}

/// Writes where the documents stand.
pub(crate) fn write_documents(columns: &mut Columns, documents: &BTreeMap<[u8; 32], Place>) -> Result<()> {
    for (key, place) in documents {
        columns.push(Section::Documents, key)?;
        push_place(columns, Section::DocumentPlaces, place)?;
    }
    Ok(())
}

/// Writes where something stands in the packs.
fn push_place(columns: &mut Columns, section: Section, place: &Place) -> Result<()> {
    columns.push_number(section, place.start.pack)?;
    columns.push(section, &place.start.offset_bytes.to_le_bytes())?;
    let payload_bytes = u32::try_from(place.payload_bytes).expect("the payload of a frame is below 2 GiB");
    columns.push_number(section, payload_bytes)
}

/// Writes the numbers of some things, in the order of a key.
pub(crate) fn write_order<T: Sync, K: Ord + Send>(
    columns: &mut Columns,
    section: Section,
    things: &[T],
    key: impl Fn(&T) -> K + Sync,
) -> Result<()> {
    let count = u32::try_from(things.len()).expect("numbers in a segment have 32 bits");
    let mut order: Vec<u32> = (0..count).collect();
    order.par_sort_by_key(|number| (key(&things[*number as usize]), *number));
    order.iter().try_for_each(|number| columns.push_number(section, *number))
}

/// Returns an image as the index keeps it. Its layers are told by its node.
pub(crate) fn encode_image(image: &mut IndexedImage) -> Vec<u8> {
    image.record.layers.clear();
    encode(image)
}

pub(super) fn write_names(columns: &mut Columns, mut names: Vec<(String, u32)>) -> Result<()> {
    names.sort_unstable();
    let mut end = 0;
    for (name, image) in names {
        end += name.len();
        columns.push(Section::Names, name.as_bytes())?;
        columns.push_number(Section::NameEnds, narrow(end)?)?;
        columns.push_number(Section::NameImages, image)?;
    }
    Ok(())
}

/// Writes a sorted table from digests to numbers.
pub(crate) fn write_digests(
    columns: &mut Columns,
    keys: Section,
    numbers: Section,
    digests: Vec<(BlobDigest, u32)>,
) -> Result<()> {
    let keyed = digests.into_iter().map(|(digest, number)| (key_of(&digest), number));
    write_table(columns, keys, numbers, keyed.collect())
}

/// Writes a sorted table from ids to numbers.
pub(crate) fn write_table(
    columns: &mut Columns,
    keys: Section,
    numbers: Section,
    mut entries: Vec<([u8; 32], u32)>,
) -> Result<()> {
    entries.sort_unstable();
    entries.dedup_by_key(|(key, _)| *key);
    for (key, number) in entries {
        columns.push(keys, &key)?;
        columns.push_number(numbers, number)?;
    }
    Ok(())
}

pub(super) fn encode(value: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("records hold nothing that postcard cannot write")
}

/// A place in a section has 32 bits.
pub(super) fn narrow(end: usize) -> Result<u32> {
    u32::try_from(end).map_err(|_| StoreError::TooLarge {
        what: "section of a segment".to_owned(),
        found: end as u64,
        max: u32::MAX.into(),
    })
}
