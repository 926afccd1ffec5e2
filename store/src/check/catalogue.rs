//! The catalogue: every record, what it leads to in the packs, and what it refers to.

use std::collections::HashMap;

use rayon::prelude::*;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256, Sha512};

use super::packs::{Commits, key_head, value_head};
use super::{DamagedPart, Findings, Opened, place_name};
use crate::body;
use crate::error::Result;
use crate::format::record::{DOCUMENT_BYTES_MAX, INLINE, PACKED};
use crate::id::{BlobDigest, DiffId, ImageId};
use crate::images;
use crate::log::catalogue::{Catalogue, Pair, Tree};
use crate::log::frame::{FrameKind, Place};
use crate::log::journal::{APPLIED, Applied, frame_key};
use crate::record::{ImageRecord, LayerRecord};
use crate::store::{BlobRecord, SourceRecord};

/// Values of packs that are read at one time, on all cores.
const BATCH: usize = 1024;

/// Checks every record and what it leads to. Returns the places of frames that are whole.
pub(super) fn records(store: &Opened, catalogue: &Catalogue, found: &mut Findings) -> Result<Vec<Place>> {
    let mut whole = Vec::new();
    for tree in Tree::ALL {
        let mut packed = Vec::new();
        for pair in catalogue.scan(tree, &[]) {
            let (key, sealed) = match pair {
                Ok(pair) => pair,
                Err(error) => {
                    found.add(DamagedPart::Catalogue, tree.name(), error.to_string());
                    break;
                }
            };
            found.checked.records += 1;
            packed.extend(record(store, tree, key, &sealed, found));
            if packed.len() >= BATCH {
                whole.extend(values(store, catalogue, tree, std::mem::take(&mut packed), found)?);
            }
        }
        whole.extend(values(store, catalogue, tree, packed, found)?);
    }
    Ok(whole)
}

/// Checks a record. Returns the place of its value if that is in the packs.
fn record(
    store: &Opened,
    tree: Tree,
    key: Vec<u8>,
    sealed: &[u8],
    found: &mut Findings,
) -> Option<(Vec<u8>, Place)> {
    let problem = match store.seal.open(tree, &key, sealed) {
        Ok((INLINE, value)) if matches!(tree, Tree::Documents) => document_problem(&key, value),
        Ok((INLINE, value)) => record_problem(tree, &key, value),
        Ok((PACKED, place)) => match postcard::from_bytes::<Place>(place) {
            Ok(place) => return Some((key, place)),
            Err(_) => Some("the place of its value does not decode".to_owned()),
        },
        Ok(_) => Some("it is of an unknown kind".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(problem) = problem {
        found.add(DamagedPart::Record, record_name(tree, &key), problem);
    }
    None
}

fn record_name(tree: Tree, key: &[u8]) -> String {
    format!("db: {} {}", tree.name(), data_encoding::HEXLOWER.encode(key))
}

/// Says what is wrong with the value of a record.
fn record_problem(tree: Tree, key: &[u8], value: &[u8]) -> Option<String> {
    let is_right = match tree {
        Tree::Bodies => body::decode(value).is_ok(),
        Tree::Layers => parse::<LayerRecord>(value).is_some_and(|record| record.diff_id.as_bytes() == key),
        Tree::Blobs => parse::<BlobRecord>(value).is_some() && BlobDigest::from_key(key).is_some(),
        Tree::Documents => return document_problem(key, value),
        Tree::Images => parse::<ImageRecord>(value).is_some_and(|record| record.id.as_bytes() == key),
        Tree::Manifests => parse::<ImageId>(value).is_some() && BlobDigest::from_key(key).is_some(),
        Tree::Chains | Tree::Sets => value.is_empty() && key.len() == 64,
        Tree::ImageNames => value.is_empty() && key.len() > 32,
        Tree::Names => images::parse_name((key.to_vec(), value.to_vec())).is_ok(),
        Tree::Sources => parse::<SourceRecord>(value).is_some(),
        Tree::Meta => true,
    };
    (!is_right).then(|| "it does not decode".to_owned())
}

fn parse<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    postcard::from_bytes(value).ok()
}

fn document_problem(key: &[u8], compressed: &[u8]) -> Option<String> {
    let digest = BlobDigest::from_key(key)?;
    let Ok(document) = crate::compression::decompress(compressed, DOCUMENT_BYTES_MAX) else {
        return Some("it does not decompress".to_owned());
    };
    let read = match digest {
        BlobDigest::Sha256(_) => BlobDigest::Sha256(Sha256::digest(&document).into()),
        BlobDigest::Sha512(_) => BlobDigest::Sha512(Sha512::digest(&document).into()),
    };
    (read != digest).then(|| format!("its digest is {read}"))
}

/// Reads values in the packs on all cores. Returns the places of those that are whole.
fn values(
    store: &Opened,
    catalogue: &Catalogue,
    tree: Tree,
    packed: Vec<(Vec<u8>, Place)>,
    found: &mut Findings,
) -> Result<Vec<Place>> {
    let check = |(key, place): (Vec<u8>, Place)| {
        let problem = match store.packs.read(place, FrameKind::Value, frame_key(tree, &key)) {
            Ok(value) if tree == Tree::Bodies => body_problem(store, catalogue, &key, &value),
            Ok(value) => record_problem(tree, &key, &value),
            Err(crate::StoreError::Corrupt { problem, .. }) => Some(problem),
            Err(error) => return Err(error),
        };
        Ok((key, place, problem))
    };
    let checked: Vec<_> = packed.into_par_iter().map(check).collect::<Result<_>>()?;
    let mut whole = Vec::with_capacity(checked.len());
    for (key, place, problem) in checked {
        found.read(place.frame_bytes());
        match tree {
            Tree::Bodies => found.checked.layers += 1,
            Tree::Documents => found.checked.documents += 1,
            _ => {}
        }
        match problem {
            None => whole.push(place),
            Some(problem) => value_damage(store, tree, &key, place, problem, found),
        }
    }
    Ok(whole)
}

fn value_damage(store: &Opened, tree: Tree, key: &[u8], place: Place, problem: String, found: &mut Findings) {
    found.damaged_starts.insert(place.start);
    let at = place_name(&store.packs, place);
    match (tree, <[u8; 32]>::try_from(key), BlobDigest::from_key(key)) {
        (Tree::Bodies, Ok(layer), _) => found.add_layer(DiffId::from_bytes(layer), at, problem),
        (Tree::Documents, _, Some(document)) => found.add_document(document, at, problem),
        _ => found.add(DamagedPart::Record, format!("{}, {at}", record_name(tree, key)), problem),
    }
}

/// Says what is wrong with a fingerprint: by itself, or beside the record of its layer.
fn body_problem(store: &Opened, catalogue: &Catalogue, key: &[u8], bytes: &[u8]) -> Option<String> {
    let fingerprint = match body::decode(bytes) {
        Ok(fingerprint) => fingerprint,
        Err(error) => return Some(error.to_string()),
    };
    let sealed = catalogue.get(Tree::Layers, key).ok()??;
    let (_, value) = store.seal.open(Tree::Layers, key, &sealed).ok()?;
    let record: LayerRecord = parse(value)?;
    (!record.describes(&fingerprint))
        .then(|| "it does not have the entries that its layer's record counts".into())
}

/// Compares the catalogue with what the commits say, so that it could be rebuilt from them.
pub(super) fn compare(
    store: &Opened,
    catalogue: &Catalogue,
    applied: &Applied,
    commits: Commits,
    found: &mut Findings,
) -> Result<()> {
    let Some(commits) = commits else { return Ok(()) };
    let mut expected = HashMap::new();
    for (_, operations) in commits.into_iter().filter(|(end, _)| *end <= applied.end) {
        expected.extend(operations);
    }
    let mut differing = 0_u64;
    for tree in Tree::ALL {
        for (key, sealed) in catalogue.scan(tree, &[]).map_while(Result::ok) {
            if tree == Tree::Meta && key == APPLIED {
                continue;
            }
            let is_same = expected.remove(&key_head(tree as u8, &key)).flatten() == Some(value_head(&sealed));
            // One that was damaged in the catalogue was reported then.
            differing += u64::from(!is_same && store.seal.open(tree, &key, &sealed).is_ok());
        }
    }
    let missing = expected.values().filter(|value| value.is_some()).count() as u64;
    if differing + missing > 0 {
        let problem = format!("{differing} records are not those of the commits, and {missing} are missing");
        found.add(DamagedPart::Catalogue, "db", problem);
    }
    Ok(())
}

/// Checks that what images and names refer to is there.
pub(super) fn references(store: &Opened, catalogue: &Catalogue, found: &mut Findings) -> Result<()> {
    let has = |tree, key: &[u8]| Ok::<_, crate::StoreError>(catalogue.get(tree, key)?.is_some());
    let mut lost = std::collections::BTreeSet::new();
    for record in images(store, catalogue) {
        found.checked.images += 1;
        for layer in &record.layers {
            let is_there = has(Tree::Layers, layer.as_bytes())? && has(Tree::Bodies, layer.as_bytes())?;
            if !is_there && lost.insert(*layer) {
                found.add_layer(*layer, format!("layer {layer}"), "it was lost");
            }
        }
        for document in &record.documents {
            if !has(Tree::Documents, &document.digest.to_key())? {
                let digest = document.digest;
                found.add_document(digest, format!("document {digest}"), "it was lost");
            }
        }
        for (tree, key) in images::paths_to(&record) {
            if !has(tree, &key)? {
                found.add(DamagedPart::Record, record_name(tree, &key), "it is missing");
            }
        }
    }
    for tree in [Tree::Names, Tree::Chains, Tree::Sets] {
        for (key, _) in catalogue.scan(tree, &[]).map_while(Result::ok) {
            let image = key.last_chunk::<32>();
            if !image.map_or(Ok(false), |image| has(Tree::Images, image))? {
                found.add(DamagedPart::Record, record_name(tree, &key), "it leads to no image");
            }
        }
    }
    Ok(())
}

/// Returns the image records that can be read.
pub(super) fn images(store: &Opened, catalogue: &Catalogue) -> impl Iterator<Item = ImageRecord> {
    catalogue.scan(Tree::Images, &[]).map_while(Result::ok).filter_map(|(key, sealed): Pair| {
        let value = match store.seal.open(Tree::Images, &key, &sealed).ok()? {
            (INLINE, value) => value.to_vec(),
            (_, place) => {
                let place = postcard::from_bytes(place).ok()?;
                store.packs.read(place, FrameKind::Value, frame_key(Tree::Images, &key)).ok()?
            }
        };
        parse(&value)
    })
}
