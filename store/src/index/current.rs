//! `CURRENT`: which segments are live, and up to which commit.
//!
//! A few lines of text with a checksum, replaced by renaming: whoever reads it sees one published state or another, never
//! a part of one.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use data_encoding::HEXLOWER;

use super::segment::{SegmentId, checksum};
use crate::error::{Result, StoreError};
use crate::format::STORE_ID_BYTES;
use crate::format::index::{CURRENT_BYTES_MAX, CURRENT_MAGIC, CURRENT_VERSION, KEY_CONTEXT};
use crate::log::frame::Position;
use crate::log::pack::sync_directory;

/// A published state of the index.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Current {
    /// Everything that was committed up to here is in the segments.
    pub(crate) through: Position,
    /// Bytes of all commit frames up to there.
    pub(crate) commit_bytes: u64,
    /// The live segments, oldest first.
    pub(crate) segments: Vec<SegmentId>,
}

impl Current {
    /// Reads what was published last; none if nothing was.
    ///
    /// # Errors
    ///
    /// [`StoreError::IndexDamaged`] if it cannot be made out.
    pub(crate) fn read(root: &Path, store_id: &[u8; STORE_ID_BYTES]) -> Result<Option<Self>> {
        let path = root.join("CURRENT");
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(CURRENT_BYTES_MAX).read_to_string(&mut text));
        match read {
            Ok(_) => parse(&text, store_id).map(Some).ok_or_else(damaged),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(damaged()),
            Err(error) => Err(StoreError::io(&path, "read")(error)),
        }
    }

    /// Makes this the published state.
    pub(crate) fn publish(&self, root: &Path, store_id: &[u8; STORE_ID_BYTES]) -> Result<()> {
        let (path, half_made) = (root.join("CURRENT"), root.join("CURRENT.new"));
        let written = create_anew(&half_made).and_then(|mut file| {
            file.write_all(self.to_text(store_id).as_bytes())?;
            file.sync_all()
        });
        written.map_err(StoreError::io(&half_made, "write"))?;
        fs::rename(&half_made, &path).map_err(StoreError::io(&path, "replace"))?;
        sync_directory(root)
    }

    fn to_text(&self, store_id: &[u8; STORE_ID_BYTES]) -> String {
        let Position { pack, offset_bytes } = self.through;
        let mut text = format!("{CURRENT_MAGIC}\nversion {CURRENT_VERSION}\nthrough {pack} {offset_bytes}\n");
        text += &format!("commits {}\n", self.commit_bytes);
        for segment in &self.segments {
            text += &format!("segment {}\n", HEXLOWER.encode(segment));
        }
        let sum = sum(&text, store_id);
        text + &format!("checksum {sum}\n")
    }
}

fn damaged() -> StoreError {
    let (file, problem) = ("CURRENT".to_owned(), "not what was written".to_owned());
    StoreError::IndexDamaged { file, offset_bytes: 0, problem }
}

/// Creates a file in the place of whatever has its name: a link there is removed, not followed.
fn create_anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::create_new(path)
}

fn parse(text: &str, store_id: &[u8; STORE_ID_BYTES]) -> Option<Current> {
    let (body, stated) = text.strip_suffix('\n')?.rsplit_once("\nchecksum ")?;
    let body = &text[..=body.len()];
    if sum(body, store_id) != stated {
        return None;
    }
    let mut lines = body.lines();
    let version = format!("version {CURRENT_VERSION}");
    if lines.next()? != CURRENT_MAGIC || lines.next()? != version {
        return None;
    }
    let (pack, offset) = lines.next()?.strip_prefix("through ")?.split_once(' ')?;
    let through = Position { pack: pack.parse().ok()?, offset_bytes: offset.parse().ok()? };
    let commit_bytes = lines.next()?.strip_prefix("commits ")?.parse().ok()?;
    let segment =
        |line: &str| HEXLOWER.decode(line.strip_prefix("segment ")?.as_bytes()).ok()?.try_into().ok();
    Some(Current { through, commit_bytes, segments: lines.map(segment).collect::<Option<_>>()? })
}

fn sum(text: &str, store_id: &[u8; STORE_ID_BYTES]) -> String {
    HEXLOWER.encode(&checksum(&blake3::derive_key(KEY_CONTEXT, store_id), text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_link_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (root, target) = (folder.path().join("store"), folder.path().join("target"));
        fs::create_dir(&root).unwrap();
        fs::write(&target, "mine").unwrap();
        std::os::unix::fs::symlink(&target, root.join("CURRENT.new")).unwrap();
        Current::default().publish(&root, &[7; STORE_ID_BYTES]).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
        assert_eq!(Current::read(&root, &[7; STORE_ID_BYTES]).unwrap(), Some(Current::default()));
    }

    #[test]
    fn what_is_published_is_read_and_what_is_damaged_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (root, store_id) = (folder.path(), [7; STORE_ID_BYTES]);
        assert_eq!(Current::read(root, &store_id).unwrap(), None);
        let through = Position { pack: 3, offset_bytes: 1 << 40 };
        for segments in [vec![], vec![[1; 16], [0xfe; 16]]] {
            let current = Current { through, commit_bytes: 77, segments };
            current.publish(root, &store_id).unwrap();
            assert_eq!(Current::read(root, &store_id).unwrap(), Some(current.clone()));
            assert!(Current::read(root, &[8; STORE_ID_BYTES]).is_err(), "of another store");
            let bytes = fs::read(root.join("CURRENT")).unwrap();
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1;
                fs::write(root.join("CURRENT"), damaged).unwrap();
                assert!(Current::read(root, &store_id).is_err(), "byte {at}");
                fs::write(root.join("CURRENT"), &bytes[..at]).unwrap();
                assert!(Current::read(root, &store_id).is_err(), "cut at {at}");
            }
        }
    }
}
