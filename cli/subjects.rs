//! The images that a question is about: stored ones by name, all others as they are read.
//!
//! Here is everything that stands between a source on the command line and an image that can be asked about, for every
//! command that asks. What cannot be read is handed back as [`Trouble`]; who asks decides how to tell it.

use layerprint_ingest::progress::{Failure, Progress, SkipReason, Summary};
use layerprint_ingest::{IngestError, Options, Source, Transport};
use layerprint_query::Subject;
use layerprint_store::{Index, Platform, Store, StoreError};
use serde::Serialize;

use crate::args::Global;
use crate::error::{Status, hint_of};
use crate::ingest::ingest;
use crate::output::{counted, plain};
use crate::progress::{Bars, complain};
use crate::store::Published;

/// Asks about one image; the text is where it was read from.
pub type Ask<'a> = &'a mut dyn FnMut(&str, &Subject) -> anyhow::Result<Status>;

/// A source, or an image in it, about which nothing can be said.
#[derive(Debug, Clone, Serialize)]
pub struct Trouble {
    /// Which.
    pub source: String,
    /// Why.
    pub error: String,
    /// What may be done about it.
    pub hint: Option<String>,
    /// How bad it is.
    #[serde(skip)]
    pub status: Status,
    /// True if it is no image at all.
    #[serde(skip)]
    pub is_no_image: bool,
}

impl Trouble {
    /// Says that something could not be read.
    pub fn failed(source: &str, error: &anyhow::Error) -> Self {
        let (error, hint) = (crate::error::message(error), crate::error::hint(error));
        Self { source: source.to_owned(), error, hint, status: Status::Failed, is_no_image: false }
    }

    /// Tells it on standard error.
    pub fn complain(&self) {
        // Most errors say where they are themselves.
        let line = match self.error.starts_with(&self.source) {
            true => self.error.clone(),
            false => format!("{}: {}", self.source, self.error),
        };
        let prefix = if self.status == Status::Failed { "error: " } else { "" };
        complain(&format!("{prefix}{}", plain(&line)));
        if let Some(hint) = &self.hint {
            complain(&format!("hint: {}", plain(hint)));
        }
    }
}

impl From<&Failure> for Trouble {
    fn from(failure: &Failure) -> Self {
        Self {
            source: failure.origin.clone(),
            error: failure.error.to_string(),
            hint: hint_of(&failure.error),
            status: Status::Failed,
            is_no_image: matches!(failure.error, IngestError::NotAnImage { .. }),
        }
    }
}

/// Reads images to ask about.
pub struct Reader<'a> {
    pub global: &'a Global,
    pub published: &'a Published,
    pub options: Options,
    /// Where they are put as well, if they are.
    pub store: Option<&'a Store>,
}

/// The status of what was asked, and what could not be.
pub type Asked = (Status, Vec<Trouble>);

impl Reader<'_> {
    /// Asks about every image of a source, in order.
    pub fn each(&self, source: &Source, ask: Ask) -> anyhow::Result<Asked> {
        match self.published.ask(|index| stored(index, source, self.options.platform.as_ref()))? {
            Stored::Image(subject) => return Ok((ask(&source.to_string(), &subject)?, Vec::new())),
            Stored::ForAnother => return Ok((Status::Nothing, vec![for_another(source)])),
            Stored::No => {}
        }
        match self.store {
            Some(store) => self.save(store, source, ask),
            None => self.read(source, ask),
        }
    }

    fn read(&self, source: &Source, ask: Ask) -> anyhow::Result<Asked> {
        let bars = Bars::new(self.global.quiet, "find");
        let observer = |event: Progress| bars.on(&event);
        let sources = std::slice::from_ref(source);
        let index = self.published.index();
        let read = layerprint_ingest::read(sources, Some(&index), &self.options, &observer);
        bars.finish();
        let (images, summary) = read?;
        let mut status = Status::Done;
        for image in images {
            let image = image?;
            let subject = Subject::new(image.record, image.names, image.layers);
            status = status.max(ask(&image.origin, &subject)?);
        }
        let mut troubles: Vec<Trouble> = summary.failed.iter().map(Trouble::from).collect();
        troubles.extend(nothing(source, &summary));
        Ok((status, troubles))
    }

    fn save(&self, store: &Store, source: &Source, ask: Ask) -> anyhow::Result<Asked> {
        // Every image is to be answered for, so none may be skipped as unchanged.
        let options = Options { rescan: true, ..self.options.clone() };
        let global = Global { json: false, ..self.global.clone() };
        // Failures are told as they happen.
        let (summary, _) = ingest(&global, std::slice::from_ref(source), store, &options)?;
        self.published.refresh()?;
        let mut status = if summary.failed.is_empty() { Status::Done } else { Status::Failed };
        for row in &summary.images {
            let subject = self.published.ask(|index| Subject::stored(index, &row.id))?;
            status = status.max(ask(&row.origin, &subject)?);
        }
        Ok((status, nothing(source, &summary).into_iter().collect()))
    }
}

/// A source without an image is no success, and nobody should have to guess why.
fn nothing(source: &Source, summary: &Summary) -> Option<Trouble> {
    if !summary.failed.is_empty() || summary.images_new + summary.images_known > 0 {
        return None;
    }
    let skipped = |reason| summary.skipped.iter().filter(|skipped| skipped.reason == reason).count() as u64;
    let found = match skipped(SkipReason::OtherPlatform) {
        0 => format!("{} looked at, none is an image", counted(summary.skipped.len() as u64, "file")),
        other => format!("{}, all for another platform", counted(other, "image")),
    };
    let error = format!("nothing to answer for: {found}");
    Some(Trouble {
        source: source.to_string(),
        error,
        hint: None,
        status: Status::Nothing,
        is_no_image: true,
    })
}

/// What a source is among what is stored.
enum Stored {
    Image(Box<Subject>),
    /// Images, but none for the platform that is wanted.
    ForAnother,
    No,
}

/// A bare name that is no path may be that of a stored image.
fn stored(index: &Index, source: &Source, wanted: Option<&Platform>) -> Result<Stored, StoreError> {
    if source.transport != Transport::Detect || source.is_stdin() || source.path.exists() {
        return Ok(Stored::No);
    }
    let text = source.to_string();
    match index.resolve_for(&text, wanted) {
        Ok(layerprint_store::Subject::Image(id)) => Ok(Stored::Image(Box::new(Subject::stored(index, &id)?))),
        Err(StoreError::NotFound { .. }) if wanted.is_some() => match index.resolve(&text) {
            Ok(layerprint_store::Subject::Image(_)) | Err(StoreError::Ambiguous { .. }) => {
                Ok(Stored::ForAnother)
            }
            _ => Ok(Stored::No),
        },
        Ok(layerprint_store::Subject::Layer(_)) | Err(StoreError::NotFound { .. }) => Ok(Stored::No),
        Err(error) => Err(error),
    }
}

fn for_another(source: &Source) -> Trouble {
    let error = "nothing to answer for: what is stored under this name is for another platform".to_owned();
    Trouble { source: source.to_string(), error, hint: None, status: Status::Nothing, is_no_image: false }
}
