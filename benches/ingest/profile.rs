//! Where a run's CPU time goes, by crate, from `perf`.
//!
//! A sample belongs to the innermost function of a crate that is asked about; to the store when any function of the store
//! or of sled is on its stack, so that copying, system calls and hashing on the store's behalf are the store's. Copying and
//! system calls of others count for the part that asked for them; so do functions that the compiler has merged into others.
//!
//! perf does not always find who called libc (seen where libc's debugging symbols are installed apart): such samples are
//! unknown, and what they have of the store is missing from it. `--perf-frames` walks frame pointers instead, for a `--binary`
//! that is built with them (`RUSTFLAGS=-Cforce-frame-pointers=yes`).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::measure::{Bench, TWO_CORES, ingest};
use super::process::measure;
use super::sets::Set;

const SAMPLES_PER_SECOND: &str = "249";
/// How much of each stack is kept: deep enough to reach the functions that call the store.
const UNWINDING: &str = "dwarf,16384";
const FRAME_POINTERS: &str = "fp";

pub const STORE: &str = "store, sled";
/// What a function belongs to, by what its name begins with.
pub const PARTS: [(&str, &[&str]); 7] = [
    ("SHA-256", &["sha2::", "sha256"]),
    ("BLAKE3", &["blake3::", "blake3_"]),
    ("zlib", &["zlib_rs::", "flate2::", "libz_rs_sys::", "inflate", "crc32", "crc_"]),
    ("zstd", &["ZSTD_", "HUF_", "FSE_", "XXH", "zstd::", "zstd_safe::"]),
    ("ingest", &["layerprint_ingest::"]),
    ("query", &["layerprint_query::"]),
    // The threads of the store's index, and BLAKE3's where no function of its own is further in.
    ("rayon", &["rayon"]),
];

/// Shares of the samples of one run.
pub struct Profile {
    pub set: Set,
    pub samples: u64,
    pub parts: BTreeMap<String, u64>,
}

impl Profile {
    pub fn share(&self, part: &str) -> f64 {
        let count = self.parts.get(part).copied().unwrap_or(0);
        f64::from(u32::try_from(count).unwrap_or(u32::MAX))
            / f64::from(u32::try_from(self.samples.max(1)).unwrap_or(u32::MAX))
    }
}

/// Takes one run.
pub fn profile(bench: &Bench, set: Set, source: &Path) -> Result<Profile> {
    eprintln!("{}: a run below perf", set.name());
    let folder = tempfile::tempdir_in(&bench.scratch)?;
    let data = folder.path().join("perf.data");
    let mut record = Command::new("perf");
    record.args(["record", "--quiet", "-e", "cpu-clock", "-F", SAMPLES_PER_SECOND]);
    let call_graph = if bench.beside.frame_pointers { FRAME_POINTERS } else { UNWINDING };
    record.args(["--call-graph", call_graph, "-o"]).arg(&data);
    record.args(["--", "taskset", "-c", TWO_CORES]).arg(&bench.binary);
    measure(ingest(&mut record, source, &folder.path().join("store")))?;
    let mut script = Command::new("perf");
    script.args(["script", "--no-inline", "-F", "ip,sym", "-i"]).arg(&data).stdin(Stdio::null());
    let output = script.stderr(Stdio::null()).output().context("start perf script")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut profile = Profile { set, samples: 0, parts: BTreeMap::new() };
    for stack in text.split("\n\n").filter(|stack| !stack.trim().is_empty()) {
        profile.samples += 1;
        *profile.parts.entry(part_of(stack)).or_default() += 1;
    }
    Ok(profile)
}

fn part_of(stack: &str) -> String {
    let functions = || stack.lines().filter_map(|line| Some(line.trim().split_once(' ')?.1));
    let is_of = |name: &str, begins: &[&str]| {
        // `<sled::Tree as Deref>::deref`, and assembly that is known with an underscore, too.
        let name = name.trim_start_matches(['<', '&', '_']);
        begins.iter().any(|begin| name.starts_with(begin))
    };
    if functions().any(|name| is_of(name, &["layerprint_store::", "sled::"])) {
        return STORE.to_owned();
    }
    let part = functions().find_map(|name| PARTS.iter().find(|(_, begins)| is_of(name, begins)));
    part.map_or("other", |(part, _)| part).to_owned()
}
