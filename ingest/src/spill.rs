//! Layers that were read for one question, in bounded memory.
//!
//! All layers of a source are read before the first image is asked about. What there is no room for waits, encoded, in a
//! temporary file without a name.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use layerprint_store::body::{self, BodyError};
use layerprint_store::id::DiffId;
use layerprint_store::{Fingerprint, StoreError};

/// See the module.
pub(crate) struct HeldLayers {
    bytes_max: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    layers: HashMap<DiffId, Held>,
    /// What those in memory take.
    bytes: u64,
    /// Where the others are, and how long it is.
    file: Option<Arc<File>>,
    file_bytes: u64,
}

#[derive(Clone)]
enum Held {
    InMemory(Arc<Fingerprint>),
    InFile(Arc<File>, u64, usize),
}

impl HeldLayers {
    /// Holds nothing yet, and never more than so many bytes in memory.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, state: Mutex::default() }
    }

    pub(crate) fn contains(&self, layer: &DiffId) -> bool {
        self.lock().layers.contains_key(layer)
    }

    /// Returns a layer that was inserted.
    pub(crate) fn get(&self, layer: &DiffId) -> Result<Option<Arc<Fingerprint>>, StoreError> {
        let held = self.lock().layers.get(layer).cloned();
        match held {
            None => Ok(None),
            Some(Held::InMemory(fingerprint)) => Ok(Some(fingerprint)),
            Some(Held::InFile(file, offset_bytes, length)) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, offset_bytes).map_err(failed("cannot read"))?;
                Ok(Some(Arc::new(body::decode(&bytes).map_err(unfit(layer))?)))
            }
        }
    }

    /// Takes a layer.
    pub(crate) fn insert(&self, layer: DiffId, fingerprint: Fingerprint) -> Result<(), StoreError> {
        let bytes = fingerprint.held_bytes();
        {
            let mut state = self.lock();
            if state.bytes + bytes <= self.bytes_max {
                state.bytes += bytes;
                state.layers.insert(layer, Held::InMemory(Arc::new(fingerprint)));
                return Ok(());
            }
        }
        let encoded = body::encode(&fingerprint).map_err(unfit(&layer))?;
        drop(fingerprint);
        self.write(layer, &encoded)
    }

    fn write(&self, layer: DiffId, encoded: &[u8]) -> Result<(), StoreError> {
        let mut state = self.lock();
        let file = match &state.file {
            Some(file) => Arc::clone(file),
            None => Arc::new(tempfile::tempfile().map_err(failed("cannot make a file for layers"))?),
        };
        file.write_all_at(encoded, state.file_bytes).map_err(failed("cannot write"))?;
        let offset_bytes = state.file_bytes;
        state.file_bytes += encoded.len() as u64;
        state.layers.insert(layer, Held::InFile(Arc::clone(&file), offset_bytes, encoded.len()));
        state.file = Some(file);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(action: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io { path: std::env::temp_dir(), action, source }
}

fn unfit(layer: &DiffId) -> impl FnOnce(BodyError) -> StoreError {
    let layer = *layer;
    move |error| match error {
        BodyError::TooLarge { what, found, max } => {
            StoreError::TooLarge { what: format!("fingerprint {layer}: {what}"), found, max }
        }
        error => StoreError::Corrupt {
            what: "fingerprint",
            key: layer.to_string(),
            offset_bytes: 0,
            problem: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use layerprint_store::{Entry, EntryKind};

    use super::*;

    fn layer(number: u8) -> Fingerprint {
        let path = vec![b'a' + number; 1000].into();
        Fingerprint::from_entries(vec![Entry { path, mode: 0, uid: 0, gid: 0, kind: EntryKind::Fifo }])
    }

    #[test]
    fn layers_beyond_the_room_come_back_from_the_file() {
        let held = HeldLayers::new(2 * layer(0).held_bytes());
        let name = |number: u8| DiffId::from_bytes([number; 32]);
        for number in 0..5 {
            assert!(!held.contains(&name(number)));
            held.insert(name(number), layer(number)).unwrap();
        }
        for number in 0..5 {
            assert_eq!(*held.get(&name(number)).unwrap().unwrap(), layer(number));
        }
        assert!(held.get(&name(5)).unwrap().is_none());
        let state = held.lock();
        let in_memory = state.layers.values().filter(|held| matches!(held, Held::InMemory(_))).count();
        assert_eq!((in_memory, state.bytes), (2, 2 * layer(0).held_bytes()));
    }
}
