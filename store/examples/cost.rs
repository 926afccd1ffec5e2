//! Puts what one store holds into a new one, and says what that costs the store, by so many images.
//!
//! `cargo run --release -p layerprint-store --example cost -- FROM TO [ROUNDS] [IMAGES_PER_BLOCK]`
//!
//! Shows CPU time alone, of all threads: of encoding and appending layers, of merging and putting images, and of commits,
//! in which the index is published. Leaves out reading: layers are decoded from the first store while no time is counted,
//! so the sum, beside the CPU time of an ingest of the same images, is the store's share of it. Every further round puts
//! the same images, in order of their names, with other contents, layers and names, so that a store of any size comes of a small one. Last, the time
//! that opening the new store takes. CPU time is read from `/proc/self/task`, so this needs Linux.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use layerprint_store::id::{BlobDigest, ContentId, DiffId, ImageId};
use layerprint_store::{
    BlobRecord, Content, Document, Entry, EntryKind, Fingerprint, ImageRecord, LayerRecord, RecentLayers,
    Stacks, Store,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Images of one commit, as an ingest has it.
const COMMIT_IMAGES: usize = 256;
/// Images whose layers are read before they are put.
const IMAGES_AT_ONCE: usize = 8;
/// Entries of layers that are kept, and of shared stacks, as an ingest does.
const RECENT_ENTRIES_MAX: u64 = 100_000;
const STACK_ENTRIES_MAX: u64 = 600_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, rest @ ..] = &arguments[..] else {
        return Err("usage: cost FROM TO [ROUNDS] [IMAGES_PER_BLOCK]".into());
    };
    let rounds: u64 = rest.first().map_or(Ok(1), |text| text.parse())?;
    let block: u64 = rest.get(1).map_or(Ok(1000), |text| text.parse())?;
    let from = Store::open(Path::new(from))?;
    let images = by_name(&from)?;
    let mut replay = Replay {
        from: &from,
        to: Store::create_or_open(Path::new(to))?,
        recent: RecentLayers::new(RECENT_ENTRIES_MAX),
        stacks: Stacks::new(STACK_ENTRIES_MAX),
        block: Costs::default(),
        all: Costs::default(),
    };
    println!(
        "{:>16}{:>10}{:>10}{:>10}{:>10}{:>12}",
        "images", "layers", "images", "commits", "CPU s", "ms/image"
    );
    for round in 0..rounds {
        for group in images.chunks(COMMIT_IMAGES) {
            replay.put_group(round, group, block)?;
        }
    }
    if replay.block.images > 0 {
        replay.block.tell("the last");
        replay.all.add(&replay.block);
    }
    replay.all.tell("all");
    let Replay { to: store, .. } = replay;
    drop(store);
    time_opening(Path::new(to))
}

/// Returns all images in the order of their names, as they are found in a folder: relatives stand together.
fn by_name(store: &Store) -> Result<Vec<ImageRecord>> {
    let (mut images, mut known) = (Vec::new(), HashSet::new());
    for name in store.names() {
        let image = name?.image;
        if known.insert(image) {
            images.extend(store.image(&image)?);
        }
    }
    Ok(images)
}

/// When names are told to have been seen.
const NOW_UNIX_S: u64 = 1_700_000_000;

/// CPU seconds of each step.
#[derive(Default)]
struct Costs {
    images: u64,
    layers: f64,
    views: f64,
    commits: f64,
}

impl Costs {
    fn add(&mut self, more: &Self) {
        self.images += more.images;
        self.layers += more.layers;
        self.views += more.views;
        self.commits += more.commits;
    }

    fn tell(&self, name: &str) {
        let Self { images, layers, views, commits } = self;
        let sum = layers + views + commits;
        let each = 1000.0 * sum / (*images).max(1) as f64;
        println!("{name:>9}{images:>7}{layers:>10.2}{views:>10.2}{commits:>10.2}{sum:>10.2}{each:>12.3}");
    }
}

struct Replay<'a> {
    from: &'a Store,
    to: Store,
    recent: RecentLayers,
    stacks: Stacks,
    block: Costs,
    all: Costs,
}

/// An image of a round, and everything that an ingest would have read for it.
struct Made {
    record: ImageRecord,
    names: Vec<String>,
    documents: Vec<(BlobDigest, Vec<u8>)>,
}

impl Replay<'_> {
    fn put_group(&mut self, round: u64, group: &[ImageRecord], block: u64) -> Result<()> {
        for images in group.chunks(IMAGES_AT_ONCE) {
            self.put_images(round, images)?;
        }
        let merged = cpu_seconds();
        self.to.commit()?;
        self.block.commits += cpu_seconds() - merged;
        if self.block.images >= block {
            self.block.tell("block of");
            self.all.add(&std::mem::take(&mut self.block));
        }
        Ok(())
    }

    fn put_images(&mut self, round: u64, images: &[ImageRecord]) -> Result<()> {
        let (mut layers, mut made) = (HashMap::new(), Vec::new());
        for record in images {
            for layer in &record.layers {
                let salted = salted_layer(*layer, round);
                if !layers.contains_key(&salted) && !self.to.has_layer(&salted)? {
                    layers.insert(salted, self.read(layer, round)?);
                }
            }
            made.push(self.make(record, round)?);
        }
        let before = cpu_seconds();
        for (layer, fingerprint) in layers.into_values() {
            self.put_layer(&layer, fingerprint)?;
        }
        let put = cpu_seconds();
        for image in made {
            self.put_image(image)?;
        }
        let (images, layers, views) = (images.len() as u64, put - before, cpu_seconds() - put);
        self.block.add(&Costs { images, layers, views, commits: 0.0 });
        Ok(())
    }

    fn read(&self, layer: &DiffId, round: u64) -> Result<(LayerRecord, Fingerprint)> {
        let record = self.from.layer(layer)?.ok_or("no such layer")?;
        let fingerprint = self.from.fingerprint(layer)?.ok_or("no such fingerprint")?;
        let record = LayerRecord { diff_id: salted_layer(*layer, round), ..record };
        let entries = fingerprint.entries().iter().cloned().map(|entry| salted_entry(entry, round));
        Ok((record, Fingerprint::from_entries(entries.collect())))
    }

    fn make(&self, record: &ImageRecord, round: u64) -> Result<Made> {
        let (mut documents, mut listed) = (Vec::new(), Vec::new());
        for document in &record.documents {
            let mut bytes = self.from.document(&document.digest)?.ok_or("no such document")?;
            bytes.extend(round.to_le_bytes());
            let digest = BlobDigest::Sha256(*ImageId::of_config(&bytes).as_bytes());
            listed.push(Document { media_type: document.media_type.clone(), digest });
            documents.push((digest, bytes));
        }
        let names = self.from.names_of(&record.id)?;
        let names = names.into_iter().map(|name| format!("{name}-{round}")).collect();
        let record = ImageRecord {
            id: ImageId::from_bytes(salted(record.id.as_bytes(), round)),
            layers: record.layers.iter().map(|layer| salted_layer(*layer, round)).collect(),
            manifests: record.manifests.iter().map(|digest| salted_digest(digest, round)).collect(),
            documents: listed,
            ..record.clone()
        };
        Ok(Made { record, names, documents })
    }

    fn put_layer(&self, record: &LayerRecord, fingerprint: Fingerprint) -> Result<()> {
        self.to.put_layer(record, &fingerprint)?;
        let blob = BlobDigest::Sha256(salted(record.diff_id.as_bytes(), 1));
        self.to.put_blob(&blob, &BlobRecord { diff_id: record.diff_id, media_type: "tar".to_owned() })?;
        self.recent.insert(record.diff_id, Arc::new(fingerprint));
        Ok(())
    }

    fn put_image(&self, made: Made) -> Result<()> {
        let stack = self.stacks.look(&made.record.layers, |layer| self.fingerprint(layer))?;
        let ImageRecord { id, layers, platform, created, manifests, documents, anomalies, .. } = made.record;
        let record = ImageRecord::of_contents(id, layers, &stack.contents, stack.file_count);
        let record = ImageRecord { platform, created, manifests, documents, anomalies, ..record };
        for (digest, bytes) in made.documents {
            self.to.put_document(&digest, &bytes)?;
        }
        let names: Vec<_> = made.names.into_iter().map(|name| (name, NOW_UNIX_S)).collect();
        self.to.put_image_seen(&record, &names, stack.steps)?;
        Ok(())
    }

    fn fingerprint(&self, layer: &DiffId) -> Result<Arc<Fingerprint>> {
        if let Some(found) = self.recent.get(layer) {
            return Ok(found);
        }
        let found = Arc::new(self.to.fingerprint(layer)?.ok_or("no such fingerprint")?);
        self.recent.insert(*layer, Arc::clone(&found));
        Ok(found)
    }
}

/// Says how long opening takes, the first time and the median of some more.
fn time_opening(path: &Path) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..6 {
        let started = Instant::now();
        let store = Store::open(path)?;
        let opened = started.elapsed();
        drop(store);
        times.push((started.elapsed(), opened));
    }
    let (whole, opened) = times.remove(0);
    times.sort_unstable();
    println!("opened in {opened:.1?}, and closed after {whole:.1?}; then, median: {:.1?}", times[2].0);
    Ok(())
}

/// CPU seconds of all threads that live.
fn cpu_seconds() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of_task = |path: &Path| {
        let text = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0)
    };
    tasks.map(|task| of_task(&task.path())).sum::<f64>() / 1e9
}

/// Returns an id of a round; those of the first are what they are.
fn salted(id: &[u8; 32], round: u64) -> [u8; 32] {
    match round {
        0 => *id,
        _ => *ContentId::of(&[&id[..], &round.to_le_bytes()].concat()).as_bytes(),
    }
}

fn salted_layer(layer: DiffId, round: u64) -> DiffId {
    DiffId::from_bytes(salted(layer.as_bytes(), round))
}

fn salted_digest(digest: &BlobDigest, round: u64) -> BlobDigest {
    match digest {
        BlobDigest::Sha256(hash) => BlobDigest::Sha256(salted(hash, round)),
        longer @ BlobDigest::Sha512(_) => *longer,
    }
}

fn salted_entry(mut entry: Entry, round: u64) -> Entry {
    if let EntryKind::File { content, .. } = &mut entry.kind
        && content.id != ContentId::EMPTY
    {
        *content = Content { id: ContentId::from_bytes(salted(content.id.as_bytes(), round)), ..*content };
    }
    entry
}
