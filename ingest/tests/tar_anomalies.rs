//! What is odd about an archive stays on record; what is wrong, or too much, is refused with its place.

use std::path::Path;

use crate::tar_support::decompress::decompress;
use layerprint_ingest::tar::{TarLimits, TarReader};
use layerprint_store::AnomalyKind::{self, *};

/// Reads an archive of our set as far as it goes, and what follows its end.
fn read(file: &str, limits: TarLimits) -> (Vec<Oddity>, Option<String>) {
    let archive = archive(file);
    let mut reader = TarReader::new(&archive[..], limits);
    let error = read_bodies(&mut reader).err().map(|error| error.to_string());
    reader.drain().unwrap();
    assert_eq!(reader.position_bytes(), archive.len() as u64);
    let anomalies = reader.take_anomalies();
    let oddities = anomalies.examples().iter();
    (oddities.map(|one| (one.kind, one.offset_bytes.unwrap(), one.detail.clone())).collect(), error)
}

type Oddity = (AnomalyKind, u64, String);
type Case = (&'static str, &'static [(AnomalyKind, u64, &'static str)]);

fn read_bodies(reader: &mut TarReader<&[u8]>) -> std::io::Result<()> {
    while reader.next_entry()?.is_some() {
        std::io::copy(reader, &mut std::io::sink())?;
    }
    Ok(())
}

fn archive(file: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    decompress(&std::fs::read(folder.join(file)).unwrap()).0
}

#[test]
fn oddities_that_go_accepts_are_recorded_with_their_place() {
    let cases: &[Case] = &[
        ("w01_plain.tar", &[]),
        ("n18_prefix155.tar", &[]),
        ("n19_pax_path_5000.tar", &[]),
        ("d01_pax_size_gt_hdr_zero.tar", &[(ConflictingHeader, 1024, "pax size and header size")]),
        ("d02_pax_size_lt_hdr.tar", &[(ConflictingHeader, 1024, "pax size and header size")]),
        ("d04_pax_path_then_gnuL.tar", &[(ConflictingHeader, 2048, "pax path and gnu long name")]),
        ("d05_gnuL_then_pax_path.tar", &[(ConflictingHeader, 2048, "pax path and gnu long name")]),
        ("d06_two_pax_x.tar", &[(StrayExtension, 1024, "extension replaced by another")]),
        ("d07_two_gnuL.tar", &[(StrayExtension, 1024, "extension replaced by another")]),
        (
            "d08_global_size.tar",
            &[(StrayExtension, 0, "global size"), (StrayExtension, 0, "global header named PaxHeaders/x")],
        ),
        ("d10_pax_dup_size.tar", &[(ConflictingHeader, 1024, "pax key repeated")]),
        ("d16_dangling_pax_at_eof.tar", &[(StrayExtension, 3072, "extension before the end of the archive")]),
        ("d19_two_zero_blocks_mid_hidden.tar", &[(TrailingData, 2048, "b.txt")]),
        ("d20_size_on_symlink.tar", &[(UnexpectedBody, 0, "ln")]),
        ("d23_size_on_chardev.tar", &[(UnexpectedBody, 0, "cd")]),
        ("d24_unknown_type.tar", &[(UnknownEntryType, 0, "unk")]),
        ("d25_reg_trailing_slash.tar", &[(ConflictingHeader, 0, "looksdir/")]),
        ("e01_no_zero_blocks.tar", &[(MissingEndOfArchive, 2048, "")]),
        ("e02_one_zero_block.tar", &[(MissingEndOfArchive, 2560, "")]),
        ("e03_trailing_garbage.tar", &[(TrailingData, 2048, "GARBAGEGARBAGEGARBAGEGARBAGEGARB")]),
        ("e06_missing_padding.tar", &[(MissingEndOfArchive, 1540, "")]),
        ("e07_empty_0bytes.tar", &[(MissingEndOfArchive, 0, "")]),
        ("e08_empty_1024.tar", &[]),
        (
            "m06_types_7_V_D_M.tar",
            &[
                (UnknownEntryType, 0, "cont"),
                (UnknownEntryType, 1024, "VOL"),
                (UnknownEntryType, 1536, "dump"),
                (UnknownEntryType, 2560, "multi"),
            ],
        ),
        ("z02_gzip_member_after_eoa.tar.gz", &[(TrailingData, 2048, "b.txt")]),
    ];
    for (file, expected) in cases {
        let expected: Vec<Oddity> =
            expected.iter().map(|(kind, at, detail)| (*kind, *at, (*detail).to_owned())).collect();
        assert_eq!(read(file, TarLimits::default()).0, expected, "{file}");
    }
}

#[test]
fn what_go_refuses_is_refused_with_its_place() {
    let cases = [
        ("d11_pax_size_negative.tar", "tar header at byte 1024: size is negative"),
        ("d13_pax_size_overflow.tar", r#"tar extension of "a" at byte 1024: size is not a number"#),
        (
            "d14_pax_bad_reclen.tar",
            "tar extension of what follows at byte 0: record length does not fit the header",
        ),
        (
            "d15_pax_no_newline.tar",
            "tar extension of what follows at byte 0: record does not end in a newline",
        ),
        ("d18_zero_block_mid.tar", "tar header at byte 1024: one zero block, then another header"),
        ("d30_bad_checksum_mid.tar", "tar header at byte 1024: checksum does not match"),
        ("d31_size_base256_2p63.tar", "tar header at byte 0: size is not a number"),
        ("d32_size_base256_neg.tar", "tar header at byte 0: size is negative"),
        ("d33_size_octal_8GiB.tar", r#"tar ends at byte 2560, inside "huge""#),
        ("d34_size_non_octal.tar", "tar header at byte 0: size is not a number"),
        ("e04_truncated_header.tar", "tar ends at byte 1324, inside a header"),
        ("e05_truncated_body.tar", r#"tar ends at byte 1538, inside "b.txt""#),
        ("e11_not_a_tar.tar", "tar header at byte 0: checksum does not match"),
        ("n15_pax_nul_in_path.tar", "tar extension of what follows at byte 0: name has a NUL in it"),
        ("s03_sparse_overlap.tar", r#"sparse file "ov" at byte 0: extents overlap or are out of order"#),
        ("s04_sparse_backwards.tar", r#"sparse file "bk" at byte 0: extents overlap or are out of order"#),
        ("z14_pax_16MiB_record.tar.gz", "tar extension at byte 0: has 16777234 bytes, limit is 1048576"),
        ("z16_gnuL_16MiB.tar.gz", "tar extension at byte 0: has 16777217 bytes, limit is 1048576"),
    ];
    for (file, expected) in cases {
        assert_eq!(read(file, TarLimits::default()).1.unwrap(), expected, "{file}");
    }
}

#[test]
fn each_limit_stops_the_archive_by_its_own_name() {
    let default = TarLimits::default;
    let cases = [
        (
            "n19_pax_path_5000.tar",
            TarLimits { path_bytes_max: 4095, ..default() },
            "path_bytes_max is 4095, found 5001",
        ),
        (
            "z12_many_empty_files_100k.tar.gz",
            TarLimits { entries_max: 99_999, ..default() },
            r#"tar entry "d/099999" at byte 51199488: entries_max is 99999, found 100000"#,
        ),
        (
            "z11_bomb_64MiB.tar.gz",
            TarLimits { file_bytes_max: (64 << 20) - 1, ..default() },
            r#"tar entry "zeros" at byte 0: file_bytes_max is 67108863, found 67108864"#,
        ),
        (
            "s01_sparse_hole_1TiB.tar",
            default(),
            r#"tar entry "big" at byte 0: file_bytes_max is 68719476736, found 1099511627776"#,
        ),
        (
            "s01_sparse_hole_1TiB.tar",
            TarLimits { file_bytes_max: 1 << 40, ..default() },
            r#"tar entry "big" at byte 0: sparse_ratio_max is 1000, found 1099511627776"#,
        ),
        (
            "s02_pax10_sparse_1TiB.tar",
            TarLimits { file_bytes_max: 1 << 40, sparse_ratio_max: 1 << 40, ..default() },
            r#"tar entry "real-name" at byte 1024: hole_bytes_max is 68719476736, found 1099511627772"#,
        ),
        (
            "d06_two_pax_x.tar",
            TarLimits { extension_bytes_max: 8, ..default() },
            "tar extension at byte 0: has 12 bytes, limit is 8",
        ),
    ];
    for (file, limits, expected) in cases {
        // The path of the first is five thousand bytes; the end says it.
        let error = read(file, limits).1.unwrap();
        assert!(error.ends_with(expected), "{file}: {error}");
    }
}
