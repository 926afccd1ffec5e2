//! Stories of images on the same base.

use crate::common::{Image, Layer, Stored, image, store};
use layerprint_query::{Subject, siblings};

fn debian() -> Image {
    image("debian:12").layer(Layer::new().files("usr/lib", 1, 0..300))
}

fn app(base: Image, seed: u64) -> Image {
    base.named(&format!("app{seed}")).layer(Layer::new().files(&format!("srv/{seed}"), 100 + seed, 0..40))
}

/// The base, and each sibling; one with the same contents with a mark.
fn told(stored: &Stored, subject: &Subject) -> (Option<String>, Vec<String>) {
    let found = siblings(&stored.index(), subject, "app", &|_| ()).unwrap();
    let mark = |same| if same { " same" } else { "" };
    let tell = |sibling: &layerprint_query::Sibling| {
        format!("{}{}", sibling.child.image.names.join("+"), mark(sibling.same))
    };
    (found.finding.base.map(|base| base.names.join("+")), found.siblings.iter().map(tell).collect())
}

#[test]
fn whatever_is_built_on_the_same_base_is_a_sibling() {
    let python = debian().named("python:3").layer(Layer::new().files("opt/python", 3, 0..200));
    let stored = store(&[
        debian(),
        debian().named("debian:bookworm").created("2026-01-01T00:00:00Z"),
        debian().named("debian:any").on("", ""),
        app(debian(), 1),
        app(debian(), 1).named("app1:again").squashed(),
        app(debian(), 2).rebuilt(),
        // On the member of the tie that does not say what it runs on.
        app(debian(), 3).on("linux", "arm64"),
        app(python.clone(), 4),
        python,
        image("own:1").layer(Layer::new().files("srv", 50, 0..300)),
    ]);
    let tie = "debian:12+debian:any+debian:bookworm".to_owned();
    let expected = ["app1:again same", "app2", "app3", "python:3"].map(str::to_owned).to_vec();
    let index = stored.index();
    let of_stored = Subject::stored(&index, &app(debian(), 1).record().id).unwrap();
    assert_eq!(told(&stored, &of_stored), (Some(tie.clone()), expected));
    // One that is not stored has all of them.
    let expected = ["app1", "app1:again", "app2", "app3", "python:3"].map(str::to_owned).to_vec();
    assert_eq!(told(&stored, &app(debian(), 9).subject()), (Some(tie), expected));
}

#[test]
fn an_image_without_a_base_has_none() {
    let stored = store(&[debian(), app(debian(), 1)]);
    let other = image("own:1").layer(Layer::new().files("srv", 50, 0..300));
    assert_eq!(told(&stored, &other.subject()), (None, Vec::new()));
    let alone = store(&[debian(), app(debian(), 1)]);
    assert_eq!(told(&alone, &app(debian(), 1).subject()), (Some("debian:12".into()), Vec::new()));
}
