//! What a report takes, beside the index probes without which there is none.
//!
//! `cargo bench --bench report -- STORE`: for all stored images, with one thread and with two, first [`Index::overlaps`] on
//! their contents alone, then the rows of a report; and the ratio. Contents are prepared beforehand, a batch at a time. Leaves
//! out what is written. Open a copy of a store that others need: an index of another version is built anew.

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
        let (probes, rows) = pool.install(|| (probes(&index, &images), rows(&index, &fleet, &images)));
        println!(
            "{} images, {threads} threads: probes {:.2} s, report {:.2} s, {:.1} times",
            images.len(),
            probes.as_secs_f64(),
            rows.as_secs_f64(),
            rows.as_secs_f64() / probes.as_secs_f64()
        );
    }
}

fn probes(index: &Index, images: &[ImageId]) -> Duration {
    let mut total = Duration::ZERO;
    for batch in images.chunks(BATCH) {
        let contents: Vec<_> = batch.par_iter().map(|image| contents(index, image)).collect();
        let start = Instant::now();
        contents.par_iter().for_each(|(contents, platform)| {
            black_box(index.overlaps(contents, platform).expect("the index is whole"));
        });
        total += start.elapsed();
    }
    total
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
