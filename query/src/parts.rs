//! Which part of a stored image another image has taken over.
//!
//! An image and its sibling share their base, layer by layer; two images that copy the same files in share those and no
//! base. Seen as sets of contents, both can look like an image and its base. The layers of the stored one tell: whoever
//! built on it has something of its lowest layer and something of its highest. Works where the other image was squashed,
//! for only the stored one's layers are asked; says nothing of a stored image with one layer.

use std::ops::AddAssign;

use layerprint_store::id::DiffId;
use layerprint_store::{ImageRecord, Result};

use crate::numbers::EMPTY;
use crate::rank::{CHANCE_RATIO, PRESENT_MIN};
use crate::reader::Reader;
use crate::scan::share;
use crate::seen::Seen;
use crate::tree::Tree;

/// What was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Something of everything, as far as the layers tell.
    Whole,
    /// So many of the lowest layers, and no more of those above than chance brings.
    Lower(usize),
    /// What it shares with another stored image, and none of so many contents that this one lacks.
    Shared(u64),
    /// No more of the lowest layers than chance brings.
    Upper,
}

/// Distinct contents of a stored image that came with one layer, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    present: u64,
    /// Its path has another content: edited there, or never there at all.
    changed: u64,
    /// Content and path are gone.
    gone: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.present += other.present;
        self.changed += other.changed;
        self.gone += other.gone;
    }
}

/// The image that may have taken something.
pub(crate) struct Taker<'a> {
    pub(crate) reader: &'a Reader<'a>,
    pub(crate) layers: &'a [DiffId],
    pub(crate) files: &'a Seen,
    /// How much it kept of what fits it best.
    pub(crate) retention: f64,
}

impl Taker<'_> {
    /// Tells what this image took of a stored one.
    pub(crate) fn taken(&self, stored: &ImageRecord, tree: &Tree) -> Result<Taken> {
        let diff_ids = &stored.layers;
        if diff_ids.len() < 2 {
            return Ok(Taken::Whole);
        }
        let tallies = self.tallies(tree, &self.reader.first_layers(stored, tree)?, diff_ids.len());
        let layers_shared =
            diff_ids.iter().zip(self.layers).take_while(|(stored, own)| stored == own).count();
        if is_upper(&tallies) {
            return Ok(Taken::Upper);
        }
        let chance = self.retention * CHANCE_RATIO;
        Ok(lower(&tallies, layers_shared, chance).map_or(Taken::Whole, Taken::Lower))
    }

    fn tallies(&self, tree: &Tree, first_layers: &[u32], layers: usize) -> Vec<Tally> {
        let mut changed = vec![None; tree.distinct_count()];
        for file in tree.numbers() {
            if file.content != EMPTY {
                let (_, changed) = changed[file.ordinal as usize].get_or_insert((file, false));
                *changed |= self.files.file_at(file.path).is_some();
            }
        }
        let mut tallies = vec![Tally::default(); layers];
        for (file, changed) in changed.into_iter().flatten() {
            let tally = &mut tallies[first_layers[file.ordinal as usize] as usize];
            match (self.files.holds(file.content), changed) {
                (true, _) => tally.present += 1,
                (false, true) => tally.changed += 1,
                (false, false) => tally.gone += 1,
            }
        }
        tallies
    }
}

fn sum(tallies: &[Tally]) -> Tally {
    tallies.iter().fold(Tally::default(), |mut sum, tally| {
        sum += *tally;
        sum
    })
}

/// Returns how many of the lowest layers explain all that is there.
///
/// What changed proves neither: `adduser` on both sides leaves two versions of one file. But where the other image has
/// the very layers up to here and then others, it was built on these, and a change is one from the lower layers.
fn lower(tallies: &[Tally], layers_shared: usize, chance: f64) -> Option<usize> {
    (1..tallies.len()).find(|&layers| {
        let above = sum(&tallies[layers..]);
        let absent = above.gone + if layers == layers_shared { above.changed } else { 0 };
        absent >= PRESENT_MIN && share(above.present, above.present + absent) <= chance
    })
}

/// Returns true if the lowest layers that hold anything much are missing, measured by what is there of the whole.
fn is_upper(tallies: &[Tally]) -> bool {
    let of = |tally: Tally| share(tally.present, tally.present + tally.gone);
    let lowest = (1..tallies.len()).map(|layers| sum(&tallies[..layers]));
    let mut sizeable = lowest.filter(|tally| tally.present + tally.gone >= PRESENT_MIN);
    sizeable
        .next()
        .is_some_and(|lowest| lowest.gone >= PRESENT_MIN && of(lowest) <= of(sum(tallies)) * CHANCE_RATIO)
}

#[cfg(test)]
mod tests {
    use super::{Tally, is_upper, lower};

    /// Contents present, changed and gone, for each layer.
    type Counts = [(u64, u64, u64)];

    fn tallies(counts: &Counts) -> Vec<Tally> {
        counts.iter().map(|&(present, changed, gone)| Tally { present, changed, gone }).collect()
    }

    #[test]
    fn lower_layers_explain_what_is_there_if_those_above_are_missing() {
        let cases: [(&str, &Counts, usize, Option<usize>); 10] = [
            ("all there", &[(100, 0, 0), (50, 0, 0)], 0, None),
            ("a third lost everywhere", &[(70, 0, 30), (35, 0, 15)], 0, None),
            ("upper layer gone", &[(100, 0, 0), (0, 0, 50)], 0, Some(1)),
            ("a licence of the upper layer by chance", &[(100, 0, 0), (1, 0, 49)], 0, Some(1)),
            ("half of the upper layer", &[(100, 0, 0), (25, 0, 25)], 0, None),
            ("four files prove nothing", &[(100, 0, 0), (0, 0, 4)], 0, None),
            (
                "two layers gone, the lower reported",
                &[(100, 0, 0), (50, 0, 0), (0, 0, 3), (0, 0, 9)],
                0,
                Some(2),
            ),
            ("edited, not gone", &[(100, 0, 0), (0, 50, 0)], 0, None),
            ("edited, and the layers part there", &[(100, 0, 0), (0, 50, 0)], 1, Some(1)),
            ("nothing on top", &[(100, 0, 0), (0, 0, 0)], 1, None),
        ];
        for (name, counts, layers_shared, expected) in cases {
            assert_eq!(lower(&tallies(counts), layers_shared, 0.33), expected, "{name}");
        }
    }

    #[test]
    fn upper_layers_alone_are_no_base() {
        let cases: [(&str, &Counts, bool); 6] = [
            ("lowest layer gone", &[(0, 0, 3000), (600, 0, 200)], true),
            ("a little of it by chance", &[(30, 0, 2970), (600, 0, 200)], true),
            ("slimmed evenly", &[(300, 0, 2700), (80, 0, 720)], false),
            ("all upgraded in place", &[(0, 3000, 0), (600, 0, 200)], false),
            ("a tiny first layer gone", &[(0, 0, 2), (600, 0, 20)], false),
            ("all of it", &[(3000, 0, 0), (600, 0, 0)], false),
        ];
        for (name, counts, expected) in cases {
            assert_eq!(is_upper(&tallies(counts)), expected, "{name}");
        }
    }
}
