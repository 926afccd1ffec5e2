//! The parts of the suite, one after the other, and the table of what they found.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

#[path = "flips.rs"]
mod flips;
#[path = "kills.rs"]
mod kills;
#[path = "ops.rs"]
mod ops;
#[path = "power.rs"]
mod power;
#[path = "trace.rs"]
mod trace;
#[path = "world.rs"]
pub mod world;

/// What to run.
#[derive(Debug, Clone, Parser)]
pub struct Settings {
    /// Run all of it: 5,000 kills, every operation of every command, 2,000 power failures, 5,000 flipped bits
    #[arg(long)]
    pub whole: bool,
    /// Only the parts whose names begin with this (can be repeated)
    #[arg(long)]
    pub part: Vec<String>,
    /// Tries of each part, where it is not to be what --whole says
    #[arg(long)]
    pub tries: Option<usize>,
    /// Where random choices begin
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only the try with this number
    #[arg(long)]
    pub only: Option<usize>,
    /// Tries that run at the same time
    #[arg(long, default_value_t = 2)]
    pub jobs: usize,
    /// The program
    #[arg(long, default_value = env!("CARGO_BIN_EXE_layerprint"))]
    pub binary: PathBuf,
    /// Where stores that failed are kept, at most twenty
    #[arg(long, default_value = "target/crash")]
    pub keep: PathBuf,
}

/// What a part found.
#[derive(Debug, Default)]
pub struct Found {
    pub tries: usize,
    /// What went wrong, each with what repeats it.
    pub failures: Vec<String>,
    /// Figures worth a word: `412 operations`.
    pub remarks: Vec<String>,
    /// Why the part did not run, if it did not.
    pub skipped: Option<String>,
}

/// A part: its name, and what runs it.
type Part = (&'static str, fn(&Settings) -> Found);

/// One file for each.
const PARTS: &[Part] =
    &[("kills", kills::ingest), ("ops", ops::ops), ("power", power::power), ("flips", flips::flips)];

/// Runs what is wanted and prints a table. Fails if anything failed.
pub fn run(settings: &Settings) -> ExitCode {
    let mut has_failed = false;
    println!("{:<16} {:>7} {:>9}  remarks", "part", "tries", "failures");
    for (name, part) in PARTS.iter().filter(|(name, _)| is_wanted(settings, name)) {
        let found = part(settings);
        has_failed |= !found.failures.is_empty();
        let remarks = found.skipped.map_or_else(|| found.remarks.join(", "), |why| format!("not run: {why}"));
        println!("{name:<16} {:>7} {:>9}  {remarks}", found.tries, found.failures.len());
        found.failures.iter().for_each(|failure| println!("    {failure}"));
    }
    if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn is_wanted(settings: &Settings, name: &str) -> bool {
    settings.part.is_empty() || settings.part.iter().any(|part| name.starts_with(part.as_str()))
}
