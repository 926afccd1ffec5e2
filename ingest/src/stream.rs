//! A layer's bytes, unpacked: hashed while they pass, read without being copied.
//!
//! [`Unpacked`] is the half of reading that stays with the thread which reads the layer; the other half is in
//! [`crate::unpack`] and may be done by a thread that is idle. A typed error passes through readers above as the source
//! of an [`io::Error`].

use std::io::{self, Read};

use layerprint_store::id::{BlobDigest, DiffId};
use sha2::{Digest, Sha256};

use crate::buffers::{Buffer, Buffers};
use crate::codec::Codec;
use crate::error::LayerError;
use crate::helpers::{Elsewhere, Helpers, Message};
use crate::layer::Promise;
use crate::limits::Limits;
use crate::sums::Sums;
use crate::tar::{ReadSkip, TarError};
use crate::unpack::{StoredHashes, Unpacker};

/// Unpacked bytes before which no help is asked for: handing over costs as much as unpacking a few blocks.
const HELP_AFTER_BYTES: u64 = 1 << 20;

/// A tar as it comes out of the decompressor, a block at a time.
pub(crate) struct Unpacked<'a, R> {
    side: Side<R>,
    block: Buffer,
    position: usize,
    codec: Codec,
    /// None where nothing is compressed: the digest of the stored bytes is the diff ID then.
    sha256: Option<Sha256>,
    size_bytes: u64,
    on_read: &'a dyn Fn(u64),
    told_bytes: u64,
    help: Option<(&'a Helpers, HandOver<R>)>,
    /// What all layers of the source come to, and what they may.
    sums: Option<(&'a Sums, &'a Limits)>,
}

type HandOver<R> = fn(&Helpers, Box<Unpacker<R>>) -> Result<Elsewhere<R>, Box<Unpacker<R>>>;

/// Who unpacks.
enum Side<R> {
    Here(Box<Unpacker<R>>),
    There(Elsewhere<R>),
    Ended(Option<Box<StoredHashes>>, bool),
    /// Only while one side is exchanged for the next, and after an error.
    Nobody,
}

/// What is known when everything has been read.
pub(crate) struct Finished {
    /// SHA-256 of the unpacked bytes.
    pub(crate) diff_id: DiffId,
    /// Their number.
    pub(crate) size_bytes: u64,
    /// Digest of the stored bytes, of the algorithm that was promised.
    pub(crate) digest: BlobDigest,
    /// True if bytes other than zeros follow the compressed stream.
    pub(crate) trailing: bool,
}

impl<'a, R: Read> Unpacked<'a, R> {
    /// Looks at the first bytes. `on_read` is told of every run of stored bytes.
    pub(crate) fn new(
        stored: R,
        promised: Option<BlobDigest>,
        limits: &Limits,
        buffers: &Buffers,
        on_read: &'a dyn Fn(u64),
    ) -> Result<Self, LayerError> {
        let unpacker = Unpacker::new(stored, promised, limits, buffers)?;
        let codec = unpacker.codec();
        Ok(Self {
            side: Side::Here(Box::new(unpacker)),
            block: buffers.take(),
            position: 0,
            codec,
            sha256: (codec != Codec::Plain).then(Sha256::new),
            size_bytes: 0,
            on_read,
            told_bytes: 0,
            help: None,
            sums: None,
        })
    }

    /// Counts for the source, too.
    pub(crate) fn summed_in(self, sums: &'a Sums, limits: &'a Limits) -> Self {
        Self { sums: Some((sums, limits)), ..self }
    }

    /// Returns the compression that was found.
    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Returns what is next, without taking it: at the start a whole buffer, or all there is.
    pub(crate) fn peek(&mut self) -> Result<&[u8], LayerError> {
        self.fill().map_err(LayerError::of_stream)?;
        Ok(&self.block[self.position..])
    }

    /// Compares size, then digest, with what was promised. Everything must have been read.
    pub(crate) fn finish(mut self, promise: &Promise) -> Result<Finished, LayerError> {
        let unread = || LayerError::Internal { what: "a layer is finished when it has been read".into() };
        debug_assert!(matches!(self.side, Side::Ended(..)), "a layer is finished when it has been read");
        let Side::Ended(Some(hashes), trailing) = std::mem::replace(&mut self.side, Side::Nobody) else {
            return Err(unread());
        };
        let stored_bytes = hashes.count_bytes();
        let (digest, stored_sha256) = hashes.finish();
        if let Some(expected) = promise.size_bytes.filter(|expected| *expected != stored_bytes) {
            return Err(LayerError::SizeMismatch { found: stored_bytes, expected });
        }
        if let Some(expected) = promise.digest.filter(|expected| *expected != digest) {
            return Err(LayerError::digest_mismatch(digest, expected));
        }
        let diff_id = self.sha256.take().map_or(stored_sha256, |sha256| sha256.finalize().into());
        Ok(Finished { diff_id: DiffId::from_bytes(diff_id), size_bytes: self.size_bytes, digest, trailing })
    }

    /// Makes sure that something is there to be taken, unless this is the end.
    fn fill(&mut self) -> io::Result<()> {
        if self.position < self.block.len() {
            return Ok(());
        }
        self.block.clear();
        self.position = 0;
        let Some(block) = self.next_block()? else { return Ok(()) };
        self.block = block;
        self.size_bytes += self.block.len() as u64;
        if let Some((sums, limits)) = self.sums {
            sums.add_unpacked(self.block.len() as u64, limits).map_err(io::Error::other)?;
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(&*self.block);
        }
        Ok(())
    }

    /// After an error there is nothing more.
    fn next_block(&mut self) -> io::Result<Option<Buffer>> {
        loop {
            match std::mem::replace(&mut self.side, Side::Nobody) {
                Side::Here(unpacker) => match self.hand_over(unpacker) {
                    Ok(elsewhere) => self.side = Side::There(elsewhere),
                    Err(unpacker) => return self.unpack(unpacker),
                },
                Side::There(elsewhere) => {
                    if let Some(block) = self.hear(elsewhere)? {
                        return Ok(Some(block));
                    }
                }
                ended => {
                    self.side = ended;
                    return Ok(None);
                }
            }
        }
    }

    fn hand_over(&self, unpacker: Box<Unpacker<R>>) -> Result<Elsewhere<R>, Box<Unpacker<R>>> {
        match self.help {
            Some((helpers, hand_over)) if self.size_bytes >= HELP_AFTER_BYTES => hand_over(helpers, unpacker),
            _ => Err(unpacker),
        }
    }

    fn unpack(&mut self, mut unpacker: Box<Unpacker<R>>) -> io::Result<Option<Buffer>> {
        let block = unpacker.next_block();
        self.tell(unpacker.stored_bytes());
        let block = block?;
        self.side = match block {
            Some(_) => Side::Here(unpacker),
            None => ended(*unpacker, None),
        };
        Ok(block)
    }

    /// Takes the next block that has come, else one message.
    fn hear(&mut self, mut elsewhere: Elsewhere<R>) -> io::Result<Option<Buffer>> {
        if let Some(block) = elsewhere.blocks.next() {
            // Where nothing is unpacked, blocks are stored bytes.
            if self.sha256.is_none() {
                self.tell(self.told_bytes + block.len() as u64);
            }
            self.side = Side::There(elsewhere);
            return Ok(Some(block));
        }
        let gone =
            |_| io::Error::other(LayerError::Internal { what: "the thread that helped is gone".into() });
        match elsewhere.messages.recv().map_err(gone)? {
            Message::Stored(stored) => {
                for stored in stored {
                    elsewhere.hashes.iter_mut().for_each(|hashes| hashes.update(&stored));
                    self.tell(self.told_bytes + stored.len() as u64);
                }
            }
            Message::Blocks(blocks) => elsewhere.blocks = blocks.into_iter(),
            Message::Back(mut unpacker) => {
                unpacker.take_hashes(elsewhere.hashes);
                self.side = Side::Here(unpacker);
                return Ok(None);
            }
            Message::Ended(unpacker, result) => {
                self.tell(unpacker.stored_bytes());
                result?;
                self.side = ended(*unpacker, elsewhere.hashes);
                return Ok(None);
            }
        }
        self.side = Side::There(elsewhere);
        Ok(None)
    }

    fn tell(&mut self, stored_bytes: u64) {
        let count_bytes = stored_bytes - self.told_bytes;
        if let Some((sums, _)) = self.sums {
            sums.add_stored(count_bytes);
        }
        (self.on_read)(count_bytes);
        self.told_bytes = stored_bytes;
    }
}

impl<'a, R: Read + Send + 'static> Unpacked<'a, R> {
    /// Lets idle threads help.
    pub(crate) fn helped_by(self, helpers: Option<&'a Helpers>) -> Self {
        Self { help: helpers.map(|helpers| (helpers, Helpers::unpack::<R> as HandOver<R>)), ..self }
    }
}

fn ended<R: Read>(mut unpacker: Unpacker<R>, hashes: Option<Box<StoredHashes>>) -> Side<R> {
    unpacker.take_hashes(hashes);
    let (hashes, trailing) = unpacker.into_hashes();
    Side::Ended(hashes, trailing)
}

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.pass(buffer.len(), &mut |bytes| buffer[..bytes.len()].copy_from_slice(bytes))
    }
}

impl<R: Read> ReadSkip for Unpacked<'_, R> {
    fn pass(&mut self, count_max: usize, take: &mut dyn FnMut(&[u8])) -> io::Result<usize> {
        self.fill()?;
        let ready = &self.block[self.position..];
        let count = ready.len().min(count_max);
        take(&ready[..count]);
        self.position += count;
        Ok(count)
    }
}

impl LayerError {
    pub(crate) fn digest_mismatch(found: BlobDigest, expected: BlobDigest) -> Self {
        Self::DigestMismatch { found: Box::new(found), expected: Box::new(expected) }
    }

    /// Takes the typed error out of one that passed through readers.
    pub(crate) fn of_stream(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => error,
            Err(error) => error.downcast::<TarError>().map_or_else(Self::Io, Self::from),
        }
    }
}
