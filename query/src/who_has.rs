//! Which stored images hold a content, in which of their layers, and whether a container sees it.
//!
//! The index says which images may hold it, and in which of their layers ([`Index::holders`]); of those layers each is read
//! once, however many images share it. What decides are whole ids, and what is seen is what merging the layers gives: they are
//! merged as they are, but for the entries that cannot touch a path where the content stands.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use layerprint_store::id::{ContentId, DiffId};
use layerprint_store::{
    Content, Entry, EntryKind, Fingerprint, Holder, Index, MergedView, PathBytes, Result, Subject,
};
use rayon::prelude::*;

use crate::children::Asked;
use crate::known::Known;
use crate::storage::missing;
use crate::unread::{Partly, Unreadable};

/// A stored image that holds a content.
#[derive(Debug, Clone)]
pub struct Holding {
    /// The image.
    pub image: Known,
    /// Where a container sees the content, sorted. Empty where higher layers hide all of it.
    pub paths: Vec<PathBytes>,
    /// The layers that hold it, lowest first.
    pub layers: Vec<HoldingLayer>,
}

/// A layer that holds a content, in one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldingLayer {
    /// Its place in the image: 0 is the lowest.
    pub position: usize,
    /// The layer.
    pub diff_id: DiffId,
    /// Where the content stands in it, sorted.
    pub paths: Vec<PathBytes>,
}

impl Holding {
    /// Returns true if a container sees the content.
    pub fn is_visible(&self) -> bool {
        !self.paths.is_empty()
    }
}

/// Returns the stored images that hold a content in any of their layers, by name. The content of the empty file is in nearly
/// all of them and not looked for. Where a layer cannot be read, what it may hide is told as seen.
pub fn who_has(
    index: &Index,
    content: &ContentId,
    on_read: &(dyn Fn(Asked) + Sync),
) -> Result<Partly<Vec<Holding>>> {
    let reader = Reader { index, unreadable: Unreadable::default() };
    let mut holders = index.holders(content)?;
    let layers: BTreeSet<DiffId> = holders.iter().flat_map(|holder| &holder.layers).copied().collect();
    on_read(Asked::Total(layers.len() as u64));
    let places = reader.places(content, &layers, on_read)?;
    // The lowest layer may bring another content with the same first 64 bits.
    for holder in &mut holders {
        let below = holder.layers.iter().take_while(|layer| !places.contains_key(*layer)).count();
        holder.layers.drain(..below);
    }
    holders.retain(|holder| !holder.layers.is_empty());
    let slices = reader.slices(content, &places, &holders)?;
    let told = holders.par_iter().map(|holder| tell(index, content, holder, &places, &slices));
    let mut told: Vec<Holding> = told.collect::<Result<_>>()?;
    told.sort_by(|a, b| a.image.key().cmp(&b.image.key()));
    Ok(reader.unreadable.with(told))
}

/// Reads layers, and takes note of those that cannot be read.
struct Reader<'a> {
    index: &'a Index,
    unreadable: Unreadable,
}

/// Paths of the content in the layers that hold it.
type Places = BTreeMap<DiffId, Vec<PathBytes>>;

/// Layers without the entries that make no difference.
type Slices = HashMap<DiffId, Fingerprint>;

impl Reader<'_> {
    fn fingerprint(&self, layer: &DiffId) -> Result<Option<Arc<Fingerprint>>> {
        let read = self.index.fingerprint(layer).and_then(|read| read.ok_or_else(|| missing(layer)));
        self.unreadable.or_none(Subject::Layer(*layer), read)
    }

    fn contents(&self, layer: &DiffId) -> Result<Option<Vec<Content>>> {
        let read = self.index.layer_contents(layer).and_then(|read| read.ok_or_else(|| missing(layer)));
        self.unreadable.or_none(Subject::Layer(*layer), read)
    }

    fn places(
        &self,
        content: &ContentId,
        layers: &BTreeSet<DiffId>,
        on_read: &(dyn Fn(Asked) + Sync),
    ) -> Result<Places> {
        let read = layers.par_iter().map(|layer| {
            let contents = self.contents(layer)?.unwrap_or_default();
            on_read(Asked::One);
            if contents.binary_search_by(|held| held.id.cmp(content)).is_err() {
                return Ok(None);
            }
            let Some(fingerprint) = self.fingerprint(layer)? else { return Ok(None) };
            let files = fingerprint.entries().iter().filter(|entry| holds(entry, content));
            Ok(Some((*layer, files.map(|entry| copied(&entry.path)).collect())))
        });
        read.filter_map(Result::transpose).collect()
    }

    fn slices(&self, content: &ContentId, places: &Places, holders: &[Holder]) -> Result<Slices> {
        let layers: BTreeSet<DiffId> = holders.iter().flat_map(|holder| &holder.layers).copied().collect();
        let mut paths: BTreeSet<PathBytes> = places.values().flatten().cloned().collect();
        let slices = self.touching(content, &layers, &paths)?;
        // A hard link to one of the paths is one more, which may be hidden, replaced and linked to in its turn.
        let entries = slices.values().flat_map(Fingerprint::entries);
        if !entries.into_iter().any(|entry| links_to(entry, &paths) && !paths.contains(&entry.path[..])) {
            return Ok(slices);
        }
        drop(slices);
        self.add_links(&layers, &mut paths)?;
        self.touching(content, &layers, &paths)
    }

    fn touching(
        &self,
        content: &ContentId,
        layers: &BTreeSet<DiffId>,
        paths: &BTreeSet<PathBytes>,
    ) -> Result<Slices> {
        let slice = |layer: &DiffId| {
            let Some(fingerprint) = self.fingerprint(layer)? else { return Ok(None) };
            let touching = fingerprint.entries().iter().filter(|entry| touches(entry, content, paths));
            Ok(Some((*layer, Fingerprint::from_entries(touching.cloned().collect()))))
        };
        layers.par_iter().map(slice).filter_map(Result::transpose).collect()
    }

    /// Adds the paths of all hard links that lead to one of the paths, however many links lie between.
    fn add_links(&self, layers: &BTreeSet<DiffId>, paths: &mut BTreeSet<PathBytes>) -> Result<()> {
        let mut links: HashMap<PathBytes, Vec<PathBytes>> = HashMap::new();
        for layer in layers {
            let Some(fingerprint) = self.fingerprint(layer)? else { continue };
            for entry in fingerprint.entries() {
                if let EntryKind::HardLink(target) = &entry.kind {
                    links.entry(copied(target)).or_default().push(copied(&entry.path));
                }
            }
        }
        let mut open: Vec<PathBytes> = paths.iter().cloned().collect();
        while let Some(target) = open.pop() {
            let new = links.remove(&target).unwrap_or_default();
            open.extend(new.into_iter().filter(|path| paths.insert(path.clone())));
        }
        Ok(())
    }
}

fn holds(entry: &Entry, content: &ContentId) -> bool {
    entry.content().is_some_and(|held| held.id == *content)
}

/// The path alone: others of its layer are not to be kept with it.
fn copied(path: &[u8]) -> PathBytes {
    PathBytes::from(path)
}

fn links_to(entry: &Entry, paths: &BTreeSet<PathBytes>) -> bool {
    matches!(&entry.kind, EntryKind::HardLink(target) if paths.contains(&target[..]))
}

/// Returns true if an entry is one of the paths, above one, below one, or a hard link to one.
fn touches(entry: &Entry, content: &ContentId, paths: &BTreeSet<PathBytes>) -> bool {
    let path = &entry.path[..];
    links_to(entry, paths)
        || holds(entry, content)
        || paths.contains(path)
        || is_above_any(path, paths)
        || is_below_any(path, paths)
}

fn is_above_any(path: &[u8], paths: &BTreeSet<PathBytes>) -> bool {
    if path.is_empty() {
        return true;
    }
    let folder = PathBytes::from([path, b"/"].concat());
    paths.range(folder.clone()..).next().is_some_and(|next| next.starts_with(&folder))
}

fn is_below_any(path: &[u8], paths: &BTreeSet<PathBytes>) -> bool {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.into_iter().any(|(end, _)| paths.contains(&path[..end]))
}

fn tell(
    index: &Index,
    content: &ContentId,
    holder: &Holder,
    places: &Places,
    slices: &Slices,
) -> Result<Holding> {
    let record = index.image_at(holder.image)?;
    let view = MergedView::of(holder.layers.iter().filter_map(|layer| slices.get(layer)));
    let seen = view.files().filter(|(_, held)| held.id == *content);
    let lowest = record.layers.len() - holder.layers.len();
    let layers = (lowest..).zip(&holder.layers).filter_map(|(position, diff_id)| {
        let paths = places.get(diff_id)?.clone();
        Some(HoldingLayer { position, diff_id: *diff_id, paths })
    });
    Ok(Holding {
        paths: seen.map(|(path, _)| PathBytes::from(path)).collect(),
        layers: layers.collect(),
        image: Known::of(index, &record)?,
    })
}
