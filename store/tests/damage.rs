//! A store that was damaged, torn, locked or written by another version: what is wrong is said, by name, and
//! what is not wrong is still there.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use crate::common::{layer, put};
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
    let error = Store::open(directory.path()).err().unwrap();
    let message = "pack 00000000.pack: corrupt at offset 32: damaged frame, and whole ones after it";
    assert_eq!(error.to_string(), message);
    assert_eq!(fs::metadata(pack(directory.path())).unwrap().len(), whole.len() as u64);
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

fn copy_directory(from: &Path, to: &Path) {
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy_directory(&item.path(), &target);
        } else {
            fs::copy(item.path(), target).unwrap();
        }
    }
}

#[test]
fn another_version_of_the_store_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    committed(directory.path());
    let header = directory.path().join("FORMAT");
    let text = fs::read_to_string(&header).unwrap();
    fs::write(&header, text.replace("version 2", "version 3")).unwrap();
    let before = fs::read(pack(directory.path())).unwrap();
    for opened in [Store::open(directory.path()), Store::create_or_open(directory.path())] {
        let message =
            format!("store {}: format version is 3, this program reads 2", directory.path().display());
        assert_eq!(opened.err().unwrap().to_string(), message);
    }
    assert_eq!(fs::read(pack(directory.path())).unwrap(), before);
    for text in ["", "layerprint store\n", "layerprint store\nversion 2\nid 00\n", "\u{fffd}"] {
        fs::write(&header, text).unwrap();
        let opened = Store::open(directory.path());
        assert!(matches!(opened, Err(StoreError::Corrupt { what: "store header", .. })), "{text:?}");
    }
}

#[test]
fn another_version_of_a_pack_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    committed(directory.path());
    let mut bytes = fs::read(pack(directory.path())).unwrap();
    bytes[4] = 9;
    fs::write(pack(directory.path()), bytes).unwrap();
    let error = Store::open(directory.path()).err().unwrap();
    assert!(
        matches!(error, StoreError::FormatVersion { ref found, expected: 1, .. } if found == "9"),
        "{error}"
    );
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
