//! The files of an image, with paths and contents by number: what is compared, kept from question to question.
//!
//! Of a merged view only regular files are here, in path order; what else stands at a path is for a question about files as
//! if nothing stood there. Numbers are those of [`Numbers`]; trees that were numbered together can be compared by them.

use std::sync::Arc;

use layerprint_store::id::ContentId;
use layerprint_store::{Content, Entry, MergedView};

use crate::ids::IdMap;
use crate::kept::Weighed;
use crate::laid::{Laid, lay};
use crate::numbers::{EMPTY, Known, Numbers};
use crate::seen::{Marks, Seen};
use crate::subject::Layers;

/// See the module.
#[derive(Debug)]
pub(crate) struct Tree {
    known: Arc<Known>,
    files: Vec<FileNumbers>,
    /// By content id.
    distinct: Vec<Distinct>,
    /// Each before those in it, in path order; the root is the first.
    folders: Vec<Folder>,
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

/// A distinct content. Packed, for there are hundreds of thousands.
#[derive(Debug, Clone, Copy)]
#[repr(C, packed(4))]
struct Distinct {
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
    /// Takes the files of a view.
    pub(crate) fn of_view(view: &MergedView, numbers: &Numbers) -> Self {
        let file = |(path, content): (_, &Content)| Laid { path, content: *content, below: None };
        let files: Vec<Laid> = view.files().map(file).collect();
        Self::of(&files, None, numbers)
    }

    /// Takes the files of an image with more layers laid over them. Costs what the layers change, and a copy.
    pub(crate) fn laid(below: &Self, layers: &Layers, numbers: &Numbers) -> Self {
        let file = |((path, content), number)| Laid { path, content, below: Some(number) };
        let mut files: Vec<Laid> = below.files().zip(0..).map(file).collect();
        for layer in layers.iter() {
            files = lay(&files, layer);
        }
        Self::of(&files, Some(below), numbers)
    }

    /// Numbers what is not below, and takes over what is.
    fn of(files: &[Laid], below: Option<&Self>, numbers: &Numbers) -> Self {
        let new: Vec<&Laid> = files.iter().filter(|file| file.below.is_none()).collect();
        let paths = numbers.of_paths(&new.iter().map(|file| file.path).collect::<Vec<_>>());
        let Joined { distinct, own, others } = Joined::of(files, &new, below, numbers);
        let mut own = paths.into_iter().zip(own);
        let file = |file: &Laid| {
            let (path, ordinal) = match below.zip(file.below) {
                Some((below, number)) => {
                    let FileNumbers { path, ordinal, .. } = below.files[number as usize];
                    (path, others[ordinal as usize])
                }
                None => own.next().expect("each new file has numbers"),
            };
            FileNumbers { path, content: distinct[ordinal as usize].number, ordinal }
        };
        let numbered = files.iter().map(file).collect();
        let folders = folders(files);
        Self { known: Arc::clone(numbers.known()), files: numbered, distinct, folders }
    }

    /// Returns the lowest of the layers that brings each distinct content, by ordinals. The layers are those of the tree.
    pub(crate) fn first_layers(&self, layers: &Layers) -> Vec<u32> {
        let mut places: IdMap<ContentId, usize> = IdMap::default();
        places.extend(self.distinct_contents().map(|content| content.id).zip(0..));
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
    pub(crate) fn files(&self) -> impl Iterator<Item = (&[u8], Content)> {
        self.files_from(0).map(|(path, content, _)| (path, content))
    }

    /// Returns the files from one on, each with its numbers.
    pub(crate) fn files_from(&self, file: usize) -> impl Iterator<Item = (&[u8], Content, &FileNumbers)> {
        self.files[file..].iter().map(|file| (self.known.path(file.path), self.content_of(file), file))
    }

    /// Returns the numbers of all files, in path order.
    pub(crate) fn numbers(&self) -> &[FileNumbers] {
        &self.files
    }

    /// Returns all folders, each before those in it; the root is the first.
    pub(crate) fn folders(&self) -> &[Folder] {
        &self.folders
    }

    /// Returns the number of the folder with a path, the slash at the end included; the root has none.
    pub(crate) fn folder_at(&self, path: &[u8]) -> Option<usize> {
        let path_of = |folder: &Folder| match folder.path_bytes as usize {
            0 => &b""[..],
            bytes => &self.path(folder.start as usize)[..bytes],
        };
        self.folders.binary_search_by(|folder| path_of(folder).cmp(path)).ok()
    }

    /// Returns the path of a file.
    pub(crate) fn path(&self, file: usize) -> &[u8] {
        self.path_of(&self.files[file])
    }

    /// Returns the path of the file with these numbers.
    pub(crate) fn path_of(&self, file: &FileNumbers) -> &[u8] {
        self.known.path(file.path)
    }

    /// Returns the content of a file.
    pub(crate) fn content(&self, file: usize) -> Content {
        self.content_of(&self.files[file])
    }

    fn content_of(&self, file: &FileNumbers) -> Content {
        Content { id: *self.known.content(file.content), size_bytes: self.size_bytes(file) }
    }

    /// Returns the size of a file's content.
    pub(crate) fn size_bytes(&self, file: &FileNumbers) -> u64 {
        self.distinct[file.ordinal as usize].size_bytes
    }

    /// Returns the content of the file at a path.
    pub(crate) fn get(&self, path: &[u8]) -> Option<Content> {
        self.file_at(path).map(|file| self.content(file))
    }

    /// Returns the number of that content.
    pub(crate) fn number_at(&self, path: &[u8]) -> Option<u32> {
        self.file_at(path).map(|file| self.files[file].content)
    }

    /// Returns the number of the file at a path.
    pub(crate) fn file_at(&self, path: &[u8]) -> Option<usize> {
        self.files.binary_search_by(|own| self.known.path(own.path).cmp(path)).ok()
    }

    /// Returns the first file whose path is not less.
    pub(crate) fn first_from(&self, path: &[u8]) -> usize {
        self.files.partition_point(|own| self.known.path(own.path) < path)
    }

    /// Returns how many files there are, each name counted.
    pub(crate) fn file_count(&self) -> u64 {
        self.files.len() as u64
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
        self.distinct_numbers().zip(self.distinct_contents()).filter(|(number, _)| *number != EMPTY)
    }

    /// Returns all distinct contents, sorted, the empty one included: their places are the ordinals.
    pub(crate) fn distinct_contents(&self) -> impl Iterator<Item = Content> {
        let content =
            |one: &Distinct| Content { id: *self.known.content(one.number), size_bytes: one.size_bytes };
        self.distinct.iter().map(content)
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

    /// Returns true if a file has a content.
    pub(crate) fn has(&self, content: &ContentId) -> bool {
        self.distinct.binary_search_by(|one| self.known.content(one.number).cmp(content)).is_ok()
    }

    /// Returns how many distinct, non-empty contents both have.
    pub(crate) fn shared(&self, other: &Self) -> u64 {
        let mut others = Marks::of(other);
        others.remove(EMPTY);
        self.distinct.iter().filter(|one| others.has(one.number)).count() as u64
    }

    /// Returns the numbers of all distinct contents, the empty one included.
    pub(crate) fn distinct_numbers(&self) -> impl Iterator<Item = u32> {
        self.distinct.iter().map(|one| one.number)
    }
}

impl Weighed for Tree {
    fn size_bytes(&self) -> u64 {
        let parts = [
            self.files.len() * size_of::<FileNumbers>(),
            self.distinct.len() * size_of::<Distinct>(),
            self.folders.len() * size_of::<Folder>(),
        ];
        (size_of::<Self>() + parts.iter().sum::<usize>()) as u64
    }
}

/// Distinct contents of files, some of which are from below.
struct Joined {
    distinct: Vec<Distinct>,
    /// For each new file, the ordinal of its content.
    own: Vec<u32>,
    /// For each ordinal below, the ordinal here; any, if it is not here.
    others: Vec<u32>,
}

impl Joined {
    fn of(files: &[Laid], new: &[&Laid], below: Option<&Tree>, numbers: &Numbers) -> Self {
        let known = numbers.known();
        let others = below.map_or(&[][..], |below| &below.distinct);
        let mut is_left = vec![false; others.len()];
        if let Some(below) = below {
            let left = files.iter().filter_map(|file| file.below);
            left.for_each(|file| is_left[below.files[file as usize].ordinal as usize] = true);
        }
        let (own, mut ordinals) = distinct(new, numbers);
        let mut places = vec![0; own.len()];
        let mut joined = Self {
            distinct: Vec::with_capacity(own.len() + others.len()),
            own: Vec::new(),
            others: vec![0; others.len()],
        };
        let mut own = own.iter().zip(0_usize..).peekable();
        let left = others.iter().zip(&is_left).enumerate().filter(|(_, (_, is_left))| **is_left);
        for (other, (one, _)) in left {
            let id = known.content(one.number);
            while let Some((own, place)) = own.next_if(|(own, _)| known.content(own.number) < id) {
                places[place] = joined.add(*own);
            }
            joined.others[other] = joined.add(*one);
            if let Some((own, place)) = own.next_if(|(own, _)| own.number == one.number) {
                places[place] = joined.others[other];
                let last = joined.distinct.last_mut().expect("one was added");
                last.size_bytes = u64::min(last.size_bytes, own.size_bytes);
            }
        }
        for (own, place) in own {
            places[place] = joined.add(*own);
        }
        ordinals.iter_mut().for_each(|ordinal| *ordinal = places[*ordinal as usize]);
        Self { own: ordinals, ..joined }
    }

    fn add(&mut self, one: Distinct) -> u32 {
        self.distinct.push(one);
        u32::try_from(self.distinct.len() - 1).expect("not more than files")
    }
}

/// Returns the distinct contents, by id, and each file's place among them.
fn distinct(files: &[&Laid], numbers: &Numbers) -> (Vec<Distinct>, Vec<u32>) {
    let mut contents: Vec<(Content, usize)> = files.iter().map(|file| file.content).zip(0..).collect();
    contents.sort_unstable();
    let (mut distinct, mut ids): (Vec<Distinct>, Vec<ContentId>) = Default::default();
    let mut ordinals = vec![0; files.len()];
    for (Content { id, size_bytes }, file) in contents {
        if ids.last() != Some(&id) {
            distinct.push(Distinct { number: 0, size_bytes });
            ids.push(id);
        }
        ordinals[file] = u32::try_from(ids.len() - 1).expect("not more than files");
    }
    distinct.iter_mut().zip(numbers.of_contents(&ids)).for_each(|(one, number)| one.number = number);
    (distinct, ordinals)
}

/// Returns the folders of files, which are sorted.
fn folders(files: &[Laid]) -> Vec<Folder> {
    let narrow = |number: usize| u32::try_from(number).expect("files, folders and paths are fewer");
    let folder = |start, path_bytes| Folder { start, end: 0, next: 0, path_bytes: narrow(path_bytes) };
    let mut folders = vec![folder(0, 0)];
    // The numbers of those that are not closed yet, outermost first.
    let mut open = vec![0];
    let mut last: &[u8] = &[];
    for (path, file) in files.iter().map(|file| file.path).zip(0..) {
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
        (folders[inner].end, folders[inner].next) = (narrow(files.len()), narrow(folders.len()));
    }
    folders
}
