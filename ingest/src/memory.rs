//! How much a run holds at one time.
//!
//! What a layer costs is known when its fingerprint is done, and guessed before. A layer is begun only while what is held
//! stays within the room there is, or if nothing else is being read: so a run always goes on, however little it may have.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use layerprint_store::Fingerprint;

const MIB: u64 = 1 << 20;

/// What a run takes by default: this, and so much more for each worker.
const DEFAULT_BYTES: u64 = 256 * MIB;
const DEFAULT_WORKER_BYTES: u64 = 32 * MIB;
/// What it takes whatever it reads: the program, the plans of a large layout, the catalogue's cache, a commit and its part
/// of the index. A layout of 2,000 images took 180 MiB in all, of which 68 were kept for further images.
const BASE_BYTES: u64 = 128 * MIB;
/// Buffers of one worker: the decompressor's window and what waits between stages.
const WORKER_BYTES: u64 = 4 * MIB;
/// The least room for fingerprints, however little was asked for.
const ROOM_BYTES_MIN: u64 = 16 * MIB;
/// Memory of an entry besides the bytes of its path.
const ENTRY_BYTES: u64 = 120;
/// What is kept for further images: layers, and stacks of layers as seen from above. More makes no run faster.
const KEPT_BYTES_MAX: u64 = 128 * MIB;
/// One part in so many of it is for layers.
const RECENT_DIVISOR: u64 = 4;
/// Memory of an entry of a layer and of a stack, on average.
const RECENT_ENTRY_BYTES: u64 = 150;
const STACK_ENTRY_BYTES: u64 = 200;

/// What is guessed for a layer, by its stored bytes: a layer of small files takes some three times as much, one of large
/// files next to nothing.
const GUESS_FACTOR: u64 = 3;
const GUESS_BYTES_MIN: u64 = 64 << 10;
const GUESS_BYTES_MAX: u64 = 16 * MIB;

/// Divides what a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// For fingerprints that are being built, and images that are being finished.
    pub(crate) building_bytes: u64,
    /// For layers that were read and may be asked for again.
    pub(crate) recent_entries: u64,
    /// For stacks of layers that further images may be built on.
    pub(crate) stack_entries: u64,
}

impl Budget {
    /// Divides so many bytes, or what is usual for so many workers.
    pub(crate) fn of(memory_bytes: Option<u64>, jobs: usize) -> Self {
        let workers = jobs.max(1) as u64;
        let whole = memory_bytes.unwrap_or(DEFAULT_BYTES + workers * DEFAULT_WORKER_BYTES);
        let room = whole.saturating_sub(BASE_BYTES + workers * WORKER_BYTES).max(ROOM_BYTES_MIN);
        let kept_bytes = (room / 2).min(KEPT_BYTES_MAX);
        let recent_bytes = kept_bytes / RECENT_DIVISOR;
        Self {
            building_bytes: room - kept_bytes,
            recent_entries: recent_bytes / RECENT_ENTRY_BYTES,
            stack_entries: (kept_bytes - recent_bytes) / STACK_ENTRY_BYTES,
        }
    }
}

/// Counts what the workers of a run hold.
pub(crate) struct Memory {
    bytes_max: u64,
    held: Mutex<Held>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    bytes: u64,
    layers: usize,
}

impl Memory {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, held: Mutex::default(), freed: Condvar::new() }
    }

    /// Waits until there is room for a layer of so many stored bytes, or until no other is being read.
    pub(crate) fn begin_layer(&self, stored_bytes: u64) -> Hold<'_> {
        let bytes = (stored_bytes.saturating_mul(GUESS_FACTOR)).clamp(GUESS_BYTES_MIN, GUESS_BYTES_MAX);
        let full = |held: &mut Held| held.layers > 0 && held.bytes + bytes > self.bytes_max;
        let waited = self.freed.wait_while(self.lock(), full);
        let mut held = waited.unwrap_or_else(PoisonError::into_inner);
        held.bytes += bytes;
        held.layers += 1;
        Hold { memory: self, bytes, layers: 1 }
    }

    /// Returns how many layers are being read.
    pub(crate) fn layers(&self) -> usize {
        self.lock().layers
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A share of the memory, given back when this is dropped.
pub(crate) struct Hold<'a> {
    memory: &'a Memory,
    bytes: u64,
    layers: usize,
}

impl Hold<'_> {
    /// Replaces the guess by what is known. Never waits: what has been begun must come to an end.
    pub(crate) fn resize(&mut self, bytes: u64) {
        let mut held = self.memory.lock();
        held.bytes = held.bytes - self.bytes + bytes;
        self.bytes = bytes;
        drop(held);
        self.memory.freed.notify_all();
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut held = self.memory.lock();
        held.bytes -= self.bytes;
        held.layers -= self.layers;
        drop(held);
        self.memory.freed.notify_all();
    }
}

/// Returns about how much memory a fingerprint takes.
pub(crate) fn fingerprint_bytes(fingerprint: &Fingerprint) -> u64 {
    let entries = fingerprint.entries();
    let paths: u64 = entries.iter().map(|entry| entry.path.len() as u64).sum();
    entries.len() as u64 * ENTRY_BYTES + paths
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_layer_waits_for_room_and_the_only_one_never_does() {
        let memory = Memory::new(GUESS_BYTES_MIN);
        let mut first = memory.begin_layer(u64::MAX);
        assert_eq!(memory.layers(), 1);
        first.resize(GUESS_BYTES_MIN + 1);
        thread::scope(|scope| {
            let (begun, second) = mpsc::channel();
            let memory = &memory;
            scope.spawn(move || begun.send(memory.begin_layer(0).bytes));
            assert!(second.recv_timeout(Duration::from_millis(50)).is_err());
            drop(first);
            assert_eq!(second.recv(), Ok(GUESS_BYTES_MIN));
        });
        assert_eq!(memory.layers(), 0);
    }

    #[test]
    fn little_memory_leaves_some_room_and_much_goes_to_what_is_being_read() {
        let room = |memory_mib: u64| Budget::of(Some(memory_mib * MIB), 2);
        let divided = |building_mib: u64, recent_mib: u64, stack_mib: u64| Budget {
            building_bytes: building_mib * MIB,
            recent_entries: recent_mib * MIB / RECENT_ENTRY_BYTES,
            stack_entries: stack_mib * MIB / STACK_ENTRY_BYTES,
        };
        let least = divided(8, 2, 6);
        assert_eq!((room(0), room(150)), (least, least));
        let much = divided(760, 32, 96);
        assert_eq!(room(1024), much);
        assert_eq!(Budget::of(None, 2), room(320));
    }
}
