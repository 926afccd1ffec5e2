//! Names, paths and what else an image says of itself, with characters that terminals obey or do not show: none of them reaches
//! standard output, standard error or a report raw, and JSON says them all the same.

use std::fs;

use crate::support::{Ran, World, base, files, short};
use layerprint_ingest::write::{Image, Layer};

/// Of each kind one: escape, bell, C1, DEL, directions, line ends, zero width, joiners, soft hyphen, tags, fillers, blanks, selectors.
const RAW: [char; 24] = [
    '\u{1b}',
    '\u{7}',
    '\u{9b}',
    '\u{7f}',
    '\u{202e}',
    '\u{2066}',
    '\u{61c}',
    '\u{2028}',
    '\u{85}',
    '\u{200b}',
    '\u{200d}',
    '\u{2060}',
    '\u{2063}',
    '\u{feff}',
    '\u{ad}',
    '\u{180e}',
    '\u{3164}',
    '\u{115f}',
    '\u{a0}',
    '\u{2800}',
    '\u{fe0f}',
    '\u{e0041}',
    '\u{e0100}',
    '\u{fff9}',
];

/// The name of an image with all of them.
fn hostile_name() -> String {
    format!("evil{}:1", RAW.iter().collect::<String>())
}

/// The same, as it is shown.
fn shown_name() -> String {
    let escaped: String = RAW.iter().map(|c| format!("\\u{{{:x}}}", u32::from(*c))).collect();
    format!("evil{escaped}:1")
}

fn hostile() -> Image {
    let name = hostile_name();
    let layer = Layer::new().file(format!("srv/{name}"), "harm").symlink("srv/link", name.clone());
    base().named(&name).created("2026-01-02\u{200b}").layer(files("srv/evil", 2)).layer(layer)
}

/// The same for a platform that is as hostile.
fn elsewhere() -> Image {
    let name = hostile_name();
    hostile().named(&format!("2{name}")).platform(&name, &name)
}

fn world() -> World {
    let world = World::with_base();
    world.save("evil.tar", &[hostile()]);
    world.save("both.tar", &[hostile(), elsewhere()]);
    world.save("\u{202e}rat\u{200b}.tar", &[hostile()]);
    world
}

/// Fails if a terminal would get more than text and the ends of lines.
fn assert_nothing_raw(what: &str, text: &str) {
    for c in RAW.iter().chain(&['\r', '\t']) {
        assert!(!text.contains(*c), "{what}: U+{:04X} in {text:?}", u32::from(*c));
    }
}

#[test]
fn no_command_shows_a_character_that_is_obeyed_or_not_seen() {
    let world = world();
    let name = hostile_name();
    assert_eq!(world.run(&["ingest", "both.tar"]).status, 0);
    let commands: &[&[&str]] = &[
        &["ingest", "--rescan", "both.tar", "\u{202e}rat\u{200b}.tar"],
        &["ingest", "--rescan", "--json", "evil.tar"],
        &["list"],
        &["list", "--json"],
        &["list", "--csv"],
        &["show", &name],
        &["show", &name, "--files"],
        &["show", &name, "--files", "--json"],
        &["find", "evil.tar"],
        &["find", "\u{202e}rat\u{200b}.tar", "--json"],
        &["explain", "evil.tar"],
        &["explain", "evil.tar", "--json"],
        &["children", "base:1"],
        &["children", "base:1", "--json"],
        &["children", "base:1", "--csv"],
        &["siblings", &name],
        &["who-has", "harm", "--json"],
        &["who-has", "harm", "--csv"],
        &["duplicates", "--json"],
        &["duplicates", "--csv"],
        &["savings"],
        &["report"],
        &["report", "--json"],
        // Error messages are harmless, too, those of the command line's parser included.
        &["find", &name],
        &["show", "\u{200b}nothing"],
        &["forget", "\u{200b}nothing"],
        &["report", "-o", "\u{200b}nothing"],
        &["find", "--\u{1b}[2J\u{200b}"],
        &["find", "--platform", "\u{1b}[2J\u{200b}", "evil.tar"],
        &["seek\u{9b}2J"],
    ];
    fs::write(world.path("harm"), "harm").unwrap();
    for args in commands {
        let Ran { stdout, stderr, .. } = world.run(args);
        assert!(!(stdout.is_empty() && stderr.is_empty()), "{args:?} says something");
        assert_nothing_raw(&format!("{args:?}"), &stdout);
        assert_nothing_raw(&format!("{args:?}, errors"), &stderr);
    }
}

#[test]
fn no_report_holds_such_a_character() {
    let world = world();
    assert_eq!(world.run(&["ingest", "both.tar"]).status, 0);
    let formats = ["a.txt", "a.jsonl", "a.csv", "a.md", "a.sarif", "a.cdx.json", "a.html"];
    let outputs: Vec<&str> = formats.iter().flat_map(|file| ["-o", file]).collect();
    assert_eq!(world.run(&[&["report", "--as-of", "2027-01-01"], &outputs[..]].concat()).status, 0);
    let scripts_use_tabs = |file: &str, text: String| match file {
        "a.html" => text.replace('\t', ""),
        _ => text,
    };
    for file in formats {
        let text = scripts_use_tabs(file, fs::read_to_string(world.path(file)).unwrap());
        assert!(text.contains("evil"), "{file} names the image");
        assert_nothing_raw(file, &text);
    }
}

#[test]
fn a_name_that_looks_like_another_is_shown_with_what_differs() {
    let world = World::new();
    let alike = base().named("base\u{200b}:1").layer(files("srv/alike", 1));
    let written = world.save("both.tar", &[base(), alike]);
    assert_eq!(world.run(&["ingest", "both.tar"]).status, 0);
    let list = world.run(&["list"]).stdout;
    let line = |image: usize| list.lines().find(|line| line.starts_with(&short(&written, image))).unwrap();
    assert!(line(0).ends_with("  base:1"), "{list}");
    assert!(line(1).ends_with("  base\\u{200b}:1"), "{list}");
}

#[test]
fn json_says_names_and_paths_as_they_are() {
    let world = world();
    let name = hostile_name();
    assert_eq!(world.run(&["ingest", "both.tar"]).status, 0);
    let listed = world.json(&["list", "--json"]);
    assert!(listed.iter().any(|row| row["names"][0] == name.as_str()), "{listed:?}");
    let files = &world.json(&["show", &name, "--files", "--json"])[0]["files"];
    let path = format!("srv/{name}");
    let is_there = |file: &serde_json::Value| file["path"] == path.as_str();
    assert!(files.as_array().unwrap().iter().any(is_there), "{files}");
    let explained = world.json(&["explain", "evil.tar", "--json"]);
    assert!(explained.iter().any(is_there), "{explained:?}");
    let shown = world.run(&["explain", "evil.tar"]).stdout;
    assert!(shown.contains(&format!("srv/{}", shown_name())), "{shown}");
    let rows = world.json(&["report", "--json"]);
    assert!(rows.iter().any(|row| row["source"] == name.as_str()), "{rows:?}");
}

#[test]
fn no_cell_is_a_formula_after_blanks_or_what_is_not_seen() {
    let world = World::with_base();
    let names =
        ["a;=1+1:1", " =1+1:1", "  @SUM(1):1", "\u{feff}=1+1:1", "\u{a0}+1:1", "\u{200b} -2:1", "=1:1"];
    for (at, name) in names.iter().enumerate() {
        let file = format!("{at}.tar");
        world.save(&file, &[base().named(name).layer(files(&format!("srv/{at}"), 2))]);
        assert_eq!(world.run(&["ingest", &file]).status, 0);
    }
    assert_eq!(world.run(&["report", "-o", "a.csv"]).status, 0);
    let tables = [
        fs::read_to_string(world.path("a.csv")).unwrap(),
        world.run(&["list", "--csv"]).stdout,
        world.run(&["children", "base:1", "--csv"]).stdout,
    ];
    for table in tables {
        let mut seen = 0;
        for record in csv::Reader::from_reader(table.as_bytes()).records() {
            for cell in record.unwrap().iter().flat_map(|cell| cell.split(';')) {
                seen += usize::from(cell.contains("1:1"));
                let start = cell
                    .trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == '\u{200b}');
                assert!(!start.starts_with(['=', '+', '-', '@']), "{cell:?} in {table}");
            }
        }
        assert!(seen >= 4, "{table}");
    }
}
