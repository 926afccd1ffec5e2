//! What must hold for any layers: how they are cut, squashed and ordered makes no difference.

use std::collections::BTreeSet;

use crate::support::{Crumbs, layer, merged, read, rows};
use layerprint_ingest::Limits;
use layerprint_ingest::layer::{Promise, read_layer};
use layerprint_ingest::write::{Compression, Image, Layer, Options, oci_layout};
use layerprint_store::{Fingerprint, MergedView};
use proptest::collection::vec;
use proptest::prelude::*;

/// So many times the same byte: short to print, and around the size of a block.
type Contents = (usize, u8);

/// An entry to be: where, and what.
#[derive(Debug, Clone)]
enum Step {
    File(String, Contents),
    Dir(String),
    Symlink(String, String),
    HardLink(String, String),
    Whiteout(String),
    Opaque(String),
}

impl Step {
    fn add(&self, layer: Layer) -> Layer {
        match self {
            Self::File(path, (size_bytes, byte)) => layer.file(path, vec![*byte; *size_bytes]),
            Self::Dir(path) => layer.dir(path),
            Self::Symlink(path, target) => layer.symlink(path, target),
            Self::HardLink(path, target) => layer.hard_link(path, target),
            Self::Whiteout(path) => layer.whiteout(path),
            Self::Opaque(path) => layer.opaque(path),
        }
    }

    fn path(&self) -> (&str, bool) {
        match self {
            Self::Whiteout(path) | Self::Opaque(path) => (path, true),
            Self::File(path, _) | Self::Dir(path) | Self::Symlink(path, _) | Self::HardLink(path, _) => {
                (path, false)
            }
        }
    }

    /// Returns true if the other puts something that is no directory above this.
    fn is_under(&self, other: &Self) -> bool {
        let passable = matches!(other, Self::Dir(_) | Self::Opaque(_) | Self::Whiteout(_));
        !passable && self.path().0.starts_with(&format!("{}/", other.path().0))
    }
}

/// Few names, so that layers meet: files in folders that may also be files.
fn path() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]", "[ab]/[cd]", "[ab]/[cd]/[ef]", "dir/[a-h]"]
}

fn contents() -> impl Strategy<Value = Contents> {
    let size = prop::sample::select(vec![0, 1, 2, 511, 512, 513, 3000]);
    (size, any::<u8>())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (path(), contents()).prop_map(|(path, contents)| Step::File(path, contents)),
        2 => path().prop_map(Step::Dir),
        1 => (path(), path()).prop_map(|(path, target)| Step::Symlink(path, target)),
        1 => (path(), path()).prop_map(|(path, target)| Step::HardLink(path, target)),
        1 => path().prop_map(Step::Whiteout),
        1 => path().prop_map(Step::Opaque),
    ]
}

fn tar_of<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Layer {
    steps.into_iter().fold(Layer::new(), |layer, step| step.add(layer))
}

fn compression() -> impl Strategy<Value = Compression> {
    prop::sample::select(Compression::ALL.to_vec())
}

/// Keeps of every path what comes first, so that there is no last one to win.
fn without_duplicates(steps: Vec<Step>) -> Vec<Step> {
    let mut seen = BTreeSet::new();
    let mut kept = steps;
    kept.retain(|step| {
        let (path, mark) = step.path();
        seen.insert((path.to_owned(), mark))
    });
    kept
}

/// Keeps what is below no file of the same layer: there it matters which of the two comes last.
fn without_conflicts(steps: Vec<Step>) -> Vec<Step> {
    let is_clear = |step: &&Step| !steps.iter().any(|other| step.is_under(other));
    steps.iter().filter(is_clear).cloned().collect()
}

/// Keeps what a container could unpack: nothing below what is no directory, links only to files that are there.
fn unpackable(steps: Vec<Step>) -> Vec<Step> {
    let mut kept: Vec<Step> = Vec::new();
    for step in without_duplicates(steps) {
        let is_file =
            |target: &str| kept.iter().any(|step| matches!(step, Step::File(path, _) if path == target));
        // A link takes the place of what is at its path, and with it of what it was to lead to.
        let dangles = matches!(&step, Step::HardLink(path, target)
            if !is_file(target) || target.starts_with(&format!("{path}/")));
        if !dangles && !kept.iter().any(|other| step.is_under(other)) {
            kept.push(step);
        }
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_reads_gives_the_same_layer(
        steps in vec(step(), 0..12),
        compression in compression(),
        sizes in vec(1_usize..2000, 1..6),
    ) {
        let stored = compression.compress(&tar_of(&steps).to_tar().unwrap());
        let whole = layer(&stored).unwrap();
        let crumbs = Crumbs::new(&stored, &sizes);
        let pieces = read_layer(crumbs, &Promise::default(), &Limits::default(), &|_| ()).unwrap();
        prop_assert_eq!(&pieces.record, &whole.record);
        prop_assert_eq!(&pieces.fingerprint, &whole.fingerprint);
        prop_assert_eq!(pieces.digest, whole.digest);
    }

    #[test]
    fn the_order_of_entries_makes_no_difference(
        (steps, shuffled) in vec(step(), 0..12).prop_map(without_duplicates).prop_map(without_conflicts)
            .prop_flat_map(|steps| (Just(steps.clone()), Just(steps).prop_shuffle())),
    ) {
        let sorted = layer(tar_of(&steps).to_tar().unwrap()).unwrap();
        let other = layer(tar_of(&shuffled).to_tar().unwrap()).unwrap();
        prop_assert_eq!(rows(&sorted.fingerprint), rows(&other.fingerprint));
    }

    #[test]
    fn squashing_layers_changes_no_file(layers in vec(vec(step(), 0..8).prop_map(unpackable), 1..4)) {
        let image = layers.iter().fold(Image::new("app:1"), |image, steps| image.layer(tar_of(steps)));
        let folder = tempfile::tempdir().unwrap();
        let (whole, squashed) = (folder.path().join("whole"), folder.path().join("squashed"));
        oci_layout(std::slice::from_ref(&image), &whole, &Options::default()).unwrap();
        oci_layout(&[image.squashed().unwrap()], &squashed, &Options::default()).unwrap();
        let whole = read(whole.to_str().unwrap()).image();
        let squashed = read(squashed.to_str().unwrap()).image();
        prop_assert_eq!(merged(&whole), merged(&squashed));
        prop_assert_eq!(whole.record.set_id, squashed.record.set_id);
        // The view of what the view becomes as one layer is the same view again.
        let view = MergedView::of(whole.layers.iter().map(|layer| &**layer));
        let one: Fingerprint = view.to_fingerprint();
        let again = MergedView::of([&one]).to_fingerprint();
        prop_assert_eq!(rows(&again), rows(&one));
    }

    #[test]
    fn bytes_that_are_anything_never_panic(bytes in vec(any::<u8>(), 0..3000), compression in compression()) {
        let _ = layer(&bytes);
        let _ = layer(compression.compress(&bytes));
    }
}
