//! Which stored image is put to the judge: those that could be the base at all, and the one that is preferred.
//!
//! The order by figures is `rank`'s. Here its first is passed over where layers or dates say that it is no base but a
//! relative: an image built on this one, one built on the same base, or one that the same files were copied into.

use layerprint_store::{ImageRecord, Result};

use crate::created;
use crate::family::Specific;
use crate::fates::Fate;
use crate::judge::{KEPT_MOVED_MIN, PICKED_CONTAINMENT, is_kept};
use crate::lineage::ANCESTOR_CONTAINMENT;
use crate::own::lacks_own;
use crate::parts::{Taken, Taker};
use crate::scan::{Overlap, share};
use crate::weigh::{Shortlist, Weighed, Weighing};

/// Share of what a relative's lower layers explain that another candidate must explain to be preferred to it.
const EXPLAINED_MIN: f64 = 0.9;

/// A candidate, and what of it was taken.
pub(crate) struct Choice<'a> {
    pub(crate) weighed: &'a Weighed<'a>,
    pub(crate) taken: Taken,
    /// What tells its family, if too little is left to tell more.
    pub(crate) picked: Option<Picked<'a>>,
}

/// What was picked from a family.
pub(crate) struct Picked<'a> {
    pub(crate) specific: Specific,
    /// All from whom it may be, the choice first.
    pub(crate) near: Vec<&'a Weighed<'a>>,
}

/// Returns true if a stored image holds the other and more: one of the two is built on the other, or slimmed from it.
pub(crate) fn holds_all_and_more(stored: &Overlap, image: &ImageRecord) -> bool {
    stored.record.content_count > image.content_count
        && share(stored.present, image.content_count) >= ANCESTOR_CONTAINMENT
}

/// Returns true if a stored image is built on the other: holds it and more, and was made after it.
pub(crate) fn is_descendant(stored: &Overlap, image: &ImageRecord) -> bool {
    holds_all_and_more(stored, image) && created::is_after(&stored.record, image)
}

/// What it takes to choose among candidates.
pub(crate) struct Chooser<'a> {
    pub(crate) taker: Taker<'a>,
    pub(crate) list: &'a Shortlist,
    pub(crate) weighing: &'a Weighing<'a>,
}

impl<'a> Chooser<'a> {
    /// Returns a candidate as a choice.
    pub(crate) fn choice(&self, weighed: &'a Weighed<'a>) -> Result<Choice<'a>> {
        let record = &self.list.records[weighed.place];
        let taken = match self.taker.taken(record, &self.list.trees[weighed.place])? {
            Taken::Whole => lacks_own(self.weighing, weighed).map_or(Taken::Whole, Taken::Shared),
            taken => taken,
        };
        Ok(Choice { weighed, taken, picked: None })
    }

    /// Returns the stored image to be judged; none if nothing shares enough to be looked at.
    pub(crate) fn choose(&self) -> Result<Option<Choice<'a>>> {
        match self.preferred()? {
            Some(choice) if !is_sample(&choice) => Ok(Some(self.picked()?.unwrap_or(choice))),
            choice => Ok(choice),
        }
    }

    /// Returns the best member of the family from which the image has what it has, if that is enough to say so.
    fn picked(&self) -> Result<Option<Choice<'a>>> {
        let families = self.weighing.families();
        let Some(best) = families.best(self.weighing) else { return Ok(None) };
        let choice = self.choice(best)?;
        let specific = families.specific(best);
        let is_family = specific.is_enough() && choice.taken != Taken::Upper;
        let picked = Picked { specific, near: families.near(self.weighing, best) };
        Ok(is_family.then_some(Choice { picked: Some(picked), ..choice }))
    }

    /// The first that was taken whole. One that comes after a relative must explain nearly as much as the relative's
    /// lower layers do, and enough of itself must be there: a part that happens to be a stored image is no better
    /// answer.
    fn preferred(&self) -> Result<Option<Choice<'a>>> {
        let mut relative: Option<Choice> = None;
        for weighed in &self.weighing.weighed {
            let next = self.choice(weighed)?;
            match (next.taken, &relative) {
                (Taken::Whole, None) => return Ok(Some(next)),
                (Taken::Whole, Some(relative)) => {
                    let explained = share(weighed.overlap.present, relative.weighed.overlap.present);
                    if explained >= EXPLAINED_MIN && is_kept(weighed) {
                        return Ok(Some(next));
                    }
                }
                (Taken::Lower(_) | Taken::Shared(_), None) => relative = Some(next),
                (Taken::Lower(_) | Taken::Shared(_), Some(_)) | (Taken::Upper, _) => {}
            }
        }
        match (relative, self.weighing.weighed.first()) {
            (None, Some(first)) => self.choice(first).map(Some),
            (relative, _) => Ok(relative),
        }
    }
}

/// Returns true if what is there is enough of the candidate to be judged as a whole, where it stood or all of it.
fn is_sample(choice: &Choice) -> bool {
    let Weighed { overlap, fates, .. } = choice.weighed;
    let containment = overlap.containment();
    let in_place = fates.count(|fated| fated.fate == Fate::Same);
    let is_in_place = in_place * 2 >= overlap.present || containment >= KEPT_MOVED_MIN;
    containment >= PICKED_CONTAINMENT && is_in_place
}
