//! One published state of the index: live segments, oldest first, and what they say together.
//!
//! Nodes and layers are numbered through all segments, and a node's parent has a smaller number. An image stands where
//! it was last written: a later segment names the images of earlier ones that it overrides.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::segment::{Section, Segment, SegmentId};
use crate::error::Result;
use crate::format::STORE_ID_BYTES;
use crate::format::index::CHECKSUM_BYTES;
use crate::id::{BlobDigest, ChainId, DiffId, ImageId, SetId};
use crate::log::frame::{Place, Position};
use crate::record::{ImageRecord, Platform};

/// The parent of a lowest layer, and the node of an image without layers.
pub(crate) const NO_NODE: u32 = u32::MAX;
/// Segments of this size together are checked as a whole when they are opened.
const CHECKED_AT_OPEN_BYTES_MAX: u64 = 32 << 20;
/// Bytes of an image's row.
pub(crate) const ROW_BYTES: usize = 12;
/// Bytes of the place of a layer or document.
pub(crate) const PLACE_BYTES: usize = 16;
/// Bytes of an override: a segment and a number.
pub(crate) const OVERRIDE_BYTES: usize = CHECKSUM_BYTES + 4;

/// Where an image stands: a segment, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageAt {
    segment: u32,
    number: u32,
}

/// What is known of an image without reading its record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) node: u32,
    pub(crate) content_count: u32,
    pub(crate) platform: u32,
}

/// An image as the index keeps it: the layers are told by its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexedImage {
    pub(crate) record: ImageRecord,
    /// References, and when each was last seen to stand for it.
    pub(crate) names: Vec<(String, u64)>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) segments: Vec<Arc<Segment>>,
    /// For each segment, a bit for each image that is overridden.
    dead: Vec<Vec<u64>>,
    /// Numbers of the layers whose fingerprints could not be read when postings were made of them.
    pub(crate) unreadable: BTreeSet<u32>,
}

impl State {
    /// Opens the segments with these ids, taking those that `known` has open already.
    pub(crate) fn open(
        directory: &Path,
        store_id: &[u8; STORE_ID_BYTES],
        ids: &[SegmentId],
        known: &Self,
    ) -> Result<Self> {
        let open = |id: &SegmentId| match known.segments.iter().find(|segment| segment.id == *id) {
            Some(segment) => Ok(Arc::clone(segment)),
            None => Segment::open(directory, store_id, *id).map(Arc::new),
        };
        let segments: Vec<Arc<Segment>> = ids.iter().map(open).collect::<Result<_>>()?;
        check_numbers(&segments)?;
        let dead = segments.iter().map(|segment| vec![0; image_count(segment).div_ceil(64)]).collect();
        let mut state = Self { segments, dead, unreadable: BTreeSet::new() };
        for segment in state.segments.clone() {
            state.bury(&segment)?;
            for at in 0..segment.length(Section::Unreadable) / 4 {
                state.unreadable.insert(segment.number(Section::Unreadable, at)?);
            }
        }
        Ok(state)
    }

    /// Checks small segments as a whole, which costs less than a millisecond a megabyte. Of larger ones every part is checked
    /// when it is first looked at.
    pub(crate) fn check_if_small(&self) -> Result<()> {
        let size_bytes: u64 = self.segments.iter().map(|segment| segment.file_bytes()).sum();
        match size_bytes <= CHECKED_AT_OPEN_BYTES_MAX {
            true => self.segments.iter().try_for_each(|segment| segment.check()),
            false => Ok(()),
        }
    }

    fn bury(&mut self, segment: &Segment) -> Result<()> {
        for entry in segment.all(Section::Overrides)?.chunks_exact(OVERRIDE_BYTES) {
            let (id, number) = entry.split_at(CHECKSUM_BYTES);
            let number = u32::from_le_bytes(number.try_into().expect("four bytes")) as usize;
            // One that is no longer there was merged, and the image was left out then.
            let Some(place) = self.segments.iter().position(|other| other.id == *id) else { continue };
            if number >= image_count(&self.segments[place]) {
                return Err(segment.corrupt(Section::Overrides, "no such image"));
            }
            self.dead[place][number / 64] |= 1 << (number % 64);
        }
        Ok(())
    }

    /// Images that are stored, and images that are overridden or gone but still in a segment.
    pub(crate) fn image_counts(&self) -> (u64, u64) {
        let all: u64 = self.segments.iter().map(|segment| image_count(segment) as u64).sum();
        let dead: u64 = self.dead.iter().flatten().map(|word| u64::from(word.count_ones())).sum();
        (all - dead, dead)
    }

    /// Returns the number after the last node.
    pub(crate) fn nodes_end(&self) -> u32 {
        self.segments.last().map_or(0, |last| last.facts.nodes_first + count(last, Section::Parents, 4))
    }

    /// Returns the number after the last layer.
    pub(crate) fn layers_end(&self) -> u32 {
        self.segments.last().map_or(0, |last| last.facts.layers_first + count(last, Section::DiffIds, 32))
    }

    /// Returns the node of a chain ID.
    pub(crate) fn node_of_chain(&self, chain: &ChainId) -> Result<Option<u32>> {
        self.find(Section::ChainOrder, Section::ChainIds, chain.as_bytes())
            .map(|found| found.map(|(segment, number)| segment.facts.nodes_first + number))
    }

    /// Returns the number of a layer.
    pub(crate) fn layer_of_diff_id(&self, layer: &DiffId) -> Result<Option<u32>> {
        self.find(Section::DiffOrder, Section::DiffIds, layer.as_bytes())
            .map(|found| found.map(|(segment, number)| segment.facts.layers_first + number))
    }

    /// Returns a node's parent; none for a lowest layer.
    pub(crate) fn parent(&self, node: u32) -> Result<Option<u32>> {
        let (segment, number) = self.node_at(node)?;
        Ok(Some(segment.number(Section::Parents, number)?).filter(|parent| *parent < node))
    }

    /// Tells of each node whether another stands below it.
    pub(crate) fn nodes_above(&self, below: u32) -> Result<Vec<bool>> {
        let mut above = vec![false; self.nodes_end() as usize];
        for segment in &self.segments {
            let first = segment.facts.nodes_first as usize;
            for (number, parent) in segment.all(Section::Parents)?.chunks_exact(4).enumerate() {
                let parent = u32::from_le_bytes(parent.try_into().expect("four bytes"));
                above[first + number] =
                    parent == below || above.get(parent as usize).copied().unwrap_or(false);
            }
        }
        Ok(above)
    }

    /// Returns the number of the layer that a node puts over its parent.
    pub(crate) fn layer_of_node(&self, node: u32) -> Result<u32> {
        let (segment, number) = self.node_at(node)?;
        segment.number(Section::NodeLayers, number)
    }

    /// Returns the layers of a node, lowest first.
    pub(crate) fn layers(&self, node: u32) -> Result<Vec<DiffId>> {
        self.layers_between(0, node)
    }

    /// Returns the layers of a node, lowest first, without those of nodes before one that it stands on.
    pub(crate) fn layers_between(&self, lowest: u32, node: u32) -> Result<Vec<DiffId>> {
        let (mut layers, mut next) = (Vec::new(), Some(node).filter(|node| *node != NO_NODE));
        // Parents have smaller numbers.
        while let Some(node) = next.filter(|node| *node >= lowest) {
            layers.push(self.diff_id(self.layer_of_node(node)?)?);
            next = self.parent(node)?;
        }
        layers.reverse();
        Ok(layers)
    }

    /// Returns where an image stands.
    pub(crate) fn image(&self, image: &ImageId) -> Result<Option<ImageAt>> {
        for (index, segment) in self.newest_first() {
            let number = first_id(segment, Section::ImageIds, image.as_bytes())?;
            let at = image_at(index, number);
            if number < image_count(segment)
                && segment.id_at(Section::ImageIds, number)? == *image.as_bytes()
                && self.is_live(at)
            {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Returns all images, segment by segment, in each by id.
    pub(crate) fn images(&self) -> impl Iterator<Item = ImageAt> {
        let numbered = self.segments.iter().enumerate();
        let all = numbered.flat_map(|(index, segment)| {
            (0..image_count(segment)).map(move |number| image_at(index, number))
        });
        all.filter(|at| self.is_live(*at))
    }

    /// Returns true unless the image was overridden, or there is none.
    pub(crate) fn is_live(&self, at: ImageAt) -> bool {
        let word = self.dead[at.segment as usize].get(at.number as usize / 64);
        word.is_some_and(|word| word & (1 << (at.number % 64)) == 0)
    }

    /// Returns the images whose whole stack of layers is a node.
    pub(crate) fn images_of_node(&self, node: u32) -> Result<Vec<ImageAt>> {
        let row_node = |segment: &Segment, number: u32| Ok(row(segment, number as usize)?.node);
        self.equal_range(Section::NodeOrder, &node, row_node)
    }

    /// Returns the images that have exactly these contents.
    pub(crate) fn images_of_set(&self, set: &SetId) -> Result<Vec<ImageAt>> {
        let id = |segment: &Segment, number: u32| segment.id_at(Section::SetIds, number as usize);
        self.equal_range(Section::SetOrder, set.as_bytes(), id)
    }

    /// Returns the images with a name, and those that had it once and were overridden by others.
    pub(crate) fn images_named(&self, name: &str) -> Result<Vec<ImageAt>> {
        let mut found = Vec::new();
        for (index, segment) in self.segments.iter().enumerate() {
            let names = segment.length(Section::NameEnds) / 4;
            let text =
                |number: usize| segment.slice(Section::Names, segment.extent(Section::NameEnds, number)?);
            let first = Segment::partition(names, |number| Ok(text(number)? < name.as_bytes()))?;
            for number in first..names {
                if text(number)? != name.as_bytes() {
                    break;
                }
                found.push(listed(index, segment, Section::NameImages, number)?);
            }
        }
        found.retain(|at| self.is_live(*at));
        Ok(found)
    }

    /// Returns the image that a manifest describes.
    pub(crate) fn image_of_manifest(&self, manifest: &BlobDigest) -> Result<Option<ImageAt>> {
        for (index, segment) in self.newest_first() {
            let keys = segment.length(Section::Manifests) / 32;
            let number = first_id(segment, Section::Manifests, &key_of(manifest))?;
            if number < keys && segment.id_at(Section::Manifests, number)? == key_of(manifest) {
                let at = listed(index, segment, Section::ManifestImages, number)?;
                if self.is_live(at) {
                    return Ok(Some(at));
                }
            }
        }
        Ok(None)
    }

    /// Returns where a document stands.
    pub(crate) fn document(&self, document: &BlobDigest) -> Result<Option<Place>> {
        for (_, segment) in self.newest_first() {
            let keys = segment.length(Section::Documents) / 32;
            let number = first_id(segment, Section::Documents, &key_of(document))?;
            if number < keys && segment.id_at(Section::Documents, number)? == key_of(document) {
                return place(segment, Section::DocumentPlaces, number).map(Some);
            }
        }
        Ok(None)
    }

    /// Returns an image's row.
    pub(crate) fn row(&self, at: ImageAt) -> Result<Row> {
        row(&self.segments[at.segment as usize], at.number as usize)
    }

    /// Shows the rows of all images, overridden ones among them.
    pub(crate) fn each_row(&self, mut on_row: impl FnMut(ImageAt, Row)) -> Result<()> {
        for (index, segment) in self.segments.iter().enumerate() {
            let rows = segment.all(Section::ImageRows)?.chunks_exact(ROW_BYTES);
            rows.enumerate().for_each(|(number, bytes)| on_row(image_at(index, number), row_of(bytes)));
        }
        Ok(())
    }

    /// Returns the identity of an image's contents.
    pub(crate) fn set_id(&self, at: ImageAt) -> Result<SetId> {
        let segment = &self.segments[at.segment as usize];
        segment.id_at(Section::SetIds, at.number as usize).map(SetId::from_bytes)
    }

    /// Returns the id of an image.
    pub(crate) fn image_id(&self, at: ImageAt) -> Result<ImageId> {
        let segment = &self.segments[at.segment as usize];
        segment.id_at(Section::ImageIds, at.number as usize).map(ImageId::from_bytes)
    }

    /// Returns an image's record, as it is stored.
    pub(crate) fn record_bytes(&self, at: ImageAt) -> Result<&[u8]> {
        let segment = &self.segments[at.segment as usize];
        segment.slice(Section::Records, segment.extent(Section::RecordEnds, at.number as usize)?)
    }

    /// Returns an image with its names and layers.
    pub(crate) fn indexed(&self, at: ImageAt) -> Result<IndexedImage> {
        let corrupt =
            || self.segments[at.segment as usize].corrupt(Section::Records, "a record does not decode");
        let mut image: IndexedImage = postcard::from_bytes(self.record_bytes(at)?).map_err(|_| corrupt())?;
        image.record.layers = self.layers(self.row(at)?.node)?;
        Ok(image)
    }

    /// Returns for each platform of each segment whether it fits another.
    pub(crate) fn fitting(&self, platform: &Platform) -> Result<Vec<Vec<bool>>> {
        let fits = |segment: &Segment, number: usize| {
            let bytes = segment.slice(Section::Platforms, segment.extent(Section::PlatformEnds, number)?)?;
            let stored: Platform = postcard::from_bytes(bytes)
                .map_err(|_| segment.corrupt(Section::Platforms, "a platform does not decode"))?;
            Ok(stored.fits(platform))
        };
        let all = self.segments.iter().map(|segment| {
            (0..segment.length(Section::PlatformEnds) / 4).map(|number| fits(segment, number)).collect()
        });
        all.collect()
    }

    /// Returns a list of the ids in a sorted table that begin with some digits' bytes, with the segment and number of each.
    pub(crate) fn ids_from<'a>(
        &'a self,
        ids: Section,
        order: Option<Section>,
        prefix: &'a [u8],
    ) -> Result<Vec<(usize, usize, [u8; 32])>> {
        let mut found = Vec::new();
        for (index, segment) in self.segments.iter().enumerate() {
            let total = segment.length(ids) / 32;
            let number = |place: usize| match order {
                Some(order) => Ok(segment.number(order, place)? as usize),
                None => Ok(place),
            };
            let head = |place: usize| segment.id_at(ids, number(place)?);
            let first = Segment::partition(total, |place| Ok(&head(place)?[..prefix.len()] < prefix))?;
            for place in first..total {
                let id = head(place)?;
                if !id.starts_with(prefix) {
                    break;
                }
                found.push((index, number(place)?, id));
            }
        }
        Ok(found)
    }

    /// Returns the segment that holds a node, and its number there.
    pub(crate) fn node_at(&self, node: u32) -> Result<(&Segment, usize)> {
        self.holder(node, |segment| segment.facts.nodes_first)
    }

    /// Returns the segment of an index, and of an image in it.
    pub(crate) fn at(segment: usize, number: usize) -> ImageAt {
        image_at(segment, number)
    }

    pub(super) fn layer_at(&self, layer: u32) -> Result<(&Segment, usize)> {
        self.holder(layer, |segment| segment.facts.layers_first)
    }

    fn holder(&self, number: u32, first: impl Fn(&Segment) -> u32) -> Result<(&Segment, usize)> {
        let after = self.segments.partition_point(|segment| first(segment) <= number);
        // Segments without any follow with the same number; a look-up beyond the end of one is an error there.
        let segment = self.segments[..after].iter().rev().find(|segment| first(segment) <= number);
        let segment = segment.expect("the first segment begins at zero");
        Ok((segment, (number - first(segment)) as usize))
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = (usize, &Segment)> {
        self.segments.iter().map(|segment| &**segment).enumerate().rev()
    }

    /// Finds an id in the first segment that has it.
    fn find(&self, order: Section, ids: Section, id: &[u8; 32]) -> Result<Option<(&Segment, u32)>> {
        for (_, segment) in self.newest_first() {
            let total = segment.length(order) / 4;
            let id_of = |place: usize| segment.id_at(ids, segment.number(order, place)? as usize);
            let place = Segment::partition(total, |place| Ok(id_of(place)? < *id))?;
            if place < total && id_of(place)? == *id {
                return Ok(Some((segment, segment.number(order, place)?)));
            }
        }
        Ok(None)
    }

    /// Returns the live images whose key equals another, from an order of images by that key.
    fn equal_range<K: Ord>(
        &self,
        order: Section,
        key: &K,
        key_of: impl Fn(&Segment, u32) -> Result<K>,
    ) -> Result<Vec<ImageAt>> {
        let mut found = Vec::new();
        for (index, segment) in self.segments.iter().enumerate() {
            let total = segment.length(order) / 4;
            let at = |place: usize| segment.number(order, place);
            let first = Segment::partition(total, |place| Ok(key_of(segment, at(place)?)? < *key))?;
            for place in first..total {
                if key_of(segment, at(place)?)? != *key {
                    break;
                }
                found.push(listed(index, segment, order, place)?);
            }
        }
        found.retain(|at| self.is_live(*at));
        Ok(found)
    }
}

/// Checks that nodes and layers are numbered through, which everything that asks for one by its number relies on.
fn check_numbers(segments: &[Arc<Segment>]) -> Result<()> {
    let (mut node, mut layer) = (0_u32, 0_u32);
    for segment in segments {
        let corrupt =
            || segment.corrupt(Section::Parents, "numbers do not follow those of the segment before");
        if (segment.facts.nodes_first, segment.facts.layers_first) != (node, layer) {
            return Err(corrupt());
        }
        node = node.checked_add(count(segment, Section::Parents, 4)).ok_or_else(corrupt)?;
        layer = layer.checked_add(count(segment, Section::DiffIds, 32)).ok_or_else(corrupt)?;
    }
    Ok(())
}

/// The first 32 bytes of a digest, by which it is found.
pub(crate) fn key_of(digest: &BlobDigest) -> [u8; 32] {
    digest.as_bytes()[..32].try_into().expect("digests are no shorter")
}

/// Returns a place in the packs, from a column of them.
pub(crate) fn place(segment: &Segment, section: Section, number: usize) -> Result<Place> {
    let bytes = segment.slice(section, PLACE_BYTES * number..PLACE_BYTES * (number + 1))?;
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let offset_bytes = u64::from_le_bytes(bytes[4..12].try_into().expect("eight bytes"));
    Ok(Place { start: Position { pack: word(0), offset_bytes }, payload_bytes: word(12).into() })
}

/// How many images a segment holds.
pub(crate) fn image_count(segment: &Segment) -> usize {
    segment.length(Section::ImageIds) / 32
}

/// How many entries of so many bytes a section holds.
pub(crate) fn count(segment: &Segment, section: Section, bytes: usize) -> u32 {
    u32::try_from(segment.length(section) / bytes).expect("numbers in a segment have 32 bits")
}

/// Returns the row of an image of a segment.
pub(crate) fn row(segment: &Segment, number: usize) -> Result<Row> {
    segment.slice(Section::ImageRows, ROW_BYTES * number..ROW_BYTES * (number + 1)).map(row_of)
}

fn row_of(bytes: &[u8]) -> Row {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    Row { node: word(0), content_count: word(4), platform: word(8) }
}

/// Returns the image whose number stands in a column.
fn listed(index: usize, segment: &Segment, section: Section, place: usize) -> Result<ImageAt> {
    let number = segment.number(section, place)? as usize;
    match number < image_count(segment) {
        true => Ok(image_at(index, number)),
        false => Err(segment.corrupt(section, "no such image")),
    }
}

fn image_at(segment: usize, number: usize) -> ImageAt {
    let narrow = |number: usize| u32::try_from(number).expect("numbers in a segment have 32 bits");
    ImageAt { segment: narrow(segment), number: narrow(number) }
}

impl ImageAt {
    /// Returns the segment, and the number in it.
    pub(crate) fn parts(self) -> (usize, usize) {
        (self.segment as usize, self.number as usize)
    }
}

/// Returns the place of the first id of a sorted column that is not less than another.
pub(super) fn first_id(segment: &Segment, ids: Section, id: &[u8; 32]) -> Result<usize> {
    Segment::partition(segment.length(ids) / 32, |place| Ok(segment.id_at(ids, place)? < *id))
}
