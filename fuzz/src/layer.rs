//! A layer as it is stored: sniffed, decompressed, listed and fingerprinted, whole and in pieces.

use std::io::{self, Read};

use layerprint_ingest::LayerError;
use layerprint_ingest::layer::{LayerRead, Promise, read_layer};
use layerprint_store::body::{decode, encode};

use crate::limits;
use crate::tar::with_checksums;

/// Reads the bytes as a layer.
pub fn run(bytes: &[u8]) {
    let stored = with_checksums(bytes.to_vec());
    let whole = read(&stored[..]);
    let pieces = read(Pieces(&stored));
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => {
            assert_eq!(whole.record, pieces.record, "read in pieces");
            assert_eq!(whole.fingerprint, pieces.fingerprint, "read in pieces");
            assert_eq!(whole.digest, pieces.digest, "read in pieces");
            let body = encode(&whole.fingerprint).expect("what ingest accepts is what the store takes");
            assert_eq!(decode(&body).as_ref(), Ok(&whole.fingerprint), "stored and read again");
        }
        (Err(_), Err(_)) => {}
        _ => panic!("whole: {:?}, in pieces: {:?}", whole.err(), pieces.err()),
    }
}

fn read(stored: impl Read) -> Result<LayerRead, LayerError> {
    read_layer(stored, &Promise::default(), &limits(), &|_| ())
}

/// Gives out few bytes at a time.
struct Pieces<'a>(&'a [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(97);
        self.0.read(&mut buffer[..count])
    }
}
