//! A store that was damaged, torn, locked or written by another version: what is wrong is said, by name, and
//! what is not wrong is still there.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use crate::common::{copy_directory, layer, put};
use layerprint_store::{ImageRecord, Store, StoreError};

fn flip(file: &Path, offset: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
}

/// Finds a text in the files of a directory, the last time that it occurs.
fn locate(directory: &Path, needle: &[u8]) -> Option<(std::path::PathBuf, u64)> {
    let files = fs::read_dir(directory).unwrap().map(|item| item.unwrap().path());
    files.filter(|path| path.is_file()).find_map(|path| {
        let bytes = fs::read(&path).unwrap();
        let offset = bytes.windows(needle.len()).rposition(|window| window == needle)?;
        Some((path, offset as u64))
    })
}

fn committed(path: &Path) -> ImageRecord {
    let store = Store::create_or_open(path).unwrap();
    let image = put(&store, 1, &[3, 3000], "name");
    store.commit().unwrap();
    image
}

fn pack(path: &Path) -> std::path::PathBuf {
    path.join("packs/00000000.pack")
}

#[test]
fn a_flipped_bit_anywhere_in_a_packed_body_names_pack_and_offset() {
    let directory = tempfile::tempdir().unwrap();
    let image = committed(directory.path());
    let (record, fingerprint) = layer(101, 3000);
    let body = layerprint_store::body::encode(&fingerprint).unwrap();
    let (_, start) = locate(&directory.path().join("packs"), &body).unwrap();
    // In the frame's header (80 bytes before), in the ids, in the metadata.
    for offset in
        [start - 80, start - 70, start - 40, start - 5, start, start + 500, start + body.len() as u64 - 1]
    {
        flip(&pack(directory.path()), offset);
        let store = Store::open(directory.path()).unwrap();
        let error = store.fingerprint(&record.diff_id).unwrap_err();
        match &error {
            StoreError::Corrupt { what: "pack", key, offset_bytes, .. } => {
                assert_eq!((&key[..], *offset_bytes), ("00000000.pack", start - 80));
            }
            other => panic!("{other}"),
        }
        assert!(store.layer_contents(&record.diff_id).is_err(), "not read without its checksum either");
        assert!(store.fingerprint(&image.layers[0]).unwrap().is_some(), "the other layer is whole");
        drop(store);
        flip(&pack(directory.path()), offset);
    }
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.fingerprint(&record.diff_id).unwrap(), Some(fingerprint));
}

#[test]
fn the_torn_tail_of_a_pack_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let image = committed(directory.path());
    let whole = fs::read(pack(directory.path())).unwrap();
    // Garbage, half a frame, and a frame of this very store in the wrong place.
    let copied = whole[32..400].to_vec();
    for tail in [&b"garbage"[..], &[0; 5000], b"LPFR\x02\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", &copied] {
        fs::write(pack(directory.path()), [&whole[..], tail].concat()).unwrap();
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(fs::read(pack(directory.path())).unwrap(), whole);
        let aside = fs::read_dir(directory.path().join("aside")).unwrap();
        let copies: Vec<_> = aside.map(|item| fs::read(item.unwrap().path()).unwrap()).collect();
        assert!(copies.iter().any(|copy| copy == tail), "what was cut off is set aside");
        assert_eq!(store.image(&image.id).unwrap().as_ref(), Some(&image));
    }
    let store = Store::open(directory.path()).unwrap();
    let second = put(&store, 2, &[2000], "second");
    store.commit().unwrap();
    drop(store);
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.image(&second.id).unwrap(), Some(second));
}

#[test]
fn a_pack_that_lost_what_was_committed_is_no_torn_tail() {
    let directory = tempfile::tempdir().unwrap();
    committed(directory.path());
    let length = fs::metadata(pack(directory.path())).unwrap().len();
    fs::OpenOptions::new().write(true).open(pack(directory.path())).unwrap().set_len(length - 1).unwrap();
    let error = Store::open(directory.path()).err().unwrap();
    let message =
        format!("pack 00000000.pack: corrupt at offset {length}: the packs end before the last commit");
    assert_eq!(error.to_string(), message);
}

#[test]
fn a_lost_catalogue_is_made_again_from_the_packs() {
    let directory = tempfile::tempdir().unwrap();
    let image = committed(directory.path());
    let store = Store::open(directory.path()).unwrap();
    let gone = put(&store, 2, &[3, 3000], "gone");
    store.commit().unwrap();
    store.forget(&[gone.id]).unwrap();
    let secret = *store.secret();
    let names: Vec<_> = store.names().map(Result::unwrap).collect();
    let stats = store.stats().unwrap();
    drop(store);
    fs::remove_dir_all(directory.path().join("db")).unwrap();

    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.images().map(Result::unwrap).collect::<Vec<_>>(), std::slice::from_ref(&image));
    assert_eq!(store.names().map(Result::unwrap).collect::<Vec<_>>(), names);
    assert_eq!(store.secret(), &secret);
    for (diff_id, (_, fingerprint)) in image.layers.iter().zip([layer(100, 3), layer(101, 3000)]) {
        assert_eq!(store.fingerprint(diff_id).unwrap(), Some(fingerprint));
    }
    let again = store.stats().unwrap();
    assert_eq!(
        (again.live_bytes, again.commit_bytes, again.dead_bytes),
        (stats.live_bytes, stats.commit_bytes, stats.dead_bytes)
    );
}

#[test]
fn a_lost_catalogue_and_a_hole_in_the_packs_cut_nothing_off() {
    let directory = tempfile::tempdir().unwrap();
    committed(directory.path());
    let whole = fs::read(pack(directory.path())).unwrap();
    fs::remove_dir_all(directory.path().join("db")).unwrap();
    flip(&pack(directory.path()), 40);
    // Time after time: the first refusal must not prepare the second opening.
    for _ in 0..3 {
        let error = Store::open(directory.path()).err().unwrap();
        let message = "pack 00000000.pack: corrupt at offset 32: damaged frame: checksum does not match";
        assert_eq!(error.to_string(), message);
        assert_eq!(fs::metadata(pack(directory.path())).unwrap().len(), whole.len() as u64);
    }
}

#[test]
fn a_flipped_bit_in_the_catalogue_is_never_a_wrong_answer() {
    let directory = tempfile::tempdir().unwrap();
    let image = committed(directory.path());
    let (file, record) = locate(&directory.path().join("db"), b"2026-11-21T12:00:00Z").unwrap();
    let end = fs::metadata(&file).unwrap().len().min(record + 1000);
    let file = file.strip_prefix(directory.path()).unwrap();
    let (mut refused, mut detected, mut right) = (0, 0, 0);
    // All over what was written around the image's record: headers of sled's log, keys, values.
    for offset in (record.saturating_sub(3000)..end).step_by(83) {
        let copy = tempfile::tempdir().unwrap();
        copy_directory(directory.path(), copy.path());
        flip(&copy.path().join(file), offset);
        match Store::open(copy.path()) {
            Err(_) => refused += 1,
            Ok(store) => match store.image(&image.id) {
                Err(_) => detected += 1,
                Ok(found) => {
                    assert_eq!(found.as_ref(), Some(&image), "offset {offset}");
                    right += 1;
                }
            },
        }
    }
    eprintln!("flips in the catalogue: {refused} refused, {detected} detected, {right} right all the same");
}

#[test]
fn another_version_of_the_store_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    committed(directory.path());
    let header = directory.path().join("FORMAT");
    let text = fs::read_to_string(&header).unwrap();
    let (body, _) = text.split_once("checksum ").unwrap();
    let body = body.replace("version 2", "version 3");
    let sum = &blake3::hash(body.as_bytes()).to_hex()[..32];
    fs::write(&header, format!("{body}checksum {sum}\n")).unwrap();
    let before = fs::read(pack(directory.path())).unwrap();
    for opened in [Store::open(directory.path()), Store::create_or_open(directory.path())] {
        let message =
            format!("store {}: format version is 3, this program reads 2", directory.path().display());
        assert_eq!(opened.err().unwrap().to_string(), message);
    }
    assert_eq!(fs::read(pack(directory.path())).unwrap(), before);
    let damaged = text.replace("version 2", "version 3");
    for text in ["", &damaged, "layerprint store\n", "layerprint store\nversion 2\nid 00\n", "\u{fffd}"] {
        fs::write(&header, text).unwrap();
        let opened = Store::open(directory.path());
        assert!(matches!(opened, Err(StoreError::Corrupt { what: "store header", .. })), "{text:?}");
    }
}

#[test]
fn a_pack_cut_at_its_end_is_refused_though_the_catalogue_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    committed(directory.path());
    let length = fs::metadata(pack(directory.path())).unwrap().len();
    fs::OpenOptions::new().write(true).open(pack(directory.path())).unwrap().set_len(length - 700).unwrap();
    fs::remove_dir_all(directory.path().join("db")).unwrap();
    for _ in 0..3 {
        let error = Store::open(directory.path()).err().unwrap().to_string();
        assert!(
            error.ends_with(&format!("at offset {length}: the packs end before the last commit")),
            "{error}"
        );
        assert_eq!(fs::metadata(pack(directory.path())).unwrap().len(), length - 700);
    }
}

#[test]
fn a_damaged_catalogue_is_rebuilt_without_help() {
    let reference = tempfile::tempdir().unwrap();
    let image = committed(reference.path());
    let database = |file: &'static str| move |path: &Path| path.join("db").join(file);
    type Damage<'a> = (&'a str, &'a dyn Fn(&Path));
    let damages: [Damage; 5] = [
        ("an empty configuration", &|store| fs::write(database("conf")(store), "").unwrap()),
        ("half a configuration", &|store| {
            let bytes = fs::read(database("conf")(store)).unwrap();
            fs::write(database("conf")(store), &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("a configuration of zeros", &|store| {
            let length = fs::read(database("conf")(store)).unwrap().len();
            fs::write(database("conf")(store), vec![0; length]).unwrap();
        }),
        ("an empty log", &|store| fs::write(database("db")(store), "").unwrap()),
        ("a log of noise", &|store| {
            let noise: Vec<u8> =
                (0..20_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            fs::write(database("db")(store), noise).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let copy = tempfile::tempdir().unwrap();
        copy_directory(reference.path(), copy.path());
        damage(copy.path());
        let store = Store::open(copy.path()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(store.image(&image.id).unwrap().as_ref(), Some(&image), "{what}");
        drop(store);
        let again = Store::open(copy.path()).unwrap();
        assert_eq!(again.notice(), None, "{what}: rebuilt once");
        let left: Vec<_> = fs::read_dir(copy.path()).unwrap().map(|item| item.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("db.")), "{what}: {left:?}");
    }
}

#[test]
fn a_rebuild_that_was_stopped_half_way_begins_again() {
    let directory = tempfile::tempdir().unwrap();
    let image = committed(directory.path());
    let root = directory.path();
    // Before the exchange, within it, and after it.
    let half = |to: &str| {
        fs::create_dir_all(root.join(to)).unwrap();
        fs::write(root.join(to).join("db"), "half").unwrap();
    };
    for state in 0..3 {
        match state {
            0 => half("db.new"),
            1 => {
                fs::rename(root.join("db"), root.join("db.old")).unwrap();
                half("db.new");
            }
            _ => half("db.old"),
        }
        let store = Store::open(root).unwrap();
        assert_eq!(store.image(&image.id).unwrap().as_ref(), Some(&image), "state {state}");
        assert!(!root.join("db.new").exists() && !root.join("db.old").exists());
    }
}

#[test]
fn a_pack_of_another_store_is_refused() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    committed(one.path());
    committed(other.path());
    fs::copy(pack(other.path()), pack(one.path())).unwrap();
    let error = Store::open(one.path()).err().unwrap();
    assert!(error.to_string().ends_with("corrupt at offset 0: not a pack of this store"), "{error}");
}

/// Run again as a child process by the next test; alone it has no store to open and nothing to do.
#[test]
fn child_that_opens_the_store() {
    let Some(path) = std::env::var_os("LAYERPRINT_TEST_LOCKED") else { return };
    let opened = Store::open(Path::new(&path));
    assert!(matches!(opened, Err(StoreError::Locked { path: found }) if found == Path::new(&path)));
}

#[test]
fn a_second_process_is_told_that_the_store_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    committed(directory.path());
    let store = Store::open(directory.path()).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "damage::child_that_opens_the_store"])
        .env("LAYERPRINT_TEST_LOCKED", directory.path());
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    drop(store);
    let output = child.output().unwrap();
    assert!(!output.status.success(), "free again, so the child finds it open and complains");
}
