//! Compression of layers and of whole archives.
//!
//! Every kind streams. Levels are low: what is written here is read once or twice, and its size is not the point.

use std::io::{self, Write};

use bzip2::write::BzEncoder;
use flate2::write::GzEncoder;
use liblzma::write::XzEncoder;

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    None,
    /// One gzip member.
    #[default]
    Gzip,
    /// Several gzip members, as pigz and bgzip make; the first ends within the first tar header.
    GzipMembers,
    /// A layer with a gzip member for each entry, landmark, table of contents and footer. Anything that is not
    /// a layer is written as [`GzipMembers`](Self::GzipMembers).
    EStargz,
    /// One zstd frame.
    Zstd,
    /// Several zstd frames, each followed by a skippable one, as pzstd and zstd:chunked make.
    ZstdFrames,
    /// xz, which no media type names.
    Xz,
    /// bzip2, which no media type names.
    Bzip2,
}

impl Compression {
    /// Every kind, for tables of cases.
    pub const ALL: [Self; 8] = [
        Self::None,
        Self::Gzip,
        Self::GzipMembers,
        Self::EStargz,
        Self::Zstd,
        Self::ZstdFrames,
        Self::Xz,
        Self::Bzip2,
    ];

    /// Returns the bytes compressed.
    pub fn compress(self, bytes: &[u8]) -> Vec<u8> {
        let write = || -> io::Result<Vec<u8>> {
            let mut encoder = Encoder::new(self, Vec::new())?;
            encoder.write_all(bytes)?;
            encoder.finish()
        };
        write().expect("writing to memory cannot fail")
    }

    /// Returns the usual end of a file name, empty for no compression.
    pub fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip | Self::GzipMembers | Self::EStargz => ".gz",
            Self::Zstd | Self::ZstdFrames => ".zst",
            Self::Xz => ".xz",
            Self::Bzip2 => ".bz2",
        }
    }

    /// Returns what media types append; xz and bzip2 have none registered and take their names.
    pub(super) fn suffix(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip | Self::GzipMembers | Self::EStargz => Some("gzip"),
            Self::Zstd | Self::ZstdFrames => Some("zstd"),
            Self::Xz => Some("xz"),
            Self::Bzip2 => Some("bzip2"),
        }
    }
}

pub(super) const GZIP_LEVEL: flate2::Compression = flate2::Compression::new(3);
const ZSTD_LEVEL: i32 = 1;
const XZ_LEVEL: u32 = 1;

/// Less than a tar block, so that even an empty layer has several parts and one of them ends within a header.
const FIRST_PART_BYTES: usize = 300;
const PART_BYTES: usize = 64 * 1024;

/// A writer that compresses. `finish` must be called, or the end is missing.
pub(super) enum Encoder<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
    Xz(XzEncoder<W>),
    Bzip2(BzEncoder<W>),
    Parts(Parts<W>),
}

impl<W: Write> Encoder<W> {
    pub fn new(compression: Compression, out: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(out),
            Compression::Gzip => Self::Gzip(GzEncoder::new(out, GZIP_LEVEL)),
            Compression::GzipMembers | Compression::EStargz => Self::Parts(Parts::new(out, gzip_member)),
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(out, ZSTD_LEVEL)?),
            Compression::ZstdFrames => Self::Parts(Parts::new(out, zstd_frames)),
            Compression::Xz => Self::Xz(XzEncoder::new(out, XZ_LEVEL)),
            Compression::Bzip2 => Self::Bzip2(BzEncoder::new(out, bzip2::Compression::fast())),
        })
    }

    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Xz(encoder) => encoder.finish(),
            Self::Bzip2(encoder) => encoder.finish(),
            Self::Parts(parts) => parts.finish(),
        }
    }

    fn inner(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(out) => out,
            Self::Gzip(encoder) => encoder,
            Self::Zstd(encoder) => encoder,
            Self::Xz(encoder) => encoder,
            Self::Bzip2(encoder) => encoder,
            Self::Parts(parts) => parts,
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner().flush()
    }
}

/// Cuts the stream into parts that are compressed each on its own.
pub(super) struct Parts<W> {
    out: W,
    part: Vec<u8>,
    part_bytes: usize,
    encode: fn(&[u8]) -> io::Result<Vec<u8>>,
}

impl<W: Write> Parts<W> {
    fn new(out: W, encode: fn(&[u8]) -> io::Result<Vec<u8>>) -> Self {
        Self { out, part: Vec::new(), part_bytes: FIRST_PART_BYTES, encode }
    }

    fn end_part(&mut self) -> io::Result<()> {
        self.out.write_all(&(self.encode)(&self.part)?)?;
        self.part.clear();
        self.part_bytes = PART_BYTES;
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        self.end_part()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Parts<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.part.len() == self.part_bytes {
            self.end_part()?;
        }
        let taken = bytes.len().min(self.part_bytes - self.part.len());
        self.part.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn gzip_member(part: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), GZIP_LEVEL);
    encoder.write_all(part)?;
    encoder.finish()
}

/// One frame of data and one that readers must skip (RFC 8878, section 3.1.2).
fn zstd_frames(part: &[u8]) -> io::Result<Vec<u8>> {
    let mut frames = zstd::encode_all(part, ZSTD_LEVEL)?;
    let note = b"skip me";
    frames.extend(0x184D_2A50_u32.to_le_bytes());
    frames.extend([7, 0, 0, 0]);
    frames.extend(note);
    Ok(frames)
}
