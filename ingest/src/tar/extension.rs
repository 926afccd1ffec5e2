//! The headers that only describe the next entry: PAX, GNU long name and GNU long link.
//!
//! Collects them, and merges them into the entry with the precedence that Go gives them: a long name over a
//! PAX path over the header, the last of several of a kind over the others. What they contradict is recorded.

use layerprint_store::{Anomalies, AnomalyKind};

use super::TarError;
use super::entry::TarEntry;
use super::error::Place;
use super::number::c_string;
use super::pax::{Key, PaxRecords};

/// Which description an extension gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    Pax,
    LongName,
    LongLink,
}

/// What the extensions met so far say of the next entry.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) pax: PaxRecords,
    long_name: Vec<u8>,
    long_link: Vec<u8>,
    is_pending: [bool; 3],
}

impl Extensions {
    pub(super) fn clear(&mut self) {
        self.pax.clear();
        self.long_name.clear();
        self.long_link.clear();
        self.is_pending = [false; 3];
    }

    /// Returns true if an extension waits for its entry.
    pub(super) fn any_pending(&self) -> bool {
        self.is_pending.contains(&true)
    }

    /// Returns the buffer that the body of an extension is to be read into, and whether another one of its
    /// kind, which it replaces, was waiting.
    pub(super) fn buffer(&mut self, extension: Extension) -> (&mut Vec<u8>, bool) {
        let was_pending = std::mem::replace(&mut self.is_pending[extension as usize], true);
        let buffer = match extension {
            Extension::Pax => self.pax.text_mut(),
            Extension::LongName => &mut self.long_name,
            Extension::LongLink => &mut self.long_link,
        };
        (buffer, was_pending)
    }

    /// Makes sense of an extension whose body has been read.
    pub(super) fn parse(&mut self, extension: Extension) -> Result<(), &'static str> {
        match extension {
            Extension::Pax => return self.pax.parse(),
            Extension::LongName => self.long_name.truncate(c_string(&self.long_name).len()),
            Extension::LongLink => self.long_link.truncate(c_string(&self.long_link).len()),
        }
        Ok(())
    }

    /// Merges everything into the entry that follows.
    pub(super) fn apply(&self, entry: &mut TarEntry, anomalies: &mut Anomalies) -> Result<(), TarError> {
        if !self.any_pending() {
            return Ok(());
        }
        if let Some(detail) = self.contradiction(entry) {
            anomalies.add(AnomalyKind::ConflictingHeader, Some(entry.header_offset_bytes), detail);
        }
        self.apply_pax(entry).map_err(|problem| place(entry).bad_pax(problem))?;
        replace(&mut entry.path, &self.long_name);
        replace(&mut entry.link_target, &self.long_link);
        Ok(())
    }

    fn apply_pax(&self, entry: &mut TarEntry) -> Result<(), &'static str> {
        let pax = &self.pax;
        replace(&mut entry.path, pax.get(Key::Path));
        replace(&mut entry.link_target, pax.get(Key::LinkPath));
        entry.uid = pax.number(Key::Uid, "uid is not a number")?.unwrap_or(entry.uid);
        entry.gid = pax.number(Key::Gid, "gid is not a number")?.unwrap_or(entry.gid);
        entry.stated_size = pax.number(Key::Size, "size is not a number")?.unwrap_or(entry.stated_size);
        pax.check_times()
    }

    /// Lets the PAX header of a sparse file say its real name and size.
    pub(super) fn apply_sparse(&self, entry: &mut TarEntry) -> Result<(), TarError> {
        replace(&mut entry.path, self.pax.get(Key::SparseName));
        let key =
            if self.pax.get(Key::SparseSize).is_empty() { Key::SparseRealSize } else { Key::SparseSize };
        let size = self.pax.number(key, "sparse size is not a number");
        let size = size.map_err(|problem| place(entry).bad_pax(problem))?;
        entry.stated_size = size.unwrap_or(entry.stated_size);
        Ok(())
    }

    /// Names what readers that merge in another order would read differently.
    fn contradiction(&self, entry: &TarEntry) -> Option<&'static str> {
        let differ = |one: &[u8], other: &[u8]| !one.is_empty() && !other.is_empty() && one != other;
        if self.pax.is_repeated {
            return Some("pax key repeated");
        }
        if differ(&self.long_name, self.pax.get(Key::Path)) {
            return Some("pax path and gnu long name");
        }
        if differ(&self.long_link, self.pax.get(Key::LinkPath)) {
            return Some("pax linkpath and gnu long link");
        }
        is_odd_size(&self.pax, entry.stated_size).then_some("pax size and header size")
    }
}

/// A PAX size is for files that the header has no digits for; there the header says nothing.
fn is_odd_size(pax: &PaxRecords, header_size: i64) -> bool {
    const OCTAL_SIZE_MAX: i64 = (1 << 33) - 1;
    match pax.number(Key::Size, "") {
        Ok(Some(size)) => size != header_size && (size <= OCTAL_SIZE_MAX || header_size != 0),
        _ => false,
    }
}

fn replace(field: &mut Vec<u8>, value: &[u8]) {
    if !value.is_empty() {
        field.clear();
        field.extend_from_slice(value);
    }
}

fn place(entry: &TarEntry) -> Place<'_> {
    Place { offset_bytes: entry.header_offset_bytes, path: &entry.path }
}
