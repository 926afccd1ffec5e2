//! One layer, from stored bytes to entries: what whiteouts, links and duplicates mean.

use std::time::{Duration, Instant};

use crate::support::{Crumbs, file, layer, merged, oddities, read, rows};
use layerprint_ingest::Limits;
use layerprint_ingest::layer::{LayerRead, Promise, read_layer};
use layerprint_ingest::write::{Compression, Image, Layer, LongNames, Options, oci_layout};
use layerprint_store::id::{BlobDigest, DiffId};
use sha2::{Digest, Sha256};

fn read_tar(tar: &Layer) -> LayerRead {
    layer(tar.to_tar().unwrap()).unwrap()
}

fn rows_of(tar: &Layer) -> Vec<String> {
    rows(&read_tar(tar).fingerprint)
}

fn oddities_of(tar: &Layer) -> Vec<String> {
    oddities(&read_tar(tar).record.anomalies)
}

/// Builds an image of these layers, reads it, and writes down its files.
fn stacked(layers: &[Layer]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let image = layers.iter().fold(Image::new("app:1"), |image, layer| image.layer(layer.clone()));
    let path = folder.path().join("layout");
    oci_layout(&[image], &path, &Options::default()).unwrap();
    merged(&read(path.to_str().unwrap()).image())
}

fn base() -> Layer {
    Layer::new()
        .dir("etc")
        .file("etc/a", "A")
        .file("etc/b", "B")
        .dir("etc/d")
        .file("etc/d/c", "C")
        .file("top", "T")
}

#[test]
fn whiteouts_reach_the_layers_below_wherever_they_stand() {
    let before = Layer::new().whiteout("etc/a").file("etc/a", "new").whiteout("etc/d");
    let after = Layer::new().file("etc/a", "new").whiteout("etc/d").whiteout("etc/a");
    let expected = ["etc dir".to_owned(), file("etc/a", "new"), file("etc/b", "B"), file("top", "T")];
    assert_eq!(stacked(&[base(), before]), expected);
    assert_eq!(stacked(&[base(), after]), expected);
}

#[test]
fn an_opaque_mark_hides_what_is_below_and_nothing_of_its_own_layer() {
    let before = Layer::new().dir("etc").opaque("etc").file("etc/new", "N");
    let after = Layer::new().dir("etc").file("etc/new", "N").opaque("etc");
    let expected = ["etc dir".to_owned(), file("etc/new", "N"), file("top", "T")];
    assert_eq!(stacked(&[base(), before]), expected);
    assert_eq!(stacked(&[base(), after]), expected);
}

#[test]
fn an_opaque_root_hides_everything() {
    let root = Layer::new().file(".wh..wh..opq", "").file("only", "O");
    assert_eq!(stacked(&[base(), root]), [file("only", "O")]);
}

#[test]
fn whiteouts_of_nothing_change_nothing() {
    let nothing =
        Layer::new().whiteout("no/such").file("etc/.wh.", "").file("etc/.wh..", "").file("etc/.wh...", "");
    assert_eq!(stacked(&[base(), nothing.clone()]), stacked(&[base()]));
    assert_eq!(stacked(std::slice::from_ref(&nothing)), Vec::<String>::new());
    assert_eq!(oddities_of(&nothing), ["InvalidWhiteout 3"]);
}

#[test]
fn only_the_exact_name_is_an_opaque_mark() {
    let almost = Layer::new().file("etc/.wh..wh..opqX", "").file("etc/.wh..opq", "");
    assert_eq!(rows_of(&almost), ["etc/.opq whiteout", "etc/.wh..opqX whiteout"]);
    assert_eq!(stacked(&[base(), almost]), stacked(&[base()]));
}

#[test]
fn whiteouts_may_be_links_or_hold_data() {
    let odd = Layer::new()
        .hard_link("etc/.wh.a", "etc/b")
        .symlink("etc/.wh.b", "/etc/passwd")
        .file("etc/d/.wh.c", "data")
        .char_device(".wh.top", 0, 0);
    assert_eq!(stacked(&[base(), odd.clone()]), ["etc dir", "etc/d dir"]);
    assert_eq!(oddities_of(&odd), Vec::<String>::new());
}

#[test]
fn what_aufs_left_at_the_root_is_dropped_but_can_be_linked_to() {
    let aufs = Layer::new()
        .file(".wh..wh.aufs", "")
        .dir(".wh..wh.orph")
        .dir(".wh..wh.plnk")
        .file(".wh..wh.plnk/97.4", "linked")
        .hard_link("etc/x", ".wh..wh.plnk/97.4");
    assert_eq!(rows_of(&aufs), [file("etc/x", "linked")]);
}

#[test]
fn hard_links_have_the_contents_of_what_they_lead_to() {
    let cases: [(&str, Layer, Vec<String>); 9] = [
        ("backward", Layer::new().file("a", "A").hard_link("b", "a"), vec![file("a", "A"), file("b", "A")]),
        ("forward", Layer::new().hard_link("b", "a").file("a", "A"), vec![file("a", "A"), file("b", "A")]),
        (
            "chain",
            Layer::new().hard_link("d", "c").hard_link("c", "b").hard_link("b", "a").file("a", "A"),
            vec![file("a", "A"), file("b", "A"), file("c", "A"), file("d", "A")],
        ),
        (
            "cycle",
            Layer::new().hard_link("a", "b").hard_link("b", "c").hard_link("c", "a"),
            vec!["a => b".into(), "b => c".into(), "c => a".into()],
        ),
        ("itself", Layer::new().hard_link("a", "a"), vec!["a => a".into()]),
        ("dangling", Layer::new().hard_link("a", "x/y"), vec!["a => x/y".into()]),
        (
            "to a symlink",
            Layer::new().symlink("s", "/etc/passwd").hard_link("h", "s"),
            vec!["h -> /etc/passwd".into(), "s -> /etc/passwd".into()],
        ),
        (
            "to a symlink ahead",
            Layer::new().hard_link("h", "s").symlink("s", "t"),
            vec!["h -> t".into(), "s -> t".into()],
        ),
        (
            "to what is replaced later",
            Layer::new().file("a", "old").hard_link("b", "a").file("a", "new"),
            vec![file("a", "new"), file("b", "old")],
        ),
    ];
    for (name, tar, expected) in cases {
        assert_eq!(rows_of(&tar), expected, "{name}");
    }
}

#[test]
fn ten_thousand_links_in_a_row_are_followed() {
    let mut tar = Layer::new();
    for at in (1..10_000).rev() {
        tar = tar.hard_link(format!("l{at}"), format!("l{}", at - 1));
    }
    let read = read_tar(&tar.file("l0", "end"));
    assert_eq!((read.record.file_count, read.record.file_size_bytes), (10_000, 30_000));
}

#[test]
fn hard_links_reach_into_the_layers_below() {
    let links = Layer::new()
        .hard_link("copy", "etc/a")
        .hard_link("copy2", "copy")
        .hard_link("gone", "etc/nothing")
        .whiteout("etc/a");
    let expected = [
        file("copy", "A"),
        file("copy2", "A"),
        "etc dir".into(),
        file("etc/b", "B"),
        "etc/d dir".into(),
        file("etc/d/c", "C"),
        file("top", "T"),
    ];
    assert_eq!(stacked(&[base(), links]), expected);
}

#[test]
fn a_path_may_change_its_type_without_a_whiteout() {
    let changed = Layer::new().file("etc", "a file").dir("top").file("top/in", "I");
    assert_eq!(stacked(&[base(), changed]), [file("etc", "a file"), "top dir".into(), file("top/in", "I")]);
    let link = Layer::new().symlink("etc", "usr/etc");
    let back = Layer::new().dir("etc").file("etc/e", "E");
    assert_eq!(stacked(&[base(), link, back]), ["etc dir".into(), file("etc/e", "E"), file("top", "T")]);
}

#[test]
fn the_last_of_two_entries_counts() {
    let cases: [(Layer, &[&str], &[String]); 5] = [
        (
            Layer::new().file("f", "1").file("./f", "2").file("/f", "3"),
            &["DuplicatePath 2"],
            &[file("f", "3")],
        ),
        (Layer::new().file("f", "1").symlink("f", "t"), &["DuplicatePath 1"], &["f -> t".into()]),
        (
            Layer::new().dir("d").file("d/x", "X").file("d", "file").dir("e"),
            &["DuplicatePath 1"],
            &[file("d", "file"), "e dir".into()],
        ),
        (
            Layer::new()
                .dir("d")
                .file("d/x", "X")
                .file("d-", "-")
                .file("d0", "0")
                .file("d", "f")
                .dir("d")
                .file("d/y", "Y"),
            &["DuplicatePath 2"],
            &["d dir".into(), file("d-", "-"), file("d/y", "Y"), file("d0", "0")],
        ),
        (Layer::new().dir("d").file("d/x", "X").dir("d/"), &[], &["d dir".into(), file("d/x", "X")]),
    ];
    for (tar, odd, expected) in cases {
        assert_eq!(
            (rows_of(&tar), oddities_of(&tar)),
            (expected.to_vec(), odd.iter().map(|odd| (*odd).into()).collect())
        );
    }
}

#[test]
fn replacing_a_directory_costs_what_is_in_it() {
    let mut tar = Layer::new();
    for at in 0..20_000 {
        tar = tar.file(format!("f{at}"), "");
    }
    for _ in 0..20_000 {
        tar = tar.dir("d").file("d", "");
    }
    let bytes = tar.to_tar().unwrap();
    let started = Instant::now();
    let read = layer(&bytes).unwrap();
    assert_eq!(oddities(&read.record.anomalies), ["DuplicatePath 39999"]);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn names_are_bytes_and_stay_inside() {
    let tar = Layer::new()
        .file(b"\xff\xfe/\x80", "x")
        .file("../../etc/shadow", "s")
        .file("a/../../b", "b")
        .file("//c//./d/", "d")
        .file("new\nline", "n")
        .hard_link("out", "../../etc/shadow")
        .symlink("keep", "../../../etc/shadow");
    let expected = [
        file("b", "b"),
        file("c/d", "d"),
        file("etc/shadow", "s"),
        "keep -> ../../../etc/shadow".into(),
        file(r"new\nline", "n"),
        file("out", "s"),
        file(r"\xff\xfe/\x80", "x"),
    ];
    assert_eq!(rows_of(&tar), expected);
    assert_eq!(oddities_of(&tar), ["ConflictingHeader 1", "EscapingPath 3"]);
}

#[test]
fn the_root_stays_a_directory() {
    let tar =
        Layer::new().dir("./").mode(0o711).symlink(".", "/etc").file("/", "x").file("a", "A").whiteout("/");
    assert_eq!(rows_of(&tar)[..2], [" dir".to_owned(), file("a", "A")]);
}

#[test]
fn a_path_ten_thousand_folders_deep_is_read_and_merged() {
    let deep = "d/".repeat(10_000) + "f";
    for long_names in [LongNames::Pax, LongNames::Gnu] {
        let tar = Layer::new().file(&deep, "deep").long_names(long_names);
        assert_eq!(stacked(&[tar.clone(), tar.clone(), tar]), [file(&deep, "deep")]);
    }
}

#[test]
fn what_estargz_adds_is_not_part_of_the_layer() {
    let folder = tempfile::tempdir().unwrap();
    let plain = base().hard_link("link", "etc/a").symlink("s", "t");
    let mut prints = Vec::new();
    for compression in Compression::ALL {
        let path = folder.path().join(format!("{compression:?}"));
        let image = Image::new("app:1").layer(plain.clone());
        oci_layout(&[image], &path, &Options { compression, ..Options::default() }).unwrap();
        prints.push(read(path.to_str().unwrap()).image().layers[0].clone());
    }
    assert!(prints.iter().all(|print| *print == prints[0]));
    let other_places = Layer::new()
        .file("stargz.index.json", "{}")
        .file(".prefetch.landmark", "not a landmark")
        .file("sub/.no.prefetch.landmark", [0x0f])
        .file("last", "L");
    assert_eq!(rows_of(&other_places).len(), 4);
}

#[test]
fn every_compression_gives_the_same_layer_however_it_is_read() {
    let tar = base().to_tar().unwrap();
    let plain = layer(&tar).unwrap();
    assert_eq!(plain.record.diff_id, DiffId::from_bytes(Sha256::digest(&tar).into()));
    for compression in Compression::ALL {
        let stored = compression.compress(&tar);
        for sizes in [&[1][..], &[3, 1, 500], &[511, 513], &[100_000]] {
            let read =
                read_layer(Crumbs::new(&stored, sizes), &Promise::default(), &Limits::default(), &|_| ());
            let read = read.unwrap();
            assert_eq!(read.record, plain.record, "{compression:?} {sizes:?}");
            assert_eq!(read.fingerprint, plain.fingerprint, "{compression:?}");
            assert_eq!(read.digest, BlobDigest::Sha256(Sha256::digest(&stored).into()), "{compression:?}");
        }
    }
}
