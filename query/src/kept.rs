//! What was read of a store, kept for the next question as long as there is room.
//!
//! Who asks about many images meets the same bases and siblings again and again. What is here can always be read anew, so
//! that what is dropped, and when, changes no answer.

use std::hash::Hash;
use std::sync::Arc;

use layerprint_store::{ImageRecord, Result};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Knows about how much memory it takes.
pub(crate) trait Weighed {
    fn size_bytes(&self) -> u64;
}

/// Values by keys, as many as fit into so many bytes.
pub(crate) struct Kept<K, V>(Cache<K, Arc<V>, BySize>);

impl<K: Hash + Eq + Clone, V: Weighed> Kept<K, V> {
    /// Keeps nothing yet. `each_bytes` is what one value takes, about: a hint for the tables of the cache.
    pub(crate) fn new(size_bytes_max: u64, each_bytes: u64) -> Self {
        let count = usize::try_from(size_bytes_max / each_bytes).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(count, size_bytes_max, BySize))
    }

    pub(crate) fn get(&self, key: &K) -> Option<Arc<V>> {
        self.0.get(key)
    }

    pub(crate) fn insert(&self, key: K, value: V) -> Arc<V> {
        let value = Arc::new(value);
        self.0.insert(key, Arc::clone(&value));
        value
    }

    /// Returns what is kept, or else reads it. Two threads may read the same: none waits for another.
    pub(crate) fn get_or(&self, key: &K, read: impl FnOnce() -> Result<V>) -> Result<Arc<V>> {
        match self.get(key) {
            Some(value) => Ok(value),
            None => Ok(self.insert(key.clone(), read()?)),
        }
    }
}

#[derive(Clone)]
struct BySize;

impl<K, V: Weighed> Weighter<K, Arc<V>> for BySize {
    fn weight(&self, _: &K, value: &Arc<V>) -> u64 {
        value.size_bytes().max(1)
    }
}

/// What a key, a counter and the tables around a value take.
const AROUND_BYTES: u64 = 200;

impl Weighed for ImageRecord {
    fn size_bytes(&self) -> u64 {
        let parts = self.layers.len() * 32 + self.manifests.len() * 72 + self.documents.len() * 128;
        AROUND_BYTES + (size_of::<Self>() + parts) as u64
    }
}

/// A list of records shares them with whoever keeps them one by one.
impl Weighed for Vec<Arc<ImageRecord>> {
    fn size_bytes(&self) -> u64 {
        AROUND_BYTES + self.iter().map(|record| record.size_bytes()).sum::<u64>()
    }
}

impl Weighed for Vec<u32> {
    fn size_bytes(&self) -> u64 {
        AROUND_BYTES + (self.len() * size_of::<u32>()) as u64
    }
}

impl Weighed for Vec<String> {
    fn size_bytes(&self) -> u64 {
        AROUND_BYTES + self.iter().map(|text| (size_of::<String>() + text.len()) as u64).sum::<u64>()
    }
}
