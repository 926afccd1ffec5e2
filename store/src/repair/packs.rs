//! Packs that can be walked from end to end: what is damaged becomes whole frames of lost bytes.

use super::Repaired;
use crate::error::{Result, StoreError};
use crate::log::aside::Aside;
use crate::log::catalogue::{Catalogue, Tree};
use crate::log::frame::{FrameKind, Position};
use crate::log::journal::applied_of;
use crate::log::layout::Layout;
use crate::log::pack::Packs;
use crate::log::recovery::{self, published};
use crate::log::seal::Seal;
use crate::log::walk::{Damage, Piece};

/// What the packs lost.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost {
    /// Bytes that may have been commits, now or in an earlier repair.
    pub(super) may_lack_commits: bool,
}

/// Makes all packs whole but for an unfinished tail, which is left to whoever opens the store.
pub(super) fn make_whole(layout: &Layout, repaired: &mut Repaired) -> Result<Lost> {
    let aside = Aside::of(&layout.root);
    let packs = Packs::open(layout.packs(), layout.store_id)?;
    let floor = floor(layout, repaired)?;
    if packs.extend_to(floor)? {
        repaired.did("the packs ended before the last commit: marked what is missing as lost");
    }
    for number in packs.numbers_on_disk()? {
        if let Some(problem) = packs.header_problem(number)?.filter(|_| number <= floor.pack) {
            packs.restore_header(number, &aside)?;
            repaired.did(format!("wrote the header of a pack again: {problem}"));
        }
    }
    let mut lost = Lost::default();
    for damage in damages(&packs, &mut lost)? {
        let is_tail = damage.from >= floor && !packs.has_frame_after(damage.end())?;
        if !is_tail {
            packs.mark_lost(damage.from, damage.to_bytes, &aside)?;
            lost.may_lack_commits = true;
            let Damage { from: Position { pack, offset_bytes }, to_bytes, .. } = damage;
            repaired
                .did(format!("set {offset_bytes} to {to_bytes} of pack {pack} aside: {}", damage.problem));
        }
    }
    Ok(lost)
}

fn damages(packs: &Packs, lost: &mut Lost) -> Result<Vec<Damage>> {
    let mut damages = Vec::new();
    for piece in packs.walk(packs.start()) {
        match piece? {
            Piece::Damage(damage) => damages.push(damage),
            Piece::Frame(frame) => lost.may_lack_commits |= frame.kind == FrameKind::Lost as u8,
        }
    }
    Ok(damages)
}

/// Returns the position before which everything was acknowledged, as far as catalogue and index know. A catalogue that cannot
/// be read from end to end is put away: it will be rebuilt.
fn floor(layout: &Layout, repaired: &mut Repaired) -> Result<Position> {
    let published = published(layout)?;
    let applied = match readable_catalogue(layout) {
        Ok(applied) => applied,
        Err(error @ StoreError::Io { .. }) => return Err(error),
        Err(error) => {
            repaired.did(format!("put the catalogue away: {error}"));
            recovery::discard_catalogue(layout)?;
            None
        }
    };
    Ok(applied.max(published).unwrap_or_default())
}

fn readable_catalogue(layout: &Layout) -> Result<Option<Position>> {
    if !layout.catalogue().join("db").exists() {
        return Ok(None);
    }
    let catalogue = Catalogue::open(layout.catalogue())?;
    for tree in Tree::ALL {
        catalogue.scan(tree, &[]).try_for_each(|pair| pair.map(drop))?;
    }
    Ok(applied_of(&catalogue, &Seal::new(&layout.store_id))?.map(|applied| applied.end))
}
