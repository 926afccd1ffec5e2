//! From what a person types to an image or a layer.
//!
//! A name comes first, then ids and digests, whole or abbreviated; images before layers. What fits several
//! things is an error that lists them, never a guess.

use std::collections::BTreeSet;
use std::fmt;

use data_encoding::HEXLOWER;
use serde::Serialize;

use crate::error::{Result, StoreError};
use crate::id::{BlobDigest, DiffId, ImageId};
use crate::images::Name;
use crate::log::catalogue::Tree;
use crate::record::Platform;
use crate::store::Store;

/// Fewest hexadecimal digits that stand for an id.
const ABBREVIATION_DIGITS_MIN: usize = 4;

/// Most matches that an error lists.
const MATCHES_MAX: usize = 10;

/// What a text stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Subject {
    /// An image.
    Image(ImageId),
    /// A layer.
    Layer(DiffId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => write!(f, "image {image}"),
            Self::Layer(layer) => write!(f, "layer {layer}"),
        }
    }
}

impl Store {
    /// Returns the image or layer that a text stands for.
    ///
    /// The text is a reference (the image it was last seen to stand for on each platform), an image ID, a manifest
    /// digest, a diff ID or the digest of a compressed layer; of an id, four digits suffice if no other has them.
    pub fn resolve(&self, text: &str) -> Result<Subject> {
        let named = last_seen(self.images_named(text)?);
        if !named.is_empty() {
            let described = |name: &Name| format!("{} ({})", name.image, name.platform);
            let subjects = named.iter().map(|name| (Subject::Image(name.image), described(name)));
            return only_one(text, subjects.collect());
        }
        let digits = digits_of(text)?;
        let images = self.images_abbreviated(digits)?;
        let subjects = if images.is_empty() { self.layers_abbreviated(digits)? } else { images };
        only_one(text, subjects.iter().map(|subject| (*subject, subject.to_string())).collect())
    }

    fn images_abbreviated(&self, digits: &str) -> Result<BTreeSet<Subject>> {
        let mut images = BTreeSet::new();
        for key in self.keys_abbreviated(Tree::Images, &[], digits)? {
            images.extend(key.try_into().ok().map(ImageId::from_bytes));
        }
        for key in self.keys_abbreviated(Tree::Manifests, &SHA256_KEY, digits)? {
            let manifest = BlobDigest::from_key(&key);
            images.extend(manifest.map(|manifest| self.image_of_manifest(&manifest)).transpose()?.flatten());
        }
        Ok(images.into_iter().map(Subject::Image).collect())
    }

    fn layers_abbreviated(&self, digits: &str) -> Result<BTreeSet<Subject>> {
        let mut layers = BTreeSet::new();
        for key in self.keys_abbreviated(Tree::Layers, &[], digits)? {
            layers.extend(key.try_into().ok().map(DiffId::from_bytes));
        }
        for key in self.keys_abbreviated(Tree::Blobs, &SHA256_KEY, digits)? {
            let blob = BlobDigest::from_key(&key);
            layers.extend(blob.map(|blob| self.layer_of_blob(&blob)).transpose()?.flatten());
        }
        Ok(layers.into_iter().map(Subject::Layer).collect())
    }

    /// Keys of a tree that begin with `start` and then these digits, of which there may be an odd number.
    fn keys_abbreviated(&self, tree: Tree, start: &[u8], digits: &str) -> Result<Vec<Vec<u8>>> {
        let whole_bytes = &digits[..digits.len() / 2 * 2];
        let bytes = HEXLOWER.decode(whole_bytes.as_bytes()).expect("an even number of digits");
        let keys = self.journal.keys(tree, &[start, &bytes].concat());
        let fits = |key: &[u8]| HEXLOWER.encode(&key[start.len()..]).starts_with(digits);
        keys.filter(|key| key.as_ref().map_or(true, |key| fits(key))).collect()
    }
}

/// How the key of a SHA-256 digest begins.
const SHA256_KEY: [u8; 1] = [1];

/// Of names that are sorted by when they were seen, the first for each platform.
fn last_seen(names: Vec<Name>) -> Vec<Name> {
    let mut platforms: BTreeSet<Platform> = BTreeSet::new();
    names.into_iter().filter(|name| platforms.insert(name.platform.clone())).collect()
}

/// Returns the hexadecimal digits of what may be an abbreviated id.
pub(crate) fn digits_of(text: &str) -> Result<&str> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let long_enough = digits.len() >= ABBREVIATION_DIGITS_MIN && digits.len() <= 64;
    if !long_enough || !digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(StoreError::NotFound { text: text.to_owned() });
    }
    Ok(digits)
}

/// Returns the one thing that a text stands for.
pub(crate) fn only_one(text: &str, subjects: Vec<(Subject, String)>) -> Result<Subject> {
    match &subjects[..] {
        [] => Err(StoreError::NotFound { text: text.to_owned() }),
        [(subject, _)] => Ok(*subject),
        _ => {
            let matches = subjects.into_iter().take(MATCHES_MAX).map(|(_, described)| described).collect();
            Err(StoreError::Ambiguous { text: text.to_owned(), matches })
        }
    }
}
