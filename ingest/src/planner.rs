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
        let mut found = sources.iter().flat_map(|source| {
            let origin = move |error| Failure { origin: source.to_string(), error };
            discover::expand(source).into_iter().map(move |found| found.map_err(origin))
        });
        let planned = found.try_for_each(|found| match found {
            _ if self.run.is_ending() => Err(Stopped),
            Ok(found) => self.plan_source(found),
            Err(failure) => {
                self.tell(Event::Failed(None, failure));
                Ok(())
            }
        });
        self.tell(Event::Planned { all: planned.is_ok() });
    }

    fn plan_source(&mut self, found: Found) -> Result<(), Stopped> {
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
                let size_bytes = seen.as_ref().map(Seen::size_bytes);
                self.tell(Event::SourceOpened(number, seen));
                if open::reads_layers(&found.source) {
                    (self.run.observer)(Progress::ArchiveQueued(size_bytes.unwrap_or(0)));
                    return self.jobs.send(Job::Open(number, found)).map_err(|_| Stopped);
                }
                let plans = self.worker.open(number, &found);
                let planned = self.plan_images(number, plans);
                self.tell(Event::SourceClosed(number));
                return planned;
            }
        }
        Ok(())
    }

    fn plan_images(&mut self, source: usize, plans: Vec<ImagePlan>) -> Result<(), Stopped> {
        let mut plans = plans.into_iter();
        while let Some(plan) = plans.next() {
            if self.run.is_ending() {
                self.tell(Event::Left(source, 1 + plans.len() as u64));
                return Err(Stopped);
            }
            self.plan_image(source, plan)?;
        }
        Ok(())
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
