//! The columns of a segment while it is written, and the file that they become.
//!
//! Columns grow side by side, in memory while they are small and in temporary files when they are not, so that a segment
//! of any size is written in bounded memory. The file has its name when it is whole and on the disk.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, SpooledTempFile, spooled_tempfile_in};

use super::segment::{
    Facts, HEADER_BYTES, SECTIONS, Section, SegmentId, block_checksum, checksum, file_name, fixed,
};
use crate::error::{Result, StoreError};
use crate::format::STORE_ID_BYTES;
use crate::format::index::{BLOCK_BYTES, FIXED_BYTES, KEY_CONTEXT};
use crate::log::pack::sync_directory;

/// Bytes of one column that are kept in memory.
const COLUMN_MEMORY_BYTES: usize = 4 << 20;
/// Bytes of a colour before it is known how many colours there are.
const WIDE_COLOUR_BYTES: usize = 4;

/// Columns that are being written.
pub(crate) struct Columns {
    directory: PathBuf,
    store_id: [u8; STORE_ID_BYTES],
    columns: Vec<BufWriter<SpooledTempFile>>,
}

impl Columns {
    /// Begins a segment in a directory.
    pub(crate) fn new(directory: &Path, store_id: &[u8; STORE_ID_BYTES]) -> Self {
        let column = || BufWriter::new(spooled_tempfile_in(COLUMN_MEMORY_BYTES, directory));
        let columns = (0..SECTIONS).map(|_| column()).collect();
        Self { directory: directory.to_owned(), store_id: *store_id, columns }
    }

    /// Appends to a column.
    pub(crate) fn push(&mut self, section: Section, bytes: &[u8]) -> Result<()> {
        let written = self.columns[section as usize].write_all(bytes);
        written.map_err(StoreError::io(&self.directory, "write a segment in"))
    }

    /// Appends a number to a column of 32-bit numbers.
    pub(crate) fn push_number(&mut self, section: Section, number: u32) -> Result<()> {
        self.push(section, &number.to_le_bytes())
    }

    /// Writes the segment. Colours were pushed as 32-bit numbers and are narrowed to what their number needs.
    pub(crate) fn finish(self, mut facts: Facts) -> Result<SegmentId> {
        let failed = |directory: &Path, error| StoreError::io(directory, "write a segment in")(error);
        let directory = self.directory.clone();
        let id = self.write(&mut facts).map_err(|error| failed(&directory, error))?;
        sync_directory(&directory)?;
        Ok(id)
    }

    fn write(mut self, facts: &mut Facts) -> io::Result<SegmentId> {
        let mut lengths = [0_u64; SECTIONS];
        for (length, column) in lengths.iter_mut().zip(&mut self.columns) {
            *length = column.stream_position()?;
        }
        let colours = lengths[Section::ListEnds as usize] / 4;
        facts.colour_bytes = bytes_of(colours.saturating_sub(1));
        let colour_section = &mut lengths[Section::KeyColours as usize];
        *colour_section = *colour_section / WIDE_COLOUR_BYTES as u64 * u64::from(facts.colour_bytes);
        let end = HEADER_BYTES as u64 + lengths.iter().sum::<u64>();
        let block_count = end.div_ceil(BLOCK_BYTES as u64);
        facts.file_bytes = end + block_count * crate::format::index::BLOCK_CHECKSUM_BYTES as u64;

        let mut head = Vec::with_capacity(HEADER_BYTES);
        head.extend(fixed(facts, &self.store_id));
        let mut start = HEADER_BYTES as u64;
        for length in lengths {
            head.extend(start.to_le_bytes());
            head.extend(length.to_le_bytes());
            start += length;
        }
        debug_assert_eq!(head.len(), FIXED_BYTES + 16 * SECTIONS);
        self.write_file(head, facts.colour_bytes)
    }

    /// Writes header, sections and block checksums. The header holds the checksum of the block checksums, so the first
    /// block is summed with zeros in its place, and the header has a checksum of its own.
    fn write_file(mut self, head: Vec<u8>, colour_bytes: u8) -> io::Result<SegmentId> {
        let secret = blake3::derive_key(KEY_CONTEXT, &self.store_id);
        let file = NamedTempFile::with_prefix_in("new.", &self.directory)?;
        let mut blocks = Blocks::new(BufWriter::with_capacity(1 << 20, file), secret);
        blocks.write_all(&[0; HEADER_BYTES])?;
        for (index, column) in self.columns.drain(..).enumerate() {
            let mut column = column.into_inner().map_err(io::IntoInnerError::into_error)?;
            column.rewind()?;
            if index == Section::KeyColours as usize {
                narrow(&mut column, usize::from(colour_bytes), &mut blocks)?;
            } else {
                io::copy(&mut column, &mut blocks)?;
            }
        }
        let (out, table) = blocks.finish()?;
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let head = [&head[..], &checksum(&secret, &table)].concat();
        let id = checksum(&secret, &head);
        file.as_file_mut().write_all(&table)?;
        file.rewind()?;
        file.as_file_mut().write_all(&[&head[..], &id].concat())?;
        set_readable(file.as_file())?;
        file.as_file().sync_all()?;
        // Renamed by the standard library, so that the crash suite sees it. What a failure leaves is removed with old segments.
        let (_, half_made) = file.keep()?;
        fs::rename(half_made, self.directory.join(file_name(&id)))?;
        Ok(id)
    }
}

/// Temporary files are for their owner alone; a store is for whom its folder lets in.
fn set_readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

/// Bytes that a number needs, at least one.
fn bytes_of(number: u64) -> u8 {
    (1..4).find(|bytes| number >> (8 * bytes) == 0).unwrap_or(4)
}

fn narrow(wide: &mut impl Read, bytes: usize, out: &mut impl Write) -> io::Result<()> {
    let mut wide = io::BufReader::with_capacity(1 << 16, wide);
    let mut colour = [0; WIDE_COLOUR_BYTES];
    while read_whole(&mut wide, &mut colour)? {
        out.write_all(&colour[..bytes])?;
    }
    Ok(())
}

/// Fills a buffer; false at the end.
fn read_whole(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes, and takes the checksum of each block.
struct Blocks<W> {
    out: W,
    secret: [u8; 32],
    block: Vec<u8>,
    table: Vec<u8>,
}

impl<W: Write> Blocks<W> {
    fn new(out: W, secret: [u8; 32]) -> Self {
        Self { out, secret, block: Vec::with_capacity(BLOCK_BYTES), table: Vec::new() }
    }

    fn finish(mut self) -> io::Result<(W, Vec<u8>)> {
        if !self.block.is_empty() {
            self.end_block();
        }
        self.out.flush()?;
        Ok((self.out, self.table))
    }

    fn end_block(&mut self) {
        self.table.extend(block_checksum(&self.secret, &self.block));
        self.block.clear();
    }
}

impl<W: Write> Write for Blocks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = bytes.len().min(BLOCK_BYTES - self.block.len());
        self.out.write_all(&bytes[..part])?;
        self.block.extend_from_slice(&bytes[..part]);
        if self.block.len() == BLOCK_BYTES {
            self.end_block();
        }
        Ok(part)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
