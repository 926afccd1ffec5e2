//! Doors to what has no other, for the fuzz targets in `fuzz/` alone: behind the feature `fuzzing`, and no promise.

use std::collections::BTreeMap;
use std::io::Cursor;

use layerprint_store::id::BlobDigest;
use sha2::{Digest, Sha256};

use crate::archive::{self, FrontToBack};
use crate::document::{Config, ManifestOrIndex};
use crate::layer::LayerReader;
use crate::limits::Limits;
use crate::tree::{Blob, LayerKnown, Member, Tree};
use crate::{docker, oci};

/// Reads documents as every form of image has them. In the text of one, `@0` to `@9` is the digest of the one with that number, if
/// it comes before; the last one is what each form looks at first.
pub fn documents<'a>(texts: impl Iterator<Item = &'a [u8]>, limits: &Limits) {
    let mut digests: Vec<String> = Vec::new();
    let mut members = BTreeMap::new();
    for text in texts {
        let text = with_digests(text, &digests);
        if let Ok(kind) = ManifestOrIndex::parse(&text) {
            drop(kind.kind());
        }
        drop(Config::parse(&text));
        let hex = BlobDigest::Sha256(Sha256::digest(&text).into()).to_hex();
        for name in names(digests.len(), &hex) {
            members.insert(name.into_bytes(), Member::File(Blob::Document(text.as_slice().into())));
        }
        digests.push(format!("sha256:{hex}"));
    }
    let tree = Tree::archive("fuzzed", members);
    read(&tree, limits);
}

/// Names under which the forms look for a document.
fn names(number: usize, hex: &str) -> [String; 8] {
    [
        format!("blobs/sha256/{hex}"),
        hex.to_owned(),
        format!("{hex}.manifest.json"),
        format!("{number}"),
        format!("{number}/json"),
        "index.json".into(),
        "manifest.json".into(),
        "repositories".into(),
    ]
}

fn with_digests(text: &[u8], digests: &[String]) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let number = after.first().filter(|digit| *first == b'@' && digit.is_ascii_digit());
        match number.and_then(|digit| digests.get(usize::from(digit - b'0'))) {
            Some(digest) => {
                whole.extend_from_slice(digest.as_bytes());
                rest = &after[1..];
            }
            None => {
                whole.push(*first);
                rest = after;
            }
        }
    }
    whole
}

/// Reads an archive front to back, and whatever form its members have.
pub fn archive(stored: Vec<u8>, limits: &Limits) {
    let known =
        |read: crate::layer::LayerRead| Ok(LayerKnown { digest: read.digest, diff_id: read.record.diff_id });
    let layers = LayerReader::new(limits);
    if let Ok(FrontToBack::Images(tree)) =
        archive::read(Cursor::new(stored), "fuzzed", &layers, &known, &|_| ())
    {
        read(&tree, limits);
    }
}

fn read(tree: &Tree, limits: &Limits) {
    for wanted in [None, Some("a"), Some("@0")] {
        drop(oci::images(tree, wanted, "stem", limits));
        drop(docker::images(tree, wanted, limits));
        drop(docker::legacy_images(tree, wanted, limits));
    }
    drop(oci::dir_images(tree, "stem", limits));
}
