//! Stories of the question asked the other way round.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::{Image, Layer, Stored, image, store};
use layerprint_query::{Asked, children};

fn debian() -> Image {
    image("debian:12").layer(Layer::new().files("usr/lib", 1, 0..300))
}

fn python() -> Image {
    debian().named("python:3").layer(Layer::new().files("opt/python", 3, 0..200))
}

fn app(base: Image, seed: u64) -> Image {
    base.named(&format!("app{seed}")).layer(Layer::new().files(&format!("srv/{seed}"), 100 + seed, 0..40))
}

/// Each child in a line: its name, by what, how much it kept, and what stands between.
fn told(stored: &Stored, base: &Image, transitive: bool) -> Vec<String> {
    let asked = AtomicU64::new(0);
    let on_asked = |event| {
        if let Asked::Total(number) = event {
            asked.store(number, Ordering::Relaxed);
        } else {
            asked.fetch_sub(1, Ordering::Relaxed);
        }
    };
    let found = children(&stored.index(), &base.record().id, transitive, &on_asked).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 0, "everybody who was announced was asked");
    let tell = |child: &layerprint_query::Child| {
        let evidence = serde_json::to_value(child.evidence).unwrap();
        let kept = format!("{}/{}", child.contents.present, child.contents.total);
        let via: String = child.via.iter().map(|tie| format!(" > {}", tie.join("+"))).collect();
        format!("{} {} {kept}{via}", child.image.names.join("+"), evidence.as_str().unwrap())
    };
    found.iter().map(tell).collect()
}

#[test]
fn whatever_is_built_on_an_image_is_listed() {
    let images = [
        debian(),
        python(),
        app(debian(), 1),
        app(debian(), 2).squashed(),
        app(debian(), 3).rebuilt(),
        app(python(), 4),
        app(python(), 5).squashed(),
        // As large as you like, on a small base.
        debian().named("large:1").layer(Layer::new().files("srv/large", 70, 0..9_000)).squashed(),
        image("own:1").layer(Layer::new().files("srv", 50, 0..300)),
    ];
    let stored = store(&images);
    let direct = [
        "app1 chain-id 300/300",
        "app2 content 300/300",
        "app3 content 300/300",
        "large:1 content 300/300",
        "python:3 chain-id 300/300",
    ];
    assert_eq!(told(&stored, &debian(), false), direct);
    let all = [
        "app1 chain-id 300/300",
        "app2 content 300/300",
        "app3 content 300/300",
        "app4 chain-id 300/300 > python:3",
        "app5 content 300/300 > python:3",
        "large:1 content 300/300",
        "python:3 chain-id 300/300",
    ];
    assert_eq!(told(&stored, &debian(), true), all);
    assert_eq!(told(&stored, &python(), false), ["app4 chain-id 500/500", "app5 content 500/500"]);
    assert_eq!(told(&stored, &images[8], true), [""; 0]);
}

#[test]
fn an_image_that_hides_its_base_is_listed_by_its_layers() {
    let hides = app(debian(), 1).layer(Layer::new().whiteouts("usr/lib", 0..300));
    let stored = store(&[debian(), hides]);
    assert_eq!(told(&stored, &debian(), false), ["app1 chain-id 0/300"]);
}

#[test]
fn ties_are_no_children_of_each_other() {
    let twin = debian().named("debian:bookworm").created("2026-01-01T00:00:00Z");
    let stored = store(&[debian(), twin.clone(), app(debian(), 1).squashed()]);
    for base in [debian(), twin] {
        assert_eq!(told(&stored, &base, true), ["app1 content 300/300"], "{}", base.name);
    }
}

#[test]
fn an_image_without_contents_has_no_children() {
    let empty = image("empty:1").layer(Layer::new().empty("etc/motd"));
    let stored = store(&[empty.clone(), empty.clone().named("on-empty:1").layer(Layer::new().empty("a"))]);
    assert_eq!(told(&stored, &empty, true), [""; 0]);
}
