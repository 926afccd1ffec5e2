//! Finds what images are built on, among the fingerprints of a store.
//!
//! The path of a question: a [`Subject`] is asked about; `scan` gives its exact overlap with every stored image,
//! `rank` orders them, `choose` takes the first that layers (`parts`) and dates (`created`) allow, [`compare`](mod@compare)
//! says file by file what is left of it, `judge` whether that makes it the base, and `lineage` what the base itself is
//! built on. [`find()`] puts them in order and answers with a [`Finding`].

mod agree;
mod choose;
pub mod compare;
mod created;
mod family;
mod fates;
mod find;
mod finding;
mod judge;
mod lineage;
mod own;
mod parts;
mod rank;
mod scan;
mod subject;
mod weigh;

pub use compare::Comparison;
pub use find::find;
pub use finding::{Base, Evidence, Finding, ImageFacts, Kin, Member, New, RunnerUp, Share, Verdict};
pub use subject::{Layers, Subject};
