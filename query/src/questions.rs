//! Many questions to one store.
//!
//! Most of the work of an answer is to read stored images, and images that are asked about one after the other have most
//! of these in common: what was read is kept, some 300 MiB at most, and changes no answer. Most is gained by who asks in an
//! order in which images with the same lower layers follow each other.

use layerprint_store::id::ImageId;
use layerprint_store::{Index, Result, StoreError};

use crate::find::{Image, find_with};
use crate::finding::Finding;
use crate::reader::{Memory, Reader};
use crate::subject::Subject;

/// Asks what images are built on. Many threads may use it at once.
pub struct Questions<'i> {
    index: &'i Index,
    memory: Memory,
}

impl<'i> Questions<'i> {
    /// Has read nothing yet.
    pub fn new(index: &'i Index) -> Self {
        Self { index, memory: Memory::new() }
    }

    /// Returns the index that is asked.
    pub fn index(&self) -> &'i Index {
        self.index
    }

    /// Finds what an image is built on. `source` is how the user named it.
    pub fn find(&self, subject: &Subject, source: &str) -> Result<Finding> {
        let reader = self.reader();
        let image = Image::of(&reader, subject)?;
        find_with(&reader, &image, source)
    }

    /// Finds what a stored image is built on.
    pub fn find_stored(&self, id: &ImageId, source: &str) -> Result<Finding> {
        let reader = self.reader();
        let record = reader.image(id)?.ok_or_else(|| StoreError::NotFound { text: id.to_string() })?;
        let image = Image::stored(&reader, record)?;
        find_with(&reader, &image, source)
    }

    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader::new(self.index, &self.memory)
    }
}
