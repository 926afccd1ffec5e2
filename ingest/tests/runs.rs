//! Runs over many sources: nothing is read twice, nothing bad spreads, and a run that dies leaves nothing half done.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::support::{child, contents, put};
use layerprint_ingest::progress::{Progress, SkipReason, Summary};
use layerprint_ingest::write::{
    DockerSave, Image, Layer, Options as WriteOptions, docker_archive, oci_layout, skopeo_dir,
};
use layerprint_ingest::{Options, Source, Transport};
use layerprint_store::{Platform, Store};

/// What a run told while it went.
#[derive(Debug, Default)]
struct Told {
    read_bytes: AtomicU64,
    layers_read: AtomicU64,
}

impl Told {
    fn on(&self, event: &Progress) {
        match event {
            Progress::Read(count) => drop(self.read_bytes.fetch_add(*count, Ordering::Relaxed)),
            Progress::LayerRead => drop(self.layers_read.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
    }

    fn counts(&self) -> (u64, u64) {
        (self.read_bytes.load(Ordering::Relaxed), self.layers_read.load(Ordering::Relaxed))
    }
}

/// Ingests paths; returns what it came to, and how many bytes and layers were read.
fn ingest_with(paths: &[PathBuf], store: &Store, options: &Options) -> (Summary, (u64, u64)) {
    let sources: Vec<_> = paths.iter().map(Source::detect).collect();
    let told = Told::default();
    let summary = layerprint_ingest::ingest(&sources, store, options, &|event| told.on(&event)).unwrap();
    (summary, told.counts())
}

fn ingest(paths: &[PathBuf], store: &Store) -> (Summary, (u64, u64)) {
    ingest_with(paths, store, &Options { jobs: 2, ..Options::default() })
}

fn new_store(folder: &Path) -> Store {
    Store::create_or_open(&folder.join("store")).unwrap()
}

fn image(number: usize) -> Image {
    let base = Layer::new().file("etc/motd", "hi\n").file("usr/lib/big", vec![3; 200_000]);
    let own = Layer::new()
        .file("srv/app", format!("{number}"))
        .file("srv/data", format!("{number}").repeat(25_000));
    Image::new(&format!("app:{number}")).layer(base).layer(own)
}

/// Writes so many images, by turns as archives and layouts, each into a file or folder of its own.
fn corpus(folder: &Path, count: usize) -> Vec<PathBuf> {
    let write = |number| {
        let path = folder.join(format!("{number:03}"));
        let images = [image(number)];
        match number % 3 {
            0 => oci_layout(&images, &path, &WriteOptions::default()),
            1 => docker_archive(&images, &path, DockerSave::V1_1, &WriteOptions::default()),
            _ => docker_archive(&images, &path, DockerSave::V25, &WriteOptions::default()),
        }
        .unwrap();
        path
    };
    (0..count).map(write).collect()
}

#[test]
fn a_second_run_reads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let paths = corpus(folder.path(), 9);
    let store = new_store(folder.path());
    let (first, (bytes, _)) = ingest(&paths, &store);
    assert_eq!((first.images_new, first.images_known, first.sources_unchanged), (9, 0, 0));
    assert!(bytes > 0);
    let before = contents(&store);
    let (second, read) = ingest(&paths, &store);
    assert_eq!((second.images_new, second.images_known, second.sources_unchanged), (0, 9, 9));
    assert_eq!(read, (0, 0));
    assert_eq!(contents(&store), before);
}

#[test]
fn a_layer_in_fifty_images_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let base = Image::new("base:1").layer(Layer::new().file("etc/motd", vec![1; 500_000]));
    let images: Vec<_> = (0..50)
        .map(|number| base.clone().named(&format!("app:{number}")).step(&format!("CMD {number}")))
        .collect();
    let layout = folder.path().join("layout");
    oci_layout(&images, &layout, &WriteOptions::default()).unwrap();
    let archive = folder.path().join("docker.tar");
    docker_archive(&images, &archive, DockerSave::V1_1, &WriteOptions::default()).unwrap();
    for path in [layout, archive] {
        let store = Store::create_or_open(&folder.path().join(format!("store-{}", path.is_dir()))).unwrap();
        let (summary, (_, layers)) = ingest(&[path], &store);
        assert_eq!((summary.images_new, summary.failed.len(), layers), (50, 0, 1));
    }
}

#[test]
fn one_bad_image_among_twenty_good_ones_is_told_and_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = corpus(folder.path(), 20);
    let bad = folder.path().join("bad");
    let broken = Layer::from_bytes(Layer::new().file("x", vec![9; 5000]).to_tar().unwrap()[..3000].to_vec());
    let written = docker_archive(
        &[image(0).named("bad:1").layer(broken)],
        &bad,
        DockerSave::V25,
        &WriteOptions::default(),
    );
    let digest = written.unwrap().images[0].layers[2].digest;
    paths.insert(10, bad.clone());
    let store = new_store(folder.path());
    let (summary, _) = ingest(&paths, &store);
    assert_eq!((summary.images_new, store.images().count()), (20, 20));
    let failures: Vec<_> =
        summary.failed.iter().map(|failure| format!("{}: {}", failure.origin, failure.error)).collect();
    let expected =
        format!("{} bad:1: layer 2 ({digest}): tar ends at byte 3000, inside \"x\"", bad.display());
    assert_eq!(failures, [expected]);
    // It is not taken for done: a second run tells of it again.
    let (again, _) = ingest(&paths, &store);
    assert_eq!((again.failed.len(), again.images_known), (1, 20));
}

#[test]
fn a_known_image_under_an_impossible_name_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let layout = |name: &str, images: &[Image]| {
        let path = folder.path().join(name);
        oci_layout(images, &path, &WriteOptions::default()).unwrap();
        path
    };
    let paths = [
        layout("first", &[image(1)]),
        layout("renamed", &[image(1).named(&format!("app:{}", "1".repeat(100_000)))]),
        layout("other", &[image(2)]),
    ];
    let store = new_store(folder.path());
    assert_eq!(ingest(&paths[..1], &store).0.images_new, 1);
    let (summary, _) = ingest(&paths, &store);
    assert_eq!((summary.images_new, summary.images_known, summary.failed.len()), (1, 1, 1));
    assert!(summary.failed[0].error.to_string().ends_with("is too long"), "{:?}", summary.failed);
}

#[test]
fn a_stored_layer_that_is_damaged_costs_the_images_on_it_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let base = Image::new("base:1").layer(Layer::new().file("etc/motd", "hi\n").file("etc/issue", "base\n"));
    let other = Image::new("other:1").layer(Layer::new().file("srv/other", "other\n"));
    let child = base.clone().named("child:1").layer(Layer::new().file("srv/child", "child\n"));
    let layouts = [("base", base), ("child", child), ("other", other)].map(|(name, image)| {
        let path = folder.path().join(name);
        oci_layout(&[image], &path, &WriteOptions::default()).unwrap();
        path
    });
    ingest(&layouts[..1], &new_store(folder.path()));
    // The first frame is a layer's fingerprint.
    let pack = folder.path().join("store/packs/00000000.pack");
    let mut bytes = fs::read(&pack).unwrap();
    bytes[200] ^= 1;
    fs::write(&pack, bytes).unwrap();
    let (summary, _) = ingest(&layouts, &new_store(folder.path()));
    let failures: Vec<_> = summary.failed.iter().map(|failure| failure.error.to_string()).collect();
    assert_eq!((summary.images_new, summary.failed.len(), failures[0].contains("corrupt")), (1, 1, true));
}

#[test]
fn a_source_that_is_all_broken_ends_the_run_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let broken = |number: usize| {
        let layer = Layer::from_bytes(format!("not a tar {number}").repeat(70));
        let path = folder.path().join(number.to_string());
        let images = [Image::new("bad:1").layer(layer)];
        docker_archive(&images, &path, DockerSave::V1_1, &WriteOptions::default()).unwrap();
        path
    };
    let paths: Vec<_> = (0..10).map(broken).collect();
    let (done, finished) = mpsc::channel();
    let store = new_store(folder.path());
    std::thread::spawn(move || done.send(ingest(&paths, &store).0.failed.len()));
    assert_eq!(finished.recv_timeout(Duration::from_secs(20)), Ok(10));
}

#[test]
fn reading_for_a_question_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let paths = corpus(folder.path(), 4);
    let store = new_store(folder.path());
    ingest(&paths[..1], &store);
    let before = (contents(&store), store.stats().unwrap());
    let sources: Vec<_> = paths.iter().map(Source::detect).collect();
    let index = store.index().unwrap();
    let (images, summary) =
        layerprint_ingest::read(&sources, Some(&index), &Options::default(), &|_| ()).unwrap();
    assert_eq!((images.count(), summary.images_new, summary.images_known), (4, 3, 1));
    store.commit().unwrap();
    assert_eq!((contents(&store), store.stats().unwrap()), before);
}

#[test]
fn the_number_of_jobs_makes_no_difference() {
    let folder = tempfile::tempdir().unwrap();
    let paths = corpus(folder.path(), 12);
    let run = |jobs: usize| {
        let store = Store::create_or_open(&folder.path().join(format!("store-{jobs}"))).unwrap();
        let (summary, _) = ingest_with(&paths, &store, &Options { jobs, ..Options::default() });
        assert_eq!((summary.images_new, summary.failed.len()), (12, 0));
        contents(&store)
    };
    let one = run(1);
    assert_eq!(run(2), one);
    assert_eq!(run(8), one);
}

#[test]
fn only_images_for_the_platform_asked_for_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let arm = |variant| image(2).platform("linux", "arm64").variant(variant);
    let images = [image(1), arm("v8"), arm("v9"), image(3).platform("windows", "amd64")];
    let layout = folder.path().join("layout");
    oci_layout(&images, &layout, &WriteOptions::default()).unwrap();
    let platform = |os: &str, architecture: &str, variant: &str| Platform {
        os: os.into(),
        architecture: architecture.into(),
        variant: variant.into(),
        os_version: String::new(),
    };
    let cases = [
        (platform("linux", "amd64", ""), vec!["linux/amd64"]),
        (platform("linux", "arm64", ""), vec!["linux/arm64/v8", "linux/arm64/v9"]),
        (platform("linux", "arm64", "v8"), vec!["linux/arm64/v8"]),
        (platform("linux", "s390x", ""), vec![]),
    ];
    for (number, (wanted, expected)) in cases.into_iter().enumerate() {
        let store = Store::create_or_open(&folder.path().join(number.to_string())).unwrap();
        let options = Options { platform: Some(wanted), ..Options::default() };
        let (summary, _) = ingest_with(std::slice::from_ref(&layout), &store, &options);
        let mut found: Vec<_> = store.images().map(|image| image.unwrap().platform.to_string()).collect();
        found.sort();
        assert_eq!(
            (found, summary.failed.len(), summary.skipped.len()),
            (expected.iter().map(|text| (*text).into()).collect(), 0, 4 - expected.len())
        );
    }
}

#[test]
fn a_file_that_was_touched_is_read_again_and_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = corpus(folder.path(), 6).into_iter().filter(|path| path.is_file()).collect();
    let store = new_store(folder.path());
    ingest(&paths, &store);
    let touched = fs::File::options().append(true).open(&paths[0]).unwrap();
    touched.set_modified(std::time::SystemTime::now() + Duration::from_secs(5)).unwrap();
    let (summary, (bytes, _)) = ingest(&paths, &store);
    assert_eq!((summary.sources_unchanged, summary.images_new, summary.images_known), (3, 0, 4));
    assert!(bytes > 0);
    let (rescanned, _) = ingest_with(&paths, &store, &Options { rescan: true, ..Options::default() });
    assert_eq!((rescanned.sources_unchanged, rescanned.images_known), (0, 4));
}

/// What can be done to a layout behind our back, and whether it must be looked at again.
type Change = (&'static str, fn(&Path), bool);

#[test]
fn a_layout_is_looked_at_again_when_its_index_or_its_blobs_have_changed() {
    let changes: [Change; 6] = [
        ("nothing", |_| (), false),
        ("index touched", |layout| touched(&layout.join("index.json")), true),
        ("index replaced by one as large and as old", replaced, true),
        ("index written over by one as large and as old", written_over, true),
        ("blob added", |layout| drop(put(layout, "blobs/sha256/00", "new")), true),
        ("read", |layout| drop(fs::read(layout.join("index.json")).unwrap()), false),
    ];
    for (what, change, is_seen) in changes {
        let folder = tempfile::tempdir().unwrap();
        let layout = folder.path().join("layout");
        oci_layout(&[image(1), image(2)], &layout, &WriteOptions::default()).unwrap();
        let store = new_store(folder.path());
        let run = |options: Options| ingest_with(std::slice::from_ref(&layout), &store, &options).0;
        assert_eq!(run(Options::default()).images_new, 2);
        change(&layout);
        let second = run(Options::default());
        assert_eq!((second.images_known, second.sources_unchanged), (2, (!is_seen).into()), "{what}");
        let third = run(Options { rescan: true, ..Options::default() });
        assert_eq!((third.images_known, third.sources_unchanged), (2, 0), "{what}");
    }
}

fn touched(path: &Path) {
    let file = fs::File::options().append(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::now() + Duration::from_secs(5)).unwrap();
}

fn replaced(layout: &Path) {
    let (index, new) = (layout.join("index.json"), layout.join("new"));
    // So that the folder's time differs, however coarse the clock of the file system is.
    std::thread::sleep(Duration::from_millis(20));
    fs::copy(&index, &new).unwrap();
    let time = fs::metadata(&index).unwrap().modified().unwrap();
    fs::File::options().append(true).open(&new).unwrap().set_modified(time).unwrap();
    fs::rename(new, index).unwrap();
}

fn written_over(layout: &Path) {
    let index = layout.join("index.json");
    std::thread::sleep(Duration::from_millis(20));
    let time = fs::metadata(&index).unwrap().modified().unwrap();
    fs::write(&index, fs::read(&index).unwrap()).unwrap();
    fs::File::options().append(true).open(&index).unwrap().set_modified(time).unwrap();
}

#[cfg(unix)]
#[test]
fn a_file_in_a_folder_that_cannot_be_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let locked = folder.path().join("locked.tar");
    fs::write(&locked, "whatever").unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&locked).is_ok() {
        eprintln!("skipped: this user may read files that nobody may read");
        return;
    }
    let store = tempfile::tempdir().unwrap();
    let (summary, _) = ingest(&[folder.path().to_owned()], &new_store(store.path()));
    let told: Vec<_> = summary.failed.iter().map(|failure| failure.error.to_string()).collect();
    assert_eq!(told, [format!("{}: Permission denied (os error 13)", locked.display())]);
}

#[test]
fn a_layout_of_which_something_failed_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let broken = Layer::from_bytes("no tar".repeat(500));
    oci_layout(&[image(1), image(2).layer(broken)], &layout, &WriteOptions::default()).unwrap();
    let store = new_store(folder.path());
    for known in [0, 1] {
        let (summary, _) = ingest(std::slice::from_ref(&layout), &store);
        assert_eq!((summary.images_known, summary.failed.len(), summary.sources_unchanged), (known, 1, 0));
    }
}

#[test]
fn an_unpacked_archive_is_read_again_for_its_layers_have_no_digests() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("docker.tar");
    docker_archive(&[image(1)], &archive, DockerSave::V1_1, &WriteOptions::default()).unwrap();
    let unpacked = folder.path().join("unpacked");
    tar::Archive::new(fs::File::open(archive).unwrap()).unpack(&unpacked).unwrap();
    let skopeo = folder.path().join("skopeo");
    skopeo_dir(&image(2), &skopeo, &WriteOptions::default()).unwrap();
    let store = new_store(folder.path());
    let paths = [unpacked, skopeo];
    assert_eq!(ingest(&paths, &store).0.images_new, 2);
    let (second, (_, layers)) = ingest(&paths, &store);
    assert_eq!((second.images_known, second.sources_unchanged, layers), (2, 1, 2));
}

#[cfg(target_os = "linux")]
#[test]
fn two_paths_that_are_not_utf8_are_two_sources() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let path = |byte: u8| folder.path().join(std::ffi::OsStr::from_bytes(&[b'a', byte]));
    let store = new_store(folder.path());
    for (number, byte) in [(1, 0xfe), (2, 0xff)] {
        docker_archive(&[image(number)], &path(byte), DockerSave::V1_1, &WriteOptions::default()).unwrap();
        let same = fs::File::options().append(true).open(path(byte)).unwrap();
        same.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000)).unwrap();
        let (summary, _) = ingest(&[path(byte)], &store);
        assert_eq!((summary.images_new, summary.sources_unchanged), (1, 0));
    }
}

#[test]
fn a_link_to_an_archive_is_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let archive = corpus(&folder.path().join("a"), 2).pop().unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&archive, &link).unwrap();
    let through = folder.path().join("b");
    std::os::unix::fs::symlink(folder.path().join("a"), &through).unwrap();
    let store = new_store(folder.path());
    assert_eq!(ingest(std::slice::from_ref(&archive), &store).0.images_new, 1);
    let (again, _) = ingest(&[link, through.join("001"), folder.path().join("a/../a/001")], &store);
    assert_eq!((again.images_known, again.sources_unchanged), (3, 3));
}

#[test]
fn a_forgotten_image_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let paths = corpus(folder.path(), 6);
    let store = new_store(folder.path());
    ingest(&paths, &store);
    let before = contents(&store);
    let forgotten: Vec<_> = store.images().map(|image| image.unwrap().id).collect();
    store.forget(&forgotten[..3]).unwrap();
    assert_eq!(store.images().count(), 3);
    let (summary, _) = ingest(&paths, &store);
    assert_eq!((summary.images_new, summary.images_known), (3, 3));
    assert_eq!(contents(&store), before);
}

#[test]
fn a_file_without_images_is_passed_over_in_a_folder_and_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    let none = put(&files, "none.tar", Layer::new().file("a", "A").to_tar().unwrap());
    let store = new_store(folder.path());
    let (first, _) = ingest(std::slice::from_ref(&files), &store);
    assert_eq!((first.skipped[0].reason, first.failed.len()), (SkipReason::NotAnImage, 0));
    let (second, _) = ingest(&[files], &store);
    assert_eq!((second.sources_unchanged, second.failed.len()), (1, 0));
    let (named, _) = ingest(&[none], &store);
    assert_eq!((named.sources_unchanged, named.failed.len()), (0, 1));
}

#[test]
fn a_file_that_changes_while_it_is_read_is_not_taken_for_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker.tar");
    docker_archive(&[image(1)], &path, DockerSave::V1_1, &WriteOptions::default()).unwrap();
    let other = folder.path().join("other.tar");
    docker_archive(&[image(2)], &other, DockerSave::V1_1, &WriteOptions::default()).unwrap();
    let store = new_store(folder.path());
    let sources = [Source::detect(&path)];
    let replace = |event: Progress| {
        if matches!(event, Progress::LayerRead) && other.exists() {
            // The one that is being read stays open; the name leads to another.
            let _ = fs::rename(&other, &path);
        }
    };
    let options = Options { jobs: 1, ..Options::default() };
    let summary = layerprint_ingest::ingest(&sources, &store, &options, &replace).unwrap();
    assert_eq!(summary.images_new, 1);
    let (second, _) = ingest(&[path], &store);
    assert_eq!((second.sources_unchanged, second.images_new), (0, 1));
}

#[test]
fn sources_of_every_kind_run_together() {
    let folder = tempfile::tempdir().unwrap();
    let paths = corpus(folder.path(), 3);
    let root = put(&folder.path().join("root"), "etc/motd", "hi\n");
    let root = root.parent().unwrap().parent().unwrap().to_owned();
    let mut sources: Vec<_> = paths.iter().map(Source::detect).collect();
    sources.push(Source { transport: Transport::Rootfs, path: root, reference: None });
    sources.push(Source::detect(folder.path().join("absent")));
    let store = new_store(folder.path());
    let summary = layerprint_ingest::ingest(&sources, &store, &Options::default(), &|_| ()).unwrap();
    assert_eq!((summary.images_new, summary.failed.len()), (4, 1));
}

#[test]
fn a_run_that_is_killed_and_run_again_ends_as_if_nothing_had_been() {
    let folder = tempfile::tempdir().unwrap();
    let paths = corpus(&folder.path().join("corpus"), 40);
    let undisturbed = new_store(folder.path());
    ingest(&paths, &undisturbed);
    let expected = contents(&undisturbed);
    for kill_after in [0, 1, 7, 20, 39] {
        let path = folder.path().join(format!("killed-{kill_after}"));
        kill_after_layers(&folder.path().join("corpus"), &path, kill_after);
        let store = Store::create_or_open(&path).unwrap();
        for (what, found) in contents(&store) {
            assert_eq!(expected.get(&what), Some(&found), "half done after {kill_after} layers");
        }
        let (summary, _) = ingest(&paths, &store);
        assert_eq!((summary.images_new + summary.images_known, summary.failed.len()), (40, 0));
        assert_eq!(contents(&store), expected, "killed after {kill_after} layers");
    }
}

fn kill_after_layers(corpus: &Path, store: &Path, count: usize) {
    let mut child = child("runs::ingests_and_tells_of_each_layer")
        .env("CORPUS_PATH", corpus)
        .env("STORE_PATH", store)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let layers = lines.filter(|line| line.contains("layer read"));
    assert_eq!(layers.take(count).count(), count);
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
}

#[test]
#[ignore = "started by another test, and killed"]
fn ingests_and_tells_of_each_layer() {
    let path = |name: &str| PathBuf::from(std::env::var_os(name).unwrap());
    let store = Store::create_or_open(&path("STORE_PATH")).unwrap();
    let tell = |event: Progress| {
        if matches!(event, Progress::LayerRead) {
            println!("layer read");
        }
    };
    let sources = [Source::detect(path("CORPUS_PATH"))];
    layerprint_ingest::ingest(&sources, &store, &Options::default(), &tell).unwrap();
    std::thread::sleep(Duration::from_secs(60));
}
