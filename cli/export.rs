//! `layerprint export`

use std::io::{self, BufWriter, IsTerminal, Write};

use anyhow::Context;
use layerprint_store::{Exported, Store};

use crate::args::{Export, Global};
use crate::error::Status;
use crate::output::{bytes, count, counted, plain, print_json};
use crate::progress;
use crate::progress::complain;
use crate::replace::replace;
use crate::store;

/// Few and large writes: frames of small records have a hundred bytes.
const BUFFER_BYTES: usize = 1 << 20;

pub fn run(global: &Global, command: &Export) -> anyhow::Result<Status> {
    let to_stdout = command.file.as_os_str() == "-";
    if to_stdout && io::stdout().is_terminal() {
        anyhow::bail!("an export is not for reading: name a file, or send it through a pipe");
    }
    let store = store::open(global)?;
    if to_stdout {
        // What is printed is the export, so what it came to goes elsewhere.
        let exported = write(global, &store, io::stdout().lock())?;
        if !global.quiet {
            complain(&summary(&exported));
        }
        return Ok(report_left_out(&exported));
    }
    let name = command.file.display().to_string();
    let exported = replace(&command.file, |file| write(global, &store, file))
        .with_context(|| plain(&name).into_owned())?;
    match global.json {
        true => print_json(&exported)?,
        false => writeln!(anstream::stdout().lock(), "{}", summary(&exported))?,
    }
    Ok(report_left_out(&exported))
}

/// Says what is damaged and therefore not in the export.
fn report_left_out(exported: &Exported) -> Status {
    if exported.left_out.is_empty() {
        return Status::Done;
    }
    for what in &exported.left_out {
        complain(&format!("error: left out: {}", plain(what)));
    }
    complain("hint: run `layerprint repair`, ingest again what it names, then export again");
    Status::Failed
}

fn write(global: &Global, store: &Store, out: impl Write) -> anyhow::Result<Exported> {
    let bar = progress::bar(global.quiet, "records");
    let exported = store.export(BufWriter::with_capacity(BUFFER_BYTES, out), &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    Ok(exported?)
}

fn summary(exported: &Exported) -> String {
    format!(
        "{}, {}, {} documents, {} blobs; {}, blake3 {}",
        counted(exported.images, "image"),
        counted(exported.layers, "layer"),
        count(exported.documents),
        count(exported.blobs),
        bytes(exported.size_bytes),
        exported.blake3,
    )
}
