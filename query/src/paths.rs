//! The order of the best candidates, seen again by their paths.
//!
//! Contents alone cannot tell a file that was edited, or compressed anew, from one that never was there. Paths can: where
//! an image has a file of unknown content at a path of one base and another base has no such path, somebody changed that
//! base's file. Where the content is known, from another candidate, the file is that one's, and speaks against the base.

use std::collections::{BTreeMap, HashSet};

use layerprint_store::id::ContentId;
use layerprint_store::{Entry, Index, MergedView, Result};
use rayon::prelude::*;

use crate::compare::held;
use crate::rank::{Ranked, Ranking};
use crate::subject::Layers;

/// Candidates looked at. What comes after them shares too little to be helped by its paths.
const CANDIDATES_MAX: usize = 16;

/// What an edited file earns, in units of what an unchanged one does: it speaks for the base against one without the
/// path, and less than the file itself would.
const EDITED: f64 = 0.5;

/// Orders the best candidates of a ranking by contents and paths.
pub(crate) fn reorder(index: &Index, image: &MergedView, ranking: &mut Ranking) -> Result<()> {
    let count = ranking.ranked.len().min(CANDIDATES_MAX);
    let best: Vec<_> = ranking.ranked.drain(..count).collect();
    let stored = |ranked: &Ranked| Layers::stored(index, &ranked.overlap.record.layers);
    let layers: Vec<Layers> = best.par_iter().map(stored).collect::<Result<_>>()?;
    let views: Vec<MergedView> = layers.par_iter().map(Layers::view).collect();
    let known: HashSet<ContentId> = views.par_iter().flat_map_iter(held).collect();
    let (held, lambda) = (held(image), ranking.lambda);
    let scores = views.par_iter().map(|view| score(&fates(view, image, &held, &known), lambda));
    let mut best: Vec<(f64, Ranked)> = scores.collect::<Vec<_>>().into_iter().zip(best).collect();
    // Stable: where paths say nothing, the order by contents stays.
    best.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    ranking.ranked.splice(..0, best.into_iter().map(|(_, ranked)| ranked));
    Ok(())
}

/// What became of one distinct content of a base. Of several paths the one that speaks most for the base counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// Its paths are gone, or hold what another candidate has.
    Missing,
    /// One of its paths holds a content that no candidate has.
    Edited,
    /// It is there, at whatever path.
    Present,
}

fn fates(
    base: &MergedView,
    image: &MergedView,
    held: &HashSet<ContentId>,
    known: &HashSet<ContentId>,
) -> BTreeMap<ContentId, Fate> {
    let mut fates = BTreeMap::new();
    for (path, content) in base.files().filter(|(_, content)| content.id != ContentId::EMPTY) {
        let unknown = || image.get(path).and_then(Entry::content).filter(|there| !known.contains(&there.id));
        let fate = match held.contains(&content.id) {
            true => Fate::Present,
            false if unknown().is_some() => Fate::Edited,
            false => Fate::Missing,
        };
        let best = fates.entry(content.id).or_insert(fate);
        *best = (*best).max(fate);
    }
    fates
}

fn score(fates: &BTreeMap<ContentId, Fate>, lambda: f64) -> f64 {
    let worth = |fate: &Fate| match fate {
        Fate::Present => 1.0,
        Fate::Edited => EDITED,
        Fate::Missing => -lambda,
    };
    fates.values().map(worth).sum()
}
