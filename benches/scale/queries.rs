//! The questions: images that no fleet holds, of about 8,000 files, on bases that every fleet holds.
//!
//! Half are layered applications, a quarter squashed ones, a quarter slimmed: larger ones of which 27 % of the files were
//! dropped. Only contents are asked about, so layered and squashed differ in what removals left alone.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use layerprint_store::id::ContentId;
use layerprint_store::{Content, MergedView};
use rayon::prelude::*;

use super::application::{fresh, is_kept, squash};
use super::fleet::{DATES_MIN, Parent, stock};
use super::random::hash;

pub const QUERIES: u64 = 200;
/// Distinct contents of a question, about.
const CONTENTS: usize = 8_000;
/// Per cent of the files that a slimmed image lost.
const DROPPED: u64 = 27;
const DROPPED_TO: usize = 73;
/// Least share of a question's contents that its base makes up.
const BASE_SHARE: f64 = 0.3;

/// Bytes of a content and its size in the file.
const RECORD_BYTES: usize = 40;

/// The distinct, non-empty contents of an image, sorted.
pub type Query = Vec<Content>;

/// Makes the questions, the same ones every time.
pub fn make() -> Vec<Query> {
    let parents: Vec<Parent> = stock(DATES_MIN).filter(is_large_enough).collect();
    let parent = |number| parents[place(hash(&[70, number]), parents.len())];
    (0..QUERIES).into_par_iter().map(|number| query(number, parent(number))).collect()
}

fn place(number: u64, length: usize) -> usize {
    usize::try_from(number % length as u64).expect("less than the length")
}

fn is_large_enough(parent: &Parent) -> bool {
    let layers = parent.layers();
    let count = MergedView::of(layers.iter().map(|layer| &*layer.fingerprint)).contents().len();
    let least = super::random::real(CONTENTS as u64) * BASE_SHARE;
    super::random::real(count as u64) >= least && count < CONTENTS
}

fn query(number: u64, parent: Parent) -> Query {
    let slimmed = number % 4 == 3;
    let files = if slimmed { CONTENTS * 100 / DROPPED_TO } else { CONTENTS };
    let mut layers = fresh(number, parent, files);
    if number % 4 == 2 {
        layers = vec![squash(&[71, number], &layers)];
    }
    let mut contents = MergedView::of(layers.iter().map(|layer| &*layer.fingerprint)).contents();
    if slimmed {
        contents.retain(|content| is_kept(number, content, DROPPED));
    }
    contents
}

/// Writes questions as columns: how many contents each has, and then for each content its id and its size.
pub fn write(folder: &Path, queries: &[Query]) -> io::Result<()> {
    let mut counts = BufWriter::new(File::create(folder.join("query-counts"))?);
    let mut contents = BufWriter::new(File::create(folder.join("query-contents"))?);
    for query in queries {
        counts.write_all(&u32::try_from(query.len()).expect("thousands").to_le_bytes())?;
        for content in query {
            contents.write_all(content.id.as_bytes())?;
            contents.write_all(&content.size_bytes.to_le_bytes())?;
        }
    }
    counts.flush()?;
    contents.flush()
}

/// What [`write`] wrote, read question by question: all together they take more memory than what is measured.
pub struct Questions {
    contents: File,
    /// For each question, the number of its first content, and at last the number of all.
    starts: Vec<u64>,
}

impl Questions {
    pub fn open(folder: &Path) -> io::Result<Self> {
        let counts = std::fs::read(folder.join("query-counts"))?;
        let mut starts = vec![0];
        for count in counts.chunks_exact(4) {
            let count = u32::from_le_bytes(count.try_into().expect("four bytes"));
            starts.push(starts[starts.len() - 1] + u64::from(count));
        }
        Ok(Self { contents: File::open(folder.join("query-contents"))?, starts })
    }

    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn get(&self, number: usize) -> io::Result<Query> {
        let (start, end) = (self.starts[number], self.starts[number + 1]);
        let count = usize::try_from(end - start).expect("thousands");
        let mut bytes = vec![0; RECORD_BYTES * count];
        self.contents.read_exact_at(&mut bytes, RECORD_BYTES as u64 * start)?;
        Ok(bytes.chunks_exact(RECORD_BYTES).map(record).collect())
    }
}

fn record(bytes: &[u8]) -> Content {
    let (id, size) = bytes.split_first_chunk::<32>().expect("40 bytes");
    let size_bytes = u64::from_le_bytes(size.try_into().expect("eight bytes"));
    Content { id: ContentId::from_bytes(*id), size_bytes }
}
