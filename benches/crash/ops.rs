//! Every operation on the disk killed, failed and cut short once, of every command that writes.
//!
//! A library that is loaded before all others counts what a process does to files below a folder, and lets the n-th operation
//! fail (`shim.c`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::world::{Ran, World, copy, files, tries};
use super::{Found, Settings};

/// Operations of one command and mode that the sample tries.
const SAMPLE: usize = 2;

/// What becomes of the n-th operation.
const MODES: [(&str, &[(&str, &str)]); 6] = [
    ("kill", &[("SHIM_MODE", "kill")]),
    ("short", &[("SHIM_MODE", "short")]),
    ("eio", &[("SHIM_MODE", "error"), ("SHIM_ERRNO", "5")]),
    ("enospc", &[("SHIM_MODE", "error"), ("SHIM_ERRNO", "28")]),
    ("full", &[("SHIM_MODE", "error"), ("SHIM_ERRNO", "28"), ("SHIM_FOREVER", "1")]),
    ("dead", &[("SHIM_MODE", "error"), ("SHIM_ERRNO", "5"), ("SHIM_FOREVER", "1")]),
];

/// A command, and the store that it begins with.
struct Case {
    name: &'static str,
    arguments: Vec<String>,
    /// Makes the store.
    begin: fn(&World, &Path),
    /// True if all images of the world are in the store before.
    is_full: bool,
    /// The folder in which operations count, if it is not the store.
    folder: Option<&'static str>,
}

/// Tries all.
pub fn ops(settings: &Settings) -> Found {
    let world = World::new(settings, 4, 6);
    let Some(shim) = library(&world, "shim", include_str!("shim.c")) else {
        return Found { skipped: Some("no C compiler".to_owned()), ..Found::default() };
    };
    let mut all = Found::default();
    for case in cases(&world) {
        let total = count(&world, &shim, &case);
        all.remarks.push(format!("{} {total}", case.name));
        for (mode, environment) in MODES {
            let part = format!("ops-{}-{mode}", case.name);
            let numbers = operations(settings, total);
            let found = tries(settings, &world, &part, &numbers, |number, folder| {
                one(&world, &shim, &case, environment, number, folder)
                    .map(|problem| format!("{part}: {problem}"))
            });
            all.tries += found.tries;
            all.failures.extend(found.failures);
        }
    }
    all
}

fn cases(world: &World) -> Vec<Case> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let sources = world.sources.to_string_lossy().into_owned();
    let export = world.path("whole.lpx").to_string_lossy().into_owned();
    world.run(&world.store, &["export", &export], &[]);
    let case = |name, arguments, begin, is_full| Case { name, arguments, begin, is_full, folder: None };
    let ingest = words(&["ingest", "--json", "--jobs", "1", &sources]);
    vec![
        case("ingest", ingest.clone(), |_, _| (), false),
        case("import", words(&["import", &export]), |_, _| (), false),
        case("forget", words(&["forget", "tiny/a0:i0", "tiny/a1:i1"]), whole, false),
        case("reindex", words(&["reindex"]), whole, true),
        case("rebuild", ingest, without_catalogue, true),
        case("repair", words(&["repair"]), damaged, false),
        Case { folder: Some("out"), ..case("export", words(&["export", "OUT/x.lpx"]), whole, true) },
        Case { folder: Some("out"), ..case("report", words(&["report", "-o", "OUT/x.jsonl"]), whole, true) },
    ]
}

fn whole(world: &World, store: &Path) {
    copy(&world.store, store);
}

fn without_catalogue(world: &World, store: &Path) {
    whole(world, store);
    fs::write(store.join("db/conf"), "").expect("a file of ours");
}

/// A store in whose pack a frame is damaged, and whose catalogue is gone.
fn damaged(world: &World, store: &Path) {
    without_catalogue(world, store);
    let pack = store.join("packs/00000000.pack");
    let mut bytes = fs::read(&pack).expect("a pack");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&pack, bytes).expect("a file of ours");
}

/// All operations, or a sample of them.
fn operations(settings: &Settings, total: usize) -> Vec<usize> {
    let wanted = settings.tries.unwrap_or(if settings.whole { total } else { SAMPLE }).min(total);
    (0..wanted).map(|number| 1 + number * total / wanted).collect()
}

fn one(
    world: &World,
    shim: &Path,
    case: &Case,
    environment: &[(&str, &str)],
    number: usize,
    folder: &Path,
) -> Option<String> {
    let (store, out) = (folder.join("store"), folder.join("out"));
    (case.begin)(world, &store);
    fs::create_dir(&out).expect("a new folder");
    // What is there already must stay as it is, or be replaced as a whole.
    let old = out.join("x.lpx");
    fs::write(&old, "old").expect("a file of ours");
    let ran =
        run(world, shim, case, &[environment, &[("SHIM_AT", &number.to_string())]].concat(), &store, &out);
    if let Some(offence) = ran.offence().filter(|_| ran.signal != Some(9)) {
        return Some(format!("{} {offence}", case.name));
    }
    if ran.status == Some(2) && !ran.stderr.contains("hint: ") {
        return Some(format!("says no remedy: {}", ran.stderr.trim().replace('\n', " | ")));
    }
    let acknowledged = acknowledged(world, case, &ran);
    let is_made = store.join("FORMAT").exists();
    // What was damaged before may be refused; nothing else may.
    let problem = is_made.then(|| world.contradiction(&store, &acknowledged)).flatten();
    if let Some(problem) = problem.filter(|_| case.name != "repair") {
        return Some(problem);
    }
    if let Some(problem) = torn(world, case, &out, &old) {
        return Some(problem);
    }
    if case.name == "repair" {
        let again = world.run(&store, &["repair"], &[]);
        if !matches!(again.status, Some(0 | 1)) {
            return Some(format!("repair once more ended with {:?}: {}", again.status, again.first_line()));
        }
    }
    world.unfinished(&store)
}

fn run(
    world: &World,
    shim: &Path,
    case: &Case,
    environment: &[(&str, &str)],
    store: &Path,
    out: &Path,
) -> Ran {
    let shim = shim.to_string_lossy();
    let counted = case.folder.map_or(store, |_| out).to_string_lossy();
    let out = out.to_string_lossy();
    let arguments: Vec<String> = case.arguments.iter().map(|word| word.replace("OUT", &out)).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let preloaded = [("LD_PRELOAD", &*shim), ("SHIM_DIR", &*counted)];
    world.run(store, &arguments, &[&preloaded, environment].concat())
}

fn acknowledged(world: &World, case: &Case, ran: &Ran) -> BTreeSet<String> {
    match (case.name, ran.status) {
        (_, Some(0)) if case.name == "import" => world.images.keys().cloned().collect(),
        _ if case.is_full => world.images.keys().cloned().collect(),
        ("ingest", _) => ran.acknowledged(),
        _ => BTreeSet::new(),
    }
}

/// A file that is written beside and renamed is the old one or a new one, whatever happens.
fn torn(world: &World, case: &Case, out: &Path, old: &Path) -> Option<String> {
    if case.name != "export" {
        return None;
    }
    let bytes = fs::read(old).ok()?;
    let is_new = blake3::hash(&bytes).to_hex().to_string() == world.export;
    let is_whole = bytes == b"old" || is_new;
    (!is_whole).then(|| format!("a torn export of {} bytes in {}", bytes.len(), out.display()))
}

/// Counts the operations of a command that nothing disturbs.
fn count(world: &World, shim: &Path, case: &Case) -> usize {
    let folder = world.path(&format!("count-{}", case.name));
    let (store, out, counted) = (folder.join("store"), folder.join("out"), folder.join("count"));
    fs::create_dir_all(&out).expect("a new folder");
    (case.begin)(world, &store);
    run(world, shim, case, &[("SHIM_COUNT", &counted.to_string_lossy())], &store, &out);
    let text = fs::read_to_string(&counted).unwrap_or_default();
    debug_assert!(!files(&folder).is_empty());
    text.trim().parse().expect("the library counts")
}

/// Compiles a library. None without a C compiler, which building this project needs anyway.
pub fn library(world: &World, name: &str, code: &str) -> Option<PathBuf> {
    let (source, library) = (world.path(&format!("{name}.c")), world.path(&format!("{name}.so")));
    fs::write(&source, code).expect("a file of ours");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O2", "-w", "-o"]).arg(&library).arg(&source).arg("-ldl");
    compiler.status().ok()?.success().then_some(library)
}
