//! Stored images that are equal in content under different IDs, and layers that are nearly equal.
//!
//! Images are equal if their sets of contents are. Layers are nearly equal if, by bytes, what both hold is a large enough share
//! of what either holds (Jaccard). Candidates are told by a sketch of each layer: the few contents that come first when each
//! is drawn by its hash, the larger the sooner, so that two layers have about as large a part of their sketches in common as
//! of their bytes. What a sketch suggests is confirmed on all contents. Memory grows with the number of layers, not of files.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use layerprint_store::id::{ContentId, DiffId, ImageId, SetId};
use layerprint_store::{Content, Index, Result, Subject};
use rayon::prelude::*;

use crate::children::Asked;
use crate::known::Known;
use crate::scan::share;
use crate::storage::{files_bytes, missing};
use crate::unread::{Partly, Unreadable};

/// Contents of a sketch.
const SKETCH: usize = 8;
/// Of those, how many two layers must have in common to be compared, if they are to share nine tenths.
const SKETCH_SHARED_MIN: f64 = 0.5;

/// Images with the same contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EqualImages {
    /// The images: first the one that takes least room of its own, which could stand for all, then the others by name.
    pub members: Vec<EqualImage>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EqualImage {
    /// The image.
    pub image: Known,
    /// Sum of the sizes of the files in its layers.
    pub bytes: u64,
    /// What would not be stored without it: its layers that no member before it has, and no image that is no member.
    pub saved_bytes: u64,
}

/// Layers with nearly the same contents.
#[derive(Debug, Clone, PartialEq)]
pub struct EqualLayers {
    /// The layers, the largest first.
    pub members: Vec<EqualLayer>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct EqualLayer {
    /// The layer.
    pub diff_id: DiffId,
    /// Sum of the sizes of its distinct contents.
    pub bytes: u64,
    /// Of what it or the first of the group holds, the share that both hold, by bytes; 1 if they hold the same.
    pub share: f64,
    /// What the first of the group holds as well; nothing of the first itself.
    pub saved_bytes: u64,
    /// The images that have it, by name.
    pub images: Vec<Known>,
}

/// Which layers are told.
#[derive(Debug, Clone, Copy)]
pub struct Nearness {
    /// Least share of bytes in common, above 0 and up to 1.
    pub share_min: f64,
    /// Layers with fewer bytes of contents are left out.
    pub size_bytes_min: u64,
}

impl Default for Nearness {
    fn default() -> Self {
        Self { share_min: 0.9, size_bytes_min: 1 << 20 }
    }
}

/// Returns all groups of images that are equal, those that would save most first. Images without any content are left out; a
/// layer that cannot be read takes nothing.
pub fn equal_images(index: &Index) -> Result<Partly<Vec<EqualImages>>> {
    let unreadable = Unreadable::default();
    let mut sets: BTreeMap<SetId, Vec<ImageId>> = BTreeMap::new();
    let mut uses: HashMap<DiffId, u64> = HashMap::new();
    for record in index.images() {
        let record = record?;
        distinct(&record.layers).into_iter().for_each(|layer| *uses.entry(layer).or_default() += 1);
        if record.content_count > 0 {
            sets.entry(record.set_id).or_default().push(record.id);
        }
    }
    sets.retain(|_, images| images.len() > 1);
    let groups = sets.par_iter().map(|(_, images)| equal(index, images, &uses, &unreadable));
    let mut groups: Vec<EqualImages> = groups.collect::<Result<_>>()?;
    let saved = |group: &EqualImages| sum(group.members.iter().map(|member| member.saved_bytes));
    groups.sort_by(|a, b| {
        (Reverse(saved(a)), a.members[0].image.key()).cmp(&(Reverse(saved(b)), b.members[0].image.key()))
    });
    Ok(unreadable.with(groups))
}

fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

/// A stack may have a layer twice, which is stored once.
fn distinct(layers: &[DiffId]) -> BTreeSet<DiffId> {
    layers.iter().copied().collect()
}

/// Describes images that are equal. `uses` says how many stored images have a layer.
fn equal(
    index: &Index,
    images: &[ImageId],
    uses: &HashMap<DiffId, u64>,
    unreadable: &Unreadable,
) -> Result<EqualImages> {
    let mut sizes: HashMap<DiffId, u64> = HashMap::new();
    let mut outside: HashMap<DiffId, u64> = HashMap::new();
    let mut all = Vec::new();
    for id in images {
        let Some(record) = index.image(id)? else { continue };
        for layer in distinct(&record.layers) {
            if let Entry::Vacant(place) = sizes.entry(layer) {
                let read = unreadable.or_none(Subject::Layer(layer), files_bytes(index, &layer))?;
                place.insert(read.unwrap_or_default());
            }
            *outside.entry(layer).or_insert_with(|| uses.get(&layer).copied().unwrap_or(0)) -= 1;
        }
        all.push((Known::of(index, &record)?, record.layers));
    }
    all.sort_by(|a, b| a.0.key().cmp(&b.0.key()));
    let own = |layers: &[DiffId]| {
        sum(distinct(layers).iter().filter(|layer| outside[*layer] == 0).map(|layer| sizes[layer]))
    };
    let bytes = |layers: &[DiffId]| sum(layers.iter().map(|layer| sizes[layer]));
    // Of several that take least, the first by name.
    let takes = |place: &usize| (own(&all[*place].1), bytes(&all[*place].1));
    let least = (0..all.len()).min_by_key(takes).unwrap_or(0);
    all[..=least].rotate_right(1);
    let mut members: Vec<EqualImage> = Vec::new();
    let mut seen = HashSet::new();
    for (image, layers) in all {
        let mut new = distinct(&layers);
        new.retain(|layer| seen.insert(*layer) && outside[layer] == 0 && !members.is_empty());
        let saved_bytes = sum(new.iter().map(|layer| sizes[layer]));
        members.push(EqualImage { image, bytes: bytes(&layers), saved_bytes });
    }
    Ok(EqualImages { members })
}

/// Returns groups of layers that are nearly equal, those that would save most first. Each layer is in one group at most, and
/// near to the first of it, which is the largest. Layers that cannot be read are left out.
pub fn equal_layers(
    index: &Index,
    nearness: Nearness,
    on_read: &(dyn Fn(Asked) + Sync),
) -> Result<Partly<Vec<EqualLayers>>> {
    let unreadable = Unreadable::default();
    let mut layers: BTreeSet<DiffId> = BTreeSet::new();
    for record in index.images() {
        layers.extend(record?.layers);
    }
    on_read(Asked::Total(layers.len() as u64));
    let sketched = layers.par_iter().map(|layer| {
        let contents = contents_of(index, layer, &unreadable)?;
        on_read(Asked::One);
        let bytes = sum(contents.iter().map(|content| content.size_bytes));
        let is_large = bytes > 0 && bytes >= nearness.size_bytes_min;
        Ok(is_large.then(|| Sketched { diff_id: *layer, bytes, sketch: sketch(&contents) }))
    });
    let mut sketched: Vec<Sketched> = sketched.filter_map(Result::transpose).collect::<Result<_>>()?;
    drop(layers);
    sketched.sort_by_key(|layer| (Reverse(layer.bytes), layer.diff_id));
    let mut groups = group(index, &sketched, nearness.share_min, &unreadable)?;
    name_images(index, &mut groups)?;
    let saved = |group: &EqualLayers| sum(group.members.iter().map(|member| member.saved_bytes));
    groups.sort_by_key(|group| (Reverse(saved(group)), group.members[0].diff_id));
    Ok(unreadable.with(groups))
}

/// The distinct, non-empty contents of a layer, sorted; none of one that cannot be read.
fn contents_of(index: &Index, layer: &DiffId, unreadable: &Unreadable) -> Result<Vec<Content>> {
    let read = index.layer_contents(layer).and_then(|read| read.ok_or_else(|| missing(layer)));
    let mut contents = unreadable.or_none(Subject::Layer(*layer), read)?.unwrap_or_default();
    contents.retain(|content| content.id != ContentId::EMPTY);
    contents.dedup_by_key(|content| content.id);
    Ok(contents)
}

/// A layer, its size and its sketch.
struct Sketched {
    diff_id: DiffId,
    bytes: u64,
    sketch: Vec<u64>,
}

/// Draws contents by their hashes, the larger the sooner: each waits for a time that its hash says, exponentially distributed
/// with its size as the rate, and the first ones are taken. The chance that one layer's first is another's is then the share
/// of bytes that both have in common.
fn sketch(contents: &[Content]) -> Vec<u64> {
    let mut drawn: Vec<(f64, u64)> =
        contents.iter().map(|content| (wait(content), head(&content.id))).collect();
    let by_time = |a: &(f64, u64), b: &(f64, u64)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    if drawn.len() > SKETCH {
        drawn.select_nth_unstable_by(SKETCH, by_time);
        drawn.truncate(SKETCH);
    }
    let mut sketch: Vec<u64> = drawn.into_iter().map(|(_, head)| head).collect();
    sketch.sort_unstable();
    sketch
}

#[expect(clippy::cast_precision_loss, reason = "a draw needs no more bits than a float has")]
fn wait(content: &Content) -> f64 {
    // Bytes that no other use of the id looks at first.
    let hash = u64::from_le_bytes(content.id.as_bytes()[8..16].try_into().expect("eight of 32 bytes"));
    let uniform = (hash >> 11) as f64 + 0.5;
    -(uniform / (1_u64 << 53) as f64).ln() / content.size_bytes.max(1) as f64
}

fn head(id: &ContentId) -> u64 {
    u64::from_be_bytes(id.as_bytes()[..8].try_into().expect("eight of 32 bytes"))
}

/// Groups layers, which are sorted by size: each that is in no group yet takes those that are near to it.
fn group(
    index: &Index,
    layers: &[Sketched],
    share_min: f64,
    unreadable: &Unreadable,
) -> Result<Vec<EqualLayers>> {
    let mut buckets: HashMap<u64, Vec<u32>> = HashMap::new();
    for (place, layer) in (0_u32..).zip(layers) {
        layer.sketch.iter().for_each(|drawn| buckets.entry(*drawn).or_default().push(place));
    }
    buckets.retain(|_, places| places.len() > 1);
    let mut is_taken = vec![false; layers.len()];
    let mut groups = Vec::new();
    for (place, first) in layers.iter().enumerate() {
        if is_taken[place] {
            continue;
        }
        let candidates = candidates(layers, place, &buckets, &is_taken, share_min);
        if candidates.is_empty() {
            continue;
        }
        let own = contents_of(index, &first.diff_id, unreadable)?;
        let compare = |candidate: &usize| {
            let other = contents_of(index, &layers[*candidate].diff_id, unreadable)?;
            let (shared, all) = shared_bytes(&own, &other);
            let share = share(shared, all);
            Ok((share >= share_min).then_some((*candidate, share, shared)))
        };
        let near = candidates.par_iter().map(compare).filter_map(Result::transpose);
        let near: Vec<(usize, f64, u64)> = near.collect::<Result<_>>()?;
        if near.is_empty() {
            continue;
        }
        let member = |place: usize, share: f64, saved_bytes: u64| EqualLayer {
            diff_id: layers[place].diff_id,
            bytes: layers[place].bytes,
            share,
            saved_bytes,
            images: Vec::new(),
        };
        let mut members = vec![member(place, 1.0, 0)];
        for (place, share, shared) in near {
            is_taken[place] = true;
            members.push(member(place, share, shared));
        }
        groups.push(EqualLayers { members });
    }
    Ok(groups)
}

/// Returns the layers that may be near to one: not taken, not larger, large enough, and much alike in their sketches.
fn candidates(
    layers: &[Sketched],
    place: usize,
    buckets: &HashMap<u64, Vec<u32>>,
    is_taken: &[bool],
    share_min: f64,
) -> Vec<usize> {
    let first = &layers[place];
    let mut alike: BTreeMap<usize, usize> = BTreeMap::new();
    for drawn in &first.sketch {
        let Some(places) = buckets.get(drawn) else { continue };
        let start = places.partition_point(|other| *other as usize <= place);
        for other in places[start..].iter().map(|other| *other as usize) {
            // Sorted by size: all that follow are smaller still. What is in common is no more than the smaller holds.
            if share(layers[other].bytes, first.bytes) < share_min {
                break;
            }
            if !is_taken[other] {
                *alike.entry(other).or_default() += 1;
            }
        }
    }
    let enough = |other: usize, alike: usize| {
        let drawn = first.sketch.len().max(layers[other].sketch.len());
        share(alike as u64, drawn as u64) >= share_min * SKETCH_SHARED_MIN
    };
    alike.into_iter().filter(|(other, alike)| enough(*other, *alike)).map(|(other, _)| other).collect()
}

/// The bytes of contents that both have, and that either has.
fn shared_bytes(a: &[Content], b: &[Content]) -> (u64, u64) {
    let (mut shared, mut reached) = (0_u64, 0);
    for content in a {
        reached += b[reached..].partition_point(|other| other.id < content.id);
        if b.get(reached).is_some_and(|other| other.id == content.id) {
            shared = shared.saturating_add(content.size_bytes);
        }
    }
    let both = |contents: &[Content]| sum(contents.iter().map(|content| content.size_bytes));
    (shared, both(a).saturating_add(both(b)).saturating_sub(shared))
}

/// Says which images have the layers of all groups.
fn name_images(index: &Index, groups: &mut [EqualLayers]) -> Result<()> {
    let mut places: HashMap<DiffId, (usize, usize)> = HashMap::new();
    for (group, layers) in groups.iter().enumerate() {
        for (member, layer) in layers.members.iter().enumerate() {
            places.insert(layer.diff_id, (group, member));
        }
    }
    for record in index.images() {
        let record = record?;
        let layers: BTreeSet<&DiffId> = record.layers.iter().collect();
        for (group, member) in layers.into_iter().filter_map(|layer| places.get(layer)) {
            groups[*group].members[*member].images.push(Known::of(index, &record)?);
        }
    }
    let members = groups.iter_mut().flat_map(|group| &mut group.members);
    members.for_each(|member| member.images.sort_by(|a, b| a.key().cmp(&b.key())));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(range: std::ops::Range<u64>, size: impl Fn(u64) -> u64) -> Vec<Content> {
        let content =
            |number: u64| Content { id: ContentId::of(&number.to_le_bytes()), size_bytes: size(number) };
        let mut contents: Vec<Content> = range.map(content).collect();
        contents.sort_unstable();
        contents
    }

    #[test]
    fn sketches_are_alike_as_bytes_are() {
        // Ten files hold nearly all bytes; thousands of small ones differ.
        let size = |number: u64| if number % 1000 < 10 { 10 << 20 } else { 100 };
        let (a, b) = (layer(0..1000, size), [layer(0..10, size), layer(2010..3000, size)].concat());
        let mut b = b;
        b.sort_unstable();
        let (shared, all) = shared_bytes(&a, &b);
        assert_eq!((shared, all), (100 << 20, (100 << 20) + 2 * 99_000));
        let alike = |a: &[u64], b: &[u64]| a.iter().filter(|drawn| b.contains(drawn)).count();
        assert_eq!(alike(&sketch(&a), &sketch(&b)), SKETCH);
        // And the other way round.
        let c = layer(5000..6000, size);
        assert_eq!(alike(&sketch(&a), &sketch(&c)), 0);
    }

    #[test]
    fn hardly_a_pair_that_shares_nine_tenths_is_overlooked() {
        let same = |_| 1000;
        let alike = |a: &[u64], b: &[u64]| a.iter().filter(|drawn| b.contains(drawn)).count();
        let missed = (0..2000_u64).filter(|pair| {
            let start = pair * 10_000;
            // 95 of 100 each: 90 in common of 105 would be less than nine tenths, 95 of 105 just is.
            let (a, b) = (layer(start..start + 100, same), layer(start + 5..start + 105, same));
            share(alike(&sketch(&a), &sketch(&b)) as u64, SKETCH as u64) < 0.9 * SKETCH_SHARED_MIN
        });
        assert_eq!(missed.count(), 0);
    }
}
