//! One layer whose bytes are cut, flipped, false or too many: an error that says where, or on record.

use std::time::Duration;

use crate::support::{layer, oddities};
use layerprint_ingest::layer::{Promise, read_layer};
use layerprint_ingest::write::{Compression, Layer};
use layerprint_ingest::{LayerError, Limits};
use layerprint_store::id::{BlobDigest, DiffId};
use sha2::{Digest, Sha256};

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
    Promise { digest, size_bytes: Some(stored.len() as u64), ..Promise::default() }
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
    let read = layer(Layer::new().to_tar().unwrap()).unwrap();
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
