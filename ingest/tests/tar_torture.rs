//! Holds the tar reader to Go on archives that were made, or found, to be misread.
//!
//! `torture/` is our own set with a frozen listing by Go (`torture/go_listing.jsonl`); where Go is installed
//! the listing itself is checked as well. `LAYERPRINT_FREEZE=1` writes it anew. The larger set of archives
//! from other projects lies outside of the project.

use crate::tar_support;

use std::path::{Path, PathBuf};

use crate::tar_support::decompress::decompress;
use crate::tar_support::{GoLister, Listing, list, shared};
use layerprint_ingest::tar::TarLimits;
use serde_json::{Value, json};

/// Where this reader stops and Go does not: the archive, the limit that stops it, and why that is right.
const DEVIATIONS: &[(&str, &str, &str)] = &[
    ("s01_sparse_hole_1TiB.tar", "file_bytes_max", "hashing a tebibyte of zeros takes a quarter of an hour"),
    ("s02_pax10_sparse_1TiB.tar", "file_bytes_max", "the same hole in the other format"),
    ("astral-tokio-tar/sparse-large.tar", "sparse_ratio_max", "12 GB that are stored as 1664 bytes"),
    ("tar-rs/sparse-large.tar", "sparse_ratio_max", "12 GB that are stored as 1664 bytes"),
    ("go-archive-tar/gnu-sparse-big.tar", "sparse_ratio_max", "60 GB that are stored as 3072 bytes"),
    ("go-archive-tar/pax-sparse-big.tar", "sparse_ratio_max", "60 GB that are stored as 3072 bytes"),
];

#[test]
fn every_archive_of_ours_reads_as_go_read_it() {
    let frozen = frozen_listings();
    let mut differences = Vec::new();
    for (path, go) in own_archives().iter().zip(&frozen) {
        assert_eq!(file_name(path), go.file);
        differences.extend(compare(&go.file, &plain(path), go));
    }
    assert_eq!(own_archives().len(), frozen.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn the_frozen_listing_is_what_the_installed_go_reads() {
    let Some(go) = GoLister::build() else { return };
    let listings = list_with_go(&go, &own_archives());
    if std::env::var_os("LAYERPRINT_FREEZE").is_some() {
        let lines = listings.iter().map(|listing| serde_json::to_string(listing).unwrap() + "\n");
        std::fs::write(own_folder().join("go_listing.jsonl"), lines.collect::<String>()).unwrap();
    }
    for (frozen, current) in frozen_listings().iter().zip(&listings) {
        assert!(frozen.agrees_with(current), "{}", frozen.file);
    }
}

#[test]
fn every_archive_of_other_projects_reads_as_go_reads_it() {
    let Some(folder) = shared("torture") else { return };
    let Some(go) = GoLister::build() else { return };
    let index = index_of(&folder);
    let paths: Vec<PathBuf> = index.iter().map(|(file, _)| folder.join(file)).collect();
    let mut differences = Vec::new();
    for (((file, _), path), listing) in index.iter().zip(&paths).zip(list_with_go(&go, &paths)) {
        differences.extend(compare(file, &plain(path), &listing));
    }
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn what_no_reader_could_read_is_an_error_here_too() {
    let Some(folder) = shared("torture") else { return };
    let mut accepted = Vec::new();
    for (file, _) in index_of(&folder).iter().filter(|(_, class)| class == "ALL_ERROR") {
        let (archive, is_whole) = decompress(&std::fs::read(folder.join(file)).unwrap());
        if is_whole && !list(file, &archive[..], TarLimits::default()).failed {
            accepted.push(file.clone());
        }
    }
    // The readers of that list stopped at 64 MiB; these two are sound beyond.
    let sound = ["synthetic/z11_bomb_64MiB.tar.gz", "synthetic/z25_zstd_bomb_64MiB.tar.zst"];
    assert_eq!(accepted, sound);
}

/// Needs no Go: the larger set comes with what Go 1.19 read in it.
#[test]
fn every_archive_of_other_projects_reads_as_go_1_19_read_it() {
    let Some(folder) = shared("torture") else { return };
    let expected = std::fs::read_to_string(folder.join("expected.jsonl")).unwrap();
    let mut compared = 0;
    let mut differences = Vec::new();
    for row in expected.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let file = row["file"].as_str().unwrap();
        let archive = plain(&folder.join(file));
        // Some rows are cut, or were made from what another program could decompress, or stop at our limits.
        let is_cut = row["go"]["n_entries"] != row["go"]["e"].as_array().map_or(0, Vec::len)
            || row["go"].to_string().contains("…[cut");
        let is_same = row["plain_size"] == archive.len() && row["go"]["err"] != "cap";
        if !is_same || is_cut || DEVIATIONS.iter().any(|(name, ..)| file.ends_with(name)) {
            continue;
        }
        compared += 1;
        differences.extend(compare_with_row(file, &archive, &row["go"]));
    }
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
    assert!(compared > 480, "{compared}");
}

fn compare_with_row(file: &str, archive: &[u8], go: &Value) -> Option<String> {
    let ours = list(file, archive, TarLimits::default());
    let theirs: Vec<Value> = go["e"].as_array().unwrap().iter().filter_map(listed_in_row).collect();
    let entries = ours.entries.iter();
    let entries: Vec<Value> =
        entries.map(|entry| json!([entry.name, entry.typeflag, entry.size, entry.mode, entry.uid])).collect();
    let failed = go["err"].is_string();
    (entries != theirs || failed != ours.failed)
        .then(|| format!("{file}:\n  go   {failed} {theirs:?}\n  ours {:?} {entries:?}", ours.error))
}

/// Returns an entry of a row in our form, unless it is a global header. Names there have a letter per byte.
fn listed_in_row(entry: &Value) -> Option<Value> {
    let letters = entry["n"].as_str().unwrap().chars();
    let name: Vec<u8> = letters.map(|letter| u8::try_from(letter).unwrap()).collect();
    let listed = json!([tar_support::escape(&name), entry["t"], entry["s"], entry["m"], entry["u"]]);
    (entry["t"] != "g").then_some(listed)
}

/// Returns the files of the larger set, each with its class: what several readers made of it.
fn index_of(folder: &Path) -> Vec<(String, String)> {
    let index = std::fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let rows = index.lines().skip(1).map(|line| line.split('\t').take(2).map(str::to_owned).collect());
    rows.map(|row: Vec<String>| (row[0].clone(), row[1].clone())).collect()
}

/// Returns what differs, unless it is on the list.
fn compare(file: &str, archive: &[u8], go: &Listing) -> Option<String> {
    let ours = list(file, archive, TarLimits::default());
    let deviation = DEVIATIONS.iter().find(|(name, ..)| file.ends_with(name));
    match deviation {
        Some((_, limit, _)) if ours.failed && ours.error.contains(limit) => None,
        Some((_, limit, _)) => Some(format!("{file}: should be stopped by {limit}, says {:?}", ours.error)),
        None if ours.agrees_with(go) => None,
        None => Some(format!("{file}:\n  go   {}\n  ours {}", summary(go), summary(&ours))),
    }
}

fn summary(listing: &Listing) -> String {
    let last = listing.entries.last().map(|entry| serde_json::to_string(entry).unwrap());
    format!("{} entries, error {:?}, last {}", listing.count, listing.error, last.unwrap_or_default())
}

/// Lists what Go makes of the plain bytes, so that both readers are given the same.
fn list_with_go(go: &GoLister, paths: &[PathBuf]) -> Vec<Listing> {
    let folder = tempfile::tempdir().unwrap();
    let plain_path = |index: usize| folder.path().join(format!("{index}.tar"));
    for (index, path) in paths.iter().enumerate() {
        std::fs::write(plain_path(index), plain(path)).unwrap();
    }
    let lines: Vec<String> = (0..paths.len()).map(|index| plain_path(index).display().to_string()).collect();
    let mut listings = go.list(&lines);
    for (listing, path) in listings.iter_mut().zip(paths) {
        listing.file = file_name(path);
    }
    listings
}

fn plain(path: &Path) -> Vec<u8> {
    decompress(&std::fs::read(path).unwrap()).0
}

fn frozen_listings() -> Vec<Listing> {
    let text = std::fs::read_to_string(own_folder().join("go_listing.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the archives of our own set in the order of their names, which is that of the listing.
fn own_archives() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(own_folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| file_name(path).contains(".tar")).collect();
    paths.sort();
    paths
}

fn own_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture")
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}
