//! A corpus with ground truth, read once into fingerprints.
//!
//! All images go into one store, bases or not: their layers are shared, so each is read once, and no image need be held
//! in memory. Which of them are bases that an answer may name is decided later (`bases`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use layerprint_ingest::{Options, Source, ingest};
use layerprint_store::id::{BlobDigest, ImageId};
use layerprint_store::{Fingerprint, ImageRecord, Store};
use serde::Deserialize;

/// A row of `truth.jsonl`, as far as it is used here.
#[derive(Debug, Clone, Deserialize)]
pub struct Row {
    pub name: String,
    pub file: PathBuf,
    pub digest: String,
    pub diff_ids: Vec<String>,
    pub kind: String,
    pub transform: Option<String>,
    pub base: Option<String>,
    #[serde(default)]
    pub lineage: Option<Vec<String>>,
    #[serde(default)]
    pub acceptable: Option<Vec<String>>,
    #[serde(default)]
    pub mixed_with: Option<Vec<String>>,
    pub true_base_not_in_set: Option<String>,
    pub family: Option<String>,
    pub series: Option<String>,
}

/// An image of the corpus.
pub struct Image {
    pub row: Row,
    pub record: ImageRecord,
}

/// A corpus.
pub struct Corpus {
    pub name: String,
    pub store: Store,
    pub images: Vec<Image>,
}

impl Corpus {
    /// Reads a corpus; what `cache` holds of it already is not read again.
    pub fn read(folder: &Path, cache: &Path) -> Result<Self> {
        let name = folder.file_name().context("a corpus is a folder")?.to_string_lossy().into_owned();
        let truth = std::fs::read_to_string(folder.join("truth.jsonl"))?;
        let rows: Vec<Row> = truth.lines().map(serde_json::from_str).collect::<serde_json::Result<_>>()?;
        let whole = std::path::absolute(folder)?;
        let key = blake3::hash(whole.as_os_str().as_encoded_bytes()).to_hex();
        let store = Store::create_or_open(&cache.join(format!("{name}-{}", &key[..8])))?;
        read_all(&store, folder, &rows)?;
        let image = |row: Row| {
            let record = record(&store, &row)?;
            Ok(Image { row, record })
        };
        let images = rows.into_iter().map(image).collect::<Result<_>>()?;
        Ok(Self { name, store, images })
    }

    /// Returns the bases.
    pub fn bases(&self) -> impl Iterator<Item = &Image> {
        self.images.iter().filter(|image| image.is_base())
    }

    /// Returns the base of this name.
    pub fn base(&self, name: &str) -> Option<&Image> {
        self.bases().find(|base| base.row.name == name)
    }

    /// Returns the layers of an image, lowest first.
    pub fn layers(&self, record: &ImageRecord) -> Result<Vec<Arc<Fingerprint>>> {
        let layer = |diff_id| {
            let layer = self.store.fingerprint(diff_id)?.context("an image is stored with all its layers")?;
            Ok(Arc::new(layer))
        };
        record.layers.iter().map(layer).collect()
    }
}

impl Image {
    pub fn is_base(&self) -> bool {
        self.row.kind == "base"
    }

    /// Returns the name of the nearest true base; of a base, its own.
    pub fn base(&self) -> Option<&String> {
        if self.is_base() { Some(&self.row.name) } else { self.row.base.as_ref() }
    }

    /// Returns the name of the transform, or the kind of an image that is none.
    pub fn transform(&self) -> &str {
        match &self.row.true_base_not_in_set {
            Some(_) => "negative (sibling known)",
            None => self.row.transform.as_deref().unwrap_or(&self.row.kind),
        }
    }

    /// Returns what the image is built on, its base first.
    pub fn lineage(&self) -> &[String] {
        self.row.lineage.as_deref().unwrap_or_default()
    }
}

fn read_all(store: &Store, folder: &Path, rows: &[Row]) -> Result<()> {
    let files: BTreeSet<PathBuf> = rows.iter().map(|row| folder.join(&row.file)).collect();
    let sources: Vec<Source> = files.into_iter().map(Source::detect).collect();
    let summary = ingest(&sources, store, &Options::default(), &|_| ())?;
    let failed: Vec<String> =
        summary.failed.iter().map(|failure| format!("{}: {}", failure.origin, failure.error)).collect();
    ensure!(failed.is_empty(), "the corpus could not be read: {}", failed.join("; "));
    Ok(())
}

/// Finds what was read for a row, and checks that it is what the row says. The digest is that of the manifest, or of the
/// configuration where the archive has no manifest.
fn record(store: &Store, row: &Row) -> Result<ImageRecord> {
    let manifest: BlobDigest = row.digest.parse()?;
    let id: ImageId = match store.image_of_manifest(&manifest)? {
        Some(id) => id,
        None => row.digest.parse()?,
    };
    let Some(record) = store.image(&id)? else { bail!("{}: {} was not found", row.name, row.digest) };
    let layers: Vec<String> = record.layers.iter().map(ToString::to_string).collect();
    ensure!(layers == row.diff_ids, "{}: the layers are not those of truth.jsonl", row.name);
    Ok(record)
}

/// Which family a base is of, by name. What is not a base's name has its family before the colon.
pub struct Families(BTreeMap<String, String>);

impl Families {
    pub fn of(corpus: &Corpus) -> Self {
        let family = |base: &Image| Some((base.row.name.clone(), base.row.family.clone()?));
        Self(corpus.bases().filter_map(family).collect())
    }

    pub fn of_name<'a>(&'a self, name: &'a str) -> &'a str {
        match self.0.get(name) {
            Some(family) => family,
            None => name.split_once(':').map_or(name, |(family, _)| family),
        }
    }
}
