//! What images take, added up by hand beside it.

use crate::common::{Layer, content, image, store, whole};
use layerprint_query::{Storage, storage};
use layerprint_store::EntryKind;
use layerprint_store::id::ImageId;

fn bytes(seed: u64, range: std::ops::Range<u64>) -> u64 {
    range.map(|index| content(seed, index).size_bytes).sum()
}

#[test]
fn each_layer_and_each_content_counts_once() {
    let base = image("base:1").layer(Layer::new().files("usr", 1, 0..10).empty("etc/empty"));
    let app = base.clone().named("app:1").layer(Layer::new().files("srv", 2, 0..5).file("copy", 1, 3));
    let linked = EntryKind::File { content: content(3, 0), linked: true };
    let links = image("links:1").layer(Layer::new().file("a", 3, 0).put(b"b", linked).file("c", 3, 0));
    let squashed = app.clone().named("squashed:1").squashed();
    let images = [base.clone(), app.clone(), squashed, links.clone()];
    let stored = store(&images);
    let ids: Vec<ImageId> = images.iter().map(|image| image.record().id).collect();
    let (one, two, three) = (bytes(1, 0..10), bytes(2, 0..5), bytes(3, 0..1));
    let copy = bytes(1, 3..4);
    // Two of the three names of the last image have bytes of their own in the archive.
    let layer_bytes = one + (two + copy) + (one + two + copy) + 2 * three;
    let content_bytes = one + two + three;
    let expected = Storage {
        images: 4,
        image_bytes: layer_bytes + one,
        layers: 4,
        layer_bytes,
        contents: 16,
        content_bytes,
        shared_by_content_bytes: layer_bytes - content_bytes,
    };
    let index = stored.index();
    assert_eq!(whole(storage(&index, &ids, &|_| ())), expected);
    // Named twice, or not stored: counted once, or not at all.
    let more = [&ids[..], &ids[..2], &[ImageId::from_bytes([1; 32])]].concat();
    assert_eq!(whole(storage(&index, &more, &|_| ())), expected);
    assert_eq!(whole(storage(&index, &[], &|_| ())), Storage::default());
    let alone = whole(storage(&index, &ids[..1], &|_| ()));
    assert_eq!((alone.image_bytes, alone.layer_bytes, alone.content_bytes), (one, one, one));
}
