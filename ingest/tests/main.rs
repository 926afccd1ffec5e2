//! One binary for all tests of the crate:
//! linking one for each file took most of a build.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should stop there")]

mod damage;
mod formats;
mod layers;
mod limits;
mod odd_sources;
mod properties;
mod real_world;
mod runs;
mod shards;
mod stops;
mod support;
mod tar_anomalies;
mod tar_differential;
mod tar_properties;
mod tar_support;
mod tar_torture;
mod torture_layers;
