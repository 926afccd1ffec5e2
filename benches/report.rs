//! What a report takes, beside its two parts without which there is none.
//!
//! `cargo bench --bench report -- STORE`: for all stored images, with one thread and with two, first reading the files of each
//! once, from its layers, a batch at a time; then [`Index::overlaps`] on their contents alone; then the rows of a report; and
//! the ratio to either. Leaves out what is written. Open a copy of a store that others need: an index of another version is
//! built anew.

use std::env;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use layerprint_query::{Fleet, Rows, Subject};
use layerprint_store::id::ImageId;
use layerprint_store::{Content, Index, Platform};
use rayon::prelude::*;

/// Images whose contents are held at one time.
const BATCH: usize = 100;

fn main() {
    let Some(path) = env::args().skip(1).find(|argument| !argument.starts_with("--")).map(PathBuf::from)
    else {
        eprintln!("skipped: no store was given; cargo bench --bench report -- STORE");
        return;
    };
    let index = Index::open(&path).expect("the store opens");
    let fleet = Fleet::of(&index).expect("the store is whole");
    let mut images: Vec<_> = fleet.images().iter().map(|image| (image.place, image.id)).collect();
    images.sort_unstable();
    let images: Vec<ImageId> = images.into_iter().map(|(_, id)| id).collect();
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start");
        let (parts, rows) = pool.install(|| (parts(&index, &images), rows(&index, &fleet, &images)));
        let [read, probes, rows] = [parts.read, parts.probes, rows].map(|part| part.as_secs_f64());
        println!(
            "{} images, {threads} threads: report {rows:.2} s; reading files {read:.2} s, {:.1} times; probes {probes:.2} s, {:.1} times",
            images.len(),
            rows / read,
            rows / probes
        );
    }
}

#[derive(Default)]
struct Parts {
    read: Duration,
    probes: Duration,
}

fn parts(index: &Index, images: &[ImageId]) -> Parts {
    let mut parts = Parts::default();
    for batch in images.chunks(BATCH) {
        let start = Instant::now();
        let contents: Vec<_> = batch.par_iter().map(|image| contents(index, image)).collect();
        let between = Instant::now();
        contents.par_iter().for_each(|(contents, platform)| {
            black_box(index.overlaps(contents, platform).expect("the index is whole"));
        });
        parts.read += between - start;
        parts.probes += between.elapsed();
    }
    parts
}

fn contents(index: &Index, image: &ImageId) -> (Vec<Content>, Platform) {
    let subject = Subject::stored(index, image).expect("the image is stored");
    (subject.layers.view().contents(), subject.record.platform)
}

fn rows(index: &Index, fleet: &Fleet, images: &[ImageId]) -> Duration {
    let start = Instant::now();
    let rows = Rows::new(index, fleet);
    images.par_iter().for_each(|image| {
        black_box(rows.row(image).expect("the store is whole"));
    });
    start.elapsed()
}
