//! Labels from the archive to the question, without the catalogue.

use std::collections::BTreeMap;

use layerprint_ingest::write::{DockerSave, Image, Layer, Options, docker_archive, rootfs_archive};
use layerprint_ingest::{Source, ingest};
use layerprint_query::labels;
use layerprint_store::{Index, Store};

#[test]
fn labels_of_stored_images_are_read_beside_a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let store = Store::create_or_open(&path("store")).unwrap();
    let image = |name: &str| Image::new(name).layer(Layer::new().file("etc/name", name));
    let labelled = image("labelled:1").label("org.opencontainers.image.source", "https://example.org/é\n");
    let images = [labelled.label("team", "a"), image("plain:1")];
    let saved = docker_archive(&images, &path("images.tar"), DockerSave::V1_1, &Options::default()).unwrap();
    let exported = rootfs_archive(&image("exported:1"), &path("rootfs.tar"), &Options::default()).unwrap();
    let sources = [path("images.tar").display().to_string(), exported.reference(0)];
    let sources: Vec<Source> = sources.iter().map(|source| source.parse().unwrap()).collect();
    let summary = ingest(&sources, &store, &layerprint_ingest::Options::default(), &|_| {}).unwrap();
    assert_eq!((summary.images_new, saved.images.len()), (3, 2));
    let index = Index::open(&path("store")).unwrap();
    let mut told = BTreeMap::new();
    for record in index.images() {
        let record = record.unwrap();
        let labels = labels(&index, &record).unwrap().into_iter();
        let labels: Vec<String> = labels.map(|(key, value)| format!("{key}={value}")).collect();
        told.insert(index.names_of(&record.id).unwrap().concat(), labels);
    }
    let told: Vec<(&str, String)> =
        told.iter().map(|(name, labels)| (name.rsplit('/').next().unwrap(), labels.join(" "))).collect();
    let all = "org.opencontainers.image.source=https://example.org/é\n team=a".to_owned();
    let expected = [("rootfs.tar", String::new()), ("labelled:1", all), ("plain:1", String::new())];
    assert_eq!(told, expected);
}
