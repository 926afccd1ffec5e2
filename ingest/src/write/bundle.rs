//! The named files of an image on their way into a folder or an archive.
//!
//! Small members are held in memory, layers lie in a staging folder beside the destination: into a folder they
//! are moved, into an archive copied. Keeps the order in which members were added.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use layerprint_store::id::{BlobDigest, DiffId};
use sha2::Sha256;
use tempfile::TempDir;

use super::compress::Encoder;
use super::digest::{Hashing, Tee, diff_id};
use super::{Algorithm, Compression, Layer, WriteError, at, estargz};

pub(super) struct Bundle {
    staging: TempDir,
    members: Vec<(String, Member)>,
    names: HashSet<String>,
    packed: HashMap<*const Layer, PackedLayer>,
}

pub(super) enum Member {
    Folder,
    Bytes(Vec<u8>),
    Staged(PathBuf),
    Symlink(String),
}

/// A layer as it lies in the staging folder.
#[derive(Debug, Clone)]
pub(super) struct PackedLayer {
    pub diff_id: DiffId,
    pub digest: BlobDigest,
    pub size_bytes: u64,
    pub compression: Compression,
    pub toc_digest: Option<String>,
    pub staged: PathBuf,
}

impl Bundle {
    pub fn beside(destination: &Path) -> Result<Self, WriteError> {
        let parent = destination.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let staging =
            fs::create_dir_all(parent).and_then(|()| TempDir::new_in(parent)).map_err(at(parent))?;
        Ok(Self { staging, members: Vec::new(), names: HashSet::new(), packed: HashMap::new() })
    }

    /// Adds a member, unless there is one of that name.
    pub fn add(&mut self, name: impl Into<String>, member: Member) {
        let name = name.into();
        if self.names.insert(name.clone()) {
            self.members.push((name, member));
        }
    }

    /// Moves the members that match in front of the others, both in the order that they had.
    pub fn bring_forward(&mut self, first: impl Fn(&str, &Member) -> bool) {
        self.members.sort_by_key(|(name, member)| !first(name, member));
    }

    /// Writes a layer to the staging folder; one that several images share by being clones, only once.
    pub fn pack(
        &mut self,
        layer: &Arc<Layer>,
        compression: Compression,
        algorithm: Algorithm,
    ) -> Result<PackedLayer, WriteError> {
        if let Some(packed) = self.packed.get(&Arc::as_ptr(layer)) {
            return Ok(packed.clone());
        }
        let staged = self.staging.path().join(self.packed.len().to_string());
        let packed = pack_layer(layer, compression, algorithm, &staged).map_err(at(&staged))?;
        self.packed.insert(Arc::as_ptr(layer), packed.clone());
        Ok(packed)
    }

    pub fn write_folder(self, folder: &Path) -> Result<(), WriteError> {
        fs::create_dir_all(folder).map_err(at(folder))?;
        for (name, member) in &self.members {
            let path = folder.join(name);
            let parent = path.parent().expect("a member lies in the folder");
            fs::create_dir_all(parent).and_then(|()| place(member, &path)).map_err(at(&path))?;
        }
        Ok(())
    }

    pub fn write_archive(self, file: &Path, outer: Compression) -> Result<(), WriteError> {
        let mut tar = Layer::new();
        for (name, member) in &self.members {
            tar = match member {
                Member::Folder => tar.dir(format!("{name}/")),
                Member::Bytes(bytes) => tar.file(name, &bytes[..]),
                Member::Staged(path) => tar.file_from(name, path).mode(0o644),
                Member::Symlink(target) => tar.symlink(name, target),
            };
        }
        write_tar_file(&tar, file, outer)
    }
}

/// Writes a tar to a file, compressed as a whole.
pub(super) fn write_tar_file(tar: &Layer, file: &Path, outer: Compression) -> Result<(), WriteError> {
    let write = || {
        let mut out = Encoder::new(outer, BufWriter::new(File::create(file)?))?;
        tar.write_tar(&mut out)?;
        out.finish()?.flush()
    };
    write().map_err(at(file))
}

fn place(member: &Member, path: &Path) -> io::Result<()> {
    match member {
        Member::Folder => fs::create_dir_all(path),
        Member::Bytes(bytes) => fs::write(path, bytes),
        Member::Staged(staged) => fs::rename(staged, path),
        Member::Symlink(target) => symlink(target, path),
    }
}

#[cfg(unix)]
fn symlink(target: &str, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn symlink(_: &str, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn pack_layer(
    layer: &Layer,
    compression: Compression,
    algorithm: Algorithm,
    staged: &Path,
) -> io::Result<PackedLayer> {
    let mut file = Hashing::new(BufWriter::new(File::create(staged)?), algorithm);
    let mut hasher = Sha256::default();
    let mut toc_digest = None;
    if compression == Compression::EStargz {
        toc_digest = Some(estargz::write(layer, &mut file, &mut hasher)?);
    } else {
        let mut encoder = Encoder::new(compression, &mut file)?;
        layer.write_tar(&mut Tee { inner: &mut encoder, hasher: &mut hasher })?;
        encoder.finish()?;
    }
    let (mut file, digest, size_bytes) = file.finish();
    file.flush()?;
    let staged = staged.to_owned();
    Ok(PackedLayer { diff_id: diff_id(hasher), digest, size_bytes, compression, toc_digest, staged })
}
