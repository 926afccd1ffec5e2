//! Tar entries -> fingerprint: what each entry means in a layer.
//!
//! Paths are cleaned lexically, whiteouts recognised, bodies hashed, hard links given their target's contents.
//! Nothing touches the file system and no symbolic link is followed. The rules are those by which containerd and
//! moby apply a layer (`pkg/archive/diff.go`, the OCI image specification's `layer.md`); what they would refuse or
//! ignore is recorded as an anomaly.

use std::collections::{HashMap, HashSet};

use layerprint_store::id::ContentId;
use layerprint_store::{Anomalies, AnomalyKind, Content, EntryKind, Fingerprint};

use crate::error::LayerError;
use crate::limits::Limits;
use crate::memory::building_bytes;
use crate::places::{PathHash, Places};
use crate::slots::Slots;
use crate::tar::{ReadSkip, TarEntry, TarKind, TarReader};

const WHITEOUT_PREFIX: &[u8] = b".wh.";
/// Names that AUFS kept for itself at the root of a layer. Docker skips them, except the opaque mark.
const AUFS_PREFIX: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Files that eStargz adds at the root of a layer (containerd/stargz-snapshotter, `estargz.md`): an index as the last
/// entry, and a mark whose whole content is 0x0f. A conversion leaves them; they say nothing of what is inside.
const STARGZ_INDEX: &[u8] = b"stargz.index.json";
const STARGZ_LANDMARKS: [&[u8]; 2] = [b".prefetch.landmark", b".no.prefetch.landmark"];
const STARGZ_LANDMARK_CONTENT: &[u8] = &[0x0f];

/// Collects the entries of one layer.
pub struct Builder {
    slots: Slots,
    /// Where the entry for a path stands. Whiteouts and opaque marks reach other layers and are not here.
    places: Places,
    /// Contents that Docker keeps only to link to, under `.wh..wh.plnk`.
    aufs_contents: HashMap<Box<[u8]>, EntryKind>,
    anomalies: Anomalies,
    /// Room for the path of one entry.
    path: Vec<u8>,
    entry_count: u64,
    paths_bytes: u64,
    paths_bytes_max: u64,
    memory_bytes_max: u64,
    hasher: blake3::Hasher,
}

impl Builder {
    /// Starts a layer.
    pub fn new(limits: &Limits) -> Self {
        Self {
            slots: Slots::new(),
            path: Vec::new(),
            places: Places::default(),
            aufs_contents: HashMap::new(),
            anomalies: Anomalies::default(),
            entry_count: 0,
            paths_bytes: 0,
            paths_bytes_max: limits.paths_bytes_max,
            memory_bytes_max: limits.image_memory_bytes_max,
            hasher: blake3::Hasher::new(),
        }
    }

    /// Takes the entry at which the reader stands, and its body. It was counted before.
    pub fn add<R: ReadSkip>(&mut self, entry: TarEntry, reader: &mut TarReader<R>) -> Result<(), LayerError> {
        let mut path = std::mem::take(&mut self.path);
        self.clean(&entry.path, entry.header_offset_bytes, &mut path);
        let added = self.add_at(&path, &entry, reader);
        self.path = path;
        added
    }

    fn add_at<R: ReadSkip>(
        &mut self,
        path: &[u8],
        entry: &TarEntry,
        reader: &mut TarReader<R>,
    ) -> Result<(), LayerError> {
        if path.starts_with(AUFS_PREFIX) && path != OPAQUE {
            return self.keep_for_links(path, entry, reader);
        }
        let (parent, name) = split(path);
        if let Some(hidden) = name.strip_prefix(WHITEOUT_PREFIX) {
            self.add_whiteout(parent, hidden, name == OPAQUE, entry);
            return Ok(());
        }
        if entry.kind == TarKind::GlobalHeader {
            self.remove(path);
            return Ok(());
        }
        let Some(kind) = self.kind_of(entry, reader)? else { return Ok(()) };
        if !self.is_stargz_landmark(path, &kind) {
            self.insert(path, entry, kind);
        }
        Ok(())
    }

    /// Returns the fingerprint and what was odd.
    pub fn finish(mut self) -> (Fingerprint, Anomalies) {
        self.drop_stargz_index();
        self.resolve_links();
        drop((self.places, self.aufs_contents));
        (Fingerprint::from_entries(self.slots.into_entries()), self.anomalies)
    }

    /// Counts an entry, before anything of it is kept. What it takes the place of stays counted.
    pub fn count(&mut self, entry: &TarEntry) -> Result<(), LayerError> {
        self.entry_count += 1;
        self.paths_bytes += (entry.path.len() + entry.link_target.len()) as u64;
        let memory_bytes = self.entry_count * Fingerprint::ENTRY_BYTES + self.paths_bytes;
        let limits = [
            ("paths_bytes_max", self.paths_bytes_max, self.paths_bytes),
            ("image_memory_bytes_max", self.memory_bytes_max, memory_bytes),
        ];
        match limits.into_iter().find(|(_, max, found)| found > max) {
            Some((limit, max, _)) => Err(LayerError::Limit { limit, max }),
            None => Ok(()),
        }
    }

    /// Returns about how much memory the entries that were counted take until their layer is stored.
    pub(crate) fn memory_bytes(&self) -> u64 {
        building_bytes(self.entry_count, self.paths_bytes)
    }

    fn clean(&mut self, path: &[u8], offset_bytes: u64, clean: &mut Vec<u8>) {
        if clean_into(path, clean) {
            self.anomalies.add(AnomalyKind::EscapingPath, Some(offset_bytes), path);
        }
        if path.is_empty() {
            self.anomalies.add(AnomalyKind::EmptyPath, Some(offset_bytes), path);
        }
    }

    fn add_whiteout(&mut self, parent: &[u8], hidden: &[u8], opaque: bool, entry: &TarEntry) {
        let (path, kind) = match hidden {
            _ if opaque => (parent.to_vec(), EntryKind::Opaque),
            b"" | b"." | b".." => {
                let place = Some(entry.header_offset_bytes);
                return self.anomalies.add(AnomalyKind::InvalidWhiteout, place, &entry.path);
            }
            _ => (join(parent, hidden), EntryKind::Whiteout),
        };
        self.slots.push(&path, (0, 0, 0), kind);
    }

    /// Returns what the entry is, or nothing if it leaves no trace in a file system.
    fn kind_of<R: ReadSkip>(
        &mut self,
        entry: &TarEntry,
        reader: &mut TarReader<R>,
    ) -> Result<Option<EntryKind>, LayerError> {
        let (major, minor) = (device_number(entry.device_major), device_number(entry.device_minor));
        Ok(Some(match entry.kind {
            TarKind::File => EntryKind::File { content: self.hash_body(entry, reader)?, linked: false },
            TarKind::Directory => EntryKind::Directory,
            TarKind::Symlink => EntryKind::Symlink(entry.link_target.clone().into()),
            TarKind::HardLink => {
                let mut target = Vec::new();
                self.clean(&entry.link_target, entry.header_offset_bytes, &mut target);
                self.link_to(&target).unwrap_or(EntryKind::HardLink(target.into()))
            }
            TarKind::CharDevice => EntryKind::CharDevice { major, minor },
            TarKind::BlockDevice => EntryKind::BlockDevice { major, minor },
            TarKind::Fifo => EntryKind::Fifo,
            TarKind::GlobalHeader => return Ok(None),
            // The tar reader has it on record.
            TarKind::Other(_) => return Ok(None),
        }))
    }

    fn hash_body<R: ReadSkip>(
        &mut self,
        entry: &TarEntry,
        reader: &mut TarReader<R>,
    ) -> Result<Content, LayerError> {
        self.hasher.reset();
        let mut size_bytes = 0;
        let hasher = &mut self.hasher;
        let hash = &mut |bytes: &[u8]| {
            hasher.update(bytes);
        };
        loop {
            match reader.pass_body(usize::MAX, hash)? {
                0 => break,
                count => size_bytes += count as u64,
            }
        }
        debug_assert_eq!(size_bytes, entry.size_bytes, "the reader gives whole bodies or an error");
        let id = ContentId::from_bytes(*self.hasher.finalize().as_bytes());
        Ok(Content { id, size_bytes })
    }

    /// A hard link takes what stands at its target at that moment: Docker creates links in the order of the archive.
    fn link_to(&self, target: &[u8]) -> Option<EntryKind> {
        let place = self.places.get(target, &self.slots);
        let kind =
            place.and_then(|place| self.slots.kind(place)).or_else(|| self.aufs_contents.get(target))?;
        match kind {
            EntryKind::File { content, .. } => Some(EntryKind::File { content: *content, linked: true }),
            EntryKind::HardLink(_) | EntryKind::Directory => None,
            other => Some(other.clone()),
        }
    }

    fn insert(&mut self, path: &[u8], entry: &TarEntry, kind: EntryKind) {
        if path.is_empty() && kind != EntryKind::Directory {
            // The root cannot be anything else; umoci once could be led out of it this way (CVE-2021-29136).
            return self.anomalies.add(AnomalyKind::EmptyPath, Some(entry.header_offset_bytes), &entry.path);
        }
        let hash = self.places.hash(path);
        if self.make_way(hash, path, &kind) {
            self.anomalies.add(AnomalyKind::DuplicatePath, Some(entry.header_offset_bytes), path);
        }
        let (uid, gid) = (entry.uid.cast_unsigned(), entry.gid.cast_unsigned());
        self.slots.push(path, (entry.mode & 0o7777, uid, gid), kind);
        self.places.enter_last(hash, &mut self.slots);
    }

    /// Takes away what earlier entries of this layer put at the path, and below it unless this is a directory: unpacked,
    /// it would be gone, also where nothing but what lies in it had made the directory. Returns true if something was.
    fn make_way(&mut self, hash: PathHash, path: &[u8], kind: &EntryKind) -> bool {
        let is_directory = *kind == EntryKind::Directory;
        let earlier = self.take(hash, path);
        let replaced = earlier.is_some_and(|was| !is_directory || was != EntryKind::Directory);
        let emptied = !is_directory && self.remove_below(hash, path);
        replaced || emptied
    }

    /// Does what containerd does before it finds that a global header is nothing to unpack: the path goes, with all
    /// below it, from this layer and from those below.
    fn remove(&mut self, path: &[u8]) {
        if path.is_empty() {
            return;
        }
        let hash = self.places.hash(path);
        self.take(hash, path);
        self.remove_below(hash, path);
        self.slots.push(path, (0, 0, 0), EntryKind::Whiteout);
    }

    fn take(&mut self, hash: PathHash, path: &[u8]) -> Option<EntryKind> {
        let place = self.places.remove(hash, path, &self.slots)?;
        self.slots.take(place)
    }

    fn remove_below(&mut self, hash: PathHash, path: &[u8]) -> bool {
        let below = self.places.remove_below(hash, path, &self.slots);
        below.iter().for_each(|place| _ = self.slots.take(*place));
        !below.is_empty()
    }

    fn keep_for_links<R: ReadSkip>(
        &mut self,
        path: &[u8],
        entry: &TarEntry,
        reader: &mut TarReader<R>,
    ) -> Result<(), LayerError> {
        if let Some(kind) = self.kind_of(entry, reader)? {
            self.aufs_contents.insert(path.into(), kind);
        }
        Ok(())
    }

    /// Gives links that stood before their target what the layer holds there in the end.
    fn resolve_links(&mut self) {
        // Each link is walked over once: a second visit means a cycle, or a chain that is known to lead nowhere.
        let mut visited = HashSet::new();
        for start in 0..self.slots.len() {
            let mut chain = Vec::new();
            let mut next = Some(start);
            let end = loop {
                match next.and_then(|place| Some((place, self.link_target(place)?))) {
                    Some((place, target)) if visited.insert(place) => {
                        chain.push(place);
                        next = self.places.get(target, &self.slots);
                    }
                    Some(_) => break None,
                    None => break next,
                }
            };
            self.fill_links(&chain, end);
        }
    }

    fn link_target(&self, place: usize) -> Option<&[u8]> {
        match self.slots.kind(place) {
            Some(EntryKind::HardLink(target)) => Some(target),
            _ => None,
        }
    }

    fn fill_links(&mut self, chain: &[usize], end: Option<usize>) {
        let Some((last, end)) = chain.last().zip(end) else { return };
        let Some(kind) = self.link_target(*last).and_then(|target| self.link_to(target)) else { return };
        debug_assert!(self.slots.kind(end).is_some(), "places name entries that are there");
        for place in chain {
            self.slots.set_kind(*place, kind.clone());
        }
    }

    fn is_stargz_landmark(&self, path: &[u8], kind: &EntryKind) -> bool {
        STARGZ_LANDMARKS.contains(&path)
            && matches!(kind, EntryKind::File { content, .. }
                if content.id == ContentId::of(STARGZ_LANDMARK_CONTENT))
    }

    fn drop_stargz_index(&mut self) {
        let last = self.slots.len().checked_sub(1);
        if last.is_some() && self.places.get(STARGZ_INDEX, &self.slots) == last {
            self.take(self.places.hash(STARGZ_INDEX), STARGZ_INDEX);
        }
    }
}

/// A header can say more than a device number can hold; the kernel takes the low bits.
fn device_number(said: i64) -> u32 {
    u32::try_from(said & i64::from(u32::MAX)).expect("masked to 32 bits")
}

/// Cleans a path lexically: no empty or `.` components, `..` takes one back and stops at the root. Also tells
/// whether it tried to climb out.
pub fn clean_path(path: &[u8]) -> (Vec<u8>, bool) {
    let mut clean = Vec::with_capacity(path.len());
    let escapes = clean_into(path, &mut clean);
    (clean, escapes)
}

/// Makes `clean` the clean path.
fn clean_into(path: &[u8], clean: &mut Vec<u8>) -> bool {
    clean.clear();
    let mut escapes = false;
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                escapes |= clean.is_empty();
                let parent_len = split(clean).0.len();
                clean.truncate(parent_len);
            }
            name => {
                if !clean.is_empty() {
                    clean.push(b'/');
                }
                clean.extend_from_slice(name);
            }
        }
    }
    escapes
}

/// Splits a clean path into its directory and its last component.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    match parent {
        b"" => name.to_vec(),
        _ => [parent, b"/", name].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::write::Layer;

    fn fingerprint(layer: &Layer) -> Fingerprint {
        let tar = layer.to_tar().unwrap();
        let read = crate::layer::read_layer(&tar[..], &Default::default(), &Limits::default(), &|_| ());
        read.unwrap().fingerprint
    }

    /// A global header by the name of a file, as raw blocks: containerd removes the file, then ignores the header.
    fn global_header(name: &str) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::XGlobalHeader);
        header.set_path(name).unwrap();
        header.set_size(0);
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    #[test]
    fn a_global_header_removes_what_it_is_named_after() {
        let layer = Layer::new().file("bin/sh", "shell").file("bin/ls", "list").raw(global_header("bin/sh"));
        let kinds: Vec<_> =
            fingerprint(&layer).entries().iter().map(|e| (e.path.to_vec(), e.content().is_some())).collect();
        assert_eq!(kinds, [(b"bin/ls".to_vec(), true), (b"bin/sh".to_vec(), false)]);
        let layer = Layer::new().raw(global_header("etc/.wh.passwd"));
        assert_eq!(fingerprint(&layer), fingerprint(&Layer::new().whiteout("etc/passwd")));
    }

    #[test]
    fn paths_are_cleaned_lexically_and_stop_at_the_root() {
        let cases: [(&[u8], &[u8], bool); 8] = [
            (b"./a//b/", b"a/b", false),
            (b"/a", b"a", false),
            (b"a/../b", b"b", false),
            (b"a/b/../../c", b"c", false),
            (b"../etc/passwd", b"etc/passwd", true),
            (b"a/../../b", b"b", true),
            (b".", b"", false),
            (b"caf\xe9/.", b"caf\xe9", false),
        ];
        for (path, clean, escapes) in cases {
            assert_eq!(clean_path(path), (clean.to_vec(), escapes), "{}", path.escape_ascii());
        }
    }
}
