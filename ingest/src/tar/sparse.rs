//! Sparse files: where the bytes that an archive holds stand in the file.
//!
//! Reads the maps of the old GNU format and of PAX 0.0, 0.1 and 1.0 into one form, checked as Go's
//! `archive/tar` checks them. Knows nothing of names and limits on size.

use super::TarError;
use super::error::Place;
use super::header::{BLOCK_BYTES, Block, Format};
use super::number::{decimal, numeric};
use super::pax::{Key, PaxRecords};
use super::source::{ReadSkip, Source};

/// Most extents of one file, as in Go.
const EXTENTS_MAX: usize = 1 << 20;
const EXTENT_BYTES: usize = 24;

/// A run of bytes that the archive holds; the rest of the file is holes, which read as zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataExtent {
    /// Where the run stands in the file.
    pub offset_bytes: u64,
    /// How many bytes it has.
    pub length_bytes: u64,
}

/// A map as the archive gives it: pairs of offset and length, not checked.
type RawMap = Vec<(i64, i64)>;

/// Checks a map against the size of the file, and drops what is empty.
pub(super) fn checked(map: &[(i64, i64)], size: i64, place: Place) -> Result<Vec<DataExtent>, TarError> {
    let size = u64::try_from(size).map_err(|_| place.bad_sparse("size is negative"))?;
    let mut extents = Vec::with_capacity(map.len());
    let mut end = 0;
    for &(offset, length) in map {
        let extent = extent(offset, length).ok_or_else(|| place.bad_sparse("extent is out of range"))?;
        if extent.offset_bytes < end {
            return Err(place.bad_sparse("extents overlap or are out of order"));
        }
        end = extent.offset_bytes + extent.length_bytes;
        if end > size {
            return Err(place.bad_sparse("extent lies behind the end of the file"));
        }
        if extent.length_bytes > 0 {
            extents.push(extent);
        }
    }
    Ok(extents)
}

fn extent(offset: i64, length: i64) -> Option<DataExtent> {
    offset.checked_add(length)?;
    Some(DataExtent { offset_bytes: u64::try_from(offset).ok()?, length_bytes: u64::try_from(length).ok()? })
}

/// The old GNU format: four extents and the real size in the header, more in blocks behind it.
pub(super) fn read_old_gnu<R: ReadSkip>(
    header: &Block,
    source: &mut Source<R>,
    map_bytes_max: u64,
    place: Place,
) -> Result<(RawMap, i64), TarError> {
    if header.format() != Format::Gnu {
        return Err(place.bad_sparse("header is not of the GNU format"));
    }
    let (first, size) = header.gnu_sparse();
    let size = numeric(size).ok_or_else(|| place.bad_sparse("real size is not a number"))?;
    let mut map = RawMap::new();
    let mut is_extended = take_gnu_extents(first, &mut map, place)?;
    let mut map_bytes = first.len() as u64;
    while is_extended {
        let mut block = [0; BLOCK_BYTES];
        read_block(source, &mut block, place)?;
        map_bytes += BLOCK_BYTES as u64;
        check_map_bytes(map_bytes, map_bytes_max.saturating_sub(1), place)?;
        is_extended = take_gnu_extents(&block, &mut map, place)?;
    }
    Ok((map, size))
}

/// Takes the extents of one part of the map; returns whether another part follows.
fn take_gnu_extents(part: &[u8], map: &mut RawMap, place: Place) -> Result<bool, TarError> {
    let problem = || place.bad_sparse("extent is not a number");
    let count = part.len() / EXTENT_BYTES;
    for field in part.chunks_exact(EXTENT_BYTES).take_while(|field| field[0] != 0) {
        let (offset, length) = field.split_at(12);
        let offset = numeric(offset).ok_or_else(problem)?;
        add_extent(map, offset, numeric(length).ok_or_else(problem)?, place)?;
    }
    Ok(part[count * EXTENT_BYTES] > 0)
}

/// Which of the PAX formats a header declares, if one that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PaxSparse {
    /// The map stands in the header (0.0 and 0.1).
    InHeader,
    /// The map stands before the bytes of the file (1.0).
    InBody,
}

impl PaxSparse {
    pub(super) fn of(records: &PaxRecords) -> Option<Self> {
        match (records.get(Key::SparseMajor), records.get(Key::SparseMinor)) {
            (b"0", b"0" | b"1") => Some(Self::InHeader),
            (b"1", b"0") => Some(Self::InBody),
            // The first two formats had no version; any other version means that nobody knows it.
            (b"", b"") if !records.get(Key::SparseMap).is_empty() => Some(Self::InHeader),
            _ => None,
        }
    }
}

/// The map of PAX 0.1: numbers with commas between them.
pub(super) fn read_pax_header(records: &PaxRecords, place: Place) -> Result<RawMap, TarError> {
    let count = decimal(records.get(Key::SparseCount));
    let count = count.ok_or_else(|| place.bad_sparse("number of extents is not a number"))?;
    let text = records.get(Key::SparseMap);
    let numbers = if text.is_empty() { 0 } else { 1 + text.iter().filter(|&&byte| byte == b',').count() };
    if usize::try_from(count).ok().and_then(|count| count.checked_mul(2)) != Some(numbers) {
        return Err(place.bad_sparse("number of extents is not that of the map"));
    }
    let mut numbers = text.split(|&byte| byte == b',').map(decimal);
    let mut map = RawMap::new();
    for _ in 0..count {
        add_numbers(&mut map, numbers.next(), numbers.next(), place)?;
    }
    Ok(map)
}

/// The map of PAX 1.0: lines at the start of the body, up to the end of the block that holds the last.
pub(super) fn read_pax_body<R: ReadSkip>(
    source: &mut Source<R>,
    stored_bytes: &mut u64,
    map_bytes_max: u64,
    place: Place,
) -> Result<RawMap, TarError> {
    let mut lines = Lines { text: Vec::new(), start: 0, newlines: 0 };
    lines.read_until(1, source, stored_bytes, map_bytes_max, place)?;
    let count = decimal(lines.next_line()).and_then(|count| u64::try_from(count).ok());
    let count = count.ok_or_else(|| place.bad_sparse("number of extents is not a number"))?;
    // Twice an i64 fits; how many lines can follow is up to the limit.
    lines.read_until(2 * count, source, stored_bytes, map_bytes_max, place)?;
    let mut map = RawMap::new();
    for _ in 0..count {
        let offset = decimal(lines.next_line());
        let length = decimal(lines.next_line());
        add_numbers(&mut map, Some(offset), Some(length), place)?;
    }
    Ok(map)
}

/// Lines in blocks that are read as they are needed, and no further.
struct Lines {
    text: Vec<u8>,
    start: usize,
    newlines: u64,
}

impl Lines {
    fn read_until<R: ReadSkip>(
        &mut self,
        newlines: u64,
        source: &mut Source<R>,
        stored_bytes: &mut u64,
        map_bytes_max: u64,
        place: Place,
    ) -> Result<(), TarError> {
        while self.newlines < newlines {
            check_map_bytes((self.text.len() + BLOCK_BYTES) as u64, map_bytes_max, place)?;
            if *stored_bytes < BLOCK_BYTES as u64 {
                return Err(place.bad_sparse("map is longer than the body"));
            }
            let mut block = [0; BLOCK_BYTES];
            read_block(source, &mut block, place)?;
            *stored_bytes -= BLOCK_BYTES as u64;
            self.text.extend_from_slice(&block);
            self.newlines += block.iter().filter(|&&byte| byte == b'\n').count() as u64;
        }
        Ok(())
    }

    /// Returns the next line, which must have been read.
    fn next_line(&mut self) -> &[u8] {
        let rest = &self.text[self.start..];
        let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        self.start = (self.start + end + 1).min(self.text.len());
        self.newlines = self.newlines.saturating_sub(1);
        &rest[..end]
    }
}

fn read_block<R: ReadSkip>(
    source: &mut Source<R>,
    block: &mut [u8; BLOCK_BYTES],
    place: Place,
) -> Result<(), TarError> {
    if source.fill(block)? < BLOCK_BYTES {
        return Err(TarError::Truncated { offset_bytes: source.position_bytes(), path: place.shown_path() });
    }
    Ok(())
}

fn check_map_bytes(size_bytes: u64, limit_bytes: u64, place: Place) -> Result<(), TarError> {
    if size_bytes <= limit_bytes {
        return Ok(());
    }
    Err(TarError::ExtensionTooLarge { offset_bytes: place.offset_bytes, size_bytes, limit_bytes })
}

fn add_numbers(
    map: &mut RawMap,
    offset: Option<Option<i64>>,
    length: Option<Option<i64>>,
    place: Place,
) -> Result<(), TarError> {
    match (offset.flatten(), length.flatten()) {
        (Some(offset), Some(length)) => add_extent(map, offset, length, place),
        _ => Err(place.bad_sparse("extent is not a number")),
    }
}

fn add_extent(map: &mut RawMap, offset: i64, length: i64, place: Place) -> Result<(), TarError> {
    if map.len() >= EXTENTS_MAX {
        return Err(place.bad_sparse("map has too many extents"));
    }
    map.push((offset, length));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { offset_bytes: 0, path: b"f" };

    fn problem<T: std::fmt::Debug>(result: Result<T, TarError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn maps_are_in_order_and_within_the_file() {
        let out_of_order = "sparse file \"f\" at byte 0: extents overlap or are out of order";
        let behind = "sparse file \"f\" at byte 0: extent lies behind the end of the file";
        let range = "sparse file \"f\" at byte 0: extent is out of range";
        let cases: &[(&[(i64, i64)], &str)] = &[
            (&[(0, 5), (4, 1)], out_of_order),
            (&[(5, 0), (4, 1)], out_of_order),
            (&[(8, 3)], behind),
            (&[(11, 0)], behind),
            (&[(-1, 1)], range),
            (&[(0, -1)], range),
            (&[(i64::MAX, 1)], range),
        ];
        for (map, expected) in cases {
            assert_eq!(problem(checked(map, 10, PLACE)), *expected, "{map:?}");
        }
        let extent = |offset_bytes, length_bytes| DataExtent { offset_bytes, length_bytes };
        let map = checked(&[(0, 2), (2, 0), (2, 3), (10, 0)], 10, PLACE).unwrap();
        assert_eq!(map, [extent(0, 2), extent(2, 3)]);
        assert_eq!(problem(checked(&[], -1, PLACE)), "sparse file \"f\" at byte 0: size is negative");
    }

    #[test]
    fn a_map_before_the_body_is_read_to_the_end_of_its_block_and_no_further() {
        let mut archive = b"2\n0\n512\n+2048\n0001\nrest of the block\n".to_vec();
        archive.resize(1024, 0);
        let (mut source, mut stored) = (Source::new(&archive[..]), 1024);
        let map = read_pax_body(&mut source, &mut stored, 4096, PLACE).unwrap();
        assert_eq!((map, stored, source.position_bytes()), (vec![(0, 512), (2048, 1)], 512, 512));
    }

    #[test]
    fn a_map_that_promises_more_than_it_holds_is_cut_short_in_memory_too() {
        let archive = [b"9223372036854775807\n".repeat(100), b"\n".repeat(1 << 16)].concat();
        let length = archive.len() as u64;
        let long = read_pax_body(&mut Source::new(&archive[..]), &mut length.clone(), 4096, PLACE);
        assert_eq!(problem(long), "tar extension at byte 0: has 4608 bytes, limit is 4096");
        let short = read_pax_body(&mut Source::new(&archive[..]), &mut 1000, 4096, PLACE);
        assert_eq!(problem(short), "sparse file \"f\" at byte 0: map is longer than the body");
    }
}
