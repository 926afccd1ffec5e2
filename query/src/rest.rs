//! What is left of an image that nothing explains yet, found by path and by content.

use layerprint_store::Content;

use crate::donor::join;
use crate::folders::Shift;
use crate::numbers::EMPTY;
use crate::seen::Seen;
use crate::tree::FileNumbers;

/// So many paths are compared one by one rather than searched among all.
const FEW: usize = 8;

/// Files of an image that nothing explains; empty ones are left out.
#[derive(Clone)]
pub(crate) struct Rest<'a> {
    /// Where the tree of the base stands; the root is empty. Same places are places below it.
    home: Vec<u8>,
    image: &'a Seen,
    /// Of each file of the image, whether it is left.
    is_left: Vec<bool>,
    /// How many files are left with each distinct content of the image.
    counts: Vec<usize>,
}

impl<'a> Rest<'a> {
    /// Takes some files of an image, each by its number.
    pub(crate) fn of(home: &[u8], image: &'a Seen, files: impl Iterator<Item = usize>) -> Self {
        let tree = &image.tree;
        let (mut is_left, mut counts) = (vec![false; tree.numbers().len()], vec![0; tree.distinct_count()]);
        for file in files.filter(|file| tree.numbers()[*file].content != EMPTY) {
            is_left[file] = true;
            counts[tree.numbers()[file].ordinal as usize] += 1;
        }
        Self { home: home.to_vec(), image, is_left, counts }
    }

    /// The same with some of the files only.
    pub(crate) fn only(&self, places: &[(&'a [u8], Content)]) -> Self {
        Self::of(
            &self.home,
            self.image,
            places.iter().filter_map(|(place, _)| self.image.tree.file_at(place)),
        )
    }

    /// Returns the distinct contents, sorted.
    pub(crate) fn contents(&self) -> Vec<Content> {
        let left = self.image.tree.distinct_contents().zip(&self.counts).filter(|(_, count)| **count > 0);
        left.map(|(content, _)| content).collect()
    }

    /// Takes files away.
    pub(crate) fn remove(&mut self, places: &[&'a [u8]]) {
        let tree = &self.image.tree;
        for file in places.iter().filter_map(|place| tree.file_at(place)) {
            if std::mem::take(&mut self.is_left[file]) {
                self.counts[tree.numbers()[file].ordinal as usize] -= 1;
            }
        }
    }

    /// Returns true if a shift leads elsewhere than from a place to the same place.
    pub(crate) fn is_move(&self, shift: &Shift) -> bool {
        shift.to != join(&self.home, &shift.from)
    }

    /// Where a place would be if the tree of the base stood at the root.
    pub(crate) fn at_home<'p>(&self, place: &'p [u8]) -> &'p [u8] {
        let below = place.strip_prefix(&*self.home);
        below.map_or(place, |below| below.strip_prefix(b"/").unwrap_or(below))
    }

    /// Returns where a file of another image is left under a shift: the same content at the path that it is shifted to. The
    /// other's path is told by its part below the shift.
    pub(crate) fn under(&self, shift: &Shift, below: &[u8], file: &FileNumbers) -> Option<usize> {
        let ordinal = self.image.ordinal_of(file.content).filter(|ordinal| self.counts[*ordinal] > 0)?;
        let place = match shift.from == shift.to {
            true => self.image.file_at(file.path)?,
            // Looked for among the files with this content, of which there are few.
            false => self.place_at(ordinal, &shift.to, below)?,
        };
        let is_same = self.image.tree.numbers()[place].ordinal as usize == ordinal;
        (is_same && self.is_left[place]).then_some(place)
    }

    fn place_at(&self, ordinal: usize, folder: &[u8], below: &[u8]) -> Option<usize> {
        let (files, tree) = (self.image.files_of(ordinal), &self.image.tree);
        if files.len() > FEW {
            return tree.file_at(&join(folder, below));
        }
        let is_there = |file: &usize| is_joined(tree.path(*file), folder, below);
        files.iter().map(|file| *file as usize).find(is_there)
    }

    /// Returns the path of a file.
    pub(crate) fn path(&self, place: usize) -> &'a [u8] {
        self.image.tree.path(place)
    }

    /// Returns how many files are left with a content.
    pub(crate) fn places_count(&self, content: u32) -> usize {
        self.image.ordinal_of(content).map_or(0, |ordinal| self.counts[ordinal])
    }

    /// Returns the path and the content of a file.
    pub(crate) fn file(&self, place: usize) -> (&'a [u8], Content) {
        (self.image.tree.path(place), self.image.tree.content(place))
    }

    /// Returns the number of the path of a file.
    pub(crate) fn path_number(&self, place: usize) -> u32 {
        self.image.tree.numbers()[place].path
    }

    /// Returns the files that are left with a content, unless there are more than so many.
    pub(crate) fn places_of(&self, content: u32, places_max: usize) -> impl Iterator<Item = usize> {
        let ordinal = self.image.ordinal_of(content).filter(|ordinal| self.counts[*ordinal] <= places_max);
        let files = ordinal.filter(|ordinal| self.counts[*ordinal] > 0);
        let files = files.map_or(&[][..], |ordinal| self.image.files_of(ordinal));
        files.iter().map(|file| *file as usize).filter(|file| self.is_left[*file])
    }
}

/// Returns true if a path is that of something below a folder, as [`join`] writes it.
fn is_joined(path: &[u8], folder: &[u8], below: &[u8]) -> bool {
    match (folder, below) {
        (b"", alone) | (alone, b"") => path == alone,
        (folder, below) => {
            path.len() == folder.len() + 1 + below.len()
                && path[folder.len()] == b'/'
                && path.ends_with(below)
                && path.starts_with(folder)
        }
    }
}
