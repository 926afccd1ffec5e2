//! What a question sees: counts as a plain merge gives them, whatever was put, replaced, forgotten or damaged.

use crate::common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::{chain, entry, file, image, layer_record, put};
use layerprint_store::id::{BlobDigest, ContentId, DiffId, ImageId};
use layerprint_store::{
    Content, Document, Entry, EntryKind, Fingerprint, ImageRecord, Index, MergedView, Platform, Stacks,
    Steps, Store, StoreError,
};

/// xorshift64*: small, seeded, good enough to vary images.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }
}

/// A layer that adds, changes and removes files of a small tree, so that contents come, go and come back.
fn layer(random: &mut Random) -> (DiffId, Fingerprint) {
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..random.below(30) {
        let path = format!("d{}/f{}", random.below(6), random.below(20));
        entries.push(match random.below(10) {
            0 => entry(&path, EntryKind::Whiteout),
            1 => entry(&format!("d{}", random.below(6)), EntryKind::Opaque),
            _ => file(&path, random.below(60)),
        });
    }
    let fingerprint = Fingerprint::from_entries(entries);
    let seed = format!("{:?}", fingerprint.entries());
    (DiffId::from_bytes(*ContentId::of(seed.as_bytes()).as_bytes()), fingerprint)
}

/// Everything that was put, for counting by hand.
#[derive(Default)]
struct World {
    /// With so little room that it forgets.
    stacks: Option<Stacks>,
    layers: BTreeMap<DiffId, Fingerprint>,
    images: BTreeMap<ImageId, ImageRecord>,
}

impl World {
    /// Puts an image on a part of another's layers.
    fn put_image(&mut self, store: &Store, random: &mut Random, seed: u64) {
        let mut layers = match self.images.values().nth(random.index(5)) {
            Some(other) => other.layers[..random.index(other.layers.len() + 1)].to_vec(),
            None => Vec::new(),
        };
        for _ in 0..=random.below(3) {
            let (diff_id, fingerprint) = layer(random);
            store.put_layer(&layer_record(diff_id, &fingerprint), &fingerprint).unwrap();
            layers.push(diff_id);
            self.layers.insert(diff_id, fingerprint);
        }
        let mut record = image(seed, &layers);
        let view = MergedView::of(layers.iter().map(|layer| &self.layers[layer]));
        (record.set_id, record.content_count) = (view.set_id(), view.contents().len() as u64);
        let names = [format!("image:{seed}")];
        match random.below(3) {
            0 => store.put_image(&record, &names).unwrap(),
            told => {
                let mut steps = self.steps(&layers);
                // Of some stacks nobody tells: what was to be told of them was lost.
                if told == 1 && random.below(3) == 0 {
                    steps = Steps::default();
                }
                let seen = names.map(|name| (name, 1));
                store.put_image_seen(&record, &seen, steps).unwrap()
            }
        };
        self.images.insert(record.id, record);
    }

    fn steps(&mut self, layers: &[DiffId]) -> Steps {
        let stacks = self.stacks.get_or_insert_with(|| Stacks::new(100));
        let read = |layer: &DiffId| Ok::<_, StoreError>(Arc::new(self.layers[layer].clone()));
        stacks.look(layers, read).unwrap().steps
    }

    fn forget(&mut self, store: &Store, random: &mut Random) {
        let id = *self.images.keys().nth(random.index(self.images.len())).unwrap();
        store.forget(&[id]).unwrap();
        self.images.remove(&id);
    }

    /// Present contents and their bytes, by image, counted one by one.
    fn counted(&self, contents: &[Content]) -> BTreeMap<ImageId, (u64, u64)> {
        let wanted: BTreeSet<ContentId> = contents.iter().map(|content| content.id).collect();
        let counted = self.images.values().map(|record| {
            let view = MergedView::of(record.layers.iter().map(|layer| &self.layers[layer]));
            let shared: Vec<Content> =
                view.contents().into_iter().filter(|content| wanted.contains(&content.id)).collect();
            let bytes = shared.iter().map(|content| content.size_bytes).sum();
            (record.id, (shared.len() as u64, bytes))
        });
        counted.filter(|(_, (present, _))| *present > 0).collect()
    }

    fn assert_is(&self, index: &Index, random: &mut Random) {
        assert_eq!(index.image_count(), self.images.len() as u64);
        let images: BTreeMap<ImageId, ImageRecord> =
            index.images().map(|record| record.map(|record| (record.id, record)).unwrap()).collect();
        assert_eq!(images, self.images);
        let mut contents: Vec<Content> = (0..40).map(|_| common::content(random.below(60))).collect();
        contents.sort_unstable();
        contents.dedup();
        let overlaps = index.overlaps(&contents, &Platform::default()).unwrap();
        let found = overlaps.iter().map(|overlap| {
            let record = index.image_at(overlap.image).unwrap();
            assert_eq!(overlap.content_count, record.content_count);
            (record.id, (overlap.present, overlap.present_bytes))
        });
        assert_eq!(found.collect::<BTreeMap<_, _>>(), self.counted(&contents));
    }
}

fn platform(architecture: &str) -> Platform {
    Platform { os: "linux".into(), architecture: architecture.into(), ..Platform::default() }
}

fn segments(store: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(store.join("segments")).unwrap().map(|item| item.unwrap().path());
    files.map(|path| (path.file_name().unwrap().into(), fs::read(path).unwrap())).collect()
}

#[test]
fn counts_are_those_of_a_plain_merge_through_any_number_of_commits() {
    for seed in 1..=6 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let (mut random, mut world) = (Random(seed), World::default());
        let mut store = Store::create_or_open(&path).unwrap();
        let mut next = 0;
        for _ in 0..12 {
            for _ in 0..random.below(6) {
                next += 1;
                world.put_image(&store, &mut random, next);
            }
            store.commit().unwrap();
            match random.below(4) {
                0 if !world.images.is_empty() => world.forget(&store, &mut random),
                1 => {
                    drop(store);
                    store = Store::open(&path).unwrap();
                }
                _ => {}
            }
            world.assert_is(&store.index().unwrap(), &mut random);
        }
        store.reindex().unwrap();
        world.assert_is(&store.index().unwrap(), &mut random);
        let stats = store.index().unwrap().stats();
        assert_eq!((stats.segments, stats.dead_images), (1, 0), "{stats:?}");
    }
}

#[test]
fn an_index_stays_what_it_was_when_it_was_opened() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(&folder.path().join("store")).unwrap();
    let first = put(&store, 1, &[10], "first:1");
    assert_eq!(store.index().unwrap().image(&first.id).unwrap(), None, "not committed, not seen");
    store.commit().unwrap();
    let before = store.index().unwrap();
    for seed in 2..30 {
        put(&store, seed, &[10, 3], &format!("other:{seed}"));
        store.commit().unwrap();
    }
    store.forget(&[first.id]).unwrap();
    store.reindex().unwrap();
    assert_eq!(before.image(&first.id).unwrap(), Some(first.clone()));
    assert_eq!(before.names_of(&first.id).unwrap(), ["first:1"]);
    assert!(before.fingerprint(&first.layers[0]).unwrap().is_some());
    assert_eq!(before.image_count(), 1);
    let after = store.index().unwrap();
    assert_eq!((after.image(&first.id).unwrap(), after.image_count()), (None, 28));
    assert_eq!(after.images_named("first:1").unwrap(), []);
}

#[test]
fn images_are_found_by_all_that_leads_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(&folder.path().join("store")).unwrap();
    let base = put(&store, 1, &[10], "base:1");
    store.commit().unwrap();
    let mut app = image(2, &[base.layers[0], put(&store, 3, &[5], "third:1").layers[0]]);
    let manifest = layerprint_store::id::BlobDigest::Sha256([9; 32]);
    app.manifests = vec![manifest];
    app.platform = platform("arm64");
    store.put_image(&app, &["app:1".to_owned(), "app:latest".to_owned()]).unwrap();
    let blob = layerprint_store::id::BlobDigest::Sha512([4; 64]);
    let unpacked = layerprint_store::BlobRecord { diff_id: app.layers[1], media_type: "layer".into() };
    store.put_blob(&blob, &unpacked).unwrap();
    store.commit().unwrap();
    let index = store.index().unwrap();
    assert_eq!(index.image(&app.id).unwrap(), Some(app.clone()));
    assert_eq!(index.images_by_chain(&chain(&app)).unwrap(), [app.id]);
    assert_eq!(index.images_by_chain(&chain(&base)).unwrap(), [base.id]);
    assert_eq!(index.images_by_set(&app.set_id).unwrap(), [app.id]);
    assert_eq!(index.image_of_manifest(&manifest).unwrap(), Some(app.id));
    assert_eq!(index.layer_of_blob(&blob).unwrap(), Some(app.layers[1]));
    assert_eq!(index.names_of(&app.id).unwrap(), ["app:1", "app:latest"]);
    for text in ["app:latest", &app.id.to_string(), &app.id.to_string()[7..15], &manifest.to_hex()[..8]] {
        let found = index.resolve(text).unwrap();
        assert_eq!(found, layerprint_store::Subject::Image(app.id), "{text}");
    }
    let digits = &base.layers[0].to_string()[7..20];
    assert_eq!(index.resolve(digits).unwrap(), layerprint_store::Subject::Layer(base.layers[0]));
    assert!(matches!(index.resolve("app:2"), Err(StoreError::NotFound { .. })));
    assert_eq!(
        index.fingerprint(&app.layers[1]).unwrap(),
        store.fingerprint(&app.layers[1]).unwrap().map(Into::into)
    );
    let above = |image: &ImageRecord, chain| {
        let overlaps = index.overlaps(&[], &Platform::default()).unwrap();
        assert_eq!(overlaps, []);
        let contents = store.layer_contents(&image.layers[0]).unwrap().unwrap();
        let all = index.overlaps(&contents, &Platform::default()).unwrap();
        let found = all.iter().find(|overlap| index.image_at(overlap.image).unwrap().id == image.id);
        index.is_above(found.unwrap().image, &chain).unwrap()
    };
    assert!(above(&app, chain(&base)));
    assert!(!above(&base, chain(&base)) && !above(&base, chain(&app)));
    let contents = store.layer_contents(&base.layers[0]).unwrap().unwrap();
    let fitting = |architecture| index.overlaps(&contents, &platform(architecture)).unwrap().len();
    assert_eq!((fitting("amd64"), fitting("arm64"), fitting("s390x")), (1, 1, 0));
}

/// A document, and its digest, which the store does not check.
fn document(number: u8) -> (BlobDigest, Vec<u8>) {
    let digest = if number.is_multiple_of(2) {
        BlobDigest::Sha256([number; 32])
    } else {
        BlobDigest::Sha512([number; 64])
    };
    // Some are large even when they are compressed.
    let mut random = Random(u64::from(number) + 1);
    let length = if number.is_multiple_of(5) { 20_000 } else { u64::from(number) };
    (digest, (0..length).map(|_| u8::try_from(random.below(256)).unwrap()).collect())
}

/// Puts an image with some documents.
fn put_with_documents(store: &Store, seed: u64, numbers: &[u8]) -> ImageRecord {
    let listed = numbers.iter().map(|number| {
        let (digest, bytes) = document(*number);
        store.put_document(&digest, &bytes).unwrap();
        Document { media_type: "application/json".into(), digest }
    });
    let record = ImageRecord { documents: listed.collect(), ..put(store, seed, &[3], "named:1") };
    store.put_image(&record, &[]).unwrap();
    record
}

#[test]
fn documents_are_found_through_commits_merges_and_rebuilds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::create_or_open(&path).unwrap();
    let assert_has = |numbers: std::ops::Range<u8>| {
        let index = Index::open(&path).unwrap();
        for number in numbers {
            let (digest, bytes) = document(number);
            assert_eq!(index.document(&digest).unwrap(), Some(bytes), "{number}");
        }
    };
    assert_eq!(store.index().unwrap().document(&document(0).0).unwrap(), None);
    let mut images = Vec::new();
    for number in 0..20_u8 {
        // Each shares a document with the one before.
        images.push(put_with_documents(&store, number.into(), &[number, number + 1]));
        store.commit().unwrap();
        assert_has(0..number + 2);
    }
    assert_eq!(store.index().unwrap().document(&document(21).0).unwrap(), None);
    store.forget(&[images[0].id]).unwrap();
    assert_has(1..21);
    let threads = |count| rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
    let built = [1, 2, 8].map(|count| {
        threads(count).install(|| store.reindex()).unwrap();
        assert_has(1..21);
        segments(&path)
    });
    assert!(built[0] == built[1] && built[1] == built[2], "the bytes do not depend on threads");
    assert_eq!(store.index().unwrap().document(&document(0).0).unwrap(), None, "it was forgotten");
}

#[test]
fn a_damaged_document_is_an_error_and_not_another_document() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::create_or_open(&path).unwrap();
    put_with_documents(&store, 1, &[5, 6]);
    store.commit().unwrap();
    drop(store);
    let pack = path.join("packs/00000000.pack");
    let bytes = fs::read(&pack).unwrap();
    let (digest, large) = document(5);
    let start = bytes.windows(64).position(|window| window == &large[..64]).expect("it does not compress");
    let mut damaged = bytes.clone();
    damaged[start] ^= 1;
    fs::write(&pack, damaged).unwrap();
    let index = Index::open(&path).unwrap();
    assert!(matches!(index.document(&digest), Err(StoreError::Corrupt { .. })));
    assert_eq!(index.document(&document(6).0).unwrap(), Some(document(6).1));
}

#[test]
fn a_renamed_image_is_one_image() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(&folder.path().join("store")).unwrap();
    let record = put(&store, 1, &[10], "old:1");
    store.commit().unwrap();
    store.put_image(&record, &["new:1".to_owned()]).unwrap();
    store.commit().unwrap();
    let index = store.index().unwrap();
    assert_eq!(index.image_count(), 1);
    assert_eq!(index.names_of(&record.id).unwrap(), ["new:1", "old:1"]);
    for name in ["new:1", "old:1"] {
        assert_eq!(index.resolve(name).unwrap(), layerprint_store::Subject::Image(record.id));
    }
}

#[test]
fn building_again_gives_the_same_bytes_with_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let (mut random, mut world) = (Random(7), World::default());
    let store = Store::create_or_open(&path).unwrap();
    for seed in 0..60 {
        world.put_image(&store, &mut random, seed);
        if seed % 7 == 0 {
            store.commit().unwrap();
        }
    }
    store.reindex().unwrap();
    let expected = segments(&path);
    for threads in [1, 2, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| store.reindex()).unwrap();
        assert_eq!(segments(&path), expected, "{threads} threads");
    }
    drop(store);
    fs::remove_dir_all(path.join("segments")).unwrap();
    fs::remove_file(path.join("CURRENT")).unwrap();
    assert!(matches!(Index::open(&path), Err(StoreError::NotPublished { .. })), "a reader builds nothing");
    world.assert_is(&opened_by_a_writer(&path), &mut random);
    assert_eq!(segments(&path), expected, "from nothing");
}

#[test]
fn what_is_missing_or_damaged_is_never_answered_from_and_the_next_writer_rebuilds_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let (mut random, mut world) = (Random(11), World::default());
    let store = Store::create_or_open(&path).unwrap();
    for seed in 0..20 {
        world.put_image(&store, &mut random, seed);
    }
    store.commit().unwrap();
    store.reindex().unwrap();
    drop(store);
    let whole = segments(&path);
    let (name, bytes) = whole.iter().next().unwrap();
    let segment = path.join("segments").join(name);
    let current = fs::read(path.join("CURRENT")).unwrap();
    for at in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        fs::remove_file(&segment).unwrap();
        fs::write(&segment, damaged).unwrap();
        assert_refused_unchanged(&path);
        world.assert_is(&opened_by_a_writer(&path), &mut random);
        assert_eq!(segments(&path), whole, "byte {at}");
    }
    for length in [0, 1, 4095, bytes.len() - 1] {
        fs::remove_file(&segment).unwrap();
        fs::write(&segment, &bytes[..length]).unwrap();
        assert_refused_unchanged(&path);
        world.assert_is(&opened_by_a_writer(&path), &mut random);
        assert_eq!(segments(&path), whole, "cut at {length}");
    }
    fs::remove_file(&segment).unwrap();
    assert_refused_unchanged(&path);
    world.assert_is(&opened_by_a_writer(&path), &mut random);
    assert_eq!(segments(&path), whole, "removed");
    for damaged in [&b""[..], b"layerprint index\n", &current[..current.len() - 2]] {
        fs::write(path.join("CURRENT"), damaged).unwrap();
        assert_refused_unchanged(&path);
        world.assert_is(&opened_by_a_writer(&path), &mut random);
        assert_eq!(fs::read(path.join("CURRENT")).unwrap(), current);
    }
}

#[test]
fn an_index_that_is_behind_is_caught_up_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::create_or_open(&path).unwrap();
    let (first, second) = (put(&store, 1, &[10], "first:1"), put(&store, 2, &[10, 4], "second:1"));
    store.commit().unwrap();
    let (current, old) = (fs::read(path.join("CURRENT")).unwrap(), segments(&path));
    let third = put(&store, 3, &[7], "third:1");
    store.put_image(&second, &["second:2".to_owned()]).unwrap();
    store.commit().unwrap();
    store.forget(&[first.id]).unwrap();
    drop(store);
    // As if the process had died each time between the commit and its publication.
    fs::write(path.join("CURRENT"), &current).unwrap();
    old.iter().for_each(|(name, bytes)| fs::write(path.join("segments").join(name), bytes).unwrap());
    let before = Index::open(&path).unwrap();
    assert!(before.is_behind().unwrap(), "what is published is answered, and newer commits are noticed");
    assert_eq!(before.image(&first.id).unwrap().map(|image| image.id), Some(first.id));
    assert_eq!(before.image(&third.id).unwrap(), None);
    assert_eq!(fs::read(path.join("CURRENT")).unwrap(), current, "a reader writes nothing");
    let index = opened_by_a_writer(&path);
    assert!(!index.is_behind().unwrap());
    assert_eq!(index.image(&first.id).unwrap(), None);
    assert_eq!(index.names_of(&second.id).unwrap(), ["second:1", "second:2"]);
    assert_eq!(index.image(&third.id).unwrap(), Some(third));
}

/// What is published once a writer has opened the store, which repairs the index.
fn opened_by_a_writer(path: &Path) -> Index {
    drop(Store::open(path).unwrap());
    Index::open(path).unwrap()
}

/// A damaged index is an error to a reader, which changes nothing.
fn assert_refused_unchanged(path: &Path) {
    let before = (segments(path), fs::read(path.join("CURRENT")).unwrap());
    match Index::open(path) {
        Err(error) => {
            assert!(error.is_index_damage() || matches!(error, StoreError::NotPublished { .. }), "{error}")
        }
        Ok(_) => panic!("answered from a damaged index"),
    }
    assert_eq!((segments(path), fs::read(path.join("CURRENT")).unwrap()), before);
}

#[test]
fn readers_beside_a_writer_see_groups_whole() {
    const GROUPS: u64 = 40;
    const GROUP: u64 = 5;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::create_or_open(&path).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut seen = 0;
                while seen < GROUPS * GROUP {
                    let index = Index::open(&path).unwrap();
                    let count = index.image_count();
                    assert_eq!(count % GROUP, 0, "a torn group");
                    assert!(count >= seen, "an older state after a newer one");
                    let ids: BTreeSet<ImageId> = index.images().map(|image| image.unwrap().id).collect();
                    let expected = (0..count).map(|seed| ImageId::of_config(&seed.to_be_bytes()));
                    assert_eq!(ids, expected.collect());
                    seen = count;
                }
            });
        }
        for group in 0..GROUPS {
            for seed in group * GROUP..(group + 1) * GROUP {
                put(&store, seed, &[4, 2], &format!("image:{seed}"));
            }
            store.commit().unwrap();
        }
    });
}

#[test]
fn a_damaged_layer_keeps_no_other_image_from_being_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::create_or_open(&path).unwrap();
    let (damaged, whole) = (put(&store, 1, &[300], "damaged:1"), put(&store, 2, &[300], "whole:1"));
    store.commit().unwrap();
    drop(store);
    let pack = path.join("packs/00000000.pack");
    let mut bytes = fs::read(&pack).unwrap();
    // In the first body, behind the headers of pack and frame.
    bytes[32 + 80 + 100] ^= 1;
    fs::write(&pack, bytes).unwrap();
    fs::remove_file(path.join("CURRENT")).unwrap();
    let index = opened_by_a_writer(&path);
    assert_eq!(index.unreadable_layers(None).unwrap(), damaged.layers, "what may be missing is known");
    let other = Platform { architecture: "arm64".into(), ..damaged.platform.clone() };
    assert_eq!(index.unreadable_layers(Some(&other)).unwrap(), [], "images for another platform are whole");
    assert_eq!(index.image(&damaged.id).unwrap(), Some(damaged.clone()));
    assert!(matches!(index.fingerprint(&damaged.layers[0]), Err(StoreError::Corrupt { what: "pack", .. })));
    let contents = index.fingerprint(&whole.layers[0]).unwrap().unwrap().contents();
    let overlaps = index.overlaps(&contents, &Platform::default()).unwrap();
    assert_eq!(overlaps.len(), 1);
    assert_eq!((overlaps[0].present, index.image_at(overlaps[0].image).unwrap().id), (300, whole.id));
    // Reading the layer once more replaces what is damaged, and all that was made of it.
    let store = Store::open(&path).unwrap();
    assert!(!store.is_whole(&damaged.layers[0]).unwrap());
    put(&store, 1, &[300], "damaged:1");
    store.commit().unwrap();
    let index = Index::open(&path).unwrap();
    assert_eq!(index.unreadable_layers(None).unwrap(), []);
    let contents = index.fingerprint(&damaged.layers[0]).unwrap().unwrap().contents();
    let overlaps = index.overlaps(&contents, &Platform::default()).unwrap();
    assert_eq!((overlaps.len(), overlaps[0].present), (1, 300));
}

#[test]
fn building_again_publishes_what_is_committed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::create_or_open(&path).unwrap();
    let first = put(&store, 1, &[10], "first:1");
    store.commit().unwrap();
    // Gone while the store is open, and built again with what is put meanwhile, as it is committed.
    let segment = fs::read_dir(path.join("segments")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(&segment).unwrap();
    let second = put(&store, 2, &[10], "second:1");
    store.reindex().unwrap();
    let ids = |index: &Index| index.images().map(|image| image.unwrap().id).collect::<BTreeSet<_>>();
    assert_eq!(ids(&store.index().unwrap()), BTreeSet::from([first.id, second.id]));
    put(&store, 3, &[10], "third:1");
    drop(store);
    assert_eq!(ids(&Index::open(&path).unwrap()), BTreeSet::from([first.id, second.id]));
}
