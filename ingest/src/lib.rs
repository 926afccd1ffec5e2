//! Reads container images into layer fingerprints.

pub mod write;
