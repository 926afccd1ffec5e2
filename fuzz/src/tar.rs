//! The tar reader: whole, in pieces and skipping, which must agree.

use std::fmt::Write;
use std::io::{self, Read};

use layerprint_ingest::tar::{ReadSkip, Stream, TarError, TarReader};

use crate::limits;

/// How many headers get a valid checksum; the first ones are enough to reach all of the reader.
const CHECKSUMS_MAX: usize = 32;

/// Reads an archive after its headers got the checksums that they should have.
pub fn run(bytes: &[u8]) {
    let archive = with_checksums(bytes.to_vec());
    let whole = listed(&archive[..], 64 << 10);
    assert_eq!(listed(Stream(Pieces { rest: &archive, next: 1 }), 700), whole, "read in pieces");
    let skipped = entries(&archive[..]);
    assert_eq!(entries(Stream(&archive[..])), skipped, "skipped by reading");
    assert_eq!(entries(io::Cursor::new(&archive)), skipped, "skipped by seeking");
}

/// Gives each header that is reached the checksum of its bytes.
pub fn with_checksums(mut archive: Vec<u8>) -> Vec<u8> {
    for _ in 0..CHECKSUMS_MAX {
        let mut reader = TarReader::new(&archive[..], limits().tar);
        let error = loop {
            match reader.next_entry() {
                Ok(Some(_)) => {}
                Ok(None) => return archive,
                Err(error) => break error,
            }
        };
        let TarError::BadChecksum { offset_bytes } = error else { return archive };
        let at = usize::try_from(offset_bytes).expect("an offset within the archive");
        set_checksum(&mut archive[at..at + 512]);
    }
    archive
}

fn set_checksum(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Describes the entries with their bodies, the end and the anomalies.
fn listed<R: ReadSkip>(archive: R, buffer_bytes: usize) -> String {
    let mut reader = TarReader::new(archive, limits().tar);
    let mut text = String::new();
    let mut buffer = vec![0; buffer_bytes];
    loop {
        let entry = match reader.next_entry() {
            Ok(Some(entry)) => entry,
            ended => break describe(&mut text, &ended),
        };
        describe(&mut text, &entry);
        let mut hasher = blake3::Hasher::new();
        let mut count_bytes = 0;
        let error = loop {
            match reader.read_body(&mut buffer) {
                Ok(0) => break None,
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    count_bytes += count as u64;
                }
                Err(error) => break Some(error),
            }
        };
        match &error {
            None => assert_eq!(count_bytes, entry.size_bytes, "a body that was read whole"),
            Some(error) => describe(&mut text, error),
        }
        if error.is_none() {
            describe(&mut text, &hasher.finalize());
        }
    }
    describe(&mut text, &reader.take_anomalies());
    text
}

/// Describes the entries without reading their bodies.
fn entries<R: ReadSkip>(archive: R) -> String {
    let mut reader = TarReader::new(archive, limits().tar);
    let mut text = String::new();
    loop {
        let next = reader.next_entry();
        describe(&mut text, &next);
        describe(&mut text, &reader.data_extents());
        if !matches!(next, Ok(Some(_))) {
            break;
        }
    }
    describe(&mut text, &reader.position_bytes());
    describe(&mut text, &reader.take_anomalies());
    text
}

fn describe(text: &mut String, what: &dyn std::fmt::Debug) {
    writeln!(text, "{what:?}").expect("a text takes what is written");
}

/// Gives out a few bytes at a time.
struct Pieces<'a> {
    rest: &'a [u8],
    next: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next = self.next % 977 + 13;
        let count = self.next.min(buffer.len());
        self.rest.read(&mut buffer[..count])
    }
}
