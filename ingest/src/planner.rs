//! Sources -> images and the layers that must be read for them.

use std::collections::HashSet;

use crossbeam_channel::Sender;

use crate::discover::{self, Candidate, Found};
use crate::job::{Event, Job, LayerKey, LayerState, PlannedImage};
use crate::layer::Promise;
use crate::open;
use crate::pipeline::Run;
use crate::plan::ImagePlan;
use crate::progress::{Failure, Progress, SkipReason, Skipped};
use crate::seen::Seen;
use crate::source::Source;
use crate::tree::{Blob, FileRange};
use crate::worker::Worker;

/// The thread that opens sources.
pub(crate) struct Planner<'a> {
    run: &'a Run<'a>,
    worker: Worker<'a>,
    events: Sender<Event>,
    jobs: Sender<Job>,
    permits: Sender<()>,
    queued: HashSet<LayerKey>,
    next_source: usize,
}

/// The collector is gone, or the run was asked to stop.
pub(crate) struct Stopped;

impl<'a> Planner<'a> {
    pub(crate) fn new(
        run: &'a Run<'a>,
        events: Sender<Event>,
        jobs: Sender<Job>,
        permits: Sender<()>,
    ) -> Self {
        let worker = Worker::new(run, events.clone());
        Self { run, worker, events, jobs, permits, queued: HashSet::new(), next_source: 0 }
    }

    pub(crate) fn plan_all(mut self, sources: &[Source]) {
        let planned = sources.iter().try_for_each(|source| {
            discover::search(source, &mut |candidate| match candidate {
                _ if self.run.is_ending() => Err(Stopped),
                Ok(candidate) => self.plan_source(candidate),
                Err(error) => {
                    self.tell(Event::Failed(None, Failure { origin: source.to_string(), error }));
                    Ok(true)
                }
            })
        });
        self.tell(Event::Planned { all: planned.is_ok() });
    }

    /// Returns false if this is no source. A file that is unchanged is not opened to see whether it is.
    fn plan_source(&mut self, candidate: Candidate) -> Result<bool, Stopped> {
        let seen = self.run.seen.and_then(|sources| sources.look(&candidate.found.source));
        let unchanged = match (self.run.seen, &seen) {
            (Some(sources), Some(seen)) => sources.unchanged(seen, candidate.found.named),
            _ => Ok(None),
        };
        match unchanged {
            Err(error) => self.tell(Event::Fatal(error.into())),
            Ok(Some(images)) => {
                let skipped =
                    Skipped { origin: candidate.found.source.to_string(), reason: SkipReason::Unchanged };
                self.tell(Event::Skipped(skipped, images));
            }
            Ok(None) if !candidate.is_source() => return Ok(false),
            Ok(None) if self.is_for_others(&candidate.found) => {
                let skipped = Skipped::of_other_shard(candidate.found.source.to_string());
                self.tell(Event::Skipped(skipped, 0));
            }
            Ok(None) => self.open_source(candidate.found, seen)?,
        }
        Ok(true)
    }

    fn open_source(&mut self, found: Found, seen: Option<Seen>) -> Result<(), Stopped> {
        let number = self.next_source;
        self.next_source += 1;
        let size_bytes = seen.as_ref().map_or(0, Seen::size_bytes);
        self.tell(Event::SourceOpened(number, seen));
        if open::reads_layers(&found.source) {
            (self.run.observer)(Progress::ArchiveQueued(size_bytes));
            return self.jobs.send(Job::Open(number, found)).map_err(|_| Stopped);
        }
        let plans = self.worker.open(number, &found, &self.run.memory.begin());
        let planned = self.plan_images(number, plans);
        self.tell(Event::SourceClosed(number));
        planned
    }

    /// Looks all images up before the first waits for its turn, so that it is known how much there is to read.
    fn plan_images(&mut self, source: usize, plans: Vec<ImagePlan>) -> Result<(), Stopped> {
        let planned: Vec<_> = plans.into_iter().filter_map(|plan| self.plan_image(source, plan)).collect();
        let mut planned = planned.into_iter();
        while let Some((image, jobs)) = planned.next() {
            if self.run.is_ending() {
                self.tell(Event::Left(source, 1 + planned.len() as u64));
                return Err(Stopped);
            }
            self.permits.send(()).map_err(|_| Stopped)?;
            jobs.into_iter().try_for_each(|job| self.jobs.send(job).map_err(|_| Stopped))?;
            self.tell(Event::Image(Box::new(image)));
        }
        Ok(())
    }

    /// Returns true if a source falls to another shard as a whole, because opening it would read its layers. What cannot be
    /// looked at is opened all the same, to say so: other machines may be able to.
    fn is_for_others(&self, found: &Found) -> bool {
        let shard = self.run.options.shard.filter(|_| open::reads_layers_for_sure(&found.source));
        shard.is_some_and(|shard| !shard.has_source(&found.text))
    }

    /// Returns an image and the layers that nobody has asked for before; none if the store knows it.
    fn plan_image(&mut self, source: usize, plan: ImagePlan) -> Option<(PlannedImage, Vec<Job>)> {
        match self.worker.pass_known_image(source, &plan) {
            Ok(true) => return None,
            Ok(false) => {}
            Err(error) => {
                self.worker.fail(source, &plan.origin, error);
                return None;
            }
        }
        let states = plan.layers.iter().map(|layer| self.worker.state_of(layer));
        let layers = match states.collect::<Result<Vec<_>, _>>() {
            Ok(layers) => layers,
            Err(error) => {
                self.worker.fail(source, &plan.origin, error);
                return None;
            }
        };
        let mut jobs = Vec::new();
        for (state, layer) in layers.iter().zip(&plan.layers) {
            if let (LayerState::Pending(key), Ok(Blob::Range(range))) = (state, &layer.blob) {
                jobs.extend(self.job(key, range, &layer.promise));
            }
        }
        Some((PlannedImage { source, plan, layers, permitted: true }, jobs))
    }

    fn job(&mut self, key: &LayerKey, range: &FileRange, promise: &Promise) -> Option<Job> {
        if !self.queued.insert(key.clone()) {
            return None;
        }
        (self.run.observer)(Progress::LayerQueued(range.len_bytes()));
        Some(Job::Read(key.clone(), range.clone(), Box::new(promise.clone())))
    }

    /// The collector may have stopped; then nobody is left to tell.
    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}
