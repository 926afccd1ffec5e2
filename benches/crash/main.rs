//! Kills, failing disks, power failures and flipped bits: does the store lose or invent anything?
//!
//! Runs the real `layerprint` on small stores and checks after every blow what a user would: questions are answered as before,
//! what was acknowledged is there, the next command goes on without help, and the end state equals that of an undisturbed run.
//! `cargo bench --bench crash -- --whole` runs all of it, which takes two cores some forty minutes; without `--whole` a
//! sample that `tests/crash.rs` runs, too. Most of that is waiting for the disk: with TMPDIR in memory it is quicker and shows the
//! same, for what a disk loses is modelled and not waited for. Each failure prints a line that repeats it.

#[path = "suite.rs"]
mod suite;

use clap::Parser;

fn main() -> std::process::ExitCode {
    let arguments = std::env::args_os().filter(|argument| argument != "--bench");
    suite::run(&suite::Settings::parse_from(arguments))
}
