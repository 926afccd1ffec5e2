//! Several machines read a list in parts, and one joins them: the command line's whole story of `export` and `import`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::support::{Ran, World, app, base, files, lines, other, ran};
use assert_cmd::Command;
use layerprint_ingest::write::{
    Compression, DockerSave, Image, Options, docker_archive, oci_layout, rootfs_archive,
};
use serde_json::{Value, json};

/// The command with a store of its own, at a time that is told.
fn at(world: &World, store: &str, args: &[&str]) -> Command {
    let mut command = world.command(args);
    command.env("LAYERPRINT_STORE", store).env("SOURCE_DATE_EPOCH", "1700000000");
    command
}

fn run(world: &World, store: &str, args: &[&str]) -> Ran {
    ran(&mut at(world, store, args))
}

fn good(world: &World, store: &str, args: &[&str]) -> String {
    let ran = run(world, store, args);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{args:?}: {}", ran.stdout);
    ran.stdout
}

/// A folder of bases and applications in many forms.
fn images(world: &World) {
    fs::create_dir(world.path("images")).unwrap();
    let options = Options::default();
    let release = |number: usize| {
        let name = format!("base:{number}");
        base().named(&name).layer(files(&format!("usr/share/release-{number}"), 10)).squashed().unwrap()
    };
    let application = |number: usize| {
        release(number).named(&format!("app:{number}")).layer(files(&format!("srv/app-{number}"), 3))
    };
    let bases: Vec<Image> = (0..6).map(release).collect();
    let applications: Vec<Image> = (0..6).map(application).collect();
    oci_layout(&bases, &world.path("images/bases"), &options).unwrap();
    docker_archive(&applications, &world.path("images/apps.tar"), DockerSave::V1_1, &options).unwrap();
    docker_archive(&bases[2..4], &world.path("images/again.tar"), DockerSave::V25, &options).unwrap();
    let packed = Options { outer: Compression::Gzip, ..Options::default() };
    docker_archive(&[other()], &world.path("images/other.tar.gz"), DockerSave::V1_1, &packed).unwrap();
    rootfs_archive(&applications[0], &world.path("images/exported.tar"), &options).unwrap();
}

#[test]
fn three_machines_and_one_come_to_the_same_bytes_and_answers() {
    let world = World::new();
    images(&world);
    good(&world, "whole", &["ingest", "images"]);
    let mut taken = 0;
    for part in 1..=3 {
        let store = format!("store-{part}");
        let stdout = good(&world, &store, &["ingest", "--json", "--shard", &format!("{part}/3"), "images"]);
        let summary = lines(&stdout).pop().unwrap();
        taken += summary["images_new"].as_u64().unwrap();
        assert!(summary["other_shard"].as_u64().unwrap() > 0, "{summary}");
        good(&world, &store, &["export", &format!("part{part}.lpx")]);
    }
    assert!(taken >= 14, "{taken}");
    good(&world, "joined", &["import", "part3.lpx", "part1.lpx", "part2.lpx"]);
    let exported = lines(&good(&world, "joined", &["export", "--json", "joined.lpx"])).remove(0);
    good(&world, "whole", &["export", "whole.lpx"]);
    let whole = fs::read(world.path("whole.lpx")).unwrap();
    assert!(fs::read(world.path("joined.lpx")).unwrap() == whole);
    assert_eq!(exported["blake3"], json!(blake3::hash(&whole).to_string()));
    assert_eq!((&exported["images"], &exported["size_bytes"]), (&json!(14), &json!(whole.len())));

    world.save("app.tar", &[app().layer(files("usr/share/release-3", 10)).squashed().unwrap()]);
    for question in [
        &["find", "--json", "app.tar"][..],
        &["find", "--json", "images"],
        &["list", "--json"],
        &["children", "--json", "base:2"],
        &["explain", "--json", "app.tar", "base:3"],
    ] {
        let answer = run(&world, "whole", question);
        assert!(!answer.stdout.is_empty(), "{question:?}: {}", answer.stderr);
        let sorted = |ran: Ran| {
            let mut lines: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
            lines.sort();
            (lines, ran.status, ran.stderr)
        };
        assert_eq!(sorted(run(&world, "joined", question)), sorted(answer), "{question:?}");
    }
    // What was joined need not be read again.
    let again = lines(&good(&world, "joined", &["ingest", "--json", "images/bases"])).pop().unwrap();
    assert_eq!((&again["images_known"], &again["read_bytes"]), (&json!(6), &json!(0)));
}

#[test]
fn what_is_said_of_an_export_and_an_import() {
    let world = World::with_base();
    let exported = world.run(&["export", "base.lpx"]);
    let size = fs::metadata(world.path("base.lpx")).unwrap().len();
    let hash = blake3::hash(&fs::read(world.path("base.lpx")).unwrap());
    assert_eq!((exported.status, exported.stderr.as_str()), (0, ""));
    let kib = |size: u64| indicatif::HumanBytes(size).to_string();
    let expected = format!("1 image, 1 layer, 1 documents, 1 blobs; {}, blake3 {hash}\n", kib(size));
    assert_eq!(exported.stdout, expected);
    let mode = fs::metadata(world.path("base.lpx")).unwrap().permissions().mode() & 0o777;
    let touched = world.path("touched");
    fs::write(&touched, "").unwrap();
    assert_eq!(mode, fs::metadata(&touched).unwrap().permissions().mode() & 0o777, "as any new file");

    let imported = run(&world, "second", &["import", "base.lpx"]);
    let (before, after) = imported.stdout.rsplit_once(" in ").unwrap();
    assert_eq!(before, format!("base.lpx: 1 image new, 0 known; 1 layer new, 0 known; {}", kib(size)));
    assert!(after.ends_with(" s\n"));
    let again = lines(&good(&world, "second", &["import", "--json", "base.lpx"])).remove(0);
    let expected = json!({
        "event": "summary", "file": "base.lpx", "elapsed_ms": again["elapsed_ms"], "read_bytes": size, "conflicts": 0,
        "images_new": 0, "images_known": 1, "layers_new": 0, "layers_known": 1,
        "documents_new": 0, "documents_known": 1, "blobs_new": 0, "blobs_known": 1,
    });
    assert_eq!(again, expected);
}

#[test]
fn pipes_carry_what_files_do() {
    let world = World::with_base();
    world.run(&["export", "base.lpx"]);
    let output = world.command(&["export", "-"]).output().unwrap();
    assert_eq!(output.stdout, fs::read(world.path("base.lpx")).unwrap());
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("1 image, 1 layer, "));
    let quiet = world.command(&["export", "--quiet", "-"]).output().unwrap();
    assert_eq!((quiet.stdout, quiet.stderr.len()), (output.stdout, 0));
    let imported = ran(at(&world, "second", &["import", "-"]).pipe_stdin(world.path("base.lpx")).unwrap());
    assert_eq!(imported.status, 0);
    assert!(imported.stdout.starts_with("standard input: 1 image new, 0 known; "), "{}", imported.stdout);
    let device = world.run(&["export", "/dev/null"]);
    assert_eq!((device.status, device.stderr.as_str()), (0, ""));
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let world = World::with_base();
    fs::write(world.path("kept.lpx"), "what was there").unwrap();
    symlink("kept.lpx", world.path("link.lpx")).unwrap();
    let listing = || {
        let mut names: Vec<_> =
            fs::read_dir(world.folder.path()).unwrap().map(|item| item.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = listing();
    // The pack ends before the last commit.
    let pack = world.path("store/packs/00000000.pack");
    let whole = fs::read(&pack).unwrap();
    fs::write(&pack, &whole[..whole.len() - 1]).unwrap();
    let failed = world.run(&["export", "kept.lpx"]);
    assert_eq!((failed.status, failed.stdout.as_str()), (2, ""));
    let length = whole.len();
    let expected = format!(
        "error: pack 00000000.pack: corrupt at offset {length}: the packs end before the last commit\n\
         hint: `layerprint check` says what is damaged, `layerprint repair` repairs what can be repaired\n"
    );
    assert_eq!(failed.stderr, expected);
    assert_eq!(fs::read(world.path("kept.lpx")).unwrap(), b"what was there");
    assert_eq!(listing(), before);
    let nowhere = world.run(&["export", "no/such/folder/x.lpx"]);
    assert_eq!(nowhere.status, 2);

    fs::write(&pack, whole).unwrap();
    assert_eq!(world.run(&["export", "link.lpx"]).status, 0);
    assert!(fs::symlink_metadata(world.path("link.lpx")).unwrap().is_symlink());
    assert!(fs::read(world.path("kept.lpx")).unwrap().starts_with(b"LPEXPORT"));
    let nothing = run(&world, "absent", &["export", "x.lpx"]);
    assert_eq!(nothing.stderr.lines().next(), Some("error: absent: no store here"));
}

#[test]
fn a_broken_file_is_told_and_does_not_stop_the_others() {
    let world = World::with_base();
    world.run(&["export", "base.lpx"]);
    let whole = fs::read(world.path("base.lpx")).unwrap();
    fs::write(world.path("cut.lpx"), &whole[..whole.len() - 10]).unwrap();
    let imported = run(&world, "second", &["import", "cut.lpx", "base.tar", "base.lpx"]);
    assert_eq!(imported.status, 2);
    // All but the end had come and was good.
    assert!(imported.stdout.starts_with("base.lpx: 0 images new, 1 known; "), "{}", imported.stdout);
    let start = whole.len() - 44;
    let expected = format!(
        "error: cut.lpx: ends at offset {}, within the end that begins at {start}\n\
         hint: copy or export it again: what was committed before stays, and importing it again goes on from there\n\
         error: base.tar: not an export of a layerprint store\n\
         hint: import reads what `layerprint export` wrote, not compressed; images are for `layerprint ingest`\n",
        whole.len() - 10
    );
    assert_eq!(imported.stderr, expected);
    // A name that was misspelled leaves no store behind.
    let absent = run(&world, "third", &["import", "bse.lpx"]);
    assert_eq!(
        (absent.status, absent.stderr.as_str()),
        (2, "error: bse.lpx: No such file or directory (os error 2)\n")
    );
    assert!(!world.path("third").exists());
}

#[test]
fn an_image_under_anothers_configuration_is_refused() {
    let world = World::with_base();
    world.save("other.tar", &[other()]);
    good(&world, "false", &["ingest", "other.tar"]);
    // The base's ID with the other's layer: all checksums right, the configuration says otherwise.
    let store = layerprint_store::Store::open(&world.path("false")).unwrap();
    let own = layerprint_store::Store::open(&world.path("store")).unwrap();
    let base = own.images().next().unwrap().unwrap();
    let stranger = store.images().next().unwrap().unwrap();
    let config = layerprint_store::id::BlobDigest::Sha256(*base.id.as_bytes());
    store.put_document(&config, &own.document(&config).unwrap().unwrap()).unwrap();
    let mut forged = stranger.clone();
    (forged.id, forged.documents) = (base.id, base.documents);
    store.put_image(&forged, &["base:1".into()]).unwrap();
    store.commit().unwrap();
    drop((store, own));
    good(&world, "false", &["export", "false.lpx"]);
    let refused = run(&world, "fresh", &["import", "false.lpx"]);
    assert_eq!(refused.status, 2);
    let expected = format!(": image {}: its configuration lists other layers\n", base.id);
    assert!(refused.stderr.contains(&expected), "{}", refused.stderr);
    assert_eq!(run(&world, "fresh", &["list"]).status, 1, "nothing of it is stored");
}

#[test]
fn what_cannot_be_divided_is_refused_with_a_way_out() {
    let world = World::with_base();
    for part in ["0/3", "4/3", "1/0", "x", "1"] {
        let ran = world.run(&["ingest", "--shard", part, "base.tar"]);
        assert_eq!(ran.status, 2);
        assert!(ran.stderr.contains("a shard is I/N, the Ith of N shards, such as 1/3"), "{}", ran.stderr);
    }
    let ran = world.run(&["ingest", "--shard", "1/2", "-"]);
    let expected = "error: standard input cannot be read in parts: only one machine has it\n\
                    hint: save it to a file that all machines see, or ingest it on one without --shard\n";
    assert_eq!((ran.status, ran.stderr.as_str()), (2, expected));
    let mut dated = world.command(&["ingest", "base.tar"]);
    let ran = ran_with(&mut dated, "yesterday");
    let expected = "error: SOURCE_DATE_EPOCH is \"yesterday\", which is no number of seconds since 1970\n";
    assert_eq!((ran.status, ran.stderr.as_str()), (2, expected));
}

fn ran_with(command: &mut Command, time: &str) -> Ran {
    ran(command.env("SOURCE_DATE_EPOCH", time))
}

#[test]
fn a_summary_counts_what_is_left_to_others() {
    let world = World::new();
    world.save("three.tar", &[base(), app(), other()]);
    let left: Vec<Value> = ["1/2", "2/2"]
        .iter()
        .map(|part| {
            let text = run(&world, part, &["ingest", "--shard", part, "three.tar"]);
            let stdout =
                run(&world, part, &["ingest", "--rescan", "--json", "--shard", part, "three.tar"]).stdout;
            let left = lines(&stdout).pop().unwrap()["other_shard"].clone();
            let plural = if left == json!(1) { "" } else { "s" };
            let line = format!("skipped {left} image{plural} of other shards\n");
            assert_eq!(text.stdout.ends_with(&line), left != json!(0), "{}", text.stdout);
            left
        })
        .collect();
    assert_eq!(left.iter().map(|left| left.as_u64().unwrap()).sum::<u64>(), 3);
}
