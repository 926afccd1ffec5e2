//! Finds what images are built on, among the fingerprints of a store.
//!
//! The path of a question: a [`Subject`] is asked about; `scan` asks the index what it shares with stored images, `rank` orders
//! them, `weigh` reads the best and says what became of each of their files (`fates`), `choose` takes the first that is
//! no mere relative, by its layers (`parts`) and by what it has alone (`own`), or the `family` where little is left;
//! [`compare`](mod@compare) counts what is left of it, `judge` says whether that makes it the base, looking at how far the two
//! agree (`agree`), `confidence` how likely that is right, `lineage` what the base itself is built on, and `cover` which
//! further images hold parts of the rest (`holding`, `donor`, `folders`). [`find()`] puts them in order and answers with a
//! [`Finding`]. Who asks about many images asks [`Questions`], which keep what was read (`reader`, `kept`): files of images
//! with paths and contents by number (`tree`, `numbers`), laid out for look-ups (`seen`). A [`Row`] is that with what the whole
//! [`Fleet`] says of it (`reference`, `proper`, `made_of`), and what became of it (`change`). [`explain()`] gives a row for each
//! file (`states`, `versions`), [`children()`] asks the other way round. Questions about all that is stored answer [`Partly`] where
//! a layer cannot be read (`unread`).

mod agree;
mod best;
mod by_content;
mod change;
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
mod fleet;
mod folders;
mod holding;
mod ids;
mod judge;
mod kept;
mod known;
mod labels;
mod laid;
mod lineage;
mod made_of;
mod numbers;
mod own;
mod parts;
mod proper;
mod questions;
mod rank;
mod reader;
mod reference;
mod remarks;
mod rest;
mod row;
mod savings;
mod scan;
mod seen;
mod siblings;
mod states;
mod storage;
mod subject;
mod tree;
mod unread;
mod versions;
mod weigh;
mod who_has;
mod words;

pub use change::{Before, Change, ChangeKind, Was};
pub use children::{Asked, Child, children};
pub use compare::Comparison;
pub use cover::Part;
pub use duplicates::{
    EqualImage, EqualImages, EqualLayer, EqualLayers, Nearness, equal_images, equal_layers,
};
pub use explain::{Against, Amount, Explanation, Origin, OriginKind, explain};
pub use find::find;
pub use finding::{Base, Evidence, Finding, ImageFacts, Kin, Member, New, RunnerUp, Share, Verdict};
pub use fleet::{Fleet, FleetImage, Freshness, Newest, family};
pub use known::Known;
pub use labels::labels;
pub use made_of::{Kind, MadeOf, without_relatives};
pub use proper::Proper;
pub use questions::Questions;
pub use reference::{Reference, family_of, repository_of};
pub use remarks::remarks;
pub use row::{Level, Remark, Row, Rows, Rule};
pub use savings::{Group, Rebase, RebaseLayer, Savings, rebase, savings};
pub use siblings::{Sibling, Siblings, siblings};
pub use states::{FileRow, State};
pub use storage::{Storage, storage};
pub use subject::{Layers, Subject};
pub use unread::{Partly, Unread};
pub use who_has::{Holding, HoldingLayer, who_has};
pub use words::{either, percent, whole_percent};
