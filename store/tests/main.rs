//! One binary for all tests of the crate:
//! linking one for each file took most of a build.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should stop there")]

mod body;
mod common;
mod damage;
mod export;
mod fixtures;
mod index;
mod killed_writer;
mod merge;
mod repair;
mod store;
