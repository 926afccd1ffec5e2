//! A fleet of images as a large registry has it, made without any tar: the stock of bases and runtimes, and applications.
//!
//! Forty families of distributions (80 to 9,000 files, whole and slim) at several dates; a dozen language runtimes on
//! some of them; and applications on both, most of the fleet, each in several versions. Fleets are nested: a larger one
//! holds the applications of a smaller one, and more dates of the stock. What an image holds depends on its place in the
//! fleet alone, so images are made in any order, on any thread, and forgotten once stored.
//!
//! How it compares with images that were read from tars, as `--describe STORE` prints it. The 144 are Debian's real
//! files under many transforms, whence the little that one image has alone; the other 2,000 have random contents.
//!
//! | | fleet, 2,000 | 20,000 | made of tars, 2,000 | of Debian, 144 |
//! |---|--:|--:|--:|--:|
//! | contents of an image, median | 2,921 | 3,102 | 4,791 | 4,632 |
//! | distinct contents for each image | 234 | 161 | 390 | 153 |
//! | of these in one image only | 31 % | 44 % | 51 % | 16 % |
//! | entries of a layer, mean | 514 | 368 | 145 | 1,656 |
//! | bytes of an entry in a fingerprint | 32.2 | 33.0 | 29.7 | 30.7 |

use std::sync::Arc;

use layerprint_store::id::DiffId;
use layerprint_store::{Entry, EntryKind, Fingerprint};

use super::names;
use super::package::{self, Class, Release, content, file};
use super::random::{Random, hash, is_in, real, whole};

const FAMILIES: u64 = 40;
const RUNTIMES: u64 = 12;
/// On how many families each runtime is offered.
const RUNTIME_FAMILIES: u64 = 4;
/// A distribution's packages; each family has the first of them, up to its size.
const SYSTEM_PACKAGES: u64 = 1_500;
/// Dates of the stock in the smallest fleet. Queries stand on these only, which every fleet holds.
pub const DATES_MIN: u64 = 3;
/// Share of the stock that is stored after everything that was built on it.
const LATE_SHARE: f64 = 0.1;
/// Longest line of versions of one application.
const VERSIONS_MAX: u64 = 24;

/// A layer that was made.
#[derive(Clone)]
pub struct Layer {
    pub diff_id: DiffId,
    pub fingerprint: Arc<Fingerprint>,
}

impl Layer {
    /// Finishes a layer. Layers with one key hold the same.
    pub fn new(key: &[u64], mut entries: Vec<Entry>) -> Self {
        put_folders(&mut entries);
        let key: Vec<u8> = key.iter().flat_map(|part| part.to_le_bytes()).collect();
        let diff_id = DiffId::from_bytes(*blake3::hash(&key).as_bytes());
        Self { diff_id, fingerprint: Arc::new(Fingerprint::from_entries(entries)) }
    }
}

/// A stored image that others are built on: a distribution's, or a runtime's on top of one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Parent {
    pub release: Release,
    pub slim: bool,
    pub runtime: Option<u64>,
}

/// What is stored in one go.
#[derive(Clone, Copy)]
pub enum Unit {
    Stock(Parent),
    /// Versions of one application, the first of them built when the stock had so many dates.
    Application {
        number: u64,
        versions: u64,
        dates: u64,
    },
}

/// Returns a fleet of so many images.
pub fn plan(images: u64) -> Vec<Unit> {
    let (mut units, late): (Vec<Unit>, Vec<Unit>) =
        stock(dates(images)).map(Unit::Stock).partition(|unit| !is_late(unit));
    let mut room = images.saturating_sub((units.len() + late.len()) as u64);
    for number in 0.. {
        if room == 0 {
            break;
        }
        let versions = versions(number).min(room);
        room -= versions;
        units.push(Unit::Application { number, versions, dates: dates(2 * number) });
    }
    units.extend(late);
    units
}

/// How many dates of the stock a fleet of this size has: 3 at 2,000 images, 8 at 20,000, 16 at 100,000.
fn dates(images: u64) -> u64 {
    whole(3.0 * (real(images) / 2_000.0).powf(0.43) + 0.1).max(DATES_MIN)
}

fn versions(application: u64) -> u64 {
    Random::new(&[20, application]).log_normal(2.0, 0.9, 1, VERSIONS_MAX)
}

fn is_late(unit: &Unit) -> bool {
    match unit {
        Unit::Stock(parent) => is_in(hash(&[21, parent.key()]), LATE_SHARE),
        Unit::Application { .. } => false,
    }
}

/// Returns the whole stock of so many dates.
pub fn stock(dates: u64) -> impl Iterator<Item = Parent> {
    (0..dates).flat_map(|date| {
        let bare = (0..FAMILIES).flat_map(move |family| {
            let release = Release { family, date };
            [false, true].map(|slim| Parent { release, slim, runtime: None })
        });
        let runtimes = (0..RUNTIMES * RUNTIME_FAMILIES)
            .map(move |place| Parent::with_runtime(place % RUNTIMES, place / RUNTIMES, date));
        bare.chain(runtimes)
    })
}

impl Parent {
    fn with_runtime(runtime: u64, place: u64, date: u64) -> Self {
        let family = (hash(&[22, runtime]) + 7 * place) % FAMILIES;
        Self { release: Release { family, date }, slim: place.is_multiple_of(2), runtime: Some(runtime) }
    }

    /// Draws what an application is built on: few runtimes and distributions have most of the applications.
    pub fn draw(random: &mut Random, date: u64) -> Self {
        if random.chance(0.7) {
            return Self::with_runtime(random.zipf(RUNTIMES), random.zipf(RUNTIME_FAMILIES), date);
        }
        let release = Release { family: random.zipf(FAMILIES), date };
        Self { release, slim: random.chance(0.5), runtime: None }
    }

    pub fn name(&self) -> String {
        let (Release { family, date }, slim) = (self.release, if self.slim { "-slim" } else { "" });
        match self.runtime {
            Some(runtime) => format!("library/runtime{runtime}:{date}-release{family}{slim}"),
            None => format!("library/release{family}:{date}{slim}"),
        }
    }

    fn key(&self) -> u64 {
        let runtime = self.runtime.map_or(0, |runtime| runtime + 1);
        hash(&[self.release.family, self.release.date, self.slim.into(), runtime])
    }

    /// Makes its layers.
    pub fn layers(&self) -> Vec<Layer> {
        let mut layers = vec![self.base()];
        if let Some(runtime) = self.runtime {
            layers.extend(self.runtime_layers(runtime));
        }
        layers
    }

    fn base(&self) -> Layer {
        let Release { family, date } = self.release;
        let mut entries = vec![self.package_list(0)];
        let target = usize::try_from(base_files(family)).expect("thousands");
        let packages = (0..SYSTEM_PACKAGES).filter(|package| is_in(hash(&[23, *package, family]), 0.8));
        for package in packages {
            // Slim is the same minus some packages whole, and minus what is only to be read.
            if !self.slim || is_in(hash(&[24, package]), 0.7) {
                package::put_system(&mut entries, package, self.release, self.slim);
            }
            if entries.len() >= target {
                break;
            }
        }
        entries.truncate(target);
        Layer::new(&[25, family, date, self.slim.into()], entries)
    }

    fn runtime_layers(&self, runtime: u64) -> Vec<Layer> {
        let date = self.release.date;
        let files = Random::new(&[26, runtime]).log_normal(1_000.0, 0.8, 200, 4_000);
        let mut tree = Vec::new();
        package::put_runtime(&mut tree, runtime, date / 2, files);
        let mut layers = vec![self.system_layer(27 + runtime, 6), Layer::new(&[28, runtime, date / 2], tree)];
        if !runtime.is_multiple_of(3) {
            layers.push(small_layer(29, hash(&[runtime, date]), 12));
        }
        if runtime.is_multiple_of(2) {
            layers.push(small_layer(30, runtime, 1));
        }
        layers
    }

    /// A layer of so many further packages of the distribution, drawn for `owner`, at this date.
    pub fn system_layer(&self, owner: u64, packages: u64) -> Layer {
        let mut random = Random::new(&[31, owner]);
        let mut entries = vec![self.package_list(owner)];
        for _ in 0..packages {
            let package = SYSTEM_PACKAGES / 5 + random.zipf(SYSTEM_PACKAGES * 4 / 5);
            package::put_system(&mut entries, package, self.release, self.slim);
        }
        Layer::new(&[32, owner, packages, self.key()], entries)
    }

    /// The file that every installation of a package rewrites.
    fn package_list(&self, owner: u64) -> Entry {
        let content = content(Class::Program, hash(&[33, owner, self.key()]));
        file("var/lib/dpkg/status".to_owned(), content, false)
    }
}

/// A layer of a few files of one owner: scripts, an entry point.
pub fn small_layer(kind: u64, owner: u64, files: u64) -> Layer {
    let put = |place| {
        let key = hash(&[kind, owner, place]);
        let path = format!("usr/local/bin/{}-{}", names::stem(key >> 8), key % 10);
        file(path, content(Class::Configuration, key), true)
    };
    Layer::new(&[34, kind, owner], (0..files).map(put).collect())
}

/// Files of a family's base: from 80 to 9,000, more large ones than small ones, no matter how popular the family is.
fn base_files(family: u64) -> u64 {
    let place = real((family * 17 + 26) % FAMILIES) / real(FAMILIES - 1);
    whole(80.0 * (9_000.0_f64 / 80.0).powf(place.powf(0.6)))
}

/// Adds every folder that a file lies in, as archives have them.
fn put_folders(entries: &mut Vec<Entry>) {
    let mut folders = std::collections::BTreeSet::new();
    for entry in &*entries {
        let mut path = &entry.path[..];
        while let Some(slash) = path.iter().rposition(|byte| *byte == b'/') {
            path = &path[..slash];
            if !folders.insert(path.to_vec()) {
                break;
            }
        }
    }
    let folder =
        |path: Vec<u8>| Entry { path: path.into(), mode: 0o755, uid: 0, gid: 0, kind: EntryKind::Directory };
    entries.extend(folders.into_iter().map(folder));
}
