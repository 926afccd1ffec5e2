//! Files of this machine, as material for images.
//!
//! Takes what everybody may read from the usual folders, in path order and at most so much from each, and copies it: a
//! file that changes meanwhile makes no difference. No content is taken twice. A machine with little in the usual
//! folders has at least the sources that layerprint was built from.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use layerprint_store::id::ContentId;
use walkdir::{DirEntry, WalkDir};

use crate::output::{bytes, count};

/// Where every Linux keeps something that all may read; some keep it in few of them.
const FOLDERS: [&str; 13] = [
    "/etc",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/libexec",
    "/usr/share/doc",
    "/usr/share",
    "/usr/include",
    "/usr/local",
    "/bin",
    "/sbin",
    "/lib",
    "/run/current-system/sw",
];

/// With less than this from the usual folders, the sources that Cargo keeps are taken too.
const ENOUGH_BYTES: u64 = 16 << 20;
/// With less than this there is nothing to show: the images would have a handful of files each.
const NEEDED_FILES: usize = 240;
const NEEDED_BYTES: u64 = 4 << 20;

const FILE_BYTES_MAX: u64 = 512 << 10;
/// Of one folder with all below it.
const FOLDER_FILES_MAX: usize = 800;
const FOLDER_BYTES_MAX: u64 = 6 << 20;
/// Of one folder alone, so that `/usr/bin` does not become half of the image.
const SIBLINGS_MAX: usize = 120;
/// So many entries are looked at below one folder, wanted or not: some hold millions.
const LOOKED_AT_MAX: usize = 30_000;

/// Files are dealt out by so many of one folder.
const CHUNK_FILES: usize = 8;
/// Who gets a chunk, in turn.
const TURNS: [Hand; 12] = {
    use Hand::{App, Base, Runtime, Stranger};
    [Base, Runtime, Base, App, Base, Runtime, Base, Stranger, Base, Runtime, Base, Base]
};

/// A file of this machine.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Its path in an image.
    pub path: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
    /// Where its copy is.
    pub copy: PathBuf,
}

/// What each image is made from; no two hands hold a content in common.
#[derive(Debug, Default)]
pub struct Pieces {
    pub base: Vec<Piece>,
    pub runtime: Vec<Piece>,
    pub app: Vec<Piece>,
    pub stranger: Vec<Piece>,
    pub size_bytes: u64,
    /// The folders that gave something.
    pub folders: Vec<String>,
}

#[derive(Clone, Copy)]
enum Hand {
    Base,
    Runtime,
    App,
    Stranger,
}

impl Pieces {
    /// Copies files of this machine to `folder` and deals them out.
    pub fn gather(folder: &Path) -> anyhow::Result<Self> {
        let mut gathering = Gathering::into(folder);
        let mut roots = BTreeSet::new();
        for root in FOLDERS {
            // `/bin` is `/usr/bin` on most machines.
            if Path::new(root).canonicalize().is_ok_and(|root| roots.insert(root)) {
                gathering.below(Path::new(root), "")?;
            }
        }
        if gathering.size_bytes < ENOUGH_BYTES
            && let Some(sources) = cargo_sources()
        {
            gathering.below(&sources, "usr/src/cargo/")?;
        }
        let (files, size_bytes) = (gathering.pieces.len(), gathering.size_bytes);
        anyhow::ensure!(
            files >= NEEDED_FILES && size_bytes >= NEEDED_BYTES,
            "too little to make images from: {} readable files, {}, in {} and Cargo's sources",
            count(files as u64),
            bytes(size_bytes),
            FOLDERS.join(", ")
        );
        Ok(gathering.deal())
    }

    pub fn files(&self) -> usize {
        self.base.len() + self.runtime.len() + self.app.len() + self.stranger.len()
    }
}

/// Returns the folder where Cargo keeps the sources of what it builds.
fn cargo_sources() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"));
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home)?;
    Some(cargo.join("registry/src"))
}

struct Gathering<'a> {
    folder: &'a Path,
    pieces: Vec<Piece>,
    size_bytes: u64,
    seen: BTreeSet<ContentId>,
    folders: Vec<String>,
}

impl<'a> Gathering<'a> {
    fn into(folder: &'a Path) -> Self {
        Self { folder, pieces: Vec::new(), size_bytes: 0, seen: BTreeSet::new(), folders: Vec::new() }
    }

    /// Takes what is below `root`. In images it lies below `prefix`, or where it is if that is empty.
    fn below(&mut self, root: &Path, prefix: &str) -> anyhow::Result<()> {
        let (files_before, bytes_before) = (self.pieces.len(), self.size_bytes);
        let walk = WalkDir::new(root).sort_by_file_name().same_file_system(true).into_iter();
        let (mut parent, mut siblings) = (PathBuf::new(), 0);
        // What cannot be read, or is not there, is passed over.
        for entry in walk.filter_entry(may_be_entered).take(LOOKED_AT_MAX).flatten() {
            if self.pieces.len() - files_before >= FOLDER_FILES_MAX
                || self.size_bytes - bytes_before >= FOLDER_BYTES_MAX
            {
                break;
            }
            if entry.path().parent() != Some(&parent) {
                (parent, siblings) = (entry.path().parent().unwrap_or(root).to_owned(), 0);
            }
            let below = if prefix.is_empty() { Path::new("/") } else { root };
            let name = entry.path().strip_prefix(below).unwrap_or(entry.path());
            let name = [prefix.as_bytes(), name.as_os_str().as_bytes()].concat();
            if siblings < SIBLINGS_MAX && self.take(&entry, name)? {
                siblings += 1;
            }
        }
        if self.pieces.len() > files_before {
            self.folders.push(root.display().to_string());
        }
        Ok(())
    }

    /// Copies a file unless it is empty, large, not for everybody, or there already under another name.
    fn take(&mut self, entry: &DirEntry, path: Vec<u8>) -> anyhow::Result<bool> {
        const EVERYBODY_READS: u32 = 0o004;
        let Ok(meta) = entry.metadata() else { return Ok(false) };
        let mode = meta.permissions().mode() & 0o777;
        if !meta.is_file() || meta.len() > FILE_BYTES_MAX || mode & EVERYBODY_READS == 0 {
            return Ok(false);
        }
        let Ok(contents) = fs::read(entry.path()) else { return Ok(false) };
        if contents.is_empty() || !self.seen.insert(ContentId::of(&contents)) {
            return Ok(false);
        }
        let copy = self.folder.join(self.pieces.len().to_string());
        fs::write(&copy, &contents).with_context(|| format!("{}: cannot be written", copy.display()))?;
        self.size_bytes += contents.len() as u64;
        self.pieces.push(Piece { path, mode, copy });
        Ok(true)
    }

    fn deal(self) -> Pieces {
        let mut pieces = Pieces { size_bytes: self.size_bytes, folders: self.folders, ..Pieces::default() };
        let together = |a: &Piece, b: &Piece| folder_of(&a.path) == folder_of(&b.path);
        let chunks = self.pieces.chunk_by(together).flat_map(|siblings| siblings.chunks(CHUNK_FILES));
        for (chunk, turn) in chunks.zip(TURNS.iter().cycle()) {
            let hand = match turn {
                Hand::Base => &mut pieces.base,
                Hand::Runtime => &mut pieces.runtime,
                Hand::App => &mut pieces.app,
                Hand::Stranger => &mut pieces.stranger,
            };
            hand.extend_from_slice(chunk);
        }
        pieces
    }
}

/// Folders that are closed to others may hold what is nobody's business in an image.
fn may_be_entered(entry: &DirEntry) -> bool {
    const EVERYBODY_ENTERS: u32 = 0o005;
    // The root of a walk was chosen by us, and may lie in somebody's home.
    entry.depth() == 0
        || !entry.file_type().is_dir()
        || entry.metadata().is_ok_and(|meta| meta.permissions().mode() & EVERYBODY_ENTERS == EVERYBODY_ENTERS)
}

fn folder_of(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(b"", |slash| &path[..slash])
}
