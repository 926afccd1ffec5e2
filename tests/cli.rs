//! The command line as a contract: what is printed where, and the exit status.

use crate::support;

use crate::support::{Ran, World, app, base, files, other, ran, short};
use layerprint_ingest::write::{Image, Layer, Options, oci_layout, rootfs_archive};
use serde_json::{Value, json};

fn done(stdout: &str) -> Ran {
    Ran { status: 0, stdout: stdout.into(), stderr: String::new() }
}

fn failed(stderr: &str) -> Ran {
    Ran { status: 2, stdout: String::new(), stderr: stderr.into() }
}

/// Replaces the seconds that a run took, the only thing that differs from one to the next.
fn timeless(mut ran: Ran) -> Ran {
    let (before, after) = ran.stdout.split_once(") in ").expect("a summary says how long it took");
    let (_, after) = after.split_once(" s, ").unwrap();
    ran.stdout = format!("{before}) in N s, {after}");
    ran
}

#[test]
fn help_names_every_command_and_the_exit_statuses() {
    let world = World::new();
    let help = world.run(&["--help"]);
    assert_eq!((help.status, help.stderr.as_str()), (0, ""));
    let commands = [
        "ingest",
        "find",
        "explain",
        "children",
        "siblings",
        "who-has",
        "duplicates",
        "savings",
        "demo",
        "show",
        "list",
        "stats",
        "forget",
        "export",
        "import",
        "completions",
    ];
    for command in commands {
        assert!(help.stdout.contains(&format!("\n  {command} ")), "{command}: {}", help.stdout);
        assert_eq!(world.run(&[command, "--help"]).status, 0);
    }
    assert!(help.stdout.contains("Exit status: 0 done or found, 1 nothing found, 2 something failed."));
    assert_eq!(world.run(&["--version"]), done(concat!("layerprint ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn what_cannot_be_parsed_is_a_failure() {
    let world = World::new();
    for args in [
        &["find"][..],
        &["seek", "x"],
        &["find", "--jobs", "0", "x"],
        &["find", "--platform", "q", "x"],
        &["ingest", "--memory", "some", "x"],
        &["find", "--batch", "--save", "x"],
        &["explain", "x", "--state", "fine"],
    ] {
        let ran = world.run(args);
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{args:?}");
        assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    }
}

#[test]
fn an_image_with_its_base_below_it_is_found_by_layers() {
    let world = World::with_base();
    let written = world.save("app.tar", &[app()]);
    let expected = format!(
        "\
app.tar app:1
  image    {}  linux/amd64, 3 layers, 41 files, 390.63 KiB
  base     base:1  by layers
  kept     95.0 % of its contents (38 of 40; 371.09 KiB of 390.62 KiB)
           40 files: 38 same, 0 moved, 1 modified, 1 deleted
  new      3 of 41 files, 19.54 KiB

",
        short(&written, 0)
    );
    assert_eq!(world.run(&["find", "app.tar"]), done(&expected));
}

#[test]
fn a_squashed_image_is_found_by_content() {
    let world = World::with_base();
    let written = world.save("squashed.tar", &[app().squashed().unwrap()]);
    let expected = format!(
        "\
squashed.tar app:1
  image    {}  linux/amd64, 1 layer, 41 files, 390.63 KiB
  base     base:1  by content, 41 % sure
  kept     95.0 % of its contents (38 of 40; 371.09 KiB of 390.62 KiB)
           40 files: 38 same, 0 moved, 1 modified, 1 deleted
  new      3 of 41 files, 19.54 KiB

",
        short(&written, 0)
    );
    assert_eq!(world.run(&["find", "squashed.tar"]), done(&expected));
}

#[test]
fn an_image_without_a_known_base_is_exit_status_1() {
    let world = World::with_base();
    let written = world.save("other.tar", &[other()]);
    let expected = format!(
        "\
other.tar other:1
  image    {}  linux/amd64, 1 layer, 10 files, 97.63 KiB
  base     none known
           no other stored image shares enough with it
  new      10 of 10 files, 97.63 KiB

",
        short(&written, 0)
    );
    assert_eq!(world.run(&["find", "other.tar"]), Ran { status: 1, ..done(&expected) });
}

#[test]
fn json_says_verdict_names_containment_and_lineage() {
    let world = World::new();
    let child = base().named("child:1").layer(files("usr/lib/child", 30));
    let grandchild = child.clone().named("grandchild:1").layer(files("srv", 1)).squashed().unwrap();
    world.save("bases.tar", &[base(), base().named("base:latest").label("a", "b"), child]);
    assert_eq!(world.run(&["ingest", "bases.tar"]).status, 0);
    world.save("images.tar", &[grandchild, other()]);

    let ran = world.run(&["find", "--json", "images.tar"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (1, ""));
    let mut found = support::lines(&ran.stdout);
    found.sort_by_key(|finding| finding["source"].as_str().unwrap().to_owned());
    assert_eq!(found.len(), 2);
    let (built, alone) = (&found[0], &found[1]);
    assert_eq!((&built["verdict"], &built["base"]["names"]), (&json!("base"), &json!(["child:1"])));
    assert_eq!((&built["base"]["containment"], &built["base"]["evidence"]), (&json!(1.0), &json!("content")));
    // Two stored images have the contents of the base, and no file can tell them apart.
    assert_eq!(built["base"]["lineage"][0]["names"], json!(["base:1", "base:latest"]));
    assert_eq!(built["base"]["lineage"].as_array().unwrap().len(), 1);
    assert_eq!((&alone["verdict"], &alone["base"]), (&json!("none"), &Value::Null));
}

#[test]
fn questions_asked_at_once_are_answered_in_turn() {
    let world = World::with_base();
    world.save("app.tar", &[app()]);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let ask = || world.run(&["find", "--json", "app.tar"]);
        let asked: Vec<_> = (0..6).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|answer| answer.join().unwrap()).collect()
    });
    for answer in &answers {
        assert_eq!((answer.status, answer.stderr.as_str()), (0, ""));
        assert_eq!(answer.stdout, answers[0].stdout);
    }
}

#[test]
fn a_store_that_stays_in_use_is_an_error_with_a_way_out() {
    let world = World::with_base();
    let _held = layerprint_store::Store::open(&world.path("store")).unwrap();
    assert_eq!(world.run(&["stats"]).status, 0, "questions wait for no one");
    let ran = world.run(&["reindex"]);
    let expected = "waiting for another process to leave store\nerror: store: store is in use by another process\n\
                    hint: wait for the other layerprint to finish, or use another --store\n";
    assert_eq!((ran.status, ran.stderr.as_str()), (2, expected));
}

#[test]
fn an_image_on_the_same_base_is_not_taken_for_the_base() {
    let world = World::new();
    let child = base().named("child:1").layer(files("usr/lib/child", 30));
    world.save("child.tar", std::slice::from_ref(&child));
    world.save("child-edited.tar", &[child.layer(files("srv/own", 3)).squashed().unwrap()]);
    assert_eq!(world.run(&["ingest", "child.tar"]).status, 0);
    world.save("app.tar", &[app().squashed().unwrap()]);
    let sibling = &world.json(&["find", "--json", "app.tar"])[0];
    assert_eq!((&sibling["verdict"], &sibling["base"]["names"]), (&json!("family"), &json!(["child:1"])));
    let reason = "it has the contents of the lowest 1 of the best candidate's 2 layers, but not of those above: both are \
                  built on something that is not stored";
    assert_eq!(sibling["reason"], json!(reason));
    let built = &world.json(&["find", "--json", "child-edited.tar"])[0];
    assert_eq!((&built["verdict"], &built["base"]["names"]), (&json!("base"), &json!(["child:1"])));
}

#[test]
fn every_form_is_told_from_its_content() {
    let world = World::with_base();
    world.save("app.tar", &[app()]);
    rootfs_archive(&app(), &world.path("export.tar"), &Options::default()).unwrap();
    oci_layout(&[app()], &world.path("layout"), &Options::default()).unwrap();
    for source in
        ["app.tar", "docker-archive:app.tar:app:1", "layout", "oci:layout:app:1", "rootfs:export.tar"]
    {
        let found = world.json(&["find", "--json", source]);
        assert_eq!(found[0]["base"]["names"], json!(["base:1"]), "{source}");
    }
}

#[test]
fn an_image_may_come_through_a_pipe() {
    let world = World::new();
    world.save("base.tar", &[base()]);
    world.save("app.tar", &[app()]);
    rootfs_archive(&app(), &world.path("export.tar"), &Options::default()).unwrap();
    let ingested = timeless(world.pipe("base.tar", &["ingest", "-"]));
    // From a pipe the whole archive is read.
    assert_eq!(std::fs::metadata(world.path("base.tar")).unwrap().len(), 428 << 10);
    let summary = "1 image new, 0 known, 0 failed; 1 layer read (428.00 KiB) in N s, 0 known\n";
    assert_eq!(ingested, done(summary));
    let found = world.pipe("app.tar", &["find", "--json", "-"]);
    assert_eq!(support::lines(&found.stdout)[0]["base"]["names"], json!(["base:1"]));
    let found = world.pipe("export.tar", &["find", "--json", "rootfs:-"]);
    assert_eq!(support::lines(&found.stdout)[0]["base"]["names"], json!(["base:1"]));
}

#[test]
fn without_a_store_there_is_a_hint() {
    let world = World::new();
    let hint = "error: store: no store here\n\
                hint: read some bases first: layerprint ingest FOLDER; or name another --store\n";
    let asked = [&["explain", "app.tar"][..], &["children", "x"], &["find", "--batch", "app.tar"]];
    for args in asked.into_iter().chain([
        &["find", "app.tar"][..],
        &["list"],
        &["stats"],
        &["show", "x"],
        &["forget", "x"],
    ]) {
        assert_eq!(world.run(args), failed(hint), "{args:?}");
    }
}

#[test]
fn what_is_not_supported_comes_with_a_way_out() {
    let world = World::with_base();
    let cases = [
        (
            "docker://alpine:3",
            "error: the transport \"docker\" of \"docker://alpine:3\" is not supported\n\
             hint: copy it first: skopeo copy docker://alpine:3 oci-archive:image.tar\n",
        ),
        (
            "docker-daemon:my/app",
            "error: the transport \"docker-daemon\" of \"docker-daemon:my/app\" is not supported\n\
             hint: pipe it: docker save my/app | layerprint find -\n",
        ),
        (
            "my/app:1",
            "error: my/app:1: No such file or directory (os error 2)\n\
             hint: no file of that name, nor a stored image; Docker's can be piped in: docker save my/app:1 | layerprint find -\n",
        ),
        ("./app", "error: ./app: No such file or directory (os error 2)\n"),
    ];
    for (source, complaint) in cases {
        assert_eq!(world.run(&["find", source]), failed(complaint));
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let world = World::with_base();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let program = env!("CARGO_BIN_EXE_layerprint");
    let asked = [
        &["explain", "base.tar"][..],
        &["find", "--batch", "base.tar", "base.tar"],
        &["explain", "--json", "base:1"],
    ];
    for args in asked.into_iter().chain([
        &["list"][..],
        &["show", "base:1", "--files"],
        &["stats"],
        &["list", "--json"],
    ]) {
        let mut command = std::process::Command::new(program);
        command.current_dir(world.folder.path()).args(["--store", "store"]).args(args);
        let output = command.stdout(writer.try_clone().unwrap()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), stderr), (Some(0), String::new()), "{args:?}");
    }
}

#[test]
fn a_list_of_sources_is_read_from_a_file_or_standard_input() {
    let world = World::new();
    world.save("base.tar", &[base()]);
    world.save("other.tar", &[other()]);
    std::fs::write(world.path("list"), "# bases\n\n  base.tar  \nother.tar\n").unwrap();
    let summary = "2 images new, 0 known, 0 failed; 2 layers read (528.00 KiB) in N s, 0 known\n";
    assert_eq!(timeless(world.run(&["ingest", "--from-list", "list"])), done(summary));
    let again = timeless(world.pipe("list", &["ingest", "--from-list", "-", "--rescan"]));
    let summary = "0 images new, 2 known, 0 failed; 2 layers read (528.00 KiB) in N s, 0 known\n";
    assert_eq!(again, done(summary));
    let absent = "error: absent: No such file or directory (os error 2)\n";
    assert_eq!(world.run(&["ingest", "--from-list", "absent"]), failed(absent));
}

#[test]
fn an_image_without_a_name_gets_the_one_that_is_given() {
    let world = World::new();
    rootfs_archive(&base(), &world.path("export.tar"), &Options::default()).unwrap();
    assert_eq!(world.run(&["ingest", "--name", "exported:1", "rootfs:export.tar"]).status, 0);
    assert_eq!(world.json(&["list", "--json"])[0]["names"], json!(["exported:1"]));
}

#[test]
fn a_second_run_reads_no_layer() {
    let world = World::with_base();
    let mut again = timeless(world.run(&["ingest", "base.tar"]));
    let unchanged = "0 images new, 1 known, 0 failed; 0 layers read (0 B) in N s, 0 known\n\
                     skipped 1 source unchanged since the last run (--rescan reads them again)\n";
    assert_eq!(again, done(unchanged));
    // Another archive with the same layer: from a layout its digest is known before it is read.
    oci_layout(&[base()], &world.path("layout"), &Options::default()).unwrap();
    assert_eq!(world.run(&["ingest", "layout"]).status, 0);
    oci_layout(&[base().named("base:2")], &world.path("layout2"), &Options::default()).unwrap();
    again = timeless(world.run(&["ingest", "layout2"]));
    let known = "0 images new, 1 known, 0 failed; 0 layers read (0 B) in N s, 1 known\n";
    assert_eq!(again, done(known));
}

#[test]
fn a_bad_image_does_not_stop_the_others() {
    let world = World::new();
    world.save("good.tar", &[base()]);
    let whole = std::fs::read(world.path("good.tar")).unwrap();
    std::fs::write(world.path("cut.tar"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(world.path("text.tar"), "this is no archive").unwrap();
    let ingested = timeless(world.run(&["ingest", "cut.tar", "text.tar", "good.tar", "absent.tar"]));
    assert_eq!(ingested.status, 2);
    assert!(ingested.stdout.starts_with("1 image new, 0 known, 3 failed; "), "{}", ingested.stdout);
    for name in ["cut.tar", "text.tar", "absent.tar"] {
        assert!(ingested.stderr.contains(&format!("error: {name}: ")), "{}", ingested.stderr);
        // Once more at the end, where it is seen.
        assert!(ingested.stdout.contains(&format!("\n  {name}: ")), "{}", ingested.stdout);
    }
    assert_eq!(world.json(&["list", "--json"])[0]["names"], json!(["base:1"]));

    world.save("app.tar", &[app()]);
    let found = world.run(&["find", "--json", "cut.tar", "app.tar"]);
    assert_eq!(found.status, 2);
    assert_eq!(support::lines(&found.stdout)[0]["base"]["names"], json!(["base:1"]));
}

#[test]
fn ingest_tells_each_image_and_the_sum_as_json() {
    let world = World::new();
    let written = world.save("base.tar", &[base()]);
    std::fs::write(world.path("text.tar"), "no").unwrap();
    let mut events = world.json(&["ingest", "--json", "base.tar", "absent.tar"]);
    let mut summary = events.pop().unwrap();
    let image = json!({"event": "image", "image": {
        "id": written.images[0].image_id.unwrap(), "known": false, "names": ["base:1"], "origin": "base.tar base:1",
    }});
    let failed = json!({
        "event": "failed", "origin": "absent.tar", "error": "absent.tar: No such file or directory (os error 2)",
        "hint": null,
    });
    events.sort_by_key(|event| event["event"].to_string());
    assert_eq!(events, [failed, image]);
    assert!(summary["elapsed_ms"].take().is_u64());
    let expected = json!({
        "event": "summary", "images_new": 1, "images_known": 0, "images_failed": 1, "images_left": 0,
        "sources_unchanged": 0, "other_shard": 0, "stopped": false, "hint": null,
        "layers_read": 1, "layers_known": 0, "read_bytes": 431_616, "elapsed_ms": null, "skipped": [],
        "failed": [{"origin": "absent.tar", "error": "absent.tar: No such file or directory (os error 2)"}],
    });
    assert_eq!(summary, expected);
}

#[test]
fn a_stored_image_is_asked_about_by_name_or_id() {
    let world = World::with_base();
    let written = world.save("app.tar", &[app()]);
    assert_eq!(world.run(&["find", "--save", "--json", "app.tar"]).status, 0);
    let id = written.images[0].image_id.unwrap().to_hex();
    for name in ["app:1", &id, &id[..12]] {
        let found = world.json(&["find", "--json", name]);
        assert_eq!(found[0]["base"]["names"], json!(["base:1"]), "{name}");
        assert_eq!(found[0]["source"], json!(name));
    }
    // What is built on the base is not what the base is built on.
    let found = world.run(&["find", "--json", "base:1"]);
    assert_eq!((found.status, &support::lines(&found.stdout)[0]["verdict"]), (1, &json!("none")));
}

#[test]
fn list_shows_what_is_stored() {
    let world = World::new();
    let written = world.save("images.tar", &[base(), other()]);
    assert_eq!(world.run(&["ingest", "images.tar"]).status, 0);
    let header = "IMAGE ID      PLATFORM     CREATED     LAYERS  FILES        SIZE  NAMES\n";
    let base =
        format!("{}  linux/amd64  2026-01-01       1     40  390.62 KiB  base:1\n", short(&written, 0));
    let other =
        format!("{}  linux/amd64  2026-01-01       1     10   97.63 KiB  other:1\n", short(&written, 1));
    assert_eq!(world.run(&["list"]), done(&format!("{header}{base}{other}")));
    assert_eq!(world.run(&["list", "base"]), done(&format!("{header}{base}")));
    assert_eq!(world.run(&["list", "--json", "nothing of that name"]), Ran { status: 1, ..done("") });
}

#[test]
fn show_lists_files_as_a_container_sees_them_and_layers_as_they_are() {
    let world = World::new();
    let lower = Layer::new().dir("etc/").file("etc/motd", "hi\n").file("etc/issue", "old\n");
    let upper =
        Layer::new().whiteout("etc/issue").symlink("etc/os", "motd").hard_link("etc/also", "etc/motd");
    let upper = upper.file(b"etc/caf\xe9", "").mode(0o600);
    let written = world.save("tiny.tar", &[Image::new("tiny:1").layer(lower).layer(upper)]);
    assert_eq!(world.run(&["ingest", "tiny.tar"]).status, 0);

    let shown = world.run(&["show", "tiny:1", "--files"]);
    let files: Vec<_> =
        shown.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    let motd = layerprint_store::id::ContentId::of(b"hi\n").to_string();
    assert_eq!(files[1], ["file", "0644", &motd, "etc/also"]);
    let paths: Vec<_> = files.iter().map(|file| (file[0], *file.last().unwrap())).collect();
    let expected = [
        ("directory", "etc"),
        ("file", "etc/also"),
        ("file", "etc/caf\\xe9"),
        ("file", "etc/motd"),
        ("symlink", "etc/os"),
    ];
    assert_eq!(paths, expected);

    let layer = written.images[0].layers[1].diff_id.to_string();
    let shown = &world.json(&["show", &layer, "--files", "--json"])[0];
    let kinds: Vec<_> =
        shown["files"].as_array().unwrap().iter().map(|file| (&file["kind"], &file["path"])).collect();
    assert_eq!(json!(kinds)[2], json!(["whiteout", "etc/issue"]));
}

#[test]
fn stats_count_what_the_store_holds() {
    let world = World::with_base();
    let stats = world.run(&["stats"]);
    let rows: Vec<_> = stats.stdout.lines().take(6).collect();
    let expected = [
        "WHAT               HOW MUCH",
        "images                    1",
        "names                     1",
        "layers                    1",
        "entries                  41",
        "unpacked layers  421.50 KiB",
    ];
    assert_eq!(rows, expected);
    let stats = &world.json(&["stats", "--json"])[0];
    assert_eq!(
        (&stats["images"], &stats["entries"], &stats["tar_bytes"]),
        (&json!(1), &json!(41), &json!(431_616))
    );
}

#[test]
fn what_is_forgotten_is_found_no_more() {
    let world = World::with_base();
    let written = world.save("app.tar", &[app()]);
    let id = short(&written, 0);
    assert_eq!(world.run(&["ingest", "app.tar"]).status, 0);
    let expected = format!("forgot {id}\n1 name and 2 layers went with them\n");
    assert_eq!(world.run(&["forget", "app:1"]), done(&expected));
    let again = "error: \"app:1\": no image or layer of that name or id\nhint: layerprint list shows what is stored\n";
    assert_eq!(world.run(&["forget", "app:1"]), failed(again));
    assert_eq!(world.run(&["forget", "base:1"]).status, 0);
    assert_eq!(world.run(&["find", "app.tar"]).status, 1);
}

/// `tools:1`: sixty files that do not come from the base.
fn tools() -> Image {
    Image::new("tools:1").layer(files("usr/local/tools", 60))
}

/// `mixed:1`: an application with the tools in another place.
fn mixed() -> Image {
    let tools = (0..60).fold(Layer::new(), |layer, index| {
        let path = format!("usr/local/tools/{index:02}");
        layer.file(format!("opt/{index:02}"), format!("{path}\n").repeat(10_000 / (path.len() + 1)))
    });
    app().named("mixed:1").layer(tools)
}

#[test]
fn a_part_of_another_image_is_named() {
    let world = World::with_base();
    world.save("tools.tar", &[tools()]);
    assert_eq!(world.run(&["ingest", "tools.tar"]).status, 0);
    let written = world.save("mixed.tar", &[mixed()]);
    let expected = format!(
        "\
mixed.tar mixed:1
  image    {}  linux/amd64, 4 layers, 101 files, 976.21 KiB
  base     base:1  by layers
  kept     95.0 % of its contents (38 of 40; 371.09 KiB of 390.62 KiB)
           40 files: 38 same, 0 moved, 1 modified, 1 deleted
  with     tools:1  60 files in opt/, its usr/local/tools/ (100.0 % of it)
  new      63 of 101 files, 605.12 KiB

",
        short(&written, 0)
    );
    assert_eq!(world.run(&["find", "mixed.tar"]), done(&expected));
    let cover = &world.json(&["find", "--json", "mixed.tar"])[0]["cover"];
    let expected = json!([{
        "names": ["tools:1"], "files": 60, "contents": 60, "bytes": 599_640, "share": 1.0,
        "from": "usr/local/tools", "to": "opt",
    }]);
    assert_eq!(cover, &expected);
}

#[test]
fn explain_says_file_by_file_what_became_of_the_base() {
    let world = World::with_base();
    world.save("tools.tar", &[tools()]);
    assert_eq!(world.run(&["ingest", "tools.tar"]).status, 0);
    let written = world.save("mixed.tar", &[mixed()]);
    let head = format!(
        "\
mixed.tar mixed:1
  image    {}  linux/amd64, 4 layers, 101 files, 976.21 KiB
  base     base:1  by layers
  with     tools:1  60 files in opt/, its usr/local/tools/ (100.0 % of it)

STATE     FILES        SIZE
same         38  371.09 KiB
modified      1         6 B
deleted       1    9.77 KiB
new          62  605.12 KiB

SAME  MODIFIED  DELETED  NEW  FOLDER
                          60  opt/
                           2  srv/
  38         1        1       usr/

FILES        SIZE  DELETED  FROM  NAMES
   38  371.09 KiB        1  base  base:1
   60  585.59 KiB           part  tools:1

",
        short(&written, 0)
    );
    assert_eq!(world.run(&["explain", "mixed.tar", "--summary"]), done(&head));
    let files = "\
new         srv/app/00
new         srv/app/01
modified    usr/lib/base/03
deleted     usr/lib/base/07
";
    let some = ["explain", "mixed.tar", "--path", "srv", "--path", "/usr/", "--state", "new"];
    let states = ["--state", "modified", "--state", "deleted"];
    assert_eq!(world.run(&[&some[..], &states].concat()), done(&format!("{head}{files}")));
    let whole = world.run(&["explain", "mixed.tar"]);
    let listed: Vec<_> = whole.stdout.strip_prefix(&head).unwrap().lines().collect();
    assert_eq!(listed.len(), 102);
    assert_eq!(listed[7], "new         opt/07  <- usr/local/tools/07 of tools:1");
    assert_eq!(listed[64], "same        usr/lib/base/02");
}

#[test]
fn explain_compares_with_the_image_that_is_named() {
    let world = World::with_base();
    world.save("others.tar", &[other(), app()]);
    assert_eq!(world.run(&["ingest", "others.tar"]).status, 0);
    let told = world.json(&["explain", "--json", "app:1", "base:1", "--state", "modified"]);
    assert_eq!(told.len(), 2);
    assert_eq!((&told[0]["kind"], &told[0]["verdict"]), (&json!("image"), &Value::Null));
    assert_eq!((&told[0]["base"]["names"], &told[0]["base"]["evidence"]), (&json!(["base:1"]), &Value::Null));
    assert_eq!(told[0]["states"]["deleted"], json!({"files": 1, "bytes": 10_000}));
    let edited = layerprint_store::id::ContentId::of(b"edited").to_string();
    let file = json!({
        "kind": "file", "path": "usr/lib/base/03", "state": "modified", "content": edited, "size_bytes": 6,
        "to": null, "from": null, "origin": null,
    });
    assert_eq!(told[1], file);
    // Nothing of the other is there.
    assert_eq!(world.run(&["explain", "app:1", "other:1", "--summary"]).status, 1);
    assert_eq!(world.run(&["explain", "base:1", "--summary"]).status, 1);
    let unknown = "error: \"nope:1\": no image or layer of that name or id\nhint: layerprint list shows what is stored\n";
    assert_eq!(world.run(&["explain", "app:1", "nope:1"]), failed(unknown));
    let absent = "error: nope.tar: No such file or directory (os error 2)\n";
    assert_eq!(world.run(&["explain", "nope.tar"]), failed(absent));
}

#[test]
fn explained_paths_cannot_move_the_cursor() {
    let world = World::with_base();
    world.save("evil.tar", &[base().named("evil:1").layer(Layer::new().file(b"srv/\x1b[2J\xff", "x"))]);
    let told = world.run(&["explain", "evil.tar", "--state", "new"]);
    assert_eq!(told.stdout.lines().last(), Some("new         srv/\\x1b[2J\\xff"));
    assert!(!told.stdout.contains('\x1b'));
}

#[test]
fn children_are_listed_with_the_way_to_them() {
    let world = World::with_base();
    let child = base().named("child:1").layer(files("usr/lib/child", 30));
    let grandchild = child.clone().named("grandchild:1").layer(files("srv", 1)).squashed().unwrap();
    let written = world.save("images.tar", &[child, grandchild, app().squashed().unwrap(), other()]);
    assert_eq!(world.run(&["ingest", "images.tar"]).status, 0);
    let [child, grandchild, app] = [0, 1, 2].map(|image| short(&written, image));
    let expected = format!(
        "\
IMAGE ID      LAYERS     KEPT  EVIDENCE    NAMES
{app}       1   95.0 %  by content  app:1
{child}       2  100.0 %  by layers   child:1
"
    );
    assert_eq!(world.run(&["children", "base:1"]), done(&expected));
    let expected = format!(
        "\
IMAGE ID      LAYERS     KEPT  EVIDENCE    NAMES         VIA
{app}       1   95.0 %  by content  app:1
{child}       2  100.0 %  by layers   child:1
{grandchild}       1  100.0 %  by content  grandchild:1  child:1
"
    );
    assert_eq!(world.run(&["children", "--transitive", "base:1"]), done(&expected));
    let told = world.json(&["children", "--transitive", "--json", "base:1"]);
    let expected = json!({
        "id": written.images[1].image_id.unwrap(), "names": ["grandchild:1"], "platform": "linux/amd64",
        "created": "2026-01-01T00:00:00Z", "evidence": "content", "containment": 1.0,
        "contents": {"present": 40, "total": 40}, "via": [["child:1"]],
    });
    assert_eq!((told.len(), &told[2]), (3, &expected));
    let none = Ran { status: 1, stderr: "no stored image is built on it\n".into(), ..done("") };
    assert_eq!(world.run(&["children", "other:1"]), none);
}

#[test]
fn a_batch_answers_for_every_source() {
    let world = World::with_base();
    std::fs::create_dir(world.path("images")).unwrap();
    world.save("images/app.tar", &[app(), other()]);
    world.save("images/squashed.tar", &[app().squashed().unwrap()]);
    std::fs::write(world.path("images/README"), "no image").unwrap();
    let whole = std::fs::read(world.path("images/app.tar")).unwrap();
    std::fs::write(world.path("cut.tar"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(world.path("text.tar"), "no archive").unwrap();
    std::fs::write(
        world.path("list"),
        b"# all\nimages\n\ncut.tar\ntext.tar\ndocker://alpine\n  base:1  \n\xff",
    )
    .unwrap();

    let ran = world.pipe("list", &["find", "--batch", "--from-list", "-", "absent.tar"]);
    assert_eq!((ran.status, &*ran.stderr), (2, "4 images: 2 base, 0 family, 2 none; 5 failed\n"));
    let mut lines = support::lines(&ran.stdout);
    lines.sort_by_key(|line| line["source"].as_str().unwrap().to_owned());
    let told = |line: &Value| match line["error"].as_str() {
        Some(_) => format!("{} error", line["source"].as_str().unwrap()),
        None => format!("{} {}", line["source"].as_str().unwrap(), line["verdict"].as_str().unwrap()),
    };
    let expected = [
        "absent.tar error",
        "base:1 none",
        "cut.tar error",
        "docker://alpine error",
        "images/app.tar app:1 base",
        "images/app.tar other:1 none",
        "images/squashed.tar app:1 base",
        "text.tar error",
        "\u{fffd} error",
    ];
    assert_eq!(lines.iter().map(told).collect::<Vec<_>>(), expected);
    let unread = json!({
        "source": "docker://alpine",
        "error": "the transport \"docker\" of \"docker://alpine\" is not supported",
        "hint": "copy it first: skopeo copy docker://alpine oci-archive:image.tar",
    });
    assert_eq!(lines[3], unread);
}

#[test]
fn a_batch_of_many_is_answered_as_one_by_one() {
    let world = World::with_base();
    world.save("app.tar", &[app()]);
    let list = "app.tar\n".repeat(40);
    std::fs::write(world.path("list"), &list).unwrap();
    let alone = world.run(&["find", "--json", "app.tar"]).stdout;
    let ran = world.run(&["find", "--batch", "--jobs", "4", "--from-list", "list"]);
    assert_eq!((ran.status, ran.stdout), (0, alone.repeat(40)));
    assert_eq!(ran.stderr, "40 images: 40 base, 0 family, 0 none; 0 failed\n");
    let quiet = world.run(&["find", "--batch", "--quiet", "app.tar"]);
    assert_eq!(quiet, done(&alone));
    assert_eq!(world.run(&["find", "--batch", "--from-list", "absent"]).status, 2);
}

#[test]
fn completions_are_made_for_every_shell() {
    let world = World::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = world.run(&["completions", shell]);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
        assert!(ran.stdout.contains("layerprint") && ran.stdout.contains("from-list"), "{shell}");
    }
}

#[test]
fn a_store_in_use_answers_and_takes_no_second_writer() {
    let world = World::with_base();
    world.save("app.tar", &[app()]);
    let alone = ["list", "find app.tar", "explain app.tar", "children debian:12"]
        .map(|line| (line, world.run(&line.split(' ').collect::<Vec<_>>())));
    let store = layerprint_store::Store::open(&world.path("store")).unwrap();
    for (line, alone) in alone {
        assert_eq!(world.run(&line.split(' ').collect::<Vec<_>>()), alone, "{line}");
    }
    let ran = ran(&mut world.command(&["ingest", "app.tar"]));
    drop(store);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.ends_with("hint: wait for the other layerprint to finish, or use another --store\n"));
}
