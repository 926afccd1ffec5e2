//! The entries of a layer while it is read, in the order of the archive.
//!
//! Paths are laid side by side as they come: an allocation for each would cost more than reading it. What an entry takes
//! the place of leaves an empty slot, so that places stay what they are. Which paths meet is for others to know.

use layerprint_store::{Entry, EntryKind, PathBytes};

/// Paths wait for a buffer of their own until there are so many bytes of them.
const WAITING_BYTES_MAX: usize = 64 << 10;

/// See the module.
pub(crate) struct Slots {
    entries: Vec<Option<Entry>>,
    /// The paths of the last entries, which have none yet, one behind the other.
    waiting: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// What entries have for a path until theirs has a buffer.
    no_path: PathBytes,
}

impl Slots {
    /// Holds nothing yet.
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), waiting: Vec::new(), ends: Vec::new(), no_path: (&[][..]).into() }
    }

    /// Adds an entry.
    pub(crate) fn push(&mut self, path: &[u8], (mode, uid, gid): (u32, u64, u64), kind: EntryKind) {
        self.waiting.extend_from_slice(path);
        self.ends.push(self.waiting.len());
        self.entries.push(Some(Entry { path: self.no_path.clone(), mode, uid, gid, kind }));
        if self.waiting.len() >= WAITING_BYTES_MAX {
            self.settle();
        }
    }

    /// Returns how many slots there are, empty ones among them.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the path of an entry; none if the slot is empty.
    pub(crate) fn path(&self, place: usize) -> Option<&[u8]> {
        let entry = self.entries[place].as_ref()?;
        Some(match place.checked_sub(self.settled()) {
            None => &entry.path,
            Some(number) => &self.waiting[self.start(number)..self.ends[number]],
        })
    }

    /// Returns what an entry is; none if the slot is empty.
    pub(crate) fn kind(&self, place: usize) -> Option<&EntryKind> {
        self.entries[place].as_ref().map(|entry| &entry.kind)
    }

    /// Makes an entry another thing, if the slot is not empty.
    pub(crate) fn set_kind(&mut self, place: usize, kind: EntryKind) {
        if let Some(entry) = &mut self.entries[place] {
            entry.kind = kind;
        }
    }

    /// Empties a slot, and returns what the entry was.
    pub(crate) fn take(&mut self, place: usize) -> Option<EntryKind> {
        self.entries[place].take().map(|entry| entry.kind)
    }

    /// Returns the entries that are left.
    pub(crate) fn into_entries(mut self) -> Vec<Entry> {
        self.settle();
        // In place: a second list of a million entries would be a hundred megabytes.
        self.entries.retain(Option::is_some);
        self.entries.into_iter().map(|entry| entry.expect("empty slots are gone")).collect()
    }

    /// Returns how many slots come before those whose paths wait.
    fn settled(&self) -> usize {
        self.entries.len() - self.ends.len()
    }

    fn start(&self, number: usize) -> usize {
        number.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// Returns the path of an entry in a buffer that can be shared; none if the slot is empty.
    pub(crate) fn shared_path(&self, place: usize) -> Option<PathBytes> {
        let entry = self.entries[place].as_ref()?;
        match place < self.settled() {
            true => Some(entry.path.clone()),
            false => self.path(place).map(PathBytes::from),
        }
    }

    /// Gives the paths that wait a buffer, and the entries their paths.
    pub(crate) fn settle(&mut self) {
        let shared = PathBytes::from(&self.waiting[..]);
        let (settled, mut start) = (self.settled(), 0);
        for (slot, end) in self.entries[settled..].iter_mut().zip(self.ends.drain(..)) {
            if let Some(entry) = slot {
                entry.path = shared.slice(start..end);
            }
            start = end;
        }
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_their_paths_while_they_wait_and_after() {
        let path = |number: usize| format!("{}/{number}", "long".repeat(number % 7 * 100)).into_bytes();
        let mut slots = Slots::new();
        for number in 0..400 {
            slots.push(&path(number), (0o644, number as u64, 0), EntryKind::Fifo);
            let gone = number / 2;
            assert_eq!(slots.take(gone).is_some(), number % 2 == 0, "{gone} is taken once");
            for place in 0..=number {
                let expected = (place > gone).then(|| path(place));
                assert_eq!(slots.path(place), expected.as_deref(), "{place} of {number}");
            }
        }
        slots.set_kind(3, EntryKind::Directory);
        slots.set_kind(300, EntryKind::Directory);
        assert_eq!((slots.kind(3), slots.kind(300)), (None, Some(&EntryKind::Directory)));
        let left: Vec<_> =
            slots.into_entries().into_iter().map(|entry| (entry.path.to_vec(), entry.uid)).collect();
        assert_eq!(left, (200..400).map(|number| (path(number), number as u64)).collect::<Vec<_>>());
    }
}
