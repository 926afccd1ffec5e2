//! The files of an image, with paths and contents by number: what is compared, kept from question to question.
//!
//! Of a merged view only regular files are here, in path order; what else stands at a path is for a question about files as
//! if nothing stood there. Numbers are those of [`Numbers`]; trees that were numbered together can be compared by them.

use std::cmp::Ordering;

use layerprint_store::id::ContentId;
use layerprint_store::{Content, Entry, MergedView, PathBytes};

use crate::ids::IdMap;
use crate::kept::Weighed;
use crate::numbers::Numbers;
use crate::seen::Seen;
use crate::subject::Layers;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    paths: Vec<PathBytes>,
    contents: Vec<Content>,
    numbers: Vec<FileNumbers>,
    /// By content id.
    distinct: Vec<Distinct>,
    /// Each before those in it, in path order; the root is the first.
    folders: Vec<Folder>,
    /// The lowest layer that brings each distinct content; none if no layers were told.
    came_with: Vec<u32>,
}

/// A folder with files somewhere in it. These follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Folder {
    /// Its first file.
    pub(crate) start: u32,
    /// The first file that is not in it any more.
    pub(crate) end: u32,
    /// The next folder that is not in it.
    pub(crate) next: u32,
    /// The length of its path, the slash at the end included; the root has none.
    pub(crate) path_bytes: u32,
}

/// A distinct content.
#[derive(Debug, Clone, Copy)]
struct Distinct {
    /// The first file that has it.
    file: u32,
    /// The number of the content.
    number: u32,
    /// Of one id with several sizes, which would be a lie, the smallest counts.
    size_bytes: u64,
}

/// The numbers of one file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileNumbers {
    pub(crate) path: u32,
    pub(crate) content: u32,
    /// The place of its content among the distinct ones of the tree.
    pub(crate) ordinal: u32,
}

impl Tree {
    /// Merges layers, and remembers which of them brought what.
    pub(crate) fn of_layers(layers: &Layers, numbers: &Numbers) -> Self {
        let mut tree = Self::of_view(&layers.view(), numbers);
        tree.came_with = tree.first_layers(layers);
        tree
    }

    pub(crate) fn of_view(view: &MergedView, numbers: &Numbers) -> Self {
        let (paths, contents): (Vec<&[u8]>, Vec<Content>) =
            view.files().map(|(path, content)| (path, *content)).unzip();
        let (mut distinct, ordinals) = distinct(&contents);
        let ids: Vec<ContentId> = distinct.iter().map(|one| contents[one.file as usize].id).collect();
        for (one, number) in distinct.iter_mut().zip(numbers.of_contents(&ids)) {
            one.number = number;
        }
        let (path_numbers, paths): (Vec<u32>, Vec<PathBytes>) = numbers.of_paths(&paths).into_iter().unzip();
        let files = path_numbers.into_iter().zip(ordinals);
        let files = files.map(|(path, ordinal)| FileNumbers {
            path,
            content: distinct[ordinal as usize].number,
            ordinal,
        });
        let folders = folders(&paths);
        Self { numbers: files.collect(), paths, contents, distinct, folders, came_with: Vec::new() }
    }

    fn first_layers(&self, layers: &Layers) -> Vec<u32> {
        let mut places: IdMap<ContentId, usize> = IdMap::default();
        places.extend(self.distinct_ids().zip(0..));
        let mut first = vec![None; self.distinct.len()];
        for (layer, number) in layers.iter().zip(0..) {
            for content in layer.entries().iter().filter_map(Entry::content) {
                if let Some(place) = places.get(&content.id) {
                    first[*place].get_or_insert(number);
                }
            }
        }
        first.into_iter().map(|layer| layer.expect("what a view shows is in one of its layers")).collect()
    }

    /// Returns the files, in path order.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&[u8], &Content)> {
        self.paths.iter().map(|path| &**path).zip(&self.contents)
    }

    /// Returns the files from one on, each with its numbers.
    pub(crate) fn files_from(&self, file: usize) -> impl Iterator<Item = (&[u8], &Content, &FileNumbers)> {
        let all = self.paths[file..].iter().zip(&self.contents[file..]).zip(&self.numbers[file..]);
        all.map(|((path, content), numbers)| (&**path, content, numbers))
    }

    /// Returns the numbers of all files, in path order.
    pub(crate) fn numbers(&self) -> &[FileNumbers] {
        &self.numbers
    }

    /// Returns all folders, each before those in it; the root is the first.
    pub(crate) fn folders(&self) -> &[Folder] {
        &self.folders
    }

    /// Returns the path of a file.
    pub(crate) fn path(&self, file: usize) -> &[u8] {
        &self.paths[file]
    }

    /// Returns the content of a file.
    pub(crate) fn content(&self, file: usize) -> &Content {
        &self.contents[file]
    }

    /// Returns the content of the file at a path.
    pub(crate) fn get(&self, path: &[u8]) -> Option<&Content> {
        self.file_at(path).map(|file| &self.contents[file])
    }

    /// Returns the number of that content.
    pub(crate) fn number_at(&self, path: &[u8]) -> Option<u32> {
        self.file_at(path).map(|file| self.numbers[file].content)
    }

    /// Returns the number of the file at a path.
    pub(crate) fn file_at(&self, path: &[u8]) -> Option<usize> {
        self.paths.binary_search_by(|own| (**own).cmp(path)).ok()
    }

    /// Returns the first file whose path is not less.
    pub(crate) fn first_from(&self, path: &[u8]) -> usize {
        self.paths.partition_point(|own| **own < *path)
    }

    /// Returns how many files there are, each name counted.
    pub(crate) fn file_count(&self) -> u64 {
        self.paths.len() as u64
    }

    /// Returns how many distinct contents there are, the empty one included: ordinals are below that.
    pub(crate) fn distinct_count(&self) -> usize {
        self.distinct.len()
    }

    /// Returns the distinct contents, sorted by id, without the empty one.
    pub(crate) fn contents(&self) -> impl Iterator<Item = Content> {
        self.numbered_contents().map(|(_, content)| content)
    }

    /// Returns the same, each with its number.
    pub(crate) fn numbered_contents(&self) -> impl Iterator<Item = (u32, Content)> {
        let all = self.distinct.iter().map(|one| {
            let id = self.contents[one.file as usize].id;
            (one.number, Content { id, size_bytes: one.size_bytes })
        });
        all.filter(|(_, content)| content.id != ContentId::EMPTY)
    }

    /// Returns how many distinct, non-empty contents there are.
    pub(crate) fn content_count(&self) -> u64 {
        self.distinct.len() as u64 - u64::from(self.has(&ContentId::EMPTY))
    }

    /// Returns how many of them another tree has.
    pub(crate) fn shared_with(&self, other: &Seen) -> u64 {
        let shared = self.distinct.iter().filter(|one| other.holds(one.number)).count() as u64;
        shared - u64::from(self.has(&ContentId::EMPTY) && other.tree.has(&ContentId::EMPTY))
    }

    /// Returns the lowest layer that brings a content, by its ordinal.
    pub(crate) fn layer_of(&self, ordinal: u32) -> Option<usize> {
        self.came_with.get(ordinal as usize).map(|layer| *layer as usize)
    }

    /// Returns true if a file has a content.
    pub(crate) fn has(&self, content: &ContentId) -> bool {
        self.distinct.binary_search_by(|one| self.contents[one.file as usize].id.cmp(content)).is_ok()
    }

    /// Returns how many distinct, non-empty contents both have.
    pub(crate) fn shared(&self, other: &Self) -> u64 {
        let (mut own, mut others) = (self.contents().peekable(), other.contents().peekable());
        let mut shared = 0;
        while let (Some(a), Some(b)) = (own.peek(), others.peek()) {
            let order = a.id.cmp(&b.id);
            shared += u64::from(order == Ordering::Equal);
            if order != Ordering::Greater {
                own.next();
            }
            if order != Ordering::Less {
                others.next();
            }
        }
        shared
    }

    /// Returns the ids of all distinct contents, sorted: their places are the ordinals.
    pub(crate) fn distinct_ids(&self) -> impl Iterator<Item = ContentId> {
        self.distinct.iter().map(|one| self.contents[one.file as usize].id)
    }
}

impl Weighed for Tree {
    fn size_bytes(&self) -> u64 {
        let each = size_of::<PathBytes>() + size_of::<Content>() + size_of::<FileNumbers>();
        let distinct = size_of::<Distinct>() + size_of::<u32>();
        let parts = [
            self.paths.len() * each,
            self.distinct.len() * distinct,
            self.folders.len() * size_of::<Folder>(),
        ];
        (size_of::<Self>() + parts.iter().sum::<usize>()) as u64
    }
}

/// Returns the distinct contents, their numbers left open, and each file's place among them.
fn distinct(contents: &[Content]) -> (Vec<Distinct>, Vec<u32>) {
    let count = u32::try_from(contents.len()).expect("a layer has fewer entries");
    let mut files: Vec<(Content, u32)> = contents.iter().copied().zip(0..count).collect();
    files.sort_unstable();
    let (mut distinct, mut ordinals): (Vec<Distinct>, _) = (Vec::new(), vec![0; contents.len()]);
    let mut last = None;
    for (Content { id, size_bytes }, file) in files {
        if last != Some(id) {
            distinct.push(Distinct { file, number: 0, size_bytes });
            last = Some(id);
        }
        ordinals[file as usize] = u32::try_from(distinct.len() - 1).expect("not more than files");
    }
    (distinct, ordinals)
}

/// Returns the folders of paths, which are sorted.
fn folders(paths: &[PathBytes]) -> Vec<Folder> {
    let narrow = |number: usize| u32::try_from(number).expect("files, folders and paths are fewer");
    let folder = |start, path_bytes| Folder { start, end: 0, next: 0, path_bytes: narrow(path_bytes) };
    let mut folders = vec![folder(0, 0)];
    // The numbers of those that are not closed yet, outermost first.
    let mut open = vec![0];
    let mut last: &[u8] = &[];
    for (path, file) in paths.iter().zip(0..) {
        let alike = path.iter().zip(last).take_while(|(a, b)| a == b).count();
        while let Some(&inner) = open.last().filter(|inner| folders[**inner].path_bytes > narrow(alike)) {
            (folders[inner].end, folders[inner].next) = (file, narrow(folders.len()));
            open.pop();
        }
        let start = open.last().map_or(0, |inner| folders[*inner].path_bytes as usize);
        for (at, _) in path.iter().enumerate().skip(start).filter(|(_, byte)| **byte == b'/') {
            open.push(folders.len());
            folders.push(folder(file, at + 1));
        }
        last = path;
    }
    for inner in open {
        (folders[inner].end, folders[inner].next) = (narrow(paths.len()), narrow(folders.len()));
    }
    folders
}
