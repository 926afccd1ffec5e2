//! Sources -> images and the layers that must be read for them.

use std::collections::HashSet;

use crossbeam_channel::Sender;

use crate::discover::{self, Found};
use crate::error::IngestError;
use crate::job::{Event, Job, LayerKey, LayerState, PlannedImage};
use crate::layer::Promise;
use crate::open;
use crate::pipeline::Run;
use crate::plan::ImagePlan;
use crate::progress::{Failure, Progress, SkipReason, Skipped};
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

/// The collector is gone, and with it the reason to go on.
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
        for source in sources {
            for found in discover::expand(source) {
                let planned = match found {
                    Ok(found) => self.plan_source(found),
                    Err(error) => {
                        self.tell(Event::Failed(None, Failure { origin: source.to_string(), error }));
                        Ok(())
                    }
                };
                if planned.is_err() {
                    return;
                }
            }
        }
        self.tell(Event::Planned);
    }

    fn plan_source(&mut self, found: Found) -> Result<(), Stopped> {
        if self.is_for_others(&found) {
            self.tell(Event::Skipped(Skipped::of_other_shard(found.source.to_string()), 0));
            return Ok(());
        }
        let number = self.next_source;
        self.next_source += 1;
        let seen = self.run.seen.and_then(|sources| sources.look(&found.source));
        let unchanged = match (self.run.seen, &seen) {
            (Some(sources), Some(seen)) => sources.unchanged(seen, found.named),
            _ => Ok(None),
        };
        match unchanged {
            Err(error) => self.tell(Event::Fatal(error.into())),
            Ok(Some(images)) => {
                let skipped = Skipped { origin: found.source.to_string(), reason: SkipReason::Unchanged };
                self.tell(Event::Skipped(skipped, images));
            }
            Ok(None) => {
                self.tell(Event::SourceOpened(number, seen));
                if open::reads_layers(&found.source) {
                    return self.jobs.send(Job::Open(number, found)).map_err(|_| Stopped);
                }
                let plans = self.worker.open(number, &found);
                plans.into_iter().try_for_each(|plan| self.plan_image(number, plan))?;
                self.tell(Event::SourceClosed(number));
            }
        }
        Ok(())
    }

    /// Returns true if a source falls to another part as a whole, because opening it would read its layers. What cannot be
    /// looked at is opened all the same, to say so: other machines may be able to.
    fn is_for_others(&self, found: &Found) -> bool {
        let shard = self.run.options.shard.filter(|_| open::reads_layers_for_sure(&found.source));
        shard.is_some_and(|shard| !shard.has_source(&found.text))
    }

    fn plan_image(&mut self, source: usize, plan: ImagePlan) -> Result<(), Stopped> {
        match self.worker.pass_known_image(source, &plan) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => self.tell(Event::Fatal(IngestError::Store(error))),
        }
        self.permits.send(()).map_err(|_| Stopped)?;
        let mut layers = Vec::with_capacity(plan.layers.len());
        for layer in &plan.layers {
            match self.worker.state_of(layer) {
                Ok(LayerState::Pending(key)) => {
                    if let Ok(Blob::Range(range)) = &layer.blob {
                        self.queue(&key, range, &layer.promise)?;
                    }
                    layers.push(LayerState::Pending(key));
                }
                Ok(state) => layers.push(state),
                Err(error) => self.tell(Event::Fatal(IngestError::Store(error))),
            }
        }
        self.tell(Event::Image(Box::new(PlannedImage { source, plan, layers, permitted: true })));
        Ok(())
    }

    fn queue(&mut self, key: &LayerKey, range: &FileRange, promise: &Promise) -> Result<(), Stopped> {
        if !self.queued.insert(key.clone()) {
            return Ok(());
        }
        (self.run.observer)(Progress::LayerQueued(range.len_bytes()));
        self.jobs.send(Job::Read(key.clone(), range.clone(), promise.clone())).map_err(|_| Stopped)
    }

    /// The collector may have stopped; then nobody is left to tell.
    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}
