//! `layerprint reindex`

use std::io::Write;

use serde_json::json;

use crate::args::Global;
use crate::error::Status;
use crate::output::{bytes, count, print_json};
use crate::progress;
use crate::store::{self, Published};

pub fn run(global: &Global) -> anyhow::Result<Status> {
    let store = store::open(global)?;
    let bar = progress::bar(global.quiet, "images");
    let built = store.reindex_observed(&|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    built?;
    let index = store.index()?;
    let stats = index.stats();
    match global.json {
        true => print_json(&json!(stats))?,
        false => writeln!(
            anstream::stdout().lock(),
            "{} images, {} contents, {}",
            count(stats.images),
            count(stats.keys),
            bytes(stats.segment_bytes)
        )?,
    }
    Ok(Published::of(index).report_unreadable()?)
}
