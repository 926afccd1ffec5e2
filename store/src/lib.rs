//! What layerprint remembers, and where.
//!
//! Identities ([`id`]), the fingerprint of one layer ([`Fingerprint`]) and the merged view that several of
//! them make. Knows bytes and transactions; knows nothing of OCI, and asks no questions.

mod anomaly;
mod fingerprint;
pub mod id;
mod record;

pub use anomaly::{Anomalies, Anomaly, AnomalyKind};
pub use fingerprint::{Content, Entry, EntryKind, Fingerprint};
pub use record::{Document, ImageRecord, LayerRecord, Platform};
