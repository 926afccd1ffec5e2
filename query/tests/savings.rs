//! Stories of what could be shared with a base.

use crate::common::{Image, Layer, content, image, store, whole};
use layerprint_query::{Group, savings};
use layerprint_store::id::ImageId;

fn debian() -> Image {
    image("debian:12").layer(Layer::new().files("usr/lib", 1, 0..300))
}

fn alpine() -> Image {
    image("alpine:3").layer(Layer::new().files("lib", 2, 0..200))
}

fn app(base: Image, seed: u64) -> Image {
    base.named(&format!("app{seed}")).layer(Layer::new().files(&format!("srv/{seed}"), 100 + seed, 0..40))
}

fn bytes(seed: u64, range: std::ops::Range<u64>) -> u64 {
    range.map(|index| content(seed, index).size_bytes).sum()
}

#[test]
fn each_layer_that_holds_the_base_again_counts_once() {
    let rebuilt = app(debian(), 2).rebuilt();
    let images = [
        debian(),
        alpine(),
        // Shares the base's layer: nothing to save.
        app(debian(), 1),
        rebuilt.clone(),
        // Shares the rebuilt layers with the one before, and is another image.
        rebuilt.named("app2:again").created("2026-01-01T00:00:00Z"),
        app(debian(), 3).squashed(),
        app(alpine(), 4).squashed(),
        image("own:1").layer(Layer::new().files("srv", 50, 0..300)),
    ];
    let stored = store(&images);
    let index = stored.index();
    let ids: Vec<ImageId> = images.iter().map(|image| image.record().id).collect();
    let own = |seed: u64| bytes(100 + seed, 0..40);
    let (debian_bytes, alpine_bytes) = (bytes(1, 0..300), bytes(2, 0..200));
    let expected = [
        Group {
            base: vec!["debian:12".into()],
            images: 3,
            layers: 3,
            bytes: 2 * debian_bytes + own(2) + own(3),
            saved_bytes: 2 * debian_bytes,
        },
        Group {
            base: vec!["alpine:3".into()],
            images: 1,
            layers: 1,
            bytes: alpine_bytes + own(4),
            saved_bytes: alpine_bytes,
        },
    ];
    for threads in [1, 2, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = whole(pool.install(|| savings(&index, &ids, &|_| ())));
        assert_eq!(found.groups(), expected, "{threads} threads");
    }
    let shares_layers = [ids[0], ids[2]];
    assert_eq!(whole(savings(&index, &shares_layers, &|_| ())).groups(), []);
}
