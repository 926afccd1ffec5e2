//! Where a report goes.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Format, Report, format, text};
use crate::args::{self, Global};
use crate::replace::{CannotWrite, check, is_device, replace, target};

/// Why there is nowhere to write to.
#[derive(Debug, thiserror::Error)]
pub enum NotAnOutput {
    /// What its name ends with says nothing.
    #[error("{0}: no format ends like this")]
    NoFormat(PathBuf),
    /// One would replace the other.
    #[error("{0}: --output names this file twice")]
    Twice(PathBuf),
    /// It cannot be written.
    #[error(transparent)]
    CannotWrite(#[from] CannotWrite),
}

impl NotAnOutput {
    /// Returns what may be done about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoFormat(_) => Some(format!("give --format, or one of {}", format::ENDINGS)),
            Self::Twice(_) => Some("give each format a file of its own".into()),
            Self::CannotWrite(error) => error.hint(),
        }
    }
}

/// Files, or else standard output.
pub struct Outputs {
    files: Vec<(PathBuf, Format)>,
    stdout: Option<Format>,
}

impl Outputs {
    /// Returns what was asked for, once it is known that all of it can be written: that is not to be found out after every
    /// image was asked.
    pub fn of(global: &Global, command: &args::Report) -> Result<Self, NotAnOutput> {
        let told = command.format.or(global.json.then_some(Format::Jsonl));
        let mut files = Vec::new();
        for path in command.output.iter().filter(|path| !is_stdout(path)) {
            let format =
                told.or_else(|| Format::of_path(path)).ok_or_else(|| NotAnOutput::NoFormat(path.clone()))?;
            files.push((path.clone(), format));
        }
        if let Some(path) = twice(&command.output) {
            return Err(NotAnOutput::Twice(path.to_owned()));
        }
        files.iter().try_for_each(|(path, _)| check(path))?;
        let is_printed = files.is_empty() || command.output.iter().any(|path| is_stdout(path));
        let stdout = is_printed.then(|| told.unwrap_or(Format::Text));
        Ok(Self { files, stdout })
    }

    /// Returns the file beside which rows wait.
    pub fn first_file(&self) -> Option<&Path> {
        self.files.iter().map(|(path, _)| &**path).find(|path| !is_device(path))
    }

    /// Returns true if what is printed is text.
    pub fn tells_people(&self) -> bool {
        self.stdout == Some(Format::Text)
    }

    /// Returns true if what images take is shown, which a pass over all layers must find out: only the page does.
    pub fn show_storage(&self) -> bool {
        let mut formats = self.files.iter().map(|(_, format)| *format).chain(self.stdout);
        formats.any(|format| format == Format::Html)
    }

    /// Writes a report everywhere.
    pub fn write(&self, report: &Report) -> anyhow::Result<()> {
        for (path, format) in &self.files {
            let written = replace(path, |file| {
                let mut out = io::BufWriter::new(file);
                format.write(report, &mut out)?;
                Ok(out.flush()?)
            });
            written.with_context(|| path.display().to_string())?;
        }
        match self.stdout {
            Some(Format::Text) => text::write(report, &mut anstream::stdout().lock()),
            Some(format) => {
                let mut out = io::BufWriter::new(io::stdout().lock());
                format.write(report, &mut out)?;
                Ok(out.flush()?)
            }
            None => Ok(()),
        }
    }
}

/// `-` is standard output, as everywhere.
fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Returns a path that leads to the same as one before it.
fn twice(paths: &[PathBuf]) -> Option<&Path> {
    let mut seen = HashSet::new();
    let target = |path: &Path| match is_stdout(path) {
        true => path.to_owned(),
        false => target(path).unwrap_or_else(|_| path.to_owned()),
    };
    paths.iter().map(|path| &**path).find(|path| !seen.insert(target(path)))
}
