//! Finds the bases of images among stored fingerprints.
