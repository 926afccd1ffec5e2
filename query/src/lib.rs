//! Finds what images are built on, among the fingerprints of a store.
//!
//! The path of a question: a [`Subject`] is asked about; `scan` gives its exact overlap with every stored image,
//! `rank` chooses, [`compare`](mod@compare) says file by file what is left of the base, `lineage` what the base itself is built on.
//! [`find()`] puts them in order and answers with a [`Finding`].

pub mod compare;
mod find;
mod finding;
mod lineage;
mod rank;
mod scan;
mod subject;
mod upper;

pub use compare::{Comparison, FileState};
pub use find::find;
pub use finding::{Base, Evidence, Finding, ImageFacts, Kin, Member, New, RunnerUp, Share, Verdict};
pub use subject::{Layers, Subject};
