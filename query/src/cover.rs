//! Which further stored images hold parts of what an image has besides its base: `COPY --from`.
//!
//! What is asked about are files, not contents: a later Debian's perl beside an earlier one adds a dozen contents and a
//! thousand files. A part is named only if whole folders of a stored image stand in this one (`folders`), of substance
//! (constants below), which the base does not have itself. The largest comes first, its files are taken away, and so on; a
//! part that later ones explain as well is dropped again. Everybody who holds a part is named, except images that have it
//! from another one that is named. What many unrelated images hold names nobody.
//!
//! That a stored image holds a part says nothing of how it came to be there.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use layerprint_store::id::{ContentId, ImageId, SetId};
use layerprint_store::{ImageRecord, Overlap, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::created;
use crate::donor::{Donor, join};
use crate::finding::Finding;
use crate::folders::{Fit, Shift, best_shift, fit, fits};
use crate::holding::nearest_holders;
use crate::ids::{IdMap, IdSet};
use crate::lineage::ANCESTOR_CONTAINMENT;
use crate::rank::PRESENT_MIN;
use crate::reader::Reader;
use crate::reference::repository_of;
use crate::rest::Rest;
use crate::scan::share;
use crate::seen::Seen;

/// Least part, in distinct contents: a handful of files may be in two images for many reasons. Of a smaller stored image
/// all must be there.
const CONTENTS_MIN: u64 = 20;
/// Least part in bytes.
const BYTES_MIN: u64 = 64 << 10;
/// What is less in one or the other is small: at its own place, certificates that a package brought are no less.
const LARGE_CONTENTS_MIN: u64 = 50;
const LARGE_BYTES_MIN: u64 = 256 << 10;
/// Most parts of one image.
const PARTS_MAX: usize = 8;
/// What holds so few files less than the best holds the part as well; of two that differ by less, nothing tells.
const DECISIVE_MIN: usize = 5;
/// Images of so many repositories hold what is commonplace, certificates or time zones, and name nobody.
const REPOSITORIES_MAX: usize = 4;
/// And so many hold what is small, if it stands at the same place in them: each may have it by itself.
const SMALL_REPOSITORIES_MAX: usize = 1;

/// A part of an image that further stored images hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// All names of all that hold it equally well, the smallest image first.
    pub names: Vec<String>,
    /// Files of the image that are explained.
    pub files: u64,
    /// Their distinct contents.
    pub contents: u64,
    /// Sum of the sizes of those.
    pub bytes: u64,
    /// Their share of all contents of the smallest stored image that holds them.
    pub share: f64,
    /// The narrowest folder of the stored images that has all of it; the root is empty.
    pub from: String,
    /// Where that folder stands in the image.
    pub to: String,
}

/// What is known of an image before its cover is asked for: the base, and where its tree stands.
pub(crate) struct Known<'a> {
    pub(crate) base: Option<&'a Arc<ImageRecord>>,
    pub(crate) moved_to: Option<&'a str>,
    pub(crate) own: HashSet<SetId>,
}

/// A part, with the files of the image that it explains, sorted.
pub(crate) struct Covered<'a> {
    pub(crate) part: Part,
    pub(crate) places: Vec<&'a [u8]>,
    shift: Shift,
}

impl Covered<'_> {
    /// Where a file of the part stands in the stored images that hold it.
    pub(crate) fn origin_of(&self, place: &[u8]) -> Vec<u8> {
        self.shift.origin(place)
    }
}

/// Returns the parts that further stored images hold, besides the base that was found.
pub(crate) fn of_finding(
    reader: &Reader,
    image: &ImageRecord,
    files: &Seen,
    finding: &Finding,
) -> Result<Vec<Part>> {
    let base = match finding.base.as_ref().and_then(|base| base.images.first()) {
        Some(member) => reader.image(&member.id)?,
        None => None,
    };
    let kin = finding.base.iter().flat_map(|base| &base.lineage).map(|kin| kin.set_id);
    let own = kin.chain(base.as_ref().map(|base| base.set_id)).collect();
    let moved_to = finding.base.as_ref().and_then(|base| base.files.moved_to.as_deref());
    let known = Known { base: base.as_ref(), moved_to, own };
    Ok(cover(reader, image, files, &known)?.into_iter().map(|covered| covered.part).collect())
}

/// Returns the parts in the order in which they were found, the largest first.
pub(crate) fn cover<'a>(
    reader: &Reader,
    image: &ImageRecord,
    files: &'a Seen,
    known: &Known,
) -> Result<Vec<Covered<'a>>> {
    let base = known.base.map(|base| Donor::read(reader, Arc::clone(base))).transpose()?;
    let rest = rest(files, base.as_ref(), known.moved_to);
    let mut search = Search { reader, image, files, known, base, donors: IdMap::default() };
    let parts = search.parts(rest.clone())?;
    search.told(&needed(parts, &rest, search.base.as_ref()))
}

/// The files of an image that do not stand where the base has them.
fn rest<'a>(image: &'a Seen, base: Option<&Donor>, moved_to: Option<&str>) -> Rest<'a> {
    let home = moved_to.unwrap_or_default().as_bytes();
    let mut is_base = vec![false; image.tree.numbers().len()];
    for (path, _, file) in base.iter().flat_map(|base| base.numbered_below(b"")) {
        let place = match home {
            b"" => image.file_at(file.path),
            home => image.tree.file_at(&join(home, path)),
        };
        if let Some(place) = place {
            is_base[place] = image.tree.numbers()[place].content == file.content;
        }
    }
    Rest::of(home, image, (0..is_base.len()).filter(|file| !is_base[*file]))
}

/// A part that was found: who holds it, the smallest first, and what.
struct Found<'a> {
    holders: Vec<Holder>,
    fit: Fit<'a>,
}

/// A stored image that has a part, and how far from where the image has it.
#[derive(Clone)]
struct Holder {
    donor: Arc<Donor>,
    shift: Shift,
}

/// Returns the donors that have all of a part, wherever it stands in them.
fn holders(donors: &[Arc<Donor>], rest: &Rest, fit: &Fit) -> Vec<Holder> {
    let holder = |donor: &Arc<Donor>| {
        let (held, shift) = best_shift(donor, rest, fit);
        (held == fit.places.len()).then(|| Holder { donor: donor.clone(), shift })
    };
    donors.par_iter().filter_map(holder).collect()
}

struct Search<'s> {
    reader: &'s Reader<'s>,
    image: &'s ImageRecord,
    files: &'s Seen,
    known: &'s Known<'s>,
    base: Option<Donor>,
    donors: IdMap<ImageId, Arc<Donor>>,
}

impl Search<'_> {
    fn parts<'a>(&mut self, mut rest: Rest<'a>) -> Result<Vec<Found<'a>>> {
        let mut parts = Vec::new();
        // What turns out to be the base's own or commonplace is taken away, too, and costs a round.
        for _ in 0..2 * PARTS_MAX {
            if parts.len() == PARTS_MAX {
                break;
            }
            let donors = self.candidates(&rest)?;
            let Some(fit) = self.largest(&donors, &rest) else { break };
            let holders = self.sources(holders(&donors, &rest, &fit), &rest);
            let is_own = self.is_own(&donors, &rest, &fit);
            let repositories_max = repositories_max(&fit, &rest);
            rest.remove(&fit.places.iter().map(|(place, _)| *place).collect::<Vec<_>>());
            let shift = holders.first().map_or_else(|| fit.shift.clone(), |holder| holder.shift.clone());
            if !is_own && self.repositories(&holders)? <= repositories_max {
                parts.push(Found { holders, fit: Fit { shift, ..fit } });
            }
        }
        Ok(parts)
    }

    /// Reads the stored images that may hold a part of the rest.
    fn candidates(&mut self, rest: &Rest) -> Result<Vec<Arc<Donor>>> {
        let contents = rest.contents();
        if !may_be_part(contents.len() as u64, contents.iter().map(|content| content.size_bytes)) {
            return Ok(Vec::new());
        }
        let (own, is_stored) = (self.image, self.reader.image(&self.image.id)?.is_some());
        let may_give = |record: &ImageRecord| {
            let same = record.id == own.id || (is_stored && record.set_id == own.set_id);
            let above = record.layers.len() > own.layers.len() && record.layers.starts_with(&own.layers);
            !same && !above && record.platform.fits(&own.platform)
        };
        let is_enough = |held, record: &ImageRecord| is_substance(held, record) && may_give(record);
        let may_be_enough = |overlap: &Overlap| may_be_part(overlap.present, [overlap.present_bytes]);
        let found = nearest_holders(self.reader, &contents, may_be_enough, is_enough)?;
        let absent = found.iter().filter(|holder| !self.donors.contains_key(&holder.record.id));
        let absent: Vec<Arc<ImageRecord>> = absent.map(|holder| Arc::clone(&holder.record)).collect();
        let trees = self.reader.trees(&absent)?;
        for (record, tree) in absent.into_iter().zip(trees) {
            self.donors.insert(record.id, Arc::new(Donor { record, tree }));
        }
        let donors = found.iter().map(|holder| self.donors[&holder.record.id].clone());
        Ok(donors.filter(|donor| !self.has_all(donor)).collect())
    }

    /// Returns true for a stored image with all that this one has: built on it, or what it was slimmed from. It is no part.
    fn has_all(&self, donor: &Donor) -> bool {
        let own = &self.files.tree;
        share(donor.tree.shared_with(self.files), own.content_count()) >= ANCESTOR_CONTAINMENT
    }

    /// Returns the largest part that one of the donors holds.
    fn largest<'a>(&self, donors: &[Arc<Donor>], rest: &Rest<'a>) -> Option<Fit<'a>> {
        let base = self.base.as_ref();
        let best = |donor: &Arc<Donor>| {
            let may_be =
                |contents| is_substance(contents, &donor.record) || contents >= donor.record.content_count;
            let fit = fits(donor, rest, base, may_be).into_iter().next()?;
            let (contents, bytes) = fit.contents();
            let is_enough = is_substance(contents, &donor.record) && bytes >= BYTES_MIN;
            let size = (contents, fit.places.len(), Reverse(donor.record.content_count));
            is_enough.then_some((size, fit))
        };
        let fits = donors.par_iter().filter_map(best);
        let largest = fits.max_by(|(a, fit), (b, other)| a.cmp(b).then_with(|| other.shift.cmp(&fit.shift)));
        largest.map(|(_, fit)| fit)
    }

    /// Returns true if the base, or what it is built on, lacks next to nothing of a part.
    fn is_own(&self, donors: &[Arc<Donor>], rest: &Rest, fit: &Fit) -> bool {
        let kin = donors.iter().map(|donor| &**donor);
        let kin = kin.filter(|donor| self.known.own.contains(&donor.record.set_id));
        kin.chain(&self.base).any(|donor| fit.places.len() - best_shift(donor, rest, fit).0 < DECISIVE_MIN)
    }

    /// Leaves out those that have the part from another holder, and those made after the image if others were not.
    fn sources(&self, mut holders: Vec<Holder>, rest: &Rest) -> Vec<Holder> {
        holders.sort_by_key(|holder| (holder.donor.record.content_count, holder.donor.record.id));
        let is_source = |holder: &&Holder| !holders.iter().any(|other| has_from(holder, other, rest));
        let sources: Vec<_> = holders.iter().filter(is_source).cloned().collect();
        let is_earlier = |holder: &&Holder| !created::is_after(&holder.donor.record, self.image);
        let earlier: Vec<_> = sources.iter().filter(is_earlier).cloned().collect();
        if earlier.is_empty() { sources } else { earlier }
    }

    fn repositories(&self, holders: &[Holder]) -> Result<usize> {
        let mut repositories = BTreeSet::new();
        for name in self.names(holders)? {
            repositories.insert(repository(&name).to_owned());
        }
        Ok(repositories.len())
    }

    fn names(&self, holders: &[Holder]) -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        for Holder { donor, .. } in holders {
            let tie = self.reader.tie_names(&donor.record.set_id, &self.image.platform)?;
            tie.into_iter().for_each(|name| {
                if !names.contains(&name) {
                    names.push(name);
                }
            });
        }
        Ok(names)
    }

    fn told<'a>(&self, parts: &[Found<'a>]) -> Result<Vec<Covered<'a>>> {
        parts.iter().map(|found| self.tell(found)).collect()
    }

    fn tell<'a>(&self, found: &Found<'a>) -> Result<Covered<'a>> {
        let (contents, bytes) = found.fit.contents();
        let (from, to) = found.fit.folders();
        let text = |path: Vec<u8>| String::from_utf8_lossy(&path).into_owned();
        let part = Part {
            names: self.names(&found.holders)?,
            files: found.fit.places.len() as u64,
            contents,
            bytes,
            share: found
                .holders
                .first()
                .map_or(0.0, |holder| share(contents, holder.donor.record.content_count)),
            from: text(from),
            to: text(to),
        };
        let places = found.fit.places.iter().map(|(place, _)| *place).collect();
        Ok(Covered { part, places, shift: found.fit.shift.clone() })
    }
}

/// Returns false if so many contents of these sizes are too little for any part.
fn may_be_part(contents: u64, sizes_bytes: impl IntoIterator<Item = u64>) -> bool {
    contents >= PRESENT_MIN && sizes_bytes.into_iter().fold(0, u64::saturating_add) >= BYTES_MIN
}

/// Returns true if so many contents are enough to name an image, or all that it has.
fn is_substance(contents: u64, record: &ImageRecord) -> bool {
    contents >= CONTENTS_MIN || (contents >= PRESENT_MIN && contents == record.content_count)
}

/// Returns how many repositories may hold a part that is worth naming.
fn repositories_max(fit: &Fit, rest: &Rest) -> usize {
    let (contents, bytes) = fit.contents();
    let is_large = contents >= LARGE_CONTENTS_MIN && bytes >= LARGE_BYTES_MIN;
    if is_large || rest.is_move(&fit.shift) { REPOSITORIES_MAX } else { SMALL_REPOSITORIES_MAX }
}

/// Returns true if one holder has the part from another: it is built on it, or was put together like the image in question,
/// with the part at the same place, after the other that has it elsewhere.
fn has_from(holder: &Holder, other: &Holder, rest: &Rest) -> bool {
    let likewise = !rest.is_move(&holder.shift) && rest.is_move(&other.shift);
    holder.donor.is_built_on(&other.donor)
        || (likewise && created::is_after(&holder.donor.record, &other.donor.record))
}

/// Returns what a name says before its tag, without the registry and folders: the same image on two registries is one.
fn repository(name: &str) -> &str {
    let name = repository_of(name);
    name.rsplit_once('/').map_or(name, |(_, last)| last)
}

/// Drops parts that the others explain as well, the smallest first.
fn needed<'a>(mut parts: Vec<Found<'a>>, rest: &Rest<'a>, base: Option<&Donor>) -> Vec<Found<'a>> {
    let whole = |found: &Found| {
        let shift: Shift = found.fit.shift.clone();
        let holder = found.holders.first();
        let fit = holder.map(|holder| fit(&holder.donor, rest, base, shift));
        fit.into_iter().flat_map(|fit| fit.places).collect::<BTreeSet<_>>()
    };
    let mut index = parts.len();
    while index > 0 {
        index -= 1;
        let others = parts.iter().enumerate().filter(|(other, _)| *other != index);
        let others: BTreeSet<_> = others.flat_map(|(_, found)| whole(found)).collect();
        let only: IdSet<ContentId> = parts[index]
            .fit
            .places
            .iter()
            .filter(|place| !others.contains(*place))
            .map(|(_, content)| content.id)
            .collect();
        if (only.len() as u64) < PRESENT_MIN {
            parts.remove(index);
        }
    }
    parts
}
