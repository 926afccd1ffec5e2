//! Stories of the question who has a file, each answer held to what a plain merge of all layers says.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::{Image, Layer, content, image, store, whole};
use layerprint_query::{Asked, Holding, who_has};
use layerprint_store::id::ContentId;
use layerprint_store::{Content, EntryKind, Index, MergedView, PathBytes};
use proptest::prelude::*;

fn jar() -> Content {
    content(7, 7)
}

fn debian() -> Image {
    image("debian:12").layer(Layer::new().files("usr/lib", 1, 0..20))
}

fn with_jar() -> Image {
    debian().named("jar:1").layer(Layer::new().content("opt/log4j.jar", jar()))
}

fn file(content: Content) -> EntryKind {
    EntryKind::File { content, linked: false }
}

fn shown(paths: &[PathBytes]) -> String {
    paths.iter().map(|path| path.escape_ascii().to_string()).collect::<Vec<_>>().join(",")
}

/// Each image in a line: its name, where the file is seen, and the layers that have it.
fn told(holdings: &[Holding]) -> Vec<String> {
    let tell = |holding: &Holding| {
        let seen = if holding.is_visible() { shown(&holding.paths) } else { "hidden".to_owned() };
        let layers =
            holding.layers.iter().map(|layer| format!(" {}:{}", layer.position, shown(&layer.paths)));
        format!("{} {seen}{}", holding.image.names.join("+"), layers.collect::<String>())
    };
    holdings.iter().map(tell).collect()
}

/// Asks, and counts the layers that were read for it.
fn ask(index: &Index, content: &ContentId) -> (Vec<String>, u64) {
    let (total, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let on_read = |event| match event {
        Asked::Total(number) => total.store(number, Ordering::Relaxed),
        Asked::One => _ = done.fetch_add(1, Ordering::Relaxed),
    };
    let holdings = whole(who_has(index, content, &on_read));
    assert_eq!(
        total.load(Ordering::Relaxed),
        done.load(Ordering::Relaxed),
        "all that was announced was read"
    );
    (told(&holdings), done.into_inner())
}

#[test]
fn whoever_has_a_file_is_told_with_the_layers_and_paths() {
    let images = [
        debian(),
        with_jar(),
        with_jar().named("deleted:1").layer(Layer::new().whiteout("opt/log4j.jar")),
        with_jar().named("folder-deleted:1").layer(Layer::new().whiteout("opt")),
        with_jar().named("replaced:1").layer(Layer::new().file("opt/log4j.jar", 8, 1)),
        with_jar().named("folder-replaced:1").layer(Layer::new().file("opt", 8, 2)),
        with_jar().named("opaque:1").layer(Layer::new().put(b"opt", EntryKind::Opaque)),
        with_jar().named("again:1").layer(Layer::new().content("srv/app.jar", jar()).file("srv/x", 8, 3)),
        with_jar()
            .named("back:1")
            .layer(Layer::new().whiteout("opt/log4j.jar"))
            .layer(Layer::new().content("lib/a.jar", jar())),
        with_jar().named("squashed:1").squashed(),
        with_jar().named("clean:1").layer(Layer::new().whiteout("opt/log4j.jar")).squashed(),
        debian().named("bytes:1").layer(Layer::new().put(b"opt/caf\xe9\n.jar", file(jar()))),
        debian().named("twice:1").layer(Layer::new().content("b.jar", jar()).content("a.jar", jar())),
        image("other:1").layer(Layer::new().files("srv", 9, 0..20)),
    ];
    let stored = store(&images);
    let expected = [
        "again:1 opt/log4j.jar,srv/app.jar 1:opt/log4j.jar 2:srv/app.jar",
        "back:1 lib/a.jar 1:opt/log4j.jar 3:lib/a.jar",
        "bytes:1 opt/caf\\xe9\\n.jar 1:opt/caf\\xe9\\n.jar",
        "deleted:1 hidden 1:opt/log4j.jar",
        "folder-deleted:1 hidden 1:opt/log4j.jar",
        "folder-replaced:1 hidden 1:opt/log4j.jar",
        "jar:1 opt/log4j.jar 1:opt/log4j.jar",
        "opaque:1 hidden 1:opt/log4j.jar",
        "replaced:1 hidden 1:opt/log4j.jar",
        "squashed:1 opt/log4j.jar 0:opt/log4j.jar",
        "twice:1 a.jar,b.jar 1:a.jar,b.jar",
    ];
    assert_eq!(ask(&stored.index(), &jar().id).0, expected);
    let nobody = (Vec::<String>::new(), 0);
    assert_eq!(ask(&stored.index(), &content(1000, 1).id), nobody);
}

#[test]
fn hard_links_are_followed_and_hidden_as_files_are() {
    let link = |target: &[u8]| EntryKind::HardLink(target.into());
    let linked = with_jar()
        .named("linked:1")
        .layer(Layer::new().whiteout("opt/log4j.jar").put(b"srv/link", link(b"opt/log4j.jar")))
        .layer(Layer::new().put(b"srv/more", link(b"srv/link")));
    let gone = linked.clone().named("gone:1").layer(Layer::new().whiteouts("none", 0..1).whiteout("srv"));
    let chain = (0..40).fold(with_jar().named("chain:1"), |image, step| {
        let target = if step == 0 { "opt/log4j.jar".to_owned() } else { format!("l/{}", step - 1) };
        image.layer(
            Layer::new().put(format!("l/{step}").as_bytes(), link(target.as_bytes())).whiteout(&target),
        )
    });
    let stored = store(&[linked, gone, chain]);
    let expected = [
        "chain:1 l/39 1:opt/log4j.jar",
        "gone:1 hidden 1:opt/log4j.jar",
        "linked:1 srv/link,srv/more 1:opt/log4j.jar",
    ];
    assert_eq!(ask(&stored.index(), &jar().id).0, expected);
}

#[test]
fn a_layer_that_many_images_share_is_read_once() {
    let base = with_jar();
    let apps: Vec<Image> = (0..300).map(|index| base.clone().named(&format!("app:{index:03}"))).collect();
    let apps: Vec<Image> = apps
        .into_iter()
        .zip(0..)
        .map(|(app, own)| app.created(&format!("2026-01-01T00:00:{own}Z")))
        .collect();
    let stored = store(&apps);
    let (told, layers_read) = ask(&stored.index(), &jar().id);
    assert_eq!((told.len(), layers_read), (300, 1));
    assert_eq!(told[299], "app:299 opt/log4j.jar 1:opt/log4j.jar");
    // The layer below has nothing to do with it, and is not read.
    let (told, layers_read) = ask(&stored.index(), &content(1, 3).id);
    assert_eq!((told.len(), layers_read), (300, 2));
}

#[test]
fn what_is_forgotten_or_comes_later_is_known() {
    let stored = store(&[with_jar(), with_jar().named("squashed:1").squashed()]);
    stored.index();
    stored.put(&debian().named("late:1").layer(Layer::new().content("late.jar", jar())));
    let expected = [
        "jar:1 opt/log4j.jar 1:opt/log4j.jar",
        "late:1 late.jar 1:late.jar",
        "squashed:1 opt/log4j.jar 0:opt/log4j.jar",
    ];
    assert_eq!(ask(&stored.index(), &jar().id).0, expected);
    stored.store.forget(&[with_jar().record().id]).unwrap();
    assert_eq!(ask(&stored.index(), &jar().id).0, &expected[1..]);
}

#[test]
fn contents_with_the_same_first_64_bits_are_told_apart() {
    let mut bytes = *jar().id.as_bytes();
    bytes[31] ^= 1;
    let twin = Content { id: ContentId::from_bytes(bytes), ..jar() };
    let images = [
        debian().named("only-twin:1").layer(Layer::new().content("twin.jar", twin)),
        // The index knows only that the key came with the twin, and never goes.
        debian()
            .named("both:1")
            .layer(Layer::new().content("twin.jar", twin))
            .layer(Layer::new().content("log4j.jar", jar()))
            .layer(Layer::new().whiteout("log4j.jar")),
    ];
    let stored = store(&images);
    assert_eq!(ask(&stored.index(), &jar().id).0, ["both:1 hidden 2:log4j.jar"]);
    assert_eq!(
        ask(&stored.index(), &twin.id).0,
        ["both:1 twin.jar 1:twin.jar", "only-twin:1 twin.jar 1:twin.jar"]
    );
}

/// What is done to one of few paths.
fn entry() -> impl Strategy<Value = (&'static str, EntryKind)> {
    let path = prop::sample::select(vec!["", "a", "a/b", "a/b/c", "a/d", "e", "e/f", "g"]);
    let target = prop::sample::select(vec!["a", "a/b", "a/d", "e/f", "g"]);
    let kind = prop_oneof![
        4 => (0..3_u64).prop_map(|index| file(content(7, 7 + index))),
        2 => Just(EntryKind::Whiteout),
        1 => Just(EntryKind::Opaque),
        2 => Just(EntryKind::Directory),
        2 => target.prop_map(|target| EntryKind::HardLink(target.as_bytes().into())),
    ];
    (path, kind)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_told_is_what_merging_everything_says(
        stacks in prop::collection::vec(prop::collection::vec(prop::collection::vec(entry(), 0..5), 1..5), 1..5)
    ) {
        let images: Vec<Image> = stacks.iter().zip(0..).map(|(stack, number)| {
            stack.iter().fold(image(&format!("image:{number}")), |image, entries| {
                let put = |layer: Layer, (path, kind): &(&str, EntryKind)| match (path.is_empty(), kind) {
                    (true, EntryKind::Opaque | EntryKind::Directory) => layer.put(b"", kind.clone()),
                    (true, _) => layer,
                    (false, _) => layer.put(path.as_bytes(), kind.clone()),
                };
                image.layer(entries.iter().fold(Layer::new(), put))
            })
        }).collect();
        let stored = store(&images);
        let found = whole(who_has(&stored.index(), &jar().id, &|_| ()));
        let mut expected = Vec::new();
        for image in &images {
            let view = MergedView::of(image.layers.iter().map(|layer| &**layer));
            let seen: Vec<PathBytes> =
                view.files().filter(|(_, held)| held.id == jar().id).map(|(path, _)| path.into()).collect();
            // Some file of the layer has been seen by whoever stood on it, or nobody ever saw it.
            let was_seen = (1..=image.layers.len()).any(|end| {
                let below = MergedView::of(image.layers[..end].iter().map(|layer| &**layer));
                below.files().any(|(_, held)| held.id == jar().id)
            });
            let holds = |layer: &layerprint_store::Fingerprint| {
                layer.entries().iter().any(|entry| entry.content().is_some_and(|held| held.id == jar().id))
            };
            let first = (1..=image.layers.len()).find(|end| {
                let below = MergedView::of(image.layers[..*end].iter().map(|layer| &**layer));
                below.files().any(|(_, held)| held.id == jar().id)
            });
            let layers: Vec<usize> = (0..image.layers.len())
                .filter(|layer| first.is_some_and(|first| layer + 1 >= first) && holds(&image.layers[*layer]))
                .collect();
            if was_seen {
                expected.push((image.name.clone(), seen, layers));
            }
        }
        let found: Vec<_> = found.into_iter().map(|holding| {
            let layers = holding.layers.iter().map(|layer| layer.position).collect();
            (holding.image.names[0].clone(), holding.paths, layers)
        }).collect();
        prop_assert_eq!(found, expected);
    }
}
