//! Stories of images that hold parts of several others, and of images that only look as if they did.

use crate::common;

use crate::common::{Image, Layer, image, store};
use layerprint_query::Part;

/// 300 files of a distribution.
fn debian() -> Image {
    image("debian:12").created("2026-01-01T00:00:00Z").layer(Layer::new().files("usr/lib", 1, 0..300))
}

/// A toolchain on it, in two folders.
fn golang() -> Image {
    let own = Layer::new().files("usr/local/go/src", 2, 0..120).files("usr/local/go/pkg", 3, 0..80);
    debian().named("golang:1").created("2026-02-01T00:00:00Z").layer(own)
}

fn alpine() -> Image {
    image("alpine:3").created("2026-01-01T00:00:00Z").layer(Layer::new().files("lib", 4, 0..60))
}

/// Somebody's own files on a base.
fn app(base: Image) -> Image {
    base.named("app:1").created("2026-05-01T00:00:00Z").layer(Layer::new().files("srv", 100, 0..40))
}

/// Each part in a line: who, how much of it, from where, to where.
fn told(cover: &[Part]) -> Vec<String> {
    let tell = |part: &Part| {
        let names = part.names.join("+");
        format!("{names} {}/{} {:.2} {}:{}", part.files, part.contents, part.share, part.from, part.to)
    };
    cover.iter().map(tell).collect()
}

#[test]
fn what_was_copied_from_other_images_is_told() {
    let node = image("node:1").layer(Layer::new().files("usr/local/node", 5, 0..100));
    let stored = store(&[debian(), golang(), alpine(), node]);
    let go =
        |to: &str| Layer::new().files(&format!("{to}/src"), 2, 0..120).files(&format!("{to}/pkg"), 3, 0..80);
    let cases: [(&str, Image, &[&str]); 7] = [
        ("nothing", app(debian()), &[]),
        (
            "a folder, to its own place",
            app(alpine()).layer(go("usr/local/go")),
            &["golang:1 200/200 0.40 usr/local/go:usr/local/go"],
        ),
        (
            "the same, squashed",
            app(alpine()).layer(go("usr/local/go")).squashed(),
            &["golang:1 200/200 0.40 usr/local/go:usr/local/go"],
        ),
        (
            "a folder, to another place",
            app(alpine()).layer(go("opt/toolchain")),
            &["golang:1 200/200 0.40 usr/local/go:opt/toolchain"],
        ),
        (
            "the whole of a small image",
            app(debian()).layer(Layer::new().files("mnt/root/lib", 4, 0..60)),
            &["alpine:3 60/60 1.00 lib:mnt/root/lib"],
        ),
        (
            "parts of two images",
            app(alpine()).layer(go("go")).layer(Layer::new().files("opt/node", 5, 0..100)),
            &["golang:1 200/200 0.40 usr/local/go:go", "node:1 100/100 1.00 usr/local/node:opt/node"],
        ),
        (
            "slimmed after it was copied",
            app(alpine()).layer(go("go")).layer(Layer::new().whiteouts("go/src", 0..40)).squashed(),
            &["golang:1 160/160 0.32 usr/local/go:go"],
        ),
    ];
    for (name, image, expected) in cases {
        assert_eq!(told(&stored.find(&image).cover), expected, "{name}");
    }
}

#[test]
fn what_looks_like_a_part_but_is_none_names_nobody() {
    let common = Layer::new().files("usr/share/ca", 9, 0..140);
    let holders = ["nginx", "node", "redis", "ruby", "perl"].map(|name| {
        let own = Layer::new().files(&format!("usr/lib/{name}"), name.len() as u64 * 31, 0..80);
        image(&format!("{name}:1")).layer(own).layer(common.clone())
    });
    let packages = Layer::new()
        .files("usr/lib/python3", 8, 0..200)
        .files("usr/share/doc/python3", 8, 200..202)
        .file("var/lib/dpkg/info/python3.list", 8, 300);
    let python = debian().named("python:3").layer(packages.clone());
    let tool = Layer::new().files("usr/lib/tool", 10, 0..19).files("usr/bin", 10, 19..60);
    let tool = image("tool:1").layer(tool);
    let stored = store(holders.iter().chain([&debian(), &python, &alpine(), &tool]));
    let small = Layer::new().files("opt/tool", 10, 0..19);
    let strewn = (0..200)
        .fold(Layer::new(), |layer, index| layer.file(&format!("opt/{index}/{:04}", 200 - index), 8, index));
    let cases = [
        ("what everybody has", app(alpine()).layer(common)),
        ("packages that both have installed", app(alpine()).layer(packages)),
        ("a handful of files", app(alpine()).layer(small)),
        ("files strewn about under other names", app(alpine()).layer(strewn)),
        (
            "the base's own files, copied elsewhere",
            app(debian()).layer(Layer::new().files("opt/lib", 1, 0..300)),
        ),
        (
            "empty files",
            (0..90).fold(app(alpine()), |image, index| {
                image.layer(Layer::new().empty(&format!("usr/lib/{index:04}")))
            }),
        ),
    ];
    for (name, image) in cases {
        assert_eq!(told(&stored.find(&image).cover), [""; 0], "{name}");
    }
}

#[test]
fn a_later_release_beside_the_base_is_told_by_few_files() {
    let later = (0..8).fold(Layer::new().files("usr/lib", 1, 0..300), |layer, index| {
        layer.file(&format!("usr/lib/{index:04}"), 7, index)
    });
    let later = image("debian:12.1").created("2026-03-01T00:00:00Z").layer(later);
    let stored = store(&[debian(), later.clone()]);
    let copied = later.moved("opt/other").layers.remove(0);
    let mut mixed = app(debian());
    mixed.layers.push(copied);
    let found = stored.find(&mixed);
    assert_eq!(found.base.unwrap().names, ["debian:12"]);
    assert_eq!(told(&found.cover), ["debian:12.1 300/300 1.00 usr/lib:opt/other/usr/lib"]);
}

#[test]
fn a_folder_copied_over_the_base_s_own_is_a_part() {
    let other = Layer::new().files("usr/lib", 11, 0..100).files("usr/share/other", 12, 0..300);
    let stored = store(&[debian(), image("other:1").layer(other)]);
    let mixed = app(debian()).layer(Layer::new().files("usr/lib", 11, 0..100));
    let found = stored.find(&mixed);
    assert_eq!(found.base.unwrap().names, ["debian:12"]);
    assert_eq!(told(&found.cover), ["other:1 100/100 0.25 usr/lib:usr/lib"]);
}

#[test]
fn a_folder_upgraded_to_a_later_version_is_no_part() {
    let release = |name: &str, changed: u64| {
        let lib = Layer::new().files("usr/lib", changed, 0..40).files("usr/lib", 1, 40..300);
        let all = lib.files("usr/share", changed, 300..360).files("usr/share", 1, 360..500);
        image(name).created("2026-01-01T00:00:00Z").layer(all)
    };
    let stored = store(&[release("debian:12", 1), release("debian:12.1", 7)]);
    let upgraded = app(release("debian:12", 1)).layer(Layer::new().files("usr/lib", 7, 0..40)).squashed();
    let found = stored.find(&upgraded);
    assert_eq!(found.base.unwrap().names, ["debian:12"]);
    assert_eq!(told(&found.cover), [""; 0]);
}

#[test]
fn a_small_part_at_its_own_place_is_told_if_one_repository_has_it() {
    let common = || Layer::new().files("usr/share/ca", 9, 0..30);
    let holder = |name: &str, seed| {
        image(name).layer(Layer::new().files(&format!("usr/lib/{seed}"), seed, 0..80)).layer(common())
    };
    let (nginx, other) = (holder("nginx:1", 41), holder("other:1", 42));
    let image = app(alpine()).layer(common());
    let one = store(&[alpine(), nginx.clone()]).find(&image);
    assert_eq!(told(&one.cover), ["nginx:1 30/30 0.27 usr/share/ca:usr/share/ca"]);
    let two = store(&[alpine(), nginx, other]).find(&image);
    assert_eq!(told(&two.cover), [""; 0]);
}

#[test]
fn all_who_hold_a_part_are_named_but_not_who_has_it_from_them() {
    let go = || Layer::new().files("usr/local/go", 2, 0..120);
    let first = image("golang:1").created("2026-01-01T00:00:00Z").layer(go());
    let second = image("golang:1-full").created("2026-01-01T00:00:00Z");
    let second = second.layer(go()).layer(Layer::new().files("usr/share", 5, 0..80)).squashed();
    let on_first = first.clone().named("builder:1").layer(Layer::new().files("usr/share", 6, 0..20));
    let squashed = on_first.clone().named("builder:2").created("2026-02-01T00:00:00Z").squashed();
    let assembled = app(alpine()).named("other-app:1").layer(Layer::new().files("go", 2, 0..120));
    let stored = store(&[alpine(), first, second, on_first, squashed, assembled]);
    let image = alpine().created("2026-05-01T00:00:00Z").layer(Layer::new().files("go", 2, 0..120));
    let expected = ["golang:1+golang:1-full 120/120 1.00 usr/local/go:go"];
    // Another application that was put together likewise holds the part, too, at the very same place.
    let found = stored.find(&image.named("app:2").layer(Layer::new().files("srv/2", 101, 0..40)));
    assert_eq!(told(&found.cover), expected);
}

#[test]
fn an_image_of_which_only_parts_are_known_is_covered_without_a_base() {
    let stored = store(&[debian(), golang(), alpine()]);
    let go = Layer::new().files("usr/local/go/src", 2, 0..120).files("usr/local/go/pkg", 3, 0..80);
    let found = stored.find(&image("scratch:1").layer(go).layer(Layer::new().files("srv", 50, 0..500)));
    assert_eq!(common::told(&found), "none");
    assert_eq!(told(&found.cover), ["golang:1 200/200 0.40 usr/local/go:usr/local/go"]);
}

#[test]
fn a_moved_tree_is_at_its_own_place() {
    let tools = Layer::new().files("usr/share/tools", 5, 0..60).files("var/lib/tools", 5, 60..90);
    let stored = store(&[debian(), alpine().named("tools:1").layer(tools.clone())]);
    // Two packages beside the base's files, all of it below another root: no more copied than at the root.
    let image = debian().layer(tools).moved("rootfs").named("app:1");
    let found = stored.find(&image);
    assert_eq!(found.base.unwrap().files.moved_to.as_deref(), Some("rootfs"));
    assert_eq!(told(&found.cover), [""; 0]);
}
