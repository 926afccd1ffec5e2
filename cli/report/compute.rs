//! The rows of a report, made in parallel.

use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use layerprint_query::{Fleet, FleetImage, Rows};
use layerprint_store::StoreError;
use rayon::ThreadPool;
use rayon::prelude::*;

use super::spool::Spool;
use crate::args::Global;
use crate::progress::bar;
use crate::store::Published;
use crate::subjects::Trouble;

/// Makes the rows that are not there yet. Returns what could not be asked about.
pub fn compute(
    global: &Global,
    workers: &ThreadPool,
    published: &Published,
    fleet: &Fleet,
    images: &[&FleetImage],
    spool: &Spool,
) -> anyhow::Result<Vec<Trouble>> {
    let bar = bar(global.quiet, "images asked");
    bar.set_length(images.len() as u64);
    let mut in_order = images.to_vec();
    in_order.sort_unstable_by_key(|image| image.place);
    let failed = Mutex::new(Vec::new());
    let asked = workers.install(|| {
        published.ask(|index| {
            let rows = Rows::new(index, fleet);
            let left = in_order.par_iter().filter(|image| !spool.has(&image.id));
            left.try_for_each(|image| {
                let told = add(&rows, image, spool, &failed);
                bar.inc(1);
                told
            })
        })
    });
    bar.finish_and_clear();
    asked?;
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_by(|a: &Trouble, b| a.source.cmp(&b.source));
    Ok(failed)
}

/// One image that cannot be read stops no other; a damaged index is another matter.
fn add(
    rows: &Rows,
    image: &FleetImage,
    spool: &Spool,
    failed: &Mutex<Vec<Trouble>>,
) -> Result<(), StoreError> {
    let told = match rows.row(&image.id) {
        Err(error) if error.is_index_damage() => return Err(error),
        Err(error) => Err(error.into()),
        Ok(row) => spool.add(&row).context("cannot keep a row"),
    };
    if let Err(error) = told {
        let name = image.names.first().map_or_else(|| image.id.to_string(), |(name, _)| name.clone());
        failed.lock().unwrap_or_else(PoisonError::into_inner).push(Trouble::failed(&name, &error));
    }
    Ok(())
}
