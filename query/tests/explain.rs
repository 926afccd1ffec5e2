//! Stories of files: what became of those of the base, and where the others are from.

use crate::common::{Image, Layer, Stored, image, store};
use layerprint_query::{Explanation, FileRow, State, explain};

fn debian(release: u64, date: &str) -> Image {
    let lib = Layer::new().files("usr/lib", 1, 0..300);
    // Each release replaces ten files.
    let lib = (0..10).fold(lib, |lib, index| lib.file(&format!("usr/lib/{index:04}"), 10 + release, index));
    image(&format!("debian:12.{release}")).created(date).layer(lib)
}

fn python() -> Image {
    let own = Layer::new().files("opt/python", 3, 0..100).file("usr/lib/0050", 3, 200);
    debian(2, "2026-02-01T00:00:00Z").named("python:3").created("2026-02-10T00:00:00Z").layer(own)
}

fn stored() -> Stored {
    let releases = [(1, "2026-01-01T00:00:00Z"), (2, "2026-02-01T00:00:00Z"), (3, "2026-03-01T00:00:00Z")];
    let releases = releases.map(|(release, date)| debian(release, date));
    let golang = image("golang:1").layer(Layer::new().files("usr/local/go", 2, 0..120));
    store(releases.iter().chain([&python(), &golang]))
}

/// What is said of the files that are not simply the same.
fn told(stored: &Stored, image: &Image, against: Option<&Image>) -> (Vec<String>, String) {
    let against = against.map(|image| image.record().id);
    let tell = |explanation: &Explanation, rows: &[FileRow]| {
        let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        let row = |row: &FileRow| {
            let to = row.to.map(|to| format!(" -> {}", text(to))).unwrap_or_default();
            let from = row.from.as_deref().map(|from| format!(" <- {}", text(from))).unwrap_or_default();
            let origin = row.origin.map(|place| explanation.origins[place].names.join("+"));
            format!("{} {}{to}{from} {}", row.state.word(), text(&row.path), origin.unwrap_or_default())
        };
        let rows = rows.iter().filter(|row| row.state != State::Same).map(row).collect();
        (rows, serde_json::to_string(&explanation.states).unwrap())
    };
    explain(&stored.index(), &image.subject(), against.as_ref(), "app.tar", tell).unwrap()
}

fn app() -> Image {
    let changes = Layer::new()
        .file("usr/lib/0003", 13, 3)
        .file("usr/lib/0004", 11, 4)
        .file("usr/lib/0100", 90, 1)
        .whiteout("usr/lib/0101")
        .whiteout("usr/lib/0102")
        .file("srv/0102", 1, 102)
        .file("srv/copy", 1, 103)
        .file("srv/own", 90, 2)
        .whiteout("opt/python/0000")
        .files("go", 2, 0..2);
    python().named("app:1").created("2026-06-01T00:00:00Z").layer(changes)
}

#[test]
fn each_file_is_told_with_the_image_that_brought_it() {
    let (rows, states) = told(&stored(), &app().squashed(), None);
    let expected = [
        "new go/0000 ",
        "new go/0001 ",
        "deleted opt/python/0000 python:3",
        "copied srv/copy <- usr/lib/0103 debian:12.2",
        "new srv/own ",
        "upgraded usr/lib/0003 debian:12.3",
        "downgraded usr/lib/0004 debian:12.1",
        "modified usr/lib/0100 ",
        "deleted usr/lib/0101 debian:12.2",
        "moved usr/lib/0102 -> srv/0102 debian:12.2",
    ];
    assert_eq!(rows, expected);
    // 400 files of the base: 394 the same; of 64 KiB and their number each.
    let files = |state: &str| -> u64 {
        let states: serde_json::Value = serde_json::from_str(&states).unwrap();
        states[state]["files"].as_u64().unwrap()
    };
    let counts = State::ALL.map(|state| files(state.word()));
    assert_eq!(counts, [394, 1, 1, 1, 1, 2, 1, 3]);
}

#[test]
fn parts_of_further_images_are_told_file_by_file() {
    let image = app().layer(Layer::new().files("go", 2, 0..120)).squashed();
    let (rows, _) = told(&stored(), &image, None);
    let go: Vec<_> = rows.iter().filter(|row| row.contains(" go/")).collect();
    assert_eq!(go.len(), 120);
    assert_eq!(go[7], "new go/0007 <- usr/local/go/0007 golang:1");
}

#[test]
fn an_image_is_compared_with_the_one_that_is_named() {
    let (rows, _) = told(&stored(), &app().squashed(), Some(&debian(3, "2026-03-01T00:00:00Z")));
    let of = |state: &str| rows.iter().filter(|row| row.starts_with(state)).cloned().collect::<Vec<_>>();
    // What is older than the release that it is compared with went down; what the python image edited itself is no version.
    assert_eq!(of("downgraded").len(), 9);
    assert_eq!(of("modified"), ["modified usr/lib/0050 python:3", "modified usr/lib/0100 "]);
    assert!(of("downgraded").contains(&"downgraded usr/lib/0004 debian:12.1".to_owned()));
    assert!(of("downgraded").contains(&"downgraded usr/lib/0005 debian:12.2".to_owned()));
    assert_eq!(of("upgraded"), [""; 0]);
    assert_eq!(of("new opt/python").len(), 99);
}

#[test]
fn without_a_base_all_is_new() {
    let (rows, states) = told(&stored(), &image("own:1").layer(Layer::new().files("srv", 50, 0..3)), None);
    assert_eq!(rows, ["new srv/0000 ", "new srv/0001 ", "new srv/0002 "]);
    assert!(states.contains(r#""same":{"files":0,"bytes":0}"#), "{states}");
}

#[test]
fn a_path_of_any_bytes_is_told_whole() {
    let entry = |name: &str| Layer::new().files("usr/lib", 1, 0..300).file(name, 60, 1);
    let stored = store(&[image("debian:12").layer(Layer::new().files("usr/lib", 1, 0..300))]);
    let image = image("app:1").layer(entry("srv/a\nb\u{202e}c"));
    assert_eq!(told(&stored, &image, None).0, ["new srv/a\nb\u{202e}c "]);
}
