//! Compares the tar reader with the Go that is installed on thousands of archives that are slightly wrong.
//!
//! `LAYERPRINT_SEED` and `LAYERPRINT_MUTATIONS` choose others and more of them.

use std::collections::BTreeMap;

use crate::tar_support::{GoLister, Listing, Random, limits_of_go, list, mutate, samples};

const SEED: u64 = 20_261_121;
const MUTATIONS: u64 = 2000;
/// Archives that Go is given at once, in one file.
const BATCH: u64 = 2000;

#[test]
fn mutated_archives_read_as_go_reads_them() {
    let Some(go) = GoLister::build() else { return };
    let (seed, mutations) = (setting("LAYERPRINT_SEED", SEED), setting("LAYERPRINT_MUTATIONS", MUTATIONS));
    println!("LAYERPRINT_SEED={seed} LAYERPRINT_MUTATIONS={mutations}");
    let mut tally = Tally::default();
    for start in (0..mutations).step_by(usize::try_from(BATCH).unwrap()) {
        let numbers = start..mutations.min(start + BATCH);
        let archives: Vec<Vec<u8>> =
            numbers.map(|number| mutate::archive(&mut Random(seed << 32 | number), samples())).collect();
        for (number, (archive, go)) in archives.iter().zip(list_with_go(&go, &archives)).enumerate() {
            let number = start + number as u64;
            let ours = list("", &archive[..], limits_of_go());
            tally.add(&ours);
            assert!(ours.agrees_with(&go), "{}", report(number, archive, &ours, &go));
        }
    }
    println!("{tally:#?}");
    // Archives that all fail at their first header would compare equal and prove nothing.
    assert!(tally.whole * 5 > mutations && tally.entries > mutations, "{tally:?}");
}

/// Mutations never get this large: extensions and sparse maps just below, at and above what Go allows.
#[test]
fn extensions_and_maps_may_be_as_large_as_go_has_them() {
    let Some(go) = GoLister::build() else { return };
    const MAX: usize = 1 << 20;
    let sizes = [MAX - 1, MAX, MAX + 1];
    let mut archives: Vec<Vec<u8>> = Vec::new();
    archives.extend(sizes.map(mutate::with_long_name));
    archives.extend(sizes.map(mutate::with_pax_header));
    archives.extend([2046, 2047, 2048].map(mutate::with_gnu_map_blocks));
    archives.extend([2047, 2048, 2049].map(mutate::with_pax_map_blocks));
    let failed: Vec<bool> = archives
        .iter()
        .zip(list_with_go(&go, &archives))
        .enumerate()
        .map(|(number, (archive, go))| {
            let ours = list("", &archive[..], limits_of_go());
            assert!(ours.agrees_with(&go), "{}", report(number as u64, archive, &ours, &go));
            ours.failed
        })
        .collect();
    assert_eq!(failed, [false, false, true].repeat(4));
}

/// What the archives were like, to see that they are neither all sound nor all broken.
#[derive(Debug, Default)]
struct Tally {
    whole: u64,
    failed: u64,
    entries: u64,
    errors: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, listing: &Listing) {
        self.whole += u64::from(!listing.failed);
        self.failed += u64::from(listing.failed);
        self.entries += listing.count as u64;
        if listing.failed {
            // What is said after the place: the problem, without the numbers.
            let problem = listing.error.rsplit(": ").next().unwrap_or_default();
            let problem = problem.split(|letter: char| letter.is_ascii_digit()).next().unwrap_or_default();
            *self.errors.entry(problem.to_owned()).or_default() += 1;
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn list_with_go(go: &GoLister, archives: &[Vec<u8>]) -> Vec<Listing> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), archives.concat()).unwrap();
    let mut offset = 0;
    let lines = archives.iter().map(|archive| {
        let line = format!("{}\t{offset}\t{}", file.path().display(), archive.len());
        offset += archive.len();
        line
    });
    go.list(&lines.collect::<Vec<_>>())
}

/// Keeps the archive for whoever has to find out.
fn report(number: u64, archive: &[u8], ours: &Listing, go: &Listing) -> String {
    let path = std::env::temp_dir().join(format!("tar_differential_{number}.tar"));
    std::fs::write(&path, archive).unwrap();
    format!("mutation {number}, kept as {}\nours {ours:#?}\ngo {go:#?}", path.display())
}
