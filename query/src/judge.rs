//! The verdict on the stored image that was preferred, and the reason in words.
//!
//! Layers are certain. Of contents there must be enough in number, enough of the base must be there, what both have at
//! the same path must be the same, it must be the whole of the base, not a part that it has from elsewhere, and no
//! other may fit as well.

use layerprint_store::ImageRecord;

use crate::choose::{Choice, holds_all_and_more};
use crate::compare::Comparison;
use crate::created;
use crate::finding::{Evidence, Verdict};
use crate::parts::Taken;
use crate::rank;
use crate::scan::Overlap;

/// Containment below which no base is claimed: half of it is gone, and the rest may be what relatives share.
pub(crate) const BASE_CONTAINMENT_MIN: f64 = 0.5;
/// Containment below which not even a family is named.
pub(crate) const FAMILY_CONTAINMENT_MIN: f64 = 0.1;
/// Agreement by files below which no base is claimed. Low, because compressing all manual pages anew changes a third of
/// a Debian; it only keeps one large file from speaking for a tree that is otherwise another.
const AGREEMENT_MIN: f64 = 0.5;
/// Agreement by bytes below which no base is claimed. What applications edit is small: configuration, lists, compressed
/// documents. A relative of the true base, another date or release of it, differs in programs and libraries. With the
/// true base left out of the store, Debian's other dates agree in 0.67 to 0.87 of the bytes, cut-down Debians (files up to
/// 128 KiB) in 0.964; true bases agree in 0.985 and more.
const AGREEMENT_BYTES_MIN: f64 = 0.97;

/// Says whether an image is built on what was chosen. `rival` is the next best that is no ancestor of the choice.
pub(crate) fn judge(
    choice: &Choice,
    files: &Comparison,
    rival: Option<&Overlap>,
    image: &ImageRecord,
) -> (Verdict, String) {
    if choice.evidence == Evidence::ChainId {
        return (Verdict::Base, "its lowest layers are exactly those of the base (chain ID)".into());
    }
    let containment = choice.overlap.containment();
    let agreement = rank::agreement(files.same, files.modified);
    let agreement_bytes = rank::agreement(files.same_bytes, files.modified_bytes);
    let kept = percent(containment);
    if containment < FAMILY_CONTAINMENT_MIN {
        return (Verdict::None, format!("only {kept} of the best candidate's contents are in it"));
    }
    match choice.taken {
        Taken::Upper => {
            let reason = "the best candidate shares files with it, but not those of its own lowest layers";
            return (Verdict::None, reason.into());
        }
        Taken::Lower(layers) => return (Verdict::Family, relative(choice, layers)),
        Taken::Whole => {}
    }
    if containment < BASE_CONTAINMENT_MIN {
        return (Verdict::Family, format!("only {kept} of the best candidate's contents are in it"));
    }
    if !rank::is_evidence(choice.overlap) {
        let shared = choice.overlap.present;
        return (Verdict::Family, format!("only {shared} contents are shared, too few to be sure"));
    }
    if agreement < AGREEMENT_MIN || agreement_bytes < AGREEMENT_BYTES_MIN {
        let (files, bytes) = (percent(1.0 - agreement), percent(1.0 - agreement_bytes));
        let reason = format!(
            "{files} of the files that both have differ, {bytes} of their bytes: too many for an image built on it, \
             so a relative of it that is not stored is more likely"
        );
        return (Verdict::Family, reason);
    }
    if rival.is_some_and(|rival| rank::is_draw(choice.overlap, rival)) {
        return (Verdict::Family, "another stored image fits exactly as well".into());
    }
    (Verdict::Base, format!("{kept} of the base's contents are in it{}", either_way(choice, image)))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn relative(choice: &Choice, layers: usize) -> String {
    let total = choice.overlap.record.layers.len();
    format!(
        "it has the contents of the lowest {layers} of the best candidate's {total} layers, but not of those above: \
         both are built on something that is not stored"
    )
}

/// What is to be said where nothing tells which of the two was first.
fn either_way(choice: &Choice, image: &ImageRecord) -> &'static str {
    let stored = &choice.overlap.record;
    if holds_all_and_more(choice.overlap, image) && !created::are_known(stored, image) {
        "; it has next to nothing else, and no dates tell whether it was slimmed from the base or the base built on it"
    } else {
        ""
    }
}
