//! The columns of a body while they are read.
//!
//! Paths and link targets, which are most of a body, go from the stream into buffers of bounded size as they
//! decompress; the other columns are held while they are needed. Anything that
//! [`Columns`](super::columns::Columns) would not have written is an error, and so is what would take more memory
//! than a layer may.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::io::BufRead;

use super::chunks::Chunks;
use super::{Result, malformed, short, within, within_memory};
use crate::cursor::Cursor;
use crate::fingerprint::{Content, Entry, EntryKind};
use crate::format::body::{COLUMN_COUNT, HEADER_BYTES, PATH_BYTES_MAX, PATHS_BYTES_MAX, kind};
use crate::path::PathBytes;

/// Bytes of the lengths before the columns.
const LENGTHS_BYTES: usize = 4 * COLUMN_COUNT;

/// Returns the entries that decompressed metadata describes. `length` is the number of bytes that it is said to have.
pub(super) fn entries(
    metadata: impl BufRead,
    length: usize,
    entry_count: u32,
    table: &[Content],
) -> Result<Vec<Entry>> {
    let mut source = Source(metadata);
    let lengths = source.lengths(length)?;
    let owners = read_owners(&source.column(lengths[0])?, entry_count)?;
    let [owner_indices, kinds] = [source.column(lengths[1])?, source.column(lengths[2])?];
    let [shared_lengths, suffix_lengths] = [source.column(lengths[3])?, source.column(lengths[4])?];
    let prefixes = (Cursor::new(&shared_lengths), Cursor::new(&suffix_lengths));
    let paths = source.paths(lengths[5], entry_count, &kinds, prefixes)?;
    let ordinals = source.column(lengths[6])?;
    let targets = source.targets(lengths[7], &kinds, paths.len_bytes())?;
    let devices = source.column(lengths[8])?;
    source.end()?;
    let mut rows = Rows {
        owners,
        owners_used: 0,
        contents_used: vec![false; table.len()],
        owner_indices: Cursor::new(&owner_indices),
        kinds: Cursor::new(&kinds),
        ordinals: Cursor::new(&ordinals),
        devices: Cursor::new(&devices),
        targets: targets.into_iter(),
        table,
    };
    let entries = paths.into_iter().map(|path| rows.entry(path)).collect::<Result<_>>()?;
    rows.finish()?;
    Ok(entries)
}

/// Decompressed metadata, front to back.
struct Source<R>(R);

impl<R: BufRead> Source<R> {
    /// Reads the lengths of all columns, which must be those of the whole.
    fn lengths(&mut self, length: usize) -> Result<[usize; COLUMN_COUNT]> {
        let head = self.column(LENGTHS_BYTES)?;
        let mut cursor = Cursor::new(&head);
        let mut lengths = [0; COLUMN_COUNT];
        for length in &mut lengths {
            *length = cursor.u32().map_err(short("column lengths are cut short"))? as usize;
        }
        match (lengths.iter().sum::<usize>() + LENGTHS_BYTES).cmp(&length) {
            Ordering::Equal => Ok(lengths),
            Ordering::Less => Err(malformed("bytes after the last column", 0)),
            Ordering::Greater => Err(malformed("column is cut short", 0)),
        }
    }

    fn column(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut column = Vec::new();
        self.append(length, &mut column)?;
        Ok(column)
    }

    /// Appends the next bytes as they come: a length that is only claimed takes no room.
    fn append(&mut self, length: usize, to: &mut Vec<u8>) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let ready = self.ready()?;
            let count = ready.len().min(left);
            if count == 0 {
                return Err(other_length());
            }
            to.extend_from_slice(&ready[..count]);
            self.0.consume(count);
            left -= count;
        }
        Ok(())
    }

    fn ready(&mut self) -> Result<&[u8]> {
        self.0.fill_buf().map_err(|_| malformed("metadata does not decompress", HEADER_BYTES))
    }

    fn byte(&mut self) -> Result<u8> {
        let byte = *self.ready()?.first().ok_or_else(other_length)?;
        self.0.consume(1);
        Ok(byte)
    }

    /// Reads all paths, each of which is a part of the one before and a suffix. They must be sorted strictly, which
    /// bounds their number by the bytes of the suffixes.
    fn paths(
        &mut self,
        length: usize,
        entry_count: u32,
        kinds: &[u8],
        (mut shared_lengths, mut suffix_lengths): (Cursor, Cursor),
    ) -> Result<Chunks> {
        let (mut paths, mut left, mut last_rank) = (Chunks::default(), length, 0);
        let mut kinds = Cursor::new(kinds);
        for number in 0..entry_count {
            let at = shared_lengths.offset();
            let shared = shared_lengths.length().map_err(short("bad path prefix"))?;
            if shared > paths.last().len() {
                return Err(malformed("path prefix is too long", at));
            }
            let suffix_length = suffix_lengths.length().map_err(short("bad path length"))?;
            let cut = || malformed("paths are cut short", length - left);
            left = left.checked_sub(suffix_length).ok_or_else(cut)?;
            let path_length = shared + suffix_length;
            within("path", path_length, PATH_BYTES_MAX as u64)?;
            within("paths", paths.len_bytes() + path_length, PATHS_BYTES_MAX)?;
            within_memory(entry_count as usize, paths.len_bytes() + path_length)?;
            let [kind] = kinds.array().map_err(short("fewer kinds than entries"))?;
            let next = paths.last().get(shared).copied();
            self.append(suffix_length, paths.begin(shared))?;
            let first = paths.finish().get(shared).copied();
            // The longest prefix is the only spelling, as with integers.
            if next.is_some() && next == first {
                return Err(malformed("path prefix is too short", at));
            }
            let rank = rank(kind);
            if number > 0 && (next, last_rank) >= (first, rank) {
                return Err(malformed("entries are not sorted", kinds.offset() - 1));
            }
            last_rank = rank;
        }
        let rest = shared_lengths.remaining() + suffix_lengths.remaining() + kinds.remaining() + left;
        if rest > 0 { Err(longer()) } else { Ok(paths) }
    }

    /// Reads the targets of all links.
    fn targets(&mut self, length: usize, kinds: &[u8], paths_bytes: usize) -> Result<Chunks> {
        let (mut targets, mut left) = (Chunks::default(), length);
        for _ in kinds.iter().filter(|kind| matches!(**kind, kind::SYMLINK | kind::HARD_LINK)) {
            let target = self.varint(&mut left)?;
            within("link target", target, PATH_BYTES_MAX as u64)?;
            let cut = || malformed("targets are cut short", length - left);
            left = left.checked_sub(target).ok_or_else(cut)?;
            within_memory(kinds.len(), paths_bytes + targets.len_bytes() + target)?;
            self.append(target, targets.begin(0))?;
            targets.finish();
        }
        if left > 0 { Err(longer()) } else { Ok(targets) }
    }

    /// Reads an integer of a column of which so much is left.
    fn varint(&mut self, left: &mut usize) -> Result<usize> {
        const VARINT_BYTES_MAX: usize = 10;
        let mut spelled = Vec::with_capacity(VARINT_BYTES_MAX);
        let bad = || malformed("bad target length", 0);
        while spelled.last().is_none_or(|byte| byte & 0x80 != 0) {
            *left = left.checked_sub(1).filter(|_| spelled.len() < VARINT_BYTES_MAX).ok_or_else(bad)?;
            spelled.push(self.byte()?);
        }
        Cursor::new(&spelled).length().map_err(short("bad target length"))
    }

    fn end(mut self) -> Result<()> {
        if self.ready()?.is_empty() { Ok(()) } else { Err(other_length()) }
    }
}

/// What else there is of each entry, row by row.
struct Rows<'a, T> {
    owners: Vec<(u32, u64, u64)>,
    /// How many of them entries have, which name them in their order.
    owners_used: usize,
    /// For each content of the table, whether a file has it.
    contents_used: Vec<bool>,
    owner_indices: Cursor<'a>,
    kinds: Cursor<'a>,
    ordinals: Cursor<'a>,
    devices: Cursor<'a>,
    targets: T,
    table: &'a [Content],
}

impl<T: Iterator<Item = PathBytes>> Rows<'_, T> {
    fn entry(&mut self, path: PathBytes) -> Result<Entry> {
        let owner_index = self.owner_indices.length().map_err(short("bad owner index"))?;
        let at = self.owner_indices.offset();
        let owner = self.owners.get(owner_index).ok_or_else(|| malformed("no such owner", at))?;
        if owner_index > self.owners_used {
            return Err(malformed("owners are not in order of first use", at));
        }
        self.owners_used = self.owners_used.max(owner_index + 1);
        let (mode, uid, gid) = *owner;
        Ok(Entry { path, mode, uid, gid, kind: self.kind()? })
    }

    fn kind(&mut self) -> Result<EntryKind> {
        let at = self.kinds.offset();
        let [kind] = self.kinds.array().map_err(short("fewer kinds than entries"))?;
        Ok(match kind {
            kind::WHITEOUT => EntryKind::Whiteout,
            kind::OPAQUE => EntryKind::Opaque,
            kind::DIRECTORY => EntryKind::Directory,
            kind::FIFO => EntryKind::Fifo,
            kind::FILE => EntryKind::File { content: self.content()?, linked: false },
            kind::FILE_LINKED => EntryKind::File { content: self.content()?, linked: true },
            kind::SYMLINK => EntryKind::Symlink(self.target()?),
            kind::HARD_LINK => EntryKind::HardLink(self.target()?),
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

    fn content(&mut self) -> Result<Content> {
        let at = self.ordinals.offset();
        let ordinal = self.ordinals.length().map_err(short("bad content number"))?;
        let content = *self.table.get(ordinal).ok_or_else(|| malformed("no such content", at))?;
        self.contents_used[ordinal] = true;
        Ok(content)
    }

    fn target(&mut self) -> Result<PathBytes> {
        self.targets.next().ok_or_else(|| malformed("fewer targets than links", self.kinds.offset()))
    }

    fn device(&mut self) -> Result<(u32, u32)> {
        let mut number = || self.devices.varint_u32().map_err(short("bad device number"));
        Ok((number()?, number()?))
    }

    /// Checks that nothing is left that no entry has.
    fn finish(self) -> Result<()> {
        if self.owners_used < self.owners.len() {
            return Err(malformed("no entry has an owner", 0));
        }
        if let Some(ordinal) = self.contents_used.iter().position(|used| !used) {
            return Err(malformed("no file has a content", HEADER_BYTES + 32 * ordinal));
        }
        let columns = [self.owner_indices, self.kinds, self.ordinals, self.devices];
        match columns.iter().all(|column| column.remaining() == 0) {
            true => Ok(()),
            false => Err(longer()),
        }
    }
}

pub(super) fn other_length() -> super::BodyError {
    malformed("metadata has another length than the header says", HEADER_BYTES)
}

fn longer() -> super::BodyError {
    malformed("column is longer than its entries", 0)
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
