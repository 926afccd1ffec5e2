//! An export, with whatever in its frames and right checksums behind them.
//!
//! The bytes are frames as `store/FORMAT.md` describes them, without the header, the checksums and the end, which are added. What
//! the store takes must come out again, and be taken by another store as the same.

use std::cell::RefCell;
use std::path::Path;

use layerprint_ingest::write::{Image, Layer, Options, oci_layout};
use layerprint_ingest::{check_config, ingest};
use layerprint_store::{ImportError, Imported, Store};
use tempfile::TempDir;

use crate::query;

const FRAME_HEADER_BYTES: usize = 8;

thread_local! {
    /// A store in which nothing is.
    static EMPTY: RefCell<Option<(Store, TempDir)>> = const { RefCell::new(None) };
}

/// Imports the frames into an empty store.
pub fn run(bytes: &[u8]) {
    let (store, folder) = EMPTY.take().unwrap_or_else(empty);
    let (imported, exported) = through(&store, &seal(bytes));
    if imported.is_ok() {
        query::ask(&store.index().expect("what is imported is published"));
        let (other, _folder) = empty();
        let (again, same) = through(&other, &exported);
        let again = again.expect("what is exported can be imported");
        let new = [again.layers_new, again.documents_new, again.images_new, again.blobs_new];
        assert_eq!(new, counts(&exported), "all of it is new to another store");
        assert!(same == exported, "exported again");
    }
    // One that was refused may have left what was good before that.
    if counts(&exported) == [0; 4] {
        EMPTY.set(Some((store, folder)));
    }
}

fn empty() -> (Store, TempDir) {
    let folder = crate::folder();
    (Store::create_or_open(folder.path()).expect("a store can be made"), folder)
}

/// Imports, and exports what is there then.
fn through(store: &Store, export: &[u8]) -> (Result<Imported, ImportError>, Vec<u8>) {
    let imported = store.import(export, &check_config, &mut |_| ());
    let mut exported = Vec::new();
    store.export(&mut exported, &|_, _| ()).expect("what is stored can be exported");
    (imported, exported)
}

/// Returns frames as an export. A frame that is longer than what is left ends there.
pub fn seal(bytes: &[u8]) -> Vec<u8> {
    let mut export = Export::new();
    let mut rest = bytes;
    while let Some((header, after)) = rest.split_at_checked(FRAME_HEADER_BYTES) {
        let length = u32::from_le_bytes(header[4..].try_into().expect("four bytes")) as usize;
        let (payload, after) = after.split_at(length.min(after.len()));
        export.frame(&header[..4], payload);
        rest = after;
    }
    export.end()
}

/// Returns the frames of an export, without its end.
pub fn unseal(export: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames(export, |header, payload| {
        if header[0] != 5 {
            bytes.extend([header, payload].concat());
        }
    });
    bytes
}

/// Returns how many frames of each kind there are.
fn counts(export: &[u8]) -> [u64; 4] {
    let mut counts = [0; 4];
    frames(export, |header, _| {
        if let Some(count) = counts.get_mut(usize::from(header[0]) - 1) {
            *count += 1;
        }
    });
    counts
}

fn frames(export: &[u8], mut on_frame: impl FnMut(&[u8], &[u8])) {
    let mut rest = &export[16..];
    while !rest.is_empty() {
        let (header, after) = rest.split_at(FRAME_HEADER_BYTES);
        let length = u32::from_le_bytes(header[4..].try_into().expect("four bytes")) as usize;
        on_frame(header, &after[..length]);
        rest = &after[length + 32..];
    }
}

/// An export that is being written.
struct Export {
    bytes: Vec<u8>,
    hasher: blake3::Hasher,
    counts: [u8; 4],
}

impl Export {
    fn new() -> Self {
        let mut export = Self { bytes: Vec::new(), hasher: blake3::Hasher::new(), counts: [0; 4] };
        export.write(b"LPEXPORT\x01\0\0\0\0\0\0\0");
        export
    }

    fn frame(&mut self, kind: &[u8], payload: &[u8]) {
        if let Some(count) = usize::from(kind[0]).checked_sub(1).and_then(|kind| self.counts.get_mut(kind)) {
            *count = count.saturating_add(1);
        }
        self.write(kind);
        self.write(&u32::try_from(payload.len()).expect("inputs are small").to_le_bytes());
        self.write(payload);
        let checksum = *self.hasher.finalize().as_bytes();
        self.write(&checksum);
    }

    /// Counts are varints, which up to 127 are a byte.
    fn end(mut self) -> Vec<u8> {
        let counts = self.counts;
        self.frame(&[5, 0, 0, 0], &counts);
        self.bytes
    }

    fn write(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes.extend(bytes);
    }
}

/// Two images, the second built on the first.
pub fn small() -> Vec<Image> {
    let base = Layer::new()
        .dir("etc/")
        .file("etc/motd", "hi\n")
        .file("etc/issue", "debian")
        .symlink("bin", "usr/bin");
    let base = Image::new("base:1").platform("linux", "amd64").created("2026-01-02T03:04:05Z").layer(base);
    let top = Layer::new().file("srv/app", "run").whiteout("etc/issue").hard_link("srv/link", "srv/app");
    vec![base.clone(), base.named("app:1").layer(top)]
}

/// Makes a store of images in a folder.
pub fn store_of(images: &[Image], folder: &Path) -> Store {
    let layout = crate::folder();
    let path = layout.path().join("images");
    oci_layout(images, &path, &Options::default()).expect("a layout can be written");
    let store = Store::create_or_open(folder).expect("a store can be made");
    let source = format!("oci:{}", path.display()).parse().expect("a source");
    let summary =
        ingest(&[source], &store, &layerprint_ingest::Options::default(), &|_| ()).expect("it is read");
    assert!(summary.failed.is_empty(), "{:?}", summary.failed);
    store
}
