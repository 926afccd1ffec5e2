//! A writer that is killed at any moment: what it acknowledged is there and whole, what it did not is there whole
//! or not at all, and the store opens without anybody's help.
//!
//! The writer is this test binary, run again as a child: it puts images from two threads, commits them in groups,
//! and prints the number of a group when its commit has returned.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{chain, layer, put};
use layerprint_store::{Index, Store, StoreError};

/// A few stores instead of one: checking all of a store that has grown takes longer than killing its writer.
const STORES: u64 = 6;
const KILLS_PER_STORE: u64 = 10;
const IMAGES_PER_GROUP: u64 = 5;
const STORE: &str = "LAYERPRINT_TEST_KILLED";
const FIRST_GROUP: &str = "LAYERPRINT_TEST_GROUP";

/// Numbers that look random and are the same in every run.
fn noise(seed: u64) -> u64 {
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
}

/// Layers of an image: most small enough for the catalogue, some for the packs. The first is shared by its group.
fn file_counts(image: u64) -> [u64; 2] {
    [1 + noise(image) % 20, if noise(image).is_multiple_of(3) { 700 } else { noise(image + 1) % 30 }]
}

/// Run as a child process; alone it has no store and nothing to do.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(STORE) else { return };
    let first_group: u64 = std::env::var(FIRST_GROUP).unwrap().parse().unwrap();
    let store = Store::create_or_open(Path::new(&path)).unwrap();
    for group in first_group.. {
        thread::scope(|scope| {
            for half in 0..2 {
                let store = &store;
                scope.spawn(move || {
                    for index in (0..IMAGES_PER_GROUP).filter(|index| index % 2 == half) {
                        let image = group * IMAGES_PER_GROUP + index;
                        put(store, image, &file_counts(image), &format!("image{image}"));
                    }
                });
            }
        });
        store.commit().unwrap();
        // Not `println`, which the test harness may keep to itself.
        writeln!(std::io::stderr(), "committed {group}").unwrap();
    }
}

fn start_writer(path: &Path, first_group: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed_writer::child_that_writes_until_it_is_killed", "--nocapture"])
        .env(STORE, path)
        .env(FIRST_GROUP, first_group.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Returns how long a writer takes here and now from its start to its first acknowledgement, in a new store.
fn time_to_first_acknowledgement() -> Duration {
    let directory = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let mut child = start_writer(&directory.path().join("store"), 0);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("committed ")), "the writer ended by itself");
    let taken = begun.elapsed();
    child.kill().unwrap();
    child.wait().unwrap();
    taken
}

/// Lets the child write for a while and returns the groups that it acknowledged.
fn write_and_kill(path: &Path, first_group: u64, after: Duration) -> Vec<u64> {
    let mut child = start_writer(path, first_group);
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let reader = thread::spawn(move || {
        let lines = stderr.lines().map_while(Result::ok);
        lines.filter_map(|line| line.strip_prefix("committed ")?.parse().ok()).collect::<Vec<u64>>()
    });
    thread::sleep(after);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "the child was to be killed, but ended by itself");
    reader.join().unwrap()
}

/// Checks every image in the store from end to end and returns their numbers.
fn verify(store: &Store, groups_max: u64) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for image in 0..groups_max * IMAGES_PER_GROUP {
        let names = store.images_named(&format!("image{image}")).unwrap();
        let Some(name) = names.first() else { continue };
        let record = store.image(&name.image).unwrap().expect("a name leads to an image");
        assert_eq!(store.images_by_chain(&chain(&record)).unwrap(), [record.id]);
        assert_eq!(store.images_by_set(&record.set_id).unwrap(), [record.id]);
        assert_eq!(store.names_of(&record.id).unwrap(), [format!("image{image}")]);
        for (index, (diff_id, file_count)) in record.layers.iter().zip(file_counts(image)).enumerate() {
            let (expected, fingerprint) = layer(image * 100 + index as u64, file_count);
            assert_eq!(store.layer(diff_id).unwrap(), Some(expected), "image {image}");
            assert_eq!(store.fingerprint(diff_id).unwrap(), Some(fingerprint), "image {image}");
        }
        found.insert(image);
    }
    assert_eq!(store.images().count(), found.len(), "no image without its name");
    found
}

/// Whoever asks right after the kill is answered from what was published: all that was acknowledged, in whole groups.
fn assert_published(index: &Index, acknowledged: &BTreeSet<u64>, groups_max: u64) {
    for group in 0..groups_max {
        let numbers = group * IMAGES_PER_GROUP..(group + 1) * IMAGES_PER_GROUP;
        let named = |image: &u64| !index.images_named(&format!("image{image}")).unwrap().is_empty();
        let present = numbers.filter(named).count() as u64;
        assert!(
            present == IMAGES_PER_GROUP || present == 0,
            "{present} images of group {group} are published"
        );
        assert!(
            present > 0 || !acknowledged.contains(&group),
            "group {group} is acknowledged and not published"
        );
    }
}

/// Whoever asks after the next writer sees what is stored, no more and no less.
fn assert_same(store: &Store, index: &Index) {
    let mut published: Vec<_> = index.images().map(Result::unwrap).collect();
    published.sort_by_key(|record| record.id);
    assert_eq!(published, store.images().map(Result::unwrap).collect::<Vec<_>>());
    for record in &published {
        assert_eq!(index.names_of(&record.id).unwrap(), store.names_of(&record.id).unwrap());
        for layer in &record.layers {
            assert_eq!(
                index.fingerprint(layer).unwrap().as_deref(),
                store.fingerprint(layer).unwrap().as_ref()
            );
        }
    }
}

/// What became of one store so far.
#[derive(Default)]
struct History {
    acknowledged: BTreeSet<u64>,
    /// Groups from this one on were never begun.
    groups_max: u64,
    opening_max: Duration,
}

impl History {
    fn write_kill_and_verify(&mut self, path: &Path, after: Duration) {
        let acks = write_and_kill(path, self.groups_max, after);
        self.acknowledged.extend(&acks);
        self.groups_max = acks.last().map_or(self.groups_max, |last| last + 1) + 1;
        let index = Index::open(path);
        let opening = Instant::now();
        let store = match Store::open(path) {
            Err(StoreError::Missing { .. }) if self.acknowledged.is_empty() => return,
            opened => opened.unwrap(),
        };
        self.opening_max = self.opening_max.max(opening.elapsed());
        match index {
            Ok(index) => assert_published(&index, &self.acknowledged, self.groups_max),
            Err(StoreError::NotPublished { .. }) => assert!(self.acknowledged.is_empty()),
            Err(error) => panic!("{error}"),
        }
        let images = verify(&store, self.groups_max);
        assert_same(&store, &store.index().unwrap());
        for group in 0..self.groups_max {
            let numbers = group * IMAGES_PER_GROUP..(group + 1) * IMAGES_PER_GROUP;
            let present = numbers.filter(|image| images.contains(image)).count() as u64;
            let whole = present == IMAGES_PER_GROUP;
            assert!(whole || present == 0, "{present} images of group {group}, killed after {after:?}");
            let lost = self.acknowledged.contains(&group) && !whole;
            assert!(!lost, "group {group} is lost, killed after {after:?}");
        }
    }
}

#[test]
fn a_killed_writer_loses_nothing_it_acknowledged_and_leaves_nothing_half_done() {
    let begun = Instant::now();
    let (mut acknowledged, mut opening_max) = (0, Duration::ZERO);
    // On a slow machine a writer lives longer, so that it comes to something there, too.
    let life_max = 4 * time_to_first_acknowledgement().max(Duration::from_millis(75));
    for store in 0..STORES {
        let directory = tempfile::tempdir().unwrap();
        let mut history = History::default();
        for kill in 0..KILLS_PER_STORE {
            let share = noise(store * KILLS_PER_STORE + kill) % 300;
            let after = life_max.mul_f64(share as f64 / 300.0);
            history.write_kill_and_verify(&directory.path().join("store"), after);
        }
        acknowledged += history.acknowledged.len() as u64;
        opening_max = opening_max.max(history.opening_max);
    }
    let (kills, seconds) = (STORES * KILLS_PER_STORE, begun.elapsed().as_secs_f64());
    eprintln!(
        "{kills} kills in {seconds:.1} s, {acknowledged} groups acknowledged, slowest open {opening_max:?}"
    );
    assert!(acknowledged > 0, "the writer was killed before it did anything");
}
