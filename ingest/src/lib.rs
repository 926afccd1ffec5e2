//! Reads container images into layer fingerprints.

pub mod tar;
pub mod write;
