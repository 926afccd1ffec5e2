//! Small numbers for paths and contents, so that images are compared by numbers.
//!
//! The same path has the same number in all trees that were numbered together, and so has the same content. Which number that
//! is depends on who was first, so numbers are compared for equality, index tables, and order nothing.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hashbrown::HashTable;
use layerprint_store::PathBytes;
use layerprint_store::id::ContentId;

use crate::ids::Spread;

/// The number of the empty content.
pub(crate) const EMPTY: u32 = 0;

/// Numbers that were given so far. Many threads may use it at once; none holds it while it does anything else.
pub(crate) struct Numbers {
    known: Arc<Known>,
    paths: RwLock<Table<RandomState>>,
    contents: RwLock<Table<Spread>>,
    /// Bytes of all paths that have a number.
    paths_bytes: AtomicU64,
}

/// What has a number, found by it without a lock: what has one keeps it.
#[derive(Debug)]
pub(crate) struct Known {
    paths: boxcar::Vec<PathBytes>,
    contents: boxcar::Vec<ContentId>,
}

struct Table<S> {
    numbers: HashTable<u32>,
    hasher: S,
}

/// What a path and a content take with their places in the tables, about, besides the bytes of the path.
const PATH_BYTES: u64 = 50;
const CONTENT_BYTES: u64 = 44;
/// Paths share a buffer up to so many bytes: one for all that are new would be there twice while it is made.
const SHARED_BYTES_MAX: usize = 512 << 10;

impl Known {
    pub(crate) fn path(&self, number: u32) -> &[u8] {
        &self.paths[number as usize]
    }

    pub(crate) fn content(&self, number: u32) -> &ContentId {
        &self.contents[number as usize]
    }
}

impl Numbers {
    pub(crate) fn new() -> Self {
        let known = Known { paths: boxcar::Vec::new(), contents: boxcar::Vec::new() };
        let (paths, contents) = (RwLock::new(Table::new()), RwLock::new(Table::new()));
        let numbers = Self { known: Arc::new(known), paths, contents, paths_bytes: AtomicU64::new(0) };
        let first = numbers.of_contents(&[ContentId::EMPTY]);
        assert_eq!(first, [EMPTY], "the first number is nought");
        numbers
    }

    pub(crate) fn known(&self) -> &Arc<Known> {
        &self.known
    }

    /// Returns the numbers of paths; new ones are copied, side by side.
    pub(crate) fn of_paths(&self, paths: &[&[u8]]) -> Vec<u32> {
        let all = &self.known.paths;
        let number_of = |table: &Table<RandomState>, path: &[u8]| {
            table.find(table.hasher.hash_one(path), |other| *all[other as usize] == *path)
        };
        let found: Vec<Option<u32>> = {
            let table = read(&self.paths);
            paths.iter().map(|path| number_of(&table, path)).collect()
        };
        if found.iter().all(Option::is_some) {
            return found.into_iter().flatten().collect();
        }
        let absent = paths.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(path, _)| *path);
        let mut copies = copied(absent).into_iter();
        let mut table = self.paths.write().unwrap_or_else(PoisonError::into_inner);
        let numbered = paths.iter().zip(found).map(|(path, found)| {
            found.unwrap_or_else(|| {
                let own = copies.next().expect("each path without a number was copied");
                // Another thread may have come first.
                number_of(&table, path).unwrap_or_else(|| {
                    self.paths_bytes.fetch_add(own.len() as u64, Ordering::Relaxed);
                    let hash = |hasher: &RandomState, number: u32| hasher.hash_one(&*all[number as usize]);
                    table.add(all.push(own), hash)
                })
            })
        });
        numbered.collect()
    }

    /// Returns the numbers of contents.
    pub(crate) fn of_contents(&self, contents: &[ContentId]) -> Vec<u32> {
        let all = &self.known.contents;
        let number_of = |table: &Table<Spread>, id: &ContentId| {
            table.find(table.hasher.hash_one(id), |other| all[other as usize] == *id)
        };
        let found: Vec<Option<u32>> = {
            let table = read(&self.contents);
            contents.iter().map(|id| number_of(&table, id)).collect()
        };
        if found.iter().all(Option::is_some) {
            return found.into_iter().flatten().collect();
        }
        let mut table = self.contents.write().unwrap_or_else(PoisonError::into_inner);
        let numbered = contents.iter().zip(found).map(|(id, found)| {
            found.or_else(|| number_of(&table, id)).unwrap_or_else(|| {
                let hash = |hasher: &Spread, number: u32| hasher.hash_one(all[number as usize]);
                table.add(all.push(*id), hash)
            })
        });
        numbered.collect()
    }

    /// Returns about how much memory it takes.
    pub(crate) fn size_bytes(&self) -> u64 {
        let (paths, contents) = (self.known.paths.count(), self.known.contents.count());
        let paths_bytes = self.paths_bytes.load(Ordering::Relaxed);
        paths_bytes + paths as u64 * PATH_BYTES + contents as u64 * CONTENT_BYTES
    }
}

impl<S: BuildHasher + Default> Table<S> {
    fn new() -> Self {
        Self { numbers: HashTable::new(), hasher: S::default() }
    }

    fn find(&self, hash: u64, is_same: impl Fn(u32) -> bool) -> Option<u32> {
        self.numbers.find(hash, |number| is_same(*number)).copied()
    }

    /// Adds what is not known; `hash` is that of what has a number.
    fn add(&mut self, place: usize, hash: impl Fn(&S, u32) -> u64) -> u32 {
        let number = u32::try_from(place).expect("memory ends before four thousand million");
        let Self { numbers, hasher } = self;
        numbers.insert_unique(hash(hasher, number), number, |number| hash(hasher, *number));
        number
    }
}

/// Copies paths, many of them into one buffer.
fn copied<'a>(paths: impl Iterator<Item = &'a [u8]>) -> Vec<PathBytes> {
    let (mut copies, mut bytes, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    let share = |bytes: &mut Vec<u8>, ends: &mut Vec<usize>, copies: &mut Vec<PathBytes>| {
        let (shared, mut start) = (PathBytes::from(&bytes[..]), 0);
        for end in ends.drain(..) {
            copies.push(shared.slice(start..end));
            start = end;
        }
        bytes.clear();
    };
    for path in paths {
        bytes.extend_from_slice(path);
        ends.push(bytes.len());
        if bytes.len() >= SHARED_BYTES_MAX {
            share(&mut bytes, &mut ends, &mut copies);
        }
    }
    share(&mut bytes, &mut ends, &mut copies);
    copies
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
