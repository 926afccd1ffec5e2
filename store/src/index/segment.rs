//! One file of the index, mapped: columns and sorted tables, read in place.
//!
//! A segment never changes after it has its name, which is the head of its header's checksum. The header and the table
//! of block checksums are checked when it is opened, each block of the rest when it is first looked at: nothing is
//! answered from a byte that was not checked. What the columns mean together is left to `state`.

use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use data_encoding::HEXLOWER;
use memmap2::Mmap;

use crate::error::{Result, StoreError};
use crate::format::STORE_ID_BYTES;
use crate::format::index::{
    BLOCK_BYTES, BLOCK_CHECKSUM_BYTES, BUCKET_BITS_MAX, CHECKSUM_BYTES, FIXED_BYTES, KEY_CONTEXT, MAGIC,
    VERSION,
};

/// The sections of a segment, in their order on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Section {
    /// For each bucket, where its keys begin; and the end.
    Buckets,
    /// Sorted keys without the bits that their bucket says.
    Keys,
    /// For each key, its colour.
    KeyColours,
    /// For each colour, where its list ends.
    ListEnds,
    /// For each colour, its postings.
    Lists,
    /// For each node, its parent.
    Parents,
    /// For each node, the layer that it lays over its parent.
    NodeLayers,
    /// For each node, its chain ID.
    ChainIds,
    /// Nodes by chain ID.
    ChainOrder,
    /// For each layer, its diff ID.
    DiffIds,
    /// For each layer, where its fingerprint stands in the packs.
    Places,
    /// Layers by diff ID.
    DiffOrder,
    /// Numbers of layers whose records follow, ascending. Of several segments the newest counts.
    RecordLayers,
    /// For each of them, where its record ends.
    LayerRecordEnds,
    /// For each of them, its record.
    LayerRecords,
    /// Numbers of layers whose fingerprints could not be read when postings were made of them, ascending.
    Unreadable,
    /// Image ids, sorted.
    ImageIds,
    /// For each image, its node, how many contents it has, and its platform.
    ImageRows,
    /// Images by node.
    NodeOrder,
    /// For each image, the identity of its contents.
    SetIds,
    /// Images by set id.
    SetOrder,
    /// For each image, where its record ends.
    RecordEnds,
    /// For each image, its record.
    Records,
    /// For each platform, where its text ends.
    PlatformEnds,
    /// Platforms.
    Platforms,
    /// For each name, where it ends.
    NameEnds,
    /// Names, sorted.
    Names,
    /// For each name, an image.
    NameImages,
    /// Keys of manifest digests, sorted.
    Manifests,
    /// For each manifest, an image.
    ManifestImages,
    /// Keys of blob digests, sorted.
    Blobs,
    /// For each blob, the layer that it unpacks to.
    BlobLayers,
    /// Keys of the digests of documents, sorted.
    Documents,
    /// For each document, where it stands in the packs.
    DocumentPlaces,
    /// Images of older segments that are no longer what they were.
    Overrides,
}

/// How many sections there are.
pub(crate) const SECTIONS: usize = Section::Overrides as usize + 1;
/// Bytes of the header: fixed fields, the places of the sections, the checksum of the block checksums, its own.
pub(crate) const HEADER_BYTES: usize = FIXED_BYTES + 16 * SECTIONS + 2 * CHECKSUM_BYTES;

/// The header lies in the first block.
const _: () = assert!(HEADER_BYTES < BLOCK_BYTES);

/// The checksum of a header, by which a segment is known.
pub(crate) type SegmentId = [u8; CHECKSUM_BYTES];

/// What a header says besides where its sections are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Leading bits of a key that are its bucket's number.
    pub(crate) bucket_bits: u8,
    /// Bytes of a colour in the column of keys.
    pub(crate) colour_bytes: u8,
    /// The number of the first node.
    pub(crate) nodes_first: u32,
    /// The number of the first layer.
    pub(crate) layers_first: u32,
    /// Length of the file.
    pub(crate) file_bytes: u64,
}

impl Facts {
    /// Bytes of a key as stored.
    pub(crate) fn key_bytes(&self) -> usize {
        (64 - usize::from(self.bucket_bits)).div_ceil(8)
    }
}

/// An open segment.
pub(crate) struct Segment {
    pub(crate) id: SegmentId,
    pub(crate) facts: Facts,
    path: PathBuf,
    bytes: Mmap,
    sections: [Range<usize>; SECTIONS],
    secret: [u8; 32],
    /// A bit for each block that was found whole.
    checked: Vec<AtomicU64>,
}

impl Segment {
    /// Opens a segment and checks its header.
    pub(crate) fn open(directory: &Path, store_id: &[u8; STORE_ID_BYTES], id: SegmentId) -> Result<Self> {
        let path = directory.join(file_name(&id));
        let file = File::open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => corrupt(&path, 0, "the file is missing"),
            _ => StoreError::io(&path, "open")(error),
        })?;
        #[expect(unsafe_code, reason = "nothing changes or shortens a segment once it has its name")]
        // SAFETY: segments are written under another name, renamed when whole, and only ever removed as a whole.
        let bytes = unsafe { Mmap::map(&file) }.map_err(StoreError::io(&path, "map"))?;
        let secret = blake3::derive_key(KEY_CONTEXT, store_id);
        let corrupt = |problem: &str| corrupt(&path, 0, problem);
        let header = bytes.get(..HEADER_BYTES).ok_or_else(|| corrupt("shorter than a header"))?;
        let (head, own) = header.split_at(HEADER_BYTES - CHECKSUM_BYTES);
        if own != id || checksum(&secret, head) != id {
            return Err(corrupt("not the header that was written"));
        }
        if head[0..4] != MAGIC || head[4..6] != VERSION.to_le_bytes() {
            return Err(corrupt("another version of the index"));
        }
        let facts = facts(head);
        if u32::from(facts.bucket_bits) > BUCKET_BITS_MAX || !(1..=4).contains(&facts.colour_bytes) {
            return Err(corrupt("keys of a width that is never written"));
        }
        let (sections, table) = sections(head).ok_or_else(|| corrupt("sections do not fit together"))?;
        if facts.file_bytes != bytes.len() as u64 || table.end != bytes.len() {
            return Err(corrupt("the file has another length than was written"));
        }
        let stated = &head[head.len() - CHECKSUM_BYTES..];
        if checksum(&secret, &bytes[table.clone()]) != stated {
            return Err(corrupt("block checksums are not those that were written"));
        }
        let blocks = table.start.div_ceil(BLOCK_BYTES);
        let checked = (0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { id, facts, path, bytes, sections, secret, checked })
    }

    /// Checks every block.
    pub(crate) fn check(&self) -> Result<()> {
        self.check_range(0..self.sections[SECTIONS - 1].end)
    }

    /// Length of the file.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.facts.file_bytes
    }

    /// Returns a part of a section, checked.
    pub(crate) fn slice(&self, section: Section, part: Range<usize>) -> Result<&[u8]> {
        let place = &self.sections[section as usize];
        let (start, end) = (place.start.saturating_add(part.start), place.start.saturating_add(part.end));
        if part.start > part.end || end > place.end {
            return Err(corrupt(&self.path, start, "a number leads out of its section"));
        }
        self.check_range(start..end)?;
        Ok(&self.bytes[start..end])
    }

    /// Returns a whole section, checked.
    pub(crate) fn all(&self, section: Section) -> Result<&[u8]> {
        self.slice(section, 0..self.length(section))
    }

    /// Length of a section.
    pub(crate) fn length(&self, section: Section) -> usize {
        self.sections[section as usize].len()
    }

    /// Returns the number at a place of a column of 32-bit numbers.
    pub(crate) fn number(&self, section: Section, index: usize) -> Result<u32> {
        let bytes = self.slice(section, 4 * index..4 * index + 4)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    }

    /// Returns the id at a place of a column of ids.
    pub(crate) fn id_at(&self, section: Section, index: usize) -> Result<[u8; 32]> {
        let bytes = self.slice(section, 32 * index..32 * index + 32)?;
        Ok(bytes.try_into().expect("32 bytes"))
    }

    /// Returns the range of a value whose end stands in a column of ends.
    pub(crate) fn extent(&self, ends: Section, index: usize) -> Result<Range<usize>> {
        let start = if index == 0 { 0 } else { self.number(ends, index - 1)? };
        Ok(start as usize..self.number(ends, index)? as usize)
    }

    /// Returns how many entries of a sorted list come before those for which `is_before` is false.
    pub(crate) fn partition(count: usize, mut is_before: impl FnMut(usize) -> Result<bool>) -> Result<usize> {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(middle)? { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// Says that what stands in a section makes no sense.
    pub(crate) fn corrupt(&self, section: Section, problem: &str) -> StoreError {
        corrupt(&self.path, self.sections[section as usize].start, problem)
    }

    fn check_range(&self, range: Range<usize>) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        for block in range.start / BLOCK_BYTES..=(range.end - 1) / BLOCK_BYTES {
            let (word, bit) = (&self.checked[block / 64], 1_u64 << (block % 64));
            if word.load(Ordering::Relaxed) & bit == 0 {
                self.check_block(block)?;
                word.fetch_or(bit, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn check_block(&self, block: usize) -> Result<()> {
        let table = self.sections[SECTIONS - 1].end;
        let start = block * BLOCK_BYTES;
        let bytes = &self.bytes[start..table.min(start + BLOCK_BYTES)];
        let found = match block {
            // The header holds the checksum of the table that holds this one; it is summed as zeros.
            0 => block_checksum(&self.secret, &[&[0; HEADER_BYTES], &bytes[HEADER_BYTES..]].concat()),
            _ => block_checksum(&self.secret, bytes),
        };
        let stated = table + block * BLOCK_CHECKSUM_BYTES;
        if self.bytes[stated..stated + BLOCK_CHECKSUM_BYTES] != found {
            return Err(corrupt(&self.path, start, "checksum does not match"));
        }
        Ok(())
    }
}

/// The name of a segment's file.
pub(crate) fn file_name(id: &SegmentId) -> String {
    format!("{}.segment", HEXLOWER.encode(id))
}

/// The checksum of a header, or of the block checksums.
pub(crate) fn checksum(secret: &[u8; 32], bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = blake3::keyed_hash(secret, bytes);
    hash.as_bytes()[..CHECKSUM_BYTES].try_into().expect("a hash is longer")
}

/// The checksum of a block.
pub(crate) fn block_checksum(secret: &[u8; 32], bytes: &[u8]) -> [u8; BLOCK_CHECKSUM_BYTES] {
    let hash = blake3::keyed_hash(secret, bytes);
    hash.as_bytes()[..BLOCK_CHECKSUM_BYTES].try_into().expect("a hash is longer")
}

/// Writes the fixed fields of a header.
pub(crate) fn fixed(facts: &Facts, store_id: &[u8; STORE_ID_BYTES]) -> [u8; FIXED_BYTES] {
    let mut fixed = [0; FIXED_BYTES];
    fixed[0..4].copy_from_slice(&MAGIC);
    fixed[4..6].copy_from_slice(&VERSION.to_le_bytes());
    fixed[6] = facts.bucket_bits;
    fixed[7] = facts.colour_bytes;
    fixed[8..24].copy_from_slice(store_id);
    fixed[24..28].copy_from_slice(&facts.nodes_first.to_le_bytes());
    fixed[28..32].copy_from_slice(&facts.layers_first.to_le_bytes());
    fixed[32..40].copy_from_slice(&facts.file_bytes.to_le_bytes());
    fixed
}

fn facts(head: &[u8]) -> Facts {
    let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
    Facts {
        bucket_bits: head[6],
        colour_bytes: head[7],
        nodes_first: word(24),
        layers_first: word(28),
        file_bytes: u64::from_le_bytes(head[32..40].try_into().expect("eight bytes")),
    }
}

/// Returns where the sections lie, one after the other behind the header, and where the block checksums do.
fn sections(head: &[u8]) -> Option<([Range<usize>; SECTIONS], Range<usize>)> {
    let mut end = HEADER_BYTES;
    let mut sections = [const { 0..0 }; SECTIONS];
    for (section, stated) in sections.iter_mut().zip(head[FIXED_BYTES..].chunks_exact(16)) {
        let number = |at: usize| {
            usize::try_from(u64::from_le_bytes(stated[at..at + 8].try_into().expect("eight bytes"))).ok()
        };
        let (start, length) = (number(0)?, number(8)?);
        if start != end {
            return None;
        }
        end = start.checked_add(length)?;
        *section = start..end;
    }
    let table = end.div_ceil(BLOCK_BYTES).checked_mul(BLOCK_CHECKSUM_BYTES)?;
    Some((sections, end..end.checked_add(table)?))
}

fn corrupt(path: &Path, offset: usize, problem: &str) -> StoreError {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    StoreError::IndexDamaged {
        file: name.unwrap_or_default(),
        offset_bytes: offset as u64,
        problem: problem.to_owned(),
    }
}
