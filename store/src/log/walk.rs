//! Every frame of the packs, one after the other, past damage.
//!
//! Where a frame is not whole, the walk goes on at the next one that is: its checksum says where it belongs, so nothing
//! else passes for it. What the damage means is left to whoever walks.

use std::os::unix::fs::FileExt;

use super::frame::{Frame, Place, Position};
use super::pack::Packs;
use crate::error::{Result, StoreError};
use crate::format::pack::{FRAME_MAGIC, HEADER_BYTES};

/// Bytes that are searched at one time for the next frame.
const SEARCH_BYTES: usize = 1 << 20;

/// What the packs hold from one position to the next.
pub(crate) enum Piece {
    /// A whole frame.
    Frame(Frame),
    /// Bytes that are no frame.
    Damage(Damage),
}

/// Bytes between two whole frames, or after the last one of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) from: Position,
    /// Where the next whole frame of the pack begins, or the pack ends.
    pub(crate) to_bytes: u64,
    pub(crate) problem: &'static str,
}

impl Damage {
    pub(crate) fn end(&self) -> Position {
        Position { pack: self.from.pack, offset_bytes: self.to_bytes }
    }
}

/// See the module.
pub(crate) struct Walk<'a> {
    packs: &'a Packs,
    at: Position,
    last_pack: u32,
    /// Frames that are passed over, sorted.
    known: &'a [Place],
}

impl Packs {
    /// Walks all frames from a position on.
    pub(crate) fn walk(&self, from: Position) -> Walk<'_> {
        Walk { packs: self, at: from, last_pack: u32::MAX, known: &[] }
    }

    /// Walks all frames of one pack but those that are known to be whole, which are sorted.
    pub(crate) fn walk_pack<'a>(&'a self, number: u32, known: &'a [Place]) -> Walk<'a> {
        let at = Position { pack: number, offset_bytes: HEADER_BYTES as u64 };
        Walk { packs: self, at, last_pack: number, known }
    }

    /// Returns true if a whole frame begins after a position, however damaged the bytes before it are.
    pub(crate) fn has_frame_after(&self, at: Position) -> Result<bool> {
        for piece in self.walk(at) {
            if matches!(piece?, Piece::Frame(_)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns where the next whole frame of the same pack begins.
    fn next_whole(&self, after: Position) -> Result<Option<Position>> {
        let file = self.file(after.pack)?;
        let length = self.length(after.pack, &file)?;
        let mut window = vec![0; SEARCH_BYTES];
        let mut from = after.offset_bytes + 1;
        while from + (FRAME_MAGIC.len() as u64) <= length {
            let wanted = usize::try_from(length - from).map_or(SEARCH_BYTES, |left| left.min(SEARCH_BYTES));
            let window = &mut window[..wanted];
            let path = self.path(after.pack);
            file.read_exact_at(window, from).map_err(StoreError::io(&path, "read"))?;
            for offset in magics(window) {
                let start = Position { pack: after.pack, offset_bytes: from + offset as u64 };
                if self.frame(start)?.is_ok() {
                    return Ok(Some(start));
                }
            }
            // The next window begins early enough for a frame whose magic lies across the border.
            from += (wanted - (FRAME_MAGIC.len() - 1)) as u64;
        }
        Ok(None)
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next_start()?;
        let piece = self.packs.frame(start).and_then(|frame| match frame {
            Ok(frame) => Ok(Piece::Frame(frame)),
            Err(problem) => self.damage(start, problem).map(Piece::Damage),
        });
        match &piece {
            Ok(Piece::Frame(frame)) => self.at = frame.place.end(),
            Ok(Piece::Damage(damage)) => self.at = damage.end(),
            // Nothing can be read here; the next pack may be better, but whoever walks stops.
            Err(_) => self.at = Position { pack: start.pack, offset_bytes: u64::MAX },
        }
        Some(piece)
    }
}

impl Walk<'_> {
    fn next_start(&mut self) -> Option<Position> {
        loop {
            let start = self.packs.next_frame_start(self.at).filter(|start| start.pack <= self.last_pack)?;
            match self.known.binary_search_by_key(&start, |place| place.start) {
                Ok(known) => self.at = self.known[known].end(),
                Err(_) => return Some(start),
            }
        }
    }

    fn damage(&self, from: Position, problem: &'static str) -> Result<Damage> {
        let to_bytes = match self.packs.next_whole(from)? {
            Some(next) => next.offset_bytes,
            None => self.packs.length(from.pack, &*self.packs.file(from.pack)?)?,
        };
        Ok(Damage { from, to_bytes, problem })
    }
}

fn magics(window: &[u8]) -> impl Iterator<Item = usize> {
    window.windows(FRAME_MAGIC.len()).enumerate().filter(|(_, bytes)| *bytes == FRAME_MAGIC).map(|(at, _)| at)
}
