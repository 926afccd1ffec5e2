//! One image, however it is kept, is one image: the same files, layers and identity from every form.

use crate::support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::support::{child, file, merged, read};
use layerprint_ingest::write::{
    Compression, DockerSave, Form, Image, Layer, Options, Written, docker_archive, forms, oci_archive,
    oci_layout, rootfs_archive, skopeo_dir,
};
use layerprint_store::id::{DiffId, ImageId};

/// Two distributions' worth of oddities in three layers, the first of which returns on top.
fn sample() -> Image {
    let base = Layer::new()
        .dir("bin/")
        .dir("etc/")
        .file("etc/motd", "hi\n")
        .hard_link("etc/issue", "etc/motd")
        .file("etc/old", "to be removed")
        .symlink("lib", "usr/lib")
        .file("bin/su", vec![7; 70_000])
        .mode(0o4755);
    let app =
        Layer::new().whiteout("etc/old").dir("srv/").file(b"srv/\xff\xfe", "not UTF-8").fifo("srv/pipe");
    let top = Layer::new().file("etc/motd", "hello\n");
    Image::new("app:1").layer(base).layer(app).layer(top).layer(Layer::new().file("etc/empty", ""))
}

fn sample_files() -> Vec<String> {
    vec![
        "bin dir".into(),
        file("bin/su", vec![7; 70_000]),
        "etc dir".into(),
        file("etc/empty", ""),
        file("etc/issue", "hi\n"),
        file("etc/motd", "hello\n"),
        "lib -> usr/lib".into(),
        "srv dir".into(),
        "srv/pipe fifo".into(),
        file(r"srv/\xff\xfe", "not UTF-8"),
    ]
}

/// What Docker puts into a container, and so into the tar of `docker export`.
fn container_files() -> Vec<String> {
    let dirs = ["dev", "dev/pts", "dev/shm", "proc", "sys"].map(|dir| format!("{dir} dir"));
    let files = [".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"];
    let mut rows: Vec<String> = dirs.into_iter().chain(files.map(|path| file(path, ""))).collect();
    rows.push("etc/mtab -> /proc/mounts".into());
    rows
}

/// What a reading must come to, in a form that is compared whole.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    files: Vec<String>,
    layers: Vec<DiffId>,
    id: Option<ImageId>,
}

fn expected(form: &Form, written: &Written) -> Reading {
    let mut files = sample_files();
    if !form.keeps_layers() {
        files.extend(container_files());
        files.sort_by_key(|row| row.split(' ').next().unwrap().replace('\\', "~"));
    }
    let image = &written.images[0];
    Reading { files, layers: image.layers.iter().map(|layer| layer.diff_id).collect(), id: image.image_id }
}

fn reading(source: &str, form: &Form) -> Reading {
    let image = read(source).image();
    let id = form.keeps_config().then_some(image.record.id);
    Reading { files: merged(&image), layers: image.record.layers.clone(), id }
}

#[test]
fn every_form_of_an_image_is_read_as_the_same_image() {
    let folder = tempfile::tempdir().unwrap();
    let forms = forms();
    assert!(forms.len() >= 59);
    let bases: Vec<_> = forms.iter().map(|form| form.write(&sample(), folder.path()).unwrap()).collect();
    for (form, written) in forms.iter().zip(&bases) {
        let expected = expected(form, written);
        // The path alone is enough: the form is told from the contents.
        assert_eq!(reading(&written.path.display().to_string(), form), expected, "{}", form.name);
        if form.name != "docker-v25-layerless" {
            assert_eq!(reading(&written.reference(0), form), expected, "{}", written.reference(0));
        }
    }
}

#[test]
fn every_archive_may_come_through_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    for form in forms() {
        let written = form.write(&sample(), folder.path()).unwrap();
        if written.path.is_file() {
            let printed = through_a_pipe("formats::prints_standard_input", &fs::read(&written.path).unwrap());
            let Reading { files, layers, id } = expected(&form, &written);
            let id = id.map(|id| id.to_string()).unwrap_or_default();
            let rows = files.into_iter().chain(layers.iter().map(DiffId::to_string)).chain([id]);
            let expected: String = rows.filter(|row| !row.is_empty()).map(|row| row + "\n").collect();
            assert!(printed.contains(&expected), "{}: {printed}\nis not\n{expected}", form.name);
        }
    }
}

/// Starts a test of this binary and feeds it in pieces that fit no block.
fn through_a_pipe(test: &str, bytes: &[u8]) -> String {
    let mut child = child(test).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for piece in bytes.chunks(7_777) {
        // A child that has seen enough closes the pipe.
        if stdin.write_all(piece).is_err() {
            break;
        }
    }
    drop(stdin);
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
#[ignore = "started by another test, with an archive on standard input"]
fn prints_standard_input() {
    let outcome = read("-");
    outcome.failures().iter().for_each(|failure| println!("{failure}"));
    for image in &outcome.images {
        merged(image).iter().for_each(|row| println!("{row}"));
        image.record.layers.iter().for_each(|layer| println!("{layer}"));
        println!("{}", image.record.id);
    }
}

#[test]
fn an_extension_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    for form in forms().iter().filter(|form| form.options.outer != Compression::None) {
        let written = form.write(&sample(), folder.path()).unwrap();
        for misleading in ["image.zip", "image.tar", "image.tar.gz", "image", "image.json"] {
            let path = folder.path().join(misleading);
            fs::copy(&written.path, &path).unwrap();
            assert_eq!(reading(path.to_str().unwrap(), form), expected(form, &written), "{misleading}");
        }
    }
}

#[test]
fn folders_are_searched_for_images_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let forms = forms();
    for form in &forms {
        form.write(&sample(), &folder.path().join(&form.name)).unwrap();
    }
    support::put(folder.path(), "notes/read.me", "no image");
    support::put(folder.path(), "notes/log.gz", Compression::Gzip.compress(b"text that is no tar"));
    support::put(folder.path(), "notes/log.lz4", b"\x04\x22\x4d\x18 is no image either");
    support::put(folder.path(), "notes/one.tar", Layer::new().file("a", "b").to_tar().unwrap());
    let outcome = read(folder.path().to_str().unwrap());
    assert_eq!(outcome.failures(), Vec::<String>::new());
    assert_eq!(outcome.images.len(), forms.len());
    let mut skipped: Vec<_> = outcome.summary.skipped.iter().map(|skipped| &skipped.origin).collect();
    skipped.sort();
    let at = |name: &str| folder.path().join("notes").join(name).display().to_string();
    assert_eq!(skipped, [&at("log.gz"), &at("one.tar")]);
}

fn several() -> [Image; 3] {
    let base = sample().named("base:1");
    let app = base.clone().named("app:2").also_named("app:latest").layer(Layer::new().file("srv/app", "2"));
    [base, app.clone(), app.named("other:3").layer(Layer::new().file("srv/app", "3"))]
}

#[test]
fn several_images_of_one_archive_are_told_apart_by_name_and_number() {
    let folder = tempfile::tempdir().unwrap();
    let saves = [DockerSave::V1_0, DockerSave::V1_1, DockerSave::V25, DockerSave::Podman, DockerSave::Kaniko];
    let mut archives: Vec<Written> = Vec::new();
    for (at, save) in saves.into_iter().enumerate() {
        for outer in [Compression::None, Compression::Gzip] {
            let path = folder.path().join(format!("{at}-{outer:?}.tar"));
            let options = Options { outer, links_first: true, ..Options::default() };
            archives.push(docker_archive(&several(), &path, save, &options).unwrap());
        }
    }
    let layout = folder.path().join("layout");
    archives.push(oci_layout(&several(), &layout, &Options::default()).unwrap());
    archives.push(oci_archive(&several(), &folder.path().join("oci.tar"), &Options::default()).unwrap());
    for written in archives {
        let path = written.path.display();
        let all = read(&path.to_string());
        assert_eq!(all.failures(), Vec::<String>::new(), "{path}");
        assert_eq!(all.names(), ["app:2", "app:latest", "base:1", "other:3"], "{path}");
        for (index, image) in written.images.iter().enumerate() {
            for name in &image.names {
                let found = read(&format!("{}:{path}:{name}", written.transport)).image();
                let expected: Vec<_> = image.layers.iter().map(|layer| layer.diff_id).collect();
                assert_eq!(found.record.layers, expected, "{path} {name}");
            }
            if written.transport == "docker-archive" && !path.to_string().contains("/0-") {
                let found = read(&format!("docker-archive:{path}:@{index}")).image();
                assert_eq!(Some(found.record.id), image.image_id, "{path} @{index}");
            }
        }
    }
}

#[test]
fn a_reference_that_is_not_there_lists_what_is() {
    let folder = tempfile::tempdir().unwrap();
    let images = several();
    let docker = folder.path().join("docker.tar");
    docker_archive(&images, &docker, DockerSave::V1_1, &Options::default()).unwrap();
    let oci = folder.path().join("layout");
    oci_layout(&images, &oci, &Options::default()).unwrap();
    let old = folder.path().join("old.tar");
    docker_archive(&images, &old, DockerSave::V1_0, &Options::default()).unwrap();
    for (source, path) in [
        (format!("docker-archive:{}:no:1", docker.display()), &docker),
        (format!("oci:{}:no:1", oci.display()), &oci),
        (format!("docker-archive:{}:no:1", old.display()), &old),
    ] {
        let error = read(&source).error().to_string();
        let known = error.split("there is ").nth(1).unwrap();
        let mut known: Vec<_> = known.split(", ").collect();
        known.sort_unstable();
        assert_eq!(known, ["app:2", "app:latest", "base:1", "other:3"], "{error}");
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        assert!(error.contains(r#"no image "no:1""#), "{error}");
    }
    let error = read(&format!("docker-archive:{}:@7", docker.display())).error().to_string();
    assert!(error.contains(r#"no image "@7""#), "{error}");
}

#[test]
fn a_reference_may_hold_colons_and_a_registry() {
    let folder = tempfile::tempdir().unwrap();
    let name = "registry.example:5000/team/app:1.0";
    let other = Image::new("other:1").layer(Layer::new().file("a", "b"));
    let written = oci_layout(&[sample().named(name), other], &folder.path().join("l"), &Options::default());
    let image = read(&written.unwrap().reference(0)).image();
    assert_eq!((image.names.clone(), merged(&image)), (vec![name.to_owned()], sample_files()));
}

#[test]
fn an_image_without_tags_is_read_and_goes_by_its_place() {
    let folder = tempfile::tempdir().unwrap();
    for save in [DockerSave::V1_1, DockerSave::V25, DockerSave::Podman, DockerSave::Kaniko] {
        let path = folder.path().join(format!("{save:?}.tar"));
        let unnamed = Image::unnamed().layer(Layer::new().file("a", "b"));
        let written = docker_archive(&[unnamed], &path, save, &Options::default()).unwrap();
        let image = read(&path.display().to_string()).image();
        let names = vec![format!("{} @0", path.display())];
        assert_eq!((image.names, Some(image.record.id)), (names, written.images[0].image_id));
    }
}

#[test]
fn a_folder_as_root_file_system_is_the_image_that_its_tar_is() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    support::put(&root, "etc/motd", "hi\n");
    support::put(&root, "bin/su", vec![7; 70_000]);
    std::os::unix::fs::symlink("bin/su", root.join("su")).unwrap();
    let image = read(&format!("rootfs:{}", root.display())).image();
    let expected = vec![
        "bin dir".to_owned(),
        file("bin/su", vec![7; 70_000]),
        "etc dir".into(),
        file("etc/motd", "hi\n"),
        "su -> bin/su".into(),
    ];
    assert_eq!(merged(&image), expected);
    let again = read(&format!("rootfs:{}", root.display())).image();
    assert_eq!(image.record.id, again.record.id);
    let refused = read(root.to_str().unwrap()).error();
    assert_eq!(refused.hint().unwrap(), "write rootfs:PATH to read it as one");
}

#[test]
fn an_archive_named_as_one_of_images_is_not_read_as_a_root_file_system() {
    let folder = tempfile::tempdir().unwrap();
    for outer in [Compression::None, Compression::Gzip] {
        let path = folder.path().join(format!("export-{outer:?}"));
        rootfs_archive(&sample(), &path, &Options { outer, ..Options::default() }).unwrap();
        for transport in ["docker-archive", "oci-archive"] {
            let error = read(&format!("{transport}:{}", path.display())).error().to_string();
            assert!(
                error.contains("not a container image") || error.contains("index.json is missing"),
                "{error}"
            );
        }
    }
}

#[test]
fn files_in_front_of_the_images_do_not_hide_them_from_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain.tar");
    let options = Options { manifest_first: true, ..Options::default() };
    for save in [DockerSave::V1_1, DockerSave::V25] {
        docker_archive(&[sample()], &plain, save, &options).unwrap();
        let first = Layer::new().file("README", "docker load takes this").without_end().to_tar().unwrap();
        let bytes = [first, fs::read(&plain).unwrap()].concat();
        let path = support::put(folder.path(), "odd.tar.gz", Compression::Gzip.compress(&bytes));
        assert_eq!(merged(&read(path.to_str().unwrap()).image()), sample_files(), "{save:?}");
    }
}

#[test]
fn a_large_file_in_front_of_the_images_does_not_hide_them_where_the_archive_is_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain.tar");
    for save in [DockerSave::V1_1, DockerSave::V25] {
        docker_archive(&[sample()], &plain, save, &Options::default()).unwrap();
        for first in ["README", "bin/sh"] {
            // Larger than what is looked at before it is decided what the archive is.
            let first = Layer::new().file(first, vec![b'x'; 3 << 20]).without_end().to_tar().unwrap();
            let bytes = [first, fs::read(&plain).unwrap()].concat();
            for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
                let path = support::put(folder.path(), "large.tar", compression.compress(&bytes));
                for transport in ["", "docker-archive:"] {
                    let outcome = read(&format!("{transport}{}", path.display()));
                    assert_eq!(outcome.names(), ["app:1"], "{save:?} {compression:?} {transport}");
                    assert_eq!(merged(&outcome.image()), sample_files());
                }
            }
        }
    }
}

#[test]
fn every_platform_of_an_index_is_an_image_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let arm =
        Image::new("app:1").platform("linux", "arm64").variant("v8").layer(Layer::new().file("a", "arm"));
    let windows = Image::new("app:1").platform("windows", "amd64").os_version("10.0.20348.2113");
    let windows = windows.layer(Layer::new().dir("Files").file("Files/License.txt", "read it").dir("Hives"));
    for index_depth in 0..=3 {
        let path = folder.path().join(index_depth.to_string());
        let options = Options { index_depth, ..Options::default() };
        oci_layout(&[sample(), arm.clone(), windows.clone()], &path, &options).unwrap();
        let outcome = read(path.to_str().unwrap());
        let mut platforms: Vec<_> =
            outcome.images.iter().map(|image| image.record.platform.to_string()).collect();
        platforms.sort();
        assert_eq!(platforms, ["linux/amd64", "linux/arm64/v8", "windows/amd64"]);
        assert_eq!(outcome.names(), ["app:1", "app:1", "app:1"]);
    }
}

#[test]
fn a_windows_layer_keeps_its_folders() {
    let folder = tempfile::tempdir().unwrap();
    let layer = Layer::new()
        .dir("Files")
        .dir("Files/Windows")
        .file("Files/Windows/notepad.exe", "MZ")
        .pax("MSWINDOWS.rawsd", "AQAUgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAA")
        .pax("MSWINDOWS.fileattr", "32")
        .dir("UtilityVM")
        .hard_link("UtilityVM/notepad.exe", "Files/Windows/notepad.exe")
        .dir("Hives")
        .file("Hives/Software_Delta", "regf");
    let image = Image::new("win:1").platform("windows", "amd64").layer(layer);
    for form in forms().iter().filter(|form| form.keeps_layers()) {
        let written = form.write(&image, folder.path()).unwrap();
        let expected = vec![
            "Files dir".to_owned(),
            "Files/Windows dir".into(),
            file("Files/Windows/notepad.exe", "MZ"),
            "Hives dir".into(),
            file("Hives/Software_Delta", "regf"),
            "UtilityVM dir".into(),
            file("UtilityVM/notepad.exe", "MZ"),
        ];
        assert_eq!(merged(&read(written.path.to_str().unwrap()).image()), expected, "{}", form.name);
    }
}

#[test]
fn all_platforms_that_skopeo_puts_into_a_dir_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let arm = Image::new("app:1").platform("linux", "arm64").layer(Layer::new().file("a", "arm"));
    let all = folder.path().join("all");
    let mut rows = Vec::new();
    for (name, image) in [("amd", sample()), ("arm", arm)] {
        let one = folder.path().join(name);
        let written = skopeo_dir(&image, &one, &Options::default()).unwrap();
        let manifest = fs::read(one.join("manifest.json")).unwrap();
        let digest = written.images[0].manifest_digest.unwrap();
        rows.push(serde_json::json!({"digest": digest.to_string(), "size": manifest.len()}));
        copy_files(&one, &all);
        support::put(&all, &format!("{}.manifest.json", digest.to_hex()), &manifest);
    }
    let index = serde_json::json!({"schemaVersion": 2, "manifests": rows});
    support::put(&all, "manifest.json", index.to_string());
    let outcome = read(&format!("dir:{}", all.display()));
    let mut platforms: Vec<_> =
        outcome.images.iter().map(|image| image.record.platform.to_string()).collect();
    platforms.sort();
    assert_eq!((outcome.failures(), platforms), (vec![], vec!["linux/amd64".into(), "linux/arm64".into()]));
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        support::put(to, path.file_name().unwrap().to_str().unwrap(), fs::read(&path).unwrap());
    }
}
