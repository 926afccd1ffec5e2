//! The fingerprint of one layer as bytes, and back.
//!
//! A sorted table of distinct content ids and their sizes comes first, so that what a layer holds can be read
//! without its paths; paths and the rest follow as columns, compressed. Decoding accepts any bytes: it answers
//! with an error, allocates no more than the bytes can account for, and never panics. What it accepts encodes
//! to the same fingerprint again. Layout: `FORMAT.md`.

use std::collections::HashMap;
use std::ops::Range;

use crate::compression::{compress, decompress_claimed};
use crate::cursor::{Cursor, Short, push_varint};
use crate::fingerprint::{Content, Entry, EntryKind, Fingerprint};
use crate::format::body::{
    COLUMN_COUNT, ENTRIES_MAX, FLAG_ZSTD, HEADER_BYTES, MAGIC, METADATA_BYTES_MAX, PATH_BYTES_MAX,
    PATHS_BYTES_MAX, VERSION, ZSTD_LEVEL, ZSTD_WINDOW_LOG_MAX, kind,
};
use crate::id::ContentId;
use crate::path::PathBytes;

/// Why bytes are not a fingerprint, or a fingerprint cannot become bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Another version wrote it.
    #[error("format version is {found}, this program reads {expected}")]
    Version {
        /// The version it says.
        found: u16,
        /// The version that this program reads.
        expected: u16,
    },
    /// The bytes make no sense.
    #[error("{what} at offset {offset_bytes}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Where: in the body, or in a column of the decompressed metadata.
        offset_bytes: u64,
    },
    /// More than the format holds.
    #[error("{what}: {found} is more than {max}")]
    TooLarge {
        /// The thing.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much there may be.
        max: u64,
    },
}

/// What a path has that the one before has not, on average.
const SUFFIX_BYTES: usize = 16;

type Result<T> = std::result::Result<T, BodyError>;

fn malformed(what: &'static str, offset: usize) -> BodyError {
    BodyError::Malformed { what, offset_bytes: offset as u64 }
}

fn short(what: &'static str) -> impl Fn(Short) -> BodyError {
    move |short| malformed(what, short.offset)
}

fn within(what: &'static str, found: usize, max: u64) -> Result<u32> {
    let too_large = BodyError::TooLarge { what, found: found as u64, max };
    let fits = u32::try_from(found).ok().filter(|found| u64::from(*found) <= max);
    fits.ok_or(too_large)
}

/// Returns the bytes of a fingerprint: always the same for the same fingerprint and version of zstd.
///
/// # Errors
///
/// Fails if it has more entries or longer paths than the format allows.
pub fn encode(fingerprint: &Fingerprint) -> Result<Vec<u8>> {
    let (table, ordinals) = distinct_contents(fingerprint)?;
    let entry_count = within("entries", fingerprint.entries().len(), ENTRIES_MAX)?;
    let mut sizes = Vec::new();
    table.iter().for_each(|content| push_varint(&mut sizes, content.size_bytes));
    let metadata = Columns::of(fingerprint, ordinals)?.join()?;
    let compressed = Some(compress(&metadata, ZSTD_LEVEL)).filter(|it| it.len() < metadata.len());
    let (flags, stored) = match &compressed {
        Some(compressed) => (FLAG_ZSTD, compressed),
        None => (0, &metadata),
    };

    let mut bytes = Vec::with_capacity(HEADER_BYTES + 32 * table.len() + sizes.len() + stored.len());
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes.extend(entry_count.to_le_bytes());
    bytes.extend(within("contents", table.len(), ENTRIES_MAX)?.to_le_bytes());
    bytes.extend(within("sizes", sizes.len(), u64::from(u32::MAX))?.to_le_bytes());
    bytes.extend(within("stored metadata", stored.len(), METADATA_BYTES_MAX)?.to_le_bytes());
    bytes.extend(within("metadata", metadata.len(), METADATA_BYTES_MAX)?.to_le_bytes());
    bytes.extend([0; 4]);
    table.iter().for_each(|content| bytes.extend(content.id.as_bytes()));
    bytes.extend(sizes);
    bytes.extend(stored);
    Ok(bytes)
}

/// Returns the fingerprint that was encoded.
///
/// # Errors
///
/// Fails on any bytes that [`encode`] would not have written.
pub fn decode(bytes: &[u8]) -> Result<Fingerprint> {
    let sections = Sections::split(bytes)?;
    let table = sections.contents()?;
    let metadata = sections.metadata()?;
    let mut columns = Readers::split(&metadata)?;
    let paths = columns.paths(sections.entry_count)?;
    let mut entries = Vec::with_capacity(paths.ends.len());
    let mut start = 0;
    for end in &paths.ends {
        entries.push(columns.entry(paths.bytes.slice(start..*end), &paths, &table)?);
        start = *end;
    }
    columns.finish()?;
    Ok(Fingerprint::from_sorted(entries))
}

/// Returns the distinct contents of the layer, sorted, without looking at the paths.
///
/// # Errors
///
/// Fails if the header or the table is malformed; the rest is not read.
pub fn decode_contents(bytes: &[u8]) -> Result<Vec<Content>> {
    Sections::split(bytes)?.contents()
}

/// Contents that occur, each once, and the place of each file's among them. One id with two sizes would be a lie, but is
/// kept as it is told.
fn distinct_contents(fingerprint: &Fingerprint) -> Result<(Vec<Content>, Vec<u32>)> {
    let contents: Vec<Content> = fingerprint.entries().iter().filter_map(Entry::content).collect();
    let count = within("entries", contents.len(), ENTRIES_MAX)?;
    let mut order: Vec<(u64, u32)> = contents.iter().map(|content| content.id.head()).zip(0..count).collect();
    let content = |file: u32| &contents[file as usize];
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| content(a.1).cmp(content(b.1))));
    let (mut table, mut ordinals): (Vec<Content>, _) = (Vec::new(), vec![0; contents.len()]);
    for (_, file) in order {
        if table.last() != Some(content(file)) {
            table.push(*content(file));
        }
        ordinals[file as usize] = within("contents", table.len(), ENTRIES_MAX)? - 1;
    }
    Ok((table, ordinals))
}

/// A body cut at its section boundaries, nothing decoded.
struct Sections<'a> {
    entry_count: u32,
    ids: &'a [u8],
    sizes: &'a [u8],
    stored: &'a [u8],
    compressed: bool,
    metadata_length: u32,
}

impl<'a> Sections<'a> {
    fn split(bytes: &'a [u8]) -> Result<Self> {
        let mut cursor = Cursor::new(bytes);
        let cut = short("header is cut short");
        if cursor.array().map_err(&cut)? != MAGIC {
            return Err(malformed("not a fingerprint", 0));
        }
        let version = cursor.u16().map_err(&cut)?;
        if version != VERSION {
            return Err(BodyError::Version { found: version, expected: VERSION });
        }
        let flags = cursor.u16().map_err(&cut)?;
        let mut word = || cursor.u32().map_err(&cut);
        let (entry_count, content_count) = (word()?, word()?);
        let (sizes_length, stored_length, metadata_length) = (word()?, word()?, word()?);
        if flags & !FLAG_ZSTD != 0 || word()? != 0 {
            return Err(malformed("unknown flag", 6));
        }
        let limits = [
            ("entries", entry_count, ENTRIES_MAX),
            ("contents", content_count, ENTRIES_MAX),
            ("metadata", metadata_length, METADATA_BYTES_MAX),
        ];
        for (what, found, max) in limits {
            if u64::from(found) > max {
                return Err(BodyError::TooLarge { what, found: found.into(), max });
            }
        }
        let cut = short("section is cut short");
        let mut section = |length: usize| cursor.take(length).map_err(&cut);
        let ids = section(content_count as usize * 32)?;
        let (sizes, stored) = (section(sizes_length as usize)?, section(stored_length as usize)?);
        if cursor.remaining() > 0 {
            return Err(malformed("bytes after the end", cursor.offset()));
        }
        Ok(Self { entry_count, ids, sizes, stored, compressed: flags == FLAG_ZSTD, metadata_length })
    }

    fn contents(&self) -> Result<Vec<Content>> {
        let mut sizes = Cursor::new(self.sizes);
        let mut table: Vec<Content> = Vec::with_capacity(self.ids.len() / 32);
        for (index, id) in self.ids.chunks_exact(32).enumerate() {
            let id = ContentId::from_bytes(id.try_into().expect("chunks of 32 bytes"));
            let size_bytes = sizes.varint().map_err(short("bad size"))?;
            let content = Content { id, size_bytes };
            if table.last().is_some_and(|last| *last >= content) {
                return Err(malformed("content ids are not sorted", HEADER_BYTES + 32 * index));
            }
            table.push(content);
        }
        if sizes.remaining() > 0 {
            return Err(malformed("more sizes than contents", sizes.offset()));
        }
        Ok(table)
    }

    fn metadata(&self) -> Result<Vec<u8>> {
        let offset = HEADER_BYTES + self.ids.len() + self.sizes.len();
        let bad = |_| malformed("metadata does not decompress", offset);
        let metadata = if self.compressed {
            let claimed = self.metadata_length.into();
            decompress_claimed(self.stored, claimed, ZSTD_WINDOW_LOG_MAX).map_err(bad)?
        } else {
            self.stored.to_vec()
        };
        if metadata.len() != self.metadata_length as usize {
            return Err(malformed("metadata has another length than the header says", offset));
        }
        Ok(metadata)
    }
}

/// The columns while they are written, in their order on disk.
#[derive(Default)]
struct Columns {
    /// Distinct (mode, uid, gid), in order of first use.
    owners: Vec<u8>,
    /// For each entry, which of them.
    owner_indices: Vec<u8>,
    kinds: Vec<u8>,
    /// For each entry, how many bytes its path has in common with the one before.
    shared_lengths: Vec<u8>,
    suffix_lengths: Vec<u8>,
    suffixes: Vec<u8>,
    /// For each file, its place in the table of contents.
    ordinals: Vec<u8>,
    /// For each symbolic or hard link, length and bytes.
    targets: Vec<u8>,
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
    fn of(fingerprint: &Fingerprint, file_ordinals: Vec<u32>) -> Result<Self> {
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
            suffixes: Vec::with_capacity(SUFFIX_BYTES * entries),
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
        self.suffixes.extend(&path[shared..]);
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
        push_varint(&mut self.targets, target.len() as u64);
        self.targets.extend(target);
        Ok(kind)
    }

    fn push_device(&mut self, kind: u8, major: u32, minor: u32) -> u8 {
        push_varint(&mut self.devices, major.into());
        push_varint(&mut self.devices, minor.into());
        kind
    }

    /// The lengths of all columns, then the columns.
    fn join(self) -> Result<Vec<u8>> {
        let columns: [Vec<u8>; COLUMN_COUNT] = [
            self.owners,
            self.owner_indices,
            self.kinds,
            self.shared_lengths,
            self.suffix_lengths,
            self.suffixes,
            self.ordinals,
            self.targets,
            self.devices,
        ];
        let mut joined = Vec::with_capacity(4 * COLUMN_COUNT + columns.iter().map(Vec::len).sum::<usize>());
        for column in &columns {
            joined.extend(within("column", column.len(), METADATA_BYTES_MAX)?.to_le_bytes());
        }
        columns.iter().for_each(|column| joined.extend(column));
        Ok(joined)
    }
}

/// The columns while they are read.
struct Readers<'a> {
    owners: Vec<(u32, u64, u64)>,
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
struct Paths {
    bytes: PathBytes,
    ends: Vec<usize>,
    targets_start: usize,
}

impl<'a> Readers<'a> {
    fn split(metadata: &'a [u8]) -> Result<Self> {
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
            owners: read_owners(owners)?,
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
    fn paths(&mut self, entry_count: u32) -> Result<Paths> {
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

    fn entry(&mut self, path: PathBytes, paths: &Paths, table: &[Content]) -> Result<Entry> {
        let owner_index = self.owner_indices.length().map_err(short("bad owner index"))?;
        let at = self.owner_indices.offset();
        let owner = self.owners.get(owner_index).ok_or_else(|| malformed("no such owner", at))?;
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
        table.get(ordinal).copied().ok_or_else(|| malformed("no such content", at))
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

    fn finish(self) -> Result<()> {
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

fn read_owners(column: &[u8]) -> Result<Vec<(u32, u64, u64)>> {
    let mut cursor = Cursor::new(column);
    let bad = short("bad owner");
    let mut owners = Vec::new();
    while cursor.remaining() > 0 {
        let mode = cursor.varint_u32().map_err(&bad)?;
        let uid = cursor.varint().map_err(&bad)?;
        owners.push((mode, uid, cursor.varint().map_err(&bad)?));
    }
    Ok(owners)
}
