//! Layers as stargz-snapshotter converts them: seekable, with a table of contents as the last entry.
//!
//! The format is described in
//! <https://github.com/containerd/stargz-snapshotter/blob/main/docs/estargz.md>. The landmark and the table are
//! entries of the tar, so the diff ID differs from that of the layer they were added to.

use std::io::{self, Write};

use data_encoding::HEXLOWER;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::compress::GZIP_LEVEL;
use super::digest::{Hashing, Tee};
use super::entry::{Body, Entry, Kind, LongNames};
use super::extension::padding;
use super::layer::{Item, Layer};

const LANDMARK: &str = ".no.prefetch.landmark";
const TOC: &str = "stargz.index.json";

/// Writes the layer and returns the digest of its table of contents, for the annotation of that name.
pub(super) fn write<W: Write>(
    layer: &Layer,
    out: &mut Hashing<W>,
    diff_id: &mut Sha256,
) -> io::Result<String> {
    let mut writer = Writer { out, diff_id, rows: Vec::new(), names: layer.long_names };
    writer.entry(&Entry::new(LANDMARK, Kind::File(Body::Bytes([0x0f].into()))))?;
    for item in &layer.items {
        match item {
            Item::Entry(entry) => writer.entry(entry)?,
            Item::Raw(bytes) => writer.member(|out| out.write_all(bytes))?,
        }
    }
    writer.end(layer)
}

struct Writer<'a, W> {
    out: &'a mut Hashing<W>,
    diff_id: &'a mut Sha256,
    rows: Vec<Value>,
    names: LongNames,
}

impl<W: Write> Writer<'_, W> {
    fn member<T>(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
        let mut gzip = GzEncoder::new(&mut *self.out, GZIP_LEVEL);
        let result = write(&mut Tee { inner: &mut gzip, hasher: self.diff_id })?;
        gzip.finish()?;
        Ok(result)
    }

    fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        let names = self.names;
        let size_bytes = self.member(|mut out| entry.write_head(&mut out, names))?;
        let mut row = row(entry, size_bytes);
        if size_bytes > 0 {
            row["offset"] = self.out.size_bytes().into();
            let digest = self.member(|mut out| {
                let mut content = Sha256::new();
                entry.write_body(&mut Tee { inner: &mut out, hasher: &mut content }, size_bytes)?;
                out.write_all(padding(size_bytes))?;
                Ok(format!("sha256:{}", HEXLOWER.encode(&content.finalize())))
            })?;
            row["chunkDigest"] = digest.as_str().into();
            row["digest"] = digest.into();
        }
        self.rows.push(row);
        Ok(())
    }

    fn end(mut self, layer: &Layer) -> io::Result<String> {
        let toc = json!({"version": 1, "entries": std::mem::take(&mut self.rows)}).to_string();
        let toc_at = self.out.size_bytes();
        let digest = format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(&toc)));
        let entry = Entry::new(TOC, Kind::File(Body::Bytes(toc.into_bytes().into())));
        self.member(|mut out| {
            entry.write(&mut out, LongNames::Ustar)?;
            layer.write_end(&mut out)
        })?;
        self.out.write_all(&footer(toc_at))?;
        Ok(digest)
    }
}

fn row(entry: &Entry, size_bytes: u64) -> Value {
    let (kind, link) = match &entry.kind {
        Kind::File(_) => ("reg", None),
        Kind::Directory => ("dir", None),
        Kind::Symlink(target) => ("symlink", Some(target)),
        Kind::HardLink(target) => ("hardlink", Some(target)),
        Kind::CharDevice(..) => ("char", None),
        Kind::BlockDevice(..) => ("block", None),
        Kind::Fifo => ("fifo", None),
    };
    let name = String::from_utf8_lossy(&entry.path);
    let mut row = json!({"name": name, "type": kind, "uid": entry.uid, "gid": entry.gid});
    if size_bytes > 0 {
        row["size"] = size_bytes.into();
    }
    if let Some(target) = link {
        row["linkName"] = String::from_utf8_lossy(target).into();
    }
    row
}

/// Returns an empty gzip member of 51 bytes whose extra field says where the table's member begins.
fn footer(toc_at: u64) -> Vec<u8> {
    let mut footer = vec![0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0, b'S', b'G', 22, 0];
    footer.extend(format!("{toc_at:016x}STARGZ").into_bytes());
    footer.extend([1, 0, 0, 0xff, 0xff]);
    footer.extend([0; 8]);
    footer
}
