//! What the stories share: reading a source, and writing down what was read so that two readings can be compared.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use layerprint_ingest::layer::{LayerRead, Promise, read_layer};
use layerprint_ingest::progress::Summary;
use layerprint_ingest::{ImageRead, IngestError, LayerError, Limits, Options};
use layerprint_store::id::ContentId;
use layerprint_store::{Anomalies, Entry, EntryKind, Fingerprint, MergedView, Store};

/// What reading one source gave.
pub struct Outcome {
    pub images: Vec<ImageRead>,
    pub summary: Summary,
}

/// Reads a source as it would be typed, without a store.
pub fn read(source: &str) -> Outcome {
    read_with(source, &Options { jobs: 2, ..Options::default() })
}

pub fn read_with(source: &str, options: &Options) -> Outcome {
    let sources = [source.parse().unwrap()];
    let (images, summary) = layerprint_ingest::read(&sources, None, options, &|_| ()).unwrap();
    let images: Vec<_> = images.map(Result::unwrap).collect();
    Outcome { images, summary }
}

/// Reads sources into a store.
pub fn ingest(sources: &[impl AsRef<str>], store: &Store) -> Summary {
    let sources: Vec<_> = sources.iter().map(|source| source.as_ref().parse().unwrap()).collect();
    layerprint_ingest::ingest(&sources, store, &Options { jobs: 2, ..Options::default() }, &|_| ()).unwrap()
}

impl Outcome {
    /// Returns the one image of a source that has one, and nothing to complain of.
    pub fn image(self) -> ImageRead {
        assert_eq!(self.failures(), Vec::<String>::new());
        assert_eq!(self.images.len(), 1);
        self.images.into_iter().next().unwrap()
    }

    /// Returns what failed, as it is printed.
    pub fn failures(&self) -> Vec<String> {
        self.summary.failed.iter().map(|failure| failure.error.to_string()).collect()
    }

    /// Returns the one error of a source that cannot be read at all.
    pub fn error(mut self) -> IngestError {
        assert!(self.images.is_empty(), "{:?}", self.images);
        assert_eq!(self.summary.failed.len(), 1, "{:?}", self.summary.failed);
        self.summary.failed.remove(0).error
    }

    /// Returns the names of all images, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.images.iter().flat_map(|image| image.names.clone()).collect();
        names.sort();
        names
    }
}

/// Everything that a store holds of images, names and layers.
pub fn contents(store: &Store) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for image in store.images().map(Result::unwrap) {
        let names = store.names_of(&image.id).unwrap();
        found.insert(image.id.to_string(), format!("{names:?} {image:?}"));
    }
    for layer in store.layers().map(Result::unwrap) {
        let fingerprint = store.fingerprint(&layer.diff_id).unwrap();
        found.insert(layer.diff_id.to_string(), format!("{layer:?} {fingerprint:?}"));
    }
    found
}

/// Reads the bytes of one layer.
pub fn layer(bytes: impl AsRef<[u8]>) -> Result<LayerRead, LayerError> {
    read_layer(bytes.as_ref(), &Promise::default(), &Limits::default(), &|_| ())
}

/// Writes down the files that an image's layers make together.
pub fn merged(image: &ImageRead) -> Vec<String> {
    let view = MergedView::of(image.layers.iter().map(|layer| &**layer));
    view.entries().map(|(path, entry)| show(path, entry)).collect()
}

/// Writes down the entries of a layer.
pub fn rows(fingerprint: &Fingerprint) -> Vec<String> {
    fingerprint.entries().iter().map(|entry| show(&entry.path, entry)).collect()
}

/// Writes down how often which anomaly was recorded.
pub fn oddities(anomalies: &Anomalies) -> Vec<String> {
    anomalies.counts().iter().map(|(kind, count)| format!("{kind:?} {count}")).collect()
}

fn show(path: &[u8], entry: &Entry) -> String {
    let what = match &entry.kind {
        EntryKind::Whiteout => "whiteout".to_owned(),
        EntryKind::Opaque => "opaque".to_owned(),
        EntryKind::Directory => "dir".to_owned(),
        EntryKind::File { content, .. } => {
            format!("{} bytes {}", content.size_bytes, &content.id.to_hex()[..12])
        }
        EntryKind::Symlink(target) => format!("-> {}", target.escape_ascii()),
        EntryKind::HardLink(target) => format!("=> {}", target.escape_ascii()),
        EntryKind::CharDevice { major, minor } => format!("char {major}:{minor}"),
        EntryKind::BlockDevice { major, minor } => format!("block {major}:{minor}"),
        EntryKind::Fifo => "fifo".to_owned(),
    };
    format!("{} {what}", path.escape_ascii())
}

/// The row of a regular file.
pub fn file(path: &str, contents: impl AsRef<[u8]>) -> String {
    let contents = contents.as_ref();
    format!("{path} {} bytes {}", contents.len(), &ContentId::of(contents).to_hex()[..12])
}

/// A folder beside the project with evidence that is not part of it; `None`, with a word on stderr, if absent.
/// `LAYERPRINT_SHARED` says that it is elsewhere.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let path = std::env::var_os("LAYERPRINT_SHARED").map_or_else(beside, PathBuf::from).join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is not on this machine", path.display());
    None
}

/// Gives its bytes in pieces of the sizes named, over and over, with interruptions between them.
pub struct Crumbs<'a> {
    rest: &'a [u8],
    sizes: &'a [usize],
    turn: usize,
}

impl<'a> Crumbs<'a> {
    pub fn new(bytes: &'a [u8], sizes: &'a [usize]) -> Self {
        Self { rest: bytes, sizes, turn: 0 }
    }
}

impl Read for Crumbs<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        if self.turn.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = self.sizes[self.turn % self.sizes.len()].max(1).min(buffer.len()).min(self.rest.len());
        buffer[..size].copy_from_slice(&self.rest[..size]);
        self.rest = &self.rest[size..];
        Ok(size)
    }
}

/// Runs one ignored test of this binary, named with its module, in a process of its own.
pub fn child(test: &str) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture", "--quiet"]);
    command
}

/// Changes one file inside a folder or writes a new one.
pub fn put(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}
