//! What a gate says when nobody reads on, nobody was asked, or another day is counted to.

use crate::support;

use std::fs;
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use layerprint_ingest::write::Image;
use serde_json::{Value, json};

use crate::support::{World, files, fleet};

/// Runs with a standard output that nobody reads.
fn unread(world: &World, args: &[&str]) -> (i32, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(cargo_bin!("layerprint"));
    command.current_dir(world.folder.path()).env_clear().env("LAYERPRINT_STORE", "store").args(args);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn policy(world: &World, text: &str) {
    fs::write(world.path("policy.toml"), text).unwrap();
}

#[test]
fn a_gate_stands_though_nobody_reads_its_page() {
    let world = fleet();
    policy(&world, "[base]\nunknown = \"ignore\"\nallow = [\"mid\"]\n");
    let gate = ["--policy", "policy.toml", "--as-of", "2026-07-01"];
    let offence = "  app:1  base-not-allowed  base:1 is no base that is allowed\n";
    for format in ["text", "jsonl", "csv", "markdown", "sarif", "html"] {
        let (status, told) = unread(&world, &[&["report", "--format", format], &gate[..]].concat());
        assert_eq!(status, 1, "{format}: {told}");
        assert!(told.contains(offence), "{format}: {told}");
    }
    let not_met = "not met: app:1: base-not-allowed: base:1 is no base that is allowed\n";
    for find in [&["find"][..], &["find", "--json"], &["find", "--batch"]] {
        let (status, told) = unread(&world, &[find, &gate, &["svc:1", "svc:1", "app:1"]].concat());
        assert_eq!(status, 1, "{told}");
        assert!(told.contains(not_met), "all are asked: {told}");
        assert_eq!(unread(&world, &[find, &["--require", "mid", "svc:1", "app:1"]].concat()).0, 1);
        assert_eq!(unread(&world, &[find, &["--require", "mid", "svc:1"]].concat()).0, 0);
    }
    // Where nothing is asked, whoever reads has seen enough.
    assert_eq!(unread(&world, &["report"]), (0, String::new()));
    assert_eq!(unread(&world, &["find", "app:1"]), (0, String::new()));
}

#[test]
fn what_nobody_was_asked_nobody_meets() {
    let world = fleet();
    policy(&world, "[base]\nunknown = \"ignore\"\n");
    for empty in ["empty.jsonl", "empty.txt"] {
        fs::write(world.path(empty), "").unwrap();
    }
    assert_eq!(world.run(&["report", "-o", "old.jsonl"]).status, 0);
    let told = |args: &[&str]| {
        let ran = world.run(&[args, &["--policy", "policy.toml", "--as-of", "2026-07-01"]].concat());
        (ran.status, ran.stderr, ran.stdout)
    };
    let nobody = "policy policy.toml: not met, for no image was asked; as of 2026-07-01 (--as-of)\n";
    let (status, _, page) = told(&["report", "--from", "empty.jsonl"]);
    assert_eq!((status, page.contains(nobody)), (1, true), "{page}");
    let (status, stderr, _) = told(&["report", "typo*", "--diff", "old.jsonl", "--json"]);
    assert_eq!(
        (status, stderr),
        (
            1,
            format!(
                "typo*: no stored image is meant\n{}",
                nobody.replace("asked;", "asked; not met for typo*: no stored image is meant;")
            )
        )
    );

    // Beside one that means some.
    let (status, stderr, page) = told(&["report", "typo*", "app"]);
    assert_eq!((status, stderr.as_str()), (1, "typo*: no stored image is meant\n"));
    let not_met = "policy policy.toml: the one image meets it; not met for typo*: no stored image is meant;";
    assert!(page.contains(not_met), "{page}");
    assert_eq!(told(&["report", "app"]).0, 0);
    let asked = world.run(&["report", "typo*", "app"]);
    assert_eq!((asked.status, asked.stderr.as_str()), (0, "typo*: no stored image is meant\n"));

    let as_of = "policy policy.toml: as of 2026-07-01 (--as-of)\n";
    for batch in [&["find", "--quiet"][..], &["find", "--quiet", "--batch"]] {
        let empty = [batch, &["--from-list", "empty.txt"]].concat();
        let (status, stderr, _) = told(&empty);
        assert_eq!((status, stderr), (1, format!("not met: no image was asked\n{as_of}")));
        let ran = world.run(&[&empty[..], &["--require", "base"]].concat());
        assert_eq!((ran.status, ran.stderr.as_str()), (1, "not met: no image was asked\n"));
        assert_eq!(world.run(&empty).status, 0, "nothing is asked");
    }
}

#[test]
fn find_says_of_a_policy_what_a_report_says() {
    let world = fleet();
    policy(
        &world,
        "[base]\nmax_age_days = 30\noutdated = \"warning\"\n\
         [[exempt]]\nimages = [\"app\"]\nreason = \"is switched off\"\nuntil = 2026-02-28\n",
    );
    let remarks = |row: &Value| row["remarks"].clone();
    for day in ["2026-02-28", "2026-03-01"] {
        let gate = ["--policy", "policy.toml", "--as-of", day];
        let row = world.json(&[&["report", "--json", "app"], &gate[..]].concat());
        let found = world.run(&[&["find", "--json"], &gate[..], &["app:1"]].concat());
        assert_eq!(remarks(&support::lines(&found.stdout)[0]), remarks(&row[0]), "{day}");
        assert!(!remarks(&row[0]).as_array().unwrap().is_empty());
    }
    let ran = world.run(&["find", "--policy", "policy.toml", "--as-of", "2026-03-01", "app:1"]);
    assert_eq!(ran.status, 1);
    let old = "base-too-old: base:1 is 59 days old; 30 are allowed";
    let newer = "base-outdated: 1 newer image than base:1 is stored, the last is base:2 of 2026-06-01";
    assert!(ran.stdout.contains(&format!("  error    {old}\n  warning  {newer}\n")), "{}", ran.stdout);
    let ended = "the exemption of app ended on 2026-02-28: is switched off\n";
    assert_eq!(
        ran.stderr,
        format!("{ended}not met: app:1: {old}\npolicy policy.toml: as of 2026-03-01 (--as-of)\n")
    );
}

#[test]
fn the_day_that_is_counted_to_is_told_with_who_says_it() {
    let world = fleet();
    policy(&world, "[base]\nunknown = \"ignore\"\nmax_age_days = 1000\n");
    let told = |epoch: Option<&str>, args: &[&str]| {
        let mut command = world.command(&[&["report", "--policy", "policy.toml"], args].concat());
        epoch.map(|epoch| command.env("SOURCE_DATE_EPOCH", epoch));
        let page = support::ran(&mut command).stdout;
        page.lines().find(|line| line.starts_with("policy ")).unwrap().to_owned()
    };
    let met = "policy policy.toml: all of 6 images meet it; as of";
    assert_eq!(told(Some("1782000000"), &[]), format!("{met} 2026-06-21 (SOURCE_DATE_EPOCH)"));
    assert_eq!(told(Some("1782000000"), &["--as-of", "2026-07-01"]), format!("{met} 2026-07-01 (--as-of)"));
    assert!(told(None, &[]).ends_with(" (today)"));
}

#[test]
fn a_stored_name_is_asked_about_for_the_platform_that_is_wanted() {
    let world = World::new();
    let base = |arch: &str| {
        let files = files(&format!("usr/lib/{arch}"), 40);
        Image::new("base:1").platform("linux", arch).layer(files)
    };
    let of = |name: &str, arch: &str| {
        base(arch).named(&format!("{name}:1")).layer(files(&format!("srv/{name}-{arch}"), 2))
    };
    for arch in ["amd64", "arm64"] {
        let images = [base(arch), of("app", arch), of("other", arch)];
        world.save(&format!("{arch}.tar"), &images);
        assert_eq!(world.run(&["ingest", &format!("{arch}.tar")]).status, 0);
    }
    for arch in ["amd64", "arm64"] {
        let platform = format!("linux/{arch}");
        let found = world.json(&["find", "--json", "--platform", &platform, "app:1"]);
        assert_eq!(found[0]["image"]["platform"], json!(platform));
        let siblings = world.json(&["siblings", "--json", "--platform", &platform, "app:1"]);
        assert_eq!(siblings[0]["platform"], json!(platform));
        let id = found[0]["image"]["id"].as_str().unwrap();
        let other = if arch == "amd64" { "linux/arm64" } else { "linux/amd64" };
        let none = world.run(&["find", "--platform", other, id]);
        let why = "nothing to answer for: what is stored under this name is for another platform";
        assert_eq!((none.status, none.stderr), (1, format!("{id}: {why}\n")));
    }
    assert_eq!(world.run(&["find", "app:1"]).status, 2, "which of the two?");
}

#[test]
fn a_time_without_an_offset_is_no_day() {
    let world = fleet();
    for option in ["--since", "--as-of"] {
        let ran = world.run(&["report", option, "2026-07-01T12:00"]);
        assert_eq!(ran.status, 2);
        assert!(ran.stderr.contains("a time with Z or an offset: 2026-01-31T12:00:00Z"), "{}", ran.stderr);
        assert_eq!(world.run(&["report", option, "2026-02-01T12:00:00+02:00"]).status, 0);
    }
    policy(&world, "[[exempt]]\nimages = [\"app\"]\nreason = \"r\"\nuntil = 2026-12-31T12:00:00Z\n");
    let ran = world.run(&["report", "--policy", "policy.toml"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.starts_with("error: policy.toml:4:9: a last day is a date"), "{}", ran.stderr);
}
