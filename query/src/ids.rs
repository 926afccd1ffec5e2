//! Maps and sets of identities.
//!
//! An identity is the hash of something, so most of the work of hashing is done. Whoever grinds contents until their ids
//! begin alike could still fill one bucket of a table; a secret number that differs from run to run spreads them again.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

pub(crate) type IdMap<K, V> = HashMap<K, V, Spread>;
pub(crate) type IdSet<K> = HashSet<K, Spread>;

/// Odd, with bits that look random: the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads the first 64 bits of identities.
#[derive(Debug, Clone)]
pub(crate) struct Spread(u64);

impl Default for Spread {
    fn default() -> Self {
        static SECRET: OnceLock<u64> = OnceLock::new();
        Self(*SECRET.get_or_init(|| RandomState::new().hash_one(0)))
    }
}

impl BuildHasher for Spread {
    type Hasher = Spread;

    fn build_hasher(&self) -> Self {
        self.clone()
    }
}

impl Hasher for Spread {
    /// Identities give 64 bits at once; this is for whatever else is in a key.
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number) * u128::from(MULTIPLIER);
        let (low, high) = (product & u128::from(u64::MAX), product >> 64);
        self.0 = u64::try_from(low ^ high).expect("both are halves of 128 bits");
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
