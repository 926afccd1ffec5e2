//! Damage of every kind: `check` names it, `repair` sees to it, and reading the images again fills what was lost.

use std::collections::BTreeSet;
use std::fs;
use std::io::sink;
use std::path::{Path, PathBuf};

use crate::common::{copy_directory, image, layer};
use layerprint_store::id::{BlobDigest, ImageId};
use layerprint_store::{
    CheckEvent, Damage, DamagedPart, Document, ImageRecord, Index, Repaired, Store, check, repair,
};
use sha2::{Digest, Sha256};

/// Images of the reference: a shared layer, one of its own that is large enough for the packs, and a document.
pub const IMAGES: u64 = 6;

pub fn put_image(store: &Store, seed: u64) -> ImageRecord {
    let layers = [layer(7, 40), layer(1000 + seed, 200)];
    for (record, fingerprint) in &layers {
        store.put_layer(record, fingerprint).unwrap();
    }
    let document = format!("{{\"seed\":{seed}}}").into_bytes();
    let digest = BlobDigest::Sha256(Sha256::digest(&document).into());
    store.put_document(&digest, &document).unwrap();
    let documents = vec![Document { media_type: "application/json".into(), digest }];
    let mut contents: Vec<_> = layers.iter().flat_map(|(_, fingerprint)| fingerprint.contents()).collect();
    contents.sort_unstable();
    let made_up = image(seed, &layers.map(|(record, _)| record.diff_id));
    let record = ImageRecord {
        documents,
        platform: made_up.platform,
        created: made_up.created,
        ..ImageRecord::of_contents(made_up.id, made_up.layers, &contents, contents.len() as u64)
    };
    store.put_image_seen(&record, &[(format!("image:{seed}"), 1_700_000_000)], Default::default()).unwrap();
    record
}

/// A store that was written in three commits.
pub fn reference(path: &Path) -> Vec<ImageRecord> {
    let store = Store::create_or_open(path).unwrap();
    let mut images = Vec::new();
    for seed in 0..IMAGES {
        images.push(put_image(&store, seed));
        if seed % 2 == 1 {
            store.commit().unwrap();
        }
    }
    images
}

pub fn damages(path: &Path) -> Vec<Damage> {
    let mut damages = Vec::new();
    let checked = check(path, false, &mut |event| {
        if let CheckEvent::Damage(damage) = event {
            damages.push(damage.clone());
        }
    });
    assert_eq!(checked.unwrap().damages, damages.len() as u64);
    damages
}

fn repaired(path: &Path) -> Repaired {
    repair(path, &|_, _, _| ()).unwrap().1
}

fn export(path: &Path) -> String {
    let exported = Store::open(path).unwrap().export(sink(), &|_, _| ()).unwrap();
    assert_eq!(exported.left_out, [""; 0]);
    exported.blake3
}

fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for item in fs::read_dir(root).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 0x10;
    fs::write(file, bytes).unwrap();
}

/// Frames of a pack: where each begins and ends, and its kind.
fn frames(pack: &[u8]) -> Vec<(usize, usize, u8)> {
    let (mut frames, mut at) = (Vec::new(), 32);
    while at < pack.len() {
        let length = u64::from_le_bytes(pack[at + 8..at + 16].try_into().unwrap());
        let end = at + 80 + usize::try_from(length).unwrap();
        frames.push((at, end, pack[at + 4]));
        at = end;
    }
    frames
}

fn image_ids(path: &Path) -> BTreeSet<ImageId> {
    Index::open(path).unwrap().images().map(|image| image.unwrap().id).collect()
}

#[test]
fn a_whole_store_has_no_damage_and_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    reference(&path);
    assert_eq!(damages(&path), []);
    let packs = fs::read(path.join("packs/00000000.pack")).unwrap();
    assert_eq!(repaired(&path), Repaired::default());
    assert_eq!(fs::read(path.join("packs/00000000.pack")).unwrap(), packs);
    assert!(!path.join("aside").exists());
}

#[test]
fn any_flipped_byte_is_named_and_repaired_and_what_it_took_is_filled_by_the_next_ingest() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let images = reference(&whole);
    let all: BTreeSet<ImageId> = images.iter().map(|image| image.id).collect();
    let expected = export(&whole);
    let (mut flips, mut unseen) = (0, 0);
    for file in files(&whole) {
        let name = file.strip_prefix(&whole).unwrap().to_owned();
        let length = fs::read(&file).unwrap().len();
        let is_database = name.starts_with("db");
        let step = if is_database { length / 12 + 1 } else { length / 24 + 1 };
        for at in (0..length).step_by(step).chain(length.checked_sub(1)) {
            flips += 1;
            let case = format!("{} at {at}", name.display());
            let path = folder.path().join("copy");
            copy_directory(&whole, &path);
            flip(&path.join(&name), at);
            let found = damages(&path);
            assert!(is_database || !found.is_empty(), "{case}: not seen");
            unseen += u64::from(found.is_empty());
            let repaired = repaired(&path);
            assert_eq!(repaired.lost_images, [], "{case}");
            assert_eq!(image_ids(&path), all, "{case}: {repaired:?}");
            let left = damages(&path);
            assert_eq!(left.is_empty(), !repaired.has_losses(), "{case}: {left:?}");
            let store = Store::open(&path).unwrap();
            for seed in 0..IMAGES {
                put_image(&store, seed);
            }
            store.commit().unwrap();
            drop(store);
            assert_eq!(damages(&path), [], "{case}");
            assert_eq!(export(&path), expected, "{case}");
            fs::remove_dir_all(&path).unwrap();
        }
    }
    eprintln!("{flips} flips, of them {unseen} in bytes of the database that say nothing");
}

#[test]
fn a_damaged_frame_and_a_lost_catalogue_lose_nothing_but_what_was_in_the_frame() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let images = reference(&whole);
    let all: BTreeSet<ImageId> = images.iter().map(|image| image.id).collect();
    let expected = export(&whole);
    let pack = fs::read(whole.join("packs/00000000.pack")).unwrap();
    for (start, end, kind) in frames(&pack) {
        let path = folder.path().join("copy");
        copy_directory(&whole, &path);
        flip(&path.join("packs/00000000.pack"), start + 80 + (end - start - 80) / 2);
        fs::remove_dir_all(path.join("db")).unwrap();
        for _ in 0..3 {
            assert!(Store::open(&path).is_err(), "frame at {start}: cut off, or ignored");
        }
        assert_eq!(fs::metadata(path.join("packs/00000000.pack")).unwrap().len(), pack.len() as u64);
        let repaired = repaired(&path);
        // The index knows the images whose commit was lost.
        assert_eq!(image_ids(&path), all, "frame at {start} of kind {kind}: {repaired:?}");
        let store = Store::open(&path).unwrap();
        for seed in 0..IMAGES {
            put_image(&store, seed);
        }
        store.commit().unwrap();
        drop(store);
        assert_eq!(damages(&path), [], "frame at {start} of kind {kind}");
        if kind == 1 {
            assert_eq!(export(&path), expected, "frame at {start}");
        }
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn a_damaged_layer_is_named_with_its_images_and_left_out_of_an_export() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let images = reference(&path);
    let pack = fs::read(path.join("packs/00000000.pack")).unwrap();
    let shared = frames(&pack)[1];
    flip(&path.join("packs/00000000.pack"), shared.0 + 100);
    let found = damages(&path);
    let [damage] = &found[..] else { panic!("{found:?}") };
    assert_eq!(damage.what, DamagedPart::Fingerprint);
    assert_eq!(damage.place, format!("packs/00000000.pack at {}", shared.0));
    assert_eq!(damage.layers, [images[0].layers[0]]);
    assert_eq!(damage.images.len(), images.len(), "all of them have the layer");
    let exported = Store::open(&path).unwrap().export(sink(), &|_, _| ()).unwrap();
    assert_eq!((exported.images, exported.layers, exported.left_out.len()), (0, IMAGES, 1 + images.len()));
    let repaired = repaired(&path);
    assert_eq!(repaired.lost_layers, [images[0].layers[0]]);
    assert_eq!(repaired.incomplete_images.len(), images.len());
    assert!(!Store::open(&path).unwrap().has_layer(&images[0].layers[0]).unwrap(), "it will be read again");
    let index = Index::open(&path).unwrap();
    assert_eq!(index.unreadable_layers(None).unwrap(), [images[0].layers[0]]);
}

#[test]
fn packs_cut_at_their_end_keep_what_is_before_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let images = reference(&whole);
    let expected = export(&whole);
    let length = fs::metadata(whole.join("packs/00000000.pack")).unwrap().len();
    for (cut, keeps_catalogue) in [(1, true), (1, false), (700, true), (700, false), (length, true)] {
        let path = folder.path().join("copy");
        copy_directory(&whole, &path);
        let pack = fs::OpenOptions::new().write(true).open(path.join("packs/00000000.pack")).unwrap();
        pack.set_len(length - cut).unwrap();
        if !keeps_catalogue {
            fs::remove_dir_all(path.join("db")).unwrap();
        }
        assert!(damages(&path).iter().any(|damage| damage.what == DamagedPart::Extent), "{cut}");
        for _ in 0..2 {
            assert!(Store::open(&path).is_err(), "{cut}: fewer images, without a word");
        }
        let repaired = repaired(&path);
        assert_eq!(image_ids(&path).len(), images.len(), "{cut}: {repaired:?}");
        let store = Store::open(&path).unwrap();
        for seed in 0..IMAGES {
            put_image(&store, seed);
        }
        store.commit().unwrap();
        drop(store);
        assert_eq!(damages(&path), [], "{cut}");
        if keeps_catalogue {
            assert_eq!(export(&path), expected, "{cut}");
        }
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn an_import_replaces_a_damaged_layer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let images = reference(&path);
    let mut bytes = Vec::new();
    Store::open(&path).unwrap().export(&mut bytes, &|_, _| ()).unwrap();
    let pack = fs::read(path.join("packs/00000000.pack")).unwrap();
    flip(&path.join("packs/00000000.pack"), frames(&pack)[1].0 + 100);
    let store = Store::open(&path).unwrap();
    let imported = store.import(&bytes[..], &|_, _| Ok(()), &mut |_| ()).unwrap();
    assert_eq!((imported.layers_new, imported.images_known), (1, IMAGES));
    drop(store);
    assert_eq!(damages(&path).iter().filter(|damage| damage.what == DamagedPart::Fingerprint).count(), 0);
    assert!(Index::open(&path).unwrap().fingerprint(&images[0].layers[0]).unwrap().is_some());
}

#[test]
fn the_header_of_another_store_makes_no_pack_an_unfinished_tail() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("store"), folder.path().join("other"));
    let images = reference(&path);
    reference(&other);
    let pack = fs::read(path.join("packs/00000000.pack")).unwrap();
    fs::copy(other.join("FORMAT"), path.join("FORMAT")).unwrap();
    for _ in 0..2 {
        let error = Store::open(&path).err().unwrap().to_string();
        assert!(error.ends_with("not a pack of this store"), "{error}");
        assert_eq!(fs::read(path.join("packs/00000000.pack")).unwrap(), pack);
    }
    repaired(&path);
    assert_eq!(image_ids(&path).len(), images.len());
    assert_eq!(damages(&path), []);
}
