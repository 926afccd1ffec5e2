//! What is said of all stored images at once.

use std::fs;

use crate::support::{Ran, World, base, files, lines, other};
use layerprint_ingest::write::Image;
use serde_json::{Value, json};

const FORMATS: [&str; 3] = ["text", "jsonl", "csv"];

/// A base of which there are two releases and a slim one, with applications on them.
fn release(version: &str, created: &str) -> Image {
    let name = format!("corp/base:{version}");
    let own = files(&format!("usr/share/{version}"), 10);
    base().named(&name).layer(own).created(created).squashed().unwrap()
}

fn images() -> Vec<Image> {
    let old = release("1.0", "2025-01-01T00:00:00Z");
    let new = release("1.1", "2025-06-01T00:00:00Z");
    let slim = release("1.2-slim", "2025-07-01T00:00:00Z");
    let on = |base: &Image, name: &str| {
        base.clone().named(name).layer(files(&format!("srv/{name}"), 3)).created("2025-08-01T00:00:00Z")
    };
    let squashed = on(&old, "shop").named("shop:squashed").squashed().unwrap();
    let paying = on(&new, "shop:2").label("team", "payments").label("tier", "");
    let tool = on(&slim, "tool:1").label("team", "tools");
    vec![on(&old, "shop:1"), squashed, paying, tool, old, new, slim, other()]
}

fn fleet() -> World {
    let world = World::new();
    world.save("fleet.tar", &images());
    let ingested = world.command(&["ingest", "fleet.tar"]).env("SOURCE_DATE_EPOCH", "1767225600").output();
    assert!(ingested.unwrap().status.success());
    world
}

fn good(world: &World, args: &[&str]) -> String {
    let Ran { status, stdout, stderr } = world.run(args);
    assert_eq!((status, stderr.as_str()), (0, ""), "{args:?}");
    stdout
}

#[test]
fn a_report_says_what_find_says_of_every_image_and_more() {
    let world = fleet();
    let rows = lines(&good(&world, &["report", "--json"]));
    assert_eq!(rows.len(), 8);
    for row in &rows {
        let image = row["image"]["id"].as_str().unwrap();
        let found = world.json(&["find", "--json", image]).remove(0);
        for (field, value) in found.as_object().unwrap() {
            // Each names the image as it was asked.
            if field != "source" {
                assert_eq!(&row[field], value, "{field} of {}", row["source"]);
            }
        }
        let sum = |field: &str| {
            row["made_of"].as_array().unwrap().iter().map(|part| part[field].as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!(
            (&json!(sum("contents")), &json!(sum("bytes"))),
            (&row["image"]["contents"], &row["image"]["content_bytes"])
        );
    }
    let told = |row: &Value| {
        let kinds =
            row["made_of"].as_array().unwrap().iter().map(|part| part["kind"].clone()).collect::<Vec<_>>();
        let rules = row["remarks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|remark| remark["rule"].clone())
            .collect::<Vec<_>>();
        json!([
            row["source"],
            row["verdict"],
            row["base"]["names"],
            row["family"],
            row["freshness"]["newer"],
            row["children"],
            kinds,
            rules
        ])
    };
    let expected = json!([
        [
            "corp/base:1.0",
            "family",
            ["corp/base:1.1", "corp/base:1.2-slim"],
            "corp/base",
            null,
            2,
            ["new"],
            []
        ],
        [
            "corp/base:1.1",
            "family",
            ["corp/base:1.0", "corp/base:1.2-slim"],
            "corp/base",
            null,
            1,
            ["new"],
            []
        ],
        [
            "corp/base:1.2-slim",
            "family",
            ["corp/base:1.0", "corp/base:1.1"],
            "corp/base",
            null,
            1,
            ["new"],
            []
        ],
        ["other:1", "none", null, null, null, 0, ["new"], ["base-unknown"]],
        ["shop:1", "base", ["corp/base:1.0"], "corp/base", 1, 0, ["base", "new"], ["base-outdated"]],
        ["shop:2", "base", ["corp/base:1.1"], "corp/base", 0, 0, ["base", "new"], []],
        ["shop:squashed", "base", ["corp/base:1.0"], "corp/base", 1, 0, ["base", "new"], ["base-outdated"]],
        ["tool:1", "base", ["corp/base:1.2-slim"], "corp/base", 0, 0, ["base", "new"], []],
    ]);
    assert_eq!(Value::Array(rows.iter().map(told).collect()), expected);
}

#[test]
fn a_report_for_people_has_sums_first_and_then_what_to_look_at() {
    let world = fleet();
    let expected = "\
8 images, 3.55 MiB, as of 2026-01-01

ANSWER                            IMAGES   SHARE
base, by layers                        3  37.5 %
base, by content                       1  12.5 %
none; others are built on it           3  37.5 %
none known                             1  12.5 %
bytes in no named image       214.77 KiB   9.9 %
half of the images with a base have one that is 365 days old or older

FAMILY OF THE BASE  IMAGES   SHARE  OUTDATED      SIZE
corp/base                4  50.0 %         2  2.02 MiB

BASE                IMAGES   SHARE  OUTDATED        SIZE
corp/base:1.0            2  25.0 %         2    1.01 MiB
corp/base:1.1            1  12.5 %         0  517.53 KiB
corp/base:1.2-slim       1  12.5 %         0  517.45 KiB

base-unknown  1 image
  other:1  no other stored image shares enough with it

base-outdated  2 images
  shop:1  1 newer image than corp/base:1.0 is stored, the last is corp/base:1.1 of 2025-06-01
  shop:squashed  1 newer image than corp/base:1.0 is stored, the last is corp/base:1.1 of 2025-06-01
";
    assert_eq!(good(&world, &["report"]), expected);
}

#[test]
fn neither_threads_nor_the_order_of_storing_show() {
    let world = fleet();
    let mut backwards = images();
    backwards.reverse();
    world.save("backwards.tar", &backwards);
    let stored = world
        .command(&["ingest", "backwards.tar", "--store", "second"])
        .env("SOURCE_DATE_EPOCH", "1767225600")
        .output();
    assert!(stored.unwrap().status.success());
    for format in FORMATS {
        let first = good(&world, &["report", "--format", format, "--jobs", "1"]);
        for (store, jobs) in [("store", "2"), ("store", "8"), ("second", "1"), ("second", "8")] {
            let other = good(&world, &["report", "--format", format, "--jobs", jobs, "--store", store]);
            assert_eq!(other, first, "{format} {store} {jobs}");
        }
    }
}

#[test]
fn only_the_images_that_are_meant_are_reported() {
    let world = fleet();
    let named = |args: &[&str]| {
        let rows = lines(&good(&world, &[&["report", "--json"], args].concat()));
        rows.iter().map(|row| row["source"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(named(&["shop"]), ["shop:1", "shop:2", "shop:squashed"]);
    assert_eq!(named(&["shop:*", "tool:1", "--exclude", "*:squashed"]), ["shop:1", "shop:2", "tool:1"]);
    assert_eq!(named(&["--since", "2025-08-01"]), ["other:1", "shop:1", "shop:2", "shop:squashed", "tool:1"]);
    assert_eq!(named(&["corp/*", "--since", "2025-06-01T00:00:01Z"]), ["corp/base:1.2-slim"]);
    assert_eq!(named(&["--platform", "linux/amd64"]).len(), 8);
    assert_eq!(named(&["--label", "team"]), ["shop:2", "tool:1"]);
    assert_eq!(named(&["--label", "team=payments", "--label", "tier="]), ["shop:2"]);
    let none = world.run(&["report", "--platform", "linux/arm64"]);
    assert_eq!(
        (none.status, none.stdout.as_str(), none.stderr.as_str()),
        (1, "", "no stored image is meant\nhint: layerprint list shows what is stored\n")
    );
    let bad = world.run(&["report", "shop["]);
    assert_eq!(bad.status, 2);
    assert!(bad.stderr.contains("unclosed character class"), "{}", bad.stderr);
}

#[test]
fn what_a_tag_stood_for_before_is_left_out_where_only_what_is_current_is_meant() {
    let world = fleet();
    let next = release("1.1", "2025-06-01T00:00:00Z").named("shop:2").layer(files("srv/next", 3));
    world.save("next.tar", &[next]);
    assert!(world.command(&["ingest", "next.tar"]).output().unwrap().status.success());
    let shops = |args: &[&str]| {
        let rows = lines(&good(&world, &[&["report", "--json", "shop:2"], args].concat()));
        rows.iter().map(|row| row["image"]["files"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(shops(&[]).len(), 2);
    assert_eq!(shops(&["--current"]), [40 + 10 + 3]);
    assert_eq!(good(&world, &["report", "--json", "--current"]).lines().count(), 8, "all others are");
}

#[test]
fn one_computation_writes_every_file_and_leaves_nothing_else() {
    let world = fleet();
    fs::create_dir(world.path("out")).unwrap();
    let files = ["out/fleet.txt", "out/fleet.jsonl", "out/fleet.csv"];
    let arguments = files.iter().flat_map(|file| ["-o", file]);
    assert_eq!(good(&world, &["report"].into_iter().chain(arguments).collect::<Vec<_>>()), "");
    for (file, format) in files.iter().zip(FORMATS) {
        let written = fs::read_to_string(world.path(file)).unwrap();
        assert_eq!(written, good(&world, &["report", "--format", format]), "{file}");
    }
    assert_eq!(fs::read_dir(world.path("out")).unwrap().count(), 3);
}

#[test]
fn what_cannot_be_written_is_told_before_any_image_is_asked() {
    // There is no store, which would be told as soon as something was asked of it.
    let world = World::new();
    fs::create_dir(world.path("folder.csv")).unwrap();
    fs::write(world.path("file"), "").unwrap();
    std::os::unix::fs::symlink("file.csv", world.path("link.csv")).unwrap();
    fs::write(world.path("file.csv"), "as before").unwrap();
    let endings = ".txt, .jsonl, .csv, .md, .sarif, .cdx.json, .html";
    let cases: [(&[&str], &str, &str); 9] = [
        (
            &["fleet.docx"],
            "fleet.docx: no format ends like this",
            &format!("give --format, or one of {endings}"),
        ),
        (&["folder.csv"], "folder.csv: is a folder", "name a file in it, such as folder.csv/NAME"),
        (&["none.csv/"], "none.csv/: is a folder", "name a file in it, such as none.csv/NAME"),
        (&["a/b/c.csv"], "a/b/c.csv: there is no folder a/b", "make it first: mkdir -p a/b"),
        (&["file/a.csv"], "file/a.csv: cannot be written: Not a directory (os error 20)", ""),
        (
            &["file.csv", "folder.csv"],
            "folder.csv: is a folder",
            "name a file in it, such as folder.csv/NAME",
        ),
        (
            &["new.csv", "./new.csv"],
            "./new.csv: --output names this file twice",
            "give each format a file of its own",
        ),
        (
            &["file.csv", "link.csv"],
            "link.csv: --output names this file twice",
            "give each format a file of its own",
        ),
        (&["-", "-"], "-: --output names this file twice", "give each format a file of its own"),
    ];
    for (outputs, error, hint) in cases {
        let arguments = outputs.iter().flat_map(|output| ["-o", output]);
        let ran = world.run(&["report"].into_iter().chain(arguments).collect::<Vec<_>>());
        let hint = if hint.is_empty() { String::new() } else { format!("hint: {hint}\n") };
        let expected = Ran { status: 2, stdout: String::new(), stderr: format!("error: {error}\n{hint}") };
        assert_eq!(ran, expected, "{outputs:?}");
    }
    let mut left: Vec<_> =
        fs::read_dir(world.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["file", "file.csv", "folder.csv", "link.csv"]);
    assert_eq!(fs::read_to_string(world.path("file.csv")).unwrap(), "as before");
}

#[test]
fn a_folder_that_may_not_be_written_to_is_told_before_any_image_is_asked() {
    use std::os::unix::fs::PermissionsExt;

    let world = World::new();
    fs::create_dir(world.path("shut")).unwrap();
    fs::set_permissions(world.path("shut"), fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(world.path("shut/probe"), "").is_ok() {
        eprintln!("skipped: this user may write everywhere");
        return;
    }
    let ran = world.run(&["report", "-o", "shut/a.csv"]);
    let expected = "error: shut/a.csv: cannot be written: Permission denied (os error 13)\n\
                    hint: name a file in a folder that you may write to\n";
    assert_eq!((ran.status, ran.stderr.as_str()), (2, expected));
}

#[test]
fn a_report_goes_on_where_it_was_stopped() {
    let world = fleet();
    let whole = good(&world, &["report", "--json"]);
    // Nothing can be written to a disk that is full, which is found out after all images were asked.
    let stopped = world.run(&["report", "--format", "jsonl", "-o", "fleet.jsonl", "-o", "/dev/full"]);
    assert_eq!(
        (stopped.status, stopped.stderr.as_str()),
        (
            2,
            "error: /dev/full: No space left on device (os error 28)\n\
             hint: free space and run the same command again, or name a file elsewhere; \
             df -h shows bytes, df -i inodes\n"
        )
    );
    let spool = world.path(".fleet.jsonl.rows");
    let rows = fs::read(&spool).unwrap();
    let count = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(count(&rows), 1 + 8);
    for length in [0, 3, rows.len() / 2, rows.len() - 1, rows.len()] {
        fs::write(&spool, &rows[..length]).unwrap();
        let resumed = world.run(&["report", "-o", "fleet.jsonl", "--resume"]);
        let kept = count(&rows[..length]).saturating_sub(1);
        let plural = if kept == 1 { "" } else { "s" };
        assert_eq!((resumed.status, resumed.stderr), (0, format!("asked before: {kept} image{plural}\n")));
        assert_eq!(fs::read_to_string(world.path("fleet.jsonl")).unwrap(), whole);
        assert!(!spool.exists());
    }
    // Without --resume, and where other images are stored, all are asked.
    fs::write(&spool, &rows).unwrap();
    good(&world, &["forget", "tool:1"]);
    let resumed = world.run(&["report", "-o", "fleet.jsonl", "--resume"]);
    assert_eq!((resumed.status, resumed.stderr.as_str()), (0, "asked before: 0 images\n"));
    let nowhere = world.run(&["report", "--resume"]);
    assert_eq!(nowhere.status, 2);
}

#[test]
fn what_an_earlier_run_wrote_does_not_stay_where_nothing_is_meant() {
    let world = fleet();
    let files = ["all.html", "all.csv", "all.jsonl", "all.md", "all.sarif", "all.cdx.json", "all.txt"];
    let outputs: Vec<&str> = files.iter().flat_map(|file| ["-o", file]).collect();
    good(&world, &[&["report"], &outputs[..]].concat());
    let none = world.run(&[&["report", "shp*"], &outputs[..]].concat());
    assert_eq!((none.status, none.stdout.as_str()), (1, ""));
    assert!(none.stderr.contains("no stored image is meant\n"), "{}", none.stderr);
    for file in files {
        let text = fs::read_to_string(world.path(file)).unwrap();
        assert!(!text.contains("shop:1"), "{file}");
    }
}

#[test]
fn an_image_that_cannot_be_read_is_told_and_stops_no_other() {
    let world = fleet();
    let rows = lines(&good(&world, &["report", "--json"]));
    let packs = fs::read_dir(world.path("store/packs")).unwrap();
    let pack = packs
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    let whole = fs::read(&pack).unwrap();
    let mut told_of = 0;
    for sixteenth in 1..16 {
        let mut bytes = whole.clone();
        bytes[whole.len() * sixteenth / 16] ^= 1;
        fs::write(&pack, &bytes).unwrap();
        let Ran { status, stdout, stderr } = world.run(&["report", "--json"]);
        let told = lines(&stdout).len();
        let failed = stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(status, if failed > 0 { 2 } else { 0 }, "{stderr}");
        assert_eq!(told + failed, rows.len(), "{stderr}");
        told_of += usize::from(failed > 0 && told > 0);
        if failed > 0 {
            let text = world.run(&["report"]).stdout;
            assert!(text.contains("\nIncomplete, for these could not be read and are left out: "), "{text}");
            let sarif = world.run(&["report", "--format", "sarif"]).stdout;
            let sarif: Value = serde_json::from_str(&sarif).unwrap();
            assert_eq!(sarif["runs"][0]["invocations"][0]["executionSuccessful"], false);
        }
    }
    assert!(told_of > 0, "some damage must have been in what is read");
}
