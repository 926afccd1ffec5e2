//! Reads container images into layer fingerprints.
