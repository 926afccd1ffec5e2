//! sled with a key for each file: the obvious index, and what became of it.
//!
//! Key: the first eight bytes of a content, big-endian. Value: the numbers of the images that hold it, ascending, as
//! differences, LEB128. Given its best: every key is written once, in order, without a flush in between.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use layerprint_store::Content;
use serde::{Deserialize, Serialize};

use super::answers::{Answer, Shared, is_enough};
use super::matrix;

/// Pairs of key and image that are sorted in memory at a time, 16 bytes each.
const PAIRS_MAX: u64 = 24 << 20;
/// Keys between two looks at the clock.
const KEYS_BETWEEN: u64 = 4096;

#[derive(Serialize, Deserialize)]
pub struct Built {
    /// False if the time ran out.
    pub whole: bool,
    /// Keys that were written.
    pub keys: u64,
    pub bytes: u64,
    pub seconds: f64,
}

/// Builds the database from a matrix, until it is whole or the time is over.
pub fn build(folder: &Path, matrix: &Path, limit: Duration) -> Result<Built> {
    let started = Instant::now();
    let database = open(folder)?;
    let pairs: u64 = matrix::images(matrix)?.iter().map(|(_, count)| u64::from(*count)).sum();
    let slices = u128::from(pairs.div_ceil(PAIRS_MAX).max(1));
    let bound = |slice: u128| u64::try_from((slice << 64) / slices).unwrap_or(u64::MAX);
    let mut built = Built { whole: true, keys: 0, bytes: 0, seconds: 0.0 };
    for slice in 0..slices {
        let last = slice + 1 == slices;
        let pairs = pairs_between(matrix, bound(slice), (!last).then(|| bound(slice + 1)))?;
        built.whole = insert(&database, &pairs, &mut built.keys, || started.elapsed() < limit)?;
        if !built.whole {
            break;
        }
    }
    database.flush().context("flush sled")?;
    built.bytes = database.size_on_disk().context("measure sled")?;
    built.seconds = started.elapsed().as_secs_f64();
    Ok(built)
}

fn open(folder: &Path) -> Result<sled::Db> {
    let config = sled::Config::new().path(folder).mode(sled::Mode::HighThroughput).flush_every_ms(None);
    config.open().context("open sled")
}

/// The pairs whose keys lie from `from` on and below `to`, sorted.
fn pairs_between(matrix: &Path, from: u64, to: Option<u64>) -> Result<Vec<(u64, u32)>> {
    let mut pairs = Vec::new();
    matrix::for_each(matrix, |image, keys| {
        let start = keys.partition_point(|key| *key < from);
        let end = to.map_or(keys.len(), |to| keys.partition_point(|key| *key < to));
        pairs.extend(keys[start..end].iter().map(|key| (*key, image)));
    })?;
    pairs.sort_unstable();
    Ok(pairs)
}

/// Writes the keys of sorted pairs; returns false if it was told to stop.
fn insert(
    database: &sled::Db,
    pairs: &[(u64, u32)],
    keys: &mut u64,
    go_on: impl Fn() -> bool,
) -> Result<bool> {
    let mut value = Vec::new();
    for images in pairs.chunk_by(|one, other| one.0 == other.0) {
        value.clear();
        let mut before = 0;
        for (_, image) in images {
            push_varint(&mut value, image - before);
            before = *image;
        }
        database.insert(images[0].0.to_be_bytes(), &value[..]).context("insert into sled")?;
        *keys += 1;
        if keys.is_multiple_of(KEYS_BETWEEN) && !go_on() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The database with what is needed to answer.
pub struct ByKey {
    database: sled::Db,
    counts: Vec<u32>,
}

impl ByKey {
    pub fn open(folder: &Path, matrix: &Path) -> Result<Self> {
        let counts = matrix::images(matrix)?.into_iter().map(|(_, count)| count).collect();
        Ok(Self { database: open(folder)?, counts })
    }

    pub fn overlaps(&self, query: &[Content]) -> Result<Answer> {
        let mut shared = vec![(0_u32, 0_u64); self.counts.len()];
        for content in query {
            let key = matrix::key(&content.id).to_be_bytes();
            let Some(value) = self.database.get(key).context("read sled")? else { continue };
            let mut image = 0;
            for difference in varints(&value) {
                image += difference;
                let shared = &mut shared[image as usize];
                *shared = (shared.0 + 1, shared.1 + content.size_bytes);
            }
        }
        let shared = (0..).zip(shared).map(|(image, (present, present_bytes))| Shared {
            image,
            present,
            present_bytes,
        });
        let enough =
            |shared: &Shared| is_enough(shared.present.into(), self.counts[shared.image as usize].into());
        Ok(shared.filter(enough).collect())
    }
}

fn push_varint(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn varints(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let mut bytes = bytes.iter();
    std::iter::from_fn(move || {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = *bytes.next()?;
            number |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
            shift += 7;
        }
    })
}
