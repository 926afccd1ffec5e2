//! Which stored image is put to the judge: those that could be the base at all, and the one that is preferred.
//!
//! The order by figures is `rank`'s. Here its first is passed over where layers or dates say that it is no base but a
//! relative: an image built on this one, one built on the same base, or one that the same files were copied into.

use std::collections::{HashMap, HashSet};

use layerprint_store::id::{ContentId, SetId};
use layerprint_store::{ImageRecord, Index, MergedView, Result};
use rayon::prelude::*;

use crate::created;
use crate::finding::Evidence;
use crate::judge::{BASE_CONTAINMENT_MIN, FAMILY_CONTAINMENT_MIN};
use crate::lineage::ANCESTOR_CONTAINMENT;
use crate::parts::{Taken, Taker};
use crate::rank::{Ranked, Ranking, is_comparable};
use crate::scan::{Overlap, share};
use crate::subject::{Layers, Subject};

/// A stored image, how it was recognised, and what of it was taken.
pub(crate) struct Choice<'a> {
    pub(crate) overlap: &'a Overlap,
    pub(crate) evidence: Evidence,
    pub(crate) taken: Taken,
}

impl<'a> Choice<'a> {
    /// Takes the stored image whose layers are the lowest of the one in question.
    pub(crate) fn by_chain(overlap: &'a Overlap) -> Self {
        Self { overlap, evidence: Evidence::ChainId, taken: Taken::Whole }
    }
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

/// Returns the stored image to be judged; none if nothing shares enough to be looked at.
///
/// The first in the ranking that was taken whole. One that comes after a relative must explain at least half of what
/// the relative's lower layers do: a few files that happen to be a stored image are no better answer.
pub(crate) fn choose<'a>(
    index: &Index,
    subject: &Subject,
    view: &MergedView,
    ranking: &Ranking<'a>,
) -> Result<Option<Choice<'a>>> {
    let plausible = |ranked: &&Ranked| ranked.overlap.containment() >= FAMILY_CONTAINMENT_MIN;
    let plausible: Vec<&Ranked> = ranking.ranked.iter().filter(plausible).collect();
    let taken = taken(index, subject, view, &plausible, ranking.retention)?;
    let choice = |overlap: &'a Overlap| {
        let taken = taken.get(&overlap.record.set_id).copied().unwrap_or(Taken::Whole);
        Choice { overlap, evidence: Evidence::Content, taken }
    };
    let mut relative: Option<Choice> = None;
    for ranked in plausible {
        let next = choice(ranked.overlap);
        match (next.taken, &relative) {
            (Taken::Whole, None) => return Ok(Some(next)),
            (Taken::Whole, Some(relative)) => {
                let explains = is_comparable(next.overlap.present, relative.overlap.present);
                if explains && next.overlap.containment() >= BASE_CONTAINMENT_MIN {
                    return Ok(Some(next));
                }
            }
            (Taken::Lower(_), None) => relative = Some(next),
            (Taken::Lower(_), Some(_)) | (Taken::Upper, _) => {}
        }
    }
    Ok(relative.or_else(|| ranking.ranked.first().map(|first| choice(first.overlap))))
}

/// Tells what was taken of each set of contents, where that is not the whole. Images of one set may be layered
/// differently; one whose layers tell speaks for all.
fn taken(
    index: &Index,
    subject: &Subject,
    view: &MergedView,
    ranked: &[&Ranked],
    retention: f64,
) -> Result<HashMap<SetId, Taken>> {
    let held: HashSet<ContentId> = view.files().map(|(_, content)| content.id).collect();
    let taker = Taker { layers: &subject.record.layers, view, held: &held, retention };
    let parts = ranked.par_iter().map(|ranked| {
        let record = &ranked.overlap.record;
        // One layer has no parts; reading it would be for nothing.
        let taken = match record.layers.len() {
            0 | 1 => Taken::Whole,
            _ => taker.taken(&record.layers, &Layers::stored(index, &record.layers)?),
        };
        Ok((record.set_id, taken))
    });
    let parts: Vec<(SetId, Taken)> = parts.collect::<Result<_>>()?;
    let mut taken = HashMap::new();
    for (set, part) in parts.into_iter().filter(|(_, part)| *part != Taken::Whole) {
        taken.entry(set).or_insert(part);
    }
    Ok(taken)
}
