//! Images made of numbers, in a store of their own: contents are told apart by a seed and an index, and no byte of
//! them is ever made.

use std::ops::Range;
use std::sync::Arc;

use layerprint_query::{Finding, Subject, find};
use layerprint_store::id::{ContentId, DiffId, ImageId};
use layerprint_store::{
    Anomalies, Content, Entry, EntryKind, Fingerprint, ImageRecord, Index, LayerRecord, MergedView, Platform,
    Store, body,
};
use serde::Serialize;
use tempfile::TempDir;

/// Large enough that five are evidence: what is to be tested is mostly not the minimum.
const SIZE_BYTES: u64 = 64 << 10;

/// A layer as a list of entries.
#[derive(Debug, Clone, Default)]
pub struct Layer(Vec<Entry>);

impl Layer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds files `DIR/INDEX` with contents of their own for each seed.
    pub fn files(mut self, dir: &str, seed: u64, range: Range<u64>) -> Self {
        for index in range {
            self = self.file(&format!("{dir}/{index:04}"), seed, index);
        }
        self
    }

    pub fn file(self, path: &str, seed: u64, index: u64) -> Self {
        self.content(path, content(seed, index))
    }

    pub fn empty(self, path: &str) -> Self {
        self.content(path, Content { id: ContentId::EMPTY, size_bytes: 0 })
    }

    pub fn content(mut self, path: &str, content: Content) -> Self {
        self.0.push(entry(path, EntryKind::File { content, linked: false }));
        self
    }

    /// Adds whatever, at a path of any bytes.
    pub fn put(mut self, path: &[u8], kind: EntryKind) -> Self {
        self.0.push(Entry { path: path.into(), mode: 0o644, uid: 0, gid: 0, kind });
        self
    }

    pub fn whiteouts(mut self, dir: &str, range: Range<u64>) -> Self {
        self.0.extend(range.map(|index| entry(&format!("{dir}/{index:04}"), EntryKind::Whiteout)));
        self
    }

    pub fn whiteout(mut self, path: &str) -> Self {
        self.0.push(entry(path, EntryKind::Whiteout));
        self
    }
}

pub fn content(seed: u64, index: u64) -> Content {
    let bytes = [seed.to_le_bytes(), index.to_le_bytes()].concat();
    Content { id: ContentId::of(&bytes), size_bytes: SIZE_BYTES + index }
}

fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry { path: path.as_bytes().into(), mode: 0o644, uid: 0, gid: 0, kind }
}

/// An image that is not stored yet.
#[derive(Debug, Clone)]
pub struct Image {
    pub name: String,
    pub layers: Vec<Arc<Fingerprint>>,
    pub platform: Platform,
    pub created: Option<String>,
}

pub fn image(name: &str) -> Image {
    Image { name: name.into(), layers: Vec::new(), platform: platform("linux", "amd64"), created: None }
}

pub fn platform(os: &str, architecture: &str) -> Platform {
    Platform { os: os.into(), architecture: architecture.into(), ..Platform::default() }
}

impl Image {
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(Arc::new(Fingerprint::from_entries(layer.0)));
        self
    }

    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    pub fn on(mut self, os: &str, architecture: &str) -> Self {
        self.platform = platform(os, architecture);
        self
    }

    pub fn created(mut self, date: &str) -> Self {
        self.created = Some(date.into());
        self
    }

    /// All layers in one, as they look from above.
    pub fn squashed(mut self) -> Self {
        let view = MergedView::of(self.layers.iter().map(|layer| &**layer));
        self.layers = vec![Arc::new(view.to_fingerprint())];
        self
    }

    /// The same files in layers with other digests.
    pub fn rebuilt(mut self) -> Self {
        for layer in &mut self.layers {
            let mut entries = layer.entries().to_vec();
            entries.iter_mut().for_each(|entry| entry.mode ^= 0o100);
            *layer = Arc::new(Fingerprint::from_entries(entries));
        }
        self
    }

    /// One layer with everything below another folder.
    pub fn moved(self, dir: &str) -> Self {
        self.changed(|entry| {
            let path = [dir.as_bytes(), b"/", &entry.path].concat();
            Some(Entry { path: path.into(), ..entry })
        })
    }

    /// One layer, each of its entries changed or left out.
    pub fn changed(self, change: impl Fn(Entry) -> Option<Entry>) -> Self {
        let mut image = self.squashed();
        let entries = image.layers[0].entries().iter().cloned().filter_map(change).collect();
        image.layers = vec![Arc::new(Fingerprint::from_entries(entries))];
        image
    }

    pub fn record(&self) -> ImageRecord {
        let view = MergedView::of(self.layers.iter().map(|layer| &**layer));
        let id = ImageId::of_config(format!("{} {} {:?}", self.name, self.platform, self.created).as_bytes());
        let layers = self.layers.iter().map(|layer| diff_id(layer)).collect();
        ImageRecord {
            platform: self.platform.clone(),
            created: self.created.clone(),
            ..ImageRecord::of_contents(id, layers, &view.contents(), view.file_count())
        }
    }

    pub fn subject(&self) -> Subject {
        Subject::new(self.record(), vec![self.name.clone()], self.layers.clone())
    }
}

fn diff_id(layer: &Fingerprint) -> DiffId {
    DiffId::from_bytes(*ContentId::of(&body::encode(layer).unwrap()).as_bytes())
}

/// A store in a folder that goes with it.
pub struct Stored {
    pub store: Store,
    _folder: TempDir,
}

pub fn store<'a>(images: impl IntoIterator<Item = &'a Image>) -> Stored {
    let folder = tempfile::tempdir().unwrap();
    let stored =
        Stored { store: Store::create_or_open(&folder.path().join("store")).unwrap(), _folder: folder };
    images.into_iter().for_each(|image| stored.put(image));
    stored
}

impl Stored {
    pub fn put(&self, image: &Image) {
        for layer in &image.layers {
            let record = LayerRecord {
                diff_id: diff_id(layer),
                tar_size_bytes: 0,
                entry_count: layer.entries().len() as u64,
                file_count: 0,
                file_size_bytes: 0,
                anomalies: Anomalies::default(),
            };
            self.store.put_layer(&record, layer).unwrap();
        }
        self.store.put_image(&image.record(), std::slice::from_ref(&image.name)).unwrap();
    }

    /// Publishes what was put and opens it.
    pub fn index(&self) -> Index {
        self.store.commit().unwrap();
        self.store.index().unwrap()
    }

    pub fn find(&self, image: &Image) -> Finding {
        find(&self.index(), &image.subject(), &image.name).unwrap()
    }

    /// Asks for a stored image by itself.
    pub fn find_stored(&self, image: &Image) -> Finding {
        let index = self.index();
        let subject = Subject::stored(&index, &image.record().id).unwrap();
        find(&index, &subject, &image.name).unwrap()
    }

    pub fn ask(&self, image: &Image) -> String {
        told(&self.find(image))
    }

    pub fn ask_stored(&self, image: &Image) -> String {
        told(&self.find_stored(image))
    }
}

/// The core of a finding in a line: `base debian:12 by-content 300/300 <- parent by-chain <- ...`.
pub fn told(finding: &Finding) -> String {
    let verdict = word(&finding.verdict);
    let Some(base) = &finding.base else { return verdict };
    let mut told = format!(
        "{verdict} {} {} {}/{}",
        base.names.join("+"),
        word(&base.evidence),
        base.contents.present,
        base.contents.total
    );
    for kin in &base.lineage {
        told += &format!(" <- {} {}", kin.names.join("+"), word(&kin.evidence));
    }
    told
}

/// The one word as which JSON writes something.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

/// The answer, where everything could be read for it.
pub fn whole<T>(told: layerprint_store::Result<layerprint_query::Partly<T>>) -> T {
    let told = told.unwrap();
    assert!(told.unread.is_empty(), "{:?}", told.unread);
    told.answer
}
