//! Stored bytes -> unpacked bytes: the half of reading a layer that another thread can do.
//!
//! [`Intake`] reads from the source and hashes, [`Unpacker`] decompresses into blocks, counts, and stops at the limits.
//! Both hold no more than a buffer, whatever is in the stream.

use std::io::{self, BufRead, Read};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use layerprint_store::id::BlobDigest;
use sha2::{Digest, Sha256, Sha512};

use crate::buffers::{Buffer, Buffers};
use crate::codec::{Codec, Decoder};
use crate::error::LayerError;
use crate::helpers::{BUFFERS_AT_ONCE, Message};
use crate::limits::Limits;

/// The hashes of stored bytes, and how many there were.
pub(crate) struct StoredHashes {
    sha256: Sha256,
    sha512: Option<Sha512>,
    count_bytes: u64,
}

impl StoredHashes {
    /// SHA-512 is computed beside SHA-256 only where a SHA-512 digest was promised.
    pub(crate) fn new(promised: Option<BlobDigest>) -> Self {
        let sha512 = matches!(promised, Some(BlobDigest::Sha512(_))).then(Sha512::new);
        Self { sha256: Sha256::new(), sha512, count_bytes: 0 }
    }

    pub(crate) fn update(&mut self, stored: &[u8]) {
        self.sha256.update(stored);
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(stored);
        }
        self.count_bytes += stored.len() as u64;
    }

    pub(crate) fn count_bytes(&self) -> u64 {
        self.count_bytes
    }

    /// Returns the digest, of the algorithm that was promised, and the SHA-256.
    pub(crate) fn finish(self) -> (BlobDigest, [u8; 32]) {
        let sha256: [u8; 32] = self.sha256.finalize().into();
        let digest = match self.sha512 {
            Some(sha512) => BlobDigest::Sha512(sha512.finalize().into()),
            None => BlobDigest::Sha256(sha256),
        };
        (digest, sha256)
    }
}

/// Who hashes stored bytes.
enum Outlet<R> {
    /// We do, as they come.
    Here(Box<StoredHashes>),
    /// The thread that this leads to, when they have been unpacked; some wait to be sent together.
    There(Sender<Message<R>>, Vec<Buffer>),
}

/// The source, read a buffer at a time.
pub(crate) struct Intake<R> {
    inner: R,
    chunk: Buffer,
    position: usize,
    is_hashed: bool,
    outlet: Outlet<R>,
    failed: Option<io::Error>,
    count_bytes: u64,
    buffers: Buffers,
    deadline: Deadline,
}

/// When a layer must have been read. Asked wherever bytes go in or come out: much may come out of nothing, and nothing of much.
#[derive(Clone, Copy)]
struct Deadline {
    started: Instant,
    time_max: Duration,
}

impl Deadline {
    fn check(&self) -> Result<(), LayerError> {
        match self.started.elapsed() > self.time_max {
            true => Err(LayerError::Limit { limit: "layer_time_max", max: self.time_max.as_secs() }),
            false => Ok(()),
        }
    }
}

impl<R: Read> Intake<R> {
    fn new(inner: R, hashes: StoredHashes, buffers: Buffers, deadline: Deadline) -> Self {
        Self {
            inner,
            chunk: buffers.take(),
            position: 0,
            is_hashed: true,
            outlet: Outlet::Here(Box::new(hashes)),
            failed: None,
            count_bytes: 0,
            buffers,
            deadline,
        }
    }

    /// Reads the next buffer; an empty one is the end. What came before an error comes first.
    fn refill(&mut self) -> io::Result<()> {
        self.let_go()?;
        self.deadline.check().map_err(io::Error::other)?;
        if self.failed.is_none() {
            self.failed = self.chunk.fill_from(&mut self.inner).err();
        }
        self.count_bytes += self.chunk.len() as u64;
        self.is_hashed = matches!(self.outlet, Outlet::Here(_));
        if let Outlet::Here(hashes) = &mut self.outlet {
            hashes.update(&self.chunk);
        }
        match self.failed.take_if(|_| self.chunk.is_empty()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Passes on a buffer that has been used up.
    fn let_go(&mut self) -> io::Result<()> {
        let used = std::mem::replace(&mut self.chunk, self.buffers.take());
        self.position = 0;
        let Outlet::There(reader, waiting) = &mut self.outlet else { return Ok(()) };
        if !self.is_hashed {
            waiting.push(used);
        }
        if waiting.len() < BUFFERS_AT_ONCE {
            return Ok(());
        }
        reader.send(Message::Stored(std::mem::take(waiting))).map_err(|_| nobody_reads())
    }

    /// Returns the next buffer whole; an empty one is the end. Not to be mixed with reading.
    fn next_chunk(&mut self) -> io::Result<Buffer> {
        if self.position > 0 || self.chunk.is_empty() {
            self.refill()?;
        }
        self.position = 0;
        Ok(std::mem::replace(&mut self.chunk, self.buffers.take()))
    }
}

impl<R: Read> Read for Intake<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Intake<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.chunk.len() {
            self.refill()?;
        }
        Ok(&self.chunk[self.position..])
    }

    fn consume(&mut self, count: usize) {
        self.position += count;
    }
}

/// A layer being unpacked.
pub(crate) struct Unpacker<R> {
    state: State<R>,
    codec: Codec,
    count_bytes: u64,
    failed: Option<io::Error>,
    limits: Limits,
    deadline: Deadline,
    buffers: Buffers,
}

enum State<R> {
    /// Nothing to unpack: buffers go on as they came.
    Plain(Intake<R>),
    Packed(Box<Decoder<Intake<R>>>),
    /// Behind the last byte, and whether bytes other than zeros followed the compressed stream.
    Ended(Intake<R>, bool),
    /// Only while one state is exchanged for the next.
    Between,
}

const BETWEEN_STATES: &str = "a state is put back before the exchange returns";

impl<R: Read> Unpacker<R> {
    /// Looks at the first bytes.
    pub(crate) fn new(
        stored: R,
        promised: Option<BlobDigest>,
        limits: &Limits,
        buffers: &Buffers,
    ) -> Result<Self, LayerError> {
        let deadline = Deadline { started: Instant::now(), time_max: limits.layer_time_max };
        let mut intake = Intake::new(stored, StoredHashes::new(promised), buffers.clone(), deadline);
        let codec = Codec::sniff(intake.fill_buf().map_err(LayerError::of_stream)?)?;
        let state = match codec {
            Codec::Plain => State::Plain(intake),
            _ => State::Packed(Box::new(Decoder::new(codec, intake, limits)?)),
        };
        let (limits, buffers) = (limits.clone(), buffers.clone());
        Ok(Self { state, codec, count_bytes: 0, failed: None, limits, deadline, buffers })
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Returns how many stored bytes have been read.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.intake().count_bytes
    }

    /// Unpacks the next block. `None` is the end, also of what follows a compressed stream.
    pub(crate) fn next_block(&mut self) -> io::Result<Option<Buffer>> {
        let block = match &mut self.state {
            State::Plain(intake) => intake.next_chunk()?,
            State::Packed(_) => self.decode()?,
            State::Ended(..) | State::Between => return Ok(None),
        };
        self.count_bytes += block.len() as u64;
        self.check_limits().map_err(io::Error::other)?;
        if block.is_empty() {
            self.end()?;
            return Ok(None);
        }
        Ok(Some(block))
    }

    /// Fills a block; an empty one is the end. What came before an error comes first.
    fn decode(&mut self) -> io::Result<Buffer> {
        let mut block = self.buffers.take();
        let State::Packed(decoder) = &mut self.state else { return Ok(block) };
        if self.failed.is_none() {
            let filled = block.fill_from(decoder);
            let offset_bytes = self.count_bytes + block.len() as u64;
            self.failed = filled.err().map(|error| typed(error, self.codec, offset_bytes));
        }
        self.failed.take_if(|_| block.is_empty()).map_or(Ok(block), Err)
    }

    fn check_limits(&self) -> Result<(), LayerError> {
        let limits = &self.limits;
        if self.count_bytes > limits.layer_bytes_max {
            return Err(LayerError::Limit { limit: "layer_bytes_max", max: limits.layer_bytes_max });
        }
        let ratio_max = self.codec.ratio_max(limits);
        let swollen = self.stored_bytes().saturating_mul(ratio_max);
        if self.count_bytes > Limits::RATIO_FREE_BYTES.saturating_add(swollen) {
            return Err(LayerError::Limit { limit: self.codec.ratio_limit_name(), max: ratio_max });
        }
        self.deadline.check()
    }

    /// Reads what follows the compressed stream.
    fn end(&mut self) -> io::Result<()> {
        let mut intake = match std::mem::replace(&mut self.state, State::Between) {
            State::Plain(intake) | State::Ended(intake, _) => intake,
            State::Packed(decoder) => decoder.into_inner(),
            State::Between => unreachable!("{BETWEEN_STATES}"),
        };
        let trailing = drain(&mut intake);
        self.state = State::Ended(intake, *trailing.as_ref().unwrap_or(&false));
        trailing.map(|_| ())
    }

    /// Sends stored bytes to another thread from now on, to be hashed there, and returns the hashes for it. Where
    /// nothing is unpacked the hashes stay: they are most of the work.
    pub(crate) fn send_stored(&mut self, reader: &Sender<Message<R>>) -> Option<Box<StoredHashes>> {
        if self.codec == Codec::Plain {
            return None;
        }
        match std::mem::replace(&mut self.intake_mut().outlet, Outlet::There(reader.clone(), Vec::new())) {
            Outlet::Here(hashes) => Some(hashes),
            Outlet::There(..) => None,
        }
    }

    /// Takes the hashes back, when all that was sent has been hashed.
    pub(crate) fn take_hashes(&mut self, hashes: Option<Box<StoredHashes>>) {
        let Some(mut hashes) = hashes else { return };
        let intake = self.intake_mut();
        if let Outlet::There(_, waiting) = &intake.outlet {
            waiting.iter().for_each(|stored| hashes.update(stored));
        }
        if !std::mem::replace(&mut intake.is_hashed, true) {
            hashes.update(&intake.chunk);
        }
        intake.outlet = Outlet::Here(hashes);
    }

    /// Returns the hashes of all stored bytes, if they are here, and whether bytes other than zeros followed the
    /// compressed stream.
    pub(crate) fn into_hashes(self) -> (Option<Box<StoredHashes>>, bool) {
        let (intake, trailing) = match self.state {
            State::Ended(intake, trailing) => (intake, trailing),
            State::Plain(intake) => (intake, false),
            State::Packed(decoder) => (decoder.into_inner(), false),
            State::Between => unreachable!("{BETWEEN_STATES}"),
        };
        match intake.outlet {
            Outlet::Here(hashes) => (Some(hashes), trailing),
            Outlet::There(..) => (None, trailing),
        }
    }

    fn intake(&self) -> &Intake<R> {
        match &self.state {
            State::Plain(intake) | State::Ended(intake, _) => intake,
            State::Packed(decoder) => decoder.get_ref(),
            State::Between => unreachable!("{BETWEEN_STATES}"),
        }
    }

    fn intake_mut(&mut self) -> &mut Intake<R> {
        match &mut self.state {
            State::Plain(intake) | State::Ended(intake, _) => intake,
            State::Packed(decoder) => decoder.get_mut(),
            State::Between => unreachable!("{BETWEEN_STATES}"),
        }
    }
}

fn typed(error: io::Error, codec: Codec, offset_bytes: u64) -> io::Error {
    match error.get_ref().is_some_and(|inner| inner.is::<LayerError>()) {
        true => error,
        false => io::Error::other(LayerError::Codec { codec: codec.name(), offset_bytes, source: error }),
    }
}

fn drain(intake: &mut Intake<impl Read>) -> io::Result<bool> {
    let mut trailing = false;
    loop {
        let rest = intake.fill_buf()?;
        if rest.is_empty() {
            return Ok(trailing);
        }
        trailing |= rest.iter().any(|byte| *byte != 0);
        let count = rest.len();
        intake.consume(count);
    }
}

fn nobody_reads() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads on")
}
