//! Whether anything of a stored image's upper layers is in the image in question.
//!
//! Two images on one base share all of that base. If only one of them is stored, it looks like the base of the other,
//! cut down. Its layers tell: whoever builds on an image and deletes files does not delete all that its upper layers
//! added and nothing else.

use std::collections::{HashMap, HashSet};
use std::fmt;

use layerprint_store::MergedView;
use layerprint_store::id::ContentId;

use crate::subject::Layers;

/// Fewer contents than this may all have been edited.
const OWN_MIN: u64 = 10;
/// Upper layers of whose contents no more than one in so many is there have left nothing: some are there by chance.
const KEPT_DIVISOR: u64 = 10;

/// Upper layers that left nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Absent {
    /// How many layers, of how many.
    layers: usize,
    all_layers: usize,
    /// Contents that the layers below them do not have.
    own: u64,
    /// Those of them that are in the image in question.
    kept: u64,
}

/// Returns the upper layers that left nothing, as many as there are; at least the lowest layer is not among them.
pub(crate) fn absent(layers: &Layers, view: &MergedView, held: &HashSet<ContentId>) -> Option<Absent> {
    let lowest = lowest_layers(layers);
    let count = layers.iter().len();
    let (mut own, mut kept) = (vec![0_u64; count], vec![0_u64; count]);
    for content in view.contents() {
        if let Some(&layer) = lowest.get(&content.id) {
            own[layer] += 1;
            kept[layer] += u64::from(held.contains(&content.id));
        }
    }
    let above = |layer: usize| Absent {
        layers: count - layer,
        all_layers: count,
        own: own[layer..].iter().sum(),
        kept: kept[layer..].iter().sum(),
    };
    (1..count).map(above).find(Absent::is_telling)
}

impl Absent {
    fn is_telling(&self) -> bool {
        self.own >= OWN_MIN && self.kept.saturating_mul(KEPT_DIVISOR) <= self.own
    }
}

impl fmt::Display for Absent {
    /// Writes why the stored image is not the base.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layers, all_layers, own, kept } = self;
        write!(
            f,
            "{kept} of the {own} contents that its upper {layers} of {all_layers} layers add are in the image: \
             it is more likely built on what lies below them, which is not stored"
        )
    }
}

/// Returns the lowest layer that has each content.
fn lowest_layers(layers: &Layers) -> HashMap<ContentId, usize> {
    let mut lowest = HashMap::new();
    for (index, layer) in layers.iter().enumerate() {
        for content in layer.contents() {
            lowest.entry(content.id).or_insert(index);
        }
    }
    lowest
}
