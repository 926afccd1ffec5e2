//! The columns of a body while they are read.
//!
//! All paths and targets of a layer come into one buffer. Anything that [`Columns`](super::columns::Columns) would not have
//! written is an error.

use std::collections::HashSet;
use std::ops::Range;

use super::{Result, malformed, short, within};
use crate::cursor::Cursor;
use crate::fingerprint::{Content, Entry, EntryKind};
use crate::format::body::{COLUMN_COUNT, HEADER_BYTES, PATH_BYTES_MAX, PATHS_BYTES_MAX, kind};
use crate::path::PathBytes;

/// The columns while they are read.
pub(super) struct Readers<'a> {
    owners: Vec<(u32, u64, u64)>,
    /// How many of them entries have, which name them in their order.
    owners_used: usize,
    /// For each content of the table, whether a file has it.
    contents_used: Vec<bool>,
    owner_indices: Cursor<'a>,
    kinds: Cursor<'a>,
    shared_lengths: Cursor<'a>,
    suffix_lengths: Cursor<'a>,
    suffixes: Cursor<'a>,
    ordinals: Cursor<'a>,
    targets: Cursor<'a>,
    devices: Cursor<'a>,
}

/// All paths of a body, one behind the other, and behind them the column of targets as it is.
pub(super) struct Paths {
    pub(super) bytes: PathBytes,
    pub(super) ends: Vec<usize>,
    targets_start: usize,
}

impl<'a> Readers<'a> {
    /// Cuts the columns of `entry_count` entries, which go with a table of `content_count` contents.
    pub(super) fn split(metadata: &'a [u8], entry_count: u32, content_count: usize) -> Result<Self> {
        let mut cursor = Cursor::new(metadata);
        let mut lengths = [0; COLUMN_COUNT];
        for length in &mut lengths {
            *length = cursor.u32().map_err(short("column lengths are cut short"))? as usize;
        }
        let mut columns = [&metadata[..0]; COLUMN_COUNT];
        for (column, length) in columns.iter_mut().zip(lengths) {
            *column = cursor.take(length).map_err(short("column is cut short"))?;
        }
        if cursor.remaining() > 0 {
            return Err(malformed("bytes after the last column", cursor.offset()));
        }
        let [owners, rest @ ..] = columns;
        let [owner_indices, kinds, shared_lengths, suffix_lengths, suffixes, ordinals, targets, devices] =
            rest.map(Cursor::new);
        Ok(Self {
            owners: read_owners(owners, entry_count)?,
            owners_used: 0,
            contents_used: vec![false; content_count],
            owner_indices,
            kinds,
            shared_lengths,
            suffix_lengths,
            suffixes,
            ordinals,
            targets,
            devices,
        })
    }

    /// Reads all paths, and leaves the rest where it is.
    pub(super) fn paths(&mut self, entry_count: u32) -> Result<Paths> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let mut kinds = self.kinds.clone();
        let mut previous: (Range<usize>, u8) = (0..0, 0);
        for number in 0..entry_count {
            let path = self.path(&mut bytes, previous.0.clone())?;
            let [kind] = kinds.array().map_err(short("fewer kinds than entries"))?;
            let rank = rank(kind);
            let (before, after) = (&bytes[previous.0], &bytes[path.clone()]);
            // Strict order bounds the number of entries by the bytes of the suffixes.
            if number > 0 && (before, previous.1) >= (after, rank) {
                return Err(malformed("entries are not sorted", kinds.offset() - 1));
            }
            ends.push(path.end);
            previous = (path, rank);
        }
        let targets_start = bytes.len();
        bytes.extend_from_slice(self.targets.rest());
        Ok(Paths { bytes: bytes.into(), ends, targets_start })
    }

    pub(super) fn entry(&mut self, path: PathBytes, paths: &Paths, table: &[Content]) -> Result<Entry> {
        let owner_index = self.owner_indices.length().map_err(short("bad owner index"))?;
        let at = self.owner_indices.offset();
        let owner = self.owners.get(owner_index).ok_or_else(|| malformed("no such owner", at))?;
        if owner_index > self.owners_used {
            return Err(malformed("owners are not in order of first use", at));
        }
        self.owners_used = self.owners_used.max(owner_index + 1);
        let (mode, uid, gid) = *owner;
        Ok(Entry { path, mode, uid, gid, kind: self.kind(paths, table)? })
    }

    /// Lays a path behind those before it, and returns where it is.
    fn path(&mut self, bytes: &mut Vec<u8>, previous: Range<usize>) -> Result<Range<usize>> {
        let at = self.shared_lengths.offset();
        let shared = self.shared_lengths.length().map_err(short("bad path prefix"))?;
        if shared > previous.len() {
            return Err(malformed("path prefix is too long", at));
        }
        let suffix_length = self.suffix_lengths.length().map_err(short("bad path length"))?;
        let suffix = self.suffixes.take(suffix_length).map_err(short("paths are cut short"))?;
        within("path", shared + suffix.len(), PATH_BYTES_MAX as u64)?;
        within("paths", bytes.len() + shared + suffix.len(), PATHS_BYTES_MAX)?;
        // The longest prefix is the only spelling, as with integers.
        if bytes[previous.clone()].get(shared).is_some_and(|next| suffix.first() == Some(next)) {
            return Err(malformed("path prefix is too short", at));
        }
        let start = bytes.len();
        bytes.extend_from_within(previous.start..previous.start + shared);
        bytes.extend_from_slice(suffix);
        Ok(start..bytes.len())
    }

    fn kind(&mut self, paths: &Paths, table: &[Content]) -> Result<EntryKind> {
        let at = self.kinds.offset();
        let [kind] = self.kinds.array().map_err(short("fewer kinds than entries"))?;
        Ok(match kind {
            kind::WHITEOUT => EntryKind::Whiteout,
            kind::OPAQUE => EntryKind::Opaque,
            kind::DIRECTORY => EntryKind::Directory,
            kind::FIFO => EntryKind::Fifo,
            kind::FILE => EntryKind::File { content: self.content(table)?, linked: false },
            kind::FILE_LINKED => EntryKind::File { content: self.content(table)?, linked: true },
            kind::SYMLINK => EntryKind::Symlink(self.target(paths)?),
            kind::HARD_LINK => EntryKind::HardLink(self.target(paths)?),
            kind::CHAR_DEVICE => {
                let (major, minor) = self.device()?;
                EntryKind::CharDevice { major, minor }
            }
            kind::BLOCK_DEVICE => {
                let (major, minor) = self.device()?;
                EntryKind::BlockDevice { major, minor }
            }
            _ => return Err(malformed("unknown kind of entry", at)),
        })
    }

    fn content(&mut self, table: &[Content]) -> Result<Content> {
        let at = self.ordinals.offset();
        let ordinal = self.ordinals.length().map_err(short("bad content number"))?;
        let content = *table.get(ordinal).ok_or_else(|| malformed("no such content", at))?;
        self.contents_used[ordinal] = true;
        Ok(content)
    }

    fn target(&mut self, paths: &Paths) -> Result<PathBytes> {
        let length = self.targets.length().map_err(short("bad target length"))?;
        within("link target", length, PATH_BYTES_MAX as u64)?;
        self.targets.take(length).map_err(short("targets are cut short"))?;
        let end = paths.targets_start + self.targets.offset();
        Ok(paths.bytes.slice(end - length..end))
    }

    fn device(&mut self) -> Result<(u32, u32)> {
        let mut number = || self.devices.varint_u32().map_err(short("bad device number"));
        Ok((number()?, number()?))
    }

    /// Checks that nothing is left that no entry has.
    pub(super) fn finish(self) -> Result<()> {
        if self.owners_used < self.owners.len() {
            return Err(malformed("no entry has an owner", 0));
        }
        if let Some(ordinal) = self.contents_used.iter().position(|used| !used) {
            return Err(malformed("no file has a content", HEADER_BYTES + 32 * ordinal));
        }
        let columns = [
            self.owner_indices,
            self.kinds,
            self.shared_lengths,
            self.suffix_lengths,
            self.suffixes,
            self.ordinals,
            self.targets,
            self.devices,
        ];
        match columns.iter().find(|column| column.remaining() > 0) {
            Some(column) => Err(malformed("column is longer than its entries", column.offset())),
            None => Ok(()),
        }
    }
}

/// The second part of an entry's sort key.
fn rank(kind: u8) -> u8 {
    match kind {
        kind::WHITEOUT => 0,
        kind::OPAQUE => 1,
        _ => 2,
    }
}

/// Three bytes of the column become 24 and more, so no more are read than there are entries to have them.
fn read_owners(column: &[u8], entry_count: u32) -> Result<Vec<(u32, u64, u64)>> {
    let mut cursor = Cursor::new(column);
    let bad = short("bad owner");
    let (mut owners, mut known) = (Vec::new(), HashSet::new());
    while cursor.remaining() > 0 {
        let at = cursor.offset();
        if owners.len() == entry_count as usize {
            return Err(malformed("more owners than entries", at));
        }
        let mode = cursor.varint_u32().map_err(&bad)?;
        let owner = (mode, cursor.varint().map_err(&bad)?, cursor.varint().map_err(&bad)?);
        if !known.insert(owner) {
            return Err(malformed("an owner is listed twice", at));
        }
        owners.push(owner);
    }
    Ok(owners)
}
