//! One binary for all tests of the crate:
//! linking one for each file took most of a build.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should stop there")]

mod children;
mod common;
mod cover;
mod duplicates;
mod explain;
mod find;
mod images;
mod labels;
mod properties;
mod report;
mod savings;
mod siblings;
mod storage;
mod who_has;
