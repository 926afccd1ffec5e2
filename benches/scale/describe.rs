//! What a store holds, in the figures by which a made fleet is held against real ones.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;
use layerprint_store::id::DiffId;
use layerprint_store::{Content, Store, body};
use rayon::prelude::*;

use super::matrix::key;
use super::random::real;

/// The keys are counted in so many parts, for the memory's sake.
const PARTS: u64 = 8;

/// Prints the figures of one store.
pub fn describe(path: &Path) -> Result<()> {
    let store = Store::open(path)?;
    let mut uses: HashMap<DiffId, u32> = HashMap::new();
    let (mut contents, mut layers, mut files) = (Vec::new(), Vec::new(), 0);
    for image in store.images() {
        let image = image?;
        image.layers.iter().for_each(|layer| *uses.entry(*layer).or_default() += 1);
        contents.push(image.content_count);
        layers.push(image.layers.len() as u64);
        files += image.content_count;
    }
    let images = contents.len() as u64;
    println!("images {images}, layers {}, median {} an image", uses.len(), median(&mut layers));
    println!("contents of an image: median {}, mean {:.0}", median(&mut contents), share(files, images));
    let (distinct, alone) = distinct(&store, &uses)?;
    println!("distinct contents {distinct}: {:.0} an image", share(distinct, images));
    println!("in one image only: {:.1} % of them", 100.0 * share(alone, distinct));
    describe_bodies(&store, &uses, images)
}

fn describe_bodies(store: &Store, uses: &HashMap<DiffId, u32>, images: u64) -> Result<()> {
    let sizes = uses.par_iter().map(|(layer, _)| {
        let fingerprint = store.fingerprint(layer)?.unwrap_or_default();
        Ok((fingerprint.entries().len() as u64, body::encode(&fingerprint)?.len() as u64))
    });
    let sizes = sizes.collect::<Result<Vec<_>>>()?;
    let (entries, bytes) = sizes.iter().fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
    let mut counts: Vec<u64> = sizes.iter().map(|size| size.0).collect();
    println!(
        "entries of a layer: median {}, mean {:.0}",
        median(&mut counts),
        share(entries, counts.len() as u64)
    );
    println!(
        "raw fingerprints: {bytes} bytes, {:.1} an entry, {:.0} an image",
        share(bytes, entries),
        share(bytes, images)
    );
    Ok(())
}

/// Counts distinct contents, and those that one image alone holds. What whiteouts hide counts, too.
fn distinct(store: &Store, uses: &HashMap<DiffId, u32>) -> Result<(u64, u64)> {
    let (mut distinct, mut alone) = (0, 0);
    for part in 0..PARTS {
        let of_layer = |(layer, uses): (&DiffId, &u32)| {
            let contents = store.layer_contents(layer)?.unwrap_or_default();
            let keys = contents.iter().map(|content: &Content| key(&content.id));
            let keys = keys.filter(|key| key % PARTS == part).map(|key| (key, *uses));
            Ok(keys.collect::<Vec<_>>())
        };
        let mut keys = uses.par_iter().map(of_layer).collect::<Result<Vec<_>>>()?.concat();
        keys.par_sort_unstable();
        for same in keys.chunk_by(|one, other| one.0 == other.0) {
            distinct += 1;
            alone += u64::from(same.iter().map(|(_, uses)| u64::from(*uses)).sum::<u64>() == 1);
        }
    }
    Ok((distinct, alone))
}

fn median(numbers: &mut [u64]) -> u64 {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or(0)
}

fn share(part: u64, whole: u64) -> f64 {
    real(part) / real(whole.max(1))
}
