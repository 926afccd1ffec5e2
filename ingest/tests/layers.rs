//! One layer, from stored bytes to entries: what whiteouts, links and duplicates mean, and what damage comes to.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should stop there")]

mod support;

use std::time::{Duration, Instant};

use layerprint_ingest::layer::{LayerRead, Promise, read_layer};
use layerprint_ingest::write::{Compression, Image, Layer, LongNames, Options, oci_layout};
use layerprint_ingest::{LayerError, Limits};
use layerprint_store::id::{BlobDigest, DiffId};
use sha2::{Digest, Sha256};
use support::{Crumbs, file, layer, merged, oddities, read, rows};

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

#[test]
fn what_follows_the_tar_or_the_stream_is_on_record() {
    let tar = base().to_tar().unwrap();
    let hidden = [tar.clone(), b"hidden".to_vec()].concat();
    let zeros = [tar.clone(), vec![0; 5000]].concat();
    let plain = layer(&tar).unwrap();
    for compression in [
        Compression::None,
        Compression::Gzip,
        Compression::GzipMembers,
        Compression::Zstd,
        Compression::Xz,
        Compression::Bzip2,
    ] {
        let read = layer(compression.compress(&hidden)).unwrap();
        assert_eq!(oddities(&read.record.anomalies), ["TrailingData 1"], "{compression:?}");
        assert_eq!(read.fingerprint, plain.fingerprint);
        assert_eq!(read.record.diff_id, DiffId::from_bytes(Sha256::digest(&hidden).into()));
        let read = layer(compression.compress(&zeros)).unwrap();
        assert_eq!(oddities(&read.record.anomalies), Vec::<String>::new(), "{compression:?}");
    }
    for garbage in [&b"x"[..], b"GARBAGE!", &[0xff; 40], b"\0\0\0\0\0\0\0\0\0\0\0\0x"] {
        let stored = [Compression::Gzip.compress(&tar), garbage.to_vec()].concat();
        let read = layer(&stored).unwrap();
        assert_eq!(oddities(&read.record.anomalies), ["TrailingCompressedData 1"], "{garbage:?}");
        assert_eq!((&read.fingerprint, read.record.diff_id), (&plain.fingerprint, plain.record.diff_id));
        assert_eq!(read.digest, BlobDigest::Sha256(Sha256::digest(&stored).into()));
    }
    let padded = [Compression::Gzip.compress(&tar), vec![0; 600]].concat();
    assert_eq!(oddities(&layer(padded).unwrap().record.anomalies), Vec::<String>::new());
}

#[test]
fn a_second_member_that_is_broken_is_an_error() {
    let tar = base().to_tar().unwrap();
    let stored =
        [Compression::Gzip.compress(&tar), b"\x1f\x8b and then nothing of the kind".to_vec()].concat();
    let error = layer(stored).unwrap_err().to_string();
    assert_eq!(error, format!("gzip stream, after {} bytes of output: invalid gzip header", tar.len()));
}

fn promise_of(stored: &[u8]) -> Promise {
    let digest = Some(BlobDigest::Sha256(Sha256::digest(stored).into()));
    Promise { digest, size_bytes: Some(stored.len() as u64), media_type: String::new() }
}

#[test]
fn a_layer_cut_anywhere_is_an_error_or_says_that_its_end_is_missing() {
    let tar = Layer::new()
        .file("a", "A")
        .file("b", vec![b'b'; 700])
        .dir("c")
        .file("d", vec![1; 1024])
        .to_tar()
        .unwrap();
    let whole = layer(&tar).unwrap();
    for compression in Compression::ALL {
        let stored = compression.compress(&tar);
        for cut in 0..stored.len() {
            if compression == Compression::None && cut % 512 > 1 && cut % 512 < 511 {
                continue;
            }
            let short = &stored[..cut];
            // A manifest tells the size, and no cut can pass.
            let error = read_layer(short, &promise_of(&stored), &Limits::default(), &|_| ()).unwrap_err();
            assert!(!matches!(error, LayerError::Internal { .. }), "{error}");
            // A docker-archive does not. What has no end is on record unless all bytes are there but the frame's own.
            match layer(short) {
                Err(error) => assert!(!matches!(error, LayerError::Internal { .. }), "{error}"),
                Ok(read) if read.record.diff_id == whole.record.diff_id => {
                    assert_eq!(read.fingerprint, whole.fingerprint, "{compression:?} {cut}");
                }
                Ok(read) => {
                    let odd = oddities(&read.record.anomalies);
                    let zeros_only = compression == Compression::None && cut >= stored.len() - 512;
                    assert!(zeros_only || odd == ["MissingEndOfArchive 1"], "{compression:?} {cut}: {odd:?}");
                }
            }
        }
    }
}

#[test]
fn a_flipped_bit_is_found_or_harmless() {
    let tar = base().to_tar().unwrap();
    let whole = layer(&tar).unwrap();
    for compression in Compression::ALL {
        let stored = compression.compress(&tar);
        for bit in 0..stored.len() * 8 {
            let mut damaged = stored.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if bit % 7 == 0 {
                let error =
                    read_layer(&damaged[..], &promise_of(&stored), &Limits::default(), &|_| ()).unwrap_err();
                assert!(!matches!(error, LayerError::Internal { .. }), "{compression:?} {bit}: {error}");
            }
            // Without a digest a checksum must find it. Frames of zstd need not have one.
            if matches!(compression, Compression::Gzip | Compression::Xz | Compression::Bzip2)
                && bit % 5 == 0
                && let Ok(read) = layer(&damaged)
                && oddities(&read.record.anomalies).is_empty()
            {
                assert_eq!(read.fingerprint, whole.fingerprint, "{compression:?} bit {bit}");
            }
        }
    }
}

#[test]
fn bombs_are_stopped_by_the_limit_that_they_pass() {
    let zeros = Layer::new().file("zeros", vec![0; 80 << 20]).to_tar().unwrap();
    let small = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        limits
    };
    let cases = [
        (
            Compression::Gzip,
            small(|limits| limits.layer_bytes_max = 1 << 20),
            "more than layer_bytes_max (1048576)",
        ),
        (
            Compression::Zstd,
            small(|limits| limits.layer_bytes_max = 1 << 20),
            "more than layer_bytes_max (1048576)",
        ),
        (
            Compression::None,
            small(|limits| limits.layer_bytes_max = 1 << 20),
            "more than layer_bytes_max (1048576)",
        ),
        (Compression::Gzip, small(|limits| limits.gzip_ratio_max = 10), "more than gzip_ratio_max (10)"),
        (Compression::Zstd, small(|limits| limits.ratio_max = 10), "more than ratio_max (10)"),
        (Compression::Bzip2, small(|limits| limits.ratio_max = 10), "more than ratio_max (10)"),
        (
            Compression::Gzip,
            small(|limits| limits.layer_time_max = Duration::ZERO),
            "more than layer_time_max (0)",
        ),
        (
            Compression::Gzip,
            small(|limits| limits.tar.file_bytes_max = 1 << 20),
            r#"tar entry "zeros" at byte 0: file_bytes_max is 1048576, found 83886080"#,
        ),
    ];
    for (compression, limits, expected) in cases {
        let stored = compression.compress(&zeros);
        let passed = std::cell::Cell::new(0);
        let error =
            read_layer(&stored[..], &Promise::default(), &limits, &|count| passed.set(passed.get() + count));
        assert_eq!(error.unwrap_err().to_string(), expected, "{compression:?}");
        assert!(passed.get() <= stored.len() as u64);
    }
    for compression in [Compression::Gzip, Compression::Zstd, Compression::Xz, Compression::Bzip2] {
        assert_eq!(layer(compression.compress(&zeros)).unwrap().record.file_size_bytes, 80 << 20);
    }
}

#[test]
fn paths_that_do_not_fit_into_memory_are_refused() {
    let mut tar = Layer::new();
    for at in 0..100 {
        tar = tar.file(format!("{}{at}", "p".repeat(10_000)), "");
    }
    let limits = Limits { paths_bytes_max: 500_000, ..Limits::default() };
    let stored = Compression::Gzip.compress(&tar.to_tar().unwrap());
    let error = read_layer(&stored[..], &Promise::default(), &limits, &|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "more than paths_bytes_max (500000)");
}

#[test]
fn an_empty_layer_is_empty_and_well_known() {
    let read = read_tar(&Layer::new());
    let known = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
    assert_eq!((read.record.diff_id.to_string().as_str(), read.record.entry_count), (known, 0));
    assert_eq!(oddities(&read.record.anomalies), Vec::<String>::new());
    let none = layer(b"").unwrap();
    assert_eq!(
        (none.record.entry_count, oddities(&none.record.anomalies)),
        (0, vec!["MissingEndOfArchive 1".to_owned()])
    );
}

#[test]
fn lz4_is_refused_by_name() {
    let error = layer(b"\x04\x22\x4d\x18 whatever follows").unwrap_err();
    assert_eq!(error.to_string(), "lz4 compression is not supported");
}

#[test]
fn a_wrong_promise_is_told_with_both_sides() {
    let stored = base().to_tar().unwrap();
    let good = promise_of(&stored);
    let short = Promise { size_bytes: Some(7), ..good.clone() };
    let error = read_layer(&stored[..], &short, &Limits::default(), &|_| ()).unwrap_err();
    assert_eq!(error.to_string(), format!("size is {} bytes, expected 7", stored.len()));
    let other = BlobDigest::Sha256([0; 32]);
    let wrong = Promise { digest: Some(other), ..good.clone() };
    let error = read_layer(&stored[..], &wrong, &Limits::default(), &|_| ()).unwrap_err();
    assert_eq!(error.to_string(), format!("digest is {}, expected {other}", good.digest.unwrap()));
    let gzip = Promise { media_type: "application/vnd.oci.image.layer.v1.tar+gzip".into(), ..good };
    let read = read_layer(&stored[..], &gzip, &Limits::default(), &|_| ()).unwrap();
    assert_eq!(oddities(&read.record.anomalies), ["MediaTypeMismatch 1"]);
}
