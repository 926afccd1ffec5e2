//! Runs that are asked to stop: what they did is stored, and the next one goes on from there.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::contents;
use layerprint_ingest::progress::{Progress, Summary};
use layerprint_ingest::write::{
    Compression, DockerSave, Image, Layer, Options as WriteOptions, docker_archive, oci_layout,
};
use layerprint_ingest::{Options, Source, Stop};
use layerprint_store::Store;

/// Ingests, and asks for a stop as soon as so many layers were read. Returns how many were in the end.
fn ingest_until(paths: &[PathBuf], store: &Store, layers: u64, jobs: usize) -> (Summary, u64) {
    let sources: Vec<_> = paths.iter().map(Source::detect).collect();
    let stop = Stop::default();
    let options = Options { jobs, stop: stop.clone(), ..Options::default() };
    let read = AtomicU64::new(0);
    let observer = |event: Progress| {
        if matches!(event, Progress::LayerRead) && read.fetch_add(1, Ordering::Relaxed) + 1 >= layers {
            stop.request();
        }
    };
    if layers == 0 {
        stop.request();
    }
    let summary = layerprint_ingest::ingest(&sources, store, &options, &observer).unwrap();
    (summary, read.into_inner())
}

fn ingest(paths: &[PathBuf], store: &Store) -> (Summary, u64) {
    ingest_until(paths, store, u64::MAX, 2)
}

fn new_store(folder: &Path, name: &str) -> Store {
    Store::create_or_open(&folder.join(name)).unwrap()
}

/// Images on three bases, each with two layers of its own.
fn images(count: usize) -> Vec<Image> {
    let image = |number: usize| {
        let base = Layer::new().file("usr/lib/base", format!("{}", number % 3).repeat(50_000));
        let own = Layer::new().file("srv/app", format!("{number}").repeat(1000));
        let top = Layer::new().file("etc/number", format!("{number}"));
        Image::new(&format!("app:{number}")).layer(base).layer(own).layer(top)
    };
    (0..count).map(image).collect()
}

fn layout(folder: &Path, count: usize) -> PathBuf {
    let path = folder.join("layout");
    oci_layout(&images(count), &path, &WriteOptions::default()).unwrap();
    path
}

#[test]
fn a_run_that_was_stopped_goes_on_without_reading_a_layer_twice() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [layout(folder.path(), 40)];
    let whole = new_store(folder.path(), "whole");
    let (summary, layers) = ingest(&paths, &whole);
    assert_eq!((summary.images_new, summary.stopped, layers), (40, false, 83));
    for stop_after in [0, 1, 2, 17, 60] {
        let store = new_store(folder.path(), &format!("stopped-{stop_after}"));
        let (first, read_first) = ingest_until(&paths, &store, stop_after, 2);
        assert!(first.stopped && first.failed.is_empty());
        // Those that were in flight are finished, no other is begun.
        assert!((stop_after..stop_after + 2).contains(&read_first), "{read_first} after {stop_after}");
        assert_eq!(first.images_new + first.images_left, if stop_after == 0 { 0 } else { 40 });
        assert_eq!(store.stats().unwrap().layers, read_first);
        let mut stored: Vec<_> = store.images().map(|image| image.unwrap().id).collect();
        let mut told: Vec<_> = first.images.iter().map(|row| row.id).collect();
        stored.sort_unstable();
        told.sort_unstable();
        assert_eq!(stored, told);

        let (second, read_second) = ingest(&paths, &store);
        assert_eq!((second.stopped, second.images_left, second.failed.len()), (false, 0, 0));
        assert_eq!((second.images_new, second.images_known), (40 - first.images_new, first.images_new));
        assert_eq!(read_first + read_second, layers, "stopped after {stop_after}");
        assert_eq!(contents(&store), contents(&whole));
    }
}

#[test]
fn sources_of_all_kinds_can_be_left_and_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let archive = |(number, image): (usize, Image)| {
        let path = folder.path().join(format!("{number:02}.tar"));
        let (form, outer) = match number % 3 {
            0 => (DockerSave::V1_1, Compression::None),
            1 => (DockerSave::V25, Compression::None),
            _ => (DockerSave::V1_1, Compression::Gzip),
        };
        docker_archive(&[image], &path, form, &WriteOptions { outer, ..WriteOptions::default() }).unwrap();
        path
    };
    let paths: Vec<_> = images(18).into_iter().enumerate().map(archive).collect();
    let whole = new_store(folder.path(), "whole");
    ingest(&paths, &whole);
    for (stop_after, jobs) in [(1, 1), (3, 1), (7, 1), (8, 2), (20, 2), (30, 3)] {
        let store = new_store(folder.path(), &format!("stopped-{stop_after}"));
        let (first, _) = ingest_until(&paths, &store, stop_after, jobs);
        assert!(first.stopped && first.failed.is_empty(), "{:?}", first.failed);
        let (second, _) = ingest(&paths, &store);
        // Archives that were done are not opened again.
        assert_eq!(second.sources_unchanged, first.images_new);
        assert_eq!((second.images_new, second.images_known), (18 - first.images_new, first.images_new));
        assert_eq!(contents(&store), contents(&whole), "stopped after {stop_after}");
    }
}

#[test]
fn an_archive_that_is_read_front_to_back_is_left_between_two_layers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.tar.zst");
    let options = WriteOptions { outer: Compression::Zstd, ..WriteOptions::default() };
    docker_archive(&images(6), &path, DockerSave::V1_1, &options).unwrap();
    let store = new_store(folder.path(), "store");
    let (first, layers) = ingest_until(std::slice::from_ref(&path), &store, 4, 2);
    assert_eq!((first.images_new, first.stopped, first.failed.len(), layers), (0, true, 0, 4));
    assert_eq!(store.stats().unwrap().layers, 4);
    let (second, _) = ingest(&[path], &store);
    assert_eq!((second.images_new, second.stopped), (6, false));
}

#[test]
fn a_stop_that_comes_too_late_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [layout(folder.path(), 4)];
    let store = new_store(folder.path(), "store");
    let (summary, layers) = ingest_until(&paths, &store, 11, 1);
    assert_eq!((summary.images_new, summary.stopped, summary.images_left, layers), (4, false, 0, 11));
    // It is remembered as done.
    assert_eq!(ingest(&paths, &store).1, 0);
}

#[test]
fn a_broken_layer_is_told_also_where_another_one_was_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.tar");
    let broken = Layer::from_bytes("no tar".repeat(200));
    let image = Image::new("bad:1").layer(broken).layer(Layer::new().file("a", "A"));
    docker_archive(&[image], &path, DockerSave::V1_1, &WriteOptions::default()).unwrap();
    let stop = Stop::default();
    let options = Options { jobs: 1, stop: stop.clone(), ..Options::default() };
    let observer = |event: Progress| {
        if matches!(event, Progress::Read(_)) {
            stop.request();
        }
    };
    let store = new_store(folder.path(), "store");
    let summary = layerprint_ingest::ingest(&[Source::detect(&path)], &store, &options, &observer).unwrap();
    assert_eq!((summary.failed.len(), summary.images_left), (1, 0));
}
