//! A layer as a list of entries, in the order in which they are to be written.
//!
//! Says nothing about how the layer is compressed or kept; [`Image`](super::Image) stacks it and the forms
//! write it. Nothing is sorted, merged or corrected: a duplicate path, a link without a target or a body of
//! hand-made bytes comes out as it went in.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tar::EntryType;

use super::WriteError;
use super::declared::Declared;
use super::entry::{Body, Entry, Kind, LongNames};
use super::extension::pax_blocks;

/// A layer under construction. Methods that name no path apply to the entry added last.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    pub(super) items: Vec<Item>,
    pub(super) long_names: LongNames,
    pub(super) unfinished: bool,
    pub(super) tail: Vec<u8>,
    pub(super) declared: Declared,
}

#[derive(Debug, Clone)]
pub(super) enum Item {
    Entry(Entry),
    Raw(Arc<[u8]>),
}

/// Entries.
impl Layer {
    /// Starts a layer without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wraps a finished tar, or what passes for one: written as it is, without end blocks added.
    pub fn from_bytes(tar: impl Into<Vec<u8>>) -> Self {
        Self::new().raw(tar).without_end()
    }

    /// Adds a directory.
    #[must_use]
    pub fn dir(self, path: impl AsRef<[u8]>) -> Self {
        self.entry(path, Kind::Directory)
    }

    /// Adds a regular file.
    #[must_use]
    pub fn file(self, path: impl AsRef<[u8]>, contents: impl Into<Vec<u8>>) -> Self {
        self.entry(path, Kind::File(Body::Bytes(contents.into().into())))
    }

    /// Adds a regular file whose contents and mode are read from disk while the layer is written.
    #[must_use]
    pub fn file_from(self, path: impl AsRef<[u8]>, disk: impl Into<PathBuf>) -> Self {
        self.entry(path, Kind::File(Body::Disk(disk.into())))
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(path, Kind::Symlink(target.as_ref().to_vec()))
    }

    /// Adds a hard link to a path, which need not exist.
    #[must_use]
    pub fn hard_link(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(path, Kind::HardLink(target.as_ref().to_vec()))
    }

    /// Adds a character device.
    #[must_use]
    pub fn char_device(self, path: impl AsRef<[u8]>, major: u32, minor: u32) -> Self {
        self.entry(path, Kind::CharDevice(major, minor))
    }

    /// Adds a block device.
    #[must_use]
    pub fn block_device(self, path: impl AsRef<[u8]>, major: u32, minor: u32) -> Self {
        self.entry(path, Kind::BlockDevice(major, minor))
    }

    /// Adds a named pipe.
    #[must_use]
    pub fn fifo(self, path: impl AsRef<[u8]>) -> Self {
        self.entry(path, Kind::Fifo)
    }

    /// Removes a file or folder of the layers below: adds `.wh.NAME` beside it.
    #[must_use]
    pub fn whiteout(self, path: impl AsRef<[u8]>) -> Self {
        let path = path.as_ref();
        let name_at = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let (parent, name) = path.split_at(name_at);
        self.file([parent, b".wh.", name].concat(), "")
    }

    /// Hides everything that the layers below have in a folder: adds `.wh..wh..opq` to it.
    #[must_use]
    pub fn opaque(self, dir: impl AsRef<[u8]>) -> Self {
        self.file([dir.as_ref(), b"/.wh..wh..opq"].concat(), "")
    }

    /// Adds PAX records that hold for all entries that follow.
    #[must_use]
    pub fn pax_global(self, records: &[(&str, &str)]) -> Self {
        let owned: Vec<_> = records.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        self.raw(pax_blocks(EntryType::XGlobalHeader, b"global", &owned))
    }

    /// Adds bytes as they are, in whole blocks if what follows is to be read: a sparse file, a strange header.
    #[must_use]
    pub fn raw(mut self, blocks: impl Into<Vec<u8>>) -> Self {
        self.items.push(Item::Raw(blocks.into().into()));
        self
    }

    fn entry(mut self, path: impl AsRef<[u8]>, kind: Kind) -> Self {
        self.items.push(Item::Entry(Entry::new(path, kind)));
        self
    }
}

/// The entry added last. Each of these panics when there is none, or when it was added by [`raw`](Layer::raw).
impl Layer {
    /// Sets the permission bits.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.last().mode = Some(mode);
        self
    }

    /// Sets user and group, 0 unless told.
    #[must_use]
    pub fn owner(mut self, uid: u64, gid: u64) -> Self {
        (self.last().uid, self.last().gid) = (uid, gid);
        self
    }

    /// Sets the time in seconds since 1970, 2026-01-01 unless told.
    #[must_use]
    pub fn mtime(mut self, seconds: u64) -> Self {
        self.last().mtime = seconds;
        self
    }

    /// Sets an extended attribute, for example `security.capability`.
    #[must_use]
    pub fn xattr(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax(format!("SCHILY.xattr.{name}"), value)
    }

    /// Adds a PAX record in front of the entry.
    #[must_use]
    pub fn pax(mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.last().pax.push((key.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Writes another size into the header than the body has.
    #[must_use]
    pub fn size_field(mut self, size_bytes: u64) -> Self {
        self.last().size_field = Some(size_bytes);
        self
    }

    fn last(&mut self) -> &mut Entry {
        match self.items.last_mut() {
            Some(Item::Entry(entry)) => entry,
            _ => panic!("an attribute must follow the entry that it belongs to"),
        }
    }
}

/// The layer as a whole.
impl Layer {
    /// Chooses where names of more than 100 bytes go.
    #[must_use]
    pub fn long_names(mut self, long_names: LongNames) -> Self {
        self.long_names = long_names;
        self
    }

    /// Leaves out the two zero blocks that end an archive.
    #[must_use]
    pub fn without_end(mut self) -> Self {
        self.unfinished = true;
        self
    }

    /// Adds bytes behind the end of the archive, which belong to the layer's diff ID all the same.
    #[must_use]
    pub fn tail(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.tail = bytes.into();
        self
    }

    /// Returns the layer's tar.
    pub fn to_tar(&self) -> Result<Vec<u8>, WriteError> {
        let mut tar = Vec::new();
        self.write_tar(&mut tar).map_err(super::at(Path::new("memory")))?;
        Ok(tar)
    }

    pub(super) fn write_tar(&self, out: &mut impl Write) -> io::Result<()> {
        for item in &self.items {
            match item {
                Item::Entry(entry) => entry.write(out, self.long_names)?,
                Item::Raw(bytes) => out.write_all(bytes)?,
            }
        }
        self.write_end(out)
    }

    pub(super) fn write_end(&self, out: &mut impl Write) -> io::Result<()> {
        if !self.unfinished {
            out.write_all(&[0; 1024])?;
        }
        out.write_all(&self.tail)
    }
}
