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
use crate::numbers::EMPTY;
use crate::rest::Rest;
use crate::scan::share;
use crate::tree::{FileNumbers, Folder};

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
/// Shifts under which `may_be` says that so many contents are too few are left out.
pub(crate) fn fits<'a>(
    donor: &Donor,
    rest: &Rest<'a>,
    base: Option<&Donor>,
    may_be: impl Fn(u64) -> bool,
) -> Vec<Fit<'a>> {
    let common = Common::of(donor, rest);
    if !may_be(common.files.len() as u64) {
        return Vec::new();
    }
    // Under a shift stands what voted for it, and maybe what is in too many places to vote.
    let shifts = common.shifts(donor, rest).into_iter().filter(|(_, votes)| may_be(votes + common.crowded));
    let mut fits: Vec<Fit> = shifts.map(|(shift, _)| common.fit(donor, rest, base, shift)).collect();
    fits.sort_by_cached_key(|fit| std::cmp::Reverse(fit.contents().0));
    fits
}

/// Returns the folders of the donor that stand in the rest under a shift.
pub(crate) fn fit<'a>(donor: &Donor, rest: &Rest<'a>, base: Option<&Donor>, shift: Shift) -> Fit<'a> {
    Common::of(donor, rest).fit(donor, rest, base, shift)
}

/// The files of a donor whose contents are somewhere in the rest, in path order.
struct Common {
    files: Vec<u32>,
    /// Those in too many places to vote.
    crowded: u64,
}

impl Common {
    fn of(donor: &Donor, rest: &Rest) -> Self {
        let (mut files, mut crowded) = (Vec::new(), 0);
        for (file, number) in donor.tree.numbers().iter().zip(0..) {
            let places = rest.places_count(file.content);
            if places > 0 {
                files.push(number);
                crowded += u64::from(places > PLACES_MAX);
            }
        }
        Self { files, crowded }
    }

    /// The shifts with most votes, and how many these are.
    fn shifts(&self, donor: &Donor, rest: &Rest) -> Vec<(Shift, u64)> {
        let mut votes: HashMap<Shift, u64> = HashMap::new();
        let mut unmoved = 0;
        for file in self.files.iter().map(|file| &donor.tree.numbers()[*file as usize]) {
            for place in rest.places_of(file.content, PLACES_MAX) {
                if rest.path_number(place) == file.path {
                    unmoved += 1;
                } else if let Some(shift) = Shift::between(donor.tree.path_of(file), rest.path(place)) {
                    *votes.entry(shift).or_default() += 1;
                }
            }
        }
        if unmoved > 0 {
            *votes.entry(Shift::cut(b"", b"")).or_default() += unmoved;
        }
        let mut votes: Vec<(Shift, u64)> = votes.into_iter().collect();
        votes.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        votes.truncate(SHIFTS_MAX);
        votes
    }

    fn fit<'a>(&self, donor: &Donor, rest: &Rest<'a>, base: Option<&Donor>, shift: Shift) -> Fit<'a> {
        let tree = &donor.tree;
        let prefix = if shift.from.is_empty() { Vec::new() } else { [&*shift.from, b"/"].concat() };
        let place = |file: &u32| {
            let below = tree.path(*file as usize).strip_prefix(&*prefix)?;
            let place = rest.under(&shift, below, &tree.numbers()[*file as usize])?;
            Some(Standing { file: *file, place })
        };
        let standing: Vec<Standing> = self.files.iter().filter_map(place).collect();
        let mut places = Vec::new();
        if let Some(folder) = tree.folder_at(&prefix).filter(|_| !standing.is_empty()) {
            let is_move = rest.is_move(&shift);
            let under =
                Under { donor, rest, base, shift: &shift, is_move, from_bytes: prefix.len(), standing };
            places = under.places(folder);
        }
        let mut places: Vec<_> = places.into_iter().map(|place| rest.file(place)).collect();
        places.sort_unstable();
        Fit { shift, places }
    }
}

/// Returns the shift under which a donor has most of some places as they are, and how many.
pub(crate) fn best_shift(donor: &Donor, rest: &Rest, fit: &Fit) -> (usize, Shift) {
    let wanted: HashSet<&[u8]> = fit.places.iter().map(|(place, _)| *place).collect();
    let held = |shift: &Shift| {
        let is_held = |(below, _, file): &(&[u8], Content, &FileNumbers)| {
            rest.under(shift, below, file).is_some_and(|place| wanted.contains(rest.path(place)))
        };
        donor.numbered_below(&shift.from).filter(is_held).count()
    };
    let only = rest.only(&fit.places);
    let own = Common::of(donor, &only).shifts(donor, &only).into_iter().map(|(shift, _)| shift);
    let all = own.chain([fit.shift.clone()]).map(|shift| (held(&shift), shift));
    all.reduce(|best, other| if other.0 > best.0 { other } else { best }).expect("one shift is given")
}

/// A file of a donor and where it stands in the rest.
#[derive(Debug, Clone, Copy)]
struct Standing {
    file: u32,
    place: usize,
}

/// A donor's files under a shift.
struct Under<'u> {
    donor: &'u Donor,
    rest: &'u Rest<'u>,
    base: Option<&'u Donor>,
    shift: &'u Shift,
    is_move: bool,
    /// The length of what the shift leaves out of the donor's paths.
    from_bytes: usize,
    /// By file.
    standing: Vec<Standing>,
}

impl Under<'_> {
    /// Returns where the files stand that make folders, below one folder.
    fn places(&self, number: usize) -> Vec<usize> {
        let mut places = Vec::new();
        self.collect(number, 0, &mut places);
        if self.is_move {
            return places;
        }
        let at_home = |place: &usize| self.rest.at_home(self.rest.path(*place));
        let all: Vec<&[u8]> = self.standing.iter().map(|standing| at_home(&standing.place)).collect();
        if !is_together(&places.iter().map(at_home).collect::<Vec<_>>(), &all) {
            places.retain(|place| !is_packaged(at_home(place)));
        }
        let over = self.base.map_or_else(Vec::new, |base| Over { under: self, base }.places(number));
        if over.len() > places.len() { over } else { places }
    }

    fn folder(&self, number: usize) -> Folder {
        self.donor.tree.folders()[number]
    }

    /// The folders in a folder.
    fn inner(&self, number: usize) -> impl Iterator<Item = usize> {
        let (folders, end) = (self.donor.tree.folders(), self.folder(number).next as usize);
        let next = move |number: &usize| Some(folders.get(*number)?.next as usize);
        std::iter::successors(Some(number + 1), next).take_while(move |number| *number < end)
    }

    /// What of a folder stands in the rest.
    fn standing(&self, number: usize) -> &[Standing] {
        let folder = self.folder(number);
        let place = |file: u32| self.standing.partition_point(|standing| standing.file < file);
        &self.standing[place(folder.start)..place(folder.end)]
    }

    /// The files of a folder, empty ones left out.
    fn files(&self, number: usize) -> impl Iterator<Item = &FileNumbers> {
        let folder = self.folder(number);
        let files = &self.donor.tree.numbers()[folder.start as usize..folder.end as usize];
        files.iter().filter(|file| file.content != EMPTY)
    }

    /// Where a path of the donor would be if the tree of the base stood at the root.
    fn at_home(&self, path: &[u8]) -> Vec<u8> {
        self.rest.at_home(&self.shift.place(&path[self.from_bytes..])).to_vec()
    }

    /// Adds the files of the largest folders that count.
    fn collect(&self, number: usize, depth: usize, places: &mut Vec<usize>) {
        let standing = self.standing(number);
        if depth > DEPTH_MAX || standing.is_empty() {
            return;
        }
        if self.counts(number, depth == 0, standing) {
            places.extend(standing.iter().map(|standing| standing.place));
            return;
        }
        // What is less in a folder is no more further down.
        if standing.len() as u64 >= self.least().1 {
            self.inner(number).for_each(|inner| self.collect(inner, depth + 1, places));
        }
    }

    /// The share of a folder that must be there, and how many contents.
    fn least(&self) -> (f64, u64) {
        match self.is_move {
            true => (MOVED_SHARE_MIN, MOVED_CONTENTS_MIN),
            false => (SAME_SHARE_MIN, SAME_CONTENTS_MIN),
        }
    }

    fn counts(&self, number: usize, is_top: bool, standing: &[Standing]) -> bool {
        let (share_min, contents_min) = self.least();
        let (present, is_root) = (standing.len() as u64, is_top && self.shift.from.is_empty());
        if present < contents_min && !is_root {
            return false;
        }
        let all = self.files(number).count() as u64;
        let mut contents: Vec<u32> = standing
            .iter()
            .map(|standing| self.donor.tree.numbers()[standing.file as usize].content)
            .collect();
        contents.sort_unstable();
        contents.dedup();
        share(present, all) >= share_min
            && (contents.len() as u64 >= contents_min || (is_root && present == all))
            && (self.is_move || self.is_free(number))
    }

    /// Returns true if the base has nothing in this folder; what stands there was not put beside the base's own files.
    fn is_free(&self, number: usize) -> bool {
        let folder = self.folder(number);
        let path = &self.donor.tree.path(folder.start as usize)[self.from_bytes..folder.path_bytes as usize];
        let place = self.shift.place(path.strip_suffix(b"/").unwrap_or(path));
        self.base.is_none_or(|base| !base.has_below(self.rest.at_home(&place)))
    }
}

/// How one folder that was copied over the base's own files is found.
struct Over<'o> {
    under: &'o Under<'o>,
    base: &'o Donor,
}

impl Over<'_> {
    /// Returns where the files of the folder stand, if there is one.
    fn places(&self, top: usize) -> Vec<usize> {
        let Self { under, base } = self;
        if (under.standing.len() as u64) < OVER_CONTENTS_MIN {
            return Vec::new();
        }
        let number = self.narrowest(top);
        let standing = under.standing(number);
        let contents = standing.iter().map(|standing| under.rest.file(standing.place).1.id);
        let new = || contents.filter(|content| !base.has(*content)).collect::<IdSet<ContentId>>();
        let is_copied = number != top
            && !self.is_installed(standing)
            && new().len() as u64 >= OVER_CONTENTS_MIN
            && self.is_whole(number)
            && !self.is_upgrade(number);
        if is_copied { standing.iter().map(|standing| standing.place).collect() } else { Vec::new() }
    }

    /// Returns the narrowest folder with nearly all files that are there.
    fn narrowest(&self, top: usize) -> usize {
        let (present, mut number) = (|number| self.under.standing(number).len() as u64, top);
        let all = present(top);
        for _ in 0..DEPTH_MAX {
            let most = self.under.inner(number).max_by_key(|inner| present(*inner));
            let Some(most) = most.filter(|most| share(present(*most), all) >= ONE_FOLDER_SHARE_MIN) else {
                break;
            };
            number = most;
        }
        number
    }

    /// Returns true if both have the same of what package managers keep, besides what is in the folder.
    fn is_installed(&self, folder: &[Standing]) -> bool {
        let rest = self.under.rest;
        let listed = |standing: &[Standing]| {
            let places = standing.iter().map(|standing| rest.at_home(rest.path(standing.place)));
            places.filter(|place| is_package_list(place)).count()
        };
        listed(&self.under.standing) > listed(folder)
    }

    fn is_whole(&self, number: usize) -> bool {
        let (tree, base) = (&self.under.donor.tree, self.base);
        let standing: HashSet<u32> = self
            .under
            .standing(number)
            .iter()
            .map(|standing| tree.numbers()[standing.file as usize].path)
            .collect();
        let is_there = |file: &&FileNumbers| {
            let in_base =
                || base.tree.number_at(&self.under.at_home(tree.path_of(file))) == Some(file.content);
            standing.contains(&file.path) || in_base()
        };
        let there = self.under.files(number).filter(is_there).count() as u64;
        share(there, self.under.files(number).count() as u64) >= WHOLE_SHARE_MIN
    }

    fn are_versions(&self) -> bool {
        let (donor, base) = (self.under.donor, self.base);
        let smaller = donor.record.content_count.min(base.record.content_count);
        share(donor.shared(base), smaller) >= VERSION_SHARE_MIN
    }

    fn is_upgrade(&self, number: usize) -> bool {
        let tree = &self.under.donor.tree;
        let in_base =
            |file: &&FileNumbers| self.base.content_at(&self.under.at_home(tree.path_of(file))).is_some();
        let both = self.under.files(number).filter(in_base).count() as u64;
        share(both, self.under.files(number).count() as u64) >= UPGRADED_SHARE_MIN && self.are_versions()
    }
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
