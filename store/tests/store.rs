//! The store from outside: what is put comes back, before and after a commit and in another process's hands.

use crate::common::{chain, image, layer, put};
use layerprint_store::id::{BlobDigest, ImageId};
use layerprint_store::{
    Anomalies, AnomalyKind, BlobRecord, Document, LayerRecord, Platform, SourceRecord, Steps, Store,
    StoreError, Subject,
};
use std::fs;

#[test]
fn what_is_put_is_seen_at_once_and_after_a_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Store::create_or_open(&path).unwrap();
    let image = put(&store, 1, &[3, 2000], "debian:12");
    let check = |store: &Store| {
        for (index, file_count) in [(100, 3), (101, 2000)] {
            let (record, fingerprint) = layer(index, file_count);
            assert_eq!(store.layer(&record.diff_id).unwrap(), Some(record.clone()));
            assert_eq!(store.layer_contents(&record.diff_id).unwrap(), Some(fingerprint.contents()));
            assert_eq!(store.fingerprint(&record.diff_id).unwrap(), Some(fingerprint));
        }
        assert_eq!(store.image(&image.id).unwrap(), Some(image.clone()));
        assert_eq!(store.images().map(Result::unwrap).collect::<Vec<_>>(), std::slice::from_ref(&image));
        assert_eq!(store.names_of(&image.id).unwrap(), ["debian:12"]);
        let name = store.images_named("debian:12").unwrap().remove(0);
        assert_eq!((name.image, &name.platform), (image.id, &image.platform));
        assert_eq!(store.names().map(Result::unwrap).collect::<Vec<_>>(), [name]);
        assert_eq!(store.images_by_chain(&chain(&image)).unwrap(), [image.id]);
        assert_eq!(store.images_by_set(&image.set_id).unwrap(), [image.id]);
    };
    check(&store);
    store.commit().unwrap();
    check(&store);
    drop(store);
    check(&Store::open(&path).unwrap());
}

#[test]
fn what_was_not_committed_is_gone_after_a_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(directory.path()).unwrap();
    let kept = put(&store, 1, &[500], "kept");
    store.commit().unwrap();
    let size = store.stats().unwrap().pack_bytes;
    put(&store, 2, &[500], "lost");
    drop(store);
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.images().map(|image| image.unwrap().id).collect::<Vec<_>>(), [kept.id]);
    assert_eq!(store.stats().unwrap().pack_bytes, size, "the tail of the pack is cut off");
}

fn digest(byte: u8) -> BlobDigest {
    BlobDigest::Sha256([byte; 32])
}

#[test]
fn blobs_documents_and_sources_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(directory.path()).unwrap();
    let image = put(&store, 1, &[2], "a");
    let blob = BlobRecord { diff_id: image.layers[0], media_type: "application/vnd.oci.layer".into() };
    store.put_blob(&digest(7), &blob).unwrap();
    let orphan = BlobRecord { diff_id: layer(999, 1).0.diff_id, media_type: String::new() };
    store.put_blob(&digest(8), &orphan).unwrap();
    let large: Vec<u8> = (0..400_000_u32).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    let sha512 = BlobDigest::Sha512([9; 64]);
    assert!(store.put_document(&sha512, &large).unwrap());
    assert!(store.put_document(&digest(1), b"{}").unwrap());
    assert!(!store.put_document(&digest(1), b"{}").unwrap(), "known already");
    let source = SourceRecord {
        size_bytes: 5,
        mtime_ns: -3,
        images: vec![image.id; 3000],
        read_unix_s: 1_700_000_000,
    };
    store.put_source(b"/srv/\xff.tar", &source).unwrap();
    store.commit().unwrap();
    drop(store);

    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.blob(&digest(7)).unwrap(), Some(blob));
    assert_eq!(store.layer_of_blob(&digest(7)).unwrap(), Some(image.layers[0]));
    assert_eq!(store.layer_of_blob(&digest(8)).unwrap(), None, "its layer is not there");
    assert_eq!(store.document(&sha512).unwrap(), Some(large));
    assert_eq!(store.document(&digest(1)).unwrap(), Some(b"{}".to_vec()));
    assert_eq!(store.document(&digest(2)).unwrap(), None);
    assert_eq!(store.source(b"/srv/\xff.tar").unwrap(), Some(source));
    let too_large = store.put_document(&digest(3), &vec![b' '; (4 << 20) + 1]);
    assert!(matches!(too_large, Err(StoreError::TooLarge { .. })));
}

#[test]
fn an_image_put_twice_keeps_the_manifests_and_names_of_both() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(directory.path()).unwrap();
    let mut image = put(&store, 1, &[2], "first");
    let document = |media_type: &str, byte| Document { media_type: media_type.into(), digest: digest(byte) };
    image.manifests = vec![digest(2)];
    image.documents = vec![document("manifest", 2)];
    assert!(!store.put_image(&image, &["second".into()]).unwrap());
    store.commit().unwrap();
    image.manifests = vec![digest(3), digest(1)];
    image.documents = vec![document("config", 4), document("manifest", 2)];
    assert!(!store.put_image(&image, &[]).unwrap());

    let merged = store.image(&image.id).unwrap().unwrap();
    assert_eq!(merged.manifests, [digest(1), digest(2), digest(3)]);
    assert_eq!(merged.documents, [document("config", 4), document("manifest", 2)]);
    assert_eq!(store.names_of(&image.id).unwrap(), ["first", "second"]);
    for byte in 1..=3 {
        assert_eq!(store.image_of_manifest(&digest(byte)).unwrap(), Some(image.id));
    }
}

#[test]
fn an_image_needs_its_layers_and_keeps_those_that_match_its_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(directory.path()).unwrap();
    let (other, fingerprint) = layer(77, 3);
    let without = store.put_image(&image(1, &[other.diff_id]), &[]);
    assert!(matches!(without, Err(StoreError::MissingLayer { layer, .. }) if layer == other.diff_id));

    store.put_layer(&other, &fingerprint).unwrap();
    let honest = put(&store, 1, &[2], "name");
    let mut forged = image(1, &[other.diff_id]);
    forged.anomalies.add(layerprint_store::AnomalyKind::DiffIdMismatch, None, "layer 0");
    let refused = store.put_image(&forged, &["name".into()]);
    assert!(matches!(refused, Err(StoreError::ImageConflict { image }) if image == honest.id));

    let second = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(second.path()).unwrap();
    store.put_layer(&other, &fingerprint).unwrap();
    store.put_image(&forged, &["name".into()]).unwrap();
    store.commit().unwrap();
    assert_eq!(put(&store, 1, &[2], "name"), honest);
    assert_eq!(store.image(&honest.id).unwrap(), Some(honest.clone()), "the forged one came first and goes");
    assert_eq!(store.images_by_chain(&chain(&forged)).unwrap(), []);
    assert_eq!(store.images_by_set(&forged.set_id).unwrap(), []);
    assert_eq!(store.images_by_chain(&chain(&honest)).unwrap(), [honest.id]);
}

#[test]
fn names_that_cannot_be_keys_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(directory.path()).unwrap();
    for name in [String::new(), "a\0b".into(), "x".repeat(5000)] {
        let refused = store.put_image(&image(1, &[]), &["fine".into(), name]);
        assert!(matches!(refused, Err(StoreError::InvalidName { .. })));
    }
    assert_eq!(store.images().count(), 0);
}

#[test]
fn a_tag_that_moved_leads_to_both_images() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(directory.path()).unwrap();
    let (old, new) = (put(&store, 1, &[2], "tag"), put(&store, 2, &[2], "tag"));
    put(&store, 3, &[2], "tag2");
    let mut images: Vec<ImageId> = store.images_named("tag").unwrap().iter().map(|name| name.image).collect();
    images.sort();
    let mut expected = [old.id, new.id];
    expected.sort();
    assert_eq!(images, expected);
}

#[test]
fn forgetting_takes_what_no_other_image_needs_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(directory.path()).unwrap();
    let mut gone = put(&store, 1, &[2, 3000], "gone");
    let shared = gone.layers[0];
    let (own, own_fingerprint) = layer(500, 4);
    store.put_layer(&own, &own_fingerprint).unwrap();
    let kept = image(2, &[shared, own.diff_id]);
    store.put_image(&kept, &["kept".into()]).unwrap();
    gone.manifests = vec![digest(1)];
    gone.documents = vec![Document { media_type: "m".into(), digest: digest(1) }];
    store.put_document(&digest(1), b"{}").unwrap();
    store.put_image(&gone, &["alias".into()]).unwrap();
    for (byte, diff_id) in [(5, gone.layers[1]), (6, shared)] {
        store.put_blob(&digest(byte), &BlobRecord { diff_id, media_type: String::new() }).unwrap();
    }
    let source = |images: Vec<ImageId>| SourceRecord { size_bytes: 1, mtime_ns: 1, images, read_unix_s: 1 };
    store.put_source(b"both", &source(vec![kept.id, gone.id])).unwrap();
    store.put_source(b"kept", &source(vec![kept.id])).unwrap();
    store.commit().unwrap();

    let forgotten = store.forget(&[gone.id, ImageId::from_bytes([0; 32])]).unwrap();
    assert_eq!(forgotten.images, [gone.id]);
    assert_eq!(forgotten.layers, [gone.layers[1]]);
    assert_eq!((forgotten.names, forgotten.documents), (2, 1));
    drop(store);

    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.images().map(Result::unwrap).collect::<Vec<_>>(), std::slice::from_ref(&kept));
    assert_eq!(store.names().map(|name| name.unwrap().reference).collect::<Vec<_>>(), ["kept"]);
    assert_eq!(store.fingerprint(&gone.layers[1]).unwrap(), None);
    assert!(store.fingerprint(&shared).unwrap().is_some());
    assert_eq!(store.layer_of_blob(&digest(5)).unwrap(), None);
    assert_eq!(store.layer_of_blob(&digest(6)).unwrap(), Some(shared));
    assert_eq!(store.image_of_manifest(&digest(1)).unwrap(), None);
    assert_eq!(store.document(&digest(1)).unwrap(), None);
    assert_eq!(store.source(b"both").unwrap(), None, "it would have to be read again");
    assert!(store.source(b"kept").unwrap().is_some());
    assert_eq!(store.images_by_chain(&chain(&gone)).unwrap(), []);
    assert_eq!(store.images_by_set(&gone.set_id).unwrap(), []);
    let stats = store.stats().unwrap();
    assert_eq!((stats.images, stats.layers, stats.names, stats.documents), (1, 2, 1, 0));
    assert!((1..1_000).contains(&stats.live_bytes) && stats.dead_bytes > 90_000, "{stats:?}");
}

#[test]
fn what_a_person_types_is_resolved_or_the_choices_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(directory.path()).unwrap();
    let mut first = put(&store, 1, &[2], "debian:12");
    first.manifests = vec![digest(0xab)];
    store.put_image(&first, &[]).unwrap();
    let mut second = put(&store, 2, &[2], "other");
    second.platform.architecture = "arm64".into();
    store.put_image(&second, &["debian:12".into()]).unwrap();
    store
        .put_blob(&digest(0xcd), &BlobRecord { diff_id: first.layers[0], media_type: String::new() })
        .unwrap();
    store.commit().unwrap();

    let index = store.index().unwrap();
    let (image, layer) = (Subject::Image(first.id), Subject::Layer(first.layers[0]));
    for (text, subject) in [
        (first.id.to_string(), image),
        (first.id.to_hex(), image),
        (first.id.to_hex()[..9].to_owned(), image),
        (first.id.to_string()[..12].to_owned(), image),
        (digest(0xab).to_string(), image),
        ("ababa".to_owned(), image),
        (first.layers[0].to_string(), layer),
        (first.layers[0].to_hex()[..7].to_owned(), layer),
        (digest(0xcd).to_string(), layer),
        ("other".to_owned(), Subject::Image(second.id)),
    ] {
        assert_eq!(index.resolve(&text).unwrap(), subject, "{text}");
    }
    for text in ["", "abc", "ABAB", "nothing", "sha256:", "0000000", "\u{e9}\u{e9}\u{e9}"] {
        assert!(matches!(index.resolve(text), Err(StoreError::NotFound { .. })), "{text}");
    }
    let error = index.resolve("debian:12").unwrap_err();
    assert!(matches!(&error, StoreError::Ambiguous { matches, .. } if matches.len() == 2), "{error}");
}

#[test]
fn an_abbreviation_of_two_images_is_ambiguous() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(directory.path()).unwrap();
    for last in [1, 2] {
        let mut twin = image(1, &[]);
        let mut id = [0xee; 32];
        id[31] = last;
        twin.id = ImageId::from_bytes(id);
        store.put_image(&twin, &[]).unwrap();
    }
    store.commit().unwrap();
    let index = store.index().unwrap();
    assert!(matches!(index.resolve("eeee"), Err(StoreError::Ambiguous { .. })));
    let whole = format!("sha256:{}01", "ee".repeat(31));
    assert!(matches!(index.resolve(&whole), Ok(Subject::Image(_))));
}

#[test]
fn threads_put_and_commit_at_once_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(directory.path()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for seed in 0..20 {
                    // Every other image is put by two threads.
                    let seed = if seed % 2 == 0 { seed } else { 1000 * thread + seed };
                    put(store, seed, &[1, 300], &format!("image{seed}"));
                    if seed % 3 == 0 {
                        store.commit().unwrap();
                    }
                }
            });
        }
    });
    store.commit().unwrap();
    drop(store);
    let store = Store::open(directory.path()).unwrap();
    let stats = store.stats().unwrap();
    assert_eq!((stats.images, stats.layers), (50, 100));
    for image in store.images() {
        for layer in image.unwrap().layers {
            assert!(store.fingerprint(&layer).unwrap().is_some());
        }
    }
    assert_eq!(stats.dead_bytes, 32, "no layer was written twice, and one pack has one header");
}

#[test]
fn a_directory_that_is_no_store_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    assert!(matches!(Store::open(&missing), Err(StoreError::Missing { .. })));
    assert!(!missing.exists(), "opening creates nothing");
    fs::write(directory.path().join("letter.txt"), "dear").unwrap();
    assert!(matches!(Store::create_or_open(directory.path()), Err(StoreError::NotAStore { .. })));
    let file = directory.path().join("letter.txt");
    assert!(matches!(Store::open(&file), Err(StoreError::Missing { .. })));
    assert!(matches!(Store::create_or_open(&file), Err(StoreError::Io { .. })));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn what_two_sources_say_of_one_image_comes_to_the_same_in_either_order() {
    let odd = |kind, detail: &str| {
        let mut anomalies = Anomalies::default();
        anomalies.add(kind, None, detail);
        anomalies
    };
    let (plain, fingerprint) = layer(1, 3);
    let trailing =
        LayerRecord { anomalies: odd(AnomalyKind::TrailingCompressedData, "gzip"), ..plain.clone() };
    let mut first = image(1, &[plain.diff_id]);
    first.manifests = vec![digest(9)];
    first.documents = vec![Document { media_type: "m".into(), digest: digest(9) }];
    first.anomalies = odd(AnomalyKind::DiffIdMismatch, "layer 0");
    let mut second = image(1, &[plain.diff_id]);
    second.manifests = vec![digest(3)];
    second.platform = Platform::default();
    let blob = |media_type: &str| BlobRecord { diff_id: plain.diff_id, media_type: media_type.into() };
    let looks = [
        (&plain, &first, vec![("a:1".to_owned(), 7), ("b:1".to_owned(), 3)], blob("tar+gzip")),
        (&trailing, &second, vec![("a:1".to_owned(), 5)], blob("")),
    ];
    let stored = |order: &[usize]| {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create_or_open(directory.path()).unwrap();
        for (record, image, names, blob) in order.iter().map(|index| &looks[*index]) {
            store.put_layer(record, &fingerprint).unwrap();
            store.put_blob(&digest(1), blob).unwrap();
            store.put_image_seen(image, names, Steps::default()).unwrap();
            store.commit().unwrap();
        }
        let image = store.image(&first.id).unwrap().unwrap();
        assert_eq!(store.index().unwrap().image(&first.id).unwrap().as_ref(), Some(&image));
        let names: Vec<_> = store.names().map(Result::unwrap).collect();
        (image, names, store.layer(&plain.diff_id).unwrap(), store.blob(&digest(1)).unwrap())
    };
    let once = stored(&[0, 1]);
    assert_eq!(once, stored(&[1, 0]));
    assert_eq!(once, stored(&[1, 0, 1, 1, 0]));
    assert_eq!(once.0.platform, first.platform, "what says nothing gives way");
    assert_eq!(once.0.manifests, [digest(3), digest(9)]);
    let seen: Vec<_> = once.1.iter().map(|name| (&*name.reference, name.seen_unix_s)).collect();
    assert_eq!(seen, [("a:1", 7), ("b:1", 3)]);
    assert!(once.1.iter().all(|name| name.platform == first.platform));
    assert_eq!(once.2, Some(trailing));
    assert_eq!(once.3, Some(blob("tar+gzip")));
}
