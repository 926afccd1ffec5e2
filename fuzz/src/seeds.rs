//! The seeds of all targets: small, and made by the project's own writers.

use std::fs;
use std::path::Path;

use layerprint_ingest::write::{
    Compression, DockerSave, Image, Layer, LongNames, Options, docker_archive, oci_archive, rootfs_archive,
};
use layerprint_store::body::encode;

use crate::documents::SEPARATOR;
use crate::{export, folder, segment};

/// Writes all seeds.
pub fn write() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = root.join(target);
        fs::create_dir_all(&folder).expect("the folder can be made");
        fs::write(folder.join(name), bytes).expect("the seed can be written");
    };
    tars(&write);
    archives(&write);
    texts(&write);
    stored(&write);
}

type Write<'a> = &'a dyn Fn(&str, &str, &[u8]);

fn layer() -> Layer {
    let layer =
        Layer::new().dir("d/").file("d/f", "text").symlink("s", "d/f").hard_link("h", "d/f").fifo("p");
    let layer = layer.char_device("c", 1, 3).whiteout("w").opaque("d").file("x", "").xattr("user.a", "b");
    layer.file("g".repeat(120), "long").pax("GNU.sparse.major", "1")
}

fn tars(write: Write) {
    for (name, names) in [("pax", LongNames::Pax), ("gnu", LongNames::Gnu)] {
        let tar = layer().long_names(names).to_tar().expect("a tar can be written");
        write("tar", name, &tar);
    }
    let tar = Layer::new().file("f", "text").to_tar().expect("a tar can be written");
    for compression in Compression::ALL {
        write("layer", &format!("{compression:?}").to_lowercase(), &compression.compress(&tar));
    }
    let two = [Compression::Gzip.compress(&tar[..600]), Compression::Gzip.compress(&tar[600..])].concat();
    write("layer", "two-members", &two);
}

fn archives(write: Write) {
    let folder = folder();
    let path = folder.path().join("archive");
    let image = Image::new("a:1").platform("linux", "amd64").layer(Layer::new().file("f", "text"));
    let images = [image.clone()];
    let read = || fs::read(&path).expect("what was written can be read");
    oci_archive(&images, &path, &Options::default()).expect("an archive can be written");
    write("archive", "oci", &read());
    let outer = Options { outer: Compression::Gzip, ..Options::default() };
    for kind in [DockerSave::V1_0, DockerSave::V1_1, DockerSave::V25, DockerSave::Podman, DockerSave::Kaniko]
    {
        docker_archive(&images, &path, kind, &outer).expect("an archive can be written");
        write("archive", &format!("{kind:?}").to_lowercase(), &read());
    }
    rootfs_archive(&image, &path, &outer).expect("an archive can be written");
    write("archive", "rootfs", &read());
}

const CONFIG: &str = r#"{"architecture":"amd64","os":"linux","created":"2026-01-02T03:04:05Z","rootfs":{"type":"layers","diff_ids":["sha256:0000000000000000000000000000000000000000000000000000000000000000"]}}"#;
const MANIFEST: &str = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"@0"},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"@0","size":null}]}"#;
const INDEX: &str = r#"{"schemaVersion":2,"manifests":[{"digest":"@1","platform":{"os":"linux","variant":"v8"},"annotations":{"org.opencontainers.image.ref.name":"a"}}]}"#;
const ATTESTATION: &str = r#"{"manifests":[{"digest":"@1"},{"digest":"@1","annotations":{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":"@1"}},{"digest":"@2","artifactType":"x"}]}"#;
const SAVED: &str = r#"[{"Config":"0","RepoTags":["a:1",null],"Layers":["0","1/layer.tar"]}]"#;
const LEGACY: &str = r#"{"id":"0","parent":"","os":"linux","created":"2026-01-02T03:04:05Z"}"#;
const REPOSITORIES: &str = r#"{"a":{"1":"1"}}"#;

fn texts(write: Write) {
    let child = LEGACY.replace(r#""parent":"""#, r#""parent":"0""#);
    let seeds: [(&str, &[&str]); 6] = [
        ("oci", &[CONFIG, MANIFEST, INDEX]),
        ("nested", &[CONFIG, MANIFEST, INDEX, r#"{"manifests":[{"digest":"@2"}]}"#]),
        ("attestation", &[CONFIG, MANIFEST, INDEX, ATTESTATION]),
        ("dir", &[CONFIG, MANIFEST]),
        ("saved", &[CONFIG, SAVED]),
        ("legacy", &[LEGACY, &child, REPOSITORIES]),
    ];
    for (name, texts) in seeds {
        let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        write("documents", name, &texts.join(&SEPARATOR));
    }
}

/// What a store holds of two small images.
fn stored(write: Write) {
    let folder = folder();
    let store = export::store_of(&export::small(), folder.path());
    store.reindex().expect("the index can be built");
    for segment in segment::unsealed(folder.path()) {
        write("segment", "small", &segment);
    }
    let mut whole = Vec::new();
    store.export(&mut whole, &|_, _| ()).expect("the store can be exported");
    write("export", "small", &export::unseal(&whole));
    for (number, record) in store.layers().enumerate() {
        let layer = record.expect("the layer can be read").diff_id;
        let fingerprint = store.fingerprint(&layer).expect("it can be read").expect("it is there");
        let body = encode(&fingerprint).expect("it was encoded before");
        write("fingerprint", &format!("layer-{number}"), &body);
    }
}
