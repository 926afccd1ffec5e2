//! Images and their names: putting, finding and forgetting them.
//!
//! An image is put after its layers. Its record and everything that leads to it change together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::anomaly::AnomalyKind;
use crate::error::{Result, StoreError};
use crate::format::record::REFERENCE_BYTES_MAX;
use crate::id::{BlobDigest, ChainId, DiffId, ImageId, SetId};
use crate::index::state::IndexedImage;
use crate::log::catalogue::Tree;
use crate::log::journal::{Journal, Writer};
use crate::log::seal::corrupt_record;
use crate::record::{ImageRecord, Platform};
use crate::stack::Steps;
use crate::store::{BlobRecord, SourceRecord, Store};

/// A reference, and an image that it has stood for. A tag that moved has one for each image it has named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Name {
    /// The reference, as the source gave it.
    pub reference: String,
    /// What the image runs on.
    pub platform: Platform,
    /// The image.
    pub image: ImageId,
    /// When the reference was last seen to stand for it, seconds since 1970.
    pub seen_unix_s: u64,
}

/// What was removed with an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Forgotten {
    /// The images themselves.
    pub images: Vec<ImageId>,
    /// Layers that no other image has.
    pub layers: Vec<DiffId>,
    /// Names.
    pub names: u64,
    /// Documents that no other image has.
    pub documents: u64,
}

/// The value of a name.
#[derive(Serialize, Deserialize)]
struct Seen {
    platform: Platform,
    unix_s: u64,
}

impl Store {
    /// Puts an image, and the references that stand for it now.
    ///
    /// Manifests, documents and oddities are added to those that are known. Returns false if the image was known.
    ///
    /// # Errors
    ///
    /// Fails if one of its layers was not put before. Fails if the image is known with other layers, unless it is
    /// the known ones that do not match the configuration.
    pub fn put_image(&self, record: &ImageRecord, names: &[String]) -> Result<bool> {
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let names: Vec<_> = names.iter().map(|name| (name.clone(), unix_s)).collect();
        self.put_image_seen(record, &names, Steps::default())
    }

    /// Does the same for references that were seen at the times told, in seconds since 1970. Of several times the latest counts.
    /// What is known of the layers ([`Stacks`](crate::Stacks)) spares the index reading them when the image is published.
    pub fn put_image_seen(
        &self,
        record: &ImageRecord,
        names: &[(String, u64)],
        steps: Steps,
    ) -> Result<bool> {
        names.iter().try_for_each(|(name, _)| check_name(name))?;
        let mut writer = self.journal.write()?;
        for layer in &record.layers {
            if !self.has_layer(layer)? {
                return Err(StoreError::MissingLayer { image: record.id, layer: *layer });
            }
        }
        let known = self.image(&record.id)?;
        let (same, replaced) = match &known {
            Some(known) if known.layers == record.layers => (Some(known), None),
            other => (None, other.as_ref()),
        };
        if let Some(replaced) = replaced {
            if !mismatches(replaced) || mismatches(record) {
                return Err(StoreError::ImageConflict { image: record.id });
            }
            self.remove_paths(&mut writer, replaced)?;
        }
        let merged = record.merged(same);
        let changed = known.as_ref() != Some(&merged);
        if changed {
            self.put_record(&mut writer, &merged)?;
        }
        let platform_changed = known.as_ref().is_some_and(|known| known.platform != merged.platform);
        let names = self.put_names(&mut writer, (&merged, known.is_some()), names, platform_changed)?;
        if !changed && names.is_none() {
            return Ok(false);
        }
        let writing = writer.finish();
        let names = names.map_or_else(|| names_seen(&self.journal, &merged.id), Ok)?;
        let mut fresh = self.fresh();
        fresh.gone.remove(&merged.id);
        fresh.add_steps(steps);
        fresh.images.insert(merged.id, IndexedImage { record: merged, names });
        drop((fresh, writing));
        Ok(known.is_none())
    }

    /// Writes the names that are new or were seen later than before. Returns all names of the image; none if nothing changed.
    fn put_names(
        &self,
        writer: &mut Writer<'_>,
        (record, is_known): (&ImageRecord, bool),
        names: &[(String, u64)],
        write_all: bool,
    ) -> Result<Option<Vec<(String, u64)>>> {
        let known = if is_known { names_seen(&self.journal, &record.id)? } else { Vec::new() };
        let known: BTreeMap<String, u64> = known.into_iter().collect();
        let mut all = known.clone();
        for (name, unix_s) in names {
            let seen = all.entry(name.clone()).or_default();
            *seen = (*seen).max(*unix_s);
        }
        if all == known && !write_all {
            return Ok(None);
        }
        for (name, unix_s) in &all {
            if write_all || known.get(name) != Some(unix_s) {
                let seen = Seen { platform: record.platform.clone(), unix_s: *unix_s };
                writer.put_record(Tree::Names, &name_key(name, &record.id), &seen)?;
                writer.put(Tree::ImageNames, &image_name_key(&record.id, name), &[])?;
            }
        }
        Ok(Some(all.into_iter().collect()))
    }

    fn put_record(&self, writer: &mut Writer<'_>, record: &ImageRecord) -> Result<()> {
        writer.put_record(Tree::Images, record.id.as_bytes(), record)?;
        for manifest in &record.manifests {
            // Of two images under one manifest, which only a false configuration makes, the same stands for it whichever came
            // first.
            if self.image_of_manifest(manifest)?.is_none_or(|known| record.id < known) {
                writer.put_record(Tree::Manifests, &manifest.to_key(), &record.id)?;
            }
        }
        paths_to(record).into_iter().try_for_each(|(tree, key)| writer.put(tree, &key, &[]))
    }

    /// Returns an image.
    pub fn image(&self, image: &ImageId) -> Result<Option<ImageRecord>> {
        self.journal.record(Tree::Images, image.as_bytes())
    }

    /// Returns true if an image is known, without reading what is known of it.
    pub fn has_image(&self, image: &ImageId) -> Result<bool> {
        self.journal.contains(Tree::Images, image.as_bytes())
    }

    /// Returns all images, in order of their ids.
    pub fn images(&self) -> impl Iterator<Item = Result<ImageRecord>> {
        self.journal.records(Tree::Images)
    }

    /// Returns the image that a manifest describes.
    pub fn image_of_manifest(&self, manifest: &BlobDigest) -> Result<Option<ImageId>> {
        self.journal.record(Tree::Manifests, &manifest.to_key())
    }

    /// Returns the images whose whole stack of layers has this chain ID.
    pub fn images_by_chain(&self, chain: &ChainId) -> Result<Vec<ImageId>> {
        self.images_after(Tree::Chains, chain.as_bytes())
    }

    /// Returns the images that have exactly these contents: more than one is a tie.
    pub fn images_by_set(&self, set: &SetId) -> Result<Vec<ImageId>> {
        self.images_after(Tree::Sets, set.as_bytes())
    }

    /// Returns all names, in order of references.
    pub fn names(&self) -> impl Iterator<Item = Result<Name>> {
        self.journal.scan(Tree::Names, &[]).map(|pair| parse_name(pair?))
    }

    /// Returns what a reference stands for or stood for, the last seen first.
    pub fn images_named(&self, reference: &str) -> Result<Vec<Name>> {
        let prefix = [reference.as_bytes(), &[0]].concat();
        let names = self.journal.scan(Tree::Names, &prefix).map(|pair| parse_name(pair?));
        let mut names: Vec<Name> = names.collect::<Result<_>>()?;
        // A reference holds no zero byte, an image id may.
        names.retain(|name| name.reference == reference);
        names.sort_by_key(|name| std::cmp::Reverse(name.seen_unix_s));
        Ok(names)
    }

    /// Returns the references of an image, sorted.
    pub fn names_of(&self, image: &ImageId) -> Result<Vec<String>> {
        names_of(&self.journal, image)
    }

    /// Removes images, and of what came with them that which no other image has, and commits that.
    ///
    /// Ids that are not known are left out of the answer. Takes a pass over all images. Bytes in the packs stay.
    pub fn forget(&self, images: &[ImageId]) -> Result<Forgotten> {
        let mut writer = self.journal.write()?;
        let mut forgotten = Forgotten::default();
        let mut gone = BTreeMap::new();
        for image in images {
            gone.extend(self.image(image)?.map(|record| (*image, record)));
        }
        let mut layers: BTreeSet<DiffId> = gone.values().flat_map(|record| record.layers.clone()).collect();
        let mut documents: BTreeSet<BlobDigest> = gone.values().flat_map(documents_of).collect();
        for record in self.images() {
            let record = record?;
            if !gone.contains_key(&record.id) {
                record.layers.iter().for_each(|layer| _ = layers.remove(layer));
                documents_of(&record).iter().for_each(|document| _ = documents.remove(document));
            }
        }
        for record in gone.values() {
            forgotten.names += self.remove_image(&mut writer, record)?;
        }
        self.remove_layers(&mut writer, &layers)?;
        self.remove_sources(&mut writer, &gone)?;
        documents.iter().for_each(|document| writer.remove(Tree::Documents, &document.to_key()));
        let writing = writer.finish();
        let mut fresh = self.fresh();
        for image in gone.keys() {
            fresh.images.remove(image);
            fresh.gone.insert(*image);
        }
        drop((fresh, writing));
        self.commit()?;
        forgotten.documents = documents.len() as u64;
        forgotten.layers = layers.into_iter().collect();
        forgotten.images = gone.into_keys().collect();
        Ok(forgotten)
    }

    fn images_after(&self, tree: Tree, prefix: &[u8; 32]) -> Result<Vec<ImageId>> {
        let keys = self.journal.keys(tree, prefix);
        keys.map(|key| {
            let key = key?;
            let image = key.get(32..).and_then(|image| image.try_into().ok());
            image.map(ImageId::from_bytes).ok_or_else(|| corrupt_record(tree, &key, "not an image id"))
        })
        .collect()
    }

    fn remove_image(&self, writer: &mut Writer<'_>, record: &ImageRecord) -> Result<u64> {
        let names = self.names_of(&record.id)?;
        for name in &names {
            writer.remove(Tree::Names, &name_key(name, &record.id));
            writer.remove(Tree::ImageNames, &image_name_key(&record.id, name));
        }
        self.remove_paths(writer, record)?;
        writer.remove(Tree::Images, record.id.as_bytes());
        Ok(names.len() as u64)
    }

    /// Removes what leads to an image, names aside.
    fn remove_paths(&self, writer: &mut Writer<'_>, record: &ImageRecord) -> Result<()> {
        for manifest in &record.manifests {
            if self.image_of_manifest(manifest)? == Some(record.id) {
                writer.remove(Tree::Manifests, &manifest.to_key());
            }
        }
        paths_to(record).into_iter().for_each(|(tree, key)| writer.remove(tree, &key));
        Ok(())
    }

    fn remove_layers(&self, writer: &mut Writer<'_>, layers: &BTreeSet<DiffId>) -> Result<()> {
        if layers.is_empty() {
            return Ok(());
        }
        for layer in layers {
            writer.remove(Tree::Layers, layer.as_bytes());
            writer.remove(Tree::Bodies, layer.as_bytes());
        }
        for blob in self.journal.records_by_key(Tree::Blobs) {
            let (key, record): (_, BlobRecord) = blob?;
            if layers.contains(&record.diff_id) {
                writer.remove(Tree::Blobs, &key);
            }
        }
        Ok(())
    }

    fn remove_sources(&self, writer: &mut Writer<'_>, gone: &BTreeMap<ImageId, ImageRecord>) -> Result<()> {
        for source in self.journal.records_by_key(Tree::Sources) {
            let (key, record): (_, SourceRecord) = source?;
            if record.images.iter().any(|image| gone.contains_key(image)) {
                writer.remove(Tree::Sources, &key);
            }
        }
        Ok(())
    }
}

/// A reference of an image, as the two trees of names have it in their keys.
pub(crate) struct Named {
    pub(crate) image: ImageId,
    pub(crate) reference: String,
    /// When it was last seen, in seconds since 1970; zero where that is not known.
    pub(crate) seen_unix_s: u64,
}

impl Named {
    /// Takes a key of `Names` apart.
    pub(crate) fn of_name_key(key: &[u8]) -> Option<Self> {
        let (reference, image) = key.split_last_chunk::<32>()?;
        let reference = std::str::from_utf8(reference.strip_suffix(&[0])?).ok()?.to_owned();
        Some(Self { image: ImageId::from_bytes(*image), reference, seen_unix_s: 0 })
    }

    /// Takes a key of `ImageNames` apart.
    pub(crate) fn of_image_name_key(key: &[u8]) -> Option<Self> {
        let image = key.first_chunk::<32>()?;
        Some(Self { image: ImageId::from_bytes(*image), reference: name_in(key).ok()?, seen_unix_s: 0 })
    }

    pub(crate) fn name_key(&self) -> Vec<u8> {
        name_key(&self.reference, &self.image)
    }

    pub(crate) fn image_name_key(&self) -> Vec<u8> {
        image_name_key(&self.image, &self.reference)
    }

    /// The value of the name.
    pub(crate) fn seen(&self, platform: Platform) -> impl Serialize {
        Seen { platform, unix_s: self.seen_unix_s }
    }
}

fn names_of(journal: &Journal, image: &ImageId) -> Result<Vec<String>> {
    let keys = journal.keys(Tree::ImageNames, image.as_bytes());
    keys.map(|key| name_in(&key?)).collect()
}

/// Returns the reference in a key of `ImageNames`.
fn name_in(key: &[u8]) -> Result<String> {
    let name = key.get(32..).and_then(|name| std::str::from_utf8(name).ok());
    name.map(str::to_owned).ok_or_else(|| corrupt_record(Tree::ImageNames, key, "not a reference"))
}

/// Returns the references of an image, sorted, and when each was last seen to stand for it.
fn names_seen(journal: &Journal, image: &ImageId) -> Result<Vec<(String, u64)>> {
    let seen = |name: String| {
        let seen: Option<Seen> = journal.record(Tree::Names, &name_key(&name, image))?;
        Ok((name, seen.map_or(0, |seen| seen.unix_s)))
    };
    names_of(journal, image)?.into_iter().map(seen).collect()
}

/// Returns what the index keeps of an image, as it was committed.
pub(crate) fn indexed(journal: &Journal, image: &ImageId) -> Result<Option<IndexedImage>> {
    let Some(record) = journal.committed_record(Tree::Images, image.as_bytes())? else { return Ok(None) };
    let mut names = Vec::new();
    for key in journal.committed_keys(Tree::ImageNames, image.as_bytes()) {
        let name = name_in(&key?)?;
        let seen: Option<Seen> = journal.committed_record(Tree::Names, &name_key(&name, image))?;
        names.push((name, seen.map_or(0, |seen| seen.unix_s)));
    }
    Ok(Some(IndexedImage { record, names }))
}

/// The keys, besides the image's own, that follow from its layers.
pub(crate) fn paths_to(record: &ImageRecord) -> Vec<(Tree, Vec<u8>)> {
    let image = record.id.as_bytes();
    let mut paths = vec![(Tree::Sets, [&record.set_id.as_bytes()[..], image].concat())];
    if let Some(chain) = ChainId::of_prefixes(&record.layers).last() {
        paths.push((Tree::Chains, [&chain.as_bytes()[..], image].concat()));
    }
    paths
}

fn mismatches(record: &ImageRecord) -> bool {
    record.anomalies.counts().contains_key(&AnomalyKind::DiffIdMismatch)
}

fn documents_of(record: &ImageRecord) -> Vec<BlobDigest> {
    record.documents.iter().map(|document| document.digest).collect()
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    let problem = if name.is_empty() {
        "is empty"
    } else if name.len() > REFERENCE_BYTES_MAX {
        "is too long"
    } else if name.contains('\0') {
        "holds a zero byte"
    } else {
        return Ok(());
    };
    Err(StoreError::InvalidName { name: name.chars().take(100).collect(), problem })
}

fn name_key(reference: &str, image: &ImageId) -> Vec<u8> {
    [reference.as_bytes(), &[0], image.as_bytes()].concat()
}

fn image_name_key(image: &ImageId, reference: &str) -> Vec<u8> {
    [image.as_bytes(), reference.as_bytes()].concat()
}

pub(crate) fn parse_name((key, value): (Vec<u8>, Vec<u8>)) -> Result<Name> {
    let corrupt = || corrupt_record(Tree::Names, &key, "not a name");
    let (reference, image) = key.split_last_chunk::<32>().ok_or_else(corrupt)?;
    let reference = reference.strip_suffix(&[0]).and_then(|reference| std::str::from_utf8(reference).ok());
    let seen: Seen = postcard::from_bytes(&value).map_err(|_| corrupt())?;
    Ok(Name {
        reference: reference.ok_or_else(corrupt)?.to_owned(),
        platform: seen.platform,
        image: ImageId::from_bytes(*image),
        seen_unix_s: seen.unix_s,
    })
}
