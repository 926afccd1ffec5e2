//! The image in question, laid out so that files of others are found in it by number.

use std::sync::{Arc, OnceLock};

use crate::tree::{FileNumbers, Tree};

/// Numbers of contents, each in or not.
#[derive(Debug, Default)]
pub(crate) struct Marks(Vec<u64>);

impl Marks {
    /// Marks all contents of a tree.
    pub(crate) fn of(tree: &Tree) -> Self {
        let mut marks = Self::default();
        marks.add(tree);
        marks
    }

    /// Marks all contents of another tree.
    pub(crate) fn add(&mut self, tree: &Tree) {
        tree.distinct_numbers().for_each(|content| _ = self.insert(content));
    }

    pub(crate) fn has(&self, content: u32) -> bool {
        self.0.get(content as usize / 64).is_some_and(|marks| marks >> (content % 64) & 1 == 1)
    }

    /// Returns true if it was not marked before.
    pub(crate) fn insert(&mut self, content: u32) -> bool {
        let place = content as usize / 64;
        if place >= self.0.len() {
            self.0.resize((place + 1).next_power_of_two(), 0);
        }
        let is_new = !self.has(content);
        self.0[place] |= 1 << (content % 64);
        is_new
    }

    pub(crate) fn remove(&mut self, content: u32) {
        if let Some(marks) = self.0.get_mut(content as usize / 64) {
            *marks &= !(1 << (content % 64));
        }
    }
}

/// See the module.
pub(crate) struct Seen {
    pub(crate) tree: Arc<Tree>,
    /// By numbers of paths, one more than the number of the file there.
    at: Vec<u32>,
    /// By numbers of contents, one more than the ordinal.
    ordinals: Vec<u32>,
    by_content: OnceLock<ByContent>,
}

/// The files with each content, in path order: those of one ordinal stand together.
struct ByContent {
    ends: Vec<usize>,
    files: Vec<u32>,
}

impl Seen {
    pub(crate) fn of(tree: Arc<Tree>) -> Self {
        let end = |number: fn(&FileNumbers) -> u32| {
            tree.numbers().iter().map(|file| number(file) as usize + 1).max().unwrap_or(0)
        };
        let (mut at, mut ordinals) = (vec![0; end(|file| file.path)], vec![0; end(|file| file.content)]);
        for (file, place) in tree.numbers().iter().zip(1..) {
            at[file.path as usize] = place;
            ordinals[file.content as usize] = file.ordinal + 1;
        }
        Self { at, ordinals, by_content: OnceLock::new(), tree }
    }

    /// Returns the number of the file that stands at a path.
    pub(crate) fn file_at(&self, path: u32) -> Option<usize> {
        let place = self.at.get(path as usize).copied().unwrap_or(0);
        place.checked_sub(1).map(|file| file as usize)
    }

    /// Returns the numbers of the file that stands at a path.
    pub(crate) fn at(&self, path: u32) -> Option<&FileNumbers> {
        Some(&self.tree.numbers()[self.file_at(path)?])
    }

    /// Returns true if a content is anywhere in it.
    pub(crate) fn holds(&self, content: u32) -> bool {
        self.ordinal_of(content).is_some()
    }

    /// Returns the place of a content among the distinct ones of the image.
    pub(crate) fn ordinal_of(&self, content: u32) -> Option<usize> {
        let place = self.ordinals.get(content as usize).copied().unwrap_or(0);
        place.checked_sub(1).map(|ordinal| ordinal as usize)
    }

    /// Returns the files that have a content, in path order.
    pub(crate) fn files_of(&self, ordinal: usize) -> &[u32] {
        let ByContent { ends, files } = self.by_content.get_or_init(|| ByContent::of(&self.tree));
        let start = if ordinal == 0 { 0 } else { ends[ordinal - 1] };
        &files[start..ends[ordinal]]
    }
}

impl ByContent {
    fn of(tree: &Tree) -> Self {
        let mut files: Vec<(u32, u32)> =
            tree.numbers().iter().zip(0..).map(|(file, number)| (file.ordinal, number)).collect();
        files.sort_unstable();
        let mut ends = vec![0; tree.distinct_count()];
        for ((ordinal, _), end) in files.iter().zip(1..) {
            ends[*ordinal as usize] = end;
        }
        Self { ends, files: files.into_iter().map(|(_, file)| file).collect() }
    }
}
