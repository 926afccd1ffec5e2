//! The questions that a store answers, typed as users do: whole outputs, in all three forms.

use crate::support::{BASE_FILES, Ran, World, base, files, other, short};
use layerprint_ingest::write::Layer;
use serde_json::{Value, json};

fn done(stdout: &str) -> Ran {
    Ran { status: 0, stdout: stdout.into(), stderr: String::new() }
}

fn failed(stderr: &str) -> Ran {
    Ran { status: 2, stdout: String::new(), stderr: stderr.into() }
}

/// Rows of CSV without their header, as a parser reads them.
fn csv_rows(csv: &str, header: &str) -> Vec<Vec<String>> {
    assert_eq!(csv.lines().next(), Some(header));
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

const JAR: &str = "a hole for everybody\n";

/// An image with a bad file, one that deleted it, and one without.
fn with_jar() -> World {
    let world = World::with_base();
    let jar = base().named("jar:1").layer(Layer::new().file("opt/a.jar", JAR).file("opt/b.jar", JAR));
    let deleted =
        jar.clone().named("=deleted:1").layer(Layer::new().whiteout("opt/a.jar").whiteout("opt/b.jar"));
    world.save("images.tar", &[jar, deleted, other()]);
    assert_eq!(world.run(&["ingest", "images.tar"]).status, 0);
    std::fs::write(world.path("bad.jar"), JAR).unwrap();
    std::fs::write(world.path("good.jar"), "no hole\n").unwrap();
    world
}

/// IDs of the images of a world, by their first name.
fn id_of(world: &World, name: &str) -> Value {
    let listed = world.json(&["list", "--json"]);
    listed.iter().find(|image| image["names"][0] == name).unwrap()["id"].clone()
}

fn layers_of(world: &World, name: &str) -> Vec<Value> {
    let listed = world.json(&["list", "--json"]);
    listed.iter().find(|image| image["names"][0] == name).unwrap()["layers"].as_array().unwrap().clone()
}

fn shortened(id: &Value) -> String {
    id.as_str().unwrap()["sha256:".len()..][..12].to_owned()
}

#[test]
fn who_has_a_file_is_told_with_layers_and_paths() {
    let world = with_jar();
    let (jar, deleted) = (id_of(&world, "jar:1"), id_of(&world, "=deleted:1"));
    let layer = &layers_of(&world, "jar:1")[1];
    let hash = blake3::hash(JAR.as_bytes()).to_hex();
    let text = format!(
        "\
IMAGE ID      PLATFORM     STATE    NAMES       LAYERS AND PATHS
{}  linux/amd64  hidden   =deleted:1  {} opt/a.jar, opt/b.jar
{}  linux/amd64  visible  jar:1       {1} opt/a.jar, opt/b.jar
",
        shortened(&deleted),
        shortened(layer),
        shortened(&jar)
    );
    for asked in ["bad.jar", &hash, &format!("blake3:{hash}"), &hash.to_uppercase()] {
        assert_eq!(world.run(&["who-has", asked]), done(&text), "{asked}");
    }
    assert_eq!(world.pipe("bad.jar", &["who-has", "-"]), done(&text));
    let told = world.json(&["who-has", "--json", "bad.jar"]);
    let expected = json!({
        "asked": "bad.jar", "content": format!("blake3:{hash}"), "id": jar, "names": ["jar:1"],
        "platform": "linux/amd64", "created": "2026-01-01T00:00:00Z", "state": "visible",
        "paths": ["opt/a.jar", "opt/b.jar"],
        "layers": [{"position": 1, "diff_id": layer, "paths": ["opt/a.jar", "opt/b.jar"]}],
    });
    assert_eq!((told.len(), &told[1]), (2, &expected));
    let csv = world.run(&["who-has", "--csv", "bad.jar"]).stdout;
    let rows = csv_rows(&csv, "asked,content,id,platform,state,names,created,paths,layers");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let cells =
        ["bad.jar", &format!("blake3:{hash}"), &text(&deleted), "linux/amd64", "hidden", "'=deleted:1"];
    assert_eq!(rows[0], [&cells[..], &["2026-01-01T00:00:00Z", "", &text(layer)]].concat());
    assert_eq!(rows[1][7], "opt/a.jar; opt/b.jar");
}

#[test]
fn several_files_may_be_asked_for_and_what_cannot_be_is_told() {
    let world = with_jar();
    let nobody = |asked: &str, text: &str| {
        format!("{asked}: no stored image has blake3:{}\n", blake3::hash(text.as_bytes()).to_hex())
    };
    let none = Ran { status: 1, stderr: nobody("good.jar", "no hole\n"), ..done("") };
    assert_eq!(world.run(&["who-has", "good.jar"]), none);
    let both = world.run(&["who-has", "good.jar", "bad.jar"]);
    assert_eq!((both.status, both.stdout.lines().count()), (0, 3));
    assert!(both.stdout.starts_with("ASKED    IMAGE ID"), "{}", both.stdout);
    let sha256 = format!("sha256:{}", "0f".repeat(32));
    let other = format!(
        "error: {sha256}: contents are known by BLAKE3, not SHA256\nhint: give the file itself, or what `b3sum FILE` \
         prints; `layerprint show --files` lists the hashes of an image\n"
    );
    assert_eq!(world.run(&["who-has", &sha256]), failed(&other));
    std::fs::write(world.path("empty"), "").unwrap();
    let empty =
        "error: empty: this is the empty file, which nearly every image has and which is never counted\n";
    assert_eq!(world.run(&["who-has", "empty"]), failed(empty));
    let absent = world.run(&["who-has", "absent.jar", "bad.jar"]);
    assert_eq!((absent.status, absent.stdout.lines().count()), (2, 3), "the others are answered for");
    let told = "error: absent.jar: No such file or directory (os error 2)\n\
                hint: give a file, or all 64 digits of the BLAKE3 hash of its bytes\n";
    assert_eq!(absent.stderr, told);
    assert_eq!(world.run(&["who-has", "--json", "--csv", "bad.jar"]).status, 2);
}

#[test]
fn children_and_list_are_written_as_csv() {
    let world = World::with_base();
    let written = world.save("child.tar", &[base().named("child:1").layer(files("srv", 30))]);
    assert_eq!(world.run(&["ingest", "child.tar"]).status, 0);
    let csv = world.run(&["children", "--csv", "base:1"]).stdout;
    let header = "id,names,platform,created,evidence,containment,contents.present,contents.total,via";
    let id = written.images[0].image_id.unwrap().to_string();
    let cells = ["child:1", "linux/amd64", "2026-01-01T00:00:00Z", "chain-id", "1.0", "40", "40", ""];
    assert_eq!(csv_rows(&csv, header), [[&[&*id], &cells[..]].concat()]);
    let none = world.run(&["children", "--csv", "child:1"]);
    assert_eq!((none.status, none.stdout), (1, format!("{header}\n")));
    let csv = world.run(&["list", "--csv", "child"]).stdout;
    let header = "id,platform,created,layers,files,contents,content_bytes,names,set_id,manifests,anomalies";
    let rows = csv_rows(&csv, header);
    assert_eq!((rows.len(), &rows[0][0], &*rows[0][4]), (1, &id, &*(BASE_FILES + 30).to_string()));
    assert_eq!(rows[0][3].split("; ").count(), 2, "both layers are in one cell");
    assert_eq!(short(&written, 0), id["sha256:".len()..][..12]);
}

#[test]
fn siblings_are_listed_with_their_base() {
    let world = World::with_base();
    let one = base().named("one:1").layer(files("srv/one", 3));
    let same = one.clone().named("same:1").squashed().unwrap();
    let two = base().named("two:1").layer(files("srv/two", 2));
    let written = world.save("images.tar", &[one.clone(), same, two]);
    world.save("one.tar", &[one]);
    world.save("other.tar", &[other()]);
    assert_eq!(world.run(&["ingest", "images.tar"]).status, 0);
    let [same, two] = [1, 2].map(|image| short(&written, image));
    let text = format!(
        "\
IMAGE ID      LAYERS     KEPT  EVIDENCE    SAME  NAMES
{same}       1  100.0 %  by content  same  same:1
{two}       2  100.0 %  by layers         two:1
"
    );
    let stderr = |asked: &str| format!("{asked} is built on base:1; so are:\n");
    for (asked, origin) in [("one:1", "one:1"), ("one.tar", "one.tar one:1")] {
        assert_eq!(world.run(&["siblings", asked]), Ran { stderr: stderr(origin), ..done(&text) });
    }
    let told = world.json(&["siblings", "--json", "one:1"]);
    let expected = json!({
        "source": "one:1", "base": ["base:1"], "id": written.images[1].image_id.unwrap(), "names": ["same:1"],
        "platform": "linux/amd64", "created": "2026-01-01T00:00:00Z", "evidence": "content", "containment": 1.0,
        "same": true,
    });
    assert_eq!((told.len(), &told[0]), (2, &expected));
    let csv = world.run(&["siblings", "--csv", "two:1"]).stdout;
    let rows = csv_rows(&csv, "source,base,id,evidence,same,names,platform,created,containment");
    assert_eq!(rows.iter().map(|row| &*row[5]).collect::<Vec<_>>(), ["one:1", "same:1"]);
    let none = "other.tar other:1: its base is not known, so nor are its siblings: no other stored image shares enough with it\n";
    assert_eq!(world.run(&["siblings", "other.tar"]), Ran { status: 1, stderr: none.into(), ..done("") });
    assert_eq!(world.run(&["siblings", "absent"]).status, 2);
}

#[test]
fn savings_are_told_by_base_with_what_all_images_take() {
    let world = World::with_base();
    let one = base().named("one:1").layer(files("srv/one", 3)).squashed().unwrap();
    world.save("images.tar", &[one, base().named("two:1").layer(files("srv/two", 2))]);
    let nothing = world.run(&["savings"]);
    assert_eq!(nothing.status, 1);
    assert_eq!(nothing.stderr, "no stored image has a base that it shares no layers with\n");
    assert_eq!(world.run(&["ingest", "images.tar"]).status, 0);
    let text = "\
WHAT                   IMAGES  LAYERS  CONTENTS        SIZE       SAVED
if built on base:1          1       1            419.92 KiB  390.62 KiB
if all these were           1       1            419.92 KiB  390.62 KiB
every image by itself       3                      1.19 MiB
with layers shared                  3            830.07 KiB  390.62 KiB
with contents shared                         45  439.45 KiB  390.62 KiB
";
    assert_eq!(world.run(&["savings"]), done(text));
    let told = world.json(&["savings", "--json", "--jobs", "1"]);
    let row = |kind: &str, base: Value, figures: [Value; 5]| {
        let [images, layers, contents, bytes, saved_bytes] = figures;
        json!({
            "kind": kind, "base": base, "images": images, "layers": layers, "contents": contents, "bytes": bytes,
            "saved_bytes": saved_bytes,
        })
    };
    let expected = [
        row("base", json!(["base:1"]), [json!(1), json!(1), Value::Null, json!(429_997), json!(400_000)]),
        row("rebased", Value::Null, [json!(1), json!(1), Value::Null, json!(429_997), json!(400_000)]),
        row("images", Value::Null, [json!(3), Value::Null, Value::Null, json!(1_249_995), Value::Null]),
        row("layers", Value::Null, [Value::Null, json!(3), Value::Null, json!(849_995), json!(400_000)]),
        row("contents", Value::Null, [Value::Null, Value::Null, json!(45), json!(449_995), json!(400_000)]),
    ];
    assert_eq!(told, expected);
    let csv = world.run(&["savings", "--csv"]).stdout;
    let rows = csv_rows(&csv, "kind,base,images,layers,contents,bytes,saved_bytes");
    assert_eq!(rows[0][..3], ["base", "base:1", "1"]);
    assert_eq!(rows[4][2..], ["", "", "45", "449995", "400000"]);
}

#[test]
fn duplicates_are_listed_in_groups() {
    let world = World::with_base();
    let none = Ran {
        status: 1,
        stderr: "0 groups of equal images, 0 groups of layers that are nearly equal\n".into(),
        ..done("")
    };
    assert_eq!(world.run(&["duplicates"]), none);
    let app = base().named("app:1").layer(files("srv", 2));
    let squashed = app.clone().named("squashed:1").squashed().unwrap();
    world.save("images.tar", &[app, squashed]);
    assert_eq!(world.run(&["ingest", "images.tar"]).status, 0);
    let [app, squashed] = ["app:1", "squashed:1"].map(|name| id_of(&world, name));
    let layer_of = |name: &str| layers_of(&world, name)[0].clone();
    let (base, flat) = (layer_of("base:1"), layer_of("squashed:1"));
    let text = format!(
        "\
GROUP  WHAT   ID              SHARE        SIZE       SAVED  IMAGES
    1  image  {}  100.0 %  410.15 KiB           -  app:1
    1  image  {}  100.0 %  410.15 KiB  410.15 KiB  squashed:1
    2  layer  {}  100.0 %  410.15 KiB           -  squashed:1
    2  layer  {}   95.2 %  390.62 KiB  390.62 KiB  app:1; base:1
",
        shortened(&app),
        shortened(&squashed),
        shortened(&flat),
        shortened(&base)
    );
    let stderr = "1 group of equal images, 1 group of layers that are nearly equal\n".to_owned();
    assert_eq!(world.run(&["duplicates", "--min-size", "100k"]), Ran { stderr, ..done(&text) });
    let told = world.json(&["duplicates", "--json", "--quiet", "--min-size", "100k"]);
    let image = |id: &Value, name: &str| json!({"id": id, "names": [name], "platform": "linux/amd64", "created": "2026-01-01T00:00:00Z"});
    let second = json!({
        "group": 1, "kind": "image", "id": squashed, "share": 1.0, "bytes": 419_992, "saved_bytes": 419_992,
        "images": [image(&squashed, "squashed:1")],
    });
    assert_eq!((told.len(), &told[1]), (4, &second));
    assert_eq!(told[3]["images"], json!([image(&app, "app:1"), image(&id_of(&world, "base:1"), "base:1")]));
    let csv = world.run(&["duplicates", "--csv", "--layers", "--min-size", "100k"]).stdout;
    let rows = csv_rows(&csv, "group,kind,id,share,bytes,saved_bytes,images");
    let flat = flat.as_str().unwrap();
    assert_eq!(rows[0], ["1", "layer", flat, "1.0", "419992", "0", "squashed:1"]);
    assert_eq!(rows[1][4..], ["400000", "400000", "app:1; base:1"]);
    let images = world.run(&["duplicates", "--images"]);
    assert_eq!((images.status, images.stdout.lines().count()), (0, 3));
    assert_eq!(images.stderr, "1 group of equal images\n");
    assert_eq!(world.run(&["duplicates", "--min-share", "0.4"]).status, 2);
}

#[test]
fn a_damaged_layer_is_told_and_counted_and_all_else_is_said() {
    let world = with_jar();
    let squashed = base().named("one:1").layer(files("srv/one", 30)).squashed().unwrap();
    world.save("more.tar", &[squashed, base().named("two:1").layer(files("srv/two", 30))]);
    assert_eq!(world.run(&["ingest", "more.tar"]).status, 0);
    let policy = format!(
        "[base]\nunknown = \"ignore\"\nuncertain = \"ignore\"\n[[file]]\ncontent = \"blake3:{}\"\nreason = \"hole\"\n",
        blake3::hash(JAR.as_bytes()).to_hex()
    );
    std::fs::write(world.path("policy.toml"), policy).unwrap();
    let asked: [&[&str]; 5] = [
        &["who-has", "bad.jar", "good.jar", "--json"],
        &["duplicates", "--min-size", "1k", "--min-share", "0.5", "--quiet", "--json"],
        &["savings", "--quiet", "--json"],
        &["report", "--format", "html"],
        &["report", "--json", "--policy", "policy.toml", "--as-of", "2026-07-01"],
    ];
    let whole = asked.map(|args| world.run(args));
    assert_eq!(whole.each_ref().map(|ran| ran.status), [0, 0, 0, 0, 1], "{whole:?}");
    let pack = std::fs::read_dir(world.path("store/packs")).unwrap().map(|entry| entry.unwrap().path());
    let pack = pack.max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap();
    let bytes = std::fs::read(&pack).unwrap();
    let mut met = [0; 5];
    // Layers stand in the pack in any order: each place is far from all before, until every question has met one that matters.
    let places = (1..).map(|number: usize| number * 6_180_339 % 10_000_000 * bytes.len() / 10_000_000);
    for (tried, place) in places.take(1000).enumerate() {
        if tried > 20 && met.iter().all(|met| *met > 0) {
            break;
        }
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        std::fs::write(&pack, damaged).unwrap();
        for (at, args) in asked.iter().enumerate() {
            let Ran { status, stdout, stderr } = world.run(args);
            let is_trouble = |line: &&str| line.starts_with("error: ");
            let of_store =
                |line: &&str| line.starts_with("error: layer ") || line.starts_with("error: image ");
            let (all, left_out) =
                (stderr.lines().filter(is_trouble).count(), stderr.lines().filter(of_store).count());
            if all == 0 {
                assert_eq!((status, &stdout), (whole[at].status, &whole[at].stdout), "{args:?} {stderr}");
                continue;
            }
            // The damaged layer may be the only one of which there is anything to tell.
            assert!(status == 2 && (at < 3 || !stdout.is_empty()), "{args:?} {stderr}");
            let counted = stderr.lines().last().and_then(|line| line.strip_prefix("left out: "));
            let figures = counted
                .into_iter()
                .flat_map(|line| line.split(' '))
                .filter_map(|word| word.parse::<usize>().ok());
            assert_eq!(figures.sum::<usize>(), left_out, "{args:?} {stderr}");
            // Of images that could not be asked the report says so itself.
            assert!(left_out == all || at >= 3, "{args:?} {stderr}");
            assert!(at != 3 || stdout.contains("Each content once"), "{stderr}");
            met[at] += 1;
        }
    }
    assert!(met.iter().all(|met| *met > 0), "some damage must have been in what is read: {met:?}");
}
