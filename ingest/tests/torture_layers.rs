//! The torture archives as layers: what each comes to when it is read from its first stored byte to its last.
//!
//! The table was reviewed against `torture/INDEX.tsv` row by row. It differs from it nowhere; where that leaves a choice
//! (error or not), the choice is that of Go's `archive/tar`. Names and framing (d*, n*) are in `tar_torture.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;

use crate::support::{layer, oddities, rows};
use sha2::{Digest, Sha256};

/// One line for each archive: its entries (the first four), what was recorded as odd, or the error.
const TABLE: &str = r#"
e01_no_zero_blocks.tar: a.txt 4 bytes 26c7bb3daaaa; b.txt 4 bytes 255ec90f561e [MissingEndOfArchive 1]
e02_one_zero_block.tar: a.txt 4 bytes 26c7bb3daaaa; b.txt 4 bytes 255ec90f561e [MissingEndOfArchive 1]
e03_trailing_garbage.tar: a.txt 4 bytes 26c7bb3daaaa [TrailingData 1]
e04_truncated_header.tar: error: tar ends at byte 1324, inside a header
e05_truncated_body.tar: error: tar ends at byte 1538, inside "b.txt"
e06_missing_padding.tar: a.txt 4 bytes 26c7bb3daaaa; b.txt 4 bytes 255ec90f561e [MissingEndOfArchive 1]
e07_empty_0bytes.tar: nothing [MissingEndOfArchive 1]
e08_empty_1024.tar: nothing
e09_empty_512.tar: nothing [MissingEndOfArchive 1]
e10_zero_1MiB.tar.gz: nothing
e11_not_a_tar.tar: error: tar header at byte 0: checksum does not match
l01_dup_path_diff.tar: f 6 bytes cd85637651ec [DuplicatePath 1]
l02_dup_path_spelling.tar: x/f 5 bytes 42f1d0a285ae [DuplicatePath 2]
l03_dup_file_dir.tar: p dir; p/q 1 bytes f7b966d4b544 [DuplicatePath 1]
l04_dup_dir_file.tar: p 4 bytes 39aac93919e6 [DuplicatePath 1]
l05_through_symlink.tar: d -> /etc; d/passwd 1 bytes f7b966d4b544
l06_hardlink_missing.tar: h => nope
l07_hardlink_forward.tar: h 1 bytes f7b966d4b544; later 1 bytes f7b966d4b544
l08_hardlink_chain.tar: a 1 bytes f7b966d4b544; b 1 bytes f7b966d4b544; c 1 bytes f7b966d4b544
l09_hardlink_cycle.tar: a => b; b => a
l10_hardlink_self.tar: a => a
l11_hardlink_dotdot.tar: a => etc/passwd [EscapingPath 1]
l12_symlink_loop.tar: a -> b; b -> a
l13_symlink_empty_target.tar: a -> 
l14_hardlink_to_symlink.tar: h -> /etc/passwd; s -> /etc/passwd
m01_neg_mtime.tar: f 0 bytes af1349b9f5f9
m02_uid_2p40.tar: f 0 bytes af1349b9f5f9
m03_pax_uid_neg.tar: f 0 bytes af1349b9f5f9
m04_same_content_diff_meta.tar: 1 4 bytes 4cca3f30b35c; 2 4 bytes 4cca3f30b35c; 3 4 bytes 4cca3f30b35c
m05_devices.tar: fifo fifo; null char 1:3; sda block 8:0
m06_types_7_V_D_M.tar: b.txt 4 bytes 255ec90f561e; cont 1 bytes f7b966d4b544 [UnknownEntryType 4]
s01_sparse_hole_1TiB.tar: error: tar entry "big" at byte 0: file_bytes_max is 68719476736, found 1099511627776
s02_pax10_sparse_1TiB.tar: error: tar entry "real-name" at byte 1024: file_bytes_max is 68719476736, found 1099511627776
s03_sparse_overlap.tar: error: sparse file "ov" at byte 0: extents overlap or are out of order
s04_sparse_backwards.tar: error: sparse file "bk" at byte 0: extents overlap or are out of order
s05_sparse_pax_name_differs.tar: b.txt 4 bytes 255ec90f561e; shown 8 bytes 07d4aeb77798
w01_plain.tar: dir/gone whiteout
w02_opaque.tar: dir opaque; dir/new 3 bytes 4a4ee251da7a
w03_opaque_after.tar: dir opaque; dir/new 3 bytes 4a4ee251da7a
w04_bare_wh.tar: nothing [InvalidWhiteout 1]
w05_wh_dot.tar: nothing [InvalidWhiteout 1]
w06_wh_dotdot.tar: nothing [InvalidWhiteout 1]
w07_wh_meta.tar: nothing
w08_wh_and_file_same_layer.tar: dir/x whiteout; dir/x 3 bytes 4a4ee251da7a
w09_file_then_wh_same_layer.tar: dir/x whiteout; dir/x 3 bytes 4a4ee251da7a
w10_wh_root.tar:  opaque
w11_wh_in_dirname.tar: .wh.dir/file 0 bytes af1349b9f5f9
w12_wh_with_content.tar: d/x whiteout
w13_wh_symlink.tar: d/x whiteout
w14_wh_traversal.tar: etc whiteout [EscapingPath 1]
w15_chardev00.tar: d/x char 0:0
z01_gzip_two_members_split.tar.gz: a.txt 4 bytes 26c7bb3daaaa; b.txt 4 bytes 255ec90f561e
z02_gzip_member_after_eoa.tar.gz: a.txt 4 bytes 26c7bb3daaaa [TrailingData 1]
z03_gzip_trailing_garbage.tar.gz: a.txt 4 bytes 26c7bb3daaaa; b.txt 4 bytes 255ec90f561e [TrailingCompressedData 1]
z04_gzip_trailing_zeros.tar.gz: a.txt 4 bytes 26c7bb3daaaa; b.txt 4 bytes 255ec90f561e
z05_gzip_bad_crc.tar.gz: error: gzip stream, after 3072 bytes of output: corrupt gzip stream does not have a matching checksum
z06_gzip_bad_isize.tar.gz: error: gzip stream, after 3072 bytes of output: corrupt gzip stream does not have a matching checksum
z07_gzip_truncated.tar.gz: error: gzip stream, after 1540 bytes of output: incomplete deflate stream
z08_gzip_fextra_fname_64k.tar.gz: a.txt 4 bytes 26c7bb3daaaa; b.txt 4 bytes 255ec90f561e
z09_gzip_empty_members_x5000.tar.gz: a.txt 4 bytes 26c7bb3daaaa; b.txt 4 bytes 255ec90f561e
z10_double_gzip.tar.gz: error: tar ends at byte 101, inside a header
z11_bomb_64MiB.tar.gz: zeros 67108864 bytes ea7b156fc9a8
z12_many_empty_files_100k.tar.gz: d/000000 0 bytes af1349b9f5f9; d/000001 0 bytes af1349b9f5f9; d/000002 0 bytes af1349b9f5f9; d/000003 0 bytes af1349b9f5f9; and 99996 more
z13_many_hardlinks_100k.tar.gz: h/000000 1 bytes f7b966d4b544; h/000001 1 bytes f7b966d4b544; h/000002 1 bytes f7b966d4b544; h/000003 1 bytes f7b966d4b544; and 99997 more
z14_pax_16MiB_record.tar.gz: error: tar extension at byte 0: has 16777234 bytes, limit is 1048576
z15_pax_100k_records.tar.gz: error: tar extension at byte 0: has 3000000 bytes, limit is 1048576
z16_gnuL_16MiB.tar.gz: error: tar extension at byte 0: has 16777217 bytes, limit is 1048576
z17_global_pax_flood.tar.gz: PaxHeaders/x whiteout; a.txt 4 bytes 26c7bb3daaaa [StrayExtension 2000]
z18_pax_per_entry_flood.tar.gz: e00000 0 bytes af1349b9f5f9; e00001 0 bytes af1349b9f5f9; e00002 0 bytes af1349b9f5f9; e00003 0 bytes af1349b9f5f9; and 4996 more
z20_zstd_two_frames_skippable.tar.zst: a.txt 4 bytes 26c7bb3daaaa; b.txt 4 bytes 255ec90f561e
z21_zstd_truncated.tar.zst: error: zstd stream, after 0 bytes of output: incomplete frame
z22_zstd_bad_checksum.tar.zst: error: zstd stream, after 0 bytes of output: Restored data doesn't match checksum
z23_zstd_window_2GiB.tar.zst: error: zstd stream, after 0 bytes of output: Frame requires too much memory for decoding
z24_zstd_only_skippable.tar.zst: nothing [MissingEndOfArchive 1]
z25_zstd_bomb_64MiB.tar.zst: zeros 67108864 bytes ea7b156fc9a8
z26_xz.tar.xz: a.txt 4 bytes 26c7bb3daaaa; b.txt 4 bytes 255ec90f561e
z27_bz2.tar.bz2: a.txt 4 bytes 26c7bb3daaaa; b.txt 4 bytes 255ec90f561e
z28_gzip_reserved_flags.tar.gz: error: gzip stream, after 0 bytes of output: invalid gzip header
z30_docker_empty_layer.tar.gz: nothing
"#;

const ROWS_SHOWN: usize = 4;

fn expectations() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.trim().lines().map(|line| line.split_once(": ").unwrap())
}

fn torture(file: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture").join(file)).unwrap()
}

/// Writes a layer down as in the table.
fn describe(file: &str) -> String {
    let read = match layer(torture(file)) {
        Err(error) => return format!("error: {error}"),
        Ok(read) => read,
    };
    let mut rows = rows(&read.fingerprint);
    if rows.len() > ROWS_SHOWN {
        let more = format!("and {} more", rows.len() - ROWS_SHOWN);
        rows.splice(ROWS_SHOWN.., [more]);
    }
    let entries = if rows.is_empty() { "nothing".to_owned() } else { rows.join("; ") };
    match oddities(&read.record.anomalies).join(", ") {
        odd if odd.is_empty() => entries,
        odd => format!("{entries} [{odd}]"),
    }
}

#[test]
fn every_layer_of_the_torture_set_is_read_as_the_table_says() {
    for (file, expected) in expectations() {
        assert_eq!(describe(file), expected, "{file}");
    }
}

#[test]
fn the_table_leaves_out_no_layer_of_the_set() {
    let index = include_str!("torture/INDEX.tsv");
    let names = index.lines().skip(1).map(|line| line.split('\t').next().unwrap());
    let about_layers: BTreeSet<_> =
        names.filter(|name| name.starts_with(['w', 'l', 'z', 'e', 'm', 's'])).collect();
    assert_eq!(about_layers, expectations().map(|(file, _)| file).collect());
}

#[test]
fn mode_and_owner_are_kept_as_they_are_said() {
    let entries = |file: &str| {
        let read = layer(torture(file)).unwrap();
        let entry = |entry: &layerprint_store::Entry| (entry.mode, entry.uid, entry.gid);
        read.fingerprint.entries().iter().map(entry).collect::<Vec<_>>()
    };
    assert_eq!(entries("m01_neg_mtime.tar"), [(0o644, 0, 0)]);
    assert_eq!(entries("m02_uid_2p40.tar"), [(0o644, 1 << 40, 0)]);
    assert_eq!(entries("m04_same_content_diff_meta.tar"), [(0o644, 0, 0), (0o4755, 1000, 0), (0o644, 0, 0)]);
}

#[test]
fn both_digests_cover_what_follows_the_end() {
    let read = layer(torture("z02_gzip_member_after_eoa.tar.gz")).unwrap();
    let mut whole = Vec::new();
    flate2::read::MultiGzDecoder::new(&torture("z02_gzip_member_after_eoa.tar.gz")[..])
        .read_to_end(&mut whole)
        .unwrap();
    assert_eq!(*read.record.diff_id.as_bytes(), <[u8; 32]>::from(Sha256::digest(&whole)));
    let empty = layer(torture("z30_docker_empty_layer.tar.gz")).unwrap();
    let gzipped_empty = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4";
    assert_eq!(empty.digest.to_string(), gzipped_empty);
}
