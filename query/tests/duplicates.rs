//! Stories of images and layers that are there twice.

use crate::common::{Image, Layer, Stored, content, image, store, whole};
use layerprint_query::{EqualLayers, Nearness, equal_images, equal_layers};

fn debian() -> Image {
    image("debian:12").layer(Layer::new().files("usr/lib", 1, 0..300))
}

fn bytes(seed: u64, range: std::ops::Range<u64>) -> u64 {
    range.map(|index| content(seed, index).size_bytes).sum()
}

/// Each group in a line: images with what they take and save.
fn images(stored: &Stored) -> Vec<String> {
    let groups = whole(equal_images(&stored.index()));
    let tell = |group: &layerprint_query::EqualImages| {
        let members = group.members.iter().map(|member| {
            format!("{} {}/{}", member.image.names.join("+"), member.saved_bytes, member.bytes)
        });
        members.collect::<Vec<_>>().join(", ")
    };
    groups.iter().map(tell).collect()
}

/// Each group in a line: the images of each layer, its share and what it saves.
fn layers(groups: &[EqualLayers]) -> Vec<String> {
    let tell = |group: &EqualLayers| {
        let members = group.members.iter().map(|member| {
            let images: Vec<String> = member.images.iter().map(|image| image.names.join("+")).collect();
            format!("{} {:.3} {}", images.join("+"), member.share, member.saved_bytes)
        });
        members.collect::<Vec<_>>().join(", ")
    };
    groups.iter().map(tell).collect()
}

fn near(stored: &Stored, share_min: f64, size_bytes_min: u64) -> Vec<String> {
    layers(&whole(equal_layers(&stored.index(), Nearness { share_min, size_bytes_min }, &|_| ())))
}

#[test]
fn images_with_the_same_contents_are_a_group() {
    let app = debian().named("app:1").layer(Layer::new().files("srv", 2, 0..40).whiteout("usr/lib/0000"));
    let twice = debian().named("twice:1").layer(Layer::new().files("copy", 1, 0..300));
    let stored = store(&[
        debian(),
        debian().named("debian:bookworm").created("2026-01-01T00:00:00Z"),
        twice,
        app.clone(),
        app.clone().named("squashed:1").squashed(),
        app.named("rebuilt:1").rebuilt(),
        image("empty:1").layer(Layer::new().empty("a")),
        image("empty:2").layer(Layer::new().empty("b")),
        image("own:1").layer(Layer::new().files("srv", 50, 0..300)),
    ]);
    let (base, own) = (bytes(1, 0..300), bytes(2, 0..40));
    let squashed = base + own - content(1, 0).size_bytes;
    let both = base + own;
    let expected = [
        // The one whose base is there anyway could stand for all.
        format!("app:1 0/{both}, rebuilt:1 {both}/{both}, squashed:1 {squashed}/{squashed}"),
        // What others have is stored anyway.
        format!("debian:12 0/{base}, debian:bookworm 0/{base}, twice:1 {base}/{}", 2 * base),
    ];
    assert_eq!(images(&stored), expected);
}

#[test]
fn layers_with_nearly_the_same_files_are_a_group() {
    let files = |name: &str, layer: Layer| image(name).layer(layer);
    let lib = || Layer::new().files("usr/lib", 1, 0..300);
    let images = [
        files("a:1", lib()),
        files("a:rebuilt", lib()).rebuilt(),
        files("a:moved", lib()).moved("opt"),
        // 300 of 310.
        files("a:more", lib().files("more", 2, 0..10)),
        // 200 of 300: half of it is not enough, but for whom asks for less.
        files("a:less", Layer::new().files("usr/lib", 1, 0..200)),
        files("small:1", Layer::new().files("s", 4, 0..3)),
        files("small:2", Layer::new().files("t", 4, 0..3)),
        files("other:1", Layer::new().files("srv", 3, 0..300)),
        // The same layer under another name is one layer.
        files("a:again", lib()).created("2026-01-01T00:00:00Z"),
    ];
    let stored = store(&images);
    let (lib, small) = (bytes(1, 0..300), bytes(4, 0..3));
    let (own, size_bytes_min) = (bytes(2, 0..10), small + 1);
    let with_more: u64 = lib + own;
    #[expect(clippy::cast_precision_loss, reason = "sizes of a test are small")]
    let share = format!("{:.3}", lib as f64 / with_more as f64);
    let groups = near(&stored, 0.9, size_bytes_min);
    assert_eq!(groups.len(), 1, "{groups:?}");
    let mut members: Vec<&str> = groups[0].split(", ").collect();
    assert_eq!(members.remove(0), "a:more 1.000 0");
    members.sort_unstable();
    let expected = ["a:1+a:again", "a:moved", "a:rebuilt"].map(|image| format!("{image} {share} {lib}"));
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(members, expected);
    // Only what is the very same; of any size.
    let same = near(&stored, 1.0, 0);
    let shares: Vec<Vec<&str>> = same
        .iter()
        .map(|group| group.split(", ").map(|member| member.split(' ').nth(1).unwrap()).collect())
        .collect();
    assert_eq!(shares, [vec!["1.000"; 3], vec!["1.000"; 2]]);
    assert!(same[0].contains("a:1+a:again ") && same[1].contains("small:2 "), "{same:?}");
    assert!(near(&stored, 0.6, size_bytes_min)[0].contains("a:less 0.6"));
    assert_eq!(near(&stored, 0.9, lib * 2), [""; 0]);
}

#[test]
fn threads_make_no_difference() {
    let layer = |seed: u64, more: u64| Layer::new().files("a", seed, 0..200).files("b", 100 + seed, 0..more);
    let images: Vec<Image> = (0..60_u64)
        .map(|number| image(&format!("image:{number}")).layer(layer(number / 6, number % 6)))
        .collect();
    let stored = store(&images);
    let index = stored.index();
    let ask = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        whole(pool.install(|| equal_layers(&index, Nearness::default(), &|_| ())))
    };
    let told = ask(1);
    assert_eq!((told.len(), told.iter().map(|group| group.members.len()).sum::<usize>()), (10, 60));
    assert!(ask(2) == told && ask(8) == told);
}
