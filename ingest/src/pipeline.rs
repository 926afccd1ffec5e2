//! The data's path from sources to the store, and all the threads there are.
//!
//! ```text
//! plan                 read                                   finish                      collect
//! source -> images  ->  layer stream -> tar -> fingerprint  ->  merged view -> record  ->  commit in groups
//! ```
//!
//! One planner opens sources and finds the layers that must be read; workers read them and finish images; the calling
//! thread collects, commits and tells. A layer is read once in a run, whoever refers to it, and not at all if the
//! store has it. What one image gets wrong is its own failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{bounded, unbounded};
use layerprint_store::{Index, Platform, Store, StoreError};

use crate::collect::Collector;
use crate::error::IngestError;
use crate::helpers::Helpers;
use crate::layer::LayerReader;
use crate::limits::Limits;
use crate::memory::{Budget, Memory};
use crate::planner::Planner;
use crate::progress::{Observer, Summary};
use crate::seen::SeenSources;
use crate::shard::Shard;
use crate::sink::{ImageRead, MemorySink, Sink, StoreSink};
use crate::source::Source;
use crate::stop::Stop;
use crate::worker::Worker;

/// How a run goes.
#[derive(Debug, Clone)]
pub struct Options {
    /// Layers read at the same time.
    pub jobs: usize,
    /// Read only images for this platform.
    pub platform: Option<Platform>,
    /// Read files again whose size and time are those of the last run.
    pub rescan: bool,
    /// A name for an image that has none of its own.
    pub name: Option<String>,
    /// Read only what falls to this part; the rest is for other machines.
    pub shard: Option<Shard>,
    /// What is stored as the time of this run, in seconds since 1970; none for the time that it is.
    pub now_unix_s: Option<u64>,
    /// Bounds on what an image may cost.
    pub limits: Limits,
    /// What the process should take at most; without it, 256 MiB and 32 MiB for each job.
    pub memory_bytes: Option<u64>,
    /// Ends the run early, with everything stored that was read.
    pub stop: Stop,
}

impl Default for Options {
    fn default() -> Self {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            jobs,
            platform: None,
            rescan: false,
            name: None,
            shard: None,
            now_unix_s: None,
            limits: Limits::default(),
            memory_bytes: None,
            stop: Stop::default(),
        }
    }
}

impl Options {
    /// Returns what is stored as the present time.
    pub(crate) fn now_unix_s(&self) -> u64 {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        self.now_unix_s.unwrap_or_else(now)
    }
}

/// Reads images into a store. When this returns, what the summary counts is on the disk.
pub fn ingest(
    sources: &[Source],
    store: &Store,
    options: &Options,
    observer: Observer,
) -> Result<Summary, IngestError> {
    let budget = Budget::of(options.memory_bytes, options.jobs);
    let sink = StoreSink::new(store, options, budget);
    let seen = SeenSources::new(store, options);
    let run = Run::new(&sink, options, observer, Some(&seen));
    run.all(sources, &|| Ok(store.commit()?))
}

/// Reads images for one question. Layers that `index` has are not read.
///
/// The images come one by one, by origin, each with its layers: only those that were read are held until then.
pub fn read<'a>(
    sources: &[Source],
    index: Option<&'a Index>,
    options: &Options,
    observer: Observer,
) -> Result<(impl Iterator<Item = Result<ImageRead, StoreError>> + use<'a>, Summary), IngestError> {
    let sink = MemorySink::new(index, Budget::of(options.memory_bytes, options.jobs));
    let run = Run::new(&sink, options, observer, None);
    let summary = run.all(sources, &|| Ok(()))?;
    Ok((sink.into_images(), summary))
}

/// Images that may wait for their layers at one time; bounds what the planner holds.
const IMAGES_WAITING_MAX: usize = 256;

/// What the threads of a run share.
pub(crate) struct Run<'a> {
    pub(crate) sink: &'a dyn Sink,
    pub(crate) options: &'a Options,
    pub(crate) observer: Observer<'a>,
    /// None where nothing is stored.
    pub(crate) seen: Option<&'a SeenSources<'a>>,
    pub(crate) layers: LayerReader,
    pub(crate) helpers: Arc<Helpers>,
    pub(crate) memory: Arc<Memory>,
    /// True once the collector has given up.
    over: AtomicBool,
}

impl<'a> Run<'a> {
    fn new(
        sink: &'a dyn Sink,
        options: &'a Options,
        observer: Observer<'a>,
        seen: Option<&'a SeenSources<'a>>,
    ) -> Self {
        let helpers = Arc::new(Helpers::default());
        let layers = LayerReader::new(&options.limits).helped_by(helpers.clone());
        let budget = Budget::of(options.memory_bytes, options.jobs);
        let memory = Memory::new(budget.building_bytes);
        Self { sink, options, observer, seen, layers, helpers, memory, over: AtomicBool::new(false) }
    }

    /// Returns true if nothing more is to be begun.
    pub(crate) fn is_ending(&self) -> bool {
        self.options.stop.is_requested() || self.over.load(Ordering::Acquire)
    }

    fn all(
        &self,
        sources: &[Source],
        commit: &dyn Fn() -> Result<(), IngestError>,
    ) -> Result<Summary, IngestError> {
        let started = Instant::now();
        // Events are small, and a worker must never wait to send one: the collector may be waiting to give it a job.
        let (events, event_queue) = unbounded();
        let (jobs, job_queue) = bounded(2 * self.options.jobs);
        let (permits, permit_queue) = bounded(IMAGES_WAITING_MAX);
        let mut summary = std::thread::scope(|scope| {
            let planner = Planner::new(self, events.clone(), jobs.clone(), permits);
            scope.spawn(move || planner.plan_all(sources));
            for _ in 0..self.options.jobs.max(1) {
                let worker = Worker::new(self, events.clone());
                let job_queue = job_queue.clone();
                scope.spawn(move || worker.serve(&job_queue));
            }
            drop((events, job_queue));
            let collected = Collector::new(self, jobs, permit_queue, commit).collect(&event_queue);
            // After a failure there is nobody to take what is read.
            self.over.store(true, Ordering::Release);
            collected
        })?;
        summary.elapsed = started.elapsed();
        Ok(summary)
    }
}
