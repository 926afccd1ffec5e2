//! One binary for all tests of the command line but those that need a browser:
//! linking one for each file took most of a build.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should stop there")]

mod cli;
mod corpus_small;
mod demo;
mod examples;
mod export;
mod gates;
mod gates_told;
mod hostile_names;
mod ingest;
mod planted;
mod policies;
mod questions;
mod report;
mod report_formats;
mod support;
