//! An archive of images, read front to back as from standard input.

use layerprint_ingest::fuzzing;

use crate::limits;
use crate::tar::with_checksums;

/// Reads the bytes as an archive.
pub fn run(bytes: &[u8]) {
    fuzzing::archive(with_checksums(bytes.to_vec()), &limits());
}
