//! The calling thread of a run: pairs images with their layers, commits in groups, tells and counts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use layerprint_store::id::{DiffId, ImageId};

use crate::error::{IngestError, LayerError};
use crate::job::{Event, Job, LayerKey, LayerState, PlannedImage, ReadyImage};
use crate::pipeline::Run;
use crate::progress::{Failure, ImageRow, Progress, SkipReason, Summary};
use crate::seen::Seen;

/// Images that are committed together at most. A commit costs two waits for the disk.
const GROUP_IMAGES_MAX: usize = 256;
/// The longest that an image waits for its commit while others arrive.
const GROUP_TIME_MAX: Duration = Duration::from_secs(2);

/// How often it is looked whether a stop was asked for.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long what was begun may take before it is told that it is waited for.
const STOP_SILENCE: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) struct Collector<'a> {
    run: &'a Run<'a>,
    jobs: Sender<Job>,
    permits: Receiver<()>,
    commit: &'a dyn Fn() -> Result<(), IngestError>,
    layers: HashMap<LayerKey, Result<DiffId, Arc<LayerError>>>,
    waiting: HashMap<LayerKey, Vec<u64>>,
    images: HashMap<u64, PlannedImage>,
    images_seen: u64,
    finishing: u64,
    sources: HashMap<usize, SourceState>,
    planned: bool,
    group: Vec<ImageRow>,
    group_since: Instant,
    /// True if anything happened since the last commit.
    uncommitted: bool,
    stopping: Stopping,
    summary: Summary,
}

/// Whether the run was asked to stop.
#[derive(Clone, Copy)]
enum Stopping {
    NotAsked,
    Since(Instant),
    Told,
}

/// A source whose images are not all done.
struct SourceState {
    /// None where nothing is stored, or nothing tells whether it changes.
    seen: Option<Seen>,
    images: Vec<ImageId>,
    unfinished: u64,
    closed: bool,
    failed: bool,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(
        run: &'a Run<'a>,
        jobs: Sender<Job>,
        permits: Receiver<()>,
        commit: &'a dyn Fn() -> Result<(), IngestError>,
    ) -> Self {
        Self {
            run,
            jobs,
            permits,
            commit,
            layers: HashMap::new(),
            waiting: HashMap::new(),
            images: HashMap::new(),
            images_seen: 0,
            finishing: 0,
            sources: HashMap::new(),
            planned: false,
            group: Vec::new(),
            group_since: Instant::now(),
            uncommitted: false,
            stopping: Stopping::NotAsked,
            summary: Summary::default(),
        }
    }

    /// Takes events until everything is done.
    pub(crate) fn collect(mut self, events: &Receiver<Event>) -> Result<Summary, IngestError> {
        loop {
            match events.recv_timeout(LOOK_AGAIN) {
                Ok(event) => self.take(event)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let is_due = self.uncommitted && self.group_since.elapsed() > GROUP_TIME_MAX;
            if self.group.len() >= GROUP_IMAGES_MAX || is_due {
                self.commit_group()?;
            }
            self.notice_stop();
            if self.planned && self.images.is_empty() && self.finishing == 0 && self.sources.is_empty() {
                break;
            }
        }
        self.commit_group()?;
        Ok(self.summary)
    }

    /// Says so where what was begun when a stop was asked for takes long.
    fn notice_stop(&mut self) {
        self.stopping = match self.stopping {
            Stopping::NotAsked if self.run.options.stop.is_requested() => Stopping::Since(Instant::now()),
            Stopping::Since(asked) if asked.elapsed() > STOP_SILENCE => {
                (self.run.observer)(Progress::Stopping(self.run.memory.layers()));
                Stopping::Told
            }
            as_before => as_before,
        }
    }

    fn take(&mut self, event: Event) -> Result<(), IngestError> {
        self.uncommitted = true;
        match event {
            Event::SourceOpened(number, seen) => {
                let state =
                    SourceState { seen, images: Vec::new(), unfinished: 0, closed: false, failed: false };
                self.sources.insert(number, state);
            }
            Event::SourceClosed(number) => {
                self.source(number, |state| state.closed = true);
                self.close(number)?;
            }
            Event::Skipped(skipped, images) => {
                self.summary.images_known += images;
                (self.run.observer)(Progress::Skipped(&skipped));
                // Some are counted, not listed: there may be thousands.
                match skipped.reason {
                    SkipReason::Unchanged => self.summary.sources_unchanged += 1,
                    SkipReason::OtherShard => self.summary.other_shard += 1,
                    _ => self.summary.skipped.push(skipped),
                }
            }
            Event::Known(number, row) => {
                self.source(number, |state| state.images.push(row.id));
                self.group.push(row);
            }
            Event::Image(planned) => self.take_image(*planned)?,
            Event::Layer(key, result) => self.take_layer(&key, &result)?,
            Event::Finished(number, row) => {
                self.finishing -= 1;
                self.source(number, |state| state.images.push(row.id));
                self.finish_one(number)?;
                self.group.push(row);
            }
            Event::Unfinished(number, failure) => {
                self.finishing -= 1;
                self.fail(Some(number), failure);
                self.finish_one(number)?;
            }
            Event::Failed(number, failure) => self.fail(number, failure),
            Event::Left(number, images) => self.leave(number, images),
            Event::Planned { all } => {
                self.planned = true;
                (self.run.observer)(Progress::Planned);
                self.summary.stopped |= !all;
            }
            Event::Fatal(error) => return Err(error),
        }
        Ok(())
    }

    fn take_image(&mut self, planned: PlannedImage) -> Result<(), IngestError> {
        let number = self.images_seen;
        self.images_seen += 1;
        self.source(planned.source, |state| state.unfinished += 1);
        for layer in &planned.layers {
            match layer {
                LayerState::Pending(key) if !self.layers.contains_key(key) => {
                    self.waiting.entry(key.clone()).or_default().push(number);
                }
                _ => {}
            }
        }
        self.images.insert(number, planned);
        self.finish_if_ready(number)
    }

    fn take_layer(
        &mut self,
        key: &LayerKey,
        result: &Result<DiffId, Arc<LayerError>>,
    ) -> Result<(), IngestError> {
        self.layers.insert(key.clone(), result.clone());
        for number in self.waiting.remove(key).unwrap_or_default() {
            self.finish_if_ready(number)?;
        }
        Ok(())
    }

    /// Sends an image on once nothing is pending for it. An image may wait twice for one layer, or be gone already.
    fn finish_if_ready(&mut self, number: u64) -> Result<(), IngestError> {
        let Some(planned) = self.images.get(&number) else { return Ok(()) };
        let known = |layer: &LayerState| match layer {
            LayerState::Known(diff_id) => Some(Ok(*diff_id)),
            LayerState::Broken(error) => Some(Err(error.clone())),
            LayerState::Pending(key) => self.layers.get(key).cloned(),
        };
        let Some(layers) = planned.layers.iter().map(known).collect::<Option<Vec<_>>>() else {
            return Ok(());
        };
        let planned = self.images.remove(&number).expect("it was there a line above");
        if planned.permitted {
            // Held since the image was planned, so one is there.
            let _ = self.permits.try_recv();
        }
        self.send_on(planned, layers)
    }

    fn send_on(
        &mut self,
        planned: PlannedImage,
        layers: Vec<Result<DiffId, Arc<LayerError>>>,
    ) -> Result<(), IngestError> {
        let PlannedImage { source, plan, .. } = planned;
        let broken = layers.iter().enumerate();
        let broken = broken.filter_map(|(index, layer)| Some((index, layer.as_ref().err()?.clone())));
        // What is wrong with a layer is worth telling, also where another was left out.
        let Some((index, error)) = broken.min_by_key(|(_, error)| matches!(**error, LayerError::Stopped))
        else {
            let layers = layers.into_iter().map(|layer| layer.expect("none is broken")).collect();
            let ready = ReadyImage { source, plan, layers };
            self.finishing += 1;
            self.jobs.send(Job::Finish(Box::new(ready))).expect("workers live as long as there are jobs");
            return Ok(());
        };
        if matches!(*error, LayerError::Stopped) {
            self.leave(source, 1);
            return self.finish_one(source);
        }
        let error = IngestError::Layer { index, layer: plan.layers[index].name.clone(), source: error };
        self.fail(Some(source), Failure { origin: plan.origin, error });
        self.finish_one(source)
    }

    fn fail(&mut self, number: Option<usize>, failure: Failure) {
        if let Some(number) = number {
            self.source(number, |state| state.failed = true);
        }
        (self.run.observer)(Progress::Failed(&failure));
        self.summary.failed.push(failure);
    }

    /// A source of which something is left is not taken for read.
    fn leave(&mut self, number: usize, images: u64) {
        self.source(number, |state| state.failed = true);
        self.summary.stopped = true;
        self.summary.images_left += images;
    }

    fn finish_one(&mut self, number: usize) -> Result<(), IngestError> {
        self.source(number, |state| state.unfinished -= 1);
        self.close(number)
    }

    /// Remembers a source when all its images are done. It is committed with them or after them.
    fn close(&mut self, number: usize) -> Result<(), IngestError> {
        if self.sources.get(&number).is_none_or(|state| !state.closed || state.unfinished > 0) {
            return Ok(());
        }
        let done = self.sources.remove(&number).expect("it was there a line above");
        match (self.run.seen, done.seen) {
            (Some(sources), Some(seen)) if !done.failed => Ok(sources.enter(seen, &done.images)?),
            _ => Ok(()),
        }
    }

    fn source(&mut self, number: usize, change: impl FnOnce(&mut SourceState)) {
        if let Some(state) = self.sources.get_mut(&number) {
            change(state);
        }
    }

    /// Commits, and only then tells of the images.
    fn commit_group(&mut self) -> Result<(), IngestError> {
        (self.commit)()?;
        for row in self.group.drain(..) {
            match row.known {
                true => self.summary.images_known += 1,
                false => self.summary.images_new += 1,
            }
            (self.run.observer)(Progress::ImageDone(&row));
            self.summary.images.push(row);
        }
        self.group_since = Instant::now();
        self.uncommitted = false;
        Ok(())
    }
}
