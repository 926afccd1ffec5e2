//! Append-only files that hold what is too large for the catalogue, and every commit.
//!
//! Frames say enough of themselves that packs alone can rebuild the catalogue. They are written at known offsets and
//! never changed; where bytes are cut off or written over at all, a copy is set aside first. Reading frames one after the
//! other is left to `walk`, what a commit is and when it counts to `recovery` and `journal`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::aside::Aside;
use crate::error::{Result, StoreError};
use crate::format::STORE_ID_BYTES;
use crate::format::pack::{
    FRAME_HEADER_BYTES, HEADER_BYTES, KEY_CONTEXT, MAGIC, PACK_BYTES_MAX, PAYLOAD_BYTES_MAX, VERSION,
};
use crate::log::frame::{self, Frame, FrameKind, Place, Position};

/// The directory of packs of one store.
pub(crate) struct Packs {
    directory: PathBuf,
    store_id: [u8; STORE_ID_BYTES],
    key: [u8; 32],
    pack_bytes_max: u64,
    files: RwLock<BTreeMap<u32, Arc<File>>>,
    end: Mutex<Position>,
}

impl Packs {
    /// Opens all packs to read them, beside a process that may append.
    pub(crate) fn open_read_only(directory: PathBuf, store_id: [u8; STORE_ID_BYTES]) -> Result<Self> {
        let packs = Self::unopened(directory, store_id);
        for number in packs.numbers_on_disk()? {
            let path = packs.path(number);
            let file = File::open(&path).map_err(StoreError::io(&path, "open"))?;
            packs.set_end(number, packs.length(number, &file)?);
            packs.add_file(number, file);
        }
        Ok(packs)
    }

    /// Opens all packs; appending begins after the last byte until [`Packs::cut`] says otherwise.
    pub(crate) fn open(directory: PathBuf, store_id: [u8; STORE_ID_BYTES]) -> Result<Self> {
        fs::create_dir_all(&directory).map_err(StoreError::io(&directory, "create"))?;
        let packs = Self::unopened(directory, store_id);
        for number in packs.numbers_on_disk()? {
            let file = packs.open_file(number)?;
            packs.set_end(number, packs.length(number, &file)?);
            packs.add_file(number, file);
        }
        Ok(packs)
    }

    /// Returns the id of the store to which packs belong, as most of their headers say.
    pub(crate) fn store_id_of(directory: &Path) -> Result<Option<[u8; STORE_ID_BYTES]>> {
        let mut counts: BTreeMap<[u8; STORE_ID_BYTES], usize> = BTreeMap::new();
        let listing = fs::read_dir(directory).map_err(StoreError::io(directory, "list"))?;
        for item in listing {
            let path = item.map_err(StoreError::io(directory, "list"))?.path();
            let mut header = [0; HEADER_BYTES];
            let read = File::open(&path).and_then(|file| file.read_exact_at(&mut header, 0));
            if read.is_ok() && header[0..4] == MAGIC {
                *counts.entry(header[16..32].try_into().expect("16 bytes")).or_default() += 1;
            }
        }
        Ok(counts.into_iter().max_by_key(|(_, count)| *count).map(|(store_id, _)| store_id))
    }

    /// Fails if the whole header of a pack says that it is another store's: then `FORMAT` or the pack is in the wrong folder, and
    /// nothing here may be taken for unfinished.
    pub(crate) fn expect_ours(&self) -> Result<()> {
        for number in self.numbers_on_disk()? {
            let mut header = [0; HEADER_BYTES];
            let is_read = self.file(number)?.read_exact_at(&mut header, 0).is_ok();
            let ours = self.header(number);
            if is_read && header[..16] == ours[..16] && header[16..] != ours[16..] {
                let at = Position { pack: number, offset_bytes: 0 };
                return Err(self.corrupt(at, "not a pack of this store"));
            }
        }
        Ok(())
    }

    /// Returns true if the first frame of the packs is whole under the id of a store.
    pub(crate) fn fit(directory: &Path, store_id: [u8; STORE_ID_BYTES]) -> Result<bool> {
        let packs = Self::open_read_only(directory.to_owned(), store_id)?;
        Ok(packs.end() > packs.start() && packs.frame(packs.start())?.is_ok())
    }

    /// No packs: those of a store to which nothing was ever written.
    pub(crate) fn none(directory: PathBuf, store_id: [u8; STORE_ID_BYTES]) -> Self {
        Self::unopened(directory, store_id)
    }

    fn unopened(directory: PathBuf, store_id: [u8; STORE_ID_BYTES]) -> Self {
        Self {
            key: blake3::derive_key(KEY_CONTEXT, &store_id),
            directory,
            store_id,
            pack_bytes_max: PACK_BYTES_MAX,
            files: RwLock::default(),
            end: Mutex::default(),
        }
    }

    /// Returns the first position, before all frames.
    pub(crate) fn start(&self) -> Position {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let first = files.keys().next();
        first.map_or_else(Position::default, |pack| Position {
            pack: *pack,
            offset_bytes: HEADER_BYTES as u64,
        })
    }

    /// Returns the position after all frames.
    pub(crate) fn end(&self) -> Position {
        *self.lock_end()
    }

    /// Returns the size of all packs.
    pub(crate) fn size_bytes(&self) -> Result<u64> {
        let numbers = self.numbers_on_disk()?;
        let sizes = numbers.iter().map(|number| self.length(*number, &*self.file(*number)?));
        sizes.sum()
    }

    /// Writes a frame at the end. It is neither durable nor part of any commit yet.
    pub(crate) fn append(&self, kind: FrameKind, key: [u8; 32], payload: &[u8]) -> Result<Place> {
        let payload_bytes = payload.len() as u64;
        if payload_bytes > PAYLOAD_BYTES_MAX {
            let what = format!("{kind:?} frame");
            return Err(StoreError::TooLarge { what, found: payload_bytes, max: PAYLOAD_BYTES_MAX });
        }
        let mut end = self.lock_end();
        let frame_bytes = payload_bytes + FRAME_HEADER_BYTES as u64;
        let begun = end.offset_bytes > HEADER_BYTES as u64;
        if end.offset_bytes == 0 {
            *end = self.begin_pack(end.pack)?;
        } else if begun && end.offset_bytes + frame_bytes > self.pack_bytes_max {
            self.sync_file(end.pack)?;
            *end = self.begin_pack(end.pack + 1)?;
        }
        let place = Place { start: *end, payload_bytes };
        let header = frame::header(&self.key, kind, key, place, payload);
        // One write for a small frame; a failed one leaves the end where it was, and is written over.
        let frame = [&header[..], payload].concat();
        let path = self.path(end.pack);
        self.file(end.pack)?
            .write_all_at(&frame, end.offset_bytes)
            .map_err(StoreError::io(&path, "append to"))?;
        end.offset_bytes += frame_bytes;
        Ok(place)
    }

    /// Returns the payload of a frame after checking that it is the one that was written.
    pub(crate) fn read(&self, place: Place, kind: FrameKind, key: [u8; 32]) -> Result<Vec<u8>> {
        let frame = self.frame(place.start)?;
        match frame {
            Ok(frame) if frame.kind == kind as u8 && frame.key == key && frame.place == place => {
                Ok(frame.payload)
            }
            Ok(_) => Err(self.corrupt(place.start, "another frame than the catalogue says")),
            Err(problem) => Err(self.corrupt(place.start, problem)),
        }
    }

    /// Makes all frames durable that were appended before.
    pub(crate) fn sync(&self) -> Result<()> {
        self.sync_file(self.end().pack)
    }

    /// Fails if the packs end before a position.
    pub(crate) fn expect(&self, at: Position) -> Result<()> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        if files.is_empty() && at == Position::default() {
            return Ok(());
        }
        let length = files.get(&at.pack).map(|file| self.length(at.pack, file)).transpose()?;
        match length {
            Some(length) if length >= at.offset_bytes => Ok(()),
            _ => Err(self.corrupt(at, "the packs end before the last commit")),
        }
    }

    /// Fills up packs that end before a position with frames of lost bytes, so that no offset before it is ever used again.
    /// Returns true if they did.
    pub(crate) fn extend_to(&self, at: Position) -> Result<bool> {
        if self.expect(at).is_ok() || at == Position::default() {
            return Ok(false);
        }
        let on_disk = self.numbers_on_disk()?;
        for number in (0..=at.pack).filter(|number| !on_disk.contains(number)) {
            self.begin_pack(number)?;
        }
        let (path, file) = (self.path(at.pack), self.file(at.pack)?);
        // A frame ended here, so that at least a frame is missing, which leaves room for one of lost bytes.
        file.set_len(at.offset_bytes).map_err(StoreError::io(&path, "extend"))?;
        file.sync_all().map_err(StoreError::io(&path, "sync"))?;
        let last = on_disk.last().copied().unwrap_or_default().max(at.pack);
        self.set_end(last, self.length(last, &*self.file(last)?)?);
        Ok(true)
    }

    /// Cuts off everything after a position: frames of a commit that was never finished. A copy is set aside first.
    pub(crate) fn cut(&self, at: Position, aside: &Aside) -> Result<()> {
        let mut end = self.lock_end();
        for number in self.numbers_on_disk()?.into_iter().filter(|number| *number > at.pack) {
            aside.keep_file(&self.path(number))?;
            self.files.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
        }
        let path = self.path(at.pack);
        if end.pack > at.pack || end.offset_bytes > at.offset_bytes {
            let file = self.file(at.pack)?;
            let name = format!("{:08}.pack-at-{}", at.pack, at.offset_bytes);
            aside.keep_tail(&name, &file, at.offset_bytes..self.length(at.pack, &file)?)?;
            file.set_len(at.offset_bytes).map_err(StoreError::io(&path, "truncate"))?;
            file.sync_all().map_err(StoreError::io(&path, "sync"))?;
            sync_directory(&self.directory)?;
        }
        *end = at;
        let is_begun = at.offset_bytes == HEADER_BYTES as u64;
        if is_begun && self.header_problem(at.pack)?.is_some() {
            // Whoever began the pack died before its header was on the disk, and nothing was ever committed to it.
            let file = self.file(at.pack)?;
            file.write_all_at(&self.header(at.pack), 0).map_err(StoreError::io(&path, "write"))?;
        }
        Ok(())
    }

    /// Writes the header of a damaged frame anew, which makes the damage a whole frame of lost bytes. Then all packs can be
    /// walked from end to end. The bytes that were there are set aside first.
    pub(crate) fn mark_lost(&self, start: Position, to_bytes: u64, aside: &Aside) -> Result<()> {
        let path = self.path(start.pack);
        let file = self.file(start.pack)?;
        let name = format!("{:08}.pack-at-{}", start.pack, start.offset_bytes);
        aside.keep(&name, &file, start.offset_bytes..to_bytes)?;
        let payload_at = start.offset_bytes + FRAME_HEADER_BYTES as u64;
        // Where the file ends within a header, the frame has no payload and makes the file whole.
        let payload_bytes = usize::try_from(to_bytes.saturating_sub(payload_at));
        let mut payload = vec![0; payload_bytes.expect("read whole before")];
        file.read_exact_at(&mut payload, payload_at).map_err(StoreError::io(&path, "read"))?;
        let place = Place { start, payload_bytes: payload.len() as u64 };
        let header = frame::header(&self.key, FrameKind::Lost, [0; 32], place, &payload);
        file.write_all_at(&header, start.offset_bytes).map_err(StoreError::io(&path, "write"))?;
        file.sync_data().map_err(StoreError::io(&path, "sync"))
    }

    /// Writes the header of a pack anew where it is damaged.
    pub(crate) fn restore_header(&self, number: u32, aside: &Aside) -> Result<()> {
        let (path, file) = (self.path(number), self.file(number)?);
        let damaged = 0..self.length(number, &file)?.min(HEADER_BYTES as u64);
        aside.keep(&format!("{number:08}.pack-header"), &file, damaged)?;
        file.write_all_at(&self.header(number), 0).map_err(StoreError::io(&path, "write"))?;
        file.sync_data().map_err(StoreError::io(&path, "sync"))
    }

    /// Returns what is wrong with the header of a pack, if anything is. Another version in it is damage, too: packs of
    /// another version belong to stores of another version, which `FORMAT` says before any pack is opened.
    pub(crate) fn header_problem(&self, number: u32) -> Result<Option<StoreError>> {
        let (path, file) = (self.path(number), self.file(number)?);
        let at = Position { pack: number, offset_bytes: 0 };
        if self.length(number, &file)? < HEADER_BYTES as u64 {
            return Ok(Some(self.corrupt(at, "the file ends within its header")));
        }
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(&mut header, 0).map_err(StoreError::io(&path, "read"))?;
        let is_ours = header == self.header(number);
        Ok((!is_ours).then(|| self.corrupt(at, "not a pack of this store")))
    }

    fn lock_end(&self) -> MutexGuard<'_, Position> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_end(&self, pack: u32, offset_bytes: u64) {
        *self.lock_end() = Position { pack, offset_bytes };
    }

    pub(crate) fn path(&self, number: u32) -> PathBuf {
        self.directory.join(format!("{number:08}.pack"))
    }

    pub(crate) fn numbers_on_disk(&self) -> Result<Vec<u32>> {
        let listing = fs::read_dir(&self.directory).map_err(StoreError::io(&self.directory, "list"))?;
        let mut numbers = Vec::new();
        for item in listing {
            let name = item.map_err(StoreError::io(&self.directory, "list"))?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".pack")?.parse().ok());
            numbers.extend(number.filter(|number| self.path(*number).ends_with(&name)));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn add_file(&self, number: u32, file: File) {
        self.files.write().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::new(file));
    }

    pub(super) fn file(&self, number: u32) -> Result<Arc<File>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let file = files.get(&number).map(Arc::clone);
        file.ok_or_else(|| self.corrupt(Position { pack: number, offset_bytes: 0 }, "the file is missing"))
    }

    pub(super) fn length(&self, number: u32, file: &File) -> Result<u64> {
        file.metadata().map(|metadata| metadata.len()).map_err(StoreError::io(&self.path(number), "inspect"))
    }

    fn sync_file(&self, number: u32) -> Result<()> {
        let Ok(file) = self.file(number) else { return Ok(()) };
        file.sync_data().map_err(StoreError::io(&self.path(number), "sync"))
    }

    fn header(&self, number: u32) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[0..4].copy_from_slice(&MAGIC);
        header[4..6].copy_from_slice(&VERSION.to_le_bytes());
        header[8..12].copy_from_slice(&number.to_le_bytes());
        header[16..32].copy_from_slice(&self.store_id);
        header
    }

    fn begin_pack(&self, number: u32) -> Result<Position> {
        let path = self.path(number);
        let mut options = OpenOptions::new();
        // Never truncates: a pack of this number that is there already holds what must not be lost.
        let file = options.read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(StoreError::io(&path, "create"))?;
        if let Err(error) = file.write_all_at(&self.header(number), 0) {
            // Made by this call and empty of frames, so that the next attempt may make it again.
            let _ = fs::remove_file(&path);
            return Err(StoreError::io(&path, "write")(error));
        }
        sync_directory(&self.directory)?;
        self.add_file(number, file);
        Ok(Position { pack: number, offset_bytes: HEADER_BYTES as u64 })
    }

    /// Opens a pack. Its header is checked by [`Packs::header_problem`], for a damaged one keeps no frame from being read.
    fn open_file(&self, number: u32) -> Result<File> {
        let path = self.path(number);
        OpenOptions::new().read(true).write(true).open(&path).map_err(StoreError::io(&path, "open"))
    }

    /// Says which place of which pack is bad.
    pub(crate) fn corrupt(&self, at: Position, problem: &str) -> StoreError {
        let key = self.path(at.pack).file_name().map(|name| name.to_string_lossy().into_owned());
        StoreError::Corrupt {
            what: "pack",
            key: key.unwrap_or_default(),
            offset_bytes: at.offset_bytes,
            problem: problem.to_owned(),
        }
    }

    /// The frame after a position, which is in the next pack if this one ends there.
    pub(super) fn next_frame_start(&self, at: Position) -> Option<Position> {
        let end = self.end();
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let file = files.get(&at.pack)?;
        let length = if at.pack == end.pack { end.offset_bytes } else { file.metadata().ok()?.len() };
        if at.offset_bytes < length {
            return Some(at);
        }
        let (next, _) = files.range(at.pack + 1..).next()?;
        Some(Position { pack: *next, offset_bytes: HEADER_BYTES as u64 })
    }

    /// Reads and checks one frame; the inner error says what is wrong with it.
    pub(super) fn frame(&self, start: Position) -> Result<Result<Frame, &'static str>> {
        let file = self.file(start.pack)?;
        let length = self.length(start.pack, &file)?;
        let path = self.path(start.pack);
        let mut header = [0; FRAME_HEADER_BYTES];
        let Some(payload_start) =
            start.offset_bytes.checked_add(FRAME_HEADER_BYTES as u64).filter(|end| *end <= length)
        else {
            return Ok(Err("the file ends before the frame"));
        };
        file.read_exact_at(&mut header, start.offset_bytes).map_err(StoreError::io(&path, "read"))?;
        let Some(payload_bytes) = frame::payload_bytes(&header) else { return Ok(Err("not a frame")) };
        let fits = payload_bytes <= length - payload_start;
        let Some(payload_length) = usize::try_from(payload_bytes).ok().filter(|_| fits) else {
            return Ok(Err("the file ends within the frame"));
        };
        let mut payload = vec![0; payload_length];
        file.read_exact_at(&mut payload, payload_start).map_err(StoreError::io(&path, "read"))?;
        Ok(Frame::checked(&self.key, start, &header, payload).ok_or("checksum does not match"))
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(StoreError::io(path, "sync"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::walk::Piece;

    fn small_packs(directory: &Path) -> Packs {
        Packs { pack_bytes_max: 1000, ..Packs::open(directory.to_owned(), [3; STORE_ID_BYTES]).unwrap() }
    }

    fn payloads(packs: &Packs, from: Position) -> Vec<Vec<u8>> {
        let pieces = packs.walk(from).map(|piece| match piece.unwrap() {
            Piece::Frame(frame) => frame.payload,
            Piece::Damage(damage) => panic!("{damage:?}"),
        });
        pieces.collect()
    }

    #[test]
    fn frames_go_on_in_the_next_pack_and_are_read_and_replayed_from_all_of_them() {
        let directory = tempfile::tempdir().unwrap();
        let packs = small_packs(directory.path());
        // 0 and 700 bytes, one that is larger than a pack, and one that fits behind nothing.
        let payloads: Vec<Vec<u8>> = [0, 700, 300, 5000, 10].map(|length| vec![9; length]).to_vec();
        let places: Vec<Place> = payloads
            .iter()
            .map(|payload| packs.append(FrameKind::Commit, [1; 32], payload).unwrap())
            .collect();
        assert_eq!(places.iter().map(|place| place.start.pack).collect::<Vec<_>>(), [0, 0, 1, 2, 3]);
        packs.sync().unwrap();
        drop(packs);

        let packs = small_packs(directory.path());
        for (place, payload) in places.iter().zip(&payloads) {
            assert_eq!(&packs.read(*place, FrameKind::Commit, [1; 32]).unwrap(), payload);
            assert!(packs.read(*place, FrameKind::Value, [1; 32]).is_err(), "another kind");
            assert!(packs.read(*place, FrameKind::Commit, [2; 32]).is_err(), "another key");
        }
        assert_eq!(super::tests::payloads(&packs, packs.start()), payloads);
        assert_eq!(super::tests::payloads(&packs, places[2].end()), payloads[3..]);
    }

    #[test]
    fn what_is_cut_off_is_set_aside_with_the_packs_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let packs = small_packs(directory.path());
        let places: Vec<Place> =
            (0..6).map(|number| packs.append(FrameKind::Commit, [0; 32], &[number; 500]).unwrap()).collect();
        let whole = fs::read(packs.path(2)).unwrap();
        let root = tempfile::tempdir().unwrap();
        packs.cut(places[2].end(), &Aside::of(root.path())).unwrap();
        assert_eq!(packs.numbers_on_disk().unwrap(), [0, 1, 2]);
        let aside = |name: &str| fs::read(root.path().join("aside").join(name)).unwrap();
        for number in 3..6 {
            assert_eq!(aside(&format!("{number:08}.pack")).len(), whole.len());
        }
        let next = packs.append(FrameKind::Commit, [0; 32], &[7; 20]).unwrap();
        assert_eq!(next.start, places[2].end());
        drop(packs);
        let left = payloads(&small_packs(directory.path()), places[0].start);
        assert_eq!(left, [vec![0; 500], vec![1; 500], vec![2; 500], vec![7; 20]]);
    }

    #[test]
    fn places_that_lead_nowhere_are_errors() {
        let directory = tempfile::tempdir().unwrap();
        let packs = small_packs(directory.path());
        let place = packs.append(FrameKind::Value, [0; 32], b"payload").unwrap();
        for (pack, offset_bytes) in [(0, 33), (0, 31), (0, 5000), (0, u64::MAX), (7, 32)] {
            let start = Position { pack, offset_bytes };
            for payload_bytes in [7, 0, u64::MAX] {
                let read = packs.read(Place { start, payload_bytes }, FrameKind::Value, [0; 32]);
                assert!(matches!(read, Err(StoreError::Corrupt { what: "pack", .. })));
            }
        }
        let longer = Place { payload_bytes: u64::MAX, ..place };
        assert!(packs.read(longer, FrameKind::Value, [0; 32]).is_err());
    }

    #[test]
    fn a_frame_inside_a_payload_is_not_taken_for_one() {
        let directory = tempfile::tempdir().unwrap();
        let packs = small_packs(directory.path());
        packs.append(FrameKind::Commit, [0; 32], b"real").unwrap();
        let bytes = fs::read(directory.path().join("00000000.pack")).unwrap();
        let forged = &bytes[HEADER_BYTES..];
        let holds_it = packs.append(FrameKind::Value, [0; 32], forged).unwrap();
        let file = packs.file(0).unwrap();
        file.write_all_at(&[0], holds_it.start.offset_bytes).unwrap();
        assert!(!packs.has_frame_after(holds_it.start).unwrap());
        let real = packs.append(FrameKind::Commit, [0; 32], b"real").unwrap();
        assert!(packs.has_frame_after(holds_it.start).unwrap());
        let pieces: Vec<Piece> = packs.walk(holds_it.start).map(Result::unwrap).collect();
        let [Piece::Damage(damage), Piece::Frame(frame)] = &pieces[..] else {
            panic!("damage, then a frame")
        };
        assert_eq!((damage.from, damage.end(), frame.place), (holds_it.start, real.start, real));
    }

    #[test]
    fn damage_that_is_marked_as_lost_is_a_whole_frame_and_its_bytes_are_set_aside() {
        let (directory, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let packs = small_packs(directory.path());
        let damaged = packs.append(FrameKind::Value, [1; 32], &[5; 300]).unwrap();
        let whole = packs.append(FrameKind::Commit, [0; 32], b"whole").unwrap();
        let file = packs.file(0).unwrap();
        file.write_all_at(&[0], damaged.start.offset_bytes + 90).unwrap();
        let bytes = fs::read(packs.path(0)).unwrap();
        packs.mark_lost(damaged.start, whole.start.offset_bytes, &Aside::of(root.path())).unwrap();
        let kinds: Vec<u8> = packs
            .walk(packs.start())
            .map(|piece| match piece.unwrap() {
                Piece::Frame(frame) => frame.kind,
                Piece::Damage(damage) => panic!("{damage:?}"),
            })
            .collect();
        assert_eq!(kinds, [FrameKind::Lost as u8, FrameKind::Commit as u8]);
        let aside = fs::read(root.path().join("aside/00000000.pack-at-32")).unwrap();
        assert_eq!(aside, bytes[32..usize::try_from(whole.start.offset_bytes).unwrap()]);
    }
}
