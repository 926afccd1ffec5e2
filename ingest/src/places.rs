//! Where in a list of entries a path stands, and what stands below it.
//!
//! A hash table of positions costs five bytes a path: the path itself stays with its entry. Nearly every layer needs no
//! more. What lies below a path is asked where something that is no directory takes the place of one; from then on the
//! paths are kept sorted as well, so that a layer which does that over and over costs no more than what it takes away.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Bound;

use hashbrown::HashTable;
use layerprint_store::Entry;

/// Directories with something in them that are remembered, by eight bytes each. With more the paths are kept sorted.
const FOLDERS_MAX: usize = 1 << 20;

/// Where entries stand. A slot that was emptied has no place.
type Slots = [Option<Entry>];

/// Places of paths.
#[derive(Default)]
pub(crate) struct Places {
    table: HashTable<u32>,
    /// Seeded at random: nobody can choose paths that meet in one spot.
    hashing: RandomState,
    /// Hashes of all directories that something lies in, however deep. One too many does no harm.
    folders: HashSet<u64>,
    last_folder: Vec<u8>,
    sorted: Option<BTreeMap<Box<[u8]>, u32>>,
}

impl Places {
    /// Returns the place of a path.
    pub(crate) fn get(&self, path: &[u8], slots: &Slots) -> Option<usize> {
        let found = self.table.find(self.hash(path), |place| path_at(*place, slots) == Some(path));
        found.map(|place| *place as usize)
    }

    /// Enters the last slot, which holds an entry whose path has no place.
    pub(crate) fn enter_last(&mut self, slots: &Slots) {
        let place = u32::try_from(slots.len() - 1).expect("entries_max is far below");
        let path = path_at(place, slots).expect("the slot was filled a moment ago");
        self.note_folders(path);
        let hash = self.hash(path);
        let Self { table, hashing, .. } = self;
        table.insert_unique(hash, place, |place| {
            hash_of(hashing, path_at(*place, slots).expect("only filled slots have places"))
        });
        if let Some(sorted) = &mut self.sorted {
            sorted.insert(path.into(), place);
        } else if self.folders.len() > FOLDERS_MAX {
            self.sort(slots);
        }
    }

    /// Takes a path away. Its slot is still filled.
    pub(crate) fn remove(&mut self, path: &[u8], slots: &Slots) -> Option<usize> {
        let found = self.table.find_entry(self.hash(path), |place| path_at(*place, slots) == Some(path));
        let (place, _) = found.ok()?.remove();
        if let Some(sorted) = &mut self.sorted {
            sorted.remove(path);
        }
        Some(place as usize)
    }

    /// Takes all paths below one away and returns their places. Their slots are still filled.
    pub(crate) fn remove_below(&mut self, path: &[u8], slots: &Slots) -> Vec<usize> {
        if self.sorted.is_none() && !self.folders.contains(&self.hash(path)) {
            return Vec::new();
        }
        let below: Vec<_> = range_below(self.sort(slots), path);
        below.iter().filter_map(|path| self.remove(path, slots)).collect()
    }

    fn sort(&mut self, slots: &Slots) -> &BTreeMap<Box<[u8]>, u32> {
        let Self { table, folders, sorted, .. } = self;
        sorted.get_or_insert_with(|| {
            *folders = HashSet::new();
            table.iter().filter_map(|place| Some((path_at(*place, slots)?.into(), *place))).collect()
        })
    }

    /// Remembers the directories that a path lies in. Most lie where the one before does.
    fn note_folders(&mut self, path: &[u8]) {
        let folder = path.iter().rposition(|byte| *byte == b'/').map_or(&[][..], |slash| &path[..slash]);
        if self.sorted.is_some() || folder == self.last_folder {
            return;
        }
        self.last_folder.clear();
        self.last_folder.extend_from_slice(folder);
        let mut hasher = self.hashing.build_hasher();
        for name in folder.split(|byte| *byte == b'/').filter(|_| !folder.is_empty()) {
            write(&mut hasher, name);
            self.folders.insert(hasher.finish());
        }
    }

    fn hash(&self, path: &[u8]) -> u64 {
        hash_of(&self.hashing, path)
    }
}

/// Returns the paths below one, in order.
fn range_below(sorted: &BTreeMap<Box<[u8]>, u32>, path: &[u8]) -> Vec<Box<[u8]>> {
    // The byte behind the slash is the digit zero.
    let (first, behind) = ([path, b"/"].concat(), [path, b"0"].concat());
    let range = (Bound::Included(first.as_slice()), Bound::Excluded(behind.as_slice()));
    sorted.range::<[u8], _>(range).map(|(path, _)| path.clone()).collect()
}

fn path_at(place: u32, slots: &Slots) -> Option<&[u8]> {
    slots[place as usize].as_ref().map(|entry| &*entry.path)
}

/// Hashes name by name, so that the hashes of all directories above a path come with its own.
fn hash_of(hashing: &RandomState, path: &[u8]) -> u64 {
    let mut hasher = hashing.build_hasher();
    path.split(|byte| *byte == b'/').for_each(|name| write(&mut hasher, name));
    hasher.finish()
}

fn write(hasher: &mut impl Hasher, name: &[u8]) {
    hasher.write(name);
    hasher.write_u8(b'/');
}
