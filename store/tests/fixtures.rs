//! A store and an export as the present formats have them. They stay as they are: a program that changes a format proves with them
//! what it makes of what is there, and adds its own beside them.
//!
//! `cargo test -p layerprint-store -- --ignored fixtures_are_written` writes them anew, which only a new version of a format calls
//! for.

use std::fs;
use std::io::sink;
use std::path::{Path, PathBuf};

use crate::repair::{IMAGES, damages, put_image, reference};
use layerprint_store::{Index, Store};

/// BLAKE3 of the export of the store, which is the other fixture.
const EXPORT: &str = include_str!("fixtures/export-1.blake3");

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Unpacks the store. Its files are in one archive because the database is mostly zeros.
fn unpack(to: &Path) {
    let file = fs::File::open(fixture("store-2.tar.zst")).unwrap();
    tar::Archive::new(zstd::Decoder::new(file).unwrap()).unpack(to).unwrap();
}

#[test]
fn a_store_of_format_2_answers_is_whole_and_is_written_to() {
    let folder = tempfile::tempdir().unwrap();
    unpack(folder.path());
    let path = folder.path().join("store");
    let index = Index::open(&path).unwrap();
    assert_eq!(index.image_count(), IMAGES);
    for seed in 0..IMAGES {
        let named = index.images_named(&format!("image:{seed}")).unwrap();
        assert_eq!((named.len(), named[0].2), (1, 1_700_000_000));
    }
    drop(index);
    assert_eq!(damages(&path), []);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.notice(), None, "nothing had to be rebuilt");
    assert_eq!(store.export(sink(), &|_, _| ()).unwrap().blake3, EXPORT.trim());
    put_image(&store, IMAGES);
    store.commit().unwrap();
    assert_eq!(store.index().unwrap().image_count(), IMAGES + 1);
}

#[test]
fn an_export_of_version_1_makes_the_same_store() {
    let folder = tempfile::tempdir().unwrap();
    let export = fs::read(fixture("export-1.lpx")).unwrap();
    assert_eq!(blake3::hash(&export).to_hex().as_str(), EXPORT.trim());
    let store = Store::create_or_open(&folder.path().join("store")).unwrap();
    let imported = store.import(&export[..], &|_, _| Ok(()), &mut |_| ()).unwrap();
    assert_eq!((imported.images_new, imported.conflicts), (IMAGES, 0));
    assert_eq!(store.export(sink(), &|_, _| ()).unwrap().blake3, EXPORT.trim());
}

#[test]
#[ignore = "writes the fixtures, which only a new version of a format calls for"]
fn fixtures_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    reference(&path);
    let mut export = Vec::new();
    let exported = Store::open(&path).unwrap().export(&mut export, &|_, _| ()).unwrap();
    fs::create_dir_all(fixture("")).unwrap();
    fs::write(fixture("export-1.lpx"), export).unwrap();
    fs::write(fixture("export-1.blake3"), exported.blake3 + "\n").unwrap();
    let file = fs::File::create(fixture("store-2.tar.zst")).unwrap();
    let mut archive = tar::Builder::new(zstd::Encoder::new(file, 19).unwrap());
    archive.append_dir_all("store", &path).unwrap();
    archive.into_inner().unwrap().finish().unwrap();
}
