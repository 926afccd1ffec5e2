//! Power failures: the states in which a disk may be after one, whatever was not synced.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::ops::library;
use super::trace::{self, Operation};
use super::world::{Random, World, tries};
use super::{Found, Settings};

const TRIES: usize = 2000;
const SAMPLE: usize = 30;
/// Images that are forgotten on the way.
const FORGOTTEN: [&str; 2] = ["tiny/a0:i0", "tiny/a1:i1"];
/// The steps that forget, and that bring back what was forgotten.
const FORGET: usize = 2;
const IMPORT: usize = 4;

/// Traces commands on one store, and fails the power at moments within.
pub fn power(settings: &Settings) -> Found {
    let world = World::new(settings, 6, 8);
    let Some(library) = library(&world, "trace", include_str!("trace.c")) else {
        return Found { skipped: Some("no C compiler".to_owned()), ..Found::default() };
    };
    let operations = traced(&world, &library);
    let moments: Vec<usize> = interesting(&operations);
    let count = settings.tries.unwrap_or(if settings.whole { TRIES } else { SAMPLE });
    let numbers: Vec<usize> = (0..count).collect();
    let mut found = tries(settings, &world, "power", &numbers, |number, folder| {
        let mut random = Random::of(settings, "power", number);
        let at = match random.below(2) {
            0 => random.below(operations.len()) + 1,
            _ => moments[random.below(moments.len())],
        };
        let store = folder.join("store");
        trace::rebuild(&operations[..at], &store, &mut random);
        one(&world, &store, &operations[..at]).map(|problem| format!("after operation {at}: {problem}"))
    });
    found.remarks.push(format!("{} operations", operations.len()));
    found
}

/// Runs the steps, one process after the other, and returns what they did.
fn traced(world: &World, library: &Path) -> Vec<Operation> {
    let (store, log) = (world.path("traced"), world.path("trace.log"));
    let source = |number: usize| world.sources.join(format!("a{number}.tar")).to_string_lossy().into_owned();
    let export = world.path("whole.lpx").to_string_lossy().into_owned();
    world.run(&world.store, &["export", &export], &[]);
    let sources = world.sources.to_string_lossy().into_owned();
    let steps: [Vec<&str>; 6] = [
        vec!["ingest", "--json", "--jobs", "1", &source(0), &source(1)],
        vec!["ingest", "--json", "--jobs", "2", &source(2), &source(3)],
        [&["forget"], &FORGOTTEN[..]].concat(),
        vec!["reindex"],
        vec!["import", &export],
        vec!["ingest", "--json", "--rescan", &sources],
    ]
    .map(|step| step.into_iter().map(|word| Box::leak(word.to_owned().into_boxed_str()) as &str).collect());
    let (preload, folder, file) = (library.to_string_lossy(), store.to_string_lossy(), log.to_string_lossy());
    let environment = [("LD_PRELOAD", &*preload), ("TRACE_DIR", &*folder), ("TRACE_LOG", &*file)];
    let (mut operations, mut read_bytes) = (Vec::new(), 0);
    for step in &steps {
        let ran = world.run(&store, step, &environment);
        assert_eq!(ran.status, Some(0), "{step:?}: {}", ran.stderr);
        let bytes = fs::read(&log).expect("the library writes a log");
        operations.extend(trace::read(&bytes[read_bytes..]));
        read_bytes = bytes.len();
        operations.push(Operation::Step);
    }
    operations
}

/// Moments right before and after what matters: syncs, renames, and words to the user.
fn interesting(operations: &[Operation]) -> Vec<usize> {
    let matters = |operation: &Operation| {
        !matches!(operation, Operation::Write { .. } | Operation::Truncate { .. } | Operation::Create { .. })
    };
    let found = operations.iter().enumerate().filter(|(_, operation)| matters(operation));
    found.flat_map(|(at, _)| [at, at + 1]).filter(|at| *at > 0).collect()
}

fn one(world: &World, store: &Path, done: &[Operation]) -> Option<String> {
    let required = required(world, done);
    if store.join("FORMAT").exists() {
        let problem = world.contradiction(store, &required);
        // Before anything was acknowledged there need not be an index.
        let is_new = required.is_empty();
        if let Some(problem) =
            problem.filter(|problem| !(is_new && problem.contains("no index is published")))
        {
            return Some(problem);
        }
    } else if !required.is_empty() {
        return Some("the store is gone".to_owned());
    }
    world.unfinished(store)
}

/// The images that must be there: those that the user was told of, but for what is being or was forgotten.
fn required(world: &World, done: &[Operation]) -> BTreeSet<String> {
    let step = done.iter().filter(|operation| matches!(operation, Operation::Step)).count();
    if step > IMPORT {
        return world.images.keys().cloned().collect();
    }
    let said: String = done
        .iter()
        .filter_map(|operation| match operation {
            Operation::Said(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let images = lines.filter(|line| line["event"] == "image");
    let ids = images.filter_map(|line| line["image"]["id"].as_str().map(str::to_owned));
    let is_forgotten = |id: &String| {
        let names = &world.images[id]["names"];
        FORGOTTEN
            .iter()
            .any(|name| names.as_array().is_some_and(|names| names.iter().any(|other| other == name)))
    };
    ids.filter(|id| step < FORGET || !is_forgotten(id)).collect()
}
