//! Layers that were read lately: those of one base are wanted for every image built on it.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::fingerprint::Fingerprint;
use crate::id::DiffId;

/// How many entries a layer has, about: a hint for the cache's own tables.
const LAYER_ENTRIES: u64 = 100;

/// Layers by diff ID, as many as have so many entries together. One entry takes some 150 bytes.
pub struct RecentLayers(Cache<DiffId, Arc<Fingerprint>, EntryCount>);

impl RecentLayers {
    /// Holds nothing yet, and never more than so many entries.
    pub fn new(entries_max: u64) -> Self {
        let layers = usize::try_from(entries_max / LAYER_ENTRIES).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(layers, entries_max, EntryCount))
    }

    /// Returns a layer if it is still held.
    pub fn get(&self, layer: &DiffId) -> Option<Arc<Fingerprint>> {
        self.0.get(layer)
    }

    /// Holds a layer for a while.
    pub fn insert(&self, layer: DiffId, fingerprint: Arc<Fingerprint>) {
        self.0.insert(layer, fingerprint);
    }
}

#[derive(Clone)]
struct EntryCount;

impl Weighter<DiffId, Arc<Fingerprint>> for EntryCount {
    fn weight(&self, _layer: &DiffId, fingerprint: &Arc<Fingerprint>) -> u64 {
        fingerprint.entries().len().max(1) as u64
    }
}
