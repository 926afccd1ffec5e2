//! Which folders of a stored image stand in another image, at the same place or elsewhere.
//!
//! Files that were copied together keep their paths below the folder that was copied: `usr/lib/perl/strict.pm` and
//! `opt/other/usr/lib/perl/strict.pm` differ by what comes before. A file votes for that difference, its shift, and what
//! stands under the shift that has the most votes is looked at folder by folder: a folder counts if enough of it is
//! there. Files that are there one by one, as licences and shared packages are, make no folder.
//!
//! What was copied over the base's own files, to the same place, is one folder with all that the stored image has in it.
//! What the base has there as well is no sign against it, unless the two are versions of one image: that is an upgrade.

use std::collections::{HashMap, HashSet};

use layerprint_store::Content;
use layerprint_store::id::ContentId;

use crate::donor::{Donor, join};
use crate::ids::IdSet;
use crate::rest::Rest;
use crate::scan::share;
use crate::tree::FileNumbers;

/// A content in more places than this says nothing of what was copied where.
const PLACES_MAX: usize = 16;
/// Shifts of one stored image that are looked at.
const SHIFTS_MAX: usize = 4;

/// A moved folder counts if so much of it is there: images are slimmed after they were put together.
const MOVED_SHARE_MIN: f64 = 0.5;
/// And if it has so many contents. Its place is evidence by itself.
const MOVED_CONTENTS_MIN: u64 = 10;
/// A folder at its own place counts if nearly all of it is there,
const SAME_SHARE_MIN: f64 = 0.9;
/// and if it has more contents than packages mostly have: they are installed in many images, each by itself.
const SAME_CONTENTS_MIN: u64 = 50;
/// Where packages go, everything that the two have in common must stand in such folders, up to this share. What a package
/// manager installs is strewn over libraries, documents and its own lists; what was copied stands together.
const TOGETHER_SHARE_MIN: f64 = 0.9;

/// What was copied over the base's own files: so much of all that the two have in common is in one folder,
const ONE_FOLDER_SHARE_MIN: f64 = 0.95;
/// of which so much is there, the base's own included,
const WHOLE_SHARE_MIN: f64 = 0.98;
/// with so many contents that the base has nowhere.
const OVER_CONTENTS_MIN: u64 = 20;
/// Images with so much of the smaller one's contents in common are versions of one, or built on such;
const VERSION_SHARE_MIN: f64 = 0.6;
/// and if the base has so many of the folder's paths, an upgrade changed what is in them.
const UPGRADED_SHARE_MIN: f64 = 0.7;

/// Folders are not looked into further down than this; nothing that was made to be used is so deep.
const DEPTH_MAX: usize = 64;

/// Folders that packages are installed to. `usr/local` is nobody's but the administrator's.
const PACKAGED: [&[u8]; 10] =
    [b"bin", b"boot", b"etc", b"lib", b"lib32", b"lib64", b"sbin", b"usr", b"var", b"nix"];
const UNPACKAGED: &[u8] = b"usr/local";
/// What package managers keep. Where both have the same of it, both have the package.
const PACKAGE_LISTS: [&[u8]; 6] = [
    b"var/lib/dpkg",
    b"lib/apk/db",
    b"usr/lib/apk/db",
    b"var/lib/rpm",
    b"usr/lib/sysimage/rpm",
    b"var/lib/pacman",
];

/// From which folder of a stored image to which folder of another; the root is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Shift {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Vec<u8>,
}

impl Shift {
    /// The shift between two paths: what is left of them without the folders and the name in which they end alike.
    fn between(from: &[u8], to: &[u8]) -> Option<Self> {
        let alike = from.iter().rev().zip(to.iter().rev()).take_while(|(a, b)| a == b).count();
        let (from_rest, to_rest) = (from.len() - alike, to.len() - alike);
        let is_whole = |path: &[u8], rest: usize| rest == 0 || path[rest - 1] == b'/';
        if is_whole(from, from_rest) && is_whole(to, to_rest) {
            return Some(Self::cut(&from[..from_rest], &to[..to_rest]));
        }
        // Within a name: the alike part begins after its slash.
        let slash = from[from_rest..].iter().position(|byte| *byte == b'/')?;
        Some(Self::cut(&from[..=from_rest + slash], &to[..=to_rest + slash]))
    }

    /// A shift between folders that are written with a slash at their ends.
    fn cut(from: &[u8], to: &[u8]) -> Self {
        let folder = |path: &[u8]| path.strip_suffix(b"/").unwrap_or(path).to_vec();
        Self { from: folder(from), to: folder(to) }
    }

    /// Where a place of the other image is in the stored one.
    pub(crate) fn origin(&self, place: &[u8]) -> Vec<u8> {
        let below = place.strip_prefix(&*self.to).unwrap_or(place);
        join(&self.from, below.strip_prefix(b"/").unwrap_or(below))
    }

    fn place(&self, rest: &[u8]) -> Vec<u8> {
        join(&self.to, rest)
    }
}

/// The folders of a stored image that stand in another image under one shift.
#[derive(Debug, Clone)]
pub(crate) struct Fit<'a> {
    pub(crate) shift: Shift,
    /// The files of the image that are there, sorted, and their contents.
    pub(crate) places: Vec<(&'a [u8], Content)>,
}

impl Fit<'_> {
    /// Distinct contents and the sum of their sizes.
    pub(crate) fn contents(&self) -> (u64, u64) {
        let mut distinct: Vec<&Content> = self.places.iter().map(|(_, content)| content).collect();
        distinct.sort_unstable();
        distinct.dedup_by_key(|content| content.id);
        (
            distinct.len() as u64,
            distinct.iter().fold(0, |sum, content| content.size_bytes.saturating_add(sum)),
        )
    }

    /// The narrowest folders that hold all of it, in the stored image and in the other.
    pub(crate) fn folders(&self) -> (Vec<u8>, Vec<u8>) {
        let start = if self.shift.to.is_empty() { 0 } else { self.shift.to.len() + 1 };
        let below =
            |place: Option<&(&[u8], Content)>| place.map_or_else(Vec::new, |place| place.0[start..].to_vec());
        // Of sorted paths the first and the last have the least in common.
        let (first, last) = (below(self.places.first()), below(self.places.last()));
        let alike = first.iter().zip(&last).take_while(|(a, b)| a == b).count();
        let folder =
            first[..alike].iter().rposition(|byte| *byte == b'/').map_or(&[][..], |slash| &first[..slash]);
        (join(&self.shift.from, folder), join(&self.shift.to, folder))
    }
}

/// Returns how the donor's folders stand in the rest of an image, for each shift that many files vote for, best first.
pub(crate) fn fits<'a>(donor: &Donor, rest: &Rest<'a>, base: Option<&Donor>) -> Vec<Fit<'a>> {
    let mut fits: Vec<Fit> =
        shifts(donor, rest).into_iter().map(|shift| fit(donor, rest, base, shift)).collect();
    fits.sort_by_cached_key(|fit| std::cmp::Reverse(fit.contents().0));
    fits
}

fn shifts(donor: &Donor, rest: &Rest) -> Vec<Shift> {
    let mut votes: HashMap<Shift, u64> = HashMap::new();
    let mut unmoved = 0;
    for (path, _, file) in donor.numbered_below(b"") {
        for place in rest.places_of(file.content, PLACES_MAX) {
            if rest.path_number(place) == file.path {
                unmoved += 1;
            } else if let Some(shift) = Shift::between(path, rest.file(place).0) {
                *votes.entry(shift).or_default() += 1;
            }
        }
    }
    if unmoved > 0 {
        *votes.entry(Shift::cut(b"", b"")).or_default() += unmoved;
    }
    let mut votes: Vec<(Shift, u64)> = votes.into_iter().collect();
    votes.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    votes.into_iter().take(SHIFTS_MAX).map(|(shift, _)| shift).collect()
}

/// Returns the folders of the donor that stand in the rest under a shift.
pub(crate) fn fit<'a>(donor: &Donor, rest: &Rest<'a>, base: Option<&Donor>, shift: Shift) -> Fit<'a> {
    let files: Vec<File> = donor
        .numbered_below(&shift.from)
        .map(|(below, content, file)| {
            let place = rest.under(&shift, below, file).map(|place| rest.file(place));
            File { below, content: content.id, place }
        })
        .collect();
    let mut places = Vec::new();
    let is_move = rest.is_move(&shift);
    Rule { base, rest, shift: &shift, is_move }.collect(&files, 0, &mut places);
    if !is_move {
        let at_home = |place: &(&'a [u8], Content)| rest.at_home(place.0);
        let all: Vec<&[u8]> = files.iter().filter_map(|file| file.place.as_ref().map(at_home)).collect();
        if !is_together(&places.iter().map(at_home).collect::<Vec<_>>(), &all) {
            places.retain(|place| !is_packaged(at_home(place)));
        }
        let over =
            base.map_or_else(Vec::new, |base| Over { donor, base, rest, shift: &shift }.places(&files));
        if over.len() > places.len() {
            places = over;
        }
    }
    places.sort_unstable();
    Fit { shift, places }
}

/// Returns the shift under which a donor has most of some places as they are, and how many.
pub(crate) fn best_shift(donor: &Donor, rest: &Rest, fit: &Fit) -> (usize, Shift) {
    let wanted: HashSet<&[u8]> = fit.places.iter().map(|(place, _)| *place).collect();
    let held = |shift: &Shift| {
        let is_held = |(below, _, file): &(&[u8], &Content, &FileNumbers)| {
            rest.under(shift, below, file).is_some_and(|place| wanted.contains(rest.file(place).0))
        };
        donor.numbered_below(&shift.from).filter(is_held).count()
    };
    let own = shifts(donor, &rest.only(&fit.places));
    let all = own.into_iter().chain([fit.shift.clone()]).map(|shift| (held(&shift), shift));
    all.reduce(|best, other| if other.0 > best.0 { other } else { best }).expect("one shift is given")
}

/// How one folder that was copied over the base's own files is found.
struct Over<'o> {
    donor: &'o Donor,
    base: &'o Donor,
    rest: &'o Rest<'o>,
    shift: &'o Shift,
}

impl Over<'_> {
    /// Returns the files of the rest in the folder, if there is one.
    fn places<'a>(&self, files: &[File<'_, 'a>]) -> Vec<(&'a [u8], Content)> {
        let all = files;
        if (all.iter().filter(|file| file.place.is_some()).count() as u64) < OVER_CONTENTS_MIN {
            return Vec::new();
        }
        let (folder, files) = narrowest(all);
        let present = || files.iter().filter_map(|file| file.place);
        let new = present().map(|(_, content)| content.id).filter(|content| !self.base.has(*content));
        let is_copied = !folder.is_empty()
            && !self.is_installed(all, files)
            && new.collect::<IdSet<_>>().len() as u64 >= OVER_CONTENTS_MIN
            && self.is_whole(files)
            && !self.is_upgrade(files);
        if is_copied { present().collect() } else { Vec::new() }
    }

    /// Returns true if both have the same of what package managers keep, besides what is in the folder.
    fn is_installed(&self, all: &[File], folder: &[File]) -> bool {
        let listed = |files: &[File]| {
            let places = files.iter().filter_map(|file| Some(self.rest.at_home(file.place?.0)));
            places.filter(|place| is_package_list(place)).count()
        };
        listed(all) > listed(folder)
    }

    fn is_whole(&self, files: &[File]) -> bool {
        let is_base = |file: &File| {
            let place = self.shift.place(file.below);
            self.base.content_at(self.rest.at_home(&place)) == Some(file.content)
        };
        let there = files.iter().filter(|file| file.place.is_some() || is_base(file)).count() as u64;
        share(there, files.len() as u64) >= WHOLE_SHARE_MIN
    }

    fn are_versions(&self) -> bool {
        let (donor, base) = (self.donor, self.base);
        let smaller = donor.record.content_count.min(base.record.content_count);
        share(donor.shared(base), smaller) >= VERSION_SHARE_MIN
    }

    fn is_upgrade(&self, files: &[File]) -> bool {
        let place =
            |file: &&File| self.base.content_at(self.rest.at_home(&self.shift.place(file.below))).is_some();
        let both = files.iter().filter(place).count() as u64;
        share(both, files.len() as u64) >= UPGRADED_SHARE_MIN && self.are_versions()
    }
}

/// Returns the narrowest folder with nearly all files that are there, its slash included, and what is in it.
fn narrowest<'f, 'd, 'a>(files: &'f [File<'d, 'a>]) -> (&'d [u8], &'f [File<'d, 'a>]) {
    let present = |files: &[File]| files.iter().filter(|file| file.place.is_some()).count() as u64;
    let (all, mut folder, mut files) = (present(files), &b""[..], files);
    for _ in 0..DEPTH_MAX {
        let bytes = folder.len();
        let most = files.chunk_by(|a, b| same_folder(a.below, b.below, bytes));
        let Some(most) = most.max_by_key(|files| present(files)) else { break };
        let Some(end) = most.first().and_then(|file| next_folder(file.below, bytes)) else { break };
        if share(present(most), all) < ONE_FOLDER_SHARE_MIN {
            break;
        }
        (folder, files) = (&most[0].below[..end], most);
    }
    (folder, files)
}

/// Where the name of the next folder down ends, its slash included.
fn next_folder(below: &[u8], folder_bytes: usize) -> Option<usize> {
    let slash = below[folder_bytes..].iter().position(|byte| *byte == b'/');
    slash.map(|slash| folder_bytes + slash + 1)
}

fn same_folder(a: &[u8], b: &[u8], folder_bytes: usize) -> bool {
    next_folder(a, folder_bytes).is_some_and(|end| b.get(..end) == a.get(..end))
}

/// Returns true if what two images have in common where packages go stands in a few whole folders.
fn is_together(places: &[&[u8]], all: &[&[u8]]) -> bool {
    let in_folders = places.iter().filter(|place| is_packaged(place)).count() as u64;
    let packaged = all.iter().filter(|place| is_packaged(place)).count() as u64;
    let both_have_packages = all.iter().any(|place| is_package_list(place));
    !both_have_packages && share(in_folders, packaged) >= TOGETHER_SHARE_MIN
}

fn is_packaged(path: &[u8]) -> bool {
    PACKAGED.iter().any(|folder| is_below(path, folder)) && !is_below(path, UNPACKAGED)
}

fn is_package_list(path: &[u8]) -> bool {
    PACKAGE_LISTS.iter().any(|folder| is_below(path, folder))
}

fn is_below(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// A file of a donor: its path below the shift, what is in it, and where it stands in the rest, if it does.
#[derive(Debug, Clone, Copy)]
struct File<'d, 'a> {
    below: &'d [u8],
    content: ContentId,
    place: Option<(&'a [u8], Content)>,
}

/// What makes a folder count.
struct Rule<'r> {
    base: Option<&'r Donor>,
    rest: &'r Rest<'r>,
    shift: &'r Shift,
    is_move: bool,
}

impl Rule<'_> {
    /// Adds the files of the largest folders that count. `files` are all of one folder, sorted, whose path below the
    /// shift has so many bytes, its slash included.
    fn collect<'a>(
        &self,
        files: &[File<'_, 'a>],
        folder_bytes: usize,
        places: &mut Vec<(&'a [u8], Content)>,
    ) {
        let Some(first) = files.first() else { return };
        let depth = first.below[..folder_bytes].iter().filter(|byte| **byte == b'/').count();
        let present = files.iter().filter(|file| file.place.is_some()).count() as u64;
        if depth > DEPTH_MAX || present == 0 {
            return;
        }
        if self.counts(&first.below[..folder_bytes], files) {
            places.extend(files.iter().filter_map(|file| file.place));
            return;
        }
        // What is less in a folder is no more further down.
        if present < self.least().1 {
            return;
        }
        for folder in files.chunk_by(|a, b| same_folder(a.below, b.below, folder_bytes)) {
            if let Some(end) = folder.first().and_then(|file| next_folder(file.below, folder_bytes)) {
                self.collect(folder, end, places);
            }
        }
    }

    /// The share of a folder that must be there, and how many contents.
    fn least(&self) -> (f64, u64) {
        match self.is_move {
            true => (MOVED_SHARE_MIN, MOVED_CONTENTS_MIN),
            false => (SAME_SHARE_MIN, SAME_CONTENTS_MIN),
        }
    }

    fn counts(&self, folder: &[u8], files: &[File]) -> bool {
        let (share_min, contents_min) = self.least();
        let present = files.iter().filter(|file| file.place.is_some()).count() as u64;
        if share(present, files.len() as u64) < share_min {
            return false;
        }
        let contents: IdSet<ContentId> = files.iter().filter_map(|file| Some(file.place?.1.id)).collect();
        let is_whole = folder.is_empty() && self.shift.from.is_empty() && present == files.len() as u64;
        (contents.len() as u64 >= contents_min || is_whole) && (self.is_move || self.is_free(folder))
    }

    /// Returns true if the base has nothing in this folder; what stands there was not put beside the base's own files.
    fn is_free(&self, folder: &[u8]) -> bool {
        let folder = self.shift.place(folder.strip_suffix(b"/").unwrap_or(folder));
        self.base.is_none_or(|base| !base.has_below(self.rest.at_home(&folder)))
    }
}
