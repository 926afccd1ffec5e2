//! One writer's changes, from memory to packs to the catalogue.
//!
//! Changes wait in memory, where readers of this process see them at once. A commit appends them to the pack as
//! one frame, syncs the pack, applies them to the catalogue and syncs that too. The frame is whole or it is not,
//! so a commit is; one that is whole but was not applied is applied when the store is opened, which makes
//! the catalogue a product of the packs. Knows trees and keys; what they mean is the store's business.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Result, StoreError};
use crate::format::record::{INLINE, INLINE_BYTES_MAX, PACKED};
use crate::log::catalogue::{Catalogue, Pair, Tree};
use crate::log::changes::{self, Changes, Scan};
use crate::log::frame::{FrameKind, Place, Position};
use crate::log::layout::Layout;
use crate::log::lock::WriterLock;
use crate::log::pack::Packs;
use crate::log::recovery::{self, Recovered};
use crate::log::seal::{Seal, corrupt_record};

/// Key in `meta`: the end of the last commit that was applied.
pub(crate) const APPLIED: &[u8] = b"applied";

/// Changes that the catalogue does not have yet.
#[derive(Default)]
struct Unapplied {
    /// Not part of a commit yet.
    pending: Changes,
    /// Part of the commit that is going on.
    committing: Arc<Changes>,
}

/// What the catalogue has of the packs.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Applied {
    pub(crate) end: Position,
    /// Bytes of all commit frames up to there.
    pub(crate) commit_bytes: u64,
}

/// Returns what a catalogue has of the packs; none if it does not say.
pub(crate) fn applied_of(catalogue: &Catalogue, seal: &Seal) -> Result<Option<Applied>> {
    let Some(sealed) = catalogue.get(Tree::Meta, APPLIED)? else { return Ok(None) };
    match seal.open(Tree::Meta, APPLIED, &sealed)? {
        (INLINE, value) => parse(Tree::Meta, APPLIED, value).map(Some),
        _ => Err(corrupt_record(Tree::Meta, APPLIED, "record is of an unknown kind")),
    }
}

/// Brings a commit into a catalogue.
pub(super) fn apply(catalogue: &Catalogue, seal: &Seal, changes: &Changes, applied: Applied) -> Result<()> {
    for (tree, changes) in Tree::ALL.into_iter().zip(changes) {
        let operations = changes.iter().map(|(key, value)| (&key[..], value.as_deref()));
        catalogue.apply(tree, operations)?;
    }
    // Last: sled recovers a prefix of what it was given, so all of the above is there if this is.
    let sealed = seal.close(Tree::Meta, APPLIED, INLINE, &encode(&applied));
    catalogue.apply(Tree::Meta, [(APPLIED, Some(&sealed[..]))])
}

/// Packs, catalogue, and the changes on their way there.
pub(crate) struct Journal {
    layout: Layout,
    pub(super) seal: Seal,
    pub(super) catalogue: Catalogue,
    packs: Packs,
    unapplied: RwLock<Unapplied>,
    /// Held by whoever adds changes; a commit takes it while it collects them.
    writing: Mutex<()>,
    /// Held by the one commit that is going on; the last one, and the bytes of all so far.
    committing: Mutex<Applied>,
    failed: AtomicBool,
    rebuilt: Option<String>,
    /// Last, so that it is given up when all else is closed.
    _lock: WriterLock,
}

impl Journal {
    /// Opens packs and catalogue and finishes what an earlier process did not.
    pub(crate) fn open(layout: Layout) -> Result<Self> {
        let lock = WriterLock::take(&layout.root)?;
        Self::open_locked(layout, lock)
    }

    /// Does the same for a process that has the lock.
    pub(crate) fn open_locked(layout: Layout, lock: WriterLock) -> Result<Self> {
        let Recovered { catalogue, packs, applied, rebuilt } = recovery::recover(&layout)?;
        Ok(Self {
            seal: Seal::new(&layout.store_id),
            layout,
            catalogue,
            packs,
            unapplied: RwLock::default(),
            writing: Mutex::default(),
            committing: Mutex::new(applied),
            failed: AtomicBool::new(false),
            rebuilt,
            _lock: lock,
        })
    }

    /// Returns why the catalogue was rebuilt when the store was opened, if it was.
    pub(crate) fn rebuilt(&self) -> Option<&str> {
        self.rebuilt.as_deref()
    }

    /// Returns the value of a key, if it has one.
    pub(crate) fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let sealed = match self.unapplied_value(tree, key) {
            Some(change) => change,
            None => self.catalogue.get(tree, key)?,
        };
        sealed.map(|sealed| self.unseal(tree, key, &sealed)).transpose()
    }

    /// Returns true if a key has a value, without reading a packed one.
    pub(crate) fn contains(&self, tree: Tree, key: &[u8]) -> Result<bool> {
        match self.unapplied_value(tree, key) {
            Some(change) => Ok(change.is_some()),
            None => Ok(self.catalogue.get(tree, key)?.is_some()),
        }
    }

    /// Returns the record of a key, if it has one.
    pub(crate) fn record<T: DeserializeOwned>(&self, tree: Tree, key: &[u8]) -> Result<Option<T>> {
        let value = self.get(tree, key)?;
        value.map(|value| parse(tree, key, &value)).transpose()
    }

    /// Returns all pairs whose key begins with `prefix`, in order of keys, values still sealed.
    fn scan_sealed(&self, tree: Tree, prefix: &[u8]) -> Scan<impl Iterator<Item = Result<Pair>> + use<>> {
        let unapplied = self.unapplied.read().unwrap_or_else(PoisonError::into_inner);
        let mut changes = BTreeMap::new();
        for layer in [&*unapplied.committing, &unapplied.pending] {
            let range = layer[tree as usize].range(prefix.to_vec()..);
            let hits = range.take_while(|(key, _)| key.starts_with(prefix));
            changes.extend(hits.map(|(key, value)| (key.clone(), value.clone())));
        }
        Scan::new(changes, self.catalogue.scan(tree, prefix))
    }

    /// Returns all pairs whose key begins with `prefix`, in order of keys.
    pub(crate) fn scan(&self, tree: Tree, prefix: &[u8]) -> impl Iterator<Item = Result<Pair>> + use<'_> {
        self.scan_sealed(tree, prefix).map(move |pair| {
            let (key, sealed) = pair?;
            let value = self.unseal(tree, &key, &sealed)?;
            Ok((key, value))
        })
    }

    /// Returns the record of a key as it was committed.
    pub(crate) fn committed_record<T: DeserializeOwned>(&self, tree: Tree, key: &[u8]) -> Result<Option<T>> {
        let Some(sealed) = self.catalogue.get(tree, key)? else { return Ok(None) };
        parse(tree, key, &self.unseal(tree, key, &sealed)?).map(Some)
    }

    /// Returns the value of a key as it was committed.
    pub(crate) fn committed_value(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let sealed = self.catalogue.get(tree, key)?;
        sealed.map(|sealed| self.unseal(tree, key, &sealed)).transpose()
    }

    /// Returns true if a key had a value when it was committed last.
    pub(crate) fn is_committed(&self, tree: Tree, key: &[u8]) -> Result<bool> {
        Ok(self.catalogue.get(tree, key)?.is_some())
    }

    /// Returns the committed keys that begin with `prefix`, in order.
    pub(crate) fn committed_keys(&self, tree: Tree, prefix: &[u8]) -> impl Iterator<Item = Result<Vec<u8>>> {
        self.catalogue.scan(tree, prefix).map(|pair| pair.map(|(key, _)| key))
    }

    /// Returns all committed records of a tree, in order of keys.
    pub(crate) fn committed_records<T: DeserializeOwned>(
        &self,
        tree: Tree,
    ) -> impl Iterator<Item = Result<T>> {
        self.catalogue.scan(tree, &[]).map(move |pair| {
            let (key, sealed) = pair?;
            parse(tree, &key, &self.unseal(tree, &key, &sealed)?)
        })
    }

    /// Returns all records of a tree, in order of keys.
    pub(crate) fn records<T: DeserializeOwned>(&self, tree: Tree) -> impl Iterator<Item = Result<T>> {
        self.records_by_key(tree).map(|pair| pair.map(|(_, record)| record))
    }

    /// Returns all keys and records of a tree, in order of keys.
    pub(crate) fn records_by_key<T: DeserializeOwned>(
        &self,
        tree: Tree,
    ) -> impl Iterator<Item = Result<(Vec<u8>, T)>> {
        self.scan(tree, &[]).map(move |pair| {
            let (key, value) = pair?;
            let record = parse(tree, &key, &value)?;
            Ok((key, record))
        })
    }

    /// Returns the keys that begin with `prefix`, in order.
    pub(crate) fn keys(&self, tree: Tree, prefix: &[u8]) -> impl Iterator<Item = Result<Vec<u8>>> + use<> {
        self.scan_sealed(tree, prefix).map(|pair| pair.map(|(key, _)| key))
    }

    /// Returns for each key how many bytes its value takes in the packs; none if it is inline.
    pub(crate) fn packed_bytes(&self, tree: Tree) -> impl Iterator<Item = Result<Option<u64>>> + use<'_> {
        self.scan_sealed(tree, &[]).map(move |pair| {
            let (key, sealed) = pair?;
            let (tag, payload) = self.seal.open(tree, &key, &sealed)?;
            let place = (tag == PACKED).then(|| parse::<Place>(tree, &key, payload)).transpose()?;
            Ok(place.map(|place| place.frame_bytes()))
        })
    }

    /// Returns where in the packs the value of a key stands; none if it has no value, or one in the catalogue.
    pub(crate) fn place(&self, tree: Tree, key: &[u8]) -> Result<Option<Place>> {
        let sealed = match self.unapplied_value(tree, key) {
            Some(change) => change,
            None => self.catalogue.get(tree, key)?,
        };
        let Some(sealed) = sealed else { return Ok(None) };
        let (tag, payload) = self.seal.open(tree, key, &sealed)?;
        (tag == PACKED).then(|| parse(tree, key, payload)).transpose()
    }

    /// Returns true if the value of a key lies whole at a place.
    pub(crate) fn is_whole_at(&self, place: Place, tree: Tree, key: &[u8]) -> Result<bool> {
        match self.packs.read(place, FrameKind::Value, frame_key(tree, key)) {
            Ok(_) => Ok(true),
            Err(StoreError::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the position after the last commit that was applied, and the bytes of all commits up to there.
    pub(crate) fn applied(&self) -> Applied {
        *self.committing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the packs.
    pub(crate) fn packs(&self) -> &Packs {
        &self.packs
    }

    /// Returns true if an index was published of all that is committed.
    pub(crate) fn is_published(&self) -> bool {
        recovery::published(&self.layout).is_ok_and(|published| published == Some(self.applied().end))
    }

    /// Returns the layout of the store.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Begins a change. Nothing else changes until the guard is gone.
    pub(crate) fn write(&self) -> Result<Writer<'_>> {
        if self.failed.load(Ordering::Acquire) {
            return Err(StoreError::Poisoned { path: self.layout.root.clone() });
        }
        let guard = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Writer { journal: self, guard, changes: Vec::new() })
    }

    /// Makes every finished change durable. `on_taken` runs when it is settled what belongs to this commit, while nobody
    /// changes anything.
    pub(crate) fn commit(&self, on_taken: impl FnOnce()) -> Result<()> {
        let mut committing = self.committing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((changes, place, end)) = self.log_pending(on_taken)? else { return Ok(()) };
        let applied = Applied { end, commit_bytes: committing.commit_bytes + place.frame_bytes() };
        let done = self.make_durable(&changes, applied);
        match done {
            Ok(()) => {
                *committing = applied;
                self.unapplied.write().unwrap_or_else(PoisonError::into_inner).committing = Arc::default();
            }
            Err(_) => self.failed.store(true, Ordering::Release),
        }
        done
    }

    /// Returns the bytes of packs, of commit frames among them, and of the catalogue.
    pub(crate) fn size_bytes(&self) -> Result<(u64, u64, u64)> {
        let commit_bytes = self.committing.lock().unwrap_or_else(PoisonError::into_inner).commit_bytes;
        Ok((self.packs.size_bytes()?, commit_bytes, self.catalogue.size_bytes()))
    }

    /// Returns the number of keys that are committed in a tree.
    pub(crate) fn count(&self, tree: Tree) -> u64 {
        self.catalogue.count(tree)
    }

    fn unapplied_value(&self, tree: Tree, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let unapplied = self.unapplied.read().unwrap_or_else(PoisonError::into_inner);
        let pending = unapplied.pending[tree as usize].get(key);
        pending.or_else(|| unapplied.committing[tree as usize].get(key)).cloned()
    }

    /// Writes what is pending as one frame. It stays visible until the catalogue has it.
    fn log_pending(&self, on_taken: impl FnOnce()) -> Result<Option<(Arc<Changes>, Place, Position)>> {
        let _writer = self.write()?;
        on_taken();
        let payload = {
            let unapplied = self.unapplied.read().unwrap_or_else(PoisonError::into_inner);
            if unapplied.pending.iter().all(BTreeMap::is_empty) {
                return Ok(None);
            }
            changes::encode(&unapplied.pending)?
        };
        let place = self.packs.append(FrameKind::Commit, [0; 32], &payload)?;
        let mut unapplied = self.unapplied.write().unwrap_or_else(PoisonError::into_inner);
        unapplied.committing = Arc::new(std::mem::take(&mut unapplied.pending));
        Ok(Some((Arc::clone(&unapplied.committing), place, place.end())))
    }

    fn make_durable(&self, changes: &Changes, applied: Applied) -> Result<()> {
        self.packs.sync()?;
        apply(&self.catalogue, &self.seal, changes, applied)?;
        self.catalogue.flush()
    }

    pub(super) fn unseal(&self, tree: Tree, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        match self.seal.open(tree, key, sealed)? {
            (INLINE, payload) => Ok(payload.to_vec()),
            (PACKED, payload) => {
                let place = parse(tree, key, payload)?;
                self.packs.read(place, FrameKind::Value, frame_key(tree, key))
            }
            _ => Err(corrupt_record(tree, key, "record is of an unknown kind")),
        }
    }
}

/// A change that becomes visible as a whole, or, where it is not finished, not at all.
pub(crate) struct Writer<'a> {
    journal: &'a Journal,
    guard: MutexGuard<'a, ()>,
    pub(super) changes: Vec<(Tree, Vec<u8>, Option<Vec<u8>>)>,
}

impl<'a> Writer<'a> {
    /// Sets the value of a key. A large one goes to the pack right away.
    pub(crate) fn put(&mut self, tree: Tree, key: &[u8], value: &[u8]) -> Result<()> {
        if value.len() > INLINE_BYTES_MAX {
            return self.put_packed(tree, key, value);
        }
        let sealed = self.journal.seal.close(tree, key, INLINE, value);
        self.changes.push((tree, key.to_vec(), Some(sealed)));
        Ok(())
    }

    /// Sets the value of a key, which goes to the pack however small it is: others read it there, without the catalogue.
    pub(crate) fn put_packed(&mut self, tree: Tree, key: &[u8], value: &[u8]) -> Result<()> {
        let place = self.journal.packs.append(FrameKind::Value, frame_key(tree, key), value)?;
        let sealed = self.journal.seal.close(tree, key, PACKED, &encode(&place));
        self.changes.push((tree, key.to_vec(), Some(sealed)));
        Ok(())
    }

    /// Sets the record of a key.
    pub(crate) fn put_record(&mut self, tree: Tree, key: &[u8], record: &impl Serialize) -> Result<()> {
        self.put(tree, key, &encode(record))
    }

    /// Removes a key.
    pub(crate) fn remove(&mut self, tree: Tree, key: &[u8]) {
        self.changes.push((tree, key.to_vec(), None));
    }

    /// Makes the change visible, and part of the next commit. No other change is made, nor a commit begun, until what is
    /// returned is gone.
    pub(crate) fn finish(self) -> MutexGuard<'a, ()> {
        let mut unapplied = self.journal.unapplied.write().unwrap_or_else(PoisonError::into_inner);
        for (tree, key, value) in self.changes {
            unapplied.pending[tree as usize].insert(key, value);
        }
        self.guard
    }
}

pub(super) fn encode(record: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(record).expect("records hold nothing that postcard cannot write")
}

fn parse<T: DeserializeOwned>(tree: Tree, key: &[u8], value: &[u8]) -> Result<T> {
    postcard::from_bytes(value).map_err(|_| corrupt_record(tree, key, "record does not decode"))
}

pub(crate) fn frame_key(tree: Tree, key: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(&[tree as u8]).update(key).finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn a_record_with_any_bit_flipped_is_an_error_that_names_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(Layout::create_or_open(directory.path()).unwrap()).unwrap();
        for (key, length) in [(&b"small"[..], 20), (b"large", INLINE_BYTES_MAX + 1)] {
            let mut writer = journal.write().unwrap();
            writer.put(Tree::Images, key, &vec![7; length]).unwrap();
            drop(writer.finish());
            journal.commit(|| ()).unwrap();
            let sealed = journal.catalogue.get(Tree::Images, key).unwrap().unwrap();
            for bit in 0..sealed.len() * 8 {
                let mut flipped = sealed.clone();
                flipped[bit / 8] ^= 1_u8 << (bit % 8);
                journal.catalogue.apply(Tree::Images, [(key, Some(&flipped[..]))]).unwrap();
                let error = journal.get(Tree::Images, key).unwrap_err().to_string();
                let expected = match bit {
                    0..8 => format!("record images {}: format version is", HEXLOWER.encode(key)),
                    _ => format!("images {}: corrupt at offset 0: checksum", HEXLOWER.encode(key)),
                };
                assert!(error.starts_with(&expected), "{error}");
            }
            // A whole record under another key is not that key's.
            journal.catalogue.apply(Tree::Images, [(&b"moved"[..], Some(&sealed[..]))]).unwrap();
            assert!(journal.get(Tree::Images, b"moved").is_err());
        }
    }

    #[test]
    fn changes_that_are_not_finished_are_never_seen() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(Layout::create_or_open(directory.path()).unwrap()).unwrap();
        let mut writer = journal.write().unwrap();
        writer.put(Tree::Images, b"key", b"value").unwrap();
        drop(writer);
        journal.commit(|| ()).unwrap();
        assert_eq!(journal.get(Tree::Images, b"key").unwrap(), None);
    }

    #[test]
    fn a_scan_shows_what_is_pending_over_what_is_committed() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(Layout::create_or_open(directory.path()).unwrap()).unwrap();
        let change = |puts: &[&str], removals: &[&str]| {
            let mut writer = journal.write().unwrap();
            puts.iter().for_each(|key| writer.put(Tree::Names, key.as_bytes(), b"").unwrap());
            removals.iter().for_each(|key| writer.remove(Tree::Names, key.as_bytes()));
            drop(writer.finish());
        };
        let keys = |prefix: &[u8]| -> Vec<String> {
            let keys = journal.keys(Tree::Names, prefix).map(|key| String::from_utf8(key.unwrap()).unwrap());
            keys.collect()
        };
        change(&["a1", "a3", "a5", "b1"], &[]);
        journal.commit(|| ()).unwrap();
        change(&["a0", "a3", "a4", "a9", "c"], &["a1", "a9", "a8"]);
        assert_eq!(keys(b""), ["a0", "a3", "a4", "a5", "b1", "c"]);
        assert_eq!(keys(b"a"), ["a0", "a3", "a4", "a5"]);
        journal.commit(|| ()).unwrap();
        assert_eq!(keys(b"a"), ["a0", "a3", "a4", "a5"]);
        change(&[], &["a0", "a3", "a4", "a5"]);
        assert_eq!(keys(b"a"), [""; 0]);
    }

    #[test]
    fn a_commit_that_was_logged_but_not_applied_is_applied_when_the_store_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        let layout = || Layout::create_or_open(directory.path()).unwrap();
        let journal = Journal::open(layout()).unwrap();
        let put = |key: &[u8]| {
            let mut writer = journal.write().unwrap();
            writer.put(Tree::Images, key, &[1; 5000]).unwrap();
            writer.put(Tree::Names, key, key).unwrap();
            drop(writer.finish());
        };
        put(b"first");
        journal.commit(|| ()).unwrap();
        put(b"second");
        journal.log_pending(|| ()).unwrap();
        // Half of it reaches the catalogue, then the process dies.
        let sealed = journal.unapplied_value(Tree::Images, b"second").unwrap();
        journal.catalogue.apply(Tree::Images, [(&b"second"[..], sealed.as_deref())]).unwrap();
        put(b"third");
        drop(journal);

        let journal = Journal::open(layout()).unwrap();
        for (key, present) in [(&b"first"[..], true), (b"second", true), (b"third", false)] {
            assert_eq!(journal.get(Tree::Images, key).unwrap(), present.then(|| vec![1; 5000]));
            assert_eq!(journal.get(Tree::Names, key).unwrap(), present.then(|| key.to_vec()));
        }
    }
}
