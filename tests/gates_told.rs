//! What a gate says when nobody reads on, nobody was asked, or another day is counted to.

use std::fs;

use crate::support::{World, fleet};

fn policy(world: &World, text: &str) {
    fs::write(world.path("policy.toml"), text).unwrap();
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
