//! The bytes of a fingerprint: they come back, they are the same twice, and no bytes at all make decoding panic.

use crate::common;

use layerprint_store::body::{BodyError, decode, decode_contents, encode};
use layerprint_store::id::ContentId;
use layerprint_store::{Content, Entry, EntryKind, Fingerprint, PathBytes};
use proptest::prelude::*;

fn any_bytes() -> impl Strategy<Value = PathBytes> {
    // Few different bytes, so that paths share heads; among them what is no UTF-8.
    let byte = prop::sample::select(vec![b'a', b'b', b'/', b'\n', 0, 0x80, 0xff]);
    prop::collection::vec(byte, 0..12).prop_map(PathBytes::from)
}

fn any_kind() -> impl Strategy<Value = EntryKind> {
    let device = || (any::<u32>(), any::<u32>());
    let content = (0..40_u8, any::<u64>()).prop_map(|(number, size)| Content {
        id: ContentId::of(&[number]),
        // Now and then one id with two sizes, which only a broken writer gives.
        size_bytes: if number < 35 { number.into() } else { size },
    });
    prop_oneof![
        Just(EntryKind::Whiteout),
        Just(EntryKind::Opaque),
        Just(EntryKind::Directory),
        Just(EntryKind::Fifo),
        (content, any::<bool>()).prop_map(|(content, linked)| EntryKind::File { content, linked }),
        any_bytes().prop_map(EntryKind::Symlink),
        any_bytes().prop_map(EntryKind::HardLink),
        device().prop_map(|(major, minor)| EntryKind::CharDevice { major, minor }),
        device().prop_map(|(major, minor)| EntryKind::BlockDevice { major, minor }),
    ]
}

fn any_fingerprint() -> impl Strategy<Value = Fingerprint> {
    let entry = (any_bytes(), any_kind(), any::<u32>(), any::<u64>(), 0..3_u64)
        .prop_map(|(path, kind, mode, uid, gid)| Entry { path, mode, uid, gid, kind });
    prop::collection::vec(entry, 0..60).prop_map(Fingerprint::from_entries)
}

proptest! {
    #[test]
    fn a_fingerprint_comes_back_from_its_bytes(fingerprint in any_fingerprint()) {
        let bytes = encode(&fingerprint).unwrap();
        prop_assert_eq!(&encode(&fingerprint).unwrap(), &bytes);
        prop_assert_eq!(decode(&bytes).unwrap(), fingerprint.clone());
        let mut distinct: Vec<Content> = fingerprint.entries().iter().filter_map(Entry::content).collect();
        distinct.sort();
        distinct.dedup();
        prop_assert_eq!(decode_contents(&bytes).unwrap(), distinct);
    }

    #[test]
    fn a_body_cut_short_is_an_error(fingerprint in any_fingerprint(), cut in any::<prop::sample::Index>()) {
        let bytes = encode(&fingerprint).unwrap();
        let cut = &bytes[..cut.index(bytes.len())];
        let malformed = matches!(decode(cut), Err(BodyError::Malformed { .. }));
        prop_assert!(malformed);
        let longer = [&bytes[..], &[0]].concat();
        let malformed = matches!(decode(&longer), Err(BodyError::Malformed { .. }));
        prop_assert!(malformed);
    }

    #[test]
    fn flipped_bits_never_panic_and_what_still_decodes_encodes_again(
        fingerprint in any_fingerprint(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..4),
    ) {
        let mut bytes = encode(&fingerprint).unwrap();
        for (index, bit) in flips {
            let index = index.index(bytes.len());
            bytes[index] ^= 1_u8 << bit;
        }
        if let Ok(other) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&other).unwrap()).unwrap(), other);
        }
    }

    #[test]
    fn bytes_of_any_kind_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
        let _ = decode(&[&b"LPFP\x01\0\0\0"[..], &bytes].concat());
    }
}

/// The same body with its metadata not compressed, as short ones are kept.
fn plain(bytes: &[u8]) -> Vec<u8> {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (head, stored) = bytes.split_at(bytes.len() - word(20));
    let metadata = zstd::bulk::decompress(stored, word(24)).unwrap();
    let mut plain = [head, &metadata].concat();
    plain[6] = 0;
    plain.copy_within(24..28, 20);
    plain
}

#[test]
fn every_single_bit_of_a_plain_body_is_safe_to_flip() {
    let words = ["a", "a/b", "c\u{1}", "d"];
    let kinds = [
        EntryKind::Directory,
        EntryKind::File { content: common::content(7), linked: true },
        EntryKind::Symlink(b"x".as_slice().into()),
        EntryKind::CharDevice { major: 1, minor: 300 },
    ];
    let entries = words.iter().zip(kinds).map(|(path, kind)| common::entry(path, kind));
    let fingerprint = Fingerprint::from_entries(entries.collect());
    let bytes = plain(&encode(&fingerprint).unwrap());
    assert_eq!(decode(&bytes).unwrap(), fingerprint);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = decode(&flipped) {
            assert_ne!(other, fingerprint, "bit {bit} means nothing");
            assert_eq!(decode(&encode(&other).unwrap()).unwrap(), other);
        }
    }
}

#[test]
fn another_version_is_refused_by_name() {
    let mut bytes = encode(&Fingerprint::default()).unwrap();
    bytes[4] = 2;
    assert_eq!(decode(&bytes), Err(BodyError::Version { found: 2, expected: 1 }));
}

#[test]
fn metadata_that_decompresses_to_more_than_it_says_is_not_decompressed() {
    let bomb = zstd::bulk::compress(&vec![0; 256 << 20], 1).unwrap();
    let body = |claimed: u32| {
        let mut bytes = b"LPFP\x01\0\x01\0".to_vec();
        for word in [1_000_000, 0, 0, u32::try_from(bomb.len()).unwrap(), claimed, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(&bomb);
        bytes
    };
    assert!(bomb.len() < 100_000);
    let problem = |claimed| match decode(&body(claimed)) {
        Err(BodyError::Malformed { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(problem(100), "metadata has another length than the header says");
    assert_eq!(problem(256 << 20), "bytes after the last column");
    let claim = decode(&body(u32::MAX));
    assert!(matches!(claim, Err(BodyError::TooLarge { what: "metadata", .. })), "{claim:?}");
}

#[test]
fn paths_longer_than_the_format_holds_are_refused_when_written() {
    let long = "x".repeat((64 << 10) + 1);
    let path = Fingerprint::from_entries(vec![common::entry(&long, EntryKind::Fifo)]);
    assert!(matches!(encode(&path), Err(BodyError::TooLarge { what: "path", .. })));
    let target = EntryKind::Symlink(long.into_bytes().into());
    let target = Fingerprint::from_entries(vec![common::entry("x", target)]);
    assert!(matches!(encode(&target), Err(BodyError::TooLarge { what: "link target", .. })));
}

/// A body of two empty files by name of `a` and `b`, with other columns of owners and contents.
fn two_files(owners: &[u8], owner_indices: &[u8], contents: &[u8], ordinals: &[u8]) -> Vec<u8> {
    let columns: [&[u8]; 9] = [owners, owner_indices, &[3, 3], &[0, 0], &[1, 1], b"ab", ordinals, &[], &[]];
    let lengths = columns.iter().map(|column| u32::try_from(column.len()).unwrap());
    let metadata: Vec<u8> = lengths.clone().flat_map(u32::to_le_bytes).chain(columns.concat()).collect();
    let count = u32::try_from(contents.len()).unwrap();
    let length = u32::try_from(metadata.len()).unwrap();
    let mut bytes = b"LPFP\x01\0\0\0".to_vec();
    [2, count, count, length, length, 0_u32].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    contents.iter().for_each(|byte| bytes.extend([*byte; 32]));
    bytes.resize(bytes.len() + contents.len(), 0);
    bytes.extend(metadata);
    bytes
}

/// Found by fuzzing: a content that no file has was in `decode_contents`, and so in the index, but not in the entries. With
/// spellings of owners that no encoder gives, and of which a few bytes became gigabytes.
#[test]
fn what_no_entry_has_is_refused() {
    const ROOT: &[u8] = &[0, 0, 0];
    const TWO: &[u8] = &[0, 0, 0, 1, 0, 0];
    let whole = decode(&two_files(TWO, &[0, 1], &[1, 2], &[1, 0])).unwrap();
    assert_eq!(decode(&encode(&whole).unwrap()).unwrap(), whole);
    let cases = [
        (two_files(ROOT, &[0, 0], &[1, 2], &[0, 0]), "no file has a content at offset 64"),
        (two_files(TWO, &[0, 0], &[1], &[0, 0]), "no entry has an owner at offset 0"),
        (two_files(TWO, &[1, 0], &[1], &[0, 0]), "owners are not in order of first use at offset 1"),
        (two_files(&[0; 6], &[0, 1], &[1], &[0, 0]), "an owner is listed twice at offset 3"),
        (
            two_files(&[0, 0, 0, 1, 0, 0, 2, 0, 0], &[0, 1], &[1], &[0, 0]),
            "more owners than entries at offset 6",
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(decode(&body).unwrap_err().to_string(), expected);
    }
}

/// Metadata as columns that were made up.
fn body_of(entry_count: u32, columns: &[Vec<u8>; 9]) -> Vec<u8> {
    let lengths = columns.iter().flat_map(|column| u32::try_from(column.len()).unwrap().to_le_bytes());
    let metadata: Vec<u8> = lengths.chain(columns.iter().flatten().copied()).collect();
    let stored = zstd::bulk::compress(&metadata, 1).unwrap();
    let mut bytes = b"LPFP\x01\0\x01\0".to_vec();
    let lengths = [stored.len(), metadata.len()].map(|length| u32::try_from(length).unwrap());
    for word in [entry_count, 0, 0, lengths[0], lengths[1], 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(stored);
    bytes
}

#[test]
fn a_few_bytes_that_claim_more_paths_than_fit_into_memory_are_refused_before_they_are_read() {
    // Each path is 60,000 bytes of the one before and three more, so that they ascend.
    let count: u32 = 10_000;
    let first = [b'a'; 60_000];
    let number = |number: u32| format!("{number:05}").into_bytes();
    let shared = |before: u32, after: u32| {
        let same = number(before).iter().zip(number(after)).take_while(|(a, b)| **a == *b).count();
        60_000 + same
    };
    let varint = |value: usize, to: &mut Vec<u8>| {
        let mut value = value;
        while value >= 0x80 {
            to.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        to.push(u8::try_from(value).unwrap());
    };
    let mut columns: [Vec<u8>; 9] = Default::default();
    columns[0] = vec![0, 0, 0];
    for at in 0..count {
        let prefix = if at == 0 { 0 } else { shared(at - 1, at) };
        columns[1].push(0);
        columns[2].push(9);
        varint(prefix, &mut columns[3]);
        varint(60_005 - prefix, &mut columns[4]);
        let path = [&first[..], &number(at)].concat();
        columns[5].extend(&path[prefix..]);
    }
    let bytes = body_of(count, &columns);
    assert!(bytes.len() < 40_000, "{}", bytes.len());
    let claim = decode(&bytes);
    assert!(matches!(claim, Err(BodyError::TooLarge { what: "paths", .. })), "{claim:?}");
    let claim = decode(&body_of(4_000_000, &columns));
    assert!(matches!(claim, Err(BodyError::TooLarge { what: "memory of the layer", .. })), "{claim:?}");
}

#[test]
fn long_metadata_is_read_as_it_decompresses_and_comes_back() {
    let path = |number: usize| format!("{}/{number:06}", "long/".repeat(number % 400));
    let link = |number: usize| EntryKind::Symlink(path(number).as_bytes().into());
    let entries = (0..9_000).map(|number| common::entry(&path(number * 7 % 9_001), link(number)));
    let fingerprint = Fingerprint::from_entries(entries.collect());
    let bytes = encode(&fingerprint).unwrap();
    assert_eq!(decode(&bytes).unwrap(), fingerprint);
    assert!(matches!(decode(&bytes[..bytes.len() - 1]), Err(BodyError::Malformed { .. })));
}
