//! One frame of a pack: what it is, whose it is, and a checksum under a key that only this store has.
//!
//! So bytes of a hostile image never pass for a frame. Knows bytes; where they lie in files is the pack's business.

use serde::{Deserialize, Serialize};

use crate::format::pack::{FRAME_HEADER_BYTES, FRAME_MAGIC};

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FrameKind {
    /// A value of the catalogue that is too large for it; the key is the hash of its tree and key.
    Value = 1,
    /// Operations on the catalogue; the key is zero.
    Commit = 2,
    /// What a repair made of a damaged frame: bytes that say nothing. The key is zero.
    Lost = 3,
}

/// A point between two frames; before all of them, where there is no pack yet.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) pack: u32,
    pub(crate) offset_bytes: u64,
}

/// Where a frame begins, and how long its payload is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) start: Position,
    pub(crate) payload_bytes: u64,
}

impl Place {
    /// A place that begins at a position, of unknown length.
    pub(crate) fn at(start: Position) -> Self {
        Self { start, payload_bytes: 0 }
    }

    /// The beginning of a pack.
    pub(crate) fn at_start(pack: u32) -> Self {
        Self::at(Position { pack, offset_bytes: 0 })
    }

    /// Returns the bytes that the frame takes.
    pub(crate) fn frame_bytes(&self) -> u64 {
        self.payload_bytes.saturating_add(FRAME_HEADER_BYTES as u64)
    }

    /// Returns the position after the frame.
    pub(crate) fn end(&self) -> Position {
        let offset_bytes = self.start.offset_bytes.saturating_add(self.frame_bytes());
        Position { pack: self.start.pack, offset_bytes }
    }
}

/// A frame whose checksum matched.
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) key: [u8; 32],
    pub(crate) place: Place,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Takes the bytes that stand at a position; none if they are not what was written there.
    pub(crate) fn checked(
        secret: &[u8; 32],
        start: Position,
        header: &[u8; FRAME_HEADER_BYTES],
        payload: Vec<u8>,
    ) -> Option<Self> {
        let payload_bytes = payload_bytes(header)?;
        if checksum(secret, start, &header[..48], &payload).as_bytes() != &header[48..80] {
            return None;
        }
        let key = header[16..48].try_into().expect("32 bytes");
        Some(Self { kind: header[4], key, place: Place { start, payload_bytes }, payload })
    }
}

/// Returns the header of a frame, as the format lays it out.
pub(crate) fn header(
    secret: &[u8; 32],
    kind: FrameKind,
    key: [u8; 32],
    place: Place,
    payload: &[u8],
) -> [u8; FRAME_HEADER_BYTES] {
    let mut header = [0; FRAME_HEADER_BYTES];
    header[0..4].copy_from_slice(&FRAME_MAGIC);
    header[4] = kind as u8;
    header[8..16].copy_from_slice(&place.payload_bytes.to_le_bytes());
    header[16..48].copy_from_slice(&key);
    let checksum = checksum(secret, place.start, &header[..48], payload);
    header[48..80].copy_from_slice(checksum.as_bytes());
    header
}

/// Returns how long the payload behind a header says it is; none if it is no header. Nothing is checked yet.
pub(crate) fn payload_bytes(header: &[u8; FRAME_HEADER_BYTES]) -> Option<u64> {
    let stated = header[8..16].try_into().expect("eight bytes");
    (header[0..4] == FRAME_MAGIC).then(|| u64::from_le_bytes(stated))
}

/// A frame counts only where it was written: a copy of it elsewhere has another checksum.
fn checksum(secret: &[u8; 32], start: Position, header: &[u8], payload: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    hasher.update(&start.pack.to_le_bytes()).update(&start.offset_bytes.to_le_bytes());
    hasher.update(header).update(payload);
    hasher.finalize()
}
