//! How much a run holds at one time.
//!
//! What a layer costs is guessed before it is read, counted while its entries come, and known when its fingerprint is
//! done. A layer is begun only while what is held stays within the room there is, or if nothing else is being read. One
//! that grows past the room waits, unless it is the only one that has: so a run always goes on, however little it may
//! have, and takes no more than the room and the largest image that is accepted.

use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use layerprint_store::Fingerprint;

use crate::error::IngestError;
use crate::limits::Limits;

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
/// How often the bytes of a path are there while its layer is encoded.
const PATH_COPIES: u64 = 3;
/// What is kept for further images: layers, and stacks of layers as seen from above. More makes no run faster.
const KEPT_BYTES_MAX: u64 = 128 * MIB;
/// One part in so many of it is for layers.
const RECENT_DIVISOR: u64 = 4;

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
    pub(crate) recent_bytes: u64,
    /// For stacks of layers that further images may be built on.
    pub(crate) stack_bytes: u64,
}

impl Budget {
    /// Divides so many bytes, or what is usual for so many workers.
    pub(crate) fn of(memory_bytes: Option<u64>, jobs: usize) -> Self {
        let workers = jobs.max(1) as u64;
        let whole = memory_bytes.unwrap_or(DEFAULT_BYTES + workers * DEFAULT_WORKER_BYTES);
        let room = whole.saturating_sub(BASE_BYTES + workers * WORKER_BYTES).max(ROOM_BYTES_MIN);
        let kept_bytes = (room / 2).min(KEPT_BYTES_MAX);
        let recent_bytes = kept_bytes / RECENT_DIVISOR;
        Self { building_bytes: room - kept_bytes, recent_bytes, stack_bytes: kept_bytes - recent_bytes }
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
    /// True while one share is more than there is room for.
    has_large: bool,
}

impl Memory {
    pub(crate) fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { bytes_max, held: Mutex::default(), freed: Condvar::new() })
    }

    /// Waits until there is room for a layer of so many stored bytes, or until no other is being read.
    pub(crate) fn begin_layer(self: &Arc<Self>, stored_bytes: u64) -> Arc<Hold> {
        let bytes = (stored_bytes.saturating_mul(GUESS_FACTOR)).clamp(GUESS_BYTES_MIN, GUESS_BYTES_MAX);
        let full = |held: &mut Held| held.layers > 0 && held.bytes + bytes > self.bytes_max;
        let waited = self.freed.wait_while(self.lock(), full);
        let mut held = waited.unwrap_or_else(PoisonError::into_inner);
        held.bytes += bytes;
        held.layers += 1;
        Arc::new(Hold {
            memory: Arc::clone(self),
            own: Mutex::new(Own { bytes, is_large: false }),
            layers: 1,
        })
    }

    /// Begins what is no layer and takes nothing yet.
    pub(crate) fn begin(self: &Arc<Self>) -> Arc<Hold> {
        Arc::new(Hold { memory: Arc::clone(self), own: Mutex::default(), layers: 0 })
    }

    /// Returns how many layers are being read.
    pub(crate) fn layers(&self) -> usize {
        self.lock().layers
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        lock(&self.held)
    }
}

/// A share of the memory, given back when this is dropped.
pub(crate) struct Hold {
    memory: Arc<Memory>,
    own: Mutex<Own>,
    layers: usize,
}

#[derive(Default)]
struct Own {
    bytes: u64,
    /// True if this is the one share that may be more than there is room for.
    is_large: bool,
}

impl Hold {
    /// Makes the share at least so large. Waits where there is no room for more and another share has passed it: one that
    /// has goes on without waiting, so that it comes to an end, and what all take together is never more than the room and
    /// one image.
    pub(crate) fn grow(&self, bytes: u64) {
        let mut own = lock(&self.own);
        let Some(added) = bytes.checked_sub(own.bytes).filter(|added| *added > 0) else { return };
        let bytes_max = self.memory.bytes_max;
        let full = |held: &mut Held| held.has_large && held.bytes + added > bytes_max;
        let mut held = match own.is_large {
            true => self.memory.lock(),
            false => {
                let waited = self.memory.freed.wait_while(self.memory.lock(), full);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
        };
        held.bytes += added;
        own.bytes = bytes;
        if held.bytes > bytes_max {
            held.has_large = true;
            own.is_large = true;
        }
    }

    /// Replaces what was guessed or reserved by what is known. Never waits: what has been begun must come to an end.
    pub(crate) fn resize(&self, bytes: u64) {
        let mut own = lock(&self.own);
        let mut held = self.memory.lock();
        held.bytes = held.bytes - own.bytes + bytes;
        own.bytes = bytes;
        if own.is_large && held.bytes <= self.memory.bytes_max {
            own.is_large = false;
            held.has_large = false;
        }
        drop(held);
        self.memory.freed.notify_all();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.resize(0);
        let mut held = self.memory.lock();
        held.layers -= self.layers;
        held.has_large &= !lock(&self.own).is_large;
        drop(held);
        self.memory.freed.notify_all();
    }
}

/// The layers of an image, all of which are held until it is finished.
pub(crate) struct HeldImage<'a> {
    hold: Arc<Hold>,
    limits: &'a Limits,
    origin: &'a str,
    memory_bytes: Cell<u64>,
    paths_bytes: Cell<u64>,
}

impl<'a> HeldImage<'a> {
    pub(crate) fn new(memory: &Arc<Memory>, limits: &'a Limits, origin: &'a str) -> Self {
        let hold = memory.begin();
        Self { hold, limits, origin, memory_bytes: Cell::new(0), paths_bytes: Cell::new(0) }
    }

    /// Counts a layer, if there may be one more; may have to wait until there is room.
    pub(crate) fn add(&self, layer: &Fingerprint) -> Result<(), IngestError> {
        self.memory_bytes.set(self.memory_bytes.get() + layer.memory_bytes());
        self.paths_bytes.set(self.paths_bytes.get() + layer.paths_bytes());
        let limits = [
            ("image_paths_bytes_max", self.limits.image_paths_bytes_max, self.paths_bytes.get()),
            ("image_memory_bytes_max", self.limits.image_memory_bytes_max, self.memory_bytes.get()),
        ];
        if let Some((limit, max, _)) = limits.into_iter().find(|(_, max, found)| found > max) {
            return Err(IngestError::Limit { origin: self.origin.to_owned(), limit, max });
        }
        self.hold.grow(self.memory_bytes.get());
        Ok(())
    }
}

/// A thread that panicked has been reported; what it held is whole, for every change here is a single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns about how much memory so many entries with so many bytes of paths take until their layer is stored: paths are
/// held once, and copied twice when they are encoded.
pub(crate) fn building_bytes(entries: u64, paths_bytes: u64) -> u64 {
    entries * Fingerprint::ENTRY_BYTES + paths_bytes * PATH_COPIES
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
        let first = memory.begin_layer(u64::MAX);
        assert_eq!(memory.layers(), 1);
        first.resize(GUESS_BYTES_MIN + 1);
        thread::scope(|scope| {
            let (begun, second) = mpsc::channel();
            let memory = &memory;
            scope.spawn(move || begun.send(lock(&memory.begin_layer(0).own).bytes));
            assert!(second.recv_timeout(Duration::from_millis(50)).is_err());
            drop(first);
            assert_eq!(second.recv(), Ok(GUESS_BYTES_MIN));
        });
        assert_eq!(memory.layers(), 0);
    }

    #[test]
    fn only_one_share_grows_past_the_room_and_the_next_waits_until_it_is_gone() {
        let memory = Memory::new(100);
        let (large, other) = (memory.begin(), memory.begin());
        other.grow(50);
        large.grow(60);
        large.grow(500);
        assert!(lock(&large.own).is_large && !lock(&other.own).is_large);
        thread::scope(|scope| {
            let (grown, grows) = mpsc::channel();
            scope.spawn(move || {
                other.grow(51);
                grown.send(lock(&other.own).bytes)
            });
            assert!(grows.recv_timeout(Duration::from_millis(50)).is_err());
            large.resize(40);
            assert_eq!(grows.recv(), Ok(51));
        });
        drop(large);
        let held = memory.lock();
        assert_eq!((held.bytes, held.layers, held.has_large), (0, 0, false));
    }

    #[test]
    fn little_memory_leaves_some_room_and_much_goes_to_what_is_being_read() {
        let room = |memory_mib: u64| Budget::of(Some(memory_mib * MIB), 2);
        let divided = |building_mib: u64, recent_mib: u64, stack_mib: u64| Budget {
            building_bytes: building_mib * MIB,
            recent_bytes: recent_mib * MIB,
            stack_bytes: stack_mib * MIB,
        };
        let least = divided(8, 2, 6);
        assert_eq!((room(0), room(150)), (least, least));
        let much = divided(760, 32, 96);
        assert_eq!(room(1024), much);
        assert_eq!(Budget::of(None, 2), room(320));
    }
}
