//! `layerprint import`

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use layerprint_ingest::check_config;
use layerprint_store::{ImportEvent, Imported, Store};
use serde_json::json;

use crate::args::{Global, Import};
use crate::error::{self, Status};
use crate::output::{bytes, count, counted, plain, print_json};
use crate::progress;
use crate::progress::complain;
use crate::store;

const BUFFER_BYTES: usize = 1 << 20;

/// A file that can be read, its name, and its length where that is known.
type Input = (String, Box<dyn Read>, Option<u64>);

pub fn run(global: &Global, command: &Import) -> anyhow::Result<Status> {
    // Before the store, which is made where there is none: a name that was misspelled should leave nothing behind.
    let inputs = command.files.iter().map(|file| open(file)).collect::<anyhow::Result<Vec<_>>>()?;
    let store = store::open_or_create(global)?;
    let mut status = Status::Done;
    for (name, input, length_bytes) in inputs {
        let started = Instant::now();
        match import(global, &store, &name, input, length_bytes) {
            Ok(imported) => {
                print(global, &name, &imported, started.elapsed())?;
                status = status.max(if imported.conflicts > 0 { Status::Failed } else { Status::Done });
            }
            Err(error) => {
                error::report(&error.context(name));
                status = Status::Failed;
            }
        }
    }
    Ok(status)
}

fn open(path: &Path) -> anyhow::Result<Input> {
    if path.as_os_str() == "-" {
        return Ok(("standard input".into(), Box::new(io::stdin()), None));
    }
    let name = path.display().to_string();
    let file = File::open(path).with_context(|| name.clone())?;
    let length_bytes = file.metadata().ok().filter(|meta| meta.is_file()).map(|meta| meta.len());
    Ok((name, Box::new(file), length_bytes))
}

/// Imports one file; conflicts are told as they are met.
fn import(
    global: &Global,
    store: &Store,
    name: &str,
    input: impl Read,
    length_bytes: Option<u64>,
) -> anyhow::Result<Imported> {
    let bar = progress::byte_bar(global.quiet, plain(name).into_owned());
    length_bytes.iter().for_each(|length_bytes| bar.set_length(*length_bytes));
    let mut observer = |event: ImportEvent| match event {
        ImportEvent::Read(read_bytes) => bar.set_position(read_bytes),
        ImportEvent::Conflict(conflict) => {
            bar.suspend(|| complain(&format!("error: {}: {conflict}", plain(name))));
            if global.json {
                let line = json!({"event": "conflict", "file": name, "conflict": conflict.to_string()});
                // A closed pipe is noticed when the summary is printed.
                drop(print_json(&line));
            }
        }
    };
    let imported = store.import(BufReader::with_capacity(BUFFER_BYTES, input), &check_config, &mut observer);
    bar.finish_and_clear();
    Ok(imported?)
}

fn print(global: &Global, name: &str, imported: &Imported, elapsed: Duration) -> anyhow::Result<()> {
    if global.json {
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let mut line = json!({"event": "summary", "file": name, "elapsed_ms": elapsed_ms});
        let fields = serde_json::to_value(imported)?;
        if let (Some(line), Some(fields)) = (line.as_object_mut(), fields.as_object()) {
            line.extend(fields.clone());
        }
        return print_json(&line);
    }
    let conflicts = match imported.conflicts {
        0 => String::new(),
        conflicts => format!(", {}", counted(conflicts, "conflict")),
    };
    writeln!(
        anstream::stdout().lock(),
        "{}: {} new, {} known{conflicts}; {} new, {} known; {} in {:.1} s",
        plain(name),
        counted(imported.images_new, "image"),
        count(imported.images_known),
        counted(imported.layers_new, "layer"),
        count(imported.layers_known),
        bytes(imported.read_bytes),
        elapsed.as_secs_f64(),
    )?;
    Ok(())
}
