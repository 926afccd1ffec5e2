//! Repairs all that can be repaired, and says what was lost.
//!
//! ```text
//! header -> packs whole again -> catalogue that agrees with them -> no record that leads nowhere -> index
//! ```
//!
//! Each step can be stopped anywhere and begun again, and none makes anything worse: bytes are copied to `aside/` before they are
//! written over, positions in the packs are never used twice, and records change in commits like any other. Where catalogue and
//! commits disagree, the catalogue is believed if all of it is whole, for it was synced after them; else the commits are.

mod packs;
mod records;

use std::path::Path;

use serde::Serialize;

use crate::error::{Result, StoreError};
use crate::id::{BlobDigest, DiffId, ImageId};
use crate::index::Index;
use crate::log::journal::Journal;
use crate::log::layout::Layout;
use crate::log::lock::WriterLock;
use crate::log::pack::Packs;
use crate::store::Store;

/// What a repair came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// What was done, in words, in order.
    pub actions: Vec<String>,
    /// Layers whose fingerprints were lost.
    pub lost_layers: Vec<DiffId>,
    /// Documents that were lost.
    pub lost_documents: Vec<BlobDigest>,
    /// Images whose own records were lost.
    pub lost_images: Vec<ImageId>,
    /// Images that have lost layers or documents: they must be ingested again.
    pub incomplete_images: Vec<ImageId>,
}

impl Repaired {
    /// Returns true if something must be ingested again.
    pub fn has_losses(&self) -> bool {
        let parts = self.lost_layers.len() + self.lost_documents.len();
        parts + self.lost_images.len() + self.incomplete_images.len() > 0
    }

    fn did(&mut self, action: impl Into<String>) {
        self.actions.push(action.into());
    }
}

/// Is told what is being done, and how far that is, of how much.
pub type RepairObserver<'a> = &'a dyn Fn(&str, u64, u64);

/// Repairs a store. One that is whole is left as it is.
///
/// # Errors
///
/// Fails if there is no store of this version, another process writes to it, or the operating system refuses. What was done until
/// then stays.
pub fn repair(root: &Path, observer: RepairObserver) -> Result<(Store, Repaired)> {
    let mut repaired = Repaired::default();
    let layout = header(root, &mut repaired)?;
    let lock = WriterLock::take(root)?;
    observer("packs", 0, 1);
    let lost = packs::make_whole(&layout, &mut repaired)?;
    // Opened before anything is rebuilt: it may know images whose commits were lost.
    let index = Index::of_layout(&layout).ok();
    let journal = Journal::open_locked(layout, lock)?;
    if let Some(problem) = journal.rebuilt() {
        repaired.did(format!("rebuilt the catalogue from the packs: {problem}"));
    }
    records::agree(&journal, lost, observer, &mut repaired)?;
    if let Some(index) = index.filter(|_| lost.may_lack_commits && journal.rebuilt().is_some()) {
        records::take_images_of(&journal, &index, &mut repaired)?;
    }
    records::remove_dangling(&journal, observer, &mut repaired)?;
    let has_changed = !repaired.actions.is_empty();
    let is_published = journal.is_published();
    let store = Store::of_journal(journal)?;
    if has_changed {
        store.reindex_observed(&|done, total| observer("index", done, total))?;
    }
    if has_changed || !is_published {
        repaired.did("rebuilt the index");
    } else if store.repair_index()? {
        repaired.did("rebuilt the index, which was damaged");
    }
    Ok((store, repaired))
}

/// Reads the header of the store, or writes it anew from what the packs say.
fn header(root: &Path, repaired: &mut Repaired) -> Result<Layout> {
    match Layout::open(root) {
        Err(error @ StoreError::Corrupt { .. }) => {
            let Some(store_id) = Packs::store_id_of(&root.join("packs"))? else { return Err(error) };
            let layout = Layout::restore(root, store_id)?;
            repaired.did(format!("wrote the header of the store again: {error}"));
            Ok(layout)
        }
        layout => of_packs(layout?, repaired),
    }
}

/// Writes the header anew if it is that of another store: the packs can be read under the id that is in them.
fn of_packs(layout: Layout, repaired: &mut Repaired) -> Result<Layout> {
    if !layout.packs().is_dir() || Packs::fit(&layout.packs(), layout.store_id)? {
        return Ok(layout);
    }
    match Packs::store_id_of(&layout.packs())? {
        Some(theirs) if theirs != layout.store_id && Packs::fit(&layout.packs(), theirs)? => {
            repaired.did("wrote the header of the store again: it was that of another store");
            Layout::restore(&layout.root, theirs)
        }
        _ => Ok(layout),
    }
}
