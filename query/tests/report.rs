//! Stories of what a whole fleet says of one image: how fresh its base is, and what it is made of.

use crate::common::{Image, Layer, Stored, image, store};
use layerprint_query::{Fleet, Proper, Row, Rows};
use serde_json::{Value, json};

/// A release with a name and a day, and files of its own.
fn release(name: &str, day: &str, seed: u64) -> Image {
    let layer = Layer::new().files("usr/lib", 1, 0..300).files("usr/share", 1_000 + seed, 0..60);
    image(name).layer(layer).created(&format!("{day}T00:00:00Z"))
}

fn app(base: &Image) -> Image {
    base.clone().named("app:1").layer(Layer::new().files("srv", 7, 0..40)).created("2026-01-01T00:00:00Z")
}

fn row(stored: &Stored, image: &Image) -> Row {
    let index = stored.index();
    let fleet = Fleet::of(&index).unwrap();
    Rows::new(&index, &fleet).row(&image.record().id).unwrap()
}

/// The family of an app's base, how many newer ones there are, and the last of them.
fn freshness(base: &Image, others: &[Image]) -> Value {
    let app = app(base);
    let stored = store([base, &app].into_iter().chain(others));
    let row = row(&stored, &app);
    let newest = |row: &Row| row.freshness.clone()?.newest.map(|newest| newest.names);
    json!([row.family, row.freshness.as_ref().map(|fresh| fresh.newer), newest(&row)])
}

#[test]
fn newer_is_what_was_made_later_of_the_same_flavour_and_no_earlier_version() {
    let base = release("debian:12.1", "2025-01-01", 0);
    let others = [
        release("debian:12.2", "2025-02-01", 1),
        release("debian:13.0", "2025-03-01", 2),
        // Made later, but as an update of what came before.
        release("debian:11.9", "2025-04-01", 3),
        release("debian:12.3-slim", "2025-05-01", 4),
        release("ubuntu:24.04", "2025-05-01", 5),
        release("debian:13.1", "2025-06-01", 6).on("linux", "arm64"),
        release("debian:12.0", "2024-06-01", 7),
        // Whoever rebuilds a release and gets the same files has nothing newer.
        release("docker.io/library/debian:12.1", "2025-07-01", 0),
    ];
    assert_eq!(freshness(&base, &others), json!(["debian", 0, null]), "as fresh as its last build");
    assert_eq!(freshness(&base, &others[..7]), json!(["debian", 2, ["debian:13.0"]]));
    assert_eq!(freshness(&base, &[]), json!(["debian", 0, null]));
}

#[test]
fn what_was_made_of_a_base_and_has_its_files_makes_it_no_fresher() {
    let base = release("corp/team/base:1", "2025-01-01", 0);
    let newer = release("corp/team/base:2", "2025-06-01", 1);
    let made_of_it = release("web:1", "2025-12-01", 0);
    let others = [newer, made_of_it];
    assert_eq!(freshness(&base, &others), json!(["corp/team/base", 1, ["corp/team/base:2"]]));

    // Without dates nobody knows which of the two was first.
    let undated = |name: &str| release(name, "1970-01-01", 0);
    let app = app(&undated("corp/team/base:1"));
    let stored = store([&undated("corp/team/base:1"), &undated("web:1"), &app]);
    let told = row(&stored, &app).proper;
    let names = ["corp/team/base:1", "web:1"].map(str::to_owned).to_vec();
    assert_eq!(told, [Proper { names, created: None, is_dated: false }]);
}

#[test]
fn a_tag_that_moved_on_left_an_older_image_behind() {
    let base = release("corp/base:latest", "2025-01-01", 0);
    let moved = release("corp/base:latest", "2025-06-01", 1);
    assert_eq!(freshness(&base, &[moved]), json!(["corp/base", 1, ["corp/base:latest"]]));
}

#[test]
fn where_all_builds_have_one_date_the_version_tells() {
    let of = |version: &str, seed| release(&format!("corp/base:{version}"), "2020-01-01", seed);
    let others = [of("1.1", 1), of("1.10", 2), of("1.9", 3), of("1.0", 4), of("2.0rc1", 5)];
    assert_eq!(freshness(&of("1.1.0", 0), &others), json!(["corp/base", 2, ["corp/base:1.10"]]));
}

#[test]
fn without_a_date_or_a_name_nothing_is_said_to_be_fresh() {
    let newer = release("debian:13", "2025-06-01", 1);
    let epoch = release("debian:12", "1970-01-01", 0);
    assert_eq!(freshness(&epoch, std::slice::from_ref(&newer)), json!(["debian", null, null]));
    let unnamed = release("/srv/images/debian.tar", "2025-01-01", 0);
    assert_eq!(freshness(&unnamed, &[newer]), json!([null, null, null]));
}

#[test]
fn an_image_is_the_sum_of_what_it_is_made_of() {
    let debian = release("debian:12", "2025-01-01", 0);
    let python = debian.clone().named("python:3").layer(Layer::new().files("opt/python", 3, 0..200));
    let node = image("node:22").layer(Layer::new().files("usr/local/node", 5, 0..100));
    let app = python.clone().named("app:1").layer(Layer::new().files("usr/local/node", 5, 0..100).files(
        "srv",
        7,
        0..40,
    ));
    let layered = json!([
        ["ancestor", ["debian:12"], 360],
        ["base", ["python:3"], 200],
        ["part", ["node:22"], 100],
        ["new", [], 40],
    ]);
    // Squashed, it may as well be built on the other one.
    let squashed = json!([["relative", ["python:3"], 560], ["part", ["node:22"], 100], ["new", [], 40]]);
    for (app, expected) in [(app.clone(), layered), (app.squashed(), squashed)] {
        let stored = store([&debian, &python, &node, &app]);
        let row = row(&stored, &app);
        let told = |part: &layerprint_query::MadeOf| json!([part.kind, part.names, part.contents]);
        assert_eq!(Value::Array(row.made_of.iter().map(told).collect()), expected);
        let bytes: u64 = row.made_of.iter().map(|part| part.bytes).sum();
        assert_eq!(bytes, row.finding.image.content_bytes);
    }
}

#[test]
fn a_row_comes_back_as_it_was_written() {
    let debian = release("debian:12", "2025-01-01", 0);
    let app = app(&debian);
    let row = row(&store([&debian, &app]), &app);
    let text = serde_json::to_string(&row).unwrap();
    assert_eq!(serde_json::to_string(&serde_json::from_str::<Row>(&text).unwrap()).unwrap(), text);
}

#[test]
fn the_digest_of_a_fleet_is_that_of_what_is_stored() {
    let (debian, ubuntu) = (release("debian:12", "2025-01-01", 0), release("ubuntu:24.04", "2025-01-01", 1));
    let digest = |images: &[&Image]| Fleet::of(&store(images.iter().copied()).index()).unwrap().digest();
    assert_eq!(digest(&[&debian, &ubuntu]), digest(&[&ubuntu, &debian]));
    assert_ne!(digest(&[&debian, &ubuntu]), digest(&[&debian]));
    assert_ne!(digest(&[&debian]), digest(&[&debian.clone().named("debian:bookworm")]));
    assert_ne!(digest(&[&debian]), digest(&[&debian.clone().created("2025-01-02T00:00:00Z")]));
}
