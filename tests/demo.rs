//! The demonstration runs on the machine that runs the tests, and its answers are right.

use std::os::unix::fs::PermissionsExt;

use crate::support::{World, lines};
use serde_json::Value;

const RUNTIME: [&str; 2] = ["demo/runtime:1", "demo/base:2026-01"];

#[test]
fn every_image_of_the_demonstration_is_answered_rightly() {
    let world = World::new();
    let ran = world.run(&["demo", "--json"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    let found: Vec<_> = lines(&ran.stdout).iter().map(answer).collect();
    let expected = [
        ("app.tar demo/app:1", "chain-id", &RUNTIME[..]),
        ("app-squashed.tar demo/app:1", "content", &RUNTIME),
        ("rootfs:app-exported.tar", "content", &RUNTIME),
        ("app-rebuilt.tar demo/app:1", "content", &RUNTIME),
        ("service-squashed.tar demo/service:1", "content", &["demo/base:2026-03"]),
        ("stranger.tar demo/stranger:1", "none", &[]),
    ];
    let expected = expected
        .map(|(source, how, line)| (source.into(), how.into(), line.iter().map(|s| (*s).into()).collect()));
    assert_eq!(found, expected);
    assert_eq!(std::fs::read_dir(world.folder.path()).unwrap().count(), 0, "something was left behind");
}

/// Source, how the base was recognised, and the base with its lineage.
fn answer(finding: &Value) -> (String, String, Vec<String>) {
    let base = &finding["base"];
    let kin = base["lineage"].as_array().into_iter().flatten();
    let line =
        std::iter::once(base).chain(kin).flat_map(|base| base["names"].as_array().into_iter().flatten());
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    (text(&finding["source"]), text(&base["evidence"]), line.map(text).collect())
}

#[test]
fn what_is_kept_can_be_asked_again() {
    let world = World::new();
    let ran = world.run(&["demo", "--keep", "kept"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    assert!(ran.stdout.contains("\n6 of 6 answers are right. "), "{}", ran.stdout);
    let left: Vec<_> =
        std::fs::read_dir(world.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["kept"], "something was left behind");

    let again = world.json(&["find", "--json", "--store", "kept/store", "kept/app-squashed.tar"]);
    assert_eq!(again[0]["base"]["names"], serde_json::json!(["demo/runtime:1"]));

    let full = world.run(&["demo", "--keep", "kept"]);
    assert_eq!((full.status, full.stderr.as_str()), (2, "error: kept: is not empty\n"));
    // Images are not put where others may put links in their way.
    std::fs::create_dir(world.path("all")).unwrap();
    std::fs::set_permissions(world.path("all"), std::fs::Permissions::from_mode(0o1777)).unwrap();
    let shared = world.run(&["demo", "--keep", "all"]);
    let expected = "error: all: other users may write to it; name a folder of your own\n";
    assert_eq!((shared.status, shared.stderr.as_str()), (2, expected));
}

#[test]
fn nothing_is_left_behind_when_the_reader_goes_away() {
    use std::io::Read;
    use std::process::{Command, Stdio};

    let world = World::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_layerprint"))
        .arg("demo")
        .env("TMPDIR", world.folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0; 20]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
    assert_eq!(std::fs::read_dir(world.folder.path()).unwrap().count(), 0, "something was left behind");
}
