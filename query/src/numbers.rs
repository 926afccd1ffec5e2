//! Small numbers for paths and contents, so that images are compared by numbers.
//!
//! The same path has the same number in all trees that were numbered together, and so has the same content. Which number that
//! is depends on who was first, so numbers are compared for equality, index tables, and order nothing.

use std::hash::{BuildHasher, RandomState};
use std::sync::{PoisonError, RwLock};

use hashbrown::HashTable;
use layerprint_store::PathBytes;
use layerprint_store::id::ContentId;

use crate::ids::Spread;

/// Numbers that were given so far. Many threads may use it at once; none holds it while it does anything else.
pub(crate) struct Numbers {
    paths: RwLock<Table<PathBytes, RandomState>>,
    contents: RwLock<Table<ContentId, Spread>>,
}

struct Table<T, S> {
    numbers: HashTable<u32>,
    known: Vec<T>,
    hasher: S,
}

/// What a path and a content take with their places in the tables, about.
const PATH_BYTES: u64 = 100;
const CONTENT_BYTES: u64 = 44;

impl Numbers {
    pub(crate) fn new() -> Self {
        Self { paths: RwLock::new(Table::new()), contents: RwLock::new(Table::new()) }
    }

    /// Returns the numbers of paths; new ones are copied, all of them into one buffer.
    pub(crate) fn of_paths(&self, paths: &[&[u8]]) -> Vec<(u32, PathBytes)> {
        let known = |table: &Table<PathBytes, RandomState>, path: &[u8]| {
            table.find(table.hasher.hash_one(path), |other| **other == *path)
        };
        let found: Vec<Option<(u32, PathBytes)>> = {
            let table = read(&self.paths);
            let entry = |number: u32| (number, table.known[number as usize].clone());
            paths.iter().map(|path| known(&table, path).map(entry)).collect()
        };
        if found.iter().all(Option::is_some) {
            return found.into_iter().flatten().collect();
        }
        let absent = paths.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(path, _)| *path);
        let buffer = PathBytes::from(absent.collect::<Vec<_>>().concat());
        let mut start = 0;
        let mut table = self.paths.write().unwrap_or_else(PoisonError::into_inner);
        let numbered = paths.iter().zip(found).map(|(path, found)| {
            found.unwrap_or_else(|| {
                let own = buffer.slice(start..start + path.len());
                start += path.len();
                // Another thread may have come first.
                let number = known(&table, path).unwrap_or_else(|| table.add(own, |own| &**own));
                (number, table.known[number as usize].clone())
            })
        });
        numbered.collect()
    }

    /// Returns the numbers of contents.
    pub(crate) fn of_contents(&self, contents: &[ContentId]) -> Vec<u32> {
        let known = |table: &Table<ContentId, Spread>, id: &ContentId| {
            table.find(table.hasher.hash_one(id), |other| other == id)
        };
        let found: Vec<Option<u32>> = {
            let table = read(&self.contents);
            contents.iter().map(|id| known(&table, id)).collect()
        };
        if found.iter().all(Option::is_some) {
            return found.into_iter().flatten().collect();
        }
        let mut table = self.contents.write().unwrap_or_else(PoisonError::into_inner);
        let number = |(id, found): (&ContentId, Option<u32>)| {
            found.or_else(|| known(&table, id)).unwrap_or_else(|| table.add(*id, |id| id))
        };
        contents.iter().zip(found).map(number).collect()
    }

    /// Returns about how much memory it takes.
    pub(crate) fn size_bytes(&self) -> u64 {
        let (paths, contents) = (read(&self.paths).known.len(), read(&self.contents).known.len());
        paths as u64 * PATH_BYTES + contents as u64 * CONTENT_BYTES
    }
}

impl<T, S: BuildHasher + Default> Table<T, S> {
    fn new() -> Self {
        Self { numbers: HashTable::new(), known: Vec::new(), hasher: S::default() }
    }

    fn find(&self, hash: u64, is_same: impl Fn(&T) -> bool) -> Option<u32> {
        self.numbers.find(hash, |number| is_same(&self.known[*number as usize])).copied()
    }

    /// Adds what is not known; `key` is what of it is hashed.
    fn add<K: std::hash::Hash + ?Sized>(&mut self, value: T, key: impl Fn(&T) -> &K) -> u32 {
        let number = u32::try_from(self.known.len()).expect("memory ends before four thousand million");
        self.known.push(value);
        let Self { numbers, known, hasher } = self;
        let hash = |number: &u32| hasher.hash_one(key(&known[*number as usize]));
        numbers.insert_unique(hash(&number), number, hash);
        number
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
