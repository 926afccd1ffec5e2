//! The fingerprint of one layer as bytes, and back.
//!
//! A sorted table of distinct content ids and their sizes comes first, so that what a layer holds can be read
//! without its paths; paths and the rest follow as columns, compressed. Decoding accepts any bytes: it answers
//! with an error, allocates no more than the bytes can account for, and never panics. What it accepts encodes
//! to the same fingerprint again, and but for the compression to the same bytes. Layout: `FORMAT.md`.

mod chunks;
mod columns;
mod readers;

use std::io::{BufRead, BufReader, Read};

use crate::compression::{compress, decompress_claimed, decompressing};
use crate::cursor::{Cursor, Short, push_varint};
use crate::fingerprint::{Content, Entry, Fingerprint};
use crate::format::body::{
    ENTRIES_MAX, FLAG_ZSTD, HEADER_BYTES, MAGIC, MEMORY_BYTES_MAX, METADATA_BYTES_MAX, VERSION, ZSTD_LEVEL,
    ZSTD_WINDOW_LOG_MAX,
};
use crate::id::ContentId;

use columns::Columns;
use readers::other_length;

/// Metadata up to this length is decompressed at once, with a context that the thread keeps. Longer one is read as it
/// decompresses.
const WHOLE_BYTES_MAX: u32 = 1 << 20;
/// What is decompressed at a time.
const PIECE_BYTES: usize = 128 << 10;

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

/// Checks that entries with so many bytes of paths and targets fit into the memory of one layer.
fn within_memory(entries: usize, paths_bytes: usize) -> Result<()> {
    let found = entries as u64 * Fingerprint::ENTRY_BYTES + paths_bytes as u64;
    match found > MEMORY_BYTES_MAX {
        true => Err(BodyError::TooLarge { what: "memory of the layer", found, max: MEMORY_BYTES_MAX }),
        false => Ok(()),
    }
}

/// Returns the bytes of a fingerprint: always the same for the same fingerprint and version of zstd.
///
/// # Errors
///
/// Fails if it has more entries or longer paths than the format allows.
pub fn encode(fingerprint: &Fingerprint) -> Result<Vec<u8>> {
    within_memory(
        fingerprint.entries().len(),
        usize::try_from(fingerprint.paths_bytes()).unwrap_or(usize::MAX),
    )?;
    let (table, ordinals) = distinct_contents(fingerprint)?;
    let entry_count = within("entries", fingerprint.entries().len(), ENTRIES_MAX)?;
    let mut sizes = Vec::new();
    table.iter().for_each(|content| push_varint(&mut sizes, content.size_bytes));
    let metadata = Columns::of(fingerprint, ordinals)?.join(fingerprint)?;
    let metadata_length = within("metadata", metadata.len(), METADATA_BYTES_MAX)?;
    let compressed = Some(compress(&metadata, ZSTD_LEVEL)).filter(|it| it.len() < metadata.len());
    let (flags, stored) = match compressed {
        Some(compressed) => (FLAG_ZSTD, compressed),
        None => (0, metadata),
    };

    let mut bytes = Vec::with_capacity(HEADER_BYTES + 32 * table.len() + sizes.len() + stored.len());
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes.extend(entry_count.to_le_bytes());
    bytes.extend(within("contents", table.len(), ENTRIES_MAX)?.to_le_bytes());
    bytes.extend(within("sizes", sizes.len(), u64::from(u32::MAX))?.to_le_bytes());
    bytes.extend(within("stored metadata", stored.len(), METADATA_BYTES_MAX)?.to_le_bytes());
    bytes.extend(metadata_length.to_le_bytes());
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
    within_memory(sections.entry_count as usize, 0)?;
    let table = sections.contents()?;
    let (length, count) = (sections.metadata_length as usize, sections.entry_count);
    let entries = match sections.metadata()? {
        Metadata::Whole(metadata) => readers::entries(&metadata[..], length, count, &table)?,
        Metadata::Plain(metadata) => readers::entries(metadata, length, count, &table)?,
        Metadata::Stream(metadata) => readers::entries(metadata, length, count, &table)?,
    };
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

/// Returns what an encoded fingerprint says that it takes, but for what the paths have in common.
///
/// # Errors
///
/// Fails if the header is malformed; the rest is not read.
pub(crate) fn claimed_bytes(bytes: &[u8]) -> Result<u64> {
    let Sections { entry_count, metadata_length, .. } = Sections::split(bytes)?;
    Ok(u64::from(entry_count) * Fingerprint::ENTRY_BYTES + u64::from(metadata_length))
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

    fn metadata(&self) -> Result<Metadata<'a>> {
        let offset = HEADER_BYTES + self.ids.len() + self.sizes.len();
        let bad = |_| malformed("metadata does not decompress", offset);
        let claimed = self.metadata_length.into();
        let is_other = |length: usize| length != self.metadata_length as usize;
        if !self.compressed {
            return if is_other(self.stored.len()) {
                Err(other_length())
            } else {
                Ok(Metadata::Plain(self.stored))
            };
        }
        if self.metadata_length > WHOLE_BYTES_MAX {
            let stream = decompressing(self.stored, ZSTD_WINDOW_LOG_MAX).map_err(bad)?;
            // One byte more than there may be shows that there is more.
            let stream = BufReader::with_capacity(PIECE_BYTES, stream.take(claimed + 1));
            return Ok(Metadata::Stream(Box::new(stream)));
        }
        let metadata = decompress_claimed(self.stored, claimed, ZSTD_WINDOW_LOG_MAX).map_err(bad)?;
        if is_other(metadata.len()) { Err(other_length()) } else { Ok(Metadata::Whole(metadata)) }
    }
}

/// The metadata, to be read front to back.
enum Metadata<'a> {
    Whole(Vec<u8>),
    Plain(&'a [u8]),
    Stream(Box<dyn BufRead + 'a>),
}
