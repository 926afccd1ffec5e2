//! Many paths in buffers of bounded size, as they are read.
//!
//! One buffer for all would be copied as it grows, and once more when it is shared.

use crate::fingerprint::SHARED_BYTES_MAX;
use crate::path::PathBytes;

/// Paths, one behind the other. One that is longer than what is left of a buffer makes it longer.
#[derive(Default)]
pub(super) struct Chunks {
    full: Vec<PathBytes>,
    full_bytes: usize,
    open: Vec<u8>,
    /// Where the last path starts in the open buffer.
    last_start: usize,
    /// Of each path. No path is longer than 64 KiB.
    lengths: Vec<u32>,
}

impl Chunks {
    /// Returns the last path that was finished; an empty one if there is none.
    pub(super) fn last(&self) -> &[u8] {
        &self.open[self.last_start..]
    }

    /// Returns the bytes of all paths.
    pub(super) fn len_bytes(&self) -> usize {
        self.full_bytes + self.open.len()
    }

    /// Begins a path with so many bytes of the last one, and returns the buffer to which the rest is to be appended.
    pub(super) fn begin(&mut self, shared: usize) -> &mut Vec<u8> {
        let shared = self.last_start..self.last_start + shared;
        if self.open.len() < SHARED_BYTES_MAX {
            let start = self.open.len();
            self.open.extend_from_within(shared);
            self.last_start = start;
            return &mut self.open;
        }
        self.full_bytes += self.open.len();
        self.full.push(PathBytes::from(&self.open[..]));
        self.open.copy_within(shared.clone(), 0);
        self.open.truncate(shared.len());
        self.last_start = 0;
        &mut self.open
    }

    /// Ends the path that was begun, and returns it.
    pub(super) fn finish(&mut self) -> &[u8] {
        let length = self.open.len() - self.last_start;
        self.lengths.push(u32::try_from(length).expect("paths are at most 64 KiB"));
        self.last()
    }

    /// Returns all paths, in order.
    pub(super) fn into_iter(mut self) -> impl Iterator<Item = PathBytes> {
        self.full.push(PathBytes::from(&self.open[..]));
        self.open = Vec::new();
        let (mut chunks, mut end) = (self.full.into_iter(), 0);
        let mut chunk = chunks.next().expect("one was pushed a moment ago");
        self.lengths.into_iter().map(move |length| {
            // A buffer is full up to its last path.
            if end == chunk.len() && end > 0 {
                chunk = chunks.next().unwrap_or_else(|| chunk.slice(0..0));
                end = 0;
            }
            let start = end;
            end += length as usize;
            chunk.slice(start..end)
        })
    }
}
