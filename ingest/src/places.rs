//! Where in a list of entries a path stands, and what stands below it.
//!
//! A hash table of positions costs some twenty bytes a path: the path itself stays with its entry ([`Slots`]). Nearly every layer needs no
//! more. What lies below a path is asked where something that is no directory takes the place of one; from then on the
//! paths are kept sorted as well, so that a layer which does that over and over costs no more than what it takes away.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Bound;

use hashbrown::HashTable;
use layerprint_store::PathBytes;

use crate::slots::Slots;

/// Directories with something in them that are remembered, by eight bytes each. With more the paths are kept sorted.
const FOLDERS_MAX: usize = 1 << 20;

/// What a path is looked for by. Computed once for all that is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PathHash(u64);

/// Places of paths.
#[derive(Default)]
pub(crate) struct Places {
    table: HashTable<(PathHash, u32)>,
    /// Seeded at random: nobody can choose paths that meet in one spot.
    hashing: RandomState,
    /// All directories that something lies in, however deep. One too many does no harm.
    folders: HashTable<PathHash>,
    last_folder: Vec<u8>,
    /// Shares the buffers of the entries: a copy of all paths would double what a layer takes.
    sorted: Option<BTreeMap<PathBytes, u32>>,
}

impl Places {
    /// Hashes name by name, so that the hashes of all directories above a path come with its own.
    pub(crate) fn hash(&self, path: &[u8]) -> PathHash {
        let mut hasher = self.hashing.build_hasher();
        path.split(|byte| *byte == b'/').for_each(|name| write(&mut hasher, name));
        PathHash(hasher.finish())
    }

    /// Returns the place of a path.
    pub(crate) fn get(&self, path: &[u8], slots: &Slots) -> Option<usize> {
        let found = self.table.find(self.hash(path).0, |(_, place)| path_at(*place, slots) == Some(path));
        found.map(|(_, place)| *place as usize)
    }

    /// Enters the last slot, which holds an entry whose path has no place.
    pub(crate) fn enter_last(&mut self, hash: PathHash, slots: &mut Slots) {
        let place = u32::try_from(slots.len() - 1).expect("entries_max is far below");
        let path = path_at(place, slots).expect("the slot was filled a moment ago");
        self.note_folders(path);
        self.table.insert_unique(hash.0, (hash, place), |(hash, _)| hash.0);
        if let Some(sorted) = &mut self.sorted {
            slots.settle();
            sorted.extend(slots.shared_path(place as usize).map(|path| (path, place)));
        } else if self.folders.len() > FOLDERS_MAX {
            self.sort(slots);
        }
    }

    /// Takes a path away and returns its place. Its slot is still filled.
    pub(crate) fn remove(&mut self, hash: PathHash, path: &[u8], slots: &Slots) -> Option<usize> {
        let found = self.table.find_entry(hash.0, |(_, place)| path_at(*place, slots) == Some(path));
        let ((_, place), _) = found.ok()?.remove();
        if let Some(sorted) = &mut self.sorted {
            sorted.remove(path);
        }
        Some(place as usize)
    }

    /// Takes all paths below one away and returns their places. Their slots are still filled.
    pub(crate) fn remove_below(&mut self, hash: PathHash, path: &[u8], slots: &Slots) -> Vec<usize> {
        if self.sorted.is_none() && self.folders.find(hash.0, |folder| *folder == hash).is_none() {
            return Vec::new();
        }
        let below = range_below(self.sort(slots), path);
        below.iter().filter_map(|path| self.remove(self.hash(path), path, slots)).collect()
    }

    fn sort(&mut self, slots: &Slots) -> &BTreeMap<PathBytes, u32> {
        let Self { table, folders, sorted, .. } = self;
        sorted.get_or_insert_with(|| {
            *folders = HashTable::new();
            table
                .iter()
                .filter_map(|(_, place)| Some((slots.shared_path(*place as usize)?, *place)))
                .collect()
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
            let hash = PathHash(hasher.finish());
            let spot = self.folders.entry(hash.0, |folder| *folder == hash, |folder| folder.0);
            spot.or_insert(hash);
        }
    }
}

/// Returns the paths below one, in order.
fn range_below(sorted: &BTreeMap<PathBytes, u32>, path: &[u8]) -> Vec<PathBytes> {
    // The byte behind the slash is the digit zero.
    let (first, behind) = ([path, b"/"].concat(), [path, b"0"].concat());
    let range = (Bound::Included(first.as_slice()), Bound::Excluded(behind.as_slice()));
    sorted.range::<[u8], _>(range).map(|(path, _)| path.clone()).collect()
}

fn path_at(place: u32, slots: &Slots) -> Option<&[u8]> {
    slots.path(place as usize)
}

fn write(hasher: &mut impl Hasher, name: &[u8]) {
    hasher.write(name);
    hasher.write_u8(b'/');
}

#[cfg(test)]
mod tests {
    use layerprint_store::EntryKind;
    use proptest::prelude::*;

    use super::*;

    /// What a plain map would do.
    fn below(plain: &BTreeMap<String, usize>, path: &str) -> Vec<(String, usize)> {
        let start = format!("{path}/");
        plain.iter().filter(|(path, _)| path.starts_with(&start)).map(|(p, at)| (p.clone(), *at)).collect()
    }

    proptest! {
        #[test]
        fn places_are_those_of_a_plain_map(
            steps in prop::collection::vec((any::<bool>(), "[ab.]{1,2}(/[ab0]{1,2}){0,3}"), 1..60),
        ) {
            let (mut slots, mut places, mut plain) = (Slots::new(), Places::default(), BTreeMap::new());
            for (empties, path) in steps {
                let hash = places.hash(path.as_bytes());
                if empties {
                    let expected = below(&plain, &path);
                    let mut removed = places.remove_below(hash, path.as_bytes(), &slots);
                    removed.sort_unstable();
                    let mut at: Vec<_> = expected.iter().map(|(_, at)| *at).collect();
                    at.sort_unstable();
                    prop_assert_eq!(&removed, &at);
                    removed.iter().for_each(|at| _ = slots.take(*at));
                    plain.retain(|path, _| expected.iter().all(|(gone, _)| gone != path));
                }
                let earlier = places.remove(hash, path.as_bytes(), &slots);
                prop_assert_eq!(earlier, plain.remove(&path));
                earlier.into_iter().for_each(|at| _ = slots.take(at));
                slots.push(path.as_bytes(), (0, 0, 0), EntryKind::Fifo);
                places.enter_last(hash, &mut slots);
                plain.insert(path, slots.len() - 1);
                for (path, at) in &plain {
                    prop_assert_eq!(places.get(path.as_bytes(), &slots), Some(*at));
                }
            }
        }
    }
}
