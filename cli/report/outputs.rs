//! Where a report goes.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Format, Report, format, text};
use crate::args::{self, Global};
use crate::replace::replace;

/// Files, or else standard output.
pub struct Outputs {
    files: Vec<(PathBuf, Format)>,
    stdout: Option<Format>,
}

impl Outputs {
    /// Returns what was asked for.
    pub fn of(global: &Global, command: &args::Report) -> anyhow::Result<Self> {
        let told = command.format.or(global.json.then_some(Format::Jsonl));
        let mut files = Vec::new();
        for path in command.output.iter().filter(|path| !is_stdout(path)) {
            let format = told.or_else(|| Format::of_path(path)).with_context(|| unknown(path))?;
            files.push((path.clone(), format));
        }
        let is_printed = files.is_empty() || command.output.iter().any(|path| is_stdout(path));
        let stdout = is_printed.then(|| told.unwrap_or(Format::Text));
        Ok(Self { files, stdout })
    }

    /// Returns the file beside which rows wait.
    pub fn first_file(&self) -> Option<&Path> {
        self.files.first().map(|(path, _)| &**path)
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

fn unknown(path: &Path) -> String {
    format!("{}: no format ends like this; give --format, or one of {}", path.display(), format::ENDINGS)
}
