//! Applications: two to eight layers over a parent, in several versions of which most share nine files in ten.
//!
//! Layers are those that build files make: packages of the distribution, libraries at fixed paths that applications
//! of one ecosystem share, the sources, assets, edits and removals, an entry point. Some are squashed or flattened.

use std::sync::Arc;

use layerprint_store::{Content, Entry, EntryKind, MergedView};

use super::fleet::{Layer, Parent, small_layer};
use super::names;
use super::package::{self, Class, content, entry, file};
use super::random::{Random, hash, is_in};

/// Applications have libraries of one of so many ecosystems.
const ECOSYSTEMS: u64 = 3;
const LIBRARIES: u64 = 6_000;
/// Versions of a library that are in use.
const LIBRARY_VERSIONS: u64 = 25;
/// Share of versions for which the libraries are resolved anew.
const LIBRARIES_ANEW_SHARE: f64 = 0.3;
/// Share of private files that one version changes.
const PRIVATE_CHANGE_SHARE: f64 = 0.1;
/// Versions that pass before the parent is a date newer.
const VERSIONS_PER_DATE: u64 = 3;
const SQUASHED_SHARE: f64 = 0.03;
const FLATTENED_SHARE: f64 = 0.01;

/// One application.
pub struct Application {
    number: u64,
    /// How many dates of the stock there are.
    dates: u64,
}

impl Application {
    pub fn new(number: u64, dates: u64) -> Self {
        Self { number, dates }
    }

    pub fn name(&self, version: u64) -> String {
        format!("team{}/{}:{version}", self.number % 97, names::package(hash(&[40, self.number])))
    }

    /// What a version of it is built on.
    pub fn parent(&self, version: u64) -> Parent {
        let mut random = Random::new(&[41, self.number]);
        let date = random.below(self.dates) + version / VERSIONS_PER_DATE;
        Parent::draw(&mut random, date.min(self.dates - 1))
    }

    /// Returns all layers of a version, the parent's first.
    pub fn layers(&self, version: u64, parent: Parent, below: &[Layer]) -> Vec<Layer> {
        let mut layers = below.to_vec();
        layers.extend(self.own_layers(version, parent, &below[0]));
        // A squashed image stays one from version to version; a container is exported once.
        let squashed = is_in(hash(&[42, self.number]), SQUASHED_SHARE);
        if squashed || is_in(hash(&[43, self.number, version]), FLATTENED_SHARE) {
            layers = vec![squash(&[44, self.number, version], &layers)];
        }
        layers
    }

    fn own_layers(&self, version: u64, parent: Parent, base: &Layer) -> Vec<Layer> {
        let mut random = Random::new(&[45, self.number]);
        let mut layers = Vec::new();
        if random.chance(0.2) {
            layers.push(small_layer(46, hash(&[parent.runtime.unwrap_or(0)]) % 4, 1));
        }
        if random.chance(0.5) {
            layers.push(parent.system_layer(hash(&[47, self.number]), 1 + random.below(5)));
        }
        layers.push(self.libraries(0, version));
        if random.chance(0.2) {
            layers.push(self.libraries(1, version));
        }
        layers.push(self.private("src", version, 140.0));
        if random.chance(0.4) {
            // Assets change with every other version.
            layers.push(self.private("static", version / 2, 60.0));
        }
        if random.chance(0.4) {
            layers.push(self.edits(parent, base));
        }
        if random.chance(0.3) {
            layers.push(small_layer(48, self.number, 1));
        }
        layers
    }

    /// A layer of libraries; `stage` tells the first from one of another ecosystem.
    fn libraries(&self, stage: u64, version: u64) -> Layer {
        let anew = |version: &u64| is_in(hash(&[49, self.number, stage, *version]), LIBRARIES_ANEW_SHARE);
        let epoch = (1..=version).filter(anew).count() as u64;
        let mut random = Random::new(&[50, self.number, stage]);
        let ecosystem = (self.number + stage) % ECOSYSTEMS;
        let mut entries = Vec::new();
        for _ in 0..random.log_normal(6.0, 0.9, 1, 120) {
            let library = random.zipf(LIBRARIES);
            let release = random.zipf(LIBRARY_VERSIONS);
            let moved = is_in(hash(&[51, self.number, library, epoch]), 0.15);
            package::put_library(&mut entries, ecosystem, library, release + epoch * u64::from(moved));
        }
        Layer::new(&[52, self.number, stage, epoch], entries)
    }

    fn private(&self, folder: &str, version: u64, median: f64) -> Layer {
        let kind = hash(&[53, folder.len() as u64]);
        let mut random = Random::new(&[kind, self.number]);
        let put = |place| {
            let key = hash(&[kind, self.number, place]);
            let path = format!("app/{folder}/{}{}{place}.js", names::folder(key >> 6), names::stem(key >> 8));
            file(path, self.at_version(key, version), false)
        };
        let files = random.log_normal(median, 1.2, 5, 800);
        Layer::new(&[54, kind, self.number, version], (0..files).map(put).collect())
    }

    fn at_version(&self, key: u64, version: u64) -> Content {
        let changes = |version: &u64| is_in(hash(&[55, key, *version]), PRIVATE_CHANGE_SHARE);
        let changed = (1..=version).rev().find(changes);
        content(Class::Code, hash(&[56, key, changed.unwrap_or(0)]))
    }

    /// Edits some files of the base, and removes others.
    fn edits(&self, parent: Parent, base: &Layer) -> Layer {
        let mut random = Random::new(&[57, self.number]);
        let files = base.fingerprint.entries();
        let mut entries = Vec::new();
        if random.chance(0.15) {
            entries.push(entry("usr/share/doc".to_owned(), 0, EntryKind::Whiteout));
        }
        for _ in 0..1 + random.below(5) {
            let place = random.below(files.len() as u64);
            let below = &files[usize::try_from(place).expect("less than the number of files")];
            if below.content().is_some() {
                let path = String::from_utf8_lossy(&below.path).into_owned();
                entries.push(self.edit(&mut random, path));
            }
        }
        let key = [58, self.number, parent.release.family, parent.release.date, parent.slim.into()];
        Layer::new(&key, entries)
    }

    fn edit(&self, random: &mut Random, path: String) -> Entry {
        if random.chance(0.3) {
            return entry(path, 0, EntryKind::Whiteout);
        }
        file(path, content(Class::Configuration, hash(&[59, self.number, random.next()])), false)
    }
}

/// Returns the one layer that looks the same.
pub fn squash(key: &[u64], layers: &[Layer]) -> Layer {
    let view = MergedView::of(layers.iter().map(|layer| &*layer.fingerprint));
    let squashed = Layer::new(key, Vec::new());
    Layer { fingerprint: Arc::new(view.to_fingerprint()), ..squashed }
}

/// Returns an image that no fleet holds, with about so many files.
pub fn fresh(number: u64, parent: Parent, files: usize) -> Vec<Layer> {
    // Fleets count applications from zero.
    let application = Application::new((1 << 40) + number, 1);
    let below = parent.layers();
    let mut layers = below.clone();
    layers.extend(application.own_layers(0, parent, &below[0]));
    let held: usize = layers.iter().map(|layer| layer.fingerprint.contents().len()).sum();
    let mut random = Random::new(&[60, number]);
    let mut entries = Vec::new();
    while entries.len() + held < files {
        let (library, version) = (random.zipf(LIBRARIES), random.zipf(LIBRARY_VERSIONS));
        package::put_library(&mut entries, number % ECOSYSTEMS, library, version);
    }
    layers.push(Layer::new(&[61, number], entries));
    layers
}

/// Returns true for the contents that are left when a share of all is dropped.
pub fn is_kept(number: u64, content: &Content, dropped: u64) -> bool {
    let head = u64::from_le_bytes(content.id.as_bytes()[..8].try_into().expect("eight bytes"));
    hash(&[62, number, head]) % 100 >= dropped
}
