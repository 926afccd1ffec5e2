//! The steps that take time: opening what must be read at once, reading layers, finishing images.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use layerprint_store::StoreError;
use layerprint_store::id::DiffId;

use crate::codec::Codec;
use crate::discover::Found;
use crate::error::{IngestError, LayerError};
use crate::helpers::Next;
use crate::image;
use crate::job::{Event, Job, LayerKey, LayerState, PlannedImage, ReadyImage};
use crate::layer::{LayerRead, Promise};
use crate::memory::{HeldImage, Hold, building_bytes};
use crate::open::{self, Opener};
use crate::pipeline::Run;
use crate::plan::{ImagePlan, LayerPlan};
use crate::progress::{Failure, ImageRow, Progress, SkipReason, Skipped};
use crate::shard::Shard;
use crate::tree::{Blob, FileRange, LayerKnown};

/// Does the jobs of one thread.
pub(crate) struct Worker<'a> {
    run: &'a Run<'a>,
    events: Sender<Event>,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(run: &'a Run<'a>, events: Sender<Event>) -> Self {
        Self { run, events }
    }

    /// Does jobs, and helps while there are none, until there will be no more.
    pub(crate) fn serve(&self, jobs: &Receiver<Job>) {
        while let Some(next) = self.run.helpers.next(jobs) {
            match next {
                Next::Job(job) => self.work(job),
                // If it panics, the thread that is helped notices.
                Next::Task(task) => drop(guarded(|| task(&|| !jobs.is_empty()))),
            }
        }
    }

    fn work(&self, job: Job) {
        match job {
            Job::Open(number, _) if self.run.is_ending() => {
                self.tell(Event::Left(number, 0));
                self.tell(Event::SourceClosed(number));
            }
            Job::Read(key, ..) if self.run.is_ending() => {
                self.tell(Event::Layer(key, Err(Arc::new(LayerError::Stopped))));
            }
            Job::Open(number, found) => {
                for plan in self.open_and_read(number, &found) {
                    self.plan_image(number, plan);
                }
                self.tell(Event::SourceClosed(number));
            }
            Job::Read(key, range, promise) => match self.read(range, &promise) {
                Ok(known) => self.tell(Event::Layer(key, known.map_err(Arc::new))),
                Err(error) => self.tell(Event::Fatal(error.into())),
            },
            Job::Finish(image) => self.finish(*image),
        }
    }

    /// Finds the images of a source; tells why there are none.
    pub(crate) fn open(&self, number: usize, found: &Found, hold: &Arc<Hold>) -> Vec<ImagePlan> {
        let take_layer = |layer| {
            (self.run.observer)(Progress::LayerRead);
            let known = self.run.sink.put_layer(layer, "")?;
            hold.resize(0);
            Ok(known)
        };
        let layers = self.run.layers.within(Arc::clone(hold)).of_source(Arc::default());
        let on_read = |count| (self.run.observer)(Progress::Read(count));
        let opener = Opener {
            limits: &self.run.options.limits,
            layers: &layers,
            take_layer: &take_layer,
            on_read: &on_read,
            is_ending: &|| self.run.is_ending(),
        };
        let opened = guarded(|| open::images(&found.source, &opener));
        let plans = match opened.unwrap_or_else(|error| Err(broken(&found.source.to_string(), error))) {
            Ok(plans) => plans,
            Err(error) => {
                self.tell(self.failed(number, found, error));
                return Vec::new();
            }
        };
        // What is read as a whole was chosen as a whole.
        let shard = self.run.options.shard.filter(|_| !open::reads_layers(&found.source));
        let is_ours = |plan: &ImagePlan| shard.is_none_or(|shard| shard.has_image(plan, &found.text));
        let mut planned = Vec::new();
        for plan in plans {
            match plan {
                Ok(plan) if is_ours(&plan) => planned.extend(self.wanted(plan)),
                Ok(plan) => self.tell(Event::Skipped(Skipped::of_other_shard(plan.origin), 0)),
                Err(error) => self.tell(self.failed(number, found, error)),
            }
        }
        planned
    }

    /// Opens a source whose layers are read on the way. How much they take is not known before.
    fn open_and_read(&self, number: usize, found: &Found) -> Vec<ImagePlan> {
        let hold = self.run.memory.begin_layer(u64::MAX);
        if self.run.is_ending() {
            self.tell(Event::Left(number, 0));
            return Vec::new();
        }
        self.open(number, found, &hold)
    }

    /// What is wrong with a source, or with an image before it is known which it is, is told by one of several machines. What the
    /// operating system refuses is told by each: others may be able to read what this one leaves out.
    fn failed(&self, number: usize, found: &Found, error: IngestError) -> Event {
        let is_ours = |shard: Shard| {
            let is_told_by_all = matches!(error, IngestError::Io { .. } | IngestError::Store(_));
            is_told_by_all || shard.has_source(&found.text)
        };
        match self.run.options.shard {
            Some(shard) if !is_ours(shard) => {
                Event::Skipped(Skipped::of_other_shard(found.source.to_string()), 0)
            }
            _ => unopened(number, found, error),
        }
    }

    fn wanted(&self, mut plan: ImagePlan) -> Option<ImagePlan> {
        let options = self.run.options;
        if options.platform.as_ref().is_some_and(|wanted| !plan.is_for(wanted)) {
            let skipped = Skipped { origin: plan.origin, reason: SkipReason::OtherPlatform };
            self.tell(Event::Skipped(skipped, 0));
            return None;
        }
        if plan.names.is_empty() {
            plan.names.push(options.name.clone().unwrap_or_else(|| plan.origin.clone()));
        }
        (self.run.observer)(Progress::ImageFound);
        Some(plan)
    }

    /// Hands on an image that the store knows by its manifest: the manifest was verified, and it names everything else
    /// by digest. Returns true if it did.
    pub(crate) fn pass_known_image(&self, source: usize, plan: &ImagePlan) -> Result<bool, StoreError> {
        let Some(id) = self.run.sink.put_known_image(plan)? else { return Ok(false) };
        plan.layers.iter().for_each(|_| (self.run.observer)(Progress::LayerKnown));
        let row = ImageRow { id, origin: plan.origin.clone(), names: plan.names.clone(), known: true };
        self.tell(Event::Known(source, row));
        Ok(true)
    }

    fn plan_image(&self, source: usize, plan: ImagePlan) {
        match self.pass_known_image(source, &plan) {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => return self.fail(source, &plan.origin, error),
        }
        let states: Result<Vec<_>, _> = plan.layers.iter().map(|layer| self.state_now(layer)).collect();
        match states {
            Ok(layers) => {
                let planned = PlannedImage { source, plan, layers, permitted: false };
                self.tell(Event::Image(Box::new(planned)));
            }
            Err(error) => self.fail(source, &plan.origin, error),
        }
    }

    /// Tells of an image that could not be planned, or of the end of the run.
    pub(crate) fn fail(&self, source: usize, origin: &str, error: StoreError) {
        self.tell(match is_own(&error) {
            true => Event::Failed(Some(source), Failure { origin: origin.to_owned(), error: error.into() }),
            false => Event::Fatal(error.into()),
        });
    }

    /// Like [`Worker::state_of`], and reads what is pending.
    fn state_now(&self, layer: &LayerPlan) -> Result<LayerState, StoreError> {
        match (self.state_of(layer)?, &layer.blob) {
            (LayerState::Pending(_), Ok(Blob::Range(_))) if self.run.is_ending() => {
                Ok(LayerState::Broken(Arc::new(LayerError::Stopped)))
            }
            (LayerState::Pending(_), Ok(Blob::Range(range))) => {
                Ok(state(self.read(range.clone(), &layer.promise)?.map_err(Arc::new)))
            }
            (state, _) => Ok(state),
        }
    }

    /// Tells whether a layer must be read.
    pub(crate) fn state_of(&self, layer: &LayerPlan) -> Result<LayerState, StoreError> {
        // One that was read a moment ago was not known.
        if let Ok(Blob::Layer(Ok(known))) = &layer.blob {
            return Ok(state(verify(known, &layer.promise).map_err(Arc::new)));
        }
        if let Some(diff_id) = self.known(&layer.promise)? {
            return Ok(LayerState::Known(diff_id));
        }
        Ok(match &layer.blob {
            Ok(Blob::Range(range)) => LayerState::Pending(key(range, &layer.promise)),
            Ok(Blob::Layer(Ok(known))) => state(verify(known, &layer.promise).map_err(Arc::new)),
            Ok(Blob::Layer(Err(error))) => LayerState::Broken(error.clone()),
            Ok(Blob::Document(bytes)) => state(self.read_bytes(bytes, &layer.promise)?.map_err(Arc::new)),
            Err(missing) => match layer.promise.diff_id {
                Some(diff_id) if self.run.sink.has_layer(&diff_id)? => LayerState::Known(diff_id),
                _ => LayerState::Broken(Arc::new(LayerError::Missing { what: missing.0.clone() })),
            },
        })
    }

    /// Returns the layer that promised bytes unpack to, if it need not be read. What the configuration contradicts is read, for
    /// one of the two is wrong: another machine may have told the store so.
    fn known(&self, promise: &Promise) -> Result<Option<DiffId>, StoreError> {
        let known = match &promise.digest {
            Some(digest) => self.run.sink.layer_of_blob(digest, &promise.media_type)?,
            None => None,
        };
        let known = known.filter(|known| promise.diff_id.is_none_or(|claimed| claimed == *known));
        if known.is_some() {
            (self.run.observer)(Progress::LayerKnown);
        }
        Ok(known)
    }

    fn read(&self, range: FileRange, promise: &Promise) -> Result<Result<DiffId, LayerError>, StoreError> {
        // The same bytes may have been read from another place since this was queued.
        if let Some(diff_id) = self.known(promise)? {
            return Ok(Ok(diff_id));
        }
        let hold = self.run.memory.begin_layer(range.len_bytes());
        // It may have been a long time until there was room.
        if self.run.is_ending() {
            return Ok(Err(LayerError::Stopped));
        }
        let on_read = |count| (self.run.observer)(Progress::Read(count));
        let layers = self.run.layers.within(Arc::clone(&hold)).of_source(range.sums());
        let read = guarded(|| layers.read_helped(range, promise, &on_read));
        if let Ok(Ok(LayerRead { fingerprint, .. })) = &read {
            hold.resize(building_bytes(fingerprint.entries().len() as u64, fingerprint.paths_bytes()));
        }
        self.put(read, promise)
    }

    /// A tar so small that it was taken for a document: its first name starts with a bracket, or it is empty.
    fn read_bytes(&self, bytes: &[u8], promise: &Promise) -> Result<Result<DiffId, LayerError>, StoreError> {
        self.put(guarded(|| self.run.layers.read(bytes, promise, &|_| ())), promise)
    }

    fn put(
        &self,
        read: Result<Result<LayerRead, LayerError>, LayerError>,
        promise: &Promise,
    ) -> Result<Result<DiffId, LayerError>, StoreError> {
        let layer = match read.and_then(|read| read) {
            Ok(layer) => layer,
            Err(error) => return Ok(Err(error)),
        };
        let digest = layer.digest;
        let before = self.run.sink.layer_of_blob(&digest, &promise.media_type)?;
        let known = match self.run.sink.put_layer(layer, &promise.media_type) {
            Err(error) if is_own(&error) => return Ok(Err(LayerError::Store(Box::new(error)))),
            known => known?,
        };
        if let Some(wrong) = before.filter(|before| *before != known.diff_id) {
            (self.run.observer)(Progress::Corrected { digest, wrong, right: known.diff_id });
        }
        (self.run.observer)(Progress::LayerRead);
        Ok(Ok(known.diff_id))
    }

    fn finish(&self, image: ReadyImage) {
        let ReadyImage { source, plan, layers } = image;
        let origin = plan.origin.clone();
        let finished = guarded(|| self.put_image(plan, layers));
        match finished.unwrap_or_else(|error| Err(broken(&origin, error))) {
            Ok(row) => self.tell(Event::Finished(source, row)),
            Err(IngestError::Store(error)) if !is_own(&error) => self.tell(Event::Fatal(error.into())),
            Err(error) => self.tell(Event::Unfinished(source, Failure { origin, error })),
        }
    }

    fn put_image(&self, plan: ImagePlan, layers: Vec<DiffId>) -> Result<ImageRow, IngestError> {
        let sink = self.run.sink;
        let held = HeldImage::new(&self.run.memory, &self.run.options.limits, &plan.origin);
        let read = |layer: &DiffId| {
            let missing = || IngestError::Missing { origin: plan.origin.clone(), what: layer.to_string() };
            let fingerprint = sink.fingerprint(layer)?.ok_or_else(missing)?;
            held.add(&fingerprint)?;
            Ok::<_, IngestError>(fingerprint)
        };
        self.note_media_types(&plan)?;
        let stack = sink.stacks().look(&layers, read)?;
        let (origin, names) = (plan.origin.clone(), plan.names.clone());
        let (record, documents) = image::describe(plan, layers, &stack);
        let id = record.id;
        let new = sink.put_image(record, (&origin, &names), documents, stack.steps)?;
        Ok(ImageRow { id, origin, names, known: !new })
    }

    /// Images that waited for one reading of a layer may call it by other media types than the one that it was read for.
    fn note_media_types(&self, plan: &ImagePlan) -> Result<(), StoreError> {
        for promise in plan.layers.iter().map(|layer| &layer.promise) {
            if let Some(digest) = &promise.digest {
                self.run.sink.note_media_type(digest, &promise.media_type)?;
            }
        }
        Ok(())
    }

    /// The collector may have stopped; then nobody is left to tell.
    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

fn key(range: &FileRange, promise: &Promise) -> LayerKey {
    let (path, offset_bytes) = range.place();
    (path, offset_bytes, promise.digest, promise.size_bytes, Codec::of_media_type(&promise.media_type))
}

fn state(known: Result<DiffId, Arc<LayerError>>) -> LayerState {
    known.map_or_else(LayerState::Broken, LayerState::Known)
}

/// Compares a layer that was read before its manifest with what the manifest says.
fn verify(known: &LayerKnown, promise: &Promise) -> Result<DiffId, LayerError> {
    match promise.digest {
        Some(expected) if expected != known.digest => {
            Err(LayerError::digest_mismatch(known.digest, expected))
        }
        _ => Ok(known.diff_id),
    }
}

/// What was found in a folder need not be an image; what was named must be.
fn unopened(number: usize, found: &Found, error: IngestError) -> Event {
    let origin = found.source.to_string();
    match error {
        IngestError::Store(error) if !is_own(&error) => Event::Fatal(error.into()),
        IngestError::Stopped { .. } => Event::Left(number, 1),
        IngestError::NotAnImage { .. } if !found.named => {
            Event::Skipped(Skipped { origin, reason: SkipReason::NotAnImage }, 0)
        }
        error => Event::Failed(Some(number), Failure { origin, error }),
    }
}

/// Tells what concerns one image from what is wrong with the store as a whole. The first must not stop a run: an image
/// with an impossible name, or one on a stored layer that is damaged.
fn is_own(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::TooLarge { .. }
            | StoreError::InvalidName { .. }
            | StoreError::ImageConflict { .. }
            | StoreError::Corrupt { .. }
    )
}

fn broken(origin: &str, source: LayerError) -> IngestError {
    IngestError::Archive { origin: origin.to_owned(), source }
}

/// A panic is a mistake of ours, but it costs one image, not the batch.
fn guarded<T>(step: impl FnOnce() -> T) -> Result<T, LayerError> {
    catch_unwind(AssertUnwindSafe(step)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        LayerError::Internal { what: text.unwrap_or("panic").to_owned() }
    })
}
