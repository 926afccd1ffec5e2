//! The verdict on the stored image that was preferred, and the reason in words.
//!
//! Of contents there must be enough in number, enough of the base must be there, what both have at
//! the same path must be the same, it must be the whole of the base, not a part that it has from elsewhere, and no
//! other may fit as well.

use layerprint_store::ImageRecord;

use crate::agree::Agreement;
use crate::choose::{Choice, holds_all_and_more};
use crate::compare::Comparison;
use crate::created;
use crate::family::Specific;
use crate::finding::Verdict;
use crate::parts::Taken;
use crate::rank;
use crate::scan::{Overlap, share};
use crate::weigh::{Weighed, kept};
use crate::words::percent;

/// Share of a base's contents, or of their bytes, that must be there to claim it: else half of it is gone, and the rest may
/// be what relatives share.
pub(crate) const KEPT_MIN: f64 = 0.5;
/// Share of both that must be there: the bytes of a library are not the base, nor are all its small files.
pub(crate) const KEPT_EITHER_MIN: f64 = 0.25;
/// So many contents that are there may be a part of the base; of fewer, most must be there.
const MANY: u64 = 32;
/// Share of the bytes of a small base that is enough: a busybox is one program.
const KEPT_BYTES_OF_FEW_MIN: f64 = 0.9;
/// Share of a small base that must be there.
const KEPT_OF_FEW_MIN: f64 = 0.8;
/// Share of the image's contents that must stand there, too: who moves a base moves what is built on it.
const BELOW_MIN: f64 = 0.5;
/// Share of a tree that must be there if it stands in another folder: parts of other images are copied that way.
pub(crate) const KEPT_MOVED_MIN: f64 = 0.9;
/// Containment below which the rest is no sample of the base: what is there then are packages and folders that somebody
/// picked, from which at most the family can be told.
pub(crate) const PICKED_CONTAINMENT: f64 = 0.15;
/// Agreement by files below which no base is claimed. It keeps one large file from speaking for a tree that is otherwise
/// another.
const AGREEMENT_MIN: f64 = 0.5;
/// Agreement by bytes below which no base is claimed. What applications edit is small or of one kind, which `agree` leaves
/// out. A relative of the true base, another date or release of it, differs in programs and libraries. With the
/// true base left out of the store, Debian's other dates agree in 0.67 to 0.87 of the bytes, cut-down Debians (files up to
/// 128 KiB) in 0.964; true bases agree in 0.985 and more.
const AGREEMENT_BYTES_MIN: f64 = 0.97;

/// What is said of a choice rests on these.
pub(crate) struct Case<'a> {
    pub(crate) choice: &'a Choice<'a>,
    pub(crate) files: &'a Comparison,
    pub(crate) agreement: Agreement,
    /// Of the next best that is no ancestor of the choice.
    pub(crate) rival_score: Option<f64>,
    /// The names of another candidate that is there beside the choice.
    pub(crate) contradiction: Option<String>,
    pub(crate) image: &'a ImageRecord,
    /// The choice, and whatever has the same contents, was made after the image.
    pub(crate) is_later: bool,
    /// Share of the image's contents that stand in the folder to which the base's tree was moved.
    pub(crate) below: f64,
    /// Contents of the choice that are there and that no unrelated candidate has, and their bytes.
    pub(crate) uncommon: (u64, u64),
}

/// Returns true if so much of a base is there that it can be claimed: most of its contents, or of their bytes where folders
/// were cleared.
pub(crate) fn is_kept(weighed: &Weighed) -> bool {
    let Weighed { overlap, fates, .. } = weighed;
    let bytes = share(overlap.present_bytes, overlap.record.content_size_bytes);
    let contents = overlap.containment();
    let is_enough =
        overlap.present >= MANY || kept(fates) >= KEPT_OF_FEW_MIN || bytes >= KEPT_BYTES_OF_FEW_MIN;
    is_enough
        && kept(fates) >= KEPT_MIN
        && contents.max(bytes) >= KEPT_MIN
        && contents.min(bytes) >= KEPT_EITHER_MIN
}

/// Says whether an image is built on what was chosen.
pub(crate) fn judge(case: &Case) -> (Verdict, String) {
    let Case { choice, agreement, .. } = case;
    let Weighed { overlap, score, .. } = choice.weighed;
    if let Some(picked) = &choice.picked {
        return (Verdict::Family, of_family(overlap, &picked.specific));
    }
    let containment = overlap.containment();
    let kept = percent(containment);
    if containment < PICKED_CONTAINMENT {
        return (Verdict::None, format!("only {kept} of the best candidate's contents are in it"));
    }
    let (shared, bytes) = case.uncommon;
    if !rank::is_worth_a_look(shared, bytes) {
        let reason = format!(
            "only {shared} of the contents that it shares with the best candidate are not everybody's"
        );
        return (Verdict::None, reason);
    }
    match choice.taken {
        Taken::Upper => {
            let reason = "the best candidate shares files with it, but not those of its own lowest layers";
            return (Verdict::None, reason.into());
        }
        Taken::Lower(layers) => return (Verdict::Family, relative(choice, layers)),
        Taken::Shared(lost) => return (Verdict::Family, sharing(lost)),
        Taken::Whole => {}
    }
    let is_kept = is_kept(choice.weighed);
    if case.files.moved_to.is_some() && case.below < BELOW_MIN {
        let reason = "the best candidate stands in a folder of it, beside most of what it has";
        return (Verdict::Family, reason.into());
    }
    if !is_kept || (case.files.moved_to.is_some() && containment < KEPT_MOVED_MIN) {
        return (Verdict::Family, format!("only {kept} of the best candidate's contents are in it"));
    }
    if !rank::is_evidence(shared, bytes) {
        return (
            Verdict::Family,
            format!("only {shared} contents are shared that nothing else has, too few to be sure"),
        );
    }
    if agreement.files < AGREEMENT_MIN || agreement.bytes < AGREEMENT_BYTES_MIN {
        let (files, bytes) = (percent(1.0 - agreement.files), percent(1.0 - agreement.bytes));
        let reason = format!(
            "{files} of the files that both have differ, {bytes} of their bytes: too many for an image built on it, \
             so a relative of it that is not stored is more likely"
        );
        return (Verdict::Family, reason);
    }
    if let Some(names) = &case.contradiction {
        let reason = format!(
            "as much of {names} is in it, of files that this one has not: it holds both, or one like both"
        );
        return (Verdict::Family, reason);
    }
    if case.rival_score.is_some_and(|rival| rank::is_draw(*score, rival)) {
        return (Verdict::Family, "another stored image fits exactly as well".into());
    }
    if case.is_later {
        let reason = format!(
            "{kept} of the best candidate's contents are in it, but that was made later: that may be built on this \
             one, or both on something that is not stored"
        );
        return (Verdict::Family, reason);
    }
    if is_either_way(choice, case.image) {
        return (Verdict::Family, EITHER_WAY.into());
    }
    (Verdict::Base, format!("{kept} of the base's contents are in it"))
}

/// Says what is left of a family's member.
fn of_family(overlap: &Overlap, specific: &Specific) -> String {
    format!(
        "only {} of the best candidate's contents are in it, {} of them at {} places that no other family has: it was \
         picked from one like it, which one cannot be told",
        percent(overlap.containment()),
        specific.contents,
        specific.places
    )
}

fn relative(choice: &Choice, layers: usize) -> String {
    let total = choice.weighed.overlap.record.layers.len();
    format!(
        "it has the contents of the lowest {layers} of the best candidate's {total} layers, but not of those above: \
         both are built on something that is not stored"
    )
}

fn sharing(lost: u64) -> String {
    format!(
        "it has what the best candidate shares with other stored images, but none of {lost} contents that tell it from \
         one of them: all are built on something that is not stored"
    )
}

const EITHER_WAY: &str = "all of it is in the best candidate, which has more, and no dates tell whether it was slimmed from that \
                          or that built on it";

/// Returns true if nothing tells which of the two was first.
fn is_either_way(choice: &Choice, image: &ImageRecord) -> bool {
    let stored = &choice.weighed.overlap.record;
    holds_all_and_more(&choice.weighed.overlap, image) && !created::are_known(stored, image)
}
