//! How a run ends, and what is said when it fails.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use layerprint_ingest::IngestError;
use layerprint_ingest::source::UnknownTransport;
use layerprint_store::{ImportError, StoreError};

use crate::disk::{self, Place};
use crate::escape::plain_lines;
use crate::ingest::SharedStdin;
use crate::output::{counted, plain};
use crate::policy::PolicyError;
use crate::private::NotPrivate;
use crate::progress::complain;
use crate::replace::CannotWrite;
use crate::report::{NotAnOutput, RowsError};
use crate::who_has::NotAsked;

/// The exit status. Ordered: of several, the last one is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Done, or found.
    Done,
    /// Nothing found, or not what was expected.
    Nothing,
    /// Something failed.
    Failed,
    /// Stopped by SIGINT: Ctrl-C.
    Interrupted,
    /// Stopped by SIGTERM.
    Terminated,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(match status {
            Status::Done => 0,
            Status::Nothing => 1,
            Status::Failed => 2,
            // As a shell tells of a process that a signal ended.
            Status::Interrupted => 130,
            Status::Terminated => 143,
        })
    }
}

/// An ingest that the store, or the disk below it, brought to an end. What was told of is stored.
#[derive(Debug)]
pub struct Aborted {
    pub cause: IngestError,
    pub images_stored: u64,
}

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl Error for Aborted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

impl Aborted {
    /// Returns what the user may do to go on.
    fn hint(&self) -> Option<String> {
        let first = hint_of(&self.cause)?;
        let stored = counted(self.images_stored, "image");
        let are = if self.images_stored == 1 { "is" } else { "are" };
        Some(format!("{first}; {stored} of this run {are} stored"))
    }
}

/// A mistake on the command line, with what may be done about it.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Mistake {
    pub what: String,
    pub hint: &'static str,
}

impl Mistake {
    /// Says what is wrong.
    pub fn new(what: impl Into<String>, hint: &'static str) -> Self {
        Self { what: what.into(), hint }
    }
}

/// Returns what may be done about a file that a command is to read.
pub fn input_hint(kind: ErrorKind, wanted: &str) -> Option<String> {
    Some(match kind {
        ErrorKind::NotFound | ErrorKind::InvalidData => wanted.to_owned(),
        ErrorKind::IsADirectory => "name a file in it".into(),
        _ => return None,
    })
}

/// Ends with what is wrong with a command line, or with the help that was asked for. clap repeats what was typed as it was typed, and
/// scripts type names of images: a message that would show a harmful character loses its colours and is escaped.
pub fn exit_unparsed(error: &clap::Error) -> ! {
    let text = error.render().to_string();
    let shown = plain_lines(&text);
    if shown == text {
        error.exit();
    }
    let _ = io::stderr().write_all(shown.as_bytes());
    std::process::exit(error.exit_code())
}

/// Prints an error, with what may be done about it.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        return Status::Done.into();
    }
    complain(&format!("error: {}", plain(&message(error))));
    if let Some(hint) = hint(error) {
        complain(&format!("hint: {}", plain(&hint)));
    }
    Status::Failed.into()
}

/// Joins an error with its causes. Most of ours name their cause themselves; it is not said twice.
pub fn message(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |message, cause| match message.as_str() {
        "" => cause,
        told if told.ends_with(&cause) => message,
        told if cause.starts_with(&format!("{told}: ")) => cause,
        told => format!("{told}: {cause}"),
    })
}

/// Whoever reads our output has seen enough: no error.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    io.into_iter().any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}

/// Returns what the user may do about an error.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    if let Some(aborted) = error.downcast_ref::<Aborted>() {
        return aborted.hint();
    }
    error.chain().find_map(|cause| {
        let ingest = cause.downcast_ref::<IngestError>().and_then(hint_of);
        let store = || cause.downcast_ref::<StoreError>().and_then(store_hint);
        let transport = || cause.downcast_ref::<UnknownTransport>().map(UnknownTransport::hint);
        let not_asked = || cause.downcast_ref::<NotAsked>().and_then(NotAsked::hint);
        let output = || cause.downcast_ref::<NotAnOutput>().and_then(NotAnOutput::hint);
        let file = || cause.downcast_ref::<CannotWrite>().and_then(CannotWrite::hint);
        let spool = || cause.downcast_ref::<NotPrivate>().and_then(NotPrivate::hint);
        let stdin = || cause.downcast_ref::<SharedStdin>().map(SharedStdin::hint);
        let export = || cause.downcast_ref::<ImportError>().and_then(import_hint);
        let mistake = || cause.downcast_ref::<Mistake>().map(|mistake| mistake.hint.to_owned());
        let policy = || cause.downcast_ref::<PolicyError>().and_then(PolicyError::hint);
        let rows = || cause.downcast_ref::<RowsError>().and_then(RowsError::hint);
        let system = || cause.downcast_ref::<io::Error>().and_then(|error| disk::hint(error, Place::File));
        let here = || {
            mistake()
                .or_else(policy)
                .or_else(rows)
                .or_else(output)
                .or_else(file)
                .or_else(spool)
                .or_else(system)
        };
        ingest
            .or_else(store)
            .or_else(transport)
            .or_else(stdin)
            .or_else(export)
            .or_else(not_asked)
            .or_else(here)
    })
}

/// Returns what the user may do about an image that cannot be read.
pub fn hint_of(error: &IngestError) -> Option<String> {
    match error {
        IngestError::Store(error) => store_hint(error),
        IngestError::Io { path, source } if source.kind() == ErrorKind::NotFound => {
            let name = path.display().to_string();
            let is_name =
                !name.starts_with(['/', '.', '~']) && !name.ends_with('/') && !name.contains(".tar");
            is_name.then(|| {
                format!(
                    "no file of that name, nor a stored image; Docker's can be piped in: docker save {name} | layerprint find -"
                )
            })
        }
        IngestError::Io { source, .. } => disk::hint(source, Place::File),
        error => error.hint(),
    }
}

/// Returns what the user may do about an export that cannot be read.
fn import_hint(error: &ImportError) -> Option<String> {
    Some(match error {
        ImportError::NotAnExport => {
            "import reads what `layerprint export` wrote, not compressed; images are for `layerprint ingest`".into()
        }
        ImportError::Version { .. } => "use the version of layerprint that wrote it, or export it again".into(),
        ImportError::Truncated { .. } | ImportError::Malformed { .. } | ImportError::TooLarge { .. } => {
            "copy or export it again: what was committed before stays, and importing it again goes on from there".into()
        }
        ImportError::Store(error) => return store_hint(error),
        _ => return None,
    })
}

fn store_hint(error: &StoreError) -> Option<String> {
    Some(match error {
        StoreError::Missing { .. } => {
            "read some bases first: layerprint ingest FOLDER; or name another --store".into()
        }
        StoreError::NotAStore { .. } => "give --store a folder of its own".into(),
        StoreError::Locked { .. } => "wait for the other layerprint to finish, or use another --store".into(),
        StoreError::FormatVersion { .. } => {
            "use the version of layerprint that wrote the store, or ingest again into a new --store".into()
        }
        StoreError::Catalogue { .. } | StoreError::OpenTimeout { .. } => {
            "run the same command again: the catalogue is rebuilt from the packs".into()
        }
        StoreError::Io { source, .. } => return disk::hint(source, Place::Store),
        StoreError::IndexDamaged { .. } | StoreError::NotPublished { .. } => {
            "run `layerprint reindex`, which rebuilds the index from the stored fingerprints".into()
        }
        StoreError::Corrupt { .. } => {
            "`layerprint check` says what is damaged, `layerprint repair` repairs what can be repaired".into()
        }
        StoreError::UnreadableLayer { .. } => {
            "run `layerprint repair`, then ingest the images that have the layer again".into()
        }
        StoreError::NotFound { .. } => "layerprint list shows what is stored".into(),
        StoreError::Ambiguous { .. } => "give more digits, or one of the IDs".into(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = io::Error::other("disk on fire");
        let told: anyhow::Error = IngestError::Io { path: "store".into(), source: cause }.into();
        assert_eq!(message(&told), "store: disk on fire");
        let untold: anyhow::Result<()> = Err(io::Error::other("disk on fire")).context("store");
        assert_eq!(message(&untold.unwrap_err()), "store: disk on fire");
    }
}
