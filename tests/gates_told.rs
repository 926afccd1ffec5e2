//! What a gate says when nobody reads on, nobody was asked, or another day is counted to.

use std::fs;

use layerprint_ingest::write::Image;
use serde_json::json;

use crate::support::{World, files, fleet};

fn policy(world: &World, text: &str) {
    fs::write(world.path("policy.toml"), text).unwrap();
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
