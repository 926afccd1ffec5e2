//! Append-only files that hold what is too large for the catalogue, and every commit.
//!
//! Frames say enough of themselves that packs alone can rebuild the catalogue. They are written at known offsets and
//! never changed. What a commit is and when it counts is left to the journal.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::error::{Result, StoreError};
use crate::format::STORE_ID_BYTES;
use crate::format::pack::{
    FRAME_HEADER_BYTES, FRAME_MAGIC, HEADER_BYTES, KEY_CONTEXT, MAGIC, PACK_BYTES_MAX, PAYLOAD_BYTES_MAX,
    VERSION,
};
use crate::log::frame::{self, Frame, FrameKind, Place, Position};

/// How far a replay came.
pub(crate) struct Replayed {
    /// The end of the last commit.
    pub(crate) committed: Position,
    /// The end of the packs, or the first frame that is not whole.
    pub(crate) stopped: Position,
}

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

    /// Opens all packs; appending begins after the last byte until [`Packs::truncate`] says otherwise.
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

    /// Hands every commit from a position on to `apply`.
    ///
    /// Stops at the first frame that is not whole: a writer was stopped there.
    pub(crate) fn replay(
        &self,
        from: Position,
        mut apply: impl FnMut(Place, &[u8]) -> Result<()>,
    ) -> Result<Replayed> {
        let mut replayed = Replayed { committed: from, stopped: from };
        while let Some(start) = self.next_frame_start(replayed.stopped) {
            replayed.stopped = start;
            let Ok(frame) = self.frame(start)? else { break };
            replayed.stopped = frame.place.end();
            if frame.kind == FrameKind::Commit as u8 {
                apply(frame.place, &frame.payload)?;
                replayed.committed = replayed.stopped;
            }
        }
        Ok(replayed)
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

    /// Fails if any frame after a position is whole.
    pub(crate) fn expect_nothing_beyond(&self, at: Position) -> Result<()> {
        match self.frame_beyond(at)? {
            Some(_) => Err(self.corrupt(at, "damaged frame, and whole ones after it")),
            None => Ok(()),
        }
    }

    /// Returns the first whole frame after a position, however damaged what lies between is.
    fn frame_beyond(&self, at: Position) -> Result<Option<Position>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner).clone();
        for (number, file) in files.range(at.pack..) {
            let from = if *number == at.pack { at.offset_bytes } else { HEADER_BYTES as u64 };
            let mut bytes = vec![0; usize::try_from(self.length(*number, file)?).unwrap_or(0)];
            file.read_exact_at(&mut bytes, 0).map_err(StoreError::io(&self.path(*number), "read"))?;
            let candidates = bytes.windows(FRAME_MAGIC.len()).enumerate();
            for (offset, _) in candidates.filter(|(_, window)| *window == FRAME_MAGIC) {
                let start = Position { pack: *number, offset_bytes: offset as u64 };
                if start.offset_bytes >= from && self.frame(start)?.is_ok() {
                    return Ok(Some(start));
                }
            }
        }
        Ok(None)
    }

    /// Removes everything after a position: frames of a commit that was never finished.
    pub(crate) fn truncate(&self, at: Position) -> Result<()> {
        let mut end = self.lock_end();
        for number in self.numbers_on_disk()?.into_iter().filter(|number| *number > at.pack) {
            let path = self.path(number);
            fs::remove_file(&path).map_err(StoreError::io(&path, "remove"))?;
            self.files.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
        }
        let path = self.path(at.pack);
        if end.pack > at.pack || end.offset_bytes > at.offset_bytes {
            let file = self.file(at.pack)?;
            file.set_len(at.offset_bytes).map_err(StoreError::io(&path, "truncate"))?;
            file.sync_all().map_err(StoreError::io(&path, "sync"))?;
            sync_directory(&self.directory)?;
        }
        *end = at;
        Ok(())
    }

    fn lock_end(&self) -> MutexGuard<'_, Position> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_end(&self, pack: u32, offset_bytes: u64) {
        *self.lock_end() = Position { pack, offset_bytes };
    }

    fn path(&self, number: u32) -> PathBuf {
        self.directory.join(format!("{number:08}.pack"))
    }

    fn numbers_on_disk(&self) -> Result<Vec<u32>> {
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

    fn file(&self, number: u32) -> Result<Arc<File>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let file = files.get(&number).map(Arc::clone);
        file.ok_or_else(|| self.corrupt(Position { pack: number, offset_bytes: 0 }, "the file is missing"))
    }

    fn length(&self, number: u32, file: &File) -> Result<u64> {
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
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(&path).map_err(StoreError::io(&path, "create"))?;
        file.write_all_at(&self.header(number), 0).map_err(StoreError::io(&path, "write"))?;
        sync_directory(&self.directory)?;
        self.add_file(number, file);
        Ok(Position { pack: number, offset_bytes: HEADER_BYTES as u64 })
    }

    /// Opens a pack and checks its header. One that was cut off within the header holds nothing yet.
    fn open_file(&self, number: u32) -> Result<File> {
        let path = self.path(number);
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(StoreError::io(&path, "open"))?;
        let mut header = [0; HEADER_BYTES];
        if self.length(number, &file)? < HEADER_BYTES as u64 {
            file.write_all_at(&self.header(number), 0).map_err(StoreError::io(&path, "write"))?;
        }
        file.read_exact_at(&mut header, 0).map_err(StoreError::io(&path, "read"))?;
        let version = u16::from_le_bytes([header[4], header[5]]);
        if header[0..4] == MAGIC && version != VERSION {
            let (what, found) = (format!("pack {}", path.display()), version.to_string());
            return Err(StoreError::FormatVersion { what, found, expected: VERSION.into() });
        }
        if header != self.header(number) {
            return Err(self.corrupt(Position { pack: number, offset_bytes: 0 }, "not a pack of this store"));
        }
        Ok(file)
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
    fn next_frame_start(&self, at: Position) -> Option<Position> {
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
    fn frame(&self, start: Position) -> Result<Result<Frame, &'static str>> {
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

    fn small_packs(directory: &Path) -> Packs {
        Packs { pack_bytes_max: 1000, ..Packs::open(directory.to_owned(), [3; STORE_ID_BYTES]).unwrap() }
    }

    fn commits(packs: &Packs, from: Position) -> (Vec<Vec<u8>>, Replayed) {
        let mut payloads = Vec::new();
        let replayed = packs.replay(from, |_, payload| {
            payloads.push(payload.to_vec());
            Ok(())
        });
        (payloads, replayed.unwrap())
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
        let (replayed, reached) = commits(&packs, packs.start());
        assert_eq!(replayed, payloads);
        assert_eq!((reached.committed, reached.stopped), (packs.end(), packs.end()));
        assert_eq!(commits(&packs, places[2].end()).0, payloads[3..]);
    }

    #[test]
    fn truncating_removes_the_packs_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let packs = small_packs(directory.path());
        let places: Vec<Place> =
            (0..6).map(|number| packs.append(FrameKind::Commit, [0; 32], &[number; 500]).unwrap()).collect();
        packs.truncate(places[2].end()).unwrap();
        assert_eq!(packs.numbers_on_disk().unwrap(), [0, 1, 2]);
        let next = packs.append(FrameKind::Commit, [0; 32], &[7; 20]).unwrap();
        assert_eq!(next.start, places[2].end());
        drop(packs);
        let replayed = commits(&small_packs(directory.path()), places[0].start).0;
        assert_eq!(replayed, [vec![0; 500], vec![1; 500], vec![2; 500], vec![7; 20]]);
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
        packs.expect_nothing_beyond(holds_it.start).unwrap();
        let real = packs.append(FrameKind::Commit, [0; 32], b"real").unwrap();
        assert!(packs.expect_nothing_beyond(holds_it.start).is_err());
        assert_eq!(packs.frame_beyond(holds_it.start).unwrap(), Some(real.start));
    }
}
