//! A stored image as what it may have given to another: its files, found by path and by folder.

use std::sync::Arc;

use layerprint_store::id::ContentId;
use layerprint_store::{Content, ImageRecord, Result};

use crate::created;
use crate::lineage::ANCESTOR_CONTAINMENT;
use crate::reader::Reader;
use crate::scan::share;
use crate::tree::{FileNumbers, Tree};

/// A stored image with its files. Empty ones say nothing of who gave what, and are passed over.
#[derive(Debug)]
pub(crate) struct Donor {
    pub(crate) record: Arc<ImageRecord>,
    pub(crate) tree: Arc<Tree>,
}

impl Donor {
    pub(crate) fn read(reader: &Reader, record: Arc<ImageRecord>) -> Result<Self> {
        let tree = reader.tree(&record)?;
        Ok(Self { record, tree })
    }

    /// Returns its files in path order.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&[u8], Content)> {
        self.tree.files().filter(|(_, content)| content.id != ContentId::EMPTY)
    }

    /// What stands at a path.
    pub(crate) fn content_at(&self, path: &[u8]) -> Option<ContentId> {
        self.tree.get(path).map(|content| content.id).filter(|content| *content != ContentId::EMPTY)
    }

    /// How many files another has at the same paths, whatever is in them.
    pub(crate) fn paths_shared(&self, other: &Self) -> u64 {
        self.files().filter(|(path, _)| other.content_at(path).is_some()).count() as u64
    }

    pub(crate) fn file_count(&self) -> u64 {
        self.files().count() as u64
    }

    /// Returns true if another stands below this one by its layers, or is all in this one, which was made after it.
    pub(crate) fn is_built_on(&self, other: &Self) -> bool {
        let (own, below) = (&self.record, &other.record);
        if own.layers.len() > below.layers.len() && own.layers.starts_with(&below.layers) {
            return true;
        }
        own.content_count > below.content_count
            && created::is_after(own, below)
            && share(self.shared(other), below.content_count) >= ANCESTOR_CONTAINMENT
    }

    pub(crate) fn has(&self, content: ContentId) -> bool {
        content != ContentId::EMPTY && self.tree.has(&content)
    }

    /// How many distinct contents both have.
    pub(crate) fn shared(&self, other: &Self) -> u64 {
        self.tree.shared(&other.tree)
    }

    /// Returns true if a file stands somewhere below a folder.
    pub(crate) fn has_below(&self, folder: &[u8]) -> bool {
        self.below(folder).next().is_some()
    }

    /// The files below a folder, each with what follows the folder in its path.
    pub(crate) fn below<'d>(&'d self, folder: &[u8]) -> impl Iterator<Item = (&'d [u8], Content)> + use<'d> {
        self.numbered_below(folder).map(|(path, content, _)| (path, content))
    }

    /// The same, each with its numbers.
    pub(crate) fn numbered_below<'d>(
        &'d self,
        folder: &[u8],
    ) -> impl Iterator<Item = (&'d [u8], Content, &'d FileNumbers)> + use<'d> {
        let prefix = if folder.is_empty() { Vec::new() } else { [folder, b"/"].concat() };
        let files = self.tree.files_from(self.tree.first_from(&prefix));
        let below =
            files.map_while(move |(path, content, file)| Some((path.strip_prefix(&*prefix)?, content, file)));
        below.filter(|(_, content, _)| content.id != ContentId::EMPTY)
    }
}

/// Returns a path below a folder; the root, and nothing below a folder, are empty.
pub(crate) fn join(folder: &[u8], rest: &[u8]) -> Vec<u8> {
    match (folder, rest) {
        (b"", path) | (path, b"") => path.to_vec(),
        (folder, rest) => [folder, b"/", rest].concat(),
    }
}
