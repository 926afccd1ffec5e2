//! An archive of images as a [`Tree`]: indexed where it lies in a plain file, else read front to back.
//!
//! Read front to back, a member's use is known only when the manifest has come, which may be last. So every member
//! is taken for what its first bytes say: JSON is kept, anything else is read as a layer at once and handed on.
//! The first member decides whether this is an archive of images at all, or the tar of a root file system.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use layerprint_store::Fingerprint;
use layerprint_store::id::BlobDigest;

use crate::error::{IngestError, LayerError};
use crate::fingerprint::clean_path;
use crate::layer::{LayerRead, LayerReader, Promise};
use crate::limits::Limits;
use crate::stream::Unpacked;
use crate::tar::{ReadSkip, TarEntry, TarError, TarKind, TarReader};
use crate::tree::{Blob, FileRange, LayerKnown, Member, Tree};

/// Takes a layer that was read on the way and says how to find it again.
pub type TakeLayer<'a> = &'a dyn Fn(LayerRead) -> Result<LayerKnown, IngestError>;

impl ReadSkip for FileRange {
    fn skip_bytes(&mut self, count: u64) -> std::io::Result<u64> {
        Ok(self.skip(count))
    }
}

/// Indexes an uncompressed archive by its headers. Bodies are not read.
pub fn index(file: &FileRange, origin: &str, layers: &LayerReader) -> Result<Tree, IngestError> {
    let broken = |source| IngestError::Archive { origin: origin.into(), source };
    let mut members = BTreeMap::new();
    let mut reader = TarReader::new(file.clone(), layers.limits.tar.clone());
    let limits = &layers.limits;
    // The tar of a root file system, too, is indexed before it is known for one.
    let mut counted = MemberCount::new("image_memory_bytes_max", limits.image_memory_bytes_max);
    while let Some(entry) = reader.next_entry().map_err(|error| broken(error.into()))? {
        layers.hold(counted.add(&entry, limits).map_err(broken)?);
        if let Some((name, member)) = member_in_place(&entry, file) {
            members.insert(name, member);
        }
    }
    Ok(Tree::archive(origin, members))
}

/// How much memory the members of an archive take.
struct MemberCount {
    count: u64,
    names_bytes: u64,
    limit: &'static str,
    max: u64,
}

impl MemberCount {
    fn new(limit: &'static str, max: u64) -> Self {
        Self { count: 0, names_bytes: 0, limit, max }
    }

    /// Counts one more, and returns what all take.
    fn add(&mut self, entry: &TarEntry, limits: &Limits) -> Result<u64, LayerError> {
        self.count += 1;
        self.names_bytes += (entry.path.len() + entry.link_target.len()) as u64;
        let bytes = self.count * Fingerprint::ENTRY_BYTES + self.names_bytes;
        let passed =
            [("paths_bytes_max", limits.paths_bytes_max, self.names_bytes), (self.limit, self.max, bytes)];
        match passed.into_iter().find(|(_, max, found)| found > max) {
            Some((limit, max, _)) => Err(LayerError::Limit { limit, max }),
            None => Ok(bytes),
        }
    }
}

fn member_in_place(entry: &TarEntry, file: &FileRange) -> Option<(Vec<u8>, Member)> {
    let (name, _) = clean_path(&entry.path);
    let member = match entry.kind {
        TarKind::File => Member::File(Blob::Range(file.slice(entry.body_offset_bytes, entry.size_bytes))),
        _ => link(entry, &name)?,
    };
    Some((name, member))
}

/// A symbolic link is relative to its folder, a hard link to the root of the archive.
fn link(entry: &TarEntry, name: &[u8]) -> Option<Member> {
    let target = match entry.kind {
        TarKind::HardLink => entry.link_target.clone(),
        TarKind::Symlink => [name, b"/../", entry.link_target.as_slice()].concat(),
        _ => return None,
    };
    Some(Member::Link(clean_path(&target).0))
}

/// What came through a pipe.
pub enum FrontToBack {
    /// An archive of images.
    Images(Tree),
    /// The tar of a root file system: one layer.
    Rootfs(Box<LayerRead>),
}

/// Reads an archive that may be compressed, front to back. `on_read` is told of stored bytes, for progress.
pub fn read(
    stored: impl Read + Send + 'static,
    origin: &str,
    layers: &LayerReader,
    take_layer: TakeLayer,
    on_read: &dyn Fn(u64),
) -> Result<FrontToBack, IngestError> {
    let broken = |source| IngestError::Archive { origin: origin.into(), source };
    let mut unpacked = layers.unpack(stored, &Promise::default(), on_read).map_err(broken)?;
    if !starts_like_images(unpacked.peek().map_err(broken)?, &layers.limits) {
        let layer = layers.read_unpacked(unpacked, &Promise::default()).map_err(broken)?;
        return Ok(FrontToBack::Rootfs(Box::new(layer)));
    }
    members(unpacked, origin, layers, take_layer).map(FrontToBack::Images)
}

/// Reads what is known to be an archive of images, like [`read`].
pub fn read_images(
    stored: impl Read + Send + 'static,
    origin: &str,
    layers: &LayerReader,
    take_layer: TakeLayer,
    on_read: &dyn Fn(u64),
) -> Result<Tree, IngestError> {
    let broken = |source| IngestError::Archive { origin: origin.into(), source };
    let unpacked = layers.unpack(stored, &Promise::default(), on_read).map_err(broken)?;
    members(unpacked, origin, layers, take_layer)
}

fn members<R: Read>(
    mut unpacked: Unpacked<R>,
    origin: &str,
    layers: &LayerReader,
    take_layer: TakeLayer,
) -> Result<Tree, IngestError> {
    let broken = |source| IngestError::Archive { origin: origin.into(), source };
    let mut reader = TarReader::new(&mut unpacked, layers.limits.tar.clone());
    let mut collected = Collected {
        layers,
        take_layer,
        members: BTreeMap::new(),
        counted: MemberCount::new("members_memory_bytes_max", layers.limits.members_memory_bytes_max),
        documents_bytes: 0,
        last_error: None,
    };
    loop {
        match reader.next_entry() {
            Ok(Some(entry)) => collected.add(&entry, &mut reader, origin)?,
            Ok(None) => break,
            // The archive broke inside a layer, and that error says how.
            Err(TarError::Stopped { .. }) if collected.last_error.is_some() => {
                let cause = collected.last_error.expect("it was there a line above");
                return Err(broken(LayerError::Io(io::Error::other(cause))));
            }
            Err(error) => return Err(broken(error.into())),
        }
    }
    reader.drain().map_err(|error| broken(error.into()))?;
    drop(reader);
    unpacked.finish(&Promise::default()).map_err(broken)?;
    Ok(Tree::archive(origin, collected.members))
}

/// Judges by the first entry that is not the root itself: archives of images hold documents, folders named by a
/// digest and layers; a root file system holds `bin/` or `.dockerenv`. `docker load` takes an archive with any file
/// in front, so that the names which make it one decide wherever they stand. Those that a large file in front hides are found when
/// all is read: [`FrontToBack::Rootfs`] has them.
fn starts_like_images(head: &[u8], limits: &Limits) -> bool {
    const DECISIVE: [&[u8]; 4] = [b"manifest.json", b"index.json", b"oci-layout", b"repositories"];
    let mut reader = TarReader::new(head, limits.tar.clone());
    let mut is_first = true;
    while let Ok(Some(entry)) = reader.next_entry() {
        let (path, _) = clean_path(&entry.path);
        let first = path.split(|byte| *byte == b'/').next().unwrap_or_default();
        if DECISIVE.contains(&path.as_slice()) || is_digest(first) || (is_first && is_image_member(first)) {
            return true;
        }
        is_first &= first.is_empty();
    }
    false
}

fn is_image_member(name: &[u8]) -> bool {
    let contains = |part: &[u8]| name.windows(part.len()).any(|window| window == part);
    name == b"blobs" || name.ends_with(b".json") || contains(b".tar")
}

fn is_digest(name: &[u8]) -> bool {
    let hex = name.strip_prefix(b"sha256:").unwrap_or(name);
    hex.len() >= 64 && hex[..64].iter().all(u8::is_ascii_hexdigit)
}

/// The name of a blob in a layout is its digest: `blobs/sha256/<hex>`.
fn digest_in(path: &[u8]) -> Option<BlobDigest> {
    let (clean, _) = clean_path(path);
    let name = std::str::from_utf8(clean.strip_prefix(b"blobs/")?).ok()?;
    name.replacen('/', ":", 1).parse().ok()
}

/// Members as they come.
struct Collected<'a> {
    layers: &'a LayerReader,
    take_layer: TakeLayer<'a>,
    members: BTreeMap<Vec<u8>, Member>,
    counted: MemberCount,
    documents_bytes: u64,
    /// Why the last layer that could not be read could not be.
    last_error: Option<Arc<LayerError>>,
}

impl Collected<'_> {
    fn add<R: ReadSkip>(
        &mut self,
        entry: &TarEntry,
        reader: &mut TarReader<R>,
        origin: &str,
    ) -> Result<(), IngestError> {
        let broken = |source| IngestError::Archive { origin: origin.into(), source };
        self.counted.add(entry, &self.layers.limits).map_err(broken)?;
        let (name, _) = clean_path(&entry.path);
        let member = match entry.kind {
            TarKind::File => Member::File(self.take(entry, reader, origin)?),
            _ => match link(entry, &name) {
                Some(link) => link,
                None => return Ok(()),
            },
        };
        self.members.insert(name, member);
        Ok(())
    }

    fn take<R: ReadSkip>(
        &mut self,
        entry: &TarEntry,
        reader: &mut TarReader<R>,
        origin: &str,
    ) -> Result<Blob, IngestError> {
        let archive = |source| IngestError::Archive { origin: origin.into(), source };
        let mut body = BufReader::new(reader);
        let first = body.fill_buf().map_err(|error| archive(LayerError::of_stream(error)))?;
        let small = entry.size_bytes <= self.layers.limits.document_bytes_max;
        let json = matches!(first.trim_ascii_start().first(), Some(b'{' | b'[') | None);
        if small && (json || entry.path.ends_with(b".json")) {
            return self.keep_document(body, entry.size_bytes).map_err(archive);
        }
        let promise = Promise { digest: digest_in(&entry.path), ..Promise::default() };
        Ok(Blob::Layer(match self.layers.read(&mut body, &promise, &|_| ()) {
            Ok(layer) => Ok((self.take_layer)(layer)?),
            Err(error) => {
                let error = Arc::new(error);
                self.last_error = Some(error.clone());
                Err(error)
            }
        }))
    }

    fn keep_document(&mut self, mut body: impl Read, size_bytes: u64) -> Result<Blob, LayerError> {
        let max = self.layers.limits.documents_bytes_max;
        self.documents_bytes += size_bytes;
        if self.documents_bytes > max {
            return Err(LayerError::Limit { limit: "documents_bytes_max", max });
        }
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).map_err(LayerError::of_stream)?;
        Ok(Blob::Document(bytes.into()))
    }
}
