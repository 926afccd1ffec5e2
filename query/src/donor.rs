//! A stored image as what it may have given to another: its files, found by path and by folder.
//!
//! Owns what it holds, so that those that are looked at again and again are read once.

use std::collections::HashSet;

use layerprint_store::id::ContentId;
use layerprint_store::{Content, ImageRecord, Index, MergedView, Result};

use crate::created;
use crate::lineage::ANCESTOR_CONTAINMENT;
use crate::scan::share;
use crate::subject::Layers;

/// A stored image with its files that are not empty, sorted by path.
#[derive(Debug)]
pub(crate) struct Donor {
    pub(crate) record: ImageRecord,
    pub(crate) files: Vec<(Box<[u8]>, Content)>,
    contents: HashSet<ContentId>,
}

impl Donor {
    pub(crate) fn read(index: &Index, record: ImageRecord) -> Result<Self> {
        let layers = Layers::stored(index, &record.layers)?;
        let view = layers.view();
        Ok(Self::new(record, &view))
    }

    pub(crate) fn new(record: ImageRecord, view: &MergedView) -> Self {
        let files = view.files().filter(|(_, content)| content.id != ContentId::EMPTY);
        let files: Vec<_> = files.map(|(path, content)| (path.into(), *content)).collect();
        let contents = files.iter().map(|(_, content)| content.id).collect();
        Self { record, files, contents }
    }

    /// What stands at a path.
    pub(crate) fn content_at(&self, path: &[u8]) -> Option<ContentId> {
        let index = self.files.binary_search_by(|(own, _)| (**own).cmp(path)).ok()?;
        Some(self.files[index].1.id)
    }

    /// How many files another has at the same paths, whatever is in them.
    pub(crate) fn paths_shared(&self, other: &Self) -> u64 {
        self.files.iter().filter(|(path, _)| other.content_at(path).is_some()).count() as u64
    }

    pub(crate) fn file_count(&self) -> u64 {
        self.files.len() as u64
    }

    /// Returns true if another stands below this one by its layers, or is all in this one, which was made after it.
    pub(crate) fn is_built_on(&self, other: &Self) -> bool {
        let (own, below) = (&self.record, &other.record);
        if own.layers.len() > below.layers.len() && own.layers.starts_with(&below.layers) {
            return true;
        }
        own.content_count > below.content_count
            && created::is_after(own, below)
            && share(self.shared(other.contents()), below.content_count) >= ANCESTOR_CONTAINMENT
    }

    pub(crate) fn has(&self, content: ContentId) -> bool {
        self.contents.contains(&content)
    }

    /// How many of these contents are here.
    pub(crate) fn shared(&self, contents: impl Iterator<Item = ContentId>) -> u64 {
        contents.filter(|content| self.has(*content)).count() as u64
    }

    pub(crate) fn contents(&self) -> impl Iterator<Item = ContentId> {
        self.contents.iter().copied()
    }

    /// Returns true if a file stands somewhere below a folder.
    pub(crate) fn has_below(&self, folder: &[u8]) -> bool {
        self.below(folder).next().is_some()
    }

    /// The files below a folder, each with what follows the folder in its path.
    pub(crate) fn below<'d>(
        &'d self,
        folder: &[u8],
    ) -> impl Iterator<Item = (&'d [u8], &'d Content)> + use<'d> {
        let prefix = if folder.is_empty() { Vec::new() } else { [folder, b"/"].concat() };
        let start = self.files.partition_point(|(path, _)| **path < *prefix);
        let files = self.files[start..].iter();
        files.map_while(move |(path, content)| Some((path.strip_prefix(&*prefix)?, content)))
    }
}

/// Returns a path below a folder; the root, and nothing below a folder, are empty.
pub(crate) fn join(folder: &[u8], rest: &[u8]) -> Vec<u8> {
    match (folder, rest) {
        (b"", path) | (path, b"") => path.to_vec(),
        (folder, rest) => [folder, b"/", rest].concat(),
    }
}
