//! The frames of an export: written and read one after the other, each under a checksum of all bytes so far.
//!
//! So a frame that is damaged, left out, moved or taken from another export is told where it stands, and the last checksum is
//! that of the whole. Reading allocates no more than has come and the limits allow. What payloads mean is the business of
//! `export` and `import`.

use std::io::{self, Read, Write};

use crate::format::export::{
    BLOB_BYTES_MAX, CHECKSUM_BYTES, DOCUMENT_BYTES_MAX, END_BYTES_MAX, FRAME_HEADER_BYTES, HEADER_BYTES,
    IMAGE_BYTES_MAX, LAYER_BYTES_MAX, MAGIC, VERSION,
};
use crate::import::ImportError;

/// What a frame holds, in the order in which they come: what others refer to is there first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    Layer = 1,
    Document = 2,
    Image = 3,
    Blob = 4,
    End = 5,
}

impl Kind {
    fn from_number(number: u8) -> Option<Self> {
        [Self::Layer, Self::Document, Self::Image, Self::Blob, Self::End]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Layer => "layer",
            Self::Document => "document",
            Self::Image => "image",
            Self::Blob => "blob",
            Self::End => "end",
        }
    }

    /// The longest payload, and what the limit is called.
    pub(crate) fn limit(self) -> (&'static str, u64) {
        match self {
            Self::Layer => ("LAYER_BYTES_MAX", LAYER_BYTES_MAX),
            Self::Document => ("DOCUMENT_BYTES_MAX", DOCUMENT_BYTES_MAX),
            Self::Image => ("IMAGE_BYTES_MAX", IMAGE_BYTES_MAX),
            Self::Blob => ("BLOB_BYTES_MAX", BLOB_BYTES_MAX),
            Self::End => ("END_BYTES_MAX", END_BYTES_MAX),
        }
    }
}

/// The first bytes of every export.
fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header
}

/// Writes frames.
pub(crate) struct FrameWriter<W> {
    out: W,
    hasher: blake3::Hasher,
    pub(crate) written_bytes: u64,
}

impl<W: Write> FrameWriter<W> {
    pub(crate) fn new(out: W) -> io::Result<Self> {
        let mut writer = Self { out, hasher: blake3::Hasher::new(), written_bytes: 0 };
        writer.write(&header())?;
        Ok(writer)
    }

    /// Writes a frame whose payload is that of several parts together. The caller has kept to the limit.
    pub(crate) fn frame(&mut self, kind: Kind, parts: &[&[u8]]) -> io::Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length).expect("limits of payloads have 32 bits");
        let mut header = [0; FRAME_HEADER_BYTES];
        header[0] = kind as u8;
        header[4..].copy_from_slice(&length.to_le_bytes());
        self.write(&header)?;
        parts.iter().try_for_each(|part| self.write(part))?;
        let checksum = self.hasher.finalize();
        self.write(checksum.as_bytes())
    }

    /// Hands everything on, and returns the hash of all of it.
    pub(crate) fn finish(mut self) -> io::Result<blake3::Hash> {
        self.out.flush()?;
        Ok(self.hasher.finalize())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.written_bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// A frame whose checksum matched.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// Where it begins in the export.
    pub(crate) offset_bytes: u64,
    pub(crate) payload: Vec<u8>,
}

/// Reads frames.
pub(crate) struct FrameReader<R> {
    input: R,
    hasher: blake3::Hasher,
    pub(crate) read_bytes: u64,
}

impl<R: Read> FrameReader<R> {
    /// Reads the header.
    pub(crate) fn new(input: R) -> Result<Self, ImportError> {
        let mut reader = Self { input, hasher: blake3::Hasher::new(), read_bytes: 0 };
        let found = reader.up_to(HEADER_BYTES as u64)?;
        if found.len() < MAGIC.len() || found[..8] != MAGIC {
            return Err(ImportError::NotAnExport);
        }
        let rest: [u8; 8] = found[8..].try_into().map_err(|_| reader.truncated("header", 0))?;
        let (version, zero) = (&rest[..4], &rest[4..]);
        let version = u32::from_le_bytes(version.try_into().expect("four bytes"));
        if version != VERSION {
            return Err(ImportError::Version { found: version, expected: VERSION });
        }
        if zero != [0; 4] {
            return Err(ImportError::malformed("header", 12, "it does not end with zeros"));
        }
        Ok(reader)
    }

    /// Reads the next frame; nothing of it is believed before its checksum.
    pub(crate) fn next(&mut self) -> Result<Frame, ImportError> {
        let offset_bytes = self.read_bytes;
        let header = self.exact(FRAME_HEADER_BYTES as u64, "frame", offset_bytes)?;
        let kind = Kind::from_number(header[0]).filter(|_| header[1..4] == [0; 3]);
        let kind = kind.ok_or_else(|| ImportError::malformed("frame", offset_bytes, "of an unknown kind"))?;
        let length = u32::from_le_bytes(header[4..].try_into().expect("four bytes"));
        let (limit, max) = kind.limit();
        if u64::from(length) > max {
            let (what, found) = (kind.name(), length.into());
            return Err(ImportError::TooLarge { what, offset_bytes, found, limit, max });
        }
        let payload = self.exact(length.into(), kind.name(), offset_bytes)?;
        let expected = self.hasher.finalize();
        let checksum = self.exact(CHECKSUM_BYTES as u64, kind.name(), offset_bytes)?;
        // Not secret, so the comparison need not take the same time for all.
        if checksum[..] != expected.as_bytes()[..] {
            return Err(ImportError::malformed(kind.name(), offset_bytes, "checksum does not match"));
        }
        Ok(Frame { kind, offset_bytes, payload })
    }

    /// Fails if anything follows.
    pub(crate) fn expect_end(&mut self) -> Result<(), ImportError> {
        let at = self.read_bytes;
        match self.up_to(1)?.is_empty() {
            true => Ok(()),
            false => Err(ImportError::malformed("export", at, "bytes follow its end")),
        }
    }

    fn exact(&mut self, count: u64, what: &'static str, start: u64) -> Result<Vec<u8>, ImportError> {
        let bytes = self.up_to(count)?;
        if (bytes.len() as u64) < count {
            return Err(self.truncated(what, start));
        }
        Ok(bytes)
    }

    /// Reads so many bytes, or all there are. Memory grows with what comes, not with what is claimed.
    fn up_to(&mut self, count: u64) -> Result<Vec<u8>, ImportError> {
        const RESERVED_BYTES_MAX: u64 = 1 << 20;
        let reserved = usize::try_from(count.min(RESERVED_BYTES_MAX)).expect("a million fits");
        let mut bytes = Vec::with_capacity(reserved);
        let offset_bytes = self.read_bytes;
        let read = (&mut self.input).take(count).read_to_end(&mut bytes);
        read.map_err(|source| ImportError::Read { offset_bytes, source })?;
        self.hasher.update(&bytes);
        self.read_bytes += bytes.len() as u64;
        Ok(bytes)
    }

    fn truncated(&self, what: &'static str, start: u64) -> ImportError {
        ImportError::Truncated { offset_bytes: self.read_bytes, what, start_bytes: start }
    }
}
