//! Named files, wherever they are: in a folder, or in an archive.
//!
//! Every image format is a set of documents and layers under known names. A [`Tree`] gives both by name, so that an
//! OCI layout is read by the same code from a folder and from a tar. An archive in a plain file is indexed by its
//! headers and its layers are read from where they stand; one that is compressed or comes through a pipe was read
//! front to back beforehand ([`crate::archive`]), and gives what it found. Nothing outside the tree is ever opened.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use layerprint_store::id::{BlobDigest, DiffId};

use crate::error::{IngestError, LayerError};
use crate::fingerprint::clean_path;
use crate::limits::Limits;
use crate::rootfs::looks_like_rootfs;
use crate::sums::Sums;

/// Links followed from one name to the next before giving up.
const LINKS_MAX: usize = 16;

/// A set of named files.
pub struct Tree {
    files: Files,
    /// Bytes of the documents that were read.
    documents_bytes: Cell<u64>,
    /// What its layers come to.
    sums: Arc<Sums>,
}

/// Where the files are.
enum Files {
    /// A folder.
    Folder {
        /// Where it is.
        path: PathBuf,
        /// The same with all links resolved; nothing outside is opened.
        root: PathBuf,
    },
    /// An archive, by member name.
    Archive {
        /// How messages call it.
        origin: String,
        /// What it holds.
        members: BTreeMap<Vec<u8>, Member>,
    },
}

/// One member of an archive.
#[derive(Debug, Clone)]
pub enum Member {
    /// A file.
    File(Blob),
    /// A symbolic or hard link to another member, by clean name.
    Link(Vec<u8>),
}

/// Bytes that can be read, or have been.
#[derive(Debug, Clone)]
pub enum Blob {
    /// A run of bytes in a file.
    Range(FileRange),
    /// A small document that was read on the way.
    Document(Arc<[u8]>),
    /// A layer that was read on the way.
    Layer(Result<LayerKnown, Arc<LayerError>>),
}

/// A layer that has been handed on, by its identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerKnown {
    /// Digest of the stored bytes.
    pub digest: BlobDigest,
    /// Digest of the unpacked bytes.
    pub diff_id: DiffId,
}

/// A run of bytes in a file, read without moving a shared position.
///
/// Read, not mapped: a mapped file that shrinks kills the process, and its pages count as ours.
#[derive(Debug, Clone)]
pub struct FileRange {
    /// None until the first read: the layers of thousands of images may wait, and a process may have some 1,000 open.
    file: Option<Arc<File>>,
    path: Arc<Path>,
    offset_bytes: u64,
    len_bytes: u64,
    /// Up to where the kernel has been asked to read.
    ahead_bytes: u64,
    /// What the layers of its source come to.
    sums: Arc<Sums>,
}

/// How far ahead of need a file is read: enough for a disk that takes some milliseconds to answer. Linux by itself reads
/// 128 KiB ahead.
const READ_AHEAD_BYTES: u64 = 8 << 20;
/// What is left and not larger than this is read at once anyway.
const READ_AT_ONCE_BYTES: u64 = 128 << 10;
/// Reads smaller than this are of headers and documents, which are jumped to.
const SEQUENTIAL_BYTES_MIN: usize = 64 << 10;

impl FileRange {
    /// Opens a whole regular file. A pipe or device, which could block for ever, is refused.
    pub fn whole(path: &Path) -> io::Result<Self> {
        let mut range = Self::unopened(path)?;
        let file = File::open(path)?;
        range.len_bytes = file.metadata()?.len();
        range.file = Some(Arc::new(file));
        Ok(range)
    }

    /// Does the same, but opens the file when it is read.
    pub fn unopened(path: &Path) -> io::Result<Self> {
        let meta = fs::metadata(path)?;
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let len_bytes = meta.len();
        let (path, sums) = (path.into(), Arc::default());
        Ok(Self { file: None, path, offset_bytes: 0, len_bytes, ahead_bytes: 0, sums })
    }

    /// Returns where it is counted what the layers of the source come to.
    pub(crate) fn sums(&self) -> Arc<Sums> {
        Arc::clone(&self.sums)
    }

    /// Returns a run within this one; what would stick out is cut.
    pub fn slice(&self, offset_bytes: u64, len_bytes: u64) -> Self {
        let offset = offset_bytes.min(self.len_bytes);
        Self {
            offset_bytes: self.offset_bytes + offset,
            len_bytes: len_bytes.min(self.len_bytes - offset),
            ..self.clone()
        }
    }

    /// Returns the number of bytes.
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Returns the file and the offset in it.
    pub fn place(&self) -> (Arc<Path>, u64) {
        (self.path.clone(), self.offset_bytes)
    }

    /// Skips bytes without reading them; returns how many there were.
    pub fn skip(&mut self, count: u64) -> u64 {
        let count = count.min(self.len_bytes);
        self.offset_bytes += count;
        self.len_bytes -= count;
        count
    }

    fn open(&mut self) -> io::Result<Arc<File>> {
        let file = match self.file.take() {
            Some(file) => file,
            None => Arc::new(File::open(&self.path)?),
        };
        Ok(self.file.insert(file).clone())
    }

    /// Has the kernel fetch what comes next while this is worked on. Where it cannot, reading waits.
    #[cfg(target_os = "linux")]
    fn read_ahead(&mut self, file: &File) {
        let end = self.offset_bytes + self.len_bytes;
        let start = self.ahead_bytes.max(self.offset_bytes);
        if start >= end.min(self.offset_bytes + READ_AHEAD_BYTES / 2) {
            return;
        }
        self.ahead_bytes = end.min(start + READ_AHEAD_BYTES);
        let count = std::num::NonZeroU64::new(self.ahead_bytes - start);
        let _ = rustix::fs::fadvise(file, start, count, rustix::fs::Advice::WillNeed);
    }

    #[cfg(not(target_os = "linux"))]
    fn read_ahead(&mut self, _file: &File) {}
}

impl Read for FileRange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let file = self.open()?;
        if self.len_bytes > READ_AT_ONCE_BYTES && buffer.len() >= SEQUENTIAL_BYTES_MIN {
            self.read_ahead(&file);
        }
        let wanted = buffer.len().min(usize::try_from(self.len_bytes).unwrap_or(usize::MAX));
        let count = file.read_at(&mut buffer[..wanted], self.offset_bytes)?;
        self.skip(count as u64);
        Ok(count)
    }
}

impl Tree {
    /// Opens a folder.
    pub fn folder(path: &Path) -> Result<Self, IngestError> {
        let root = path.canonicalize().map_err(IngestError::io(path))?;
        Ok(Self::of(Files::Folder { path: path.to_owned(), root }))
    }

    /// Returns an archive with these members, by name.
    pub(crate) fn archive(origin: &str, members: BTreeMap<Vec<u8>, Member>) -> Self {
        Self::of(Files::Archive { origin: origin.into(), members })
    }

    fn of(files: Files) -> Self {
        Self { files, documents_bytes: Cell::new(0), sums: Arc::default() }
    }

    /// Returns how messages call the tree.
    pub fn origin(&self) -> String {
        match &self.files {
            Files::Folder { path, .. } => path.display().to_string(),
            Files::Archive { origin, .. } => origin.clone(),
        }
    }

    /// Returns true if there is a file of this name.
    pub fn has(&self, name: &str) -> bool {
        self.blob(name).is_ok()
    }

    /// Judges by the names of an archive's members whether it is a root file system; a folder is none.
    pub fn looks_like_rootfs(&self) -> bool {
        match &self.files {
            Files::Archive { members, .. } => looks_like_rootfs(members.keys().map(Vec::as_slice)),
            Files::Folder { .. } => false,
        }
    }

    /// Finds a file by name. Links are followed inside the tree only.
    pub fn blob(&self, name: &str) -> Result<Blob, IngestError> {
        let found = match &self.files {
            Files::Folder { path, root } => blob_in_folder(path, root, name)?
                .map(|range| Blob::Range(FileRange { sums: Arc::clone(&self.sums), ..range })),
            Files::Archive { members, .. } => blob_in_archive(members, name),
        };
        found.ok_or_else(|| IngestError::Missing { origin: self.origin(), what: name.into() })
    }

    /// Reads a whole document. All that are read of a tree may be held, so that their sum is limited, too.
    pub fn document(&self, name: &str, limits: &Limits) -> Result<Arc<[u8]>, IngestError> {
        let max = limits.document_bytes_max;
        let refuse = |reason: String| IngestError::Document {
            origin: self.origin(),
            document: name.to_owned(),
            reason,
        };
        let range = match self.blob(name)? {
            // Counted when it came.
            Blob::Document(bytes) => return Ok(bytes),
            Blob::Layer(_) => return Err(refuse("is not a JSON document".into())),
            Blob::Range(range) => range,
        };
        if range.len_bytes() > max {
            return Err(refuse(format!("is larger than document_bytes_max ({max})")));
        }
        let mut bytes = Vec::new();
        range.take(max).read_to_end(&mut bytes).map_err(|error| refuse(error.to_string()))?;
        self.documents_bytes.set(self.documents_bytes.get() + bytes.len() as u64);
        if self.documents_bytes.get() > limits.documents_bytes_max {
            let (origin, max) = (self.origin(), limits.documents_bytes_max);
            return Err(IngestError::Limit { origin, limit: "documents_bytes_max", max });
        }
        Ok(bytes.into())
    }
}

fn blob_in_folder(path: &Path, root: &Path, name: &str) -> Result<Option<FileRange>, IngestError> {
    let (clean, escapes) = clean_path(name.as_bytes());
    let Ok(clean) = String::from_utf8(clean) else { return Ok(None) };
    let Ok(resolved) = root.join(&clean).canonicalize() else { return Ok(None) };
    if escapes || !resolved.starts_with(root) {
        let what = format!("{name}, which leads out of it");
        return Err(IngestError::Unsupported { origin: path.display().to_string(), what });
    }
    if !resolved.is_file() {
        return Ok(None);
    }
    FileRange::unopened(&resolved).map(Some).map_err(IngestError::io(&resolved))
}

fn blob_in_archive(members: &BTreeMap<Vec<u8>, Member>, name: &str) -> Option<Blob> {
    let mut name = clean_path(name.as_bytes()).0;
    for _ in 0..LINKS_MAX {
        match members.get(&name)? {
            Member::File(blob) => return Some(blob.clone()),
            Member::Link(target) => name.clone_from(target),
        }
    }
    None
}
