//! Decompression: what the bytes are, not what anybody says they are.
//!
//! Streams are decoded to their very end: several gzip members, several zstd frames with skippable ones between
//! them. What follows the last member and is not zero is reported as trailing, never decoded.

use std::io::{self, BufRead, Read};

use crate::error::LayerError;
use crate::limits::Limits;

/// A compression that layers and archives come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// None: a tar as it is.
    Plain,
    /// Gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// XZ.
    Xz,
    /// Bzip2.
    Bzip2,
}

/// How many leading bytes [`Codec::sniff`] needs.
pub const MAGIC_BYTES: usize = 6;

impl Codec {
    /// Tells the compression from the first bytes; anything unknown is taken for plain.
    pub fn sniff(magic: &[u8]) -> Result<Self, LayerError> {
        Ok(match magic {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A skippable frame may come first (zstd:chunked, RFC 8878 section 3.1.2).
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [0x04, 0x22, 0x4d, 0x18, ..] => return Err(LayerError::UnsupportedCodec { codec: "lz4" }),
            _ => Self::Plain,
        })
    }

    /// Returns the name as media types spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
        }
    }

    /// Returns the compression that a media type names, if it names one.
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let layer = media_type.contains("layer") || media_type.contains("rootfs");
        match media_type.rsplit(['.', '+']).next() {
            Some("gzip") => Some(Self::Gzip),
            Some("zstd") => Some(Self::Zstd),
            Some("tar") if layer => Some(Self::Plain),
            _ => None,
        }
    }

    /// Returns how much a stream of this kind may swell.
    pub fn ratio_max(self, limits: &Limits) -> u64 {
        match self {
            Self::Gzip => limits.gzip_ratio_max,
            _ => limits.ratio_max,
        }
    }

    /// Returns the name of that limit.
    pub const fn ratio_limit_name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip_ratio_max",
            _ => "ratio_max",
        }
    }
}

/// A stream being decompressed.
pub enum Decoder<R> {
    /// Bytes as they are.
    Plain(R),
    /// Gzip members, one after the other.
    Gzip(GzipMembers<R>),
    /// Zstd frames.
    Zstd(Box<zstd::stream::read::Decoder<'static, R>>),
    /// XZ streams.
    Xz(Box<liblzma::bufread::XzDecoder<R>>),
    /// Bzip2 streams.
    Bzip2(Box<bzip2::bufread::MultiBzDecoder<R>>),
}

impl<R: BufRead> Decoder<R> {
    /// Starts to decompress.
    pub fn new(codec: Codec, inner: R, limits: &Limits) -> Result<Self, LayerError> {
        let start = |source| LayerError::Codec { codec: codec.name(), offset_bytes: 0, source };
        Ok(match codec {
            Codec::Plain => Self::Plain(inner),
            Codec::Gzip => Self::Gzip(GzipMembers::new(inner)),
            Codec::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(inner).map_err(start)?;
                decoder.window_log_max(limits.zstd_window_log_max).map_err(start)?;
                Self::Zstd(Box::new(decoder))
            }
            Codec::Xz => {
                let flags = liblzma::stream::CONCATENATED;
                let stream = liblzma::stream::Stream::new_stream_decoder(limits.xz_memory_bytes_max, flags)
                    .map_err(|error| start(error.into()))?;
                Self::Xz(Box::new(liblzma::bufread::XzDecoder::new_stream(inner, stream)))
            }
            Codec::Bzip2 => Self::Bzip2(Box::new(bzip2::bufread::MultiBzDecoder::new(inner))),
        })
    }

    /// Returns the stream below.
    pub fn get_ref(&self) -> &R {
        match self {
            Self::Plain(inner) => inner,
            Self::Gzip(members) => members.get_ref(),
            Self::Zstd(decoder) => decoder.get_ref(),
            Self::Xz(decoder) => decoder.get_ref(),
            Self::Bzip2(decoder) => decoder.get_ref(),
        }
    }

    /// Returns the stream below, from which nobody else may read.
    pub fn get_mut(&mut self) -> &mut R {
        match self {
            Self::Plain(inner) => inner,
            Self::Gzip(members) => members.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
            Self::Xz(decoder) => decoder.get_mut(),
            Self::Bzip2(decoder) => decoder.get_mut(),
        }
    }

    /// Returns the stream below, which may hold bytes that follow the compressed ones.
    pub fn into_inner(self) -> R {
        match self {
            Self::Plain(inner) => inner,
            Self::Gzip(members) => members.into_inner(),
            Self::Zstd(decoder) => decoder.finish(),
            Self::Xz(decoder) => decoder.into_inner(),
            Self::Bzip2(decoder) => decoder.into_inner(),
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.read(buffer),
            Self::Gzip(members) => members.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
            Self::Xz(decoder) => decoder.read(buffer),
            Self::Bzip2(decoder) => decoder.read(buffer),
        }
    }
}

/// Gzip members, one after the other, as `gzip -d` reads them: what follows the last one and does not look like
/// another is left in the stream. (`MultiGzDecoder` gives an error there, which would hide a layer that runs.)
pub enum GzipMembers<R> {
    /// In a member.
    Member(Box<flate2::bufread::GzDecoder<R>>),
    /// Behind the last one.
    Ended(R),
    /// Only while one member is exchanged for the next.
    Between,
}

const BETWEEN_MEMBERS: &str = "a member is put back before the exchange returns";

impl<R: BufRead> GzipMembers<R> {
    fn new(inner: R) -> Self {
        Self::Member(Box::new(flate2::bufread::GzDecoder::new(inner)))
    }

    fn get_ref(&self) -> &R {
        match self {
            Self::Member(member) => member.get_ref(),
            Self::Ended(inner) => inner,
            Self::Between => unreachable!("{BETWEEN_MEMBERS}"),
        }
    }

    fn get_mut(&mut self) -> &mut R {
        match self {
            Self::Member(member) => member.get_mut(),
            Self::Ended(inner) => inner,
            Self::Between => unreachable!("{BETWEEN_MEMBERS}"),
        }
    }

    fn into_inner(self) -> R {
        match self {
            Self::Member(member) => member.into_inner(),
            Self::Ended(inner) => inner,
            Self::Between => unreachable!("{BETWEEN_MEMBERS}"),
        }
    }

    /// Starts the next member if there is one. One byte decides: nothing else that starts with 1f is expected
    /// here, and a header that then fails to parse is an error with a name. A decoder is made only where there is
    /// something to decode, for it reads a header at once.
    fn next_member(&mut self) -> io::Result<()> {
        let mut inner = std::mem::replace(self, Self::Between).into_inner();
        let another = inner.fill_buf().map(|next| next.first() == Some(&0x1f));
        *self = match another {
            Ok(true) => Self::new(inner),
            _ => Self::Ended(inner),
        };
        another.map(|_| ())
    }
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Self::Member(member) = self {
            match member.read(buffer)? {
                0 if !buffer.is_empty() => self.next_member()?,
                count => return Ok(count),
            }
        }
        Ok(0)
    }
}
