//! The columns of a body while they are written.
//!
//! Only what the format can hold gets in. Paths and targets, which are most of it, are copied once, to where they stay:
//! until then only their lengths are here. What stands before the columns, and their compression, is the body's business.

use std::collections::HashMap;

use super::{Result, within};
use crate::cursor::{Cursor, push_varint};
use crate::fingerprint::{Entry, EntryKind, Fingerprint};
use crate::format::body::{COLUMN_COUNT, METADATA_BYTES_MAX, PATH_BYTES_MAX, PATHS_BYTES_MAX, kind};
use crate::path::PathBytes;

/// The columns while they are written, in their order on disk.
#[derive(Default)]
pub(super) struct Columns {
    /// Distinct (mode, uid, gid), in order of first use.
    owners: Vec<u8>,
    /// For each entry, which of them.
    owner_indices: Vec<u8>,
    kinds: Vec<u8>,
    /// For each entry, how many bytes its path has in common with the one before.
    shared_lengths: Vec<u8>,
    suffix_lengths: Vec<u8>,
    /// Of what each path has that the one before has not.
    suffixes_length: usize,
    /// For each file, its place in the table of contents.
    ordinals: Vec<u8>,
    /// Of the targets of symbolic and hard links: for each, length and bytes.
    targets_length: usize,
    /// For each device, major and minor number.
    devices: Vec<u8>,
}

/// Owners by their places in their column. One is mostly that of the entry before, too.
#[derive(Default)]
struct Owners {
    known: HashMap<(u32, u64, u64), u64>,
    last: Option<((u32, u64, u64), u64)>,
}

impl Columns {
    /// `file_ordinals` says for each file where its content stands in the table.
    pub(super) fn of(fingerprint: &Fingerprint, file_ordinals: Vec<u32>) -> Result<Self> {
        let mut columns = Self::with_room(fingerprint.entries().len());
        file_ordinals.iter().for_each(|ordinal| push_varint(&mut columns.ordinals, (*ordinal).into()));
        let mut owners = Owners::default();
        let (mut previous, mut paths_length): (&[u8], usize) = (&[], 0);
        for entry in fingerprint.entries() {
            within("path", entry.path.len(), PATH_BYTES_MAX as u64)?;
            paths_length += entry.path.len();
            within("paths", paths_length, PATHS_BYTES_MAX)?;
            columns.push_owner(entry, &mut owners);
            columns.push_path(previous, &entry.path);
            columns.push_kind(&entry.kind)?;
            previous = &entry.path;
        }
        Ok(columns)
    }

    /// Makes room for what so many entries take in most layers.
    fn with_room(entries: usize) -> Self {
        Self {
            owner_indices: Vec::with_capacity(entries),
            kinds: Vec::with_capacity(entries),
            shared_lengths: Vec::with_capacity(entries),
            suffix_lengths: Vec::with_capacity(entries),
            ordinals: Vec::with_capacity(2 * entries),
            ..Self::default()
        }
    }

    fn push_owner(&mut self, entry: &Entry, owners: &mut Owners) {
        let owner = (entry.mode, entry.uid, entry.gid);
        if owners.last.is_none_or(|(last, _)| last != owner) {
            let next = owners.known.len() as u64;
            let index = *owners.known.entry(owner).or_insert_with(|| {
                push_varint(&mut self.owners, entry.mode.into());
                push_varint(&mut self.owners, entry.uid);
                push_varint(&mut self.owners, entry.gid);
                next
            });
            owners.last = Some((owner, index));
        }
        push_varint(&mut self.owner_indices, owners.last.map_or(0, |(_, index)| index));
    }

    fn push_path(&mut self, previous: &[u8], path: &[u8]) {
        let shared = previous.iter().zip(path).take_while(|(a, b)| a == b).count();
        push_varint(&mut self.shared_lengths, shared as u64);
        push_varint(&mut self.suffix_lengths, (path.len() - shared) as u64);
        self.suffixes_length += path.len() - shared;
    }

    fn push_kind(&mut self, entry: &EntryKind) -> Result<()> {
        let kind = match entry {
            EntryKind::Whiteout => kind::WHITEOUT,
            EntryKind::Opaque => kind::OPAQUE,
            EntryKind::Directory => kind::DIRECTORY,
            EntryKind::Fifo => kind::FIFO,
            EntryKind::File { linked, .. } => {
                if *linked {
                    kind::FILE_LINKED
                } else {
                    kind::FILE
                }
            }
            EntryKind::Symlink(target) => self.push_target(kind::SYMLINK, target)?,
            EntryKind::HardLink(target) => self.push_target(kind::HARD_LINK, target)?,
            EntryKind::CharDevice { major, minor } => self.push_device(kind::CHAR_DEVICE, *major, *minor),
            EntryKind::BlockDevice { major, minor } => self.push_device(kind::BLOCK_DEVICE, *major, *minor),
        };
        self.kinds.push(kind);
        Ok(())
    }

    fn push_target(&mut self, kind: u8, target: &[u8]) -> Result<u8> {
        within("link target", target.len(), PATH_BYTES_MAX as u64)?;
        self.targets_length += varint_length(target.len()) + target.len();
        Ok(kind)
    }

    fn push_device(&mut self, kind: u8, major: u32, minor: u32) -> u8 {
        push_varint(&mut self.devices, major.into());
        push_varint(&mut self.devices, minor.into());
        kind
    }

    /// The lengths of all columns, then the columns of the same fingerprint.
    pub(super) fn join(self, fingerprint: &Fingerprint) -> Result<Vec<u8>> {
        let lengths: [usize; COLUMN_COUNT] = [
            self.owners.len(),
            self.owner_indices.len(),
            self.kinds.len(),
            self.shared_lengths.len(),
            self.suffix_lengths.len(),
            self.suffixes_length,
            self.ordinals.len(),
            self.targets_length,
            self.devices.len(),
        ];
        let mut joined = Vec::with_capacity(4 * COLUMN_COUNT + lengths.iter().sum::<usize>());
        for length in lengths {
            joined.extend(within("column", length, METADATA_BYTES_MAX)?.to_le_bytes());
        }
        let before =
            [&self.owners, &self.owner_indices, &self.kinds, &self.shared_lengths, &self.suffix_lengths];
        before.into_iter().for_each(|column| joined.extend(column));
        self.push_suffixes(fingerprint, &mut joined);
        joined.extend(&self.ordinals);
        push_targets(fingerprint, &mut joined);
        joined.extend(&self.devices);
        Ok(joined)
    }

    fn push_suffixes(&self, fingerprint: &Fingerprint, joined: &mut Vec<u8>) {
        let mut shared_lengths = Cursor::new(&self.shared_lengths);
        for entry in fingerprint.entries() {
            let shared = shared_lengths.length().expect("there is one for each entry");
            joined.extend_from_slice(&entry.path[shared..]);
        }
    }
}

/// Returns how many bytes [`push_varint`] appends.
fn varint_length(value: usize) -> usize {
    (usize::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

fn target_of(entry: &EntryKind) -> Option<&PathBytes> {
    match entry {
        EntryKind::Symlink(target) | EntryKind::HardLink(target) => Some(target),
        _ => None,
    }
}

fn push_targets(fingerprint: &Fingerprint, joined: &mut Vec<u8>) {
    for target in fingerprint.entries().iter().filter_map(|entry| target_of(&entry.kind)) {
        push_varint(joined, target.len() as u64);
        joined.extend_from_slice(target);
    }
}
