//! The JSON documents of an image, in every form that has some.
//!
//! The bytes are several documents with [`SEPARATOR`] between them, lowest first: configurations, manifests, and last what
//! is looked at first. A digest in one of another is written `@0` to `@9`, its number, so that a change of a document leaves the
//! digests that lead to it right.

use layerprint_ingest::fuzzing;

/// Stands between two documents. JSON is UTF-8, which has no such byte.
pub const SEPARATOR: u8 = 0xff;

/// Reads the documents.
pub fn run(bytes: &[u8]) {
    fuzzing::documents(bytes.split(|byte| *byte == SEPARATOR), &crate::limits());
}
