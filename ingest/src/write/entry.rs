//! One tar entry as bytes: header, long names, PAX records, body, padding.
//!
//! Names go into the header exactly as given (`./x`, `/x`, `x//y`, bytes that are not UTF-8), because what a
//! reader makes of them is what the caller wants to know. The order of entries is left to the layer.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use tar::{EntryType, Header};

use super::disk::{copy_file, mode_on_disk, reading};
use super::extension::{fill, gnu_blocks, padding, pax_blocks};

/// 2026-01-01T00:00:00Z: the time of every entry that is given no other, so that equal input makes equal bytes.
const MTIME_DEFAULT: u64 = 1_767_225_600;

/// Where names of more than 100 bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LongNames {
    /// Into the ustar prefix field, or a PAX record where that does not fit: what Docker writes.
    #[default]
    Ustar,
    /// Into a PAX record.
    Pax,
    /// Into a GNU `L` or `K` entry.
    Gnu,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub path: Vec<u8>,
    pub kind: Kind,
    pub mode: Option<u32>,
    pub uid: u64,
    pub gid: u64,
    pub mtime: u64,
    pub size_field: Option<u64>,
    pub pax: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    File(Body),
    Directory,
    Symlink(Vec<u8>),
    HardLink(Vec<u8>),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Bytes(Arc<[u8]>),
    Disk(PathBuf),
}

impl Entry {
    pub fn new(path: impl AsRef<[u8]>, kind: Kind) -> Self {
        Self {
            path: path.as_ref().to_vec(),
            kind,
            mode: None,
            uid: 0,
            gid: 0,
            mtime: MTIME_DEFAULT,
            size_field: None,
            pax: Vec::new(),
        }
    }

    /// Writes everything in front of the body and returns the body's length.
    pub fn write_head(&self, out: &mut impl Write, names: LongNames) -> io::Result<u64> {
        let size_bytes = self.body_bytes()?;
        let mut header = self.header(self.size_field.unwrap_or(size_bytes), names)?;
        let mut records = self.pax.clone();
        self.place_name(&mut header, names, &mut records, out)?;
        self.place_link(&mut header, names, &mut records, out)?;
        if !records.is_empty() {
            out.write_all(&pax_blocks(EntryType::XHeader, &self.path, &records))?;
        }
        header.set_cksum();
        out.write_all(header.as_bytes())?;
        Ok(size_bytes)
    }

    /// Writes the body without padding, from disk where that is where it lies.
    pub fn write_body(&self, out: &mut impl Write, size_bytes: u64) -> io::Result<()> {
        match &self.kind {
            Kind::File(Body::Bytes(bytes)) => out.write_all(bytes),
            Kind::File(Body::Disk(path)) => copy_file(path, size_bytes, out),
            _ => Ok(()),
        }
    }

    pub fn write(&self, out: &mut impl Write, names: LongNames) -> io::Result<()> {
        let size_bytes = self.write_head(out, names)?;
        self.write_body(out, size_bytes)?;
        out.write_all(padding(size_bytes))
    }

    fn body_bytes(&self) -> io::Result<u64> {
        match &self.kind {
            Kind::File(Body::Bytes(bytes)) => Ok(bytes.len() as u64),
            Kind::File(Body::Disk(path)) => Ok(fs::metadata(path).map_err(reading(path))?.len()),
            _ => Ok(0),
        }
    }

    fn header(&self, size_bytes: u64, names: LongNames) -> io::Result<Header> {
        let mut header = if names == LongNames::Gnu { Header::new_gnu() } else { Header::new_ustar() };
        header.set_entry_type(self.entry_type());
        header.set_mode(self.mode_or_default()?);
        header.set_uid(self.uid);
        header.set_gid(self.gid);
        header.set_mtime(self.mtime);
        header.set_size(size_bytes);
        if let Kind::CharDevice(major, minor) | Kind::BlockDevice(major, minor) = self.kind {
            header.set_device_major(major)?;
            header.set_device_minor(minor)?;
        }
        Ok(header)
    }

    fn entry_type(&self) -> EntryType {
        match self.kind {
            Kind::File(_) => EntryType::Regular,
            Kind::Directory => EntryType::Directory,
            Kind::Symlink(_) => EntryType::Symlink,
            Kind::HardLink(_) => EntryType::Link,
            Kind::CharDevice(..) => EntryType::Char,
            Kind::BlockDevice(..) => EntryType::Block,
            Kind::Fifo => EntryType::Fifo,
        }
    }

    fn mode_or_default(&self) -> io::Result<u32> {
        match (self.mode, &self.kind) {
            (Some(mode), _) => Ok(mode),
            (None, Kind::File(Body::Disk(path))) => {
                Ok(mode_on_disk(&fs::metadata(path).map_err(reading(path))?))
            }
            (None, Kind::Directory) => Ok(0o755),
            (None, Kind::Symlink(_)) => Ok(0o777),
            (None, _) => Ok(0o644),
        }
    }

    fn place_name(
        &self,
        header: &mut Header,
        names: LongNames,
        records: &mut Vec<(Vec<u8>, Vec<u8>)>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let path = &self.path;
        if path.len() > 100 {
            match (names, split_point(path)) {
                (LongNames::Gnu, _) => out.write_all(&gnu_blocks(EntryType::GNULongName, path))?,
                (LongNames::Ustar, Some(slash)) => {
                    let ustar = header.as_ustar_mut().expect("made as ustar");
                    fill(&mut ustar.prefix, &path[..slash]);
                    fill(&mut ustar.name, &path[slash + 1..]);
                    return Ok(());
                }
                _ => records.insert(0, (b"path".to_vec(), path.clone())),
            }
        }
        fill(&mut header.as_old_mut().name, path);
        Ok(())
    }

    fn place_link(
        &self,
        header: &mut Header,
        names: LongNames,
        records: &mut Vec<(Vec<u8>, Vec<u8>)>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let (Kind::Symlink(target) | Kind::HardLink(target)) = &self.kind else { return Ok(()) };
        if target.len() > 100 {
            match names {
                LongNames::Gnu => out.write_all(&gnu_blocks(EntryType::GNULongLink, target))?,
                _ => records.insert(0, (b"linkpath".to_vec(), target.clone())),
            }
        }
        fill(&mut header.as_old_mut().linkname, target);
        Ok(())
    }
}

/// Returns the slash that parts a name into a prefix of at most 155 and a rest of 1 to 100 bytes.
fn split_point(path: &[u8]) -> Option<usize> {
    let first = path.len().checked_sub(101)?;
    (first.max(1)..path.len().min(156)).find(|&at| path[at] == b'/' && at + 1 < path.len())
}
