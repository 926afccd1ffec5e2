//! What is stored, read once for many questions.
//!
//! A [`Memory`] belongs to whoever asks about many images. It keeps records, names and trees in bounded room. Trees share
//! the numbers of their generation: when these take too much room, the next question begins another generation, with new
//! numbers and no trees. A [`Reader`] is what one question sees of it, and reads what is not there.

use std::sync::{Arc, Mutex, PoisonError};

use layerprint_store::id::{ChainId, DiffId, ImageId, SetId};
use layerprint_store::{ImageAt, ImageRecord, Index, Platform, Result};
use rayon::prelude::*;

use crate::kept::Kept;
use crate::lineage::Remembered;
use crate::numbers::Numbers;
use crate::reference::is_place;
use crate::subject::Layers;
use crate::tree::Tree;

/// Numbers take no more than this before others are begun.
const NUMBERS_BYTES_MAX: u64 = 112 << 20;
/// Room for trees: some hundreds of usual size.
const TREES_BYTES_MAX: u64 = 112 << 20;
/// Room for records, for each of the two ways to find them, which share them.
const RECORDS_BYTES_MAX: u64 = 8 << 20;
const TIES_BYTES_MAX: u64 = 4 << 20;
const NAMES_BYTES_MAX: u64 = 4 << 20;
const FIRST_LAYERS_BYTES_MAX: u64 = 8 << 20;
const LINEAGES_BYTES_MAX: u64 = 4 << 20;

/// See the module.
pub(crate) struct Memory {
    generation: Mutex<Arc<Generation>>,
    images: Kept<ImageId, ImageRecord>,
    images_at: Kept<ImageAt, ImageRecord>,
    ties: Kept<SetId, Vec<Arc<ImageRecord>>>,
    names: Kept<ImageId, Vec<String>>,
    first_layers: Kept<ImageId, Vec<u32>>,
    pub(crate) lineages: Kept<(ImageId, Platform), Remembered>,
}

/// Trees that can be compared by number.
struct Generation {
    numbers: Numbers,
    trees: Kept<ImageId, Tree>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            generation: Mutex::new(Arc::new(Generation::new())),
            images: Kept::new(RECORDS_BYTES_MAX, 1 << 10),
            images_at: Kept::new(RECORDS_BYTES_MAX, 1 << 10),
            ties: Kept::new(TIES_BYTES_MAX, 1 << 10),
            names: Kept::new(NAMES_BYTES_MAX, 1 << 8),
            first_layers: Kept::new(FIRST_LAYERS_BYTES_MAX, 1 << 14),
            lineages: Kept::new(LINEAGES_BYTES_MAX, 1 << 10),
        }
    }

    fn generation(&self) -> Arc<Generation> {
        let mut generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        if generation.numbers.size_bytes() > NUMBERS_BYTES_MAX {
            *generation = Arc::new(Generation::new());
        }
        Arc::clone(&generation)
    }
}

impl Generation {
    fn new() -> Self {
        Self { numbers: Numbers::new(), trees: Kept::new(TREES_BYTES_MAX, 1 << 17) }
    }
}

/// What one question reads.
pub(crate) struct Reader<'q> {
    pub(crate) index: &'q Index,
    pub(crate) memory: &'q Memory,
    generation: Arc<Generation>,
}

impl<'q> Reader<'q> {
    pub(crate) fn new(index: &'q Index, memory: &'q Memory) -> Self {
        Self { index, memory, generation: memory.generation() }
    }

    /// Returns an image.
    pub(crate) fn image(&self, id: &ImageId) -> Result<Option<Arc<ImageRecord>>> {
        if let Some(record) = self.memory.images.get(id) {
            return Ok(Some(record));
        }
        Ok(self.index.image(id)?.map(|record| self.memory.images.insert(*id, record)))
    }

    /// Returns the image that stands at a place.
    pub(crate) fn image_at(&self, at: ImageAt) -> Result<Arc<ImageRecord>> {
        self.memory.images_at.get_or(&at, || self.index.image_at(at))
    }

    /// Returns the references of an image, sorted.
    pub(crate) fn names_of(&self, id: &ImageId) -> Result<Arc<Vec<String>>> {
        self.memory.names.get_or(id, || self.index.names_of(id))
    }

    /// Returns the stored images whose whole stack of layers is a prefix of these layers, longest first. Images without
    /// any content are no base.
    pub(crate) fn by_chain(&self, layers: &[DiffId]) -> Result<Vec<Arc<ImageRecord>>> {
        let mut found = Vec::new();
        for chain in ChainId::of_prefixes(layers).iter().rev() {
            for id in self.index.images_by_chain(chain)? {
                found.extend(self.image(&id)?.filter(|record| record.content_count > 0));
            }
        }
        Ok(found)
    }

    /// Returns the stored images with these contents that can run on a platform, in order of ids.
    pub(crate) fn tie(&self, set: &SetId, platform: &Platform) -> Result<Vec<Arc<ImageRecord>>> {
        let read = || {
            let ids = self.index.images_by_set(set)?;
            ids.iter().filter_map(|id| self.image(id).transpose()).collect()
        };
        let tie = self.memory.ties.get_or(set, read)?;
        Ok(tie.iter().filter(|image| image.platform.fits(platform)).cloned().collect())
    }

    /// Returns all names of those images, sorted.
    pub(crate) fn tie_names(&self, set: &SetId, platform: &Platform) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for image in self.tie(set, platform)? {
            names.extend(self.names_of(&image.id)?.iter().cloned());
        }
        if names.iter().any(|name| !is_place(name)) {
            names.retain(|name| !is_place(name));
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Returns the files of a stored image, from those of the stored images below it, which are wanted for others, too.
    pub(crate) fn tree(&self, image: &ImageRecord) -> Result<Arc<Tree>> {
        let trees = &self.generation.trees;
        if let Some(tree) = trees.get(&image.id) {
            return Ok(tree);
        }
        let mut stack = self.by_chain(&image.layers)?;
        stack.retain(|below| below.layers.len() < image.layers.len());
        stack.dedup_by_key(|below| below.layers.len());
        let kept = stack.iter().zip(0..).find_map(|(below, place)| Some((place, trees.get(&below.id)?)));
        let (place, mut tree) = kept.map_or((stack.len(), None), |(place, tree)| (place, Some(tree)));
        let mut depth = stack.get(place).map_or(0, |below| below.layers.len());
        for next in stack[..place].iter().rev().map(|below| &**below).chain([image]) {
            let layers = Layers::stored(self.index, &next.layers[depth..])?;
            let laid = match tree {
                Some(below) => Tree::laid(&below, &layers, &self.generation.numbers),
                None => self.tree_of(&layers),
            };
            tree = Some(trees.insert(next.id, laid));
            depth = next.layers.len();
        }
        Ok(tree.expect("the image is the last of them"))
    }

    /// Returns the files of stored images, in the same order. Those that are not kept are read side by side.
    pub(crate) fn trees(&self, images: &[Arc<ImageRecord>]) -> Result<Vec<Arc<Tree>>> {
        let kept: Vec<_> = images.iter().map(|image| self.generation.trees.get(&image.id)).collect();
        let one = |(image, kept): (&Arc<ImageRecord>, Option<_>)| kept.map_or_else(|| self.tree(image), Ok);
        match kept.iter().filter(|tree| tree.is_none()).count() {
            0 | 1 => images.iter().zip(kept).map(one).collect(),
            _ => images.par_iter().zip(kept).map(one).collect(),
        }
    }

    /// Returns the same, from its layers if it is not kept.
    pub(crate) fn tree_with(&self, image: &ImageRecord, layers: &Layers) -> Result<Arc<Tree>> {
        self.generation.trees.get_or(&image.id, || Ok(self.tree_of(layers)))
    }

    /// Returns the lowest layer of a stored image that brings each of its contents, by ordinals of its tree.
    pub(crate) fn first_layers(&self, image: &ImageRecord, tree: &Tree) -> Result<Arc<Vec<u32>>> {
        let read = || Ok(tree.first_layers(&Layers::stored(self.index, &image.layers)?));
        self.memory.first_layers.get_or(&image.id, read)
    }

    /// Returns the files that layers show.
    pub(crate) fn tree_of(&self, layers: &Layers) -> Tree {
        Tree::of_view(&layers.view(), &self.generation.numbers)
    }
}
