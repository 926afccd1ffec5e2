//! What layerprint remembers, and where.
//!
//! Identities ([`id`]), the fingerprint of one layer ([`Fingerprint`]) and the merged view that several of
//! them make. Knows bytes and transactions; knows nothing of OCI, and asks no questions.

mod anomaly;
pub mod body;
mod check;
mod compression;
mod cursor;
mod error;
mod export;
mod fingerprint;
mod format;
pub mod id;
mod images;
mod import;
mod index;
mod log;
mod merge;
mod path;
mod recent;
mod record;
mod repair;
mod resolve;
mod stack;
mod store;
mod tally;

pub use anomaly::{Anomalies, Anomaly, AnomalyKind};
pub use body::BodyError;
pub use check::{CheckEvent, Checked, Damage, DamagedPart, check};
pub use error::{Result, StoreError};
pub use export::{ExportError, Exported};
pub use fingerprint::{Content, Entry, EntryKind, Fingerprint};
pub use images::{Forgotten, Name};
pub use import::{CheckConfig, Conflict, ImportError, ImportEvent, Imported};
pub use index::{Holder, ImageAt, Index, IndexStats, Overlap};
pub use log::catalogue::hide_panics_of_database;
pub use merge::{MergedView, PathWalk};
pub use path::PathBytes;
pub use recent::RecentLayers;
pub use record::{Document, ImageRecord, LayerRecord, Platform};
pub use repair::{Repaired, repair};
pub use resolve::Subject;
pub use stack::{Stack, Stacks, Steps};
pub use store::{BlobRecord, SourceRecord, Stats, Store};
