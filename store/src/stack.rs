//! What a stack of layers looks like from above, for one image after the other.
//!
//! Images share their lower layers. A stack that others were seen to share is remembered as merged, so that an image
//! costs what its own layers change. On the way it is noted what every layer does to the contents below it: the
//! index wants that of each stack that is new to it, and need not merge the layers again ([`Steps`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::anomaly::Anomalies;
use crate::fingerprint::{Content, Entry, Fingerprint};
use crate::id::{ChainId, DiffId};
use crate::merge::{MergedView, Place};
use crate::tally::{Change, Tally};

/// What a usual entry of a base takes, with its path and what stands for it in the view.
const ENTRY_BYTES: u64 = 200;
/// What stands for an entry in the view of a base, and among its contents.
const PLACE_BYTES: u64 = 50;
/// A base counts as at least so many bytes, so that there are never more than some hundred.
const BASE_BYTES_MIN: u64 = 100 << 10;
/// Chain IDs that are remembered as seen, before they are forgotten: 8 MiB of them. One that is seen anew costs a little
/// time and nothing else.
const SEEN_MAX: usize = 1 << 18;
/// A stack is remembered if there were different layers above it or nothing is remembered below, and if laying its layers
/// over what is remembered below is at least this part of it.
const WORTHWHILE_DIVISOR: usize = 8;

/// Makes views of stacks, and remembers those that are shared. Many threads may use it at once.
pub struct Stacks {
    bases: Mutex<Bases>,
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
    /// Remembers nothing yet, and never more bases than those of so many usual entries together take.
    pub fn new(entries_max: u64) -> Self {
        Self::with_room(entries_max * ENTRY_BYTES)
    }

    /// Remembers nothing yet, and never bases of more than so many bytes together.
    pub fn with_room(bytes_max: u64) -> Self {
        Self { bases: Mutex::new(Bases { bytes_max, ..Bases::default() }), seen: Mutex::default() }
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
        let base = lock(&self.bases).highest(&chain);
        let base_depth = base.as_ref().map_or(0, |base| base.layers.len());
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

    fn remember<'a>(
        &self,
        chain: ChainId,
        layers: &'a [Arc<Fingerprint>],
        view: &MergedView<'a>,
        tally: &Tally,
    ) {
        // One that leaves no room for others would drive them all out.
        if memory_bytes(layers) > lock(&self.bases).bytes_max / 2 {
            return;
        }
        let base = Base {
            layers: layers.to_vec(),
            places: view.places(&entries(layers)),
            tally: tally.clone(),
            anomalies: view.anomalies().clone(),
        };
        let forgotten = lock(&self.bases).insert(chain, Arc::new(base));
        // Not while others wait: layers have an allocation for each path.
        drop(forgotten);
    }

    /// Of stacks, each of which has one layer more than the one before, returns of those that were seen before whether
    /// they were seen below different layers. Now all are seen.
    fn see(&self, chain: &[ChainId]) -> Vec<bool> {
        let mut seen = lock(&self.seen);
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

    /// Returns how much memory is held for it. Layers that several bases have count for each.
    fn memory_bytes(&self) -> u64 {
        memory_bytes(&self.layers)
    }
}

/// What is held is whole whatever became of the thread that held it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn memory_bytes(layers: &[Arc<Fingerprint>]) -> u64 {
    let bytes = |layer: &Arc<Fingerprint>| layer.held_bytes() + layer.entries().len() as u64 * PLACE_BYTES;
    layers.iter().map(bytes).sum::<u64>().max(BASE_BYTES_MIN)
}

fn entries(layers: &[Arc<Fingerprint>]) -> Vec<&[Entry]> {
    layers.iter().map(|layer| layer.entries()).collect()
}

/// Bases by chain ID. Where there is no more room, the one goes that was not used for the longest time: there are some
/// dozens or hundreds, each large, and every one is used again and again.
#[derive(Default)]
struct Bases {
    by_chain: HashMap<ChainId, (u64, Arc<Base>)>,
    uses: u64,
    bytes: u64,
    bytes_max: u64,
}

impl Bases {
    /// Returns the base of the most layers.
    fn highest(&mut self, chain: &[ChainId]) -> Option<Arc<Base>> {
        let highest = chain.iter().rev().find(|stack| self.by_chain.contains_key(stack))?;
        let (used, base) = self.by_chain.get_mut(highest)?;
        self.uses += 1;
        *used = self.uses;
        Some(Arc::clone(base))
    }

    /// Returns what had to go.
    fn insert(&mut self, chain: ChainId, base: Arc<Base>) -> Vec<Arc<Base>> {
        self.uses += 1;
        self.bytes += base.memory_bytes();
        let before = self.by_chain.insert(chain, (self.uses, base));
        let mut gone: Vec<Arc<Base>> = before.map(|(_, base)| base).into_iter().collect();
        self.bytes -= gone.iter().map(|base| base.memory_bytes()).sum::<u64>();
        while self.bytes > self.bytes_max {
            let longest = self.by_chain.iter().min_by_key(|(_, (used, _))| *used).map(|(chain, _)| *chain);
            let Some((_, base)) = longest.and_then(|chain| self.by_chain.remove(&chain)) else { break };
            self.bytes -= base.memory_bytes();
            gone.push(base);
        }
        gone
    }
}
