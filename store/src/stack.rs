//! What a stack of layers looks like from above, for one image after the other.
//!
//! Images share their lower layers. A stack that others were seen to share is remembered as merged, so that an image
//! costs what its own layers change. On the way it is noted what every layer does to the contents below it: the
//! index wants that of each stack that is new to it, and need not merge the layers again ([`Steps`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::anomaly::Anomalies;
use crate::fingerprint::{Content, Entry, Fingerprint};
use crate::id::{ChainId, DiffId};
use crate::merge::{MergedView, Place};
use crate::tally::{Change, Tally};

/// How many entries a base has, about: a hint for the cache's own tables.
const BASE_ENTRIES: u64 = 1000;
/// Chain IDs that are remembered as seen, before they are forgotten: 8 MiB of them. One that is seen anew costs a little
/// time and nothing else.
const SEEN_MAX: usize = 1 << 18;
/// A stack is remembered if there were different layers above it or nothing is remembered below, and if laying its layers
/// over what is remembered below is at least this part of it.
const WORTHWHILE_DIVISOR: usize = 8;

/// Makes views of stacks, and remembers those that are shared. Many threads may use it at once.
pub struct Stacks {
    bases: Cache<ChainId, Arc<Base>, EntryCount>,
    /// Stacks that were seen, and whether they were seen below different layers.
    seen: Mutex<HashMap<ChainId, bool>>,
}

/// A stack of layers as seen from above.
#[derive(Debug)]
pub struct Stack {
    /// The distinct, non-empty contents, sorted by id.
    pub contents: Vec<Content>,
    /// Regular files, counting each name.
    pub file_count: u64,
    /// What was odd about the stack.
    pub anomalies: Anomalies,
    /// What its layers do to the contents below them.
    pub steps: Steps,
}

/// What layers do to the contents of the stacks below them, for the stacks that were not seen before.
#[derive(Debug, Clone, Default)]
pub struct Steps(pub(crate) Vec<(ChainId, Change)>);

/// A stack that others share.
struct Base {
    layers: Vec<Arc<Fingerprint>>,
    places: Vec<Place>,
    tally: Tally,
    anomalies: Anomalies,
}

impl Stacks {
    /// Remembers nothing yet, and never bases of more than so many entries together. One entry takes some 200 bytes.
    pub fn new(entries_max: u64) -> Self {
        let bases = usize::try_from(entries_max / BASE_ENTRIES).unwrap_or(usize::MAX);
        // One shard: of several, each would have room for a few bases, and bases do not spread evenly.
        let options = OptionsBuilder::new()
            .estimated_items_capacity(bases)
            .weight_capacity(entries_max)
            .shards(1)
            // Few bases, each used time and again, but not at once: most of the usual room for new ones would hold three.
            .hot_allocation(0.5)
            .build()
            .expect("both capacities are given");
        let bases = Cache::with_options(
            options,
            EntryCount,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        );
        Self { bases, seen: Mutex::default() }
    }

    /// Returns what a stack looks like; the lowest layer comes first. `read` is asked for the layers of which nothing is
    /// remembered.
    pub fn look<E>(
        &self,
        layers: &[DiffId],
        read: impl Fn(&DiffId) -> Result<Arc<Fingerprint>, E>,
    ) -> Result<Stack, E> {
        let chain = ChainId::of_prefixes(layers);
        let seen = self.see(&chain);
        let remembered =
            (1..=layers.len()).rev().find_map(|depth| Some((depth, self.base(&chain[depth - 1])?)));
        let (base_depth, base) = remembered.unzip();
        let base_depth = base_depth.unwrap_or(0);
        let mut held = base.as_deref().map_or_else(Vec::new, |base| base.layers.clone());
        for layer in &layers[base_depth..] {
            held.push(read(layer)?);
        }

        let mut view = base.as_deref().map_or_else(MergedView::new, Base::view);
        let mut tally = base.as_deref().map_or_else(Tally::default, |base| base.tally.clone());
        let (mut steps, mut laid, mut has_base) = (Vec::new(), 0, base.is_some());
        for (layer, depth) in held[base_depth..].iter().zip(base_depth + 1..) {
            let change = tally.apply(&mut view, layer);
            laid += layer.entries().len();
            let is_shared = seen.get(depth - 1).copied();
            if is_shared.is_none() {
                steps.push((chain[depth - 1], change));
            }
            if (is_shared == Some(true) || !has_base) && laid * WORTHWHILE_DIVISOR >= view.len() {
                self.remember(chain[depth - 1], &held[..depth], &view, &tally);
                (laid, has_base) = (0, true);
            }
        }
        Ok(Stack {
            contents: tally.contents(),
            file_count: tally.file_count(),
            anomalies: view.anomalies().clone(),
            steps: Steps(steps),
        })
    }

    fn base(&self, chain: &ChainId) -> Option<Arc<Base>> {
        self.bases.get(chain)
    }

    fn remember<'a>(
        &self,
        chain: ChainId,
        layers: &'a [Arc<Fingerprint>],
        view: &MergedView<'a>,
        tally: &Tally,
    ) {
        let base = Base {
            layers: layers.to_vec(),
            places: view.places(&entries(layers)),
            tally: tally.clone(),
            anomalies: view.anomalies().clone(),
        };
        self.bases.insert(chain, Arc::new(base));
    }

    /// Of stacks, each of which has one layer more than the one before, returns of those that were seen before whether
    /// they were seen below different layers. Now all are seen.
    fn see(&self, chain: &[ChainId]) -> Vec<bool> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= SEEN_MAX {
            seen.clear();
        }
        let known = chain.iter().take_while(|stack| seen.contains_key(stack)).count();
        if known > 0 && known < chain.len() {
            seen.insert(chain[known - 1], true);
        }
        seen.extend(chain[known..].iter().map(|stack| (*stack, false)));
        chain[..known].iter().map(|stack| seen[stack]).collect()
    }
}

impl Base {
    fn view(&self) -> MergedView<'_> {
        MergedView::of_places(&entries(&self.layers), &self.places, self.anomalies.clone())
    }
}

fn entries(layers: &[Arc<Fingerprint>]) -> Vec<&[Entry]> {
    layers.iter().map(|layer| layer.entries()).collect()
}

#[derive(Clone)]
struct EntryCount;

impl Weighter<ChainId, Arc<Base>> for EntryCount {
    fn weight(&self, _chain: &ChainId, base: &Arc<Base>) -> u64 {
        // Layers that several bases have count for each.
        let held: usize = base.layers.iter().map(|layer| layer.entries().len()).sum();
        held.max(1) as u64
    }
}
