//! Reads container images, from every form they are kept in, into layer fingerprints.
//!
//! The path of the data, a file for each arrow: [`source`] names it, `discover` and `open` find the images in it
//! (`oci`, `docker`, `rootfs` over a `tree` of named files), `unpack`, `codec` and `stream` unpack a layer, [`tar`] gives its
//! entries, [`fingerprint`] says what they mean, `image` describes the whole. [`pipeline`] runs it all in parallel.
//!
//! [`write`](mod@write) goes the other way: it makes images, in all these forms, for tests and for the demonstration.

mod archive;
mod buffers;
mod codec;
mod collect;
pub mod discover;
mod docker;
mod document;
mod error;
pub mod fingerprint;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod helpers;
mod image;
mod job;
pub mod layer;
mod limits;
mod memory;
mod oci;
mod open;
pub mod pipeline;
mod places;
mod plan;
mod planner;
pub mod progress;
mod rootfs;
mod seen;
pub mod shard;
mod sink;
mod slots;
pub mod source;
mod spill;
mod stop;
mod stream;
mod sums;
pub mod tar;
mod tree;
mod unpack;
mod worker;
pub mod write;

pub use error::{IngestError, LayerError};
pub use image::check_config;
pub use limits::Limits;
pub use pipeline::{Options, ingest, read};
pub use plan::familiar;
pub use shard::Shard;
pub use sink::ImageRead;
pub use source::{Source, Transport};
pub use stop::Stop;
