//! Limits on what the images of one source cost together, each met by the smallest source that passes it.

use std::path::Path;

use crate::support::{Outcome, read_with};
use layerprint_ingest::write::{Compression, Layer};
use layerprint_ingest::{Limits, Options};
use layerprint_store::id::DiffId;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// An archive as `docker save` writes it, with its manifest as it is given.
fn archive(members: &[(&str, Vec<u8>)], manifest: &Value) -> Vec<u8> {
    let mut archive = Layer::new();
    for (name, bytes) in members {
        archive = archive.file(*name, bytes.clone());
    }
    archive.file("manifest.json", manifest.to_string()).to_tar().unwrap()
}

fn config(note: &str, layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids = layers.iter().map(|layer| DiffId::from_bytes(Sha256::digest(layer).into()).to_string());
    let diff_ids: Vec<_> = diff_ids.collect();
    let rootfs = json!({"type": "layers", "diff_ids": diff_ids});
    json!({"architecture": "amd64", "os": "linux", "author": note, "rootfs": rootfs}).to_string().into()
}

fn listed(config: &str, name: &str) -> Value {
    json!({"Config": config, "RepoTags": [name], "Layers": ["one.tar", "two.tar"]})
}

/// Three images, `i:0` to `i:2`, of the same two layers.
fn three_images(one: &[u8], two: &[u8]) -> Vec<u8> {
    let names = ["0.json", "1.json", "2.json"];
    let mut members = vec![("one.tar", one.to_vec()), ("two.tar", two.to_vec())];
    members.extend(names.map(|name| (name, config(name, &[one, two]))));
    let images = names.iter().enumerate().map(|(index, name)| listed(name, &format!("i:{index}")));
    archive(&members, &images.collect())
}

fn read_bytes(folder: &Path, bytes: &[u8], change: impl FnOnce(&mut Limits)) -> Outcome {
    let path = folder.join("a.tar");
    std::fs::write(&path, bytes).unwrap();
    let mut limits = Limits::default();
    change(&mut limits);
    read_with(path.to_str().unwrap(), &Options { jobs: 1, limits, ..Options::default() })
}

/// What was read and what was not, without the folder and the digests.
fn told(outcome: &Outcome, folder: &Path) -> Vec<String> {
    let folder = format!("{}/", folder.display());
    let mut told = outcome.names();
    told.extend(outcome.failures().iter().map(|failure| failure.replace(&folder, "")));
    told
}

#[test]
fn sums_over_a_source_are_limited_each_by_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| Layer::new().file(name, name).to_tar().unwrap());
    let images = three_images(&one, &two);
    type Change = fn(&mut Limits);
    let cases: [(Change, &[&str]); 6] = [
        (|_| (), &["i:0", "i:1", "i:2"]),
        (|limits| limits.descriptors_max = 2, &["a.tar: more than descriptors_max (2)"]),
        (|limits| limits.source_layers_max = 5, &["a.tar: more than source_layers_max (5)"]),
        (|limits| limits.source_names_max = 2, &["i:0", "i:1", "a.tar i:2: more than source_names_max (2)"]),
        (
            |limits| limits.source_names_bytes_max = 8,
            &["i:0", "i:1", "a.tar i:2: more than source_names_bytes_max (8)"],
        ),
        (
            |limits| limits.documents_bytes_max = 900,
            &["i:0", "i:1", "a.tar: more than documents_bytes_max (900)"],
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(told(&read_bytes(folder.path(), &images, change), folder.path()), expected);
    }
    let packed = Compression::Gzip.compress(&images);
    let read = read_bytes(folder.path(), &packed, |limits| limits.members_memory_bytes_max = 1000);
    assert_eq!(told(&read, folder.path()), ["a.tar: more than members_memory_bytes_max (1000)"]);
}

#[test]
fn the_entries_of_an_image_fit_into_memory_in_all_its_layers_together() {
    let folder = tempfile::tempdir().unwrap();
    // Twenty entries, each 200 bytes and a path of five.
    let layer = |name: &str| {
        let file = |layer: Layer, at: usize| layer.file(format!("{name}{at:02}"), "");
        (0..20).fold(Layer::new(), file).to_tar().unwrap()
    };
    let images = three_images(&layer("one"), &layer("two"));
    let told = |max: u64| {
        let read = read_bytes(folder.path(), &images, |limits| limits.image_memory_bytes_max = max);
        told(&read, folder.path())
    };
    assert_eq!(told(2 * 20 * 205), ["i:0", "i:1", "i:2"]);
    let read = read_bytes(folder.path(), &images, |limits| limits.image_paths_bytes_max = 199);
    assert_eq!(read.failures().len(), 3);
    assert!(read.failures().iter().all(|failure| failure.ends_with("more than image_paths_bytes_max (199)")));
    let image = |at: u8| format!("a.tar i:{at}: more than image_memory_bytes_max (8199)");
    assert_eq!(told(2 * 20 * 205 - 1), [image(0), image(1), image(2)]);
    let layer = "layer 0 (one.tar): more than image_memory_bytes_max (4099)";
    assert_eq!(told(20 * 205 - 1), [layer; 3]);
}

#[test]
fn layers_that_swell_are_limited_together() {
    let folder = tempfile::tempdir().unwrap();
    let swollen = |name: &str| Layer::new().file(name, vec![0; 3 << 20]).to_tar().unwrap();
    let [one, two] = ["one", "two"].map(|name| Compression::Gzip.compress(&swollen(name)));
    let images = three_images(&one, &two);
    let alone = |limits: &mut Limits| limits.layer_bytes_max = 4 << 20;
    assert_eq!(told(&read_bytes(folder.path(), &images, alone), folder.path()).len(), 3);
    let read = read_bytes(folder.path(), &images, |limits| {
        alone(limits);
        limits.source_ratio_max = 10;
    });
    assert_eq!(read.failures(), vec!["layer 1 (two.tar): more than source_ratio_max (10)"; 3]);
}

/// A file of 64 KiB of which the archive has one block.
fn sparse(name: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_path(name).unwrap();
    header.set_size(512);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.sparse[0].offset = *b"00000000000\0";
    gnu.sparse[0].numbytes = *b"00000001000\0";
    gnu.realsize = *b"00000200000\0";
    header.set_cksum();
    Layer::new().raw([header.as_bytes().to_vec(), vec![b'x'; 512]].concat()).to_tar().unwrap()
}

#[test]
fn holes_of_many_layers_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let images = three_images(&sparse("one"), &sparse("two"));
    let hole_bytes = (64 << 10) - 512;
    for (hole_bytes_max, expected) in [(2 * hole_bytes, 3), (2 * hole_bytes - 1, 0)] {
        let read = read_bytes(folder.path(), &images, |limits| {
            limits.tar.sparse_ratio_max = 0;
            limits.source_hole_bytes_max = hole_bytes_max;
        });
        assert_eq!(read.images.len(), expected);
        let told = format!("layer 1 (two.tar): more than source_hole_bytes_max ({hole_bytes_max})");
        assert_eq!(read.failures(), vec![told; 3 - expected]);
    }
}

#[test]
fn an_image_that_is_listed_many_times_is_one_image_with_all_names() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| Layer::new().file(name, name).to_tar().unwrap());
    let members = [("c.json", config("", &[&one, &two])), ("one.tar", one), ("two.tar", two)];
    let list = ["a:1", "b:1", "a:1", "a:2"].map(|name| listed("c.json", name));
    let read = read_bytes(folder.path(), &archive(&members, &list.into_iter().collect()), |_| ());
    let image = read.image();
    assert_eq!(
        (image.names, image.origin),
        (
            vec!["a:1".to_owned(), "b:1".to_owned(), "a:2".to_owned()],
            format!("{}/a.tar a:1", folder.path().display()),
        )
    );
}

#[test]
fn a_manifest_that_an_index_names_many_times_is_one_image_with_all_names() {
    use layerprint_ingest::write::{Image, Options as WriteOptions, oci_layout};
    let folder = tempfile::tempdir().unwrap();
    let image = Image::new("app:1").layer(Layer::new().file("etc/motd", "hi\n"));
    oci_layout(&[image], &folder.path().join("l"), &WriteOptions::default()).unwrap();
    let index = folder.path().join("l/index.json");
    let mut json: Value = serde_json::from_slice(&std::fs::read(&index).unwrap()).unwrap();
    let first = json["manifests"][0].clone();
    for name in ["app:2", "app:1", "app:3"] {
        let mut again = first.clone();
        again["annotations"] = json!({"io.containerd.image.name": name});
        json["manifests"].as_array_mut().unwrap().push(again);
    }
    std::fs::write(&index, json.to_string()).unwrap();
    let image = read_with(folder.path().join("l").to_str().unwrap(), &Options::default()).image();
    assert_eq!(image.names, ["app:1", "app:2", "app:3"]);
}
