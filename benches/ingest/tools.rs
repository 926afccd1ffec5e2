//! Public programs: whether they are here, which version, and how long they take to decompress.
//!
//! Only user time counts of a decompressor, less what it takes for an empty file, because some of them are scripts that
//! start an interpreter; its system time is that of pipes and of memory, which a library in a pipeline need not spend.
//! libdeflate is favoured by that: it holds the whole output in memory, which takes it more system time than user time.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::blobs::{Blob, Compression};
use super::measure::ONE_CORE;
use super::process::{measure, pinned};

/// More layers than this are more starts of programs than decompression.
const LAYERS_MAX: usize = 64;

/// Name and arguments; the file's path follows.
const GUNZIP: [&[&str]; 5] = [
    &["igzip", "-dc"],
    &["libdeflate-gunzip", "-c"],
    &["rapidgzip", "-d", "-c", "-P", "1"],
    &["pigz", "-dc"],
    &["gzip", "-dc"],
];
const UNZSTD: [&[&str]; 1] = [&["zstd", "-dcf", "--single-thread"]];

/// How long a program takes to decompress all layers of a set.
pub struct Decompressor {
    pub name: String,
    pub user_s: Vec<f64>,
}

impl Decompressor {
    pub fn median_s(&self) -> f64 {
        let mut figures = self.user_s.clone();
        figures.sort_by(f64::total_cmp);
        figures.get((figures.len().max(1) - 1) / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Measures those that are here; and says who is not.
pub fn decompressors(
    blobs: &[Blob],
    rounds: usize,
    scratch: &Path,
) -> Result<(Vec<Decompressor>, Vec<String>)> {
    let Some(first) = blobs.first().filter(|_| blobs.len() <= LAYERS_MAX) else {
        return Ok((vec![], vec![]));
    };
    let (programs, extension): (&[&[&str]], _) = match first.compression {
        Compression::Plain => return Ok((vec![], vec![])),
        Compression::Gzip => (&GUNZIP, "gz"),
        Compression::Zstd => (&UNZSTD, "zst"),
    };
    let folder = tempfile::tempdir_in(scratch)?;
    let empty = folder.path().join(format!("empty.{extension}"));
    write_empty(first.compression, &empty)?;
    let mut files = Vec::new();
    for (number, blob) in blobs.iter().enumerate() {
        let file = folder.path().join(format!("{number}.{extension}"));
        symlink(fs::canonicalize(&blob.file)?, &file)?;
        files.push(file);
    }
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    for program in programs {
        let Some(version) = version(program[0]) else {
            notes.push(format!("{}: skipped, not found", program[0]));
            continue;
        };
        let mut user_s = Vec::new();
        for _ in 0..rounds {
            let mut seconds = 0.0;
            let start = user_seconds(program, &empty)?;
            for file in &files {
                seconds += (user_seconds(program, file)? - start).max(0.0);
            }
            user_s.push(seconds);
        }
        found.push(Decompressor { name: version, user_s });
    }
    Ok((found, notes))
}

fn write_empty(compression: Compression, path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    match compression {
        Compression::Zstd => zstd::Encoder::new(file, 1)?.finish().map(drop)?,
        _ => {
            // One byte, because rapidgzip refuses a file without any.
            let mut encoder = flate2::write::GzEncoder::new(&mut file, flate2::Compression::fast());
            encoder.write_all(b"\n")?;
            encoder.finish()?;
        }
    }
    Ok(())
}

fn user_seconds(program: &[&str], file: &Path) -> Result<f64> {
    let usage = measure(pinned(ONE_CORE, program[0]).args(&program[1..]).arg(file));
    Ok(usage.with_context(|| program.join(" "))?.user_s)
}

/// Returns a program's name with its version, if it can be run.
pub fn version(program: &str) -> Option<String> {
    let argument = if program.starts_with("libdeflate") { "-V" } else { "--version" };
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let is_version = |word: &&str| {
        let digits = word.trim_start_matches('v');
        digits.starts_with(|first: char| first.is_ascii_digit()) && digits.contains('.')
    };
    let version = text.split([' ', '\n', ',']).find(is_version).unwrap_or("of unknown version");
    Some(format!("{program} {}", version.trim_start_matches('v')))
}
