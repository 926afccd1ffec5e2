//! Finds what images are built on, among the fingerprints of a store.
//!
//! The path of a question: a [`Subject`] is asked about; `scan` gives its exact overlap with every stored image,
//! `rank` orders them, `choose` takes the first that layers (`parts`) and dates (`created`) allow, [`compare`](mod@compare)
//! says file by file what is left of it, `judge` whether that makes it the base, `lineage` what the base itself is
//! built on, and `cover` which further images hold parts of the rest (`holding`, `donor`, `folders`). [`find()`] puts them
//! in order and answers with a [`Finding`]. [`explain()`] gives a row for each file (`states`, `versions`), [`children()`]
//! asks the other way round.

mod best;
mod children;
mod choose;
pub mod compare;
mod cover;
mod created;
mod donor;
mod explain;
mod find;
mod finding;
mod folders;
mod holding;
mod judge;
mod lineage;
mod parts;
mod paths;
mod rank;
mod scan;
mod states;
mod subject;
mod versions;

pub use children::{Asked, Child, children};
pub use compare::Comparison;
pub use cover::Part;
pub use explain::{Against, Amount, Explanation, Origin, OriginKind, explain};
pub use find::find;
pub use finding::{Base, Evidence, Finding, ImageFacts, Kin, Member, New, RunnerUp, Share, Verdict};
pub use states::{FileRow, State};
pub use subject::{Layers, Subject};
