//! `layerprint repair`

use std::io::{self, Write};

use layerprint_store::Repaired;
use serde::Serialize;

use crate::args::Global;
use crate::check::{names, shortened};
use crate::error::Status;
use crate::output::{counted, plain, print_json};
use crate::progress::bar;
use crate::store;

/// What the repair came to, as a line of JSON.
#[derive(Serialize)]
#[serde(tag = "event", rename = "summary")]
struct SummaryLine<'a> {
    #[serde(flatten)]
    repaired: &'a Repaired,
    names: Vec<String>,
}

pub fn run(global: &Global) -> anyhow::Result<Status> {
    let path = store::path(global)?;
    let bar = bar(global.quiet, "records");
    let repaired = store::wait_for(global, || {
        layerprint_store::repair(&path, &|what, done, total| {
            bar.set_message(what.to_owned());
            bar.set_length(total);
            bar.set_position(done);
        })
    });
    bar.finish_and_clear();
    let (store, repaired) = repaired?;
    let names = names(store.index().ok().as_ref(), &repaired.incomplete_images);
    match global.json {
        true => print_json(&SummaryLine { repaired: &repaired, names })?,
        false => print(&repaired, &names)?,
    }
    Ok(if repaired.has_losses() { Status::Nothing } else { Status::Done })
}

fn print(repaired: &Repaired, names: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for action in &repaired.actions {
        writeln!(out, "{}", plain(action))?;
    }
    for image in &repaired.lost_images {
        writeln!(out, "lost: image {image}")?;
    }
    if !names.is_empty() {
        let layers = counted(repaired.lost_layers.len() as u64, "layer");
        let documents = counted(repaired.lost_documents.len() as u64, "document");
        writeln!(out, "lost: {layers} and {documents}")?;
        writeln!(out, "ingest again: {}", shortened(names))?;
    }
    match (repaired.actions.is_empty(), repaired.has_losses()) {
        (true, _) => writeln!(out, "nothing to repair"),
        (false, false) => writeln!(out, "repaired; nothing was lost"),
        (false, true) => writeln!(out, "repaired, but for what was lost"),
    }
}
