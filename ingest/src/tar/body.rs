//! The body of the current entry: its stored bytes, the padding behind them, the holes between them.

use super::TarError;
use super::error::Place;
use super::header::BLOCK_BYTES;
use super::source::{ReadSkip, Source};
use super::sparse::DataExtent;

/// What a hole reads as, a piece at a time: as many bytes as are hashed at full speed.
const ZEROS: [u8; 16 << 10] = [0; 16 << 10];

/// What is left of a body. A new one takes over the buffers of the last.
#[derive(Default)]
pub(super) struct Body {
    path: Vec<u8>,
    header_offset_bytes: u64,
    pub(super) stored_bytes_left: u64,
    padding_bytes: u64,
    sparse: Option<SparseBody>,
}

impl Body {
    /// Starts the body of an entry: so many bytes, filled up to a whole block.
    pub(super) fn open(&mut self, place: Place, stored_bytes: u64) {
        self.path.clear();
        self.path.extend_from_slice(place.path);
        self.header_offset_bytes = place.offset_bytes;
        self.stored_bytes_left = stored_bytes;
        self.padding_bytes = stored_bytes.wrapping_neg() % BLOCK_BYTES as u64;
        self.sparse = None;
    }

    /// Spreads the stored bytes over a file with holes.
    pub(super) fn set_sparse(&mut self, extents: Vec<DataExtent>, size_bytes: u64) {
        self.sparse = Some(SparseBody { extents, next: 0, position_bytes: 0, size_bytes });
    }

    pub(super) fn extents(&self) -> &[DataExtent] {
        self.sparse.as_ref().map_or(&[], |sparse| &sparse.extents)
    }

    /// Shows some of the body, at most `count_max` bytes, and passes over it; 0 at its end.
    pub(super) fn pass<R: ReadSkip>(
        &mut self,
        source: &mut Source<R>,
        count_max: usize,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, TarError> {
        let Some(run) = self.sparse.as_ref().map(|sparse| sparse.next_run(count_max)) else {
            return self.pass_stored(source, count_max, take);
        };
        let count = match run {
            Run::Hole(length) => {
                let length = length.min(ZEROS.len());
                take(&ZEROS[..length]);
                length
            }
            Run::Data(_) if self.stored_bytes_left == 0 => {
                return Err(self.place().bad_sparse("map has more data than the body"));
            }
            Run::Data(length) => self.pass_stored(source, length, take)?,
            Run::End if self.stored_bytes_left > 0 => {
                return Err(self.place().bad_sparse("body has more data than the map"));
            }
            Run::End => 0,
        };
        if let Some(sparse) = &mut self.sparse {
            sparse.advance(count as u64);
        }
        Ok(count)
    }

    fn pass_stored<R: ReadSkip>(
        &mut self,
        source: &mut Source<R>,
        count_max: usize,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, TarError> {
        let wanted = usize::try_from(self.stored_bytes_left).unwrap_or(usize::MAX).min(count_max);
        if wanted == 0 {
            return Ok(0);
        }
        let count = source.pass(wanted, take)?;
        if count == 0 {
            return Err(self.truncated(source));
        }
        self.stored_bytes_left -= count as u64;
        Ok(count)
    }

    /// Passes over what is left of the body and its padding.
    ///
    /// Padding may be cut short: Go takes the archive to be complete then, and so will the next header.
    pub(super) fn finish<R: ReadSkip>(&mut self, source: &mut Source<R>) -> Result<(), TarError> {
        let (stored, padding) = (self.stored_bytes_left, self.padding_bytes);
        (self.stored_bytes_left, self.padding_bytes) = (0, 0);
        if source.skip(stored)? < stored {
            return Err(self.truncated(source));
        }
        source.skip(padding)?;
        Ok(())
    }

    fn truncated<R: ReadSkip>(&self, source: &Source<R>) -> TarError {
        TarError::Truncated { offset_bytes: source.position_bytes(), path: self.place().shown_path() }
    }

    fn place(&self) -> Place<'_> {
        Place { offset_bytes: self.header_offset_bytes, path: &self.path }
    }
}

/// How far a file with holes has been read.
struct SparseBody {
    extents: Vec<DataExtent>,
    next: usize,
    position_bytes: u64,
    size_bytes: u64,
}

enum Run {
    Hole(usize),
    Data(usize),
    End,
}

impl SparseBody {
    /// Returns what comes next, at most `length_max` bytes of it.
    fn next_run(&self, length_max: usize) -> Run {
        let cut = |length| usize::try_from(length).unwrap_or(usize::MAX).min(length_max);
        match self.extents.get(self.next) {
            Some(extent) if extent.offset_bytes > self.position_bytes => {
                Run::Hole(cut(extent.offset_bytes - self.position_bytes))
            }
            Some(extent) => Run::Data(cut(extent.offset_bytes + extent.length_bytes - self.position_bytes)),
            None if self.position_bytes < self.size_bytes => {
                Run::Hole(cut(self.size_bytes - self.position_bytes))
            }
            None => Run::End,
        }
    }

    fn advance(&mut self, count: u64) {
        self.position_bytes += count;
        if let Some(extent) = self.extents.get(self.next)
            && self.position_bytes >= extent.offset_bytes + extent.length_bytes
        {
            self.next += 1;
        }
    }
}
