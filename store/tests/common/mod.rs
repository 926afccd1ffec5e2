//! Made-up layers and images for the tests of the store.

use std::fs;
use std::path::Path;

use layerprint_store::id::{ChainId, ContentId, DiffId, ImageId, SetId};
use layerprint_store::{
    Anomalies, Content, Entry, EntryKind, Fingerprint, ImageRecord, LayerRecord, Platform, Store,
};

/// A content that is told apart by a number.
pub fn content(number: u64) -> Content {
    Content { id: ContentId::of(&number.to_le_bytes()), size_bytes: number % 100_000 + 1 }
}

/// A file of root's.
pub fn file(path: &str, number: u64) -> Entry {
    entry(path, EntryKind::File { content: content(number), linked: false })
}

/// Anything of root's.
pub fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry { path: path.as_bytes().into(), mode: 0o644, uid: 0, gid: 0, kind }
}

/// A layer of some files, the same for the same seed.
pub fn layer(seed: u64, file_count: u64) -> (LayerRecord, Fingerprint) {
    let files = (0..file_count).map(|i| file(&format!("usr/share/pkg{seed}/part{i:05}"), seed << 20 | i));
    let fingerprint = Fingerprint::from_entries(files.collect());
    (
        layer_record(DiffId::from_bytes(*ContentId::of(&seed.to_be_bytes()).as_bytes()), &fingerprint),
        fingerprint,
    )
}

/// The record that goes with a fingerprint.
pub fn layer_record(diff_id: DiffId, fingerprint: &Fingerprint) -> LayerRecord {
    let files: Vec<Content> = fingerprint.entries().iter().filter_map(Entry::content).collect();
    let file_size_bytes = files.iter().map(|content| content.size_bytes).sum();
    LayerRecord {
        diff_id,
        tar_size_bytes: file_size_bytes + 512 * files.len() as u64,
        entry_count: fingerprint.entries().len() as u64,
        file_count: files.len() as u64,
        file_size_bytes,
        anomalies: Anomalies::default(),
    }
}

/// An image of these layers. Its set is made up of the layers alone.
pub fn image(seed: u64, layers: &[DiffId]) -> ImageRecord {
    let contents: Vec<ContentId> =
        layers.iter().map(|layer| ContentId::from_bytes(*layer.as_bytes())).collect();
    ImageRecord {
        id: ImageId::of_config(&seed.to_be_bytes()),
        layers: layers.to_vec(),
        platform: Platform { os: "linux".into(), architecture: "amd64".into(), ..Platform::default() },
        created: Some("2026-11-21T12:00:00Z".into()),
        set_id: SetId::of_sorted(&contents),
        content_count: 3,
        content_size_bytes: 5,
        file_count: 4,
        manifests: Vec::new(),
        documents: Vec::new(),
        anomalies: Anomalies::default(),
    }
}

/// Puts an image of new layers with so many files each.
pub fn put(store: &Store, seed: u64, file_counts: &[u64], name: &str) -> ImageRecord {
    let mut diff_ids = Vec::new();
    for (index, file_count) in file_counts.iter().enumerate() {
        let (record, fingerprint) = layer(seed * 100 + index as u64, *file_count);
        store.put_layer(&record, &fingerprint).unwrap();
        diff_ids.push(record.diff_id);
    }
    let record = image(seed, &diff_ids);
    store.put_image(&record, &[name.to_owned()]).unwrap();
    record
}

/// The chain ID of the whole stack of an image.
pub fn chain(image: &ImageRecord) -> ChainId {
    *ChainId::of_prefixes(&image.layers).last().unwrap()
}

/// Copies a folder and all that is in it.
pub fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy_directory(&item.path(), &target);
        } else {
            fs::copy(item.path(), target).unwrap();
        }
    }
}
