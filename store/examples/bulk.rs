//! Puts many made-up layers and images into a new store, and says what that cost.
//!
//! `cargo run --release -p layerprint-store --example bulk -- DIRECTORY [LAYERS] [LAYERS_PER_COMMIT]`
//!
//! Shows what the store itself takes: encoding, packs, catalogue, commits, reading back and merging. Leaves out
//! tars, hashing and compression of layers. Contents are random, so nothing compresses but the paths; one layer
//! of twenty is a large base of 6,000 files, the others hold a few files to a few hundred.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use layerprint_store::id::{ContentId, DiffId, ImageId};
use layerprint_store::{
    Anomalies, Content, Entry, EntryKind, Fingerprint, ImageRecord, LayerRecord, MergedView, Platform, Store,
    body,
};

const LAYERS_PER_IMAGE: u64 = 10;

/// A generator that needs no crate: SplitMix64.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn layer(seed: u64) -> (LayerRecord, Fingerprint) {
    let mut noise = Noise(seed);
    let file_count = match seed % 20 {
        0 => 6000,
        1..4 => 100 + noise.next() % 900,
        4..10 => 10 + noise.next() % 90,
        _ => 1 + noise.next() % 9,
    };
    let mut entries = Vec::new();
    for package in 0..=file_count / 30 {
        let directory = format!("usr/lib/python3/dist-packages/package{:04}", noise.next() % 5000);
        entries.push(entry(&directory, 0o755, EntryKind::Directory));
        for file in 0..(file_count - package * 30).min(30) {
            let id = ContentId::of(&noise.next().to_le_bytes());
            let content = Content { id, size_bytes: noise.next() % 100_000 };
            let path = format!("{directory}/module_{:03}{file}.py", noise.next() % 500);
            entries.push(entry(&path, 0o644, EntryKind::File { content, linked: false }));
        }
    }
    let fingerprint = Fingerprint::from_entries(entries);
    let record = LayerRecord {
        diff_id: DiffId::from_bytes(*ContentId::of(&seed.to_be_bytes()).as_bytes()),
        tar_size_bytes: 1 << 20,
        entry_count: fingerprint.entries().len() as u64,
        file_count,
        file_size_bytes: 1 << 20,
        anomalies: Anomalies::default(),
    };
    (record, fingerprint)
}

fn entry(path: &str, mode: u32, kind: EntryKind) -> Entry {
    Entry { path: path.as_bytes().into(), mode, uid: 0, gid: 0, kind }
}

fn image(layers: &[DiffId], view: &MergedView<'_>) -> ImageRecord {
    let id = ImageId::of_config(layers.last().map_or(&[], |layer| &layer.as_bytes()[..]));
    let platform = Platform { os: "linux".into(), architecture: "amd64".into(), ..Platform::default() };
    let described = ImageRecord::of_contents(id, layers.to_vec(), &view.contents(), view.file_count());
    ImageRecord { platform, ..described }
}

/// User and system CPU seconds of this process, and the most memory it has had resident, in MB.
fn resources() -> (f64, u64) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = [11, 12].iter().filter_map(|i| fields.get(*i)?.parse::<f64>().ok()).sum();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
    (ticks / 100.0, peak.and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let directory = Path::new(arguments.first().ok_or("usage: bulk DIRECTORY [LAYERS] [LAYERS_PER_COMMIT]")?);
    let layer_count: u64 = arguments.get(1).map_or(Ok(20_000), |text| text.parse())?;
    let layers_per_commit: u64 = arguments.get(2).map_or(Ok(200), |text| text.parse())?;
    let mut lap = (Instant::now(), 0.0);
    let mut report = |what: &str| {
        let (cpu, peak_mb) = resources();
        let wall = lap.0.elapsed().as_secs_f64();
        println!("{what}: {:.2} CPU s, {wall:.2} s, peak {peak_mb} MB", cpu - lap.1);
        lap = (Instant::now(), cpu);
    };

    let (mut entries, mut raw_bytes, mut body_bytes) = (0, 0, 0);
    for seed in 0..layer_count {
        let fingerprint = layer(seed).1;
        entries += fingerprint.entries().len();
        raw_bytes += fingerprint.entries().iter().map(|entry| entry.path.len() + 32 + 8 + 16).sum::<usize>();
    }
    report("make the layers alone");
    for seed in 0..layer_count {
        body_bytes += body::encode(&layer(seed).1)?.len();
    }
    report("make and encode");
    println!("  {entries} entries, {raw_bytes} bytes raw, {body_bytes} bytes of bodies");

    let store = Store::create_or_open(directory)?;
    let mut stack = Vec::new();
    for seed in 0..layer_count {
        let (record, fingerprint) = layer(seed);
        store.put_layer(&record, &fingerprint)?;
        stack.push(record.diff_id);
        if stack.len() as u64 == LAYERS_PER_IMAGE {
            store.put_image(&image(&stack, &MergedView::new()), &[format!("image{seed}:latest")])?;
            stack.clear();
        }
        if seed % layers_per_commit == layers_per_commit - 1 {
            store.commit()?;
        }
    }
    store.commit()?;
    report("make, put and commit");
    drop(store);
    let store = Store::open(directory)?;
    report("open");
    println!("  {:?}", store.stats()?);
    report("stats");
    for image in store.images() {
        for layer in &image?.layers {
            store.layer_contents(layer)?.ok_or("no such layer")?;
        }
    }
    report("read the contents of all layers of all images");
    let mut stacks = Vec::new();
    for image in store.images() {
        let layers = image?.layers;
        let layers: Result<Vec<_>, _> = layers.iter().map(|layer| store.fingerprint(layer)).collect();
        stacks.push(layers?.into_iter().flatten().collect::<Vec<Fingerprint>>());
    }
    report("decode all layers of all images");
    let files: u64 = stacks.iter().map(|layers| MergedView::of(layers).file_count()).sum();
    report("merge all images");
    println!("  {files} files in {} images", stacks.len());
    let sets = stacks.iter().map(|layers| MergedView::of(layers).set_id());
    println!("  {} set ids", sets.collect::<std::collections::HashSet<_>>().len());
    report("merge all images and make their set ids");
    Ok(())
}
