//! Packages: what files travel together, where they lie, and what changes from one version to the next.
//!
//! A content is a hash of what it is the content of, so two images hold the same one exactly where the same version
//! of the same file of the same package went into both.

use layerprint_store::id::ContentId;
use layerprint_store::{Content, Entry, EntryKind};

use super::names;
use super::random::{Random, hash, is_in};

/// Share of files in a distribution's package whose contents no distribution changes: time zones, messages, licences.
const UNIVERSAL_SHARE: f64 = 0.07;
/// Different licence texts.
const LICENCES: u64 = 60;
/// Share of a library's files that are empty: markers of modules and of types.
const EMPTY_SHARE: f64 = 0.02;

/// What a file is decides how large it is, and how often a new version of its package changes it.
#[derive(Clone, Copy, PartialEq)]
pub enum Class {
    Program,
    Code,
    Data,
    Document,
    Licence,
    Configuration,
    List,
}

impl Class {
    /// Median and spread of the size.
    fn size(self) -> (f64, f64) {
        match self {
            Self::Program => (40_000.0, 1.6),
            Self::Code => (4_000.0, 1.4),
            Self::Data => (3_000.0, 1.8),
            Self::Document => (2_500.0, 1.2),
            Self::Licence => (9_000.0, 0.8),
            Self::Configuration => (600.0, 1.2),
            Self::List => (1_500.0, 1.0),
        }
    }

    /// Share of such files that an update of their package changes.
    fn change(self) -> f64 {
        match self {
            Self::Program => 0.87,
            Self::List => 0.9,
            Self::Code => 0.25,
            Self::Data | Self::Configuration => 0.08,
            Self::Document => 0.06,
            Self::Licence => 0.01,
        }
    }
}

/// Returns the content that belongs to a key; the same key is the same content wherever it is.
pub fn content(class: Class, key: u64) -> Content {
    let (median, sigma) = class.size();
    let size_bytes = Random::new(&[key]).log_normal(median, sigma, 1, 1 << 31);
    Content { id: ContentId::of(&key.to_le_bytes()), size_bytes }
}

pub fn file(path: String, content: Content, executable: bool) -> Entry {
    let mode = if executable { 0o755 } else { 0o644 };
    entry(path, mode, EntryKind::File { content, linked: false })
}

pub fn entry(path: String, mode: u32, kind: EntryKind) -> Entry {
    Entry { path: path.into_bytes().into(), mode, uid: 0, gid: 0, kind }
}

/// Which build of a distribution's packages.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Release {
    pub family: u64,
    pub date: u64,
}

impl Release {
    /// Share of packages that are updated from one date to the next: of a calm family few, of a busy one many.
    fn update_share(self) -> f64 {
        [0.04, 0.08, 0.15, 0.25, 0.45][usize::try_from(hash(&[self.family, 1]) % 5).expect("below five")]
    }

    /// Releases of some distributions share half of their files, of others next to none.
    fn shared_with_distribution(self) -> f64 {
        if hash(&[self.family / 4, 2]).is_multiple_of(3) { 0.5 } else { 0.03 }
    }

    /// Whose content a file is: everybody's, the distribution's or the family's.
    fn origin(self, file: u64) -> u64 {
        if is_in(file, UNIVERSAL_SHARE) {
            return 0;
        }
        let distribution = self.family / 4;
        let shared = is_in(hash(&[file, distribution]), self.shared_with_distribution());
        if shared { 1_000 + distribution } else { 2_000 + self.family }
    }

    /// The dates up to this one at which a package was updated.
    fn updates(self, package: u64) -> Vec<u64> {
        let share = self.update_share();
        (1..=self.date).filter(|date| is_in(hash(&[package, self.family, *date]), share)).collect()
    }
}

/// Puts the files of a distribution's package; `slim` leaves out what nothing needs in order to run.
pub fn put_system(entries: &mut Vec<Entry>, number: u64, release: Release, slim: bool) {
    let name = names::package(number);
    let updates = release.updates(number);
    let files = Random::new(&[3, number]).log_normal(22.0, 1.1, 5, 300);
    for place in 0..files {
        let key = hash(&[4, number, place]);
        let (class, path) = system_path(&name, place, key);
        if slim && class == Class::Document {
            continue;
        }
        let changed = updates.iter().rev().find(|date| is_in(hash(&[key, **date]), class.change()));
        let version = hash(&[5, key, release.origin(key), changed.copied().unwrap_or(0)]);
        entries.extend(development_link(&path));
        entries.push(file(path, content_or_licence(class, version), class == Class::Program));
    }
}

/// The link without a version that lies beside a shared library.
fn development_link(path: &str) -> Option<Entry> {
    let (link, _) = path.rsplit_once('.').filter(|(link, _)| link.ends_with(".so"))?;
    let target = path.rsplit('/').next()?.as_bytes().into();
    Some(entry(link.to_owned(), 0o777, EntryKind::Symlink(target)))
}

fn content_or_licence(class: Class, key: u64) -> Content {
    if class == Class::Licence { content(class, key % LICENCES) } else { content(class, key) }
}

fn system_path(name: &str, place: u64, key: u64) -> (Class, String) {
    let (stem, number) = (names::stem(key >> 8), key >> 24);
    match (place, key % 20) {
        (0, _) => (Class::Document, format!("usr/share/doc/{name}/copyright")),
        (1, _) => (Class::List, format!("usr/share/doc/{name}/changelog.Debian.gz")),
        (2, _) => (Class::List, format!("var/lib/dpkg/info/{name}.list")),
        (3, _) => (Class::List, format!("var/lib/dpkg/info/{name}.md5sums")),
        (_, 0..5) => (Class::Program, format!("usr/lib/x86_64-linux-gnu/lib{name}-{stem}.so.{}", number % 9)),
        (_, 5..7) => (Class::Program, format!("usr/bin/{name}-{stem}")),
        (_, 7..10) => {
            let language = names::language(number);
            (Class::Data, format!("usr/share/locale/{language}/LC_MESSAGES/{name}-{stem}.mo"))
        }
        (_, 10..13) => (Class::Document, format!("usr/share/doc/{name}/{stem}.gz")),
        (_, 13..15) => (Class::Document, format!("usr/share/man/man{}/{name}-{stem}.1.gz", 1 + number % 8)),
        (_, 15) => (Class::Configuration, format!("etc/{name}/{stem}.conf")),
        (_, 16) => (Class::Code, format!("usr/lib/{name}/{stem}.pm")),
        _ => (Class::Data, format!("usr/share/{name}/{}{stem}.dat", names::folder(number))),
    }
}

/// Puts the tree of a language's runtime at a version.
pub fn put_runtime(entries: &mut Vec<Entry>, runtime: u64, version: u64, files: u64) {
    let name = names::package(hash(&[6, runtime]));
    for place in 0..files {
        let key = hash(&[7, runtime, place]);
        let class = if key.is_multiple_of(25) { Class::Program } else { Class::Code };
        let (folder, stem) = (names::folder(key >> 6), names::stem(key >> 8));
        let path = match key % 25 {
            0 => format!("usr/local/lib/{name}/lib-dynload/_{stem}{}.so", place / 8),
            1..4 => format!("usr/local/include/{name}/{folder}{stem}{}.h", place / 40),
            _ => format!("usr/local/lib/{name}/{}/{folder}{stem}{}.py", names::stem(key >> 40), place / 80),
        };
        entries.push(file(path, versioned(class, key, version), false));
    }
}

/// Puts a library at a version, where the applications of an ecosystem have it.
pub fn put_library(entries: &mut Vec<Entry>, ecosystem: u64, number: u64, version: u64) {
    let name = names::package(hash(&[8, ecosystem, number]));
    let files = Random::new(&[9, ecosystem, number]).log_normal(18.0, 1.0, 5, 300);
    let root = match ecosystem % 3 {
        0 => format!("usr/local/lib/python3.11/site-packages/{name}"),
        1 => format!("usr/src/app/node_modules/{name}"),
        _ => format!("usr/local/bundle/gems/{name}"),
    };
    let extension = names::pick(&["py", "js", "rb"], ecosystem % 3);
    for place in 0..files {
        let key = hash(&[10, ecosystem, number, place]);
        let (folder, stem) = (names::folder(key >> 6), names::stem(key >> 8));
        let (path, content) = match place {
            0 => (format!("{root}/LICENSE"), content_or_licence(Class::Licence, hash(&[key, version / 8]))),
            1 => (format!("{root}/METADATA.json"), content(Class::List, hash(&[key, version]))),
            2 => (format!("{root}/README.md"), versioned(Class::Document, key, version)),
            _ if is_in(key, EMPTY_SHARE) => (format!("{root}/{folder}__init__.{extension}"), EMPTY),
            _ => (format!("{root}/{folder}{stem}.{extension}"), versioned(Class::Code, key, version)),
        };
        entries.push(file(path, content, false));
    }
}

const EMPTY: Content = Content { id: ContentId::EMPTY, size_bytes: 0 };

/// The content of a file at a version: that of the last version that changed it.
pub fn versioned(class: Class, key: u64, version: u64) -> Content {
    let changed = (1..=version).rev().find(|version| is_in(hash(&[key, *version]), class.change()));
    content(class, hash(&[11, key, changed.unwrap_or(0)]))
}
