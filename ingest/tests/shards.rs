//! A list that several machines read in parts: each image falls to exactly one, and nothing is left out or told twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::{put, shared};
use layerprint_ingest::progress::Summary;
use layerprint_ingest::write::{
    Compression, DockerSave, Image, Layer, MediaTypes, Options as WriteOptions, docker_archive, forms,
    oci_layout, rootfs_archive,
};
use layerprint_ingest::{Options, Source};
use layerprint_store::Store;

fn image(number: usize) -> Image {
    let base = Layer::new().dir("etc/").file("etc/motd", "hi\n").file("usr/lib/big", vec![3; 20_000]);
    let own = Layer::new().file("srv/app", format!("{number}")).file("usr/bin/app", vec![1; 100 + number]);
    Image::new(&format!("app:{number}")).layer(base).layer(own)
}

/// Reads one part; `part` is `I/N`, or empty for all of it.
fn ingest(sources: &[Source], store: &Store, part: &str) -> Summary {
    let shard = (!part.is_empty()).then(|| part.parse().unwrap());
    let options = Options { jobs: 2, shard, now_unix_s: Some(1_700_000_000), ..Options::default() };
    layerprint_ingest::ingest(sources, store, &options, &|_| ()).unwrap()
}

fn new_store(folder: &Path) -> Store {
    Store::create_or_open(&folder.join("store")).unwrap()
}

fn export(store: &Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.export(&mut bytes, &|_, _| ()).unwrap();
    bytes
}

/// How often each image was taken, and each failure told.
fn told(summaries: &[Summary]) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for summary in summaries {
        let images = summary.images.iter().map(|row| format!("{} {}", row.origin, row.id));
        let failed = summary.failed.iter().map(|failure| format!("failed: {}", failure.error));
        images.chain(failed).for_each(|line| *told.entry(line).or_default() += 1);
    }
    told
}

/// Reads in one run and in so many parts, and joins the parts: each must be told once and the stores be the same.
fn assert_divides(sources: &[Source], count: usize) {
    let folder = tempfile::tempdir().unwrap();
    let whole = new_store(&folder.path().join("whole"));
    let one_run = [ingest(sources, &whole, "")];
    let joined = new_store(&folder.path().join("joined"));
    let mut parts = Vec::new();
    for part in 1..=count {
        let store = new_store(&folder.path().join(part.to_string()));
        parts.push(ingest(sources, &store, &format!("{part}/{count}")));
        joined.import(&export(&store)[..], &layerprint_ingest::check_config, &mut |_| ()).unwrap();
    }
    assert_eq!(told(&parts), told(&one_run), "{count} parts");
    // What is no image is passed over by one, too.
    let skipped =
        |summaries: &[Summary]| summaries.iter().map(|summary| summary.skipped.len()).sum::<usize>();
    assert_eq!(skipped(&parts), skipped(&one_run));
    assert!(export(&joined) == export(&whole), "{count} parts come to another store");
}

#[test]
fn every_image_in_every_form_falls_to_exactly_one_part() {
    let folder = tempfile::tempdir().unwrap();
    let sources: Vec<Source> = forms()
        .iter()
        .enumerate()
        .map(|(number, form)| {
            let below = folder.path().join(number.to_string());
            fs::create_dir(&below).unwrap();
            let written = form.write(&image(number), &below).unwrap();
            let colon = if written.transport.is_empty() { "" } else { ":" };
            format!("{}{colon}{}", written.transport, written.path.display()).parse().unwrap()
        })
        .collect();
    [1, 2, 3, 5].iter().for_each(|count| assert_divides(&sources, *count));
}

/// A folder with a little of everything, good and bad.
fn mixed(folder: &Path) {
    let options = WriteOptions::default();
    let images: Vec<Image> = (0..12).map(image).collect();
    oci_layout(&images, &folder.join("layout"), &options).unwrap();
    docker_archive(&images[4..], &folder.join("a/saved.tar"), DockerSave::V25, &options).unwrap();
    docker_archive(&images[..3], &folder.join("b/legacy.tar"), DockerSave::V1_0, &options).unwrap();
    let packed = WriteOptions { outer: Compression::Gzip, ..WriteOptions::default() };
    docker_archive(&images[2..5], &folder.join("b/packed.tar.gz"), DockerSave::V1_1, &packed).unwrap();
    for number in 20..24 {
        let exported = folder.join(format!("c/{number}.tar"));
        rootfs_archive(&image(number), &exported, if number == 20 { &packed } else { &options }).unwrap();
    }
    put(folder, "d/notes.gz", Compression::Gzip.compress(b"no image at all"));
    put(folder, "d/other.tar", Layer::new().file("readme", "text").to_tar().unwrap());
    let broken = fs::read(folder.join("b/packed.tar.gz")).unwrap();
    put(folder, "e/broken.tar.gz", &broken[..broken.len() / 2]);
    let broken = fs::read(folder.join("a/saved.tar")).unwrap();
    put(folder, "e/cut.tar", &broken[..broken.len() / 2]);
    let bad = image(30).layer(Layer::from_bytes(vec![7; 2000]));
    docker_archive(&[bad, image(31)], &folder.join("e/bad.tar"), DockerSave::V1_1, &options).unwrap();
}

#[test]
fn a_folder_of_good_and_bad_is_divided_without_rest() {
    let folder = tempfile::tempdir().unwrap();
    for below in ["a", "b", "c", "d", "e"] {
        fs::create_dir(folder.path().join(below)).unwrap();
    }
    mixed(folder.path());
    let sources = [
        Source::detect(folder.path()),
        format!("rootfs:{}", folder.path().join("d").display()).parse().unwrap(),
    ];
    [1, 2, 3, 5].iter().for_each(|count| assert_divides(&sources, *count));
}

#[test]
fn the_small_corpus_is_divided_without_rest() {
    let Some(corpus) = shared("corpus/small") else { return };
    assert_divides(&[Source::detect(corpus)], 3);
}

#[test]
fn an_image_falls_to_the_same_part_in_every_form_that_keeps_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    for (number, form) in forms().iter().enumerate().filter(|(_, form)| form.keeps_config()) {
        let below = folder.path().join(number.to_string());
        fs::create_dir(&below).unwrap();
        let written = form.write(&image(1), &below).unwrap();
        // What is compressed as a whole, or has a configuration for each layer, falls by how it is written.
        let sources = [format!("{}:{}", written.transport, written.path.display()).parse().unwrap()];
        let store = |part: &str| {
            let store = new_store(&below.join(part.replace('/', "-")));
            ingest(&sources, &store, part).images.iter().map(|row| row.id).collect::<Vec<_>>()
        };
        let ids = [store("1/3"), store("2/3"), store("3/3")];
        let owner = ids.iter().position(|ids| !ids.is_empty()).unwrap();
        let head = u64::from_be_bytes(ids[owner][0].as_bytes()[..8].try_into().unwrap());
        let by_text = fs::read(&written.path).is_ok_and(|bytes| bytes.get(257..262) != Some(b"ustar"));
        assert!(by_text || owner as u64 == head % 3, "{}", written.path.display());
    }
}

#[test]
fn machines_that_have_the_folder_elsewhere_divide_it_alike() {
    let folder = tempfile::tempdir().unwrap();
    let parts = ["here", "mnt/there"].map(|root| {
        let root = folder.path().join(root);
        ["a", "b", "c", "d", "e"].iter().for_each(|below| fs::create_dir_all(root.join(below)).unwrap());
        mixed(&root);
        ["1/3", "2/3", "3/3"].map(|part| {
            let store =
                new_store(&folder.path().join(format!("{}{}", root.display(), part.replace('/', "-"))));
            let summary = ingest(&[Source::detect(&root)], &store, part);
            let mut ids: Vec<_> = summary.images.iter().map(|row| row.id).collect();
            ids.sort_unstable();
            (ids, summary.failed.len(), summary.other_shard)
        })
    });
    assert_eq!(parts[0], parts[1]);
    assert!(parts[0].iter().all(|(ids, _, _)| !ids.is_empty()), "every part has some: {parts:?}");
}

#[test]
fn what_the_system_refuses_is_told_by_every_machine_for_others_may_not_have_it_either() {
    let folder = tempfile::tempdir().unwrap();
    let missing = [Source::detect(folder.path().join("missing.tar"))];
    for part in ["1/2", "2/2"] {
        let store = new_store(&folder.path().join(&part[..1]));
        let summary = ingest(&missing, &store, part);
        assert_eq!((summary.failed.len(), summary.other_shard), (1, 0));
    }
}

#[test]
fn what_one_part_has_read_is_not_done_for_another_part_nor_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saved.tar");
    let images: Vec<Image> = (0..8).map(image).collect();
    docker_archive(&images, &path, DockerSave::V1_1, &WriteOptions::default()).unwrap();
    let source = [Source::detect(&path)];
    let store = new_store(folder.path());
    let first = ingest(&source, &store, "1/2");
    assert_eq!((first.images_new + first.other_shard, first.sources_unchanged), (8, 0));
    let again = ingest(&source, &store, "1/2");
    assert_eq!((again.images_known, again.sources_unchanged, again.other_shard), (first.images_new, 1, 0));
    let second = ingest(&source, &store, "2/2");
    assert_eq!((second.images_new, second.sources_unchanged), (8 - first.images_new, 0));
    let all = ingest(&source, &store, "");
    assert_eq!((all.images_new, all.images_known, all.sources_unchanged), (0, 8, 0));
    // Of so many parts, some have nothing to do; they need not look twice to know.
    let empty = (1..=30).map(|part| format!("{part}/30")).find(|part| {
        let summary = ingest(&source, &store, part);
        summary.images.is_empty()
    });
    assert_eq!(ingest(&source, &store, &empty.unwrap()).sources_unchanged, 1);
}

#[test]
fn two_threads_and_one_come_to_the_same_store() {
    let folder = tempfile::tempdir().unwrap();
    for below in ["a", "b", "c", "d", "e"] {
        fs::create_dir(folder.path().join(below)).unwrap();
    }
    mixed(folder.path());
    let run = |jobs: usize, turned: bool| {
        let store = tempfile::tempdir().unwrap();
        let store = new_store(store.path());
        let mut sources = vec![Source::detect(folder.path()), Source::detect(folder.path().join("layout"))];
        if turned {
            sources.reverse();
        }
        let options = Options { jobs, now_unix_s: Some(1), ..Options::default() };
        layerprint_ingest::ingest(&sources, &store, &options, &|_| ()).unwrap();
        export(&store)
    };
    let one = run(1, false);
    for (jobs, turned) in [(2, false), (7, true), (1, true)] {
        assert!(run(jobs, turned) == one, "{jobs} threads, turned: {turned}");
    }
}

#[test]
fn what_one_source_adds_to_an_image_is_kept_whichever_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, image: Image, options: &WriteOptions| {
        let path = folder.path().join(name);
        oci_layout(&[image], &path, options).unwrap();
        Source::detect(path)
    };
    let plain = WriteOptions { compression: Compression::None, ..WriteOptions::default() };
    let docker = WriteOptions { media_types: MediaTypes::Docker, ..plain.clone() };
    let statement = serde_json::json!({"builder": {"id": "one"}});
    let saved = folder.path().join("saved.tar");
    docker_archive(&[image(1)], &saved, DockerSave::V1_1, &plain).unwrap();
    let sources = [
        write("layout", image(1), &plain),
        write("attested", image(1).provenance("https://slsa.dev/provenance/v1", statement), &plain),
        write("docker-types", image(1), &docker),
        Source::detect(saved),
    ];
    let run = |order: &[usize]| {
        let store = tempfile::tempdir().unwrap();
        let store = new_store(store.path());
        for source in order {
            ingest(&sources[*source..=*source], &store, "");
        }
        let record = store.images().next().unwrap().unwrap();
        assert_eq!(record.manifests.len(), 2, "of both kinds of media types");
        assert!(record.documents.iter().any(|kept| kept.media_type.contains("in-toto")));
        export(&store)
    };
    let once = run(&[0, 1, 2, 3]);
    for order in [[3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
        assert!(run(&order) == once, "{order:?}");
    }
}

#[test]
fn every_media_type_counts_though_a_layer_is_read_for_one_of_them() {
    let folder = tempfile::tempdir().unwrap();
    // The last one is wrong, which is on record whoever is read first.
    let types = [
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar",
    ];
    let images: Vec<Image> = (0..8)
        .map(|number| {
            let base = Layer::new().file("etc/motd", "hi\n").media_type(types[number % 3]);
            Image::new(&format!("app:{number}")).layer(base).step(&format!("CMD {number}"))
        })
        .collect();
    let layout = folder.path().join("layout");
    oci_layout(&images, &layout, &WriteOptions::default()).unwrap();
    [1, 2, 5].iter().for_each(|count| assert_divides(&[Source::detect(&layout)], *count));
}
