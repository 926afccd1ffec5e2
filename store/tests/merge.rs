//! The merged view against the rules for changesets, case by case, and against a naive second implementation.
//!
//! Layers are written as one entry for each word: `d:path` a directory, `f:path=1` a file with content 1,
//! `l:path>target` a symbolic link, `h:path>target` a hard link out of the layer, `w:path` a whiteout,
//! `o:path` an opaque mark. Views are written the same way.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::{content, entry, file};
use layerprint_store::id::{ContentId, DiffId, SetId};
use layerprint_store::{AnomalyKind, Content, Entry, EntryKind, Fingerprint, MergedView, Stacks};
use proptest::prelude::*;

fn layer(words: &str) -> Fingerprint {
    Fingerprint::from_entries(words.split_whitespace().map(parse).collect())
}

fn parse(word: &str) -> Entry {
    let (kind, rest) = word.split_once(':').unwrap();
    let target = || rest.split_once('>').unwrap();
    match kind {
        "d" => entry(rest, EntryKind::Directory),
        "w" => entry(rest, EntryKind::Whiteout),
        "o" => entry(rest, EntryKind::Opaque),
        "l" => entry(target().0, EntryKind::Symlink(target().1.as_bytes().into())),
        "h" => entry(target().0, EntryKind::HardLink(target().1.as_bytes().into())),
        "f" => {
            let (path, number) = rest.split_once('=').unwrap();
            file(path, number.parse().unwrap())
        }
        _ => panic!("no such kind: {word}"),
    }
}

fn show(view: &MergedView<'_>) -> String {
    let words = view.entries().map(|(path, entry)| {
        let path = String::from_utf8_lossy(path);
        match &entry.kind {
            EntryKind::Directory => format!("d:{path}"),
            EntryKind::Symlink(target) => format!("l:{path}>{}", String::from_utf8_lossy(target)),
            EntryKind::File { content: found, .. } => {
                let number = (0..10).find(|number| content(*number) == *found).unwrap();
                format!("f:{path}={number}")
            }
            other => panic!("{path} is {other:?}"),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn whiteouts_and_replacements_follow_the_rules_for_changesets() {
    // (what it shows, layers from the lowest, the view)
    let cases: &[(&str, &[&str], &str)] = &[
        ("no layer", &[], ""),
        ("one layer", &["d:a f:a/x=1"], "d:a f:a/x=1"),
        ("whiteout of a file", &["d:a f:a/x=1 f:a/y=2", "d:a w:a/x"], "d:a f:a/y=2"),
        ("whiteout of a directory", &["d:a f:a/x=1 d:a/b f:a/b/y=2 f:c=3", "w:a"], "f:c=3"),
        ("whiteout of a directory that no entry names", &["f:a/b/x=1 f:c=3", "w:a"], "f:c=3"),
        (
            "whiteout spares names that only begin alike",
            &["f:a/x=1 f:a-b=2 f:a.b=3 f:ab=4", "w:a"],
            "f:a-b=2 f:a.b=3 f:ab=4",
        ),
        ("whiteout of nothing", &["f:a=1", "w:b w:a/c w:b/d"], "f:a=1"),
        ("whiteout in the bottom layer is no file", &["w:a o:b f:c=1"], "f:c=1"),
        ("whiteout spares its own layer", &["f:a=1", "w:a f:a=2"], "f:a=2"),
        (
            "whiteout of a directory that its layer makes anew",
            &["d:a f:a/x=1 f:a/y=1", "w:a d:a f:a/y=2"],
            "d:a f:a/y=2",
        ),
        (
            "whiteout below what its layer puts",
            &["d:a f:a/x=1 f:a/y=2", "d:a w:a/x f:a/x=3"],
            "d:a f:a/x=3 f:a/y=2",
        ),
        ("whiteout reaches through several layers", &["f:a/x=1", "f:a/y=2", "w:a", "f:a/z=3"], "f:a/z=3"),
        ("whiteout does not reach up", &["f:b=1", "w:a", "f:a=2"], "f:a=2 f:b=1"),
        ("whiteout below a file takes nothing", &["f:a=1", "w:a/b"], "f:a=1"),
        (
            "opaque hides what is below a directory",
            &["d:a f:a/x=1 d:a/b f:a/b/y=2", "d:a o:a f:a/z=3"],
            "d:a f:a/z=3",
        ),
        ("opaque without an entry for its directory", &["d:a f:a/x=1", "o:a"], "d:a"),
        ("opaque spares names that only begin alike", &["f:a/x=1 f:a-b=2 f:ab=4", "o:a"], "f:a-b=2 f:ab=4"),
        ("opaque root", &["d:a f:a/x=1 f:b=2", "o: f:c=3"], "f:c=3"),
        ("opaque root keeps the root", &["d: f:b=2", "o:"], "d:"),
        ("opaque and whiteout at one path", &["d:a f:a/x=1", "w:a o:a d:a f:a/y=2"], "d:a f:a/y=2"),
        ("whiteout of the root means nothing", &["f:a=1", "w:"], "f:a=1"),
        ("the root stays a directory", &["f:a=1", "l:>etc"], "f:a=1"),
        ("directory over directory keeps children", &["d:a f:a/x=1", "d:a f:a/y=2"], "d:a f:a/x=1 f:a/y=2"),
        (
            "file over directory takes the subtree",
            &["d:a f:a/x=1 d:a/b f:a/b/y=2 f:a-b=3", "f:a=4"],
            "f:a=4 f:a-b=3",
        ),
        ("file over a directory that no entry names", &["f:a/b/y=2", "f:a=4"], "f:a=4"),
        (
            "symlink over directory takes the subtree",
            &["d:bin f:bin/sh=1", "l:bin>usr/bin f:usr/bin/sh=1"],
            "l:bin>usr/bin f:usr/bin/sh=1",
        ),
        ("directory over file", &["f:a=1", "d:a f:a/x=2"], "d:a f:a/x=2"),
        ("directory over symlink", &["l:a>b d:b f:b/x=1", "d:a f:a/y=2"], "d:a f:a/y=2 d:b f:b/x=1"),
        (
            "file below a symlink replaces it",
            &["l:bin>usr/bin d:usr/bin f:usr/bin/sh=1", "f:bin/foo=2"],
            "f:bin/foo=2 d:usr/bin f:usr/bin/sh=1",
        ),
        ("file far below a file replaces it", &["f:a=1 f:b=2", "f:a/b/c/d=3"], "f:a/b/c/d=3 f:b=2"),
        ("file and something below it in one layer", &["f:a=1 f:a-b=2 f:a/x=3"], "f:a-b=2 f:a/x=3"),
        ("file and something below it, over a directory", &["d:a/b f:a/x=1", "f:a=2 d:a/b/c"], "d:a/b/c"),
        ("hard link to a file below", &["f:a=1", "h:b>a"], "f:a=1 f:b=1"),
        ("hard link to a symlink below", &["l:a>x", "h:b>a"], "l:a>x l:b>x"),
        ("hard link to a file that its layer removes", &["f:a=1", "w:a h:b>a"], "f:b=1"),
        ("hard link to what its layer puts, not to what is below", &["f:a=1", "l:a>x h:b>a"], "l:a>x l:b>x"),
        ("hard link to itself below", &["f:a=1", "h:a>a"], "f:a=1"),
        ("hard link over a directory", &["d:a f:a/x=1 f:b=2", "h:a>b"], "f:a=2 f:b=2"),
        ("hard link of a hard link", &["f:a=1", "h:b>a h:c>b"], "f:a=1 f:b=1 f:c=1"),
        ("hard link in a third layer", &["f:a=1", "h:b>a", "w:a h:c>b"], "f:b=1 f:c=1"),
        (
            "hard link through a symlink is not followed",
            &["l:bin>usr f:usr/sh=1", "h:x>bin/sh"],
            "l:bin>usr f:usr/sh=1",
        ),
        ("hard link to a directory is dangling", &["d:a", "h:b>a"], "d:a"),
        ("hard link to nothing takes the place all the same", &["f:a=1", "h:a>nothing"], ""),
        ("hard links in a circle", &["f:c=1", "h:a>b h:b>a"], "f:c=1"),
    ];
    for (what, layers, expected) in cases {
        let layers: Vec<Fingerprint> = layers.iter().map(|words| layer(words)).collect();
        assert_eq!(show(&MergedView::of(&layers)), *expected, "{what}");
        assert_eq!(naive(&layers).0, listing(&MergedView::of(&layers)), "{what}, naively");
    }
}

#[test]
fn dangling_hard_links_are_counted() {
    let layers = [layer("f:a=1 h:x>nothing"), layer("h:b>a h:c>nothing h:d>c")];
    let view = MergedView::of(&layers);
    assert_eq!(view.anomalies().counts()[&AnomalyKind::DanglingHardLink], 3);
    let details: Vec<&str> = view.anomalies().examples().iter().map(|anomaly| &anomaly.detail[..]).collect();
    assert_eq!(details, ["x", "c", "d"]);
}

#[test]
fn the_upper_directory_gives_the_mode() {
    let mut private = parse("d:a");
    private.mode = 0o700;
    let layers = [layer("d:a f:a/x=1"), Fingerprint::from_entries(vec![private])];
    assert_eq!(MergedView::of(&layers).get(b"a").unwrap().mode, 0o700);
}

#[test]
fn contents_are_distinct_sorted_and_never_empty() {
    let empty = Content { id: ContentId::EMPTY, size_bytes: 0 };
    let nothing = entry("e", EntryKind::File { content: empty, linked: false });
    let layers =
        [layer("f:a=1 f:b=2 f:c=1 f:gone=3"), layer("w:gone"), Fingerprint::from_entries(vec![nothing])];
    let view = MergedView::of(&layers);
    let mut expected = [content(1), content(2)];
    expected.sort_unstable();
    assert_eq!(view.contents(), expected);
    assert_eq!(view.set_id(), SetId::of_sorted(expected.iter().map(|content| &content.id)));
    assert_eq!((view.file_count(), view.get(b"gone"), view.get(b"zzz")), (4, None, None));
    assert_eq!(MergedView::new().set_id(), SetId::of_sorted([]));
}

/// What stands where, in a form that two implementations can agree on.
type Listing = Vec<(Vec<u8>, u32, EntryKind)>;

fn listing(view: &MergedView<'_>) -> Listing {
    view.entries().map(|(path, entry)| (path.to_vec(), entry.mode, entry.kind.clone())).collect()
}

/// The rules, taken one at a time and without any thought of speed; and how many hard links dangle.
fn naive(layers: &[Fingerprint]) -> (Listing, u64) {
    let (mut view, mut dangling) = (BTreeMap::<Vec<u8>, Entry>::new(), 0);
    for layer in layers {
        let below = view.clone();
        for entry in layer.entries() {
            let inside = [&entry.path[..], if entry.path.is_empty() { b"" } else { b"/" }].concat();
            let is_below = |path: &[u8]| path.starts_with(&inside) && !path.is_empty();
            match entry.kind {
                EntryKind::Whiteout if !entry.path.is_empty() => {
                    view.retain(|path, _| path[..] != *entry.path && !is_below(path));
                }
                EntryKind::Opaque => view.retain(|path, _| !is_below(path)),
                _ => {}
            }
        }
        for entry in layer.entries() {
            let directory = matches!(entry.kind, EntryKind::Directory);
            let mark = matches!(entry.kind, EntryKind::Whiteout | EntryKind::Opaque);
            if mark || entry.path.is_empty() && !directory {
                continue;
            }
            view.retain(|path, other| {
                let above = entry.path.starts_with(&[&path[..], b"/"].concat()) && !path.is_empty();
                let below = path.starts_with(&[&entry.path[..], b"/"].concat());
                let in_the_way = above && !matches!(other.kind, EntryKind::Directory);
                let replaced = below && !directory;
                !in_the_way && !replaced
            });
            view.remove(&entry.path[..]);
            match naive_inode(entry, layer, &below, 0) {
                Some(inode) => _ = view.insert(entry.path.to_vec(), inode.clone()),
                None => dangling += 1,
            }
        }
    }
    (view.into_iter().map(|(path, entry)| (path, entry.mode, entry.kind)).collect(), dangling)
}

fn naive_inode<'a>(
    entry: &'a Entry,
    layer: &'a Fingerprint,
    below: &'a BTreeMap<Vec<u8>, Entry>,
    hops: u32,
) -> Option<&'a Entry> {
    let EntryKind::HardLink(target) = &entry.kind else { return Some(entry) };
    let mark = |kind: &EntryKind| matches!(kind, EntryKind::Whiteout | EntryKind::Opaque);
    let own = layer.entries().iter().find(|own| own.path == *target && !mark(&own.kind));
    let found = match own.filter(|own| own.path != entry.path) {
        Some(own) if hops < 30 => naive_inode(own, layer, below, hops + 1),
        Some(_) => None,
        None => below.get(&target[..]),
    };
    found.filter(|found| !matches!(found.kind, EntryKind::Directory))
}

fn any_path() -> impl Strategy<Value = String> {
    // Names on both sides of the slash in byte order, and few enough to collide.
    let name = prop::sample::select(vec!["a", "b", "a!", "a-", "a0", "ab"]);
    prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let kind = prop_oneof![
        3 => Just(EntryKind::Whiteout),
        1 => Just(EntryKind::Opaque),
        4 => Just(EntryKind::Directory),
        6 => (0..6_u64).prop_map(|number| EntryKind::File { content: content(number), linked: false }),
        2 => any_path().prop_map(|target| EntryKind::Symlink(target.into_bytes().into())),
        3 => any_path().prop_map(|target| EntryKind::HardLink(target.into_bytes().into())),
        1 => Just(EntryKind::Fifo),
    ];
    let path = prop_oneof![20 => any_path(), 1 => Just(String::new())];
    (path, kind, 0..4_u32).prop_map(|(path, kind, mode)| Entry { mode, ..entry(&path, kind) })
}

fn any_layers() -> impl Strategy<Value = Vec<Fingerprint>> {
    let layer = prop::collection::vec(any_entry(), 0..25).prop_map(Fingerprint::from_entries);
    prop::collection::vec(layer, 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn both_implementations_agree(layers in any_layers()) {
        let view = MergedView::of(&layers);
        let dangling = view.anomalies().counts().get(&AnomalyKind::DanglingHardLink).copied().unwrap_or(0);
        prop_assert_eq!((listing(&view), dangling), naive(&layers));
    }

    #[test]
    fn a_squashed_stack_looks_like_the_stack(layers in any_layers()) {
        for below in 0..layers.len() {
            let view = MergedView::of(&layers);
            let squashed = MergedView::of(&layers[..below]).to_fingerprint();
            let again = MergedView::of(std::iter::once(&squashed).chain(&layers[below..]));
            prop_assert_eq!(listing(&again), listing(&view));
            prop_assert_eq!(again.set_id(), view.set_id());
        }
    }

    #[test]
    fn a_stack_that_is_remembered_in_part_looks_like_one_that_is_not(
        pool in any_layers(),
        images in prop::collection::vec(prop::collection::vec(0..5_usize, 0..5), 0..12),
        entries_max in prop::sample::select(vec![0, 40, 1_000_000]),
    ) {
        let (stacks, layers) = (Stacks::new(entries_max), pool.into_iter().map(Arc::new).collect::<Vec<_>>());
        for image in images {
            let image: Vec<usize> = image.into_iter().filter(|layer| *layer < layers.len()).collect();
            let names: Vec<DiffId> = image.iter().map(|layer| DiffId::from_bytes([u8::try_from(*layer).unwrap(); 32])).collect();
            let read = |name: &DiffId| Ok::<_, ()>(layers[usize::from(name.as_bytes()[0])].clone());
            let stack = stacks.look(&names, read).unwrap();
            let view = MergedView::of(image.iter().map(|layer| &*layers[*layer]));
            prop_assert_eq!(&stack.contents, &view.contents());
            prop_assert_eq!(stack.file_count, view.file_count());
            prop_assert_eq!(&stack.anomalies, view.anomalies());
        }
    }

    #[test]
    fn nothing_lies_below_what_is_no_directory(layers in any_layers()) {
        let view = MergedView::of(&layers);
        for (path, _) in view.entries() {
            for (slash, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                let above = view.get(&path[..slash]);
                prop_assert!(above.is_none_or(|entry| matches!(entry.kind, EntryKind::Directory)));
            }
        }
    }
}

#[test]
fn a_walk_finds_what_a_look_up_finds_in_any_order() {
    let paths: Vec<String> = (0..40).map(|number| format!("d{}/f{number:02}", number % 5)).collect();
    let layer = Fingerprint::from_entries(paths.iter().map(|path| file(path, 1)).collect());
    let view = MergedView::of([&layer]);
    let asked = ["d0/f00", "d4/f39", "a", "d2/f22", "d2/f22", "z", "d1/f06", "d1/f07", "", "d4/f34"];
    let mut walk = view.walk();
    for path in asked {
        assert_eq!(walk.get(path.as_bytes()), view.get(path.as_bytes()), "{path}");
    }
    assert_eq!(MergedView::default().walk().get(b"a"), None);
}
