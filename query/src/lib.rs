//! Finds what images are built on, among the fingerprints of a store.
//!
//! The path of a question: a [`Subject`] is asked about; `scan` asks the index what it shares with stored images, `rank` orders
//! them, `weigh` reads the best and says what became of each of their files (`fates`), `choose` takes the first that is
//! no mere relative, by its layers (`parts`) and by what it has alone (`own`), or the `family` where little is left;
//! [`compare`](mod@compare) counts what is left of it, `judge` says whether that makes it the base, looking at how far the two
//! agree (`agree`), `confidence` how likely that is right, `lineage` what the base itself is built on, and `cover` which
//! further images hold parts of the rest (`holding`, `donor`, `folders`). [`find()`] puts them in order and answers with a
//! [`Finding`]. [`explain()`] gives a row for each file (`states`, `versions`), [`children()`] asks the other way round.

mod agree;
mod best;
mod children;
mod choose;
pub mod compare;
mod confidence;
mod cover;
mod created;
mod donor;
mod duplicates;
mod explain;
mod family;
mod fates;
mod find;
mod finding;
mod folders;
mod holding;
mod judge;
mod known;
mod labels;
mod lineage;
mod own;
mod parts;
mod rank;
mod savings;
mod scan;
mod siblings;
mod states;
mod storage;
mod subject;
mod versions;
mod weigh;
mod who_has;

pub use children::{Asked, Child, children};
pub use compare::Comparison;
pub use cover::Part;
pub use duplicates::{
    EqualImage, EqualImages, EqualLayer, EqualLayers, Nearness, equal_images, equal_layers,
};
pub use explain::{Against, Amount, Explanation, Origin, OriginKind, explain};
pub use find::find;
pub use finding::{Base, Evidence, Finding, ImageFacts, Kin, Member, New, RunnerUp, Share, Verdict};
pub use known::Known;
pub use labels::labels;
pub use savings::{Group, Rebase, RebaseLayer, Savings, rebase, savings};
pub use siblings::{Sibling, Siblings, siblings};
pub use states::{FileRow, State};
pub use storage::{Storage, storage};
pub use subject::{Layers, Subject};
pub use who_has::{Holding, HoldingLayer, who_has};
