//! Folders that reports and exports are written to, in which somebody else has put something beforehand.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};

use crate::support::{Ran, World, fleet};

/// Somebody else.
const OTHER: u32 = 12_345;

const STOPPED: [&str; 7] = ["report", "--format", "jsonl", "-o", "fleet.jsonl", "-o", "/dev/full"];
const RESUMED: [&str; 4] = ["report", "-o", "fleet.jsonl", "--resume"];
const SPOOL: &str = ".fleet.jsonl.rows";

/// A fleet whose report was stopped when all rows were made, and the rows.
fn stopped() -> (World, Vec<u8>) {
    let world = fleet();
    assert_eq!(world.run(&STOPPED).status, 2);
    let rows = fs::read(world.path(SPOOL)).unwrap();
    (world, rows)
}

#[test]
fn rows_wait_in_a_file_that_no_other_user_may_read() {
    let (world, _) = stopped();
    assert_eq!(fs::metadata(world.path(SPOOL)).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn rows_are_not_written_through_a_link() {
    for args in [&RESUMED[..3], &RESUMED[..]] {
        let world = fleet();
        fs::write(world.path("precious"), "as before").unwrap();
        symlink("precious", world.path(SPOOL)).unwrap();
        let expected = format!(
            "error: {SPOOL}: is a symbolic link, and is left as it is\n\
             hint: find out who put it there; remove it, or write to a folder of your own\n"
        );
        let Ran { status, stderr, .. } = world.run(args);
        assert_eq!((status, stderr), (2, expected));
        assert_eq!(fs::read_to_string(world.path("precious")).unwrap(), "as before");
        assert!(!world.path("fleet.jsonl").exists());
    }
}

#[test]
fn rows_that_are_not_as_they_were_written_are_made_again() {
    let (world, rows) = stopped();
    let expected = world.run(&["report", "--json"]).stdout;
    let lines: Vec<&[u8]> = rows.split_inclusive(|byte| *byte == b'\n').collect();
    let (header, rest) = lines.split_first().unwrap();
    let joined = |lines: &[&[u8]]| [&[*header], lines].concat().concat();
    let changed = String::from_utf8(rows.clone()).unwrap().replace("linux/amd64", "linux/arm64");
    let mut swapped = rest.to_vec();
    swapped.swap(2, 3);
    // Rows of another store, which has the same images.
    let (_other, foreign) = stopped();
    let cases: [(&str, Vec<u8>); 8] = [
        ("as they were", rows.clone()),
        ("a field of all of them is changed", changed.into_bytes()),
        ("two are swapped", joined(&swapped)),
        ("the first is cut out", joined(&rest[1..])),
        ("one is there twice", joined(&[rest, &rest[..1]].concat())),
        ("without a header", rest.concat()),
        ("of another store", foreign),
        ("nothing but zeros", vec![0; 1 << 16]),
    ];
    let mut kept = Vec::new();
    for (what, bytes) in cases {
        fs::write(world.path(SPOOL), bytes).unwrap();
        let resumed = world.run(&RESUMED);
        assert_eq!(resumed.status, 0, "{what}: {}", resumed.stderr);
        assert_eq!(fs::read_to_string(world.path("fleet.jsonl")).unwrap(), expected, "{what}");
        assert!(!world.path(SPOOL).exists());
        let count = resumed.stderr.trim_start_matches("asked before: ").split(' ').next().unwrap();
        kept.push((what, count.parse::<usize>().unwrap()));
    }
    let none = |what| (what, 0);
    let whole = rest.len();
    assert_eq!(
        kept,
        [
            ("as they were", whole),
            none("a field of all of them is changed"),
            ("two are swapped", whole - 2),
            none("the first is cut out"),
            ("one is there twice", whole),
            none("without a header"),
            none("of another store"),
            none("nothing but zeros"),
        ]
    );
}

#[test]
fn a_link_that_the_user_made_leads_to_the_file_that_is_written() {
    let world = fleet();
    fs::create_dir(world.path("kept")).unwrap();
    symlink("kept/fleet.csv", world.path("link.csv")).unwrap();
    symlink("link.csv", world.path("further.csv")).unwrap();
    symlink("ring.csv", world.path("ring.csv")).unwrap();
    for _ in ["what it leads to is not there", "what it leads to is there"] {
        assert_eq!(world.run(&["report", "-o", "further.csv"]).status, 0);
        for link in ["link.csv", "further.csv"] {
            assert!(fs::symlink_metadata(world.path(link)).unwrap().is_symlink());
        }
        assert!(fs::read_to_string(world.path("kept/fleet.csv")).unwrap().starts_with("image,id,"));
    }
    let ring = world.run(&["report", "-o", "ring.csv"]);
    let expected = "error: ring.csv: cannot be written: Too many levels of symbolic links (os error 40)\n";
    assert_eq!((ring.status, ring.stderr.as_str()), (2, expected));
}

#[test]
fn a_link_that_another_user_put_into_a_folder_for_all_is_not_followed() {
    let world = fleet();
    fs::create_dir(world.path("all")).unwrap();
    fs::set_permissions(world.path("all"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::write(world.path("precious"), "as before").unwrap();
    for name in ["all/a.csv", "all/a.lpx"] {
        symlink("../precious", world.path(name)).unwrap();
        if lchown(world.path(name), Some(OTHER), None).is_err() {
            eprintln!(
                "skipped: a_link_that_another_user_put_into_a_folder_for_all_is_not_followed: only root may give links away"
            );
            return;
        }
    }
    symlink("all/a.csv", world.path("mine.csv")).unwrap();
    for (args, named, planted) in [
        (&["report", "-o", "all/a.csv"][..], "all/a.csv", "all/a.csv"),
        (&["report", "-o", "mine.csv"], "mine.csv", "all/a.csv"),
        (&["export", "all/a.lpx"], "all/a.lpx", "all/a.lpx"),
    ] {
        let planted = world.folder.path().canonicalize().unwrap().join(planted);
        let expected = format!(
            "error: {named}: {} is a link, pipe or device that another user has put into a folder for all\n\
             hint: name a file in a folder of your own\n",
            planted.display()
        );
        let Ran { status, stderr, .. } = world.run(args);
        assert_eq!((status, stderr), (2, expected), "{args:?}");
        assert_eq!(fs::read_to_string(world.path("precious")).unwrap(), "as before");
    }
    // A link of one's own is followed there, too.
    symlink("../precious", world.path("all/mine.csv")).unwrap();
    assert_eq!(world.run(&["report", "-o", "all/mine.csv"]).status, 0);
    assert!(fs::read_to_string(world.path("precious")).unwrap().starts_with("image,id,"));
}
