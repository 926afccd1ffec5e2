//! The files that earlier runs have read: one whose size and time are still the same is not opened again.
//!
//! Only for archives: a folder's time says nothing of what is in it, and an OCI layout is known by its digests anyway.

use std::fs;
use std::time::UNIX_EPOCH;

use layerprint_store::id::ImageId;
use layerprint_store::{SourceRecord, Store, StoreError};

use crate::pipeline::Options;
use crate::source::Source;

/// A file at the moment when it was looked at.
pub(crate) struct Seen {
    key: Vec<u8>,
    now: SourceRecord,
}

/// Remembers sources in the store.
pub(crate) struct SeenSources<'a> {
    store: &'a Store,
    options: &'a Options,
}

impl<'a> SeenSources<'a> {
    pub(crate) fn new(store: &'a Store, options: &'a Options) -> Self {
        Self { store, options }
    }

    /// Returns the number of images in a source if it was read before, has not changed, and the store has them all.
    ///
    /// A source without images is passed over only in a folder: who names it is to be told that it has none. That of a shard
    /// may have none because all are for others.
    pub(crate) fn unchanged(&self, seen: &Seen, named: bool) -> Result<Option<u64>, StoreError> {
        let Seen { key, now } = seen;
        let Some(then) = self.store.source(key)?.filter(|_| !self.options.rescan) else { return Ok(None) };
        let changed = (then.size_bytes, then.mtime_ns) != (now.size_bytes, now.mtime_ns);
        if changed || (named && then.images.is_empty() && self.options.shard.is_none()) {
            return Ok(None);
        }
        for image in &then.images {
            if self.store.image(image)?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(then.images.len() as u64))
    }

    /// Enters a source all of whose images are stored, as it was before it was read: what is written to it meanwhile
    /// must not pass for read.
    pub(crate) fn enter(&self, seen: Seen, images: &[ImageId]) -> Result<(), StoreError> {
        self.store.put_source(&seen.key, &SourceRecord { images: images.to_vec(), ..seen.now })
    }

    /// Returns what names the source, all options that change what is found included, and what its file is like.
    pub(crate) fn look(&self, source: &Source) -> Option<Seen> {
        let path = source.path.canonicalize().ok()?;
        let meta = fs::metadata(&path).ok().filter(|meta| meta.is_file())?;
        let modified = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let platform = self.options.platform.as_ref().map(ToString::to_string).unwrap_or_default();
        let name = self.options.name.clone().unwrap_or_default();
        let whole = Source { path, ..source.clone() };
        let shard = self.options.shard.map(|shard| format!("\0{shard}")).unwrap_or_default();
        let key = format!("{whole}\0{platform}\0{name}{shard}").into_bytes();
        let mtime_ns = i64::try_from(modified.as_nanos()).ok()?;
        let read_unix_s = self.options.now_unix_s();
        let now = SourceRecord { size_bytes: meta.len(), mtime_ns, images: Vec::new(), read_unix_s };
        Some(Seen { key, now })
    }
}
