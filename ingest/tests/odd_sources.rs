//! Layouts and archives that are damaged, tell untruths or lead astray: the fault is told, and is nobody else's.

use crate::support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::{child, file, merged, oddities, put, read};
use layerprint_ingest::write::{
    Compression, DockerSave, Image, Layer, Options, Stored, Written, docker_archive, oci_archive, oci_layout,
};
use layerprint_ingest::{IngestError, LayerError};
use layerprint_store::id::{BlobDigest, DiffId, ImageId};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn good() -> Image {
    Image::new("good:1").layer(Layer::new().file("etc/motd", "hi\n"))
}

fn bad(layer: Layer) -> Image {
    Image::new("bad:1").layer(Layer::new().file("base", "B")).layer(layer)
}

fn layout(folder: &Path, images: &[Image]) -> Written {
    oci_layout(images, &folder.join("layout"), &Options::default()).unwrap()
}

fn blob(written: &Written, digest: BlobDigest) -> PathBuf {
    written.path.join(format!("blobs/sha256/{}", digest.to_hex()))
}

fn read_path(path: &Path) -> support::Outcome {
    read(path.to_str().unwrap())
}

/// Replaces the bytes of a blob without changing what it is called.
fn edit_json(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// Adds a JSON blob to a layout and returns its descriptor.
fn add_blob(layout: &Path, media_type: &str, value: &Value) -> Value {
    let bytes = value.to_string().into_bytes();
    let digest = BlobDigest::Sha256(Sha256::digest(&bytes).into());
    put(layout, &format!("blobs/sha256/{}", digest.to_hex()), &bytes);
    json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
}

#[test]
fn a_missing_layer_fails_its_own_image_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let gone = Layer::new().file("gone", "G").stored(Stored::Missing);
    for index_depth in [0, 2] {
        let path = folder.path().join(index_depth.to_string());
        let options = Options { index_depth, ..Options::default() };
        let written = oci_layout(&[bad(gone.clone()), good()], &path, &options).unwrap();
        let outcome = read_path(&path);
        assert_eq!(outcome.names(), ["good:1"]);
        let digest = written.images[0].layers[1].digest;
        let missing = format!("blobs/sha256/{}", digest.to_hex());
        assert_eq!(outcome.failures(), [format!("layer 1 ({digest}): {missing} is missing")]);
        assert!(outcome.summary.failed[0].origin.ends_with(" bad:1"));
    }
}

#[test]
fn a_missing_manifest_or_configuration_fails_its_own_image_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let written = layout(folder.path(), &[bad(Layer::new()), good(), good().named("other:1").step("CMD x")]);
    let (manifest, config) =
        (written.images[0].manifest_digest.unwrap(), written.images[1].config_digest.unwrap());
    fs::remove_file(blob(&written, manifest)).unwrap();
    fs::remove_file(blob(&written, config)).unwrap();
    let outcome = read_path(&written.path);
    assert_eq!(outcome.names(), ["other:1"]);
    let at = written.path.display();
    let expected =
        [format!("{at}: manifest {manifest} is missing"), format!("{at}: configuration {config} is missing")];
    assert_eq!(outcome.failures(), expected);
}

#[test]
fn platforms_that_were_not_copied_along_are_passed_over_unless_none_was() {
    let folder = tempfile::tempdir().unwrap();
    let arm = good().platform("linux", "arm64");
    let options = Options { index_depth: 1, ..Options::default() };
    let written = oci_layout(&[good(), arm], &folder.path().join("layout"), &options).unwrap();
    fs::remove_file(blob(&written, written.images[1].manifest_digest.unwrap())).unwrap();
    let image = read_path(&written.path).image();
    assert_eq!(image.record.platform.to_string(), "linux/amd64");
    let first = written.images[0].manifest_digest.unwrap();
    fs::remove_file(blob(&written, first)).unwrap();
    let error = read_path(&written.path).error().to_string();
    assert_eq!(error, format!("{}: manifest {first} is missing", written.path.display()));
}

#[test]
fn bytes_that_are_not_those_promised_fail_their_own_image() {
    let folder = tempfile::tempdir().unwrap();
    let written = layout(folder.path(), &[bad(Layer::new().file("x", "X").stored(Stored::Misnamed)), good()]);
    let outcome = read_path(&written.path);
    assert_eq!(outcome.names(), ["good:1"]);
    let [failure] = &outcome.summary.failed[..] else { panic!("{:?}", outcome.failures()) };
    let IngestError::Layer { index: 1, source, .. } = &failure.error else { panic!("{failure:?}") };
    let LayerError::DigestMismatch { found, expected } = &**source else { panic!("{source:?}") };
    assert_eq!(**expected, written.images[0].layers[1].digest);
    assert_eq!(
        **found,
        BlobDigest::Sha256(Sha256::digest(fs::read(blob(&written, **expected)).unwrap()).into())
    );
}

#[test]
fn a_manifest_or_configuration_of_another_digest_or_size_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let written = layout(folder.path(), &[bad(Layer::new()), good(), good().named("other:1").step("CMD x")]);
    let manifest = blob(&written, written.images[0].manifest_digest.unwrap());
    let config = blob(&written, written.images[1].config_digest.unwrap());
    let mut bytes = fs::read(&manifest).unwrap();
    *bytes.last_mut().unwrap() = b' ';
    fs::write(&manifest, &bytes).unwrap();
    let size = fs::metadata(&config).unwrap().len();
    fs::write(&config, "../../config.json").unwrap();
    let outcome = read_path(&written.path);
    assert_eq!(outcome.names(), ["other:1"]);
    let at = written.path.display();
    let (digest, found) =
        (written.images[0].manifest_digest.unwrap(), BlobDigest::Sha256(Sha256::digest(&bytes).into()));
    let config = written.images[1].config_digest.unwrap();
    let link = r#"it holds the path "../../config.json", as if it had been a symbolic link"#;
    let expected = [
        format!("{at}: {digest}: digest of the bytes is {found}"),
        format!("{at}: {config}: size is 17 bytes, expected {size}: {link}"),
    ];
    assert_eq!(outcome.failures(), expected);
}

#[test]
fn a_wrong_size_of_a_layer_is_the_fault_of_the_image_that_says_it() {
    let folder = tempfile::tempdir().unwrap();
    let written = layout(folder.path(), &[good()]);
    let manifest = fs::read(blob(&written, written.images[0].manifest_digest.unwrap())).unwrap();
    let mut lie: Value = serde_json::from_slice(&manifest).unwrap();
    lie["layers"][0]["size"] = 7.into();
    let mut row = add_blob(&written.path, "application/vnd.oci.image.manifest.v1+json", &lie);
    row["annotations"] = json!({"org.opencontainers.image.ref.name": "liar:1"});
    edit_json(&written.path.join("index.json"), |index| {
        index["manifests"].as_array_mut().unwrap().insert(0, row)
    });
    let outcome = read_path(&written.path);
    assert_eq!(outcome.names(), ["good:1"]);
    let layer = &written.images[0].layers[0];
    let expected = format!("layer 0 ({}): size is {} bytes, expected 7", layer.digest, layer.size_bytes);
    assert_eq!(outcome.failures(), [expected]);
}

#[test]
fn a_false_diff_id_is_recorded_and_gives_no_claim_to_the_identity() {
    let folder = tempfile::tempdir().unwrap();
    let trusted: DiffId = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
    let liar = bad(Layer::new().file("x", "X").declared_diff_id(trusted));
    let docker = folder.path().join("docker.tar");
    docker_archive(std::slice::from_ref(&liar), &docker, DockerSave::V1_1, &Options::default()).unwrap();
    for written in [
        layout(folder.path(), std::slice::from_ref(&liar)),
        docker_archive(&[liar], &docker, DockerSave::V1_1, &Options::default()).unwrap(),
    ] {
        let image = read_path(&written.path).image();
        let truth: Vec<_> = written.images[0].layers.iter().map(|layer| layer.diff_id).collect();
        assert_eq!(image.record.layers, truth);
        assert_eq!(oddities(&image.record.anomalies), ["DiffIdMismatch 1"]);
        assert_ne!(Some(image.record.id), written.images[0].image_id);
        assert!(!image.record.layers.contains(&trusted));
    }
}

#[test]
fn a_document_that_is_both_manifest_and_index_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let written = layout(folder.path(), &[good()]);
    let manifest = fs::read(blob(&written, written.images[0].manifest_digest.unwrap())).unwrap();
    for field in ["layers", "config"] {
        let mut both: Value = serde_json::from_slice(&manifest).unwrap();
        both["manifests"] = json!([]);
        both.as_object_mut().unwrap().remove(if field == "layers" { "config" } else { "layers" });
        let row = add_blob(&written.path, "application/vnd.oci.image.index.v1+json", &both);
        let digest = row["digest"].as_str().unwrap().to_owned();
        edit_json(&written.path.join("index.json"), |index| index["manifests"] = json!([row]));
        let error = read_path(&written.path).error().to_string();
        assert_eq!(error, format!("{}: {digest}: is both a manifest and an index", written.path.display()));
    }
}

#[test]
fn blobs_may_be_links_inside_the_layout_and_never_lead_out() {
    let folder = tempfile::tempdir().unwrap();
    let linked = Layer::new().file("x", "X").stored(Stored::Symlinked);
    let written = layout(folder.path(), &[bad(linked.clone()), good()]);
    assert_eq!(read_path(&written.path).names(), ["bad:1", "good:1"]);
    let archive = folder.path().join("linked.tar");
    oci_archive(&[bad(linked.clone())], &archive, &Options::default()).unwrap();
    assert_eq!(merged(&read_path(&archive).image()), [file("base", "B"), file("x", "X")]);
    let gzipped = put(folder.path(), "linked.tgz", Compression::Gzip.compress(&fs::read(&archive).unwrap()));
    assert_eq!(merged(&read_path(&gzipped).image()), [file("base", "B"), file("x", "X")]);

    let digest = written.images[0].layers[1].digest;
    let path = blob(&written, digest);
    let outside = put(folder.path(), "outside", fs::read(&path).unwrap());
    for target in [outside, "../../../outside".into(), "/proc/self/environ".into()] {
        fs::remove_file(&path).unwrap();
        symlink(target, &path).unwrap();
        let outcome = read_path(&written.path);
        assert_eq!(outcome.names(), ["good:1"]);
        let what = format!("blobs/sha256/{}, which leads out of it", digest.to_hex());
        assert_eq!(outcome.failures(), [format!("{}: {what} is not supported", written.path.display())]);
    }
}

#[test]
fn two_digests_for_one_file_do_not_share_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let written = layout(folder.path(), &[bad(Layer::new().file("x", "X")), good()]);
    let (bad, good) = (written.images[0].layers[1].digest, written.images[1].layers[0].digest);
    fs::remove_file(blob(&written, bad)).unwrap();
    symlink(good.to_hex(), blob(&written, bad)).unwrap();
    let outcome = read_path(&written.path);
    assert_eq!((outcome.names(), outcome.failures().len()), (vec!["good:1".to_owned()], 1));
}

#[test]
fn attestations_are_kept_with_their_image_and_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let predicate = json!({"buildType": "https://example.com/build"});
    let image = good().provenance("https://slsa.dev/provenance/v1", predicate);
    for index_depth in [0, 1] {
        let options = Options { index_depth, ..Options::default() };
        let path = folder.path().join(index_depth.to_string());
        oci_layout(std::slice::from_ref(&image), &path, &options).unwrap();
        let read = read_path(&path).image();
        let kinds: Vec<_> =
            read.record.documents.iter().map(|document| document.media_type.as_str()).collect();
        let manifest = "application/vnd.oci.image.manifest.v1+json";
        let config = "application/vnd.oci.image.config.v1+json";
        assert_eq!(kinds, [config, manifest, manifest, "application/vnd.in-toto+json"]);
    }
}

#[test]
fn an_artifact_type_does_not_hide_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let written = layout(folder.path(), &[good()]);
    let index = written.path.join("index.json");
    edit_json(&index, |index| index["manifests"][0]["artifactType"] = "application/vnd.innocent".into());
    assert_eq!(read_path(&written.path).names(), ["good:1"]);
    edit_json(&index, |index| index["manifests"][0]["mediaType"] = "application/vnd.nobody.knows".into());
    assert_eq!(read_path(&written.path).names(), ["good:1"]);
}

#[test]
fn charts_and_signatures_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let written = layout(folder.path(), &[good()]);
    let layer =
        add_blob(&written.path, "application/vnd.cncf.helm.chart.content.v1.tar+gzip", &json!("chart"));
    let config =
        add_blob(&written.path, "application/vnd.cncf.helm.config.v1+json", &json!({"name": "chart"}));
    let chart = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let config = add_blob(&written.path, "application/vnd.oci.image.config.v1+json", &json!({"rootfs": {}}));
    let payload = add_blob(&written.path, "application/vnd.dev.cosign.simplesigning.v1+json", &json!({}));
    let signature = json!({"schemaVersion": 2, "config": config, "layers": [payload]});
    let rows = [chart, signature]
        .map(|manifest| add_blob(&written.path, "application/vnd.oci.image.manifest.v1+json", &manifest));
    edit_json(&written.path.join("index.json"), |index| {
        index["manifests"].as_array_mut().unwrap().extend(rows)
    });
    assert_eq!(read_path(&written.path).image().names, ["good:1"]);
}

#[test]
fn a_foreign_layer_is_known_by_its_diff_id_or_missing() {
    let folder = tempfile::tempdir().unwrap();
    let base = Layer::new().dir("Files").file("Files/License.txt", "read it");
    let here = Image::new("win:base").platform("windows", "amd64").layer(base.clone());
    let top = Layer::new().file("Files/app.exe", "MZ");
    let app = Image::new("win:app")
        .platform("windows", "amd64")
        .layer(base.foreign("https://example.com/l"))
        .layer(top);
    let app = layout(folder.path(), &[app]);
    let base = folder.path().join("base.tar");
    docker_archive(&[here], &base, DockerSave::V1_1, &Options::default()).unwrap();
    let store = layerprint_store::Store::create_or_open(&folder.path().join("store")).unwrap();
    let app = app.path.display().to_string();
    let before = support::ingest(&[&app], &store);
    assert_eq!((before.images_new, before.failed.len()), (0, 1));
    assert!(before.failed[0].error.to_string().contains("is missing"), "{}", before.failed[0].error);
    support::ingest(&[base.to_str().unwrap()], &store);
    let after = support::ingest(&[&app], &store);
    assert_eq!((after.images_new, after.failed.len()), (1, 0));
}

#[test]
fn layers_that_an_oci_manifest_leaves_out_are_found_in_manifest_json() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { layerless_manifests: true, ..Options::default() };
    let path = folder.path().join("docker25.0.tar");
    docker_archive(&[good()], &path, DockerSave::V25, &options).unwrap();
    assert_eq!(merged(&read_path(&path).image()), [file("etc/motd", "hi\n")]);
    let error = read(&format!("oci-archive:{}", path.display())).error().to_string();
    assert_eq!(error, format!("{}: manifest: lists no layers, its configuration 1", path.display()));
}

#[test]
fn what_only_the_layout_of_a_docker_archive_holds_is_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker.tar");
    let images = [good(), good().platform("linux", "arm64"), bad(Layer::new().file("x", "X"))];
    docker_archive(&images, &path, DockerSave::V25, &Options::default()).unwrap();
    let mut tar = Layer::new();
    for entry in tar::Archive::new(fs::File::open(&path).unwrap()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        if name == "manifest.json" {
            let mut rows: Value = serde_json::from_slice(&bytes).unwrap();
            rows.as_array_mut().unwrap().truncate(1);
            bytes = rows.to_string().into_bytes();
        }
        tar = tar.file(name, bytes);
    }
    let path = put(folder.path(), "hidden.tar", tar.to_tar().unwrap());
    assert_eq!(read_path(&path).names(), ["bad:1", "good:1", "good:1"]);
    let path = put(folder.path(), "version.tar", tar.file("version", "1").to_tar().unwrap());
    assert_eq!(read_path(&path).names(), ["bad:1", "good:1", "good:1"]);
}

#[test]
fn a_layer_may_start_like_json_in_every_way_of_reading() {
    let folder = tempfile::tempdir().unwrap();
    let odd =
        Image::new("odd:1").layer(Layer::new().file("[", "list")).layer(Layer::new().file("{", "object"));
    for (outer, save) in [
        (Compression::None, DockerSave::V1_1),
        (Compression::Gzip, DockerSave::V1_1),
        (Compression::Zstd, DockerSave::Podman),
        (Compression::Gzip, DockerSave::V1_0),
    ] {
        let path = folder.path().join("odd.tar");
        docker_archive(std::slice::from_ref(&odd), &path, save, &Options { outer, ..Options::default() })
            .unwrap();
        assert_eq!(merged(&read_path(&path).image()), [file("[", "list"), file("{", "object")], "{save:?}");
    }
}

#[test]
fn documents_may_have_white_space_in_front() {
    let folder = tempfile::tempdir().unwrap();
    let layer = Layer::new().file("a", "A").to_tar().unwrap();
    let diff_id = format!("sha256:{}", data_encoding::HEXLOWER.encode(&Sha256::digest(&layer)));
    let config = format!("\n\t{}", json!({"os": "linux", "rootfs": {"diff_ids": [diff_id]}}));
    let tar = Layer::new()
        .file("config", &*config)
        .file("layer.tar", layer)
        .file("manifest.json", " \n[{\"Config\":\"config\",\"RepoTags\":null,\"Layers\":[\"layer.tar\"]}]");
    let plain = tar.to_tar().unwrap();
    for outer in [Compression::None, Compression::Gzip] {
        let image = read_path(&put(folder.path(), "image", outer.compress(&plain))).image();
        assert_eq!(merged(&image), [file("a", "A")]);
        assert_eq!(image.record.id, ImageId::of_config(config.as_bytes()));
    }
}

#[test]
fn names_that_the_store_cannot_hold_fail_one_image_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let long = Image::new(&"n".repeat(5000)).layer(Layer::new().file("x", "X"));
    let nul = Image::new("a\0b").layer(Layer::new().file("y", "Y"));
    let written = layout(folder.path(), &[long, nul, good()]);
    let store = layerprint_store::Store::create_or_open(&folder.path().join("store")).unwrap();
    let summary = support::ingest(&[written.path.to_str().unwrap()], &store);
    assert_eq!((summary.images_new, summary.failed.len()), (1, 2));
    assert_eq!(store.images().count(), 1);
}

#[test]
fn a_damaged_archive_is_told_from_a_file_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker.tar");
    docker_archive(&[good()], &path, DockerSave::V1_1, &Options::default()).unwrap();
    let bytes = fs::read(&path).unwrap();
    for outer in [Compression::None, Compression::Gzip] {
        let cut = put(folder.path(), "cut", outer.compress(&bytes[..bytes.len() - 2000]));
        let error = read_path(&cut).error();
        assert!(matches!(error, IngestError::Archive { .. } | IngestError::NotAnImage { .. }), "{error:?}");
        let text = put(folder.path(), "text", outer.compress(b"just text"));
        assert!(matches!(read_path(&text).error(), IngestError::NotAnImage { .. }));
    }
    let cut = put(folder.path(), "cut.gz", &Compression::Gzip.compress(&bytes)[..200]);
    let error = read_path(&cut).error().to_string();
    assert!(error.starts_with(&format!("{}: gzip stream, after ", cut.display())), "{error}");
}

#[test]
fn nothing_is_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    fs::create_dir(folder.path().join("empty")).unwrap();
    put(folder.path(), "zero", "");
    put(folder.path(), "list.tar", Layer::new().file("manifest.json", "[]").to_tar().unwrap());
    put(folder.path(), "null.tar", Layer::new().file("manifest.json", "null").to_tar().unwrap());
    let expected = [
        ("empty", "not a container image: no manifest.json, index.json or repositories in it"),
        ("zero", "not a container image: it is empty"),
        ("list.tar", "not a container image: it holds no image"),
        ("null.tar", "not a container image: it holds no image"),
        ("absent", "No such file or directory (os error 2)"),
    ];
    for (name, expected) in expected {
        assert_eq!(read(&format!("{at}/{name}")).error().to_string(), format!("{at}/{name}: {expected}"));
    }
}

#[test]
fn a_layout_of_too_many_or_too_deep_indexes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { index_depth: 6, ..Options::default() };
    let deep = oci_layout(&[good()], &folder.path().join("deep"), &options).unwrap();
    let error = read_path(&deep.path).error().to_string();
    assert_eq!(error, format!("{}: more than index_depth_max (4)", deep.path.display()));
    let wide = layout(folder.path(), &[good()]);
    edit_json(&wide.path.join("index.json"), |index| {
        let row = index["manifests"][0].clone();
        index["manifests"] = vec![row; 10_001].into();
    });
    let error = read_path(&wide.path).error().to_string();
    assert_eq!(error, format!("{}: more than descriptors_max (10000)", wide.path.display()));
}

#[test]
fn the_chain_of_an_old_archive_may_be_a_circle() {
    let folder = tempfile::tempdir().unwrap();
    let ids = ["a".repeat(64), "b".repeat(64)];
    let mut tar = Layer::new().file("repositories", json!({"app": {"1": ids[0]}}).to_string());
    for (id, parent) in [(&ids[0], &ids[1]), (&ids[1], &ids[0])] {
        tar = tar
            .file(format!("{id}/json"), json!({"id": id, "parent": parent}).to_string())
            .file(format!("{id}/layer.tar"), Layer::new().to_tar().unwrap());
    }
    let path = put(folder.path(), "old.tar", tar.to_tar().unwrap());
    let error = read_path(&path).error().to_string();
    assert_eq!(error, format!("{} app:1: more than layers_max (1024)", path.display()));
}

#[test]
fn a_pipe_that_ends_early_is_an_error() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker.tar");
    docker_archive(&[good()], &path, DockerSave::V1_1, &Options::default()).unwrap();
    let bytes = fs::read(&path).unwrap();
    let mut child = child("odd_sources::prints_failures")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&bytes[..3000]).unwrap();
    let printed = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(printed.contains("0 images; standard input: tar ends at byte 3000, inside "), "{printed}");
}

#[test]
#[ignore = "started by another test, with an archive on standard input"]
fn prints_failures() {
    let outcome = read("-");
    println!("{} images; {}", outcome.images.len(), outcome.failures().join("\n"));
}
