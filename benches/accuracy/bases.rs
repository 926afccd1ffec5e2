//! The stored bases that an answer may name: a store to ask, and beside it their contents, from which the other methods
//! and the ambiguity of a question are computed.

use anyhow::{Context, Result};
use layerprint_query::{Subject, find};
use layerprint_store::id::{ContentId, DiffId};
use layerprint_store::{
    Content, Entry, EntryKind, Fingerprint, ImageRecord, Index, LayerRecord, MergedView, Store,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::corpus::{Corpus, Image};
use crate::random::Random;

/// Names of images that an enemy planted begin with this.
pub const PLANTED: &str = "planted:";

/// Stored bases.
pub struct Bases {
    store: Store,
    /// What is published of it.
    index: Index,
    _folder: TempDir,
    pub stored: Vec<Stored>,
}

/// A stored base.
pub struct Stored {
    pub name: String,
    pub record: ImageRecord,
    /// Distinct, non-empty contents of the merged view, sorted.
    pub contents: Vec<Content>,
}

impl Bases {
    /// Stores the bases of a corpus for which `keep` says so.
    pub fn of(corpus: &Corpus, keep: impl Fn(&Image) -> bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = Store::create_or_open(folder.path())?;
        let index = store.index()?;
        let mut bases = Self { store, index, _folder: folder, stored: Vec::new() };
        for base in corpus.bases().filter(|base| keep(base)) {
            bases.copy(corpus, base)?;
        }
        bases.publish()?;
        Ok(bases)
    }

    /// Stores the bases of a corpus, and beside them small images of files that many have.
    pub fn with_planted(corpus: &Corpus, seed: &str, count: usize) -> Result<Self> {
        let mut bases = Self::of(corpus, |_| true)?;
        let mut random = Random::of(&[seed, "planted", &corpus.name]);
        let mut common = Vec::new();
        for base in corpus.bases() {
            let layers = corpus.layers(&base.record)?;
            let view = MergedView::of(layers.iter().map(|layer| &**layer));
            let files = view.entries().filter(|(path, entry)| is_common(path) && has_content(entry));
            common.extend(files.map(|(path, entry)| Entry { path: path.into(), ..entry.clone() }));
        }
        let platform = corpus.bases().next().context("a corpus has bases")?.record.platform.clone();
        for number in 0..count {
            let mut entries = common.clone();
            random.sample(&mut entries, 1 + number % 30);
            let layer = Fingerprint::from_entries(entries);
            let view = MergedView::of([&layer]);
            // The oldest of all, so that any image may have been built on it.
            let created = Some("2014-01-01T00:00:00Z".to_owned());
            let record = ImageRecord { platform: platform.clone(), created, ..record(&view, &mut random, 1) };
            bases.put_layer(record.layers[0], &layer)?;
            bases.put(format!("{PLANTED}{number}"), record, view.contents())?;
        }
        bases.publish()?;
        Ok(bases)
    }

    fn publish(&mut self) -> Result<()> {
        self.store.commit()?;
        self.index = self.store.index()?;
        Ok(())
    }

    /// Asks layerprint. The answer is what `find --json` prints: that is the interface which users have, and fields that
    /// it gains are read here as soon as they are there.
    pub fn ask(&self, subject: &Subject) -> Result<Value> {
        Ok(serde_json::to_value(find(&self.index, subject, "bench")?)?)
    }

    /// Returns the base of this name.
    pub fn named(&self, name: &str) -> Option<&Stored> {
        self.stored.iter().find(|stored| stored.name == name)
    }

    fn copy(&mut self, corpus: &Corpus, base: &Image) -> Result<()> {
        let layers = corpus.layers(&base.record)?;
        for (diff_id, layer) in base.record.layers.iter().zip(&layers) {
            let record = corpus.store.layer(diff_id)?.context("an image is stored with all its layers")?;
            self.store.put_layer(&record, layer)?;
        }
        for document in &base.record.documents {
            let bytes = corpus.store.document(&document.digest)?;
            bytes.map(|bytes| self.store.put_document(&document.digest, &bytes)).transpose()?;
        }
        let view = MergedView::of(layers.iter().map(|layer| &**layer));
        self.put(base.row.name.clone(), base.record.clone(), view.contents())
    }

    fn put_layer(&mut self, diff_id: DiffId, layer: &Fingerprint) -> Result<()> {
        let sizes = layer.entries().iter().filter_map(Entry::content).map(|content| content.size_bytes);
        let record = LayerRecord {
            diff_id,
            tar_size_bytes: sizes.clone().sum(),
            entry_count: layer.entries().len() as u64,
            file_count: sizes.clone().count() as u64,
            file_size_bytes: sizes.sum(),
            anomalies: layerprint_store::Anomalies::default(),
        };
        self.store.put_layer(&record, layer)?;
        Ok(())
    }

    fn put(&mut self, name: String, record: ImageRecord, contents: Vec<Content>) -> Result<()> {
        self.store.put_image(&record, std::slice::from_ref(&name))?;
        self.stored.push(Stored { name, record, contents });
        Ok(())
    }
}

impl Stored {
    /// Counts the contents that this base has as well.
    pub fn shared(&self, contents: &[Content]) -> u64 {
        shared(&self.contents, contents).count() as u64
    }
}

/// Describes an image that was made here, as ingest describes one that was read.
pub fn record(view: &MergedView, random: &mut Random, layers: usize) -> ImageRecord {
    let id = random.image_id();
    let layers = (0..layers).map(|_| random.diff_id()).collect();
    let described = ImageRecord::of_contents(id, layers, &view.contents(), view.file_count());
    ImageRecord { anomalies: view.anomalies().clone(), ..described }
}

/// Returns what two sorted lists of contents have in common.
pub fn shared<'a>(these: &'a [Content], those: &'a [Content]) -> impl Iterator<Item = Content> + 'a {
    let mut place = 0;
    these.iter().copied().filter(move |content| {
        place += those[place..].iter().take_while(|other| other.id < content.id).count();
        those.get(place).is_some_and(|other| other.id == content.id)
    })
}

/// Returns the bases that cannot be there when these are to be unknown: themselves, what has the same contents, and what
/// is built on them.
pub fn built_on<'a>(corpus: &'a Corpus, held: &'a Image) -> impl Fn(&Image) -> bool + 'a {
    move |base| {
        base.record.set_id == held.record.set_id
            || base.record.layers.starts_with(&held.record.layers)
            || base.lineage().iter().filter_map(|name| corpus.base(name)).any(|below| same(below, held))
    }
}

fn same(a: &Image, b: &Image) -> bool {
    a.record.set_id == b.record.set_id
}

fn has_content(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::File { content, .. } if content.id != ContentId::EMPTY)
}

/// Files that a distribution of Linux has wherever it is: licences, time zones, certificates.
fn is_common(path: &[u8]) -> bool {
    const FOLDERS: [&[u8]; 6] = [
        b"usr/share/zoneinfo/",
        b"usr/share/common-licenses/",
        b"usr/share/ca-certificates/",
        b"etc/ssl/",
        b"usr/share/apk/keys/",
        b"etc/apk/keys/",
    ];
    FOLDERS.iter().any(|folder| path.starts_with(folder)) || path.ends_with(b"/copyright")
}
