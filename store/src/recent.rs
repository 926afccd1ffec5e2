//! Layers that were read lately: those of one base are wanted for every image built on it.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::fingerprint::Fingerprint;
use crate::id::DiffId;

/// What a usual entry takes with its path.
const ENTRY_BYTES: u64 = 150;
/// What a layer takes, about: a hint for the cache's own tables.
const LAYER_BYTES: u64 = 20 << 10;

/// Layers by diff ID, as many as fit into so many bytes.
pub struct RecentLayers(Cache<DiffId, Arc<Fingerprint>, ByMemory>);

impl RecentLayers {
    /// Holds nothing yet, and never more than what so many usual entries take.
    pub fn new(entries_max: u64) -> Self {
        Self::with_room(entries_max * ENTRY_BYTES)
    }

    /// Holds nothing yet, and never more than so many bytes.
    pub fn with_room(bytes_max: u64) -> Self {
        let layers = usize::try_from(bytes_max / LAYER_BYTES).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(layers, bytes_max, ByMemory))
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
struct ByMemory;

impl Weighter<DiffId, Arc<Fingerprint>> for ByMemory {
    fn weight(&self, _layer: &DiffId, fingerprint: &Arc<Fingerprint>) -> u64 {
        fingerprint.held_bytes().max(1)
    }
}
