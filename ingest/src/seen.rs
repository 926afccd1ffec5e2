//! What earlier runs have read: a source that is still the same is not opened again.
//!
//! An archive is the same if its size and time are: that of the last writing or, if it is later, of the last change of the
//! inode, which nobody can set. A layout is if those of its index are, for all else in it goes by digest; blobs that are
//! added change the time of their folder. Of other folders no time says what is in them.

use std::fs::{self, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use layerprint_store::id::ImageId;
use layerprint_store::{SourceRecord, Store, StoreError};

use crate::pipeline::Options;
use crate::source::{Source, Transport};

/// A source at the moment when it was looked at.
pub(crate) struct Seen {
    key: Vec<u8>,
    now: SourceRecord,
}

impl Seen {
    /// Returns the size of the archive, or of the layout's index.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.now.size_bytes
    }
}

/// Remembers sources in the store.
pub(crate) struct SeenSources<'a> {
    store: &'a Store,
    options: &'a Options,
    /// What distinguishes this run's keys: all options that change what is found.
    suffix: Vec<u8>,
    /// The last folder as it was named, and with all links resolved: sources mostly lie side by side.
    folder: Mutex<(PathBuf, PathBuf)>,
}

impl<'a> SeenSources<'a> {
    pub(crate) fn new(store: &'a Store, options: &'a Options) -> Self {
        let platform = options.platform.as_ref().map(ToString::to_string).unwrap_or_default();
        let name = options.name.clone().unwrap_or_default();
        let shard = options.shard.map(|shard| format!("\0{shard}")).unwrap_or_default();
        let suffix = format!("\0{platform}\0{name}{shard}").into_bytes();
        Self { store, options, suffix, folder: Mutex::default() }
    }

    /// Returns the number of images in a source if it was read before, has not changed, and the store has them all.
    ///
    /// A source without images is passed over only in a folder: who names it is to be told that it has none. That of a shard
    /// may have none because all are for others.
    pub(crate) fn unchanged(&self, seen: &Seen, named: bool) -> Result<Option<u64>, StoreError> {
        if self.options.rescan {
            return Ok(None);
        }
        let Seen { key, now } = seen;
        let Some(then) = self.store.source(key)? else { return Ok(None) };
        let changed = (then.size_bytes, then.mtime_ns) != (now.size_bytes, now.mtime_ns);
        if changed || (named && then.images.is_empty() && self.options.shard.is_none()) {
            return Ok(None);
        }
        for image in &then.images {
            if !self.store.has_image(image)? {
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

    /// Returns what names the source and what it is like, if that says whether it changes.
    pub(crate) fn look(&self, source: &Source) -> Option<Seen> {
        if source.is_stdin() {
            return None;
        }
        let (path, meta) = self.resolve(&source.path)?;
        let (size_bytes, mtime_ns) = mark(source, &meta)?;
        let mut key = [source.transport.prefix().as_bytes(), path.as_os_str().as_bytes()].concat();
        if let Some(reference) = &source.reference {
            key.extend([b":", reference.as_bytes()].concat());
        }
        key.extend(&self.suffix);
        let read_unix_s = self.options.now_unix_s();
        let now = SourceRecord { size_bytes, mtime_ns, images: Vec::new(), read_unix_s };
        Some(Seen { key, now })
    }

    /// Resolves all links. Those above a file are only looked at when its folder is another than the last one's.
    fn resolve(&self, path: &Path) -> Option<(PathBuf, Metadata)> {
        let meta = fs::symlink_metadata(path).ok()?;
        let (Some(folder), Some(name), false) = (path.parent(), path.file_name(), meta.is_symlink()) else {
            let path = path.canonicalize().ok()?;
            let meta = fs::metadata(&path).ok()?;
            return Some((path, meta));
        };
        let mut last = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != folder || last.1.as_os_str().is_empty() {
            let named = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            *last = (folder.to_owned(), named.canonicalize().ok()?);
        }
        Some((last.1.join(name), meta))
    }
}

/// Returns a size and a time that change when the source does.
fn mark(source: &Source, meta: &Metadata) -> Option<(u64, i64)> {
    if meta.is_file() {
        return Some((meta.len(), changed_ns(meta)?));
    }
    let document = fs::metadata(document(source)?).ok().filter(Metadata::is_file)?;
    // One that replaces another is seen here even if it is as large and as old.
    let folders = ["", "blobs/sha256", "blobs/sha512"].map(|name| source.path.join(name));
    let folders = folders.iter().filter_map(|folder| changed_ns(&fs::metadata(folder).ok()?));
    Some((document.len(), folders.chain(changed_ns(&document)).max()?))
}

/// Returns the document of a folder that names all else in it by digest.
fn document(source: &Source) -> Option<PathBuf> {
    let (index, manifest) = (source.path.join("index.json"), source.path.join("manifest.json"));
    match source.transport {
        Transport::Oci => Some(index),
        Transport::Dir => Some(manifest),
        // Told as `open` does. What `docker save` wrote, unpacked, has layers under names that are no digests.
        Transport::Detect if !manifest.exists() => Some(index),
        Transport::Detect if source.path.join("version").exists() && is_object(&manifest) => Some(manifest),
        _ => None,
    }
}

fn is_object(path: &Path) -> bool {
    const HEAD_BYTES: u64 = 64;
    let mut head = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    read.is_ok() && head.trim_ascii_start().starts_with(b"{")
}

/// Returns when a file was last written or replaced. The first can be set to any time, by `cp -p` or `touch`; the second,
/// when its inode changed, cannot.
fn changed_ns(meta: &Metadata) -> Option<i64> {
    let written = i64::try_from(meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()?;
    let replaced = meta.ctime().checked_mul(1_000_000_000)?.checked_add(meta.ctime_nsec())?;
    Some(written.max(replaced))
}
