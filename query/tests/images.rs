//! The whole way: images written as archives, read into a store, and asked about as files.

use layerprint_ingest::write::{
    DockerSave, Image, Layer, Options, docker_archive, oci_layout, rootfs_archive,
};
use layerprint_ingest::{Source, ingest, read};
use layerprint_query::{Evidence, Finding, Subject, Verdict, find};
use layerprint_store::{Index, Store};

fn base() -> Image {
    let files = (0..30_u32).fold(Layer::new().dir("usr/"), |layer, index| {
        layer.file(format!("usr/{index}"), format!("{index}").repeat(20_000))
    });
    Image::new("base:1").layer(files)
}

fn answer(index: &Index, reference: &str) -> Finding {
    let sources = [reference.parse::<Source>().unwrap()];
    let (mut images, summary) =
        read(&sources, Some(index), &layerprint_ingest::Options::default(), &|_| {}).unwrap();
    assert!(summary.failed.is_empty(), "{:?}", summary.failed);
    let image = images.next().unwrap().unwrap();
    find(index, &Subject::new(image.record, image.names, image.layers), reference).unwrap()
}

#[test]
fn base_is_found_for_an_image_in_any_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let store = Store::create_or_open(&path("store")).unwrap();
    let written = oci_layout(&[base()], &path("bases"), &Options::default()).unwrap();
    let sources = [written.reference(0).parse::<Source>().unwrap()];
    ingest(&sources, &store, &layerprint_ingest::Options::default(), &|_| {}).unwrap();

    let app = base().named("app:1").layer(Layer::new().file("srv/app", "run").whiteout("usr/0"));
    let layered =
        docker_archive(std::slice::from_ref(&app), &path("app.tar"), DockerSave::V1_1, &Options::default())
            .unwrap();
    let flat = rootfs_archive(&app, &path("flat.tar"), &Options::default()).unwrap();
    for (written, evidence) in [(layered, Evidence::ChainId), (flat, Evidence::Content)] {
        let finding = answer(&store.index().unwrap(), &written.reference(0));
        let found = finding.base.unwrap();
        assert_eq!((finding.verdict, found.evidence), (Verdict::Base, evidence));
        assert_eq!(found.names, ["base:1"]);
        assert_eq!((found.contents.present, found.contents.total), (29, 30));
        assert_eq!((finding.new.files.present, finding.new.bytes), (1, 3));
    }
}
