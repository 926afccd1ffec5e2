//! Identities: what makes two layers, contents or images the same thing.
//!
//! Each is a type of its own and keeps all 256 bits; a shorter key may steer a look-up but is never an answer.
//! All print as `algorithm:hex`, the form in which the OCI image specification writes digests
//! (<https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests>).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// A text that is not the identity it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct ParseIdError {
    /// The text as found, cut to 100 characters.
    pub text: String,
    /// The form that was expected.
    pub expected: &'static str,
}

impl ParseIdError {
    fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.chars().take(100).collect(), expected }
    }
}

fn parse_hex<const N: usize>(text: &str, prefix: &str) -> Option<[u8; N]> {
    let hex = text.strip_prefix(prefix)?;
    let mut bytes = [0; N];
    // HEXLOWER refuses upper case, as the OCI grammar does.
    if hex.len() != 2 * N || HEXLOWER.decode_mut(hex.as_bytes(), &mut bytes).is_err() {
        return None;
    }
    Some(bytes)
}

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Wraps bytes that are already known to be this identity.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Returns the 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Returns the first 64 bits, as a number that is ordered as ids are.
            pub(crate) fn head(&self) -> u64 {
                u64::from_be_bytes(self.0[..8].try_into().expect("eight of 32 bytes"))
            }

            /// Returns the 64 lower-case hexadecimal digits, without the algorithm.
            pub fn to_hex(&self) -> String {
                HEXLOWER.encode(&self.0)
            }
        }

        /// A quarter of an identity is enough to spread it over a table, which compares the whole.
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write_u64(u64::from_le_bytes(self.0[..8].try_into().expect("eight of 32 bytes")));
            }
        }

        /// As the bytes are ordered. Ids that differ do so at their beginning, which is one comparison of numbers.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.head().cmp(&other.head()).then_with(|| self.0.cmp(&other.0))
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex(text, $prefix).map(Self).ok_or_else(|| ParseIdError::new(text, $expected))
            }
        }

        /// As text where a person may read it, as bytes where only we do.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
                } else {
                    <[u8; 32]>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

identity! {
    /// Identifies file contents: the BLAKE3 hash of the bytes, nothing else.
    ContentId, "blake3:", "a content id (blake3:64 hex digits)"
}
identity! {
    /// Identifies a layer: the SHA-256 of its uncompressed tar (OCI `diff_id`).
    DiffId, "sha256:", "a diff ID (sha256:64 hex digits)"
}
identity! {
    /// Identifies a stack of layers, as the OCI image configuration defines `ChainID`.
    ChainId, "sha256:", "a chain ID (sha256:64 hex digits)"
}
identity! {
    /// Identifies an image: the SHA-256 of its configuration.
    ImageId, "sha256:", "an image ID (sha256:64 hex digits)"
}
identity! {
    /// Identifies a set of file contents: BLAKE3 over the sorted content ids. Two images with one set are a tie.
    SetId, "blake3:", "a set id (blake3:64 hex digits)"
}

impl ContentId {
    /// The content of the empty file, which proves nothing about anything.
    pub const EMPTY: Self = Self([
        0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc, 0xc9, 0x49, 0x9b,
        0xcb, 0x25, 0xc9, 0xad, 0xc1, 0x12, 0xb7, 0xcc, 0x9a, 0x93, 0xca, 0xe4, 0x1f, 0x32, 0x62,
    ]);

    /// Returns the identity of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Returns the identity of all bytes that a reader gives.
    pub fn of_reader(reader: impl Read) -> io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(reader)?;
        Ok(Self(*hasher.finalize().as_bytes()))
    }
}

impl ImageId {
    /// Returns the identity of an image with this configuration.
    pub fn of_config(config: &[u8]) -> Self {
        Self(Sha256::digest(config).into())
    }
}

impl ChainId {
    /// Returns the chain ID of every prefix of a stack of layers, lowest layer first.
    ///
    /// `ChainID(L0) = DiffID(L0)`, `ChainID(L0|...|Ln) = SHA256(ChainID(L0|...|Ln-1) + " " + DiffID(Ln))`
    /// (<https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid>).
    pub fn of_prefixes(layers: &[DiffId]) -> Vec<Self> {
        let mut chain: Vec<Self> = Vec::with_capacity(layers.len());
        for layer in layers {
            let next = match chain.last() {
                None => *layer.as_bytes(),
                Some(below) => Sha256::digest(format!("{below} {layer}")).into(),
            };
            chain.push(Self(next));
        }
        chain
    }
}

/// Bytes of ids that are hashed at one time.
const SET_BUFFER_BYTES: usize = 64 << 10;

impl SetId {
    /// Returns the identity of a set of contents that is sorted and holds none twice.
    pub fn of_sorted<'a>(contents: impl IntoIterator<Item = &'a ContentId>) -> Self {
        let mut hasher = blake3::Hasher::new();
        // Many at a time: BLAKE3 hashes whole kilobytes side by side, and single ids one after the other.
        let mut ids = Vec::with_capacity(SET_BUFFER_BYTES);
        for content in contents {
            ids.extend(content.as_bytes());
            if ids.len() == SET_BUFFER_BYTES {
                hasher.update(&ids);
                ids.clear();
            }
        }
        hasher.update(&ids);
        Self(*hasher.finalize().as_bytes())
    }
}

/// Identifies stored bytes (a compressed layer, a manifest) as a registry does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlobDigest {
    /// SHA-256, which all registries use.
    Sha256([u8; 32]),
    /// SHA-512, which the specification allows.
    Sha512([u8; 64]),
}

impl BlobDigest {
    /// Returns the name of the algorithm as digests and blob folders spell it.
    pub const fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::Sha512(_) => "sha512",
        }
    }

    /// Returns the lower-case hexadecimal digits, without the algorithm.
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(self.as_bytes())
    }

    /// Returns the digest as a database key: a byte for the algorithm, then the hash.
    pub fn to_key(&self) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256(_) => 1,
            Self::Sha512(_) => 2,
        };
        [&[algorithm], self.as_bytes()].concat()
    }

    /// Returns the digest of a key, if it is one.
    pub fn from_key(key: &[u8]) -> Option<Self> {
        match key.split_first()? {
            (1, hash) => hash.try_into().ok().map(Self::Sha256),
            (2, hash) => hash.try_into().ok().map(Self::Sha512),
            _ => None,
        }
    }

    /// Returns the hash: 32 or 64 bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        }
    }
}

impl fmt::Display for BlobDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.to_hex())
    }
}

impl fmt::Debug for BlobDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BlobDigest {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let sha256 = parse_hex(text, "sha256:").map(Self::Sha256);
        sha256.or_else(|| parse_hex(text, "sha512:").map(Self::Sha512)).ok_or_else(|| {
            ParseIdError::new(text, "a digest (sha256:64 or sha512:128 lower-case hex digits)")
        })
    }
}

/// As text where a person may read it, as key bytes where only we do.
impl Serialize for BlobDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.to_key().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for BlobDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            let key = Vec::<u8>::deserialize(deserializer)?;
            Self::from_key(&key).ok_or_else(|| de::Error::custom("not the key of a digest"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_print_as_they_parse() {
        let text = format!("sha256:{}", "0f".repeat(32));
        assert_eq!(text.parse::<DiffId>().unwrap().to_string(), text);
        assert_eq!(text.parse::<BlobDigest>().unwrap().to_string(), text);
        let long = format!("sha512:{}", "a1".repeat(64));
        assert_eq!(long.parse::<BlobDigest>().unwrap().to_string(), long);
    }

    #[test]
    fn digests_that_could_be_paths_are_refused() {
        for text in
            ["sha256:../../etc/passwd", "sha256:", "md5:d41d8cd98f00b204e9800998ecf8427e", "", "sha256:é"]
        {
            assert!(text.parse::<BlobDigest>().is_err(), "{text}");
        }
        assert!(format!("sha256:{}", "0F".repeat(32)).parse::<BlobDigest>().is_err(), "upper case");
    }

    #[test]
    fn the_empty_content_is_the_hash_of_nothing() {
        assert_eq!(ContentId::of(b""), ContentId::EMPTY);
    }

    #[test]
    fn chain_id_of_one_layer_is_its_diff_id() {
        let layer = DiffId::from_bytes([7; 32]);
        let chain = ChainId::of_prefixes(&[layer, layer]);
        assert_eq!(chain[0].as_bytes(), layer.as_bytes());
        let expected: [u8; 32] = Sha256::digest(format!("{layer} {layer}")).into();
        assert_eq!(chain[1].as_bytes(), &expected);
    }
}
