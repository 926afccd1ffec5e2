//! The journal of files that were read: one whose size and time are still the same is not opened again.
//!
//! Only for archives: a folder's time says nothing of what is in it, and an OCI layout is known by its digests anyway.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use layerprint_store::id::ImageId;
use layerprint_store::{SourceRecord, Store, StoreError};

use crate::pipeline::Options;
use crate::source::Source;

/// Remembers sources in the store.
pub(crate) struct Journal<'a> {
    store: &'a Store,
    options: &'a Options,
}

impl<'a> Journal<'a> {
    pub(crate) fn new(store: &'a Store, options: &'a Options) -> Self {
        Self { store, options }
    }

    /// Returns the number of images in a source if it was read before, has not changed, and the store has them all.
    pub(crate) fn unchanged(&self, source: &Source) -> Result<Option<u64>, StoreError> {
        let Some((key, now)) = self.look(source).filter(|_| !self.options.rescan) else { return Ok(None) };
        let Some(then) = self.store.source(&key)? else { return Ok(None) };
        if (then.size_bytes, then.mtime_ns) != (now.size_bytes, now.mtime_ns) {
            return Ok(None);
        }
        for image in &then.images {
            if self.store.image(image)?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(then.images.len() as u64))
    }

    /// Enters a source all of whose images are stored.
    pub(crate) fn enter(&self, source: &Source, images: &[ImageId]) -> Result<(), StoreError> {
        match self.look(source) {
            Some((key, now)) => self.store.put_source(&key, &SourceRecord { images: images.to_vec(), ..now }),
            None => Ok(()),
        }
    }

    /// Returns what names the source, all options that change what is found included, and what its file is like.
    fn look(&self, source: &Source) -> Option<(Vec<u8>, SourceRecord)> {
        let path = source.path.canonicalize().ok()?;
        let meta = fs::metadata(&path).ok().filter(|meta| meta.is_file())?;
        let modified = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let platform = self.options.platform.as_ref().map(ToString::to_string).unwrap_or_default();
        let name = self.options.name.clone().unwrap_or_default();
        let whole = Source { path, ..source.clone() };
        let key = format!("{whole}\0{platform}\0{name}").into_bytes();
        let mtime_ns = i64::try_from(modified.as_nanos()).ok()?;
        let read_unix_s = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        Some((key, SourceRecord { size_bytes: meta.len(), mtime_ns, images: Vec::new(), read_unix_s }))
    }
}
