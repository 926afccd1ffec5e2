//! Puts a fleet into a store through its public functions, on all cores, and writes the matrix beside it.
//!
//! Holds the layers of a few parents and one unit for each thread, however large the fleet is.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use layerprint_store::id::ImageId;
use layerprint_store::{
    Anomalies, Content, Entry, ImageRecord, LayerRecord, MergedView, Platform, Store, body,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::application::Application;
use super::fleet::{Layer, Parent, Unit};
use super::matrix;

/// Images of one commit.
const COMMIT_IMAGES: u64 = 500;
/// Parents whose layers are kept; each takes about a megabyte.
const PARENTS_KEPT: usize = 48;

/// What was put, and how long that took.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Filled {
    pub images: u64,
    pub layers: u64,
    pub entries: u64,
    /// Bytes of all layers' encoded fingerprints.
    pub raw_bytes: u64,
    /// Distinct contents of all images, summed.
    pub pairs: u64,
    pub seconds: f64,
}

/// Parents that were made lately: many applications stand on one.
#[derive(Default)]
pub struct Parents(Mutex<HashMap<Parent, Arc<Vec<Layer>>>>);

impl Parents {
    pub fn layers(&self, parent: Parent) -> Arc<Vec<Layer>> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layers) = lock().get(&parent) {
            return Arc::clone(layers);
        }
        let layers = Arc::new(parent.layers());
        let mut parents = lock();
        if parents.len() >= PARENTS_KEPT {
            parents.clear();
        }
        parents.insert(parent, Arc::clone(&layers));
        layers
    }
}

/// Puts units into a store, with commits of some hundred images.
pub struct Filler<'a> {
    store: &'a Store,
    parents: Parents,
    matrix: Mutex<matrix::Writer>,
    images: AtomicU64,
    layers: AtomicU64,
    entries: AtomicU64,
    raw_bytes: AtomicU64,
    pairs: AtomicU64,
}

/// Fills a new store with a fleet.
pub fn fill(store: &Path, matrix: &Path, units: &[Unit]) -> Result<Filled> {
    let started = Instant::now();
    let store = Store::create_or_open(store)?;
    let filler = Filler::new(&store, matrix::Writer::create(matrix)?);
    units.par_iter().try_for_each(|unit| filler.put(unit))?;
    store.commit()?;
    filler.finish(started)
}

impl<'a> Filler<'a> {
    pub fn new(store: &'a Store, matrix: matrix::Writer) -> Self {
        Self {
            store,
            parents: Parents::default(),
            matrix: Mutex::new(matrix),
            images: AtomicU64::default(),
            layers: AtomicU64::default(),
            entries: AtomicU64::default(),
            raw_bytes: AtomicU64::default(),
            pairs: AtomicU64::default(),
        }
    }

    fn finish(self, started: Instant) -> Result<Filled> {
        self.matrix.into_inner().unwrap_or_else(PoisonError::into_inner).finish()?;
        Ok(Filled {
            images: self.images.into_inner(),
            layers: self.layers.into_inner(),
            entries: self.entries.into_inner(),
            raw_bytes: self.raw_bytes.into_inner(),
            pairs: self.pairs.into_inner(),
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    fn put(&self, unit: &Unit) -> Result<()> {
        match *unit {
            Unit::Stock(parent) => {
                self.put_and_commit(&parent.layers(), parent.name(), parent.release.date)?;
            }
            Unit::Application { number, versions, dates } => {
                let application = Application::new(number, dates);
                for version in 0..versions {
                    let parent = application.parent(version);
                    let layers = application.layers(version, parent, &self.parents.layers(parent));
                    self.put_and_commit(&layers, application.name(version), parent.release.date)?;
                }
            }
        }
        Ok(())
    }

    /// Puts one image with its layers; returns how many were put so far.
    pub fn put_image(&self, layers: &[Layer], name: String, date: u64) -> Result<u64> {
        for layer in layers {
            self.put_layer(layer)?;
        }
        let view = MergedView::of(layers.iter().map(|layer| &*layer.fingerprint));
        let contents = view.contents();
        let record = record(layers, &view, &contents, date);
        self.store.put_image(&record, &[name])?;
        self.matrix.lock().unwrap_or_else(PoisonError::into_inner).add(&record.id, &contents)?;
        self.pairs.fetch_add(contents.len() as u64, Ordering::Relaxed);
        Ok(self.images.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Puts one image of a fleet. Every so many, commits, while the other threads go on.
    fn put_and_commit(&self, layers: &[Layer], name: String, date: u64) -> Result<()> {
        if self.put_image(layers, name, date)?.is_multiple_of(COMMIT_IMAGES) {
            self.store.commit()?;
        }
        Ok(())
    }

    fn put_layer(&self, layer: &Layer) -> Result<()> {
        if self.store.has_layer(&layer.diff_id)? {
            return Ok(());
        }
        if self.store.put_layer(&layer_record(layer), &layer.fingerprint)? {
            let raw = body::encode(&layer.fingerprint)?.len() as u64;
            self.layers.fetch_add(1, Ordering::Relaxed);
            self.entries.fetch_add(layer.fingerprint.entries().len() as u64, Ordering::Relaxed);
            self.raw_bytes.fetch_add(raw, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn layer_record(layer: &Layer) -> LayerRecord {
    let files = layer.fingerprint.entries().iter().filter_map(Entry::content);
    let (mut file_count, mut file_size_bytes, mut padded_bytes) = (0, 0, 0);
    for content in files {
        file_count += 1;
        file_size_bytes += content.size_bytes;
        padded_bytes += content.size_bytes.next_multiple_of(512);
    }
    let entry_count = layer.fingerprint.entries().len() as u64;
    LayerRecord {
        diff_id: layer.diff_id,
        tar_size_bytes: padded_bytes + 512 * entry_count + 1024,
        entry_count,
        file_count,
        file_size_bytes,
        anomalies: Anomalies::default(),
    }
}

/// Describes an image, of whose layers this is the view.
pub fn record(layers: &[Layer], view: &MergedView<'_>, contents: &[Content], date: u64) -> ImageRecord {
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id).collect();
    let config: Vec<u8> = diff_ids.iter().flat_map(|layer| *layer.as_bytes()).collect();
    ImageRecord {
        platform: platform(),
        created: Some(format!("20{:02}-{:02}-01T00:00:00Z", 20 + date / 12, 1 + date % 12)),
        ..ImageRecord::of_contents(ImageId::of_config(&config), diff_ids, contents, view.file_count())
    }
}

/// What all made images run on.
pub fn platform() -> Platform {
    Platform { os: "linux".into(), architecture: "amd64".into(), ..Platform::default() }
}
