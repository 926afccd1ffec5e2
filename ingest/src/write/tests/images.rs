//! Each form by itself: what leads to its layers, and what was broken on purpose.

use super::*;

#[test]
fn a_shared_layer_is_a_symlink_that_may_come_first() {
    let folder = TempDir::new().unwrap();
    let base = sample();
    let child = base.clone().named("child:1").layer(Layer::new().file("new", "x"));
    let file = folder.path().join("save.tar");
    for links_first in [false, true] {
        let options = Options { links_first, ..Options::default() };
        docker_archive(&[base.clone(), child.clone()], &file, DockerSave::V1_1, &options).unwrap();
        let mut tar = tar::Archive::new(File::open(&file).unwrap());
        let kinds: Vec<_> =
            tar.entries().unwrap().map(|entry| entry.unwrap().header().entry_type()).collect();
        assert_eq!(kinds.iter().filter(|kind| kind.is_symlink()).count(), 2);
        assert_eq!(kinds[0].is_symlink(), links_first);
        assert_eq!(files_of(&file).values().filter(|bytes| bytes.len() > 70_000).count(), 3);
    }
}

#[test]
fn layers_of_docker_1_0_are_chained_by_their_parents() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("save.tar");
    let written = docker_archive(&[sample()], &file, DockerSave::V1_0, &Options::default()).unwrap();
    let files = files_of(&file);
    let mut id = json_of(&files, "repositories")["app"]["1"].clone();
    let mut chain = Vec::new();
    while let Some(hex) = id.as_str() {
        chain.insert(0, sha256(&files[&format!("{hex}/layer.tar")]));
        assert_eq!(files[&format!("{hex}/VERSION")], b"1.0");
        id = json_of(&files, &format!("{hex}/json"))["parent"].clone();
    }
    let expected: Vec<_> = written.images[0].layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    assert_eq!(chain, expected);
    assert!(!files.contains_key("manifest.json"));
}

#[test]
fn an_unnamed_image_has_null_tags_and_is_named_by_position() {
    let folder = TempDir::new().unwrap();
    let image = Image::unnamed().layer(Layer::new());
    for save in [DockerSave::V1_1, DockerSave::V25, DockerSave::Podman, DockerSave::Kaniko] {
        let file = folder.path().join(format!("{save:?}.tar"));
        let written = docker_archive(&[sample(), image.clone()], &file, save, &Options::default()).unwrap();
        let manifest = json_of(&files_of(&file), "manifest.json");
        assert_eq!(manifest[0]["RepoTags"], serde_json::json!(["app:1"]));
        assert_eq!(manifest[1]["RepoTags"], Value::Null, "{save:?}");
        assert_eq!(written.reference(0), format!("docker-archive:{}:app:1", file.display()));
        assert_eq!(written.reference(1), format!("docker-archive:{}:@1", file.display()));
    }
}

#[test]
fn windows_layers_say_where_they_come_from() {
    let base = Layer::new()
        .dir("Files")
        .pax("MSWINDOWS.fileattr", "16")
        .file("Files/Windows/notepad.exe", "MZ")
        .hard_link("UtilityVM/Files/Windows/notepad.exe", "Files/Windows/notepad.exe")
        .file("Hives/System_Base", "regf")
        .foreign("https://mcr.example/base");
    let image = Image::new("win:1").platform("windows", "amd64").os_version("10.0.20348.1").layer(base);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("save.tar");
    let written = docker_archive(std::slice::from_ref(&image), &file, DockerSave::V1_1, &Options::default());
    let layer = &written.unwrap().images[0].layers[0];
    let sources = &json_of(&files_of(&file), "manifest.json")[0]["LayerSources"];
    assert_eq!(sources[layer.diff_id.to_string()]["digest"], layer.digest.to_string());

    let layout = folder.path().join("layout");
    let written = oci_layout(&[image], &layout, &Options::default()).unwrap();
    let blob = layout.join("blobs/sha256").join(written.images[0].layers[0].digest.to_hex());
    assert!(!blob.exists(), "a foreign layer is fetched from its address");
}

#[test]
fn damage_is_done_as_ordered() {
    let folder = TempDir::new().unwrap();
    let layer = |text: &str| Layer::new().file("f", text);
    let lie = DiffId::from_bytes([7; 32]);
    let image = Image::new("x:1")
        .layer(layer("missing").stored(Stored::Missing))
        .layer(layer("link").stored(Stored::Symlinked))
        .layer(layer("misnamed").stored(Stored::Misnamed))
        .layer(layer("lie").declared_diff_id(lie));
    let written = oci_layout(&[image], folder.path(), &Options::default()).unwrap();
    let layers = &written.images[0].layers;
    let path = |at: usize| folder.path().join("blobs/sha256").join(layers[at].digest.to_hex());
    assert!(!path(0).exists());
    assert!(path(1).is_symlink());
    assert_eq!(sha256(&fs::read(path(1)).unwrap()), layers[1].digest.to_string());
    let misnamed = fs::read(path(2)).unwrap();
    assert_ne!(sha256(&misnamed), layers[2].digest.to_string());
    assert_eq!(sha256(&decompress(&misnamed)), layers[2].diff_id.to_string());
    let config = written.images[0].config_digest.unwrap();
    let config = json_of(&files_of(folder.path()), &format!("blobs/sha256/{}", config.to_hex()));
    assert_eq!(config["rootfs"]["diff_ids"][3], lie.to_string());
    assert_ne!(layers[3].diff_id, lie);
}

#[test]
fn platforms_of_one_name_share_an_index_with_their_attestations() {
    let folder = TempDir::new().unwrap();
    let amd64 = sample().also_named("app:latest").provenance("https://slsa.dev/provenance/v1", Value::Null);
    let arm64 = amd64.clone().platform("linux", "arm64").variant("v8");
    let options = Options { index_depth: 2, ..Options::default() };
    let written = oci_layout(&[amd64, arm64], folder.path(), &options).unwrap();
    let files = files_of(folder.path());
    let top = json_of(&files, "index.json");
    let names = top["manifests"].as_array().unwrap().iter();
    let names: Vec<_> =
        names.map(|row| row["annotations"]["org.opencontainers.image.ref.name"].clone()).collect();
    assert_eq!(names, ["app:1", "app:latest"]);
    let outer = json_of(&files, &blob_path(&top["manifests"][0]["digest"]));
    let inner = json_of(&files, &blob_path(&outer["manifests"][0]["digest"]));
    let rows = inner["manifests"].as_array().unwrap();
    let architectures: Vec<_> = rows.iter().map(|row| row["platform"]["architecture"].clone()).collect();
    assert_eq!(architectures, ["amd64", "unknown", "arm64", "unknown"]);
    let subject = &rows[1]["annotations"]["vnd.docker.reference.digest"];
    assert_eq!(*subject, written.images[0].manifest_digest.unwrap().to_string());
    let attestation = json_of(&files, &blob_path(&rows[1]["digest"]));
    assert_eq!(attestation["layers"][0]["mediaType"], "application/vnd.in-toto+json");
}

#[test]
fn names_are_spelled_as_containerd_spells_them() {
    for (name, full, tag) in [
        ("app:1", "docker.io/library/app:1", "1"),
        ("team/app", "docker.io/team/app:latest", "latest"),
        ("localhost:5000/app", "localhost:5000/app:latest", "latest"),
        ("registry.example/app:2", "registry.example/app:2", "2"),
    ] {
        let annotations = names::annotations(name, true);
        assert_eq!(annotations["io.containerd.image.name"], full);
        assert_eq!(annotations["org.opencontainers.image.ref.name"], tag);
    }
}

#[test]
fn a_root_file_system_has_what_docker_adds_to_a_container() {
    let folder = TempDir::new().unwrap();
    let written = rootfs_archive(&sample(), &folder.path().join("rootfs.tar"), &Options::default()).unwrap();
    let files = files_of(&written.path);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    let expected = [
        ".dockerenv",
        "dev/console",
        "etc/hostname",
        "etc/hosts",
        "etc/issue",
        "etc/resolv.conf",
        "srv/\u{fffd}\u{fffd}",
        "usr/bin/su",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_destination_that_cannot_be_written_is_named() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let inside_file = folder.path().join("file/layout");
    let error = oci_layout(&[sample()], &inside_file, &Options::default()).unwrap_err();
    assert!(matches!(&error, WriteError::Write { path, .. } if path.ends_with("file")), "{error:?}");
}
