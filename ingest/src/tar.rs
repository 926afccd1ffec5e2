//! Reads a tar archive entry by entry, exactly as Go's `archive/tar` reads it.
//!
//! containerd and moby unpack layers with Go, so what Go lists is what ends up in the container, and any other
//! reading is a way to hide files. Where Go accepts something odd it is accepted here and recorded as an
//! anomaly; where Go fails, a typed error says why and where. Beyond Go there are [`TarLimits`].
//!
//! Two things differ by design. Global PAX headers, which Go hands to its callers, are passed over unless their
//! name is not one of the usual ones ([`TarKind::GlobalHeader`] says why). And a body is read
//! with [`TarReader::read_body`] until that returns 0: only then is it known to be whole.
//!
//! Cleans no paths, resolves no links and knows no whiteouts.

mod body;
mod entry;
mod error;
mod extension;
mod header;
mod limits;
mod number;
mod pax;
mod source;
mod sparse;

use std::io::{self, Read};

use layerprint_store::{Anomalies, AnomalyKind};

pub use entry::{TarEntry, TarKind};
pub use error::TarError;
pub use limits::TarLimits;
pub use source::{ReadSkip, Stream};
pub use sparse::DataExtent;

use body::Body;
use entry::{full_name, is_header_only};
use error::Place;
use extension::{Extension, Extensions};
use header::{BLOCK_BYTES, Block, Fields};
use source::Source;
use sparse::PaxSparse;

/// Reads one archive, front to back. The source should be buffered: headers are read one by one.
pub struct TarReader<R> {
    source: Source<R>,
    limits: TarLimits,
    body: Body,
    extensions: Extensions,
    entries: u64,
    hole_bytes: u64,
    anomalies: Anomalies,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Stopped,
}

impl<R: ReadSkip> TarReader<R> {
    /// Starts at the current position of the source, which becomes offset 0.
    pub fn new(inner: R, limits: TarLimits) -> Self {
        Self {
            source: Source::new(inner),
            limits,
            body: Body::default(),
            extensions: Extensions::default(),
            entries: 0,
            hole_bytes: 0,
            anomalies: Anomalies::default(),
            state: State::Reading,
        }
    }

    /// Passes over what is left of the current body and returns the next entry; `None` at the end.
    ///
    /// After an error the reader is stopped, for what follows cannot be told from what an attacker put there.
    pub fn next_entry(&mut self) -> Result<Option<TarEntry>, TarError> {
        match self.state {
            State::Reading => {}
            State::Ended => return Ok(None),
            State::Stopped => return Err(TarError::Stopped { offset_bytes: self.position_bytes() }),
        }
        let result = self.advance();
        match result {
            Ok(Some(_)) => {}
            Ok(None) => self.state = State::Ended,
            Err(_) => self.state = State::Stopped,
        }
        result
    }

    /// Reads some of the body of the current entry, holes as zeros; 0 at its end.
    ///
    /// The last call, the one that returns 0, is what finds a sparse file whose map and bytes do not agree.
    pub fn read_body(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        self.pass_body(buffer.len(), &mut |bytes| buffer[..bytes.len()].copy_from_slice(bytes))
    }

    /// Shows some of the body of the current entry, at most `count_max` bytes, without copying it where the source has
    /// it ready; else like [`TarReader::read_body`].
    pub fn pass_body(&mut self, count_max: usize, take: &mut dyn FnMut(&[u8])) -> Result<usize, TarError> {
        match self.state {
            State::Reading if count_max == 0 => return Ok(0),
            State::Reading => {}
            State::Ended => return Ok(0),
            State::Stopped => return Err(TarError::Stopped { offset_bytes: self.position_bytes() }),
        }
        let result = self.body.pass(&mut self.source, count_max, take);
        if result.is_err() {
            self.state = State::Stopped;
        }
        result
    }

    /// Returns where the stored bytes of the current entry stand in the file; empty if it is not sparse.
    pub fn data_extents(&self) -> &[DataExtent] {
        self.body.extents()
    }

    /// Returns how far the source has been read.
    pub fn position_bytes(&self) -> u64 {
        self.source.position_bytes()
    }

    /// Takes the anomalies recorded so far.
    pub fn take_anomalies(&mut self) -> Anomalies {
        std::mem::take(&mut self.anomalies)
    }

    /// Reads the source to its end and returns how many bytes that took.
    ///
    /// Behind the end of the archive there should be nothing but zeros; anything else is recorded.
    pub fn drain(&mut self) -> Result<u64, TarError> {
        let start = self.position_bytes();
        let mut stray = None;
        loop {
            let offset = self.position_bytes();
            let note = &mut |bytes: &[u8]| {
                let first = bytes.iter().position(|&byte| byte != 0).filter(|_| stray.is_none());
                if let Some(first) = first {
                    let detail = number::c_string(&bytes[first..bytes.len().min(first + 32)]).to_vec();
                    stray = Some((offset + first as u64, detail));
                }
            };
            if self.source.pass(usize::MAX, note)? == 0 {
                break;
            }
        }
        if let (State::Ended, Some((offset, detail))) = (self.state, stray) {
            self.anomalies.add(AnomalyKind::TrailingData, Some(offset), detail);
        }
        Ok(self.position_bytes() - start)
    }

    /// Gives the source back, at the current position.
    pub fn into_inner(self) -> R {
        self.source.into_inner()
    }

    fn advance(&mut self) -> Result<Option<TarEntry>, TarError> {
        self.extensions.clear();
        loop {
            self.body.finish(&mut self.source)?;
            let offset = self.position_bytes();
            let Some(block) = self.read_header()? else { return Ok(None) };
            let bad_header = |problem| TarError::BadHeader { offset_bytes: offset, problem };
            let fields = block.fields().map_err(bad_header)?;
            self.body.open(Place { offset_bytes: offset, path: b"" }, stored_bytes(&fields, offset)?);
            match fields.typeflag {
                b'x' => self.read_extension(Extension::Pax, offset)?,
                b'g' => {
                    self.pass_global_header(&fields, offset)?;
                    if !is_usual_global_name(fields.name) {
                        return Ok(Some(TarEntry::from_header(&fields, offset)));
                    }
                }
                b'L' => self.read_extension(Extension::LongName, offset)?,
                b'K' => self.read_extension(Extension::LongLink, offset)?,
                _ => return self.finish_entry(&block, &fields, offset).map(Some),
            }
        }
    }

    /// Reads a header block; `None` at the end of the archive: two blocks of zeros, or nothing more.
    fn read_header(&mut self) -> Result<Option<Block>, TarError> {
        let offset_bytes = self.position_bytes();
        let Some(block) = self.read_block()? else { return Ok(self.end_without_marker()) };
        if block.is_zero() {
            return match self.read_block()? {
                None => Ok(self.end_without_marker()),
                Some(second) if second.is_zero() => Ok(self.end()),
                Some(_) => {
                    Err(TarError::BadHeader { offset_bytes, problem: "one zero block, then another header" })
                }
            };
        }
        if block.has_valid_checksum() { Ok(Some(block)) } else { Err(TarError::BadChecksum { offset_bytes }) }
    }

    fn read_block(&mut self) -> Result<Option<Block>, TarError> {
        let mut block = Block([0; BLOCK_BYTES]);
        match self.source.fill(&mut block.0)? {
            BLOCK_BYTES => Ok(Some(block)),
            0 => Ok(None),
            _ => Err(TarError::Truncated { offset_bytes: self.position_bytes(), path: Vec::new() }),
        }
    }

    fn end_without_marker<T>(&mut self) -> Option<T> {
        self.anomalies.add(AnomalyKind::MissingEndOfArchive, Some(self.position_bytes()), "");
        self.end()
    }

    fn end<T>(&mut self) -> Option<T> {
        if self.extensions.any_pending() {
            self.note_stray("extension before the end of the archive", self.position_bytes());
        }
        None
    }

    fn read_extension(&mut self, extension: Extension, offset: u64) -> Result<(), TarError> {
        let place = Place { offset_bytes: offset, path: b"" };
        let size_bytes = self.body.stored_bytes_left;
        let limit_bytes = self.limits.extension_bytes_max;
        if size_bytes > limit_bytes {
            return Err(TarError::ExtensionTooLarge { offset_bytes: offset, size_bytes, limit_bytes });
        }
        let (buffer, is_repeated) = self.extensions.buffer(extension);
        buffer.clear();
        buffer.resize(usize::try_from(size_bytes).expect("the limit is far below"), 0);
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            let wanted = rest.len();
            let copy = &mut |bytes: &[u8]| rest[..bytes.len()].copy_from_slice(bytes);
            filled += self.body.pass(&mut self.source, wanted, copy)?;
        }
        if is_repeated {
            self.note_stray("extension replaced by another", offset);
        }
        self.extensions.parse(extension).map_err(|problem| place.bad_pax(problem))
    }

    /// Checks the form of a global header and forgets it, together with the extensions before it.
    ///
    fn pass_global_header(&mut self, fields: &Fields, offset: u64) -> Result<(), TarError> {
        if self.extensions.any_pending() {
            self.note_stray("extension before a global header", offset);
        }
        self.extensions.clear();
        self.read_extension(Extension::Pax, offset)?;
        if let Some(key) = self.extensions.pax.first_key() {
            self.note_stray([b"global ", key].concat(), offset);
        }
        if !is_usual_global_name(fields.name) {
            self.note_stray([b"global header named ", &full_name(fields)[..]].concat(), offset);
        }
        self.extensions.clear();
        Ok(())
    }

    fn finish_entry(&mut self, block: &Block, fields: &Fields, offset: u64) -> Result<TarEntry, TarError> {
        let mut entry = TarEntry::from_header(fields, offset);
        self.extensions.apply(&mut entry, &mut self.anomalies)?;
        entry.settle_typeflag();
        let stored = stored_bytes_of(entry.typeflag, entry.stated_size, offset)?;
        self.body.open(Place { offset_bytes: offset, path: &entry.path }, stored);
        entry.size_bytes = stored;
        self.apply_sparse_map(block, &mut entry)?;
        entry.body_offset_bytes = self.position_bytes();
        entry.body_stored_bytes = self.body.stored_bytes_left;
        self.check_limits(&entry)?;
        self.note_oddities(&entry);
        Ok(entry)
    }

    /// Reads the sparse map of the entry, if it has one in any format.
    fn apply_sparse_map(&mut self, block: &Block, entry: &mut TarEntry) -> Result<(), TarError> {
        let map_bytes_max = self.limits.extension_bytes_max;
        let format = PaxSparse::of(&self.extensions.pax);
        let map = if entry.typeflag == b'S' {
            let place = Place { offset_bytes: entry.header_offset_bytes, path: &entry.path };
            let (map, size) = sparse::read_old_gnu(block, &mut self.source, map_bytes_max, place)?;
            entry.stated_size = size;
            map
        } else if let Some(format) = format {
            self.extensions.apply_sparse(entry)?;
            let place = Place { offset_bytes: entry.header_offset_bytes, path: &entry.path };
            match format {
                PaxSparse::InHeader => sparse::read_pax_header(&self.extensions.pax, place)?,
                PaxSparse::InBody => {
                    let stored = &mut self.body.stored_bytes_left;
                    sparse::read_pax_body(&mut self.source, stored, map_bytes_max, place)?
                }
            }
        } else {
            return Ok(());
        };
        self.set_sparse(&map, entry)
    }

    fn set_sparse(&mut self, map: &[(i64, i64)], entry: &mut TarEntry) -> Result<(), TarError> {
        let place = Place { offset_bytes: entry.header_offset_bytes, path: &entry.path };
        if is_header_only(entry.typeflag) {
            return Err(place.bad_sparse("entry of this kind has no body"));
        }
        let extents = sparse::checked(map, entry.stated_size, place)?;
        entry.size_bytes = entry.stated_size.unsigned_abs();
        entry.is_sparse = true;
        self.body.set_sparse(extents, entry.size_bytes);
        Ok(())
    }

    fn check_limits(&mut self, entry: &TarEntry) -> Result<(), TarError> {
        let place = Place { offset_bytes: entry.header_offset_bytes, path: &entry.path };
        let limits = &self.limits;
        self.entries += 1;
        place.within("entries_max", limits.entries_max, self.entries)?;
        let longest = entry.path.len().max(entry.link_target.len());
        place.within("path_bytes_max", limits.path_bytes_max as u64, longest as u64)?;
        place.within("file_bytes_max", limits.file_bytes_max, entry.size_bytes)?;
        if !entry.is_sparse {
            return Ok(());
        }
        let holes = entry.size_bytes.saturating_sub(entry.body_stored_bytes);
        if holes > limits.sparse_free_bytes {
            let ratio = entry.size_bytes / entry.body_stored_bytes.max(1);
            place.within("sparse_ratio_max", limits.sparse_ratio_max, ratio)?;
        }
        self.hole_bytes = self.hole_bytes.saturating_add(holes);
        place.within("hole_bytes_max", limits.hole_bytes_max, self.hole_bytes)
    }

    fn note_oddities(&mut self, entry: &TarEntry) {
        let mut note = |kind| self.anomalies.add(kind, Some(entry.header_offset_bytes), &entry.path);
        if is_header_only(entry.typeflag) && entry.stated_size != 0 {
            note(AnomalyKind::UnexpectedBody);
        }
        // Docker and containerd refuse layers with these types, though their reader does not.
        if !matches!(entry.typeflag, b'0'..=b'6') {
            note(AnomalyKind::UnknownEntryType);
        }
        // A file to Go, a directory to readers that go by the name.
        if entry.kind == TarKind::File && entry.path.ends_with(b"/") {
            note(AnomalyKind::ConflictingHeader);
        }
    }

    fn note_stray(&mut self, detail: impl AsRef<[u8]>, offset: u64) {
        self.anomalies.add(AnomalyKind::StrayExtension, Some(offset), detail);
    }
}

/// Reads the body of the current entry, with a [`TarError`] inside the error.
impl<R: ReadSkip> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_body(buffer).map_err(io::Error::from)
    }
}

fn stored_bytes(fields: &Fields, offset_bytes: u64) -> Result<u64, TarError> {
    stored_bytes_of(fields.typeflag, fields.size, offset_bytes)
}

fn stored_bytes_of(typeflag: u8, size: i64, offset_bytes: u64) -> Result<u64, TarError> {
    if is_header_only(typeflag) {
        return Ok(0);
    }
    u64::try_from(size).map_err(|_| TarError::BadHeader { offset_bytes, problem: "size is negative" })
}

/// The names that git, Go and GNU tar give to global headers, which nobody has as a file.
fn is_usual_global_name(name: &[u8]) -> bool {
    let last = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
    name == b"pax_global_header" || last.starts_with(b"GlobalHead.")
}
