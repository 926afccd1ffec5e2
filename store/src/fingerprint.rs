//! The fingerprint of one layer: every entry of its tar, with file contents replaced by their identities.
//!
//! No times: they are what a rebuild changes. The order is that of paths, so that the order of the archive,
//! which builders do not keep either, makes no difference.

use std::collections::BTreeMap;

use crate::format::body::{MEMORY_BYTES_MAX, PATHS_BYTES_MAX};
use crate::id::ContentId;
use crate::path::PathBytes;

/// Paths share a buffer up to so many bytes. Enough for ten thousand; and a path that is kept alone keeps no more.
pub(crate) const SHARED_BYTES_MAX: usize = 512 << 10;
/// Paths longer than this on average stay where they are: side by side they are no nearer, and copying them
/// would need twice the memory.
const LONG_PATH_BYTES: u64 = 1 << 10;

/// What one layer holds: entries sorted by path, whiteouts before what the layer itself puts there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprint {
    entries: Vec<Entry>,
    /// Sum of the lengths of all paths and link targets.
    paths_bytes: u64,
}

/// One path of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path from the root without leading, trailing or doubled slashes; empty for the root itself. Bytes, as
    /// Linux has them. For a whiteout, the path that it removes.
    pub path: PathBytes,
    /// Permission bits with set-uid, set-gid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// What stands at the path.
    pub kind: EntryKind,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// Removes the path, and all below it, from the layers below.
    Whiteout,
    /// Hides what the layers below hold under this directory.
    Opaque,
    /// A directory.
    Directory,
    /// A regular file, or a hard link to one of this layer.
    File {
        /// Its contents.
        content: Content,
        /// True if the archive gave it as a hard link.
        linked: bool,
    },
    /// A symbolic link and where it points, never followed.
    Symlink(PathBytes),
    /// A hard link to a path that this layer does not hold; the layers below may.
    HardLink(PathBytes),
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// The bytes of a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Content {
    /// Their identity.
    pub id: ContentId,
    /// Their number.
    pub size_bytes: u64,
}

impl Fingerprint {
    /// Sorts entries into a fingerprint. Where the same thing stands twice at a path the last one counts, as it
    /// does when a layer is unpacked.
    pub fn from_entries(mut entries: Vec<Entry>) -> Self {
        entries.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        // `dedup_by` keeps the first of a run and hands over the later one first.
        entries.dedup_by(|later, kept| {
            let same = later.sort_key() == kept.sort_key();
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        let mut fingerprint = Self::from_sorted(entries);
        match fingerprint.paths_bytes > fingerprint.entries.len() as u64 * LONG_PATH_BYTES {
            true => trim_buffers(&mut fingerprint.entries),
            false => share_buffers(&mut fingerprint.entries),
        }
        fingerprint
    }

    /// Wraps entries that are known to be sorted, none twice.
    pub(crate) fn from_sorted(entries: Vec<Entry>) -> Self {
        let paths_bytes = entries.iter().map(Entry::paths_bytes).sum();
        Self { entries, paths_bytes }
    }

    /// What an entry costs while its layer is read, merged or compared, besides the bytes of its paths: itself, and
    /// what stands for it in views and tables.
    pub const ENTRY_BYTES: u64 = 200;

    /// Most memory that one layer, and all layers of one image together, may take, as [`Fingerprint::memory_bytes`]
    /// counts. Whoever reads or asks holds an image whole. A million files with paths of a hundred bytes take 290 MiB,
    /// so an image may have them and change the owner of all; no image that is known to us has more than half a million.
    pub const MEMORY_BYTES_MAX: u64 = MEMORY_BYTES_MAX;

    /// Most bytes of paths and link targets that all layers of one image together may have: twice what one layer may.
    pub const IMAGE_PATHS_BYTES_MAX: u64 = 2 * PATHS_BYTES_MAX;

    /// Returns about how much memory it takes to work with it.
    pub fn memory_bytes(&self) -> u64 {
        self.entries.len() as u64 * Self::ENTRY_BYTES + self.paths_bytes
    }

    /// Returns about how much memory it takes to hold it.
    pub fn held_bytes(&self) -> u64 {
        (self.entries.len() * size_of::<Entry>()) as u64 + self.paths_bytes
    }

    /// Returns the sum of the lengths of all paths and link targets.
    pub fn paths_bytes(&self) -> u64 {
        self.paths_bytes
    }

    /// Returns the entries in path order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the distinct contents of the layer's files, sorted.
    pub fn contents(&self) -> Vec<Content> {
        let files = self.entries.iter().filter_map(Entry::content);
        let distinct: BTreeMap<ContentId, Content> = files.map(|content| (content.id, content)).collect();
        distinct.into_values().collect()
    }
}

impl Entry {
    /// Returns the contents if this is a regular file.
    pub fn content(&self) -> Option<Content> {
        match self.kind {
            EntryKind::File { content, .. } => Some(content),
            _ => None,
        }
    }

    /// Returns true if this is a further name of a file of this layer: its archive has the bytes only once.
    pub fn is_linked(&self) -> bool {
        matches!(self.kind, EntryKind::File { linked: true, .. })
    }

    /// Whiteouts reach only the layers below, so one path may hold a whiteout, an opaque mark and an entry.
    pub(crate) fn sort_key(&self) -> (&[u8], u8) {
        let rank = match self.kind {
            EntryKind::Whiteout => 0,
            EntryKind::Opaque => 1,
            _ => 2,
        };
        (&self.path, rank)
    }

    /// The lengths of its path and, where it is a link, its target.
    fn paths_bytes(&self) -> u64 {
        let target = match &self.kind {
            EntryKind::Symlink(target) | EntryKind::HardLink(target) => target.len(),
            _ => 0,
        };
        (self.path.len() + target) as u64
    }

    /// Its path and, where it is a link, its target.
    fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBytes> {
        let target = match &mut self.kind {
            EntryKind::Symlink(target) | EntryKind::HardLink(target) => Some(target),
            _ => None,
        };
        std::iter::once(&mut self.path).chain(target)
    }
}

/// Copies paths out of buffers that are mostly other bytes.
fn trim_buffers(entries: &mut [Entry]) {
    for path in entries.iter_mut().flat_map(Entry::paths_mut).filter(|path| path.is_small_part()) {
        *path = PathBytes::from(&path[..]);
    }
}

/// Copies paths and targets side by side, in the order of the entries, and lets go of what they were part of.
fn share_buffers(mut entries: &mut [Entry]) {
    let mut bytes = Vec::new();
    while !entries.is_empty() {
        bytes.clear();
        let mut count = 0;
        while bytes.len() < SHARED_BYTES_MAX && count < entries.len() {
            entries[count].paths_mut().for_each(|path| bytes.extend_from_slice(path));
            count += 1;
        }
        let (sharing, rest) = entries.split_at_mut(count);
        let (shared, mut end) = (PathBytes::from(&bytes[..]), 0);
        for path in sharing.iter_mut().flat_map(Entry::paths_mut) {
            let start = end;
            end += path.len();
            *path = shared.slice(start..end);
        }
        entries = rest;
    }
}
