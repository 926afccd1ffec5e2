//! A stored fingerprint: what decodes comes back the same from its own bytes, and has no other bytes but for the compression.

use layerprint_store::body::{decode, decode_contents, encode};
use layerprint_store::{Content, Entry};

/// Decodes the bytes.
pub fn run(bytes: &[u8]) {
    let contents = decode_contents(bytes);
    let Ok(fingerprint) = decode(bytes) else { return };
    let mut distinct: Vec<Content> = fingerprint.entries().iter().filter_map(Entry::content).collect();
    distinct.sort();
    distinct.dedup();
    assert_eq!(contents.as_ref(), Ok(&distinct), "contents read without the paths");
    let encoded = encode(&fingerprint).expect("what was read keeps to the limits");
    assert_eq!(decode(&encoded).as_ref(), Ok(&fingerprint), "encoded and decoded again");
    assert_eq!(plain(bytes), plain(&encoded), "two spellings of one fingerprint");
}

/// Returns the header without what is said of the compression, the table, and the metadata decompressed.
fn plain(body: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let word = |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().expect("four bytes")) as usize;
    let (head, stored) = body.split_at(body.len() - word(20));
    let metadata = match head[6] {
        0 => stored.to_vec(),
        _ => zstd::decode_all(stored).expect("it was decompressed before"),
    };
    ([&head[8..20], &head[24..]].concat(), metadata)
}
