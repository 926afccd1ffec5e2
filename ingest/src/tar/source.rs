//! The bytes of the archive, counted.
//!
//! [`ReadSkip`] is what an archive can be read from: skipping lies in the hands of the source, so that bodies
//! in a plain file are jumped over, while those in a stream that is being hashed are read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};

use super::TarError;

/// A reader that can pass over bytes, and show them where they lie.
pub trait ReadSkip: Read {
    /// Passes over `count` bytes and returns how many there were: fewer only where the source ends.
    ///
    /// Reads and discards, unless the source knows better.
    fn skip_bytes(&mut self, count: u64) -> io::Result<u64> {
        let mut left = count;
        while left > 0 {
            match self.pass(usize::try_from(left).unwrap_or(usize::MAX), &mut |_| ()) {
                Ok(0) => break,
                Ok(passed) => left -= passed as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count - left)
    }

    /// Shows the next bytes, at most `count_max`, and passes over them. Returns how many; 0 at the end.
    ///
    /// Copies them to read them, unless the source has them ready.
    fn pass(&mut self, count_max: usize, take: &mut dyn FnMut(&[u8])) -> io::Result<usize> {
        let mut buffer = [0; 8 << 10];
        let wanted = count_max.min(buffer.len());
        let count = self.read(&mut buffer[..wanted])?;
        take(&buffer[..count]);
        Ok(count)
    }
}

impl ReadSkip for &[u8] {
    fn skip_bytes(&mut self, count: u64) -> io::Result<u64> {
        let skipped = usize::try_from(count).unwrap_or(usize::MAX).min(self.len());
        *self = &self[skipped..];
        Ok(skipped as u64)
    }
}

impl<T: AsRef<[u8]>> ReadSkip for Cursor<T> {
    fn skip_bytes(&mut self, count: u64) -> io::Result<u64> {
        let left = (self.get_ref().as_ref().len() as u64).saturating_sub(self.position());
        let skipped = count.min(left);
        self.set_position(self.position() + skipped);
        Ok(skipped)
    }
}

impl ReadSkip for File {
    fn skip_bytes(&mut self, count: u64) -> io::Result<u64> {
        skip_by_seeking(self, count)
    }
}

impl ReadSkip for BufReader<File> {
    fn skip_bytes(&mut self, count: u64) -> io::Result<u64> {
        let buffered = usize::try_from(count).unwrap_or(usize::MAX).min(self.buffer().len());
        self.consume(buffered);
        Ok(buffered as u64 + skip_by_seeking(self, count - buffered as u64)?)
    }
}

impl<R: ReadSkip + ?Sized> ReadSkip for &mut R {
    fn skip_bytes(&mut self, count: u64) -> io::Result<u64> {
        (**self).skip_bytes(count)
    }

    fn pass(&mut self, count_max: usize, take: &mut dyn FnMut(&[u8])) -> io::Result<usize> {
        (**self).pass(count_max, take)
    }
}

impl<R: ReadSkip + ?Sized> ReadSkip for Box<R> {
    fn skip_bytes(&mut self, count: u64) -> io::Result<u64> {
        (**self).skip_bytes(count)
    }

    fn pass(&mut self, count_max: usize, take: &mut dyn FnMut(&[u8])) -> io::Result<usize> {
        (**self).pass(count_max, take)
    }
}

/// Any reader at all; it skips by reading.
#[derive(Debug)]
pub struct Stream<R>(pub R);

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> ReadSkip for Stream<R> {}

/// Seeks to the last byte to skip and reads it, because seeking past the end of a file succeeds.
fn skip_by_seeking<R: Read + Seek>(source: &mut R, count: u64) -> io::Result<u64> {
    let Some(jump) = count.checked_sub(1) else { return Ok(0) };
    let start = source.stream_position()?;
    let Ok(jump) = i64::try_from(jump) else { return skip_to_end(source, start) };
    match source.seek(SeekFrom::Current(jump)) {
        Ok(_) => {}
        // The sum does not fit into a file offset; no file is that long.
        Err(error) if error.kind() == ErrorKind::InvalidInput => return skip_to_end(source, start),
        Err(error) => return Err(error),
    }
    match source.read_exact(&mut [0]) {
        Ok(()) => Ok(count),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => skip_to_end(source, start),
        Err(error) => Err(error),
    }
}

fn skip_to_end<R: Seek>(source: &mut R, start: u64) -> io::Result<u64> {
    Ok(source.seek(SeekFrom::End(0))?.saturating_sub(start))
}

/// A source that knows how far it has been read, and puts that into every error.
pub(super) struct Source<R> {
    inner: R,
    position_bytes: u64,
}

impl<R: ReadSkip> Source<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, position_bytes: 0 }
    }

    pub(super) fn position_bytes(&self) -> u64 {
        self.position_bytes
    }

    pub(super) fn into_inner(self) -> R {
        self.inner
    }

    /// Reads something; 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        loop {
            match self.inner.read(buffer) {
                Ok(count) => {
                    self.position_bytes += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(TarError::Io { offset_bytes: self.position_bytes, source }),
            }
        }
    }

    /// Shows something and passes over it; 0 at the end.
    pub(super) fn pass(&mut self, count_max: usize, take: &mut dyn FnMut(&[u8])) -> Result<usize, TarError> {
        loop {
            match self.inner.pass(count_max, take) {
                Ok(count) => {
                    self.position_bytes += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(TarError::Io { offset_bytes: self.position_bytes, source }),
            }
        }
    }

    /// Fills the buffer; returns less than its length only at the end.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    /// Passes over bytes; returns less than `count` only at the end.
    pub(super) fn skip(&mut self, count: u64) -> Result<u64, TarError> {
        if count == 0 {
            return Ok(0);
        }
        match self.inner.skip_bytes(count) {
            Ok(skipped) => {
                self.position_bytes += skipped;
                Ok(skipped)
            }
            Err(source) => Err(TarError::Io { offset_bytes: self.position_bytes, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Skips and returns how far that went and the byte that follows.
    fn skip_then_read<R: ReadSkip>(mut source: R, count: u64) -> (u64, Vec<u8>) {
        let skipped = source.skip_bytes(count).unwrap();
        let mut next = vec![0; 1];
        let length = source.read(&mut next).unwrap();
        next.truncate(length);
        (skipped, next)
    }

    #[test]
    fn every_source_skips_as_far_as_there_are_bytes() {
        let bytes: Vec<u8> = (0..=255).cycle().take(20_000).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let rewound = || {
            let mut file = file.try_clone().unwrap();
            file.rewind().unwrap();
            file
        };
        for count in [0, 1, 511, 8192, 19_999, 20_000, 20_001, 1 << 40, i64::MAX as u64, u64::MAX] {
            let skipped = count.min(20_000);
            let next = bytes[usize::try_from(skipped).unwrap()..].iter().take(1).copied().collect();
            let expected = (skipped, next);
            assert_eq!(skip_then_read(&bytes[..], count), expected, "slice, {count}");
            assert_eq!(skip_then_read(Cursor::new(&bytes), count), expected, "cursor, {count}");
            assert_eq!(skip_then_read(Stream(&bytes[..]), count), expected, "stream, {count}");
            assert_eq!(skip_then_read(rewound(), count), expected, "file, {count}");
            assert_eq!(skip_then_read(BufReader::new(rewound()), count), expected, "buffered file, {count}");
        }
    }
}
