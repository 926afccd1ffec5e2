//! Records of the catalogue that agree with the commits, and lead to what is there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;

use super::packs::Lost;
use super::{RepairObserver, Repaired};
use crate::body;
use crate::error::{Result, StoreError};
use crate::fingerprint::{Entry, Fingerprint};
use crate::id::{BlobDigest, DiffId, ImageId};
use crate::images::{self, Named};
use crate::index::Index;
use crate::log::catalogue::Tree;
use crate::log::changes::{ByKey, Changes};
use crate::log::frame::FrameKind;
use crate::log::journal::{Journal, frame_key};
use crate::log::recovery;
use crate::log::walk::Piece;
use crate::record::{ImageRecord, LayerRecord};
use crate::store::SourceRecord;

/// Changes that are committed together.
const GROUP: usize = 50_000;
/// Fingerprints and documents that are read at one time, on all cores.
const BATCH: usize = 1024;

/// Makes the catalogue and the commits say the same.
///
/// What is whole in only one of them is written to both. Of what both have the catalogue's is taken, and what it lacks was
/// removed, if all of it is whole and a commit may be lost.
pub(super) fn agree(
    journal: &Journal,
    lost: Lost,
    observer: RepairObserver,
    repaired: &mut Repaired,
) -> Result<()> {
    observer("catalogue", 0, 1);
    let damaged = damaged_records(journal)?;
    if damaged.is_empty() && !lost.may_lack_commits {
        return Ok(());
    }
    let committed = recovery::replayed(journal.layout(), journal.packs())?;
    let mut differing = Differing { journal, changes: Changes::default(), count: 0, total: 0 };
    let is_believed = damaged.is_empty();
    for tree in Tree::ALL {
        let ours = journal.sealed_pairs(tree).filter(|pair| match pair {
            Ok((key, _)) => !damaged.contains(&(tree as u8, key.clone())) && !is_applied(tree, key),
            Err(_) => true,
        });
        let theirs = committed.scan(tree, &[]).filter(|pair| match pair {
            Ok((key, _)) => !is_applied(tree, key),
            Err(_) => true,
        });
        merge(tree, ours, theirs, is_believed, &mut differing)?;
        for (_, key) in damaged.iter().filter(|(number, _)| *number == tree as u8) {
            differing.restore(tree, key, committed.get(tree, key)?)?;
        }
    }
    differing.commit()?;
    drop(committed);
    recovery::remove_replayed(journal.layout())?;
    let total = differing.total;
    if total > 0 {
        repaired.did(format!("brought {total} records of catalogue and commits to agree"));
    }
    Ok(())
}

fn is_applied(tree: Tree, key: &[u8]) -> bool {
    tree == Tree::Meta && key == crate::log::journal::APPLIED
}

/// Returns the records of the catalogue whose checksums do not match.
fn damaged_records(journal: &Journal) -> Result<BTreeSet<(u8, Vec<u8>)>> {
    let mut damaged = BTreeSet::new();
    for tree in Tree::ALL {
        for pair in journal.sealed_pairs(tree) {
            let (key, sealed) = pair?;
            if !journal.is_sealed(tree, &key, &sealed) {
                damaged.insert((tree as u8, key));
            }
        }
    }
    Ok(damaged)
}

/// Walks two sorted lists of records and notes what must change for both to be the same.
fn merge(
    tree: Tree,
    ours: impl Iterator<Item = Result<(Vec<u8>, Vec<u8>)>>,
    theirs: impl Iterator<Item = Result<(Vec<u8>, Vec<u8>)>>,
    is_believed: bool,
    differing: &mut Differing,
) -> Result<()> {
    let (mut ours, mut theirs) = (ours.peekable(), theirs.peekable());
    loop {
        let take = |side: &mut dyn Iterator<Item = Result<(Vec<u8>, Vec<u8>)>>| side.next().transpose();
        let our_key = key_of(ours.peek());
        let their_key = key_of(theirs.peek());
        match (our_key, their_key) {
            (None, None) => return Ok(()),
            (Some(our), Some(their)) if our == their => {
                let (ours, theirs) = (take(&mut ours)?, take(&mut theirs)?);
                if let (Some((key, ours)), Some((_, theirs))) = (ours, theirs)
                    && ours != theirs
                {
                    differing.add(tree, key, Some(ours))?;
                }
            }
            (our, their) if our.is_some() && (their.is_none() || our < their) => {
                if let Some((key, value)) = take(&mut ours)? {
                    differing.add(tree, key, Some(value))?;
                }
            }
            _ => {
                if let Some((key, value)) = take(&mut theirs)? {
                    differing.add(tree, key, (!is_believed).then_some(value))?;
                }
            }
        }
    }
}

fn key_of(pair: Option<&Result<(Vec<u8>, Vec<u8>)>>) -> Option<Vec<u8>> {
    // An error comes first, so that it is taken and ends the walk.
    pair.map(|pair| pair.as_ref().map_or_else(|_| Vec::new(), |(key, _)| key.clone()))
}

/// Changes that wait for their commit.
struct Differing<'a> {
    journal: &'a Journal,
    changes: Changes,
    count: usize,
    total: u64,
}

impl Differing<'_> {
    fn add(&mut self, tree: Tree, key: Vec<u8>, sealed: Option<Vec<u8>>) -> Result<()> {
        self.changes[tree as usize].insert(key, sealed);
        self.count += 1;
        self.total += 1;
        if self.count >= GROUP { self.commit() } else { Ok(()) }
    }

    /// Takes the place of a damaged record: what the commits say, or nothing.
    fn restore(&mut self, tree: Tree, key: &[u8], committed: Option<Vec<u8>>) -> Result<()> {
        if !self.changes[tree as usize].contains_key(key) {
            self.add(tree, key.to_vec(), committed)?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.count = 0;
        self.journal.commit_sealed(std::mem::take(&mut self.changes))
    }
}

/// Writes records of images again that only the index has: their commit was lost with the catalogue.
pub(super) fn take_images_of(journal: &Journal, index: &Index, repaired: &mut Repaired) -> Result<()> {
    let mut changes = Changes::default();
    let mut count = 0_u64;
    for image in index.images_with_names() {
        // What of a damaged index cannot be read is left to the next ingest.
        let Ok((record, names)) = image else { continue };
        let key = record.id.as_bytes();
        if journal.contains(Tree::Images, key)? {
            continue;
        }
        count += 1;
        for (reference, seen_unix_s) in names {
            let named = Named { image: record.id, reference, seen_unix_s };
            let (name, other) = (named.name_key(), named.image_name_key());
            let seen = journal.seal_record(Tree::Names, &name, &named.seen(record.platform.clone()));
            changes[Tree::ImageNames as usize]
                .insert(other.clone(), Some(journal.seal_value(Tree::ImageNames, &other, &[])));
            changes[Tree::Names as usize].insert(name, Some(seen));
        }
        let sealed = journal.seal_record(Tree::Images, key, &record);
        changes[Tree::Images as usize].insert(key.to_vec(), Some(sealed));
    }
    if count > 0 {
        journal.commit_sealed(changes)?;
        repaired.did(format!("took the records of {count} images from the index"));
    }
    Ok(())
}

/// Removes records that lead to values which are not there, and brings back what can be found in the packs. What an image is
/// left without is noted, and its sources are forgotten, so that the next ingest reads them again.
pub(super) fn remove_dangling(
    journal: &Journal,
    observer: RepairObserver,
    repaired: &mut Repaired,
) -> Result<()> {
    let mut changes = Changes::default();
    for tree in Tree::ALL {
        unreadable(journal, tree, observer, &mut changes[tree as usize], repaired)?;
    }
    let images = images_left(journal, &changes)?;
    salvage(journal, &images, &mut changes)?;
    let incomplete = incomplete(journal, &images, &changes, repaired)?;
    paths(journal, &images, &mut changes)?;
    forget_sources(journal, &incomplete, &images, &mut changes)?;
    repaired.incomplete_images = incomplete.into_iter().collect();
    let count: usize = changes.iter().map(BTreeMap::len).sum();
    if count > 0 {
        journal.commit_sealed(changes)?;
        repaired.did(format!("changed or removed {count} records that led to lost values"));
    }
    Ok(())
}

/// Notes the records of a tree whose values cannot be read, for removal.
fn unreadable(
    journal: &Journal,
    tree: Tree,
    observer: RepairObserver,
    removals: &mut ByKey,
    repaired: &mut Repaired,
) -> Result<()> {
    let total = journal.count(tree);
    let mut keys = Vec::new();
    let mut done = 0;
    let mut pairs = journal.sealed_pairs(tree);
    loop {
        keys.clear();
        for pair in pairs.by_ref().take(BATCH) {
            keys.push(pair?.0);
        }
        if keys.is_empty() {
            return Ok(());
        }
        done += keys.len() as u64;
        observer(tree.name(), done, total);
        let lost = keys.par_iter().map(|key| Ok((key, is_readable(journal, tree, key)?)));
        for (key, is_readable) in lost.collect::<Result<Vec<_>>>()? {
            if !is_readable {
                removals.insert(key.clone(), None);
                note_lost(tree, key, repaired);
            }
        }
    }
}

fn is_readable(journal: &Journal, tree: Tree, key: &[u8]) -> Result<bool> {
    match journal.get(tree, key) {
        Ok(Some(value)) => Ok(match tree {
            Tree::Bodies => body::decode(&value).is_ok(),
            Tree::Layers => postcard::from_bytes::<LayerRecord>(&value).is_ok(),
            Tree::Images => postcard::from_bytes::<ImageRecord>(&value).is_ok(),
            Tree::Documents => crate::store::document_of(key, &value).is_ok(),
            _ => true,
        }),
        Ok(None) => Ok(true),
        Err(StoreError::Corrupt { .. } | StoreError::FormatVersion { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn note_lost(tree: Tree, key: &[u8], repaired: &mut Repaired) {
    let id = <[u8; 32]>::try_from(key);
    match (tree, id) {
        (Tree::Bodies, Ok(id)) => repaired.lost_layers.push(DiffId::from_bytes(id)),
        (Tree::Images, Ok(id)) => repaired.lost_images.push(ImageId::from_bytes(id)),
        (Tree::Documents, _) => repaired.lost_documents.extend(BlobDigest::from_key(key)),
        _ => {}
    }
}

fn images_left(journal: &Journal, changes: &Changes) -> Result<Vec<ImageRecord>> {
    let mut images = Vec::new();
    for pair in journal.sealed_pairs(Tree::Images) {
        let (key, _) = pair?;
        if !changes[Tree::Images as usize].contains_key(&key) {
            let record = journal.record::<ImageRecord>(Tree::Images, &key)?;
            images.extend(record);
        }
    }
    Ok(images)
}

/// Finds values in the packs whose records went with a lost commit: a frame says whose it is.
fn salvage(journal: &Journal, images: &[ImageRecord], changes: &mut Changes) -> Result<()> {
    let mut wanted: HashMap<[u8; 32], (Tree, Vec<u8>)> = HashMap::new();
    for record in images {
        let layers = record.layers.iter().map(|layer| (Tree::Bodies, layer.as_bytes().to_vec()));
        let documents = record.documents.iter().map(|document| (Tree::Documents, document.digest.to_key()));
        for (tree, key) in layers.chain(documents) {
            if !journal.contains(tree, &key)? || changes[tree as usize].contains_key(&key) {
                wanted.insert(frame_key(tree, &key), (tree, key));
            }
        }
    }
    if !wanted.is_empty() {
        for piece in journal.packs().walk(journal.packs().start()) {
            let Piece::Frame(frame) = piece? else { continue };
            if frame.kind == FrameKind::Value as u8
                && let Some((tree, key)) = wanted.get(&frame.key)
            {
                changes[*tree as usize]
                    .insert(key.clone(), Some(journal.seal_place(*tree, key, frame.place)));
            }
        }
    }
    layer_records(journal, images, changes)
}

/// Makes the records of layers anew that went with a lost commit, from their fingerprints.
fn layer_records(journal: &Journal, images: &[ImageRecord], changes: &mut Changes) -> Result<()> {
    let layers: BTreeSet<DiffId> = images.iter().flat_map(|record| record.layers.iter().copied()).collect();
    for layer in layers {
        let key = layer.as_bytes();
        let is_there = journal.contains(Tree::Layers, key)?;
        if is_there && !changes[Tree::Layers as usize].contains_key(&key[..]) {
            continue;
        }
        let fingerprint = fingerprint(journal, &layer, changes)?;
        let record =
            fingerprint.map_or_else(|| LayerRecord::unknown(layer), |entries| counted(layer, &entries));
        let sealed = journal.seal_record(Tree::Layers, key, &record);
        changes[Tree::Layers as usize].insert(key.to_vec(), Some(sealed));
    }
    Ok(())
}

fn fingerprint(journal: &Journal, layer: &DiffId, changes: &Changes) -> Result<Option<Fingerprint>> {
    let key = layer.as_bytes();
    let body = match changes[Tree::Bodies as usize].get(&key[..]) {
        Some(Some(sealed)) => journal.unsealed(Tree::Bodies, key, sealed).ok(),
        Some(None) => None,
        None => crate::store::or_damaged(journal.get(Tree::Bodies, key))?,
    };
    Ok(body.and_then(|body| body::decode(&body).ok()))
}

/// The size of the tar and its anomalies are lost with the record.
fn counted(layer: DiffId, fingerprint: &Fingerprint) -> LayerRecord {
    let files = || fingerprint.entries().iter().filter_map(Entry::content);
    LayerRecord {
        entry_count: fingerprint.entries().len() as u64,
        file_count: files().count() as u64,
        file_size_bytes: files().fold(0, |sum: u64, content| sum.saturating_add(content.size_bytes)),
        ..LayerRecord::unknown(layer)
    }
}

/// Returns the images that lack a layer or a document, and notes which.
fn incomplete(
    journal: &Journal,
    images: &[ImageRecord],
    changes: &Changes,
    repaired: &mut Repaired,
) -> Result<BTreeSet<ImageId>> {
    let is_there = |tree: Tree, key: &[u8]| match changes[tree as usize].get(key) {
        Some(change) => Ok(change.is_some()),
        None => journal.contains(tree, key),
    };
    let mut incomplete = BTreeSet::new();
    let (mut layers, mut documents) = (BTreeSet::new(), BTreeSet::new());
    for record in images {
        for layer in &record.layers {
            if !is_there(Tree::Bodies, layer.as_bytes())? {
                layers.insert(*layer);
                incomplete.insert(record.id);
            }
        }
        for document in &record.documents {
            if !is_there(Tree::Documents, &document.digest.to_key())? {
                documents.insert(document.digest);
                incomplete.insert(record.id);
            }
        }
    }
    repaired.lost_layers = layers.into_iter().collect();
    repaired.lost_documents = documents.into_iter().collect();
    Ok(incomplete)
}

/// Writes what leads to images where it is missing, and removes what leads to none.
fn paths(journal: &Journal, images: &[ImageRecord], changes: &mut Changes) -> Result<()> {
    let ids: BTreeSet<[u8; 32]> = images.iter().map(|record| *record.id.as_bytes()).collect();
    for record in images {
        for (tree, key) in images::paths_to(record) {
            if !journal.contains(tree, &key)? {
                let sealed = journal.seal_value(tree, &key, &[]);
                changes[tree as usize].insert(key, Some(sealed));
            }
        }
        for manifest in &record.manifests {
            let key = manifest.to_key();
            if !journal.contains(Tree::Manifests, &key)? {
                let sealed = journal.seal_record(Tree::Manifests, &key, &record.id);
                changes[Tree::Manifests as usize].insert(key, Some(sealed));
            }
        }
    }
    for tree in [Tree::Names, Tree::Chains, Tree::Sets, Tree::ImageNames] {
        for pair in journal.sealed_pairs(tree) {
            let (key, _) = pair?;
            let image = match tree {
                Tree::ImageNames => key.first_chunk::<32>(),
                _ => key.last_chunk::<32>(),
            };
            if image.is_none_or(|image| !ids.contains(image)) {
                changes[tree as usize].insert(key, None);
            }
        }
    }
    names(journal, images, changes)
}

/// A name is kept twice; where one half was lost, the other restores it.
fn names(journal: &Journal, images: &[ImageRecord], changes: &mut Changes) -> Result<()> {
    let platforms: HashMap<ImageId, &ImageRecord> = images.iter().map(|record| (record.id, record)).collect();
    for pair in journal.sealed_pairs(Tree::ImageNames) {
        let (key, _) = pair?;
        let Some(named) = Named::of_image_name_key(&key) else { continue };
        let Some(record) = platforms.get(&named.image) else { continue };
        let name_key = named.name_key();
        let is_lost = changes[Tree::Names as usize].get(&name_key).is_some_and(Option::is_none);
        if is_lost || !journal.contains(Tree::Names, &name_key)? {
            let sealed = journal.seal_record(Tree::Names, &name_key, &named.seen(record.platform.clone()));
            changes[Tree::Names as usize].insert(name_key, Some(sealed));
        }
    }
    for pair in journal.sealed_pairs(Tree::Names) {
        let (key, _) = pair?;
        let Some(named) = Named::of_name_key(&key).filter(|named| platforms.contains_key(&named.image))
        else {
            continue;
        };
        let other = named.image_name_key();
        if !journal.contains(Tree::ImageNames, &other)? {
            let sealed = journal.seal_value(Tree::ImageNames, &other, &[]);
            changes[Tree::ImageNames as usize].insert(other, Some(sealed));
        }
    }
    Ok(())
}

fn forget_sources(
    journal: &Journal,
    incomplete: &BTreeSet<ImageId>,
    images: &[ImageRecord],
    changes: &mut Changes,
) -> Result<()> {
    let whole: BTreeSet<ImageId> =
        images.iter().map(|record| record.id).filter(|id| !incomplete.contains(id)).collect();
    for pair in journal.sealed_pairs(Tree::Sources) {
        let (key, _) = pair?;
        let Ok(Some(source)) = journal.record::<SourceRecord>(Tree::Sources, &key) else { continue };
        if !source.images.iter().all(|image| whole.contains(image)) {
            changes[Tree::Sources as usize].insert(key, None);
        }
    }
    Ok(())
}
