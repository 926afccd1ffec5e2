//! Bulk ingest as a process: what it needs of the system, and how it ends when something outside of it goes wrong.

use crate::support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::Duration;

use crate::support::{Ran, World, base, files, other};
use layerprint_ingest::write::{Image, Layer, Options, oci_layout};
use serde_json::{Value, json};

/// Runs a line of shell in which `$LAYERPRINT` is the command.
fn shell(world: &World, line: &str) -> Ran {
    told(shell_command(world, line).output().unwrap())
}

fn shell_command(world: &World, line: &str) -> Command {
    let mut command = Command::new("sh");
    command.current_dir(world.folder.path()).args(["-c", line]);
    command.env("LAYERPRINT", env!("CARGO_BIN_EXE_layerprint")).env("LAYERPRINT_STORE", "store");
    command
}

fn told(output: Output) -> Ran {
    Ran {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// So many images on one base, each with two layers of its own.
fn many(count: usize) -> Vec<Image> {
    let image = |number: usize| {
        let own = files(&format!("srv/{number}"), 2);
        let more = Layer::new().file(format!("etc/{number}"), number.to_string());
        base().named(&format!("app:{number}")).layer(own).layer(more)
    };
    (0..count).map(image).collect()
}

#[test]
fn more_layers_may_wait_than_a_process_may_have_files_open() {
    let world = World::new();
    oci_layout(&many(60), &world.path("layout"), &Options::default()).unwrap();
    let ran = shell(&world, "ulimit -n 64 && exec \"$LAYERPRINT\" ingest layout");
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.starts_with("60 images new, 0 known, 0 failed; 121 layers read "), "{}", ran.stdout);
}

/// Sends a signal as a terminal or a service manager does.
fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// An ingest that is in the midst of the first layer of an archive that comes through a pipe, and what is to come of it.
/// What it was given besides has been read and told of.
fn in_midst_of_a_pipe(world: &World) -> (Child, ChildStdin, Vec<u8>) {
    let large = Layer::new().file("usr/large", vec![7; 3 << 20]);
    world.save("piped.tar", &[Image::new("piped:1").layer(large).layer(Layer::new().file("etc/a", "A"))]);
    oci_layout(&many(3), &world.path("layout"), &Options::default()).unwrap();
    let mut command = shell_command(world, "exec \"$LAYERPRINT\" ingest --json --jobs 2 layout -");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut whole = fs::read(world.path("piped.tar")).unwrap();
    let rest = whole.split_off(1 << 20);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&whole).unwrap();
    // Not through a buffer: what follows is for whoever asks next.
    let stdout = child.stdout.as_mut().unwrap();
    let mut told = Vec::new();
    while told.iter().filter(|byte| **byte == b'\n').count() < 3 {
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap();
        told.push(byte[0]);
    }
    assert_eq!(String::from_utf8(told).unwrap().matches("\"event\":\"image\"").count(), 3);
    (child, stdin, rest)
}

/// Sends the first signal, and returns what is said when it has come.
fn ask_to_stop(child: &mut Child, name: &str) -> String {
    signal(child, name);
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    line
}

const STOPPING: &str = "stopping: 1 layer is being finished; a second signal (Ctrl-C) stops at once\n";

#[test]
fn the_first_signal_lets_a_run_finish_what_it_has_begun() {
    for (name, status) in [("INT", 130), ("TERM", 143)] {
        let world = World::new();
        let (mut child, mut stdin, rest) = in_midst_of_a_pipe(&world);
        assert_eq!(ask_to_stop(&mut child, name), STOPPING);
        stdin.write_all(&rest).unwrap();
        drop(stdin);
        let ran = told(child.wait_with_output().unwrap());
        let mut summary = support::lines(&ran.stdout).pop().unwrap();
        for timely in ["elapsed_ms", "layers_known", "read_bytes"] {
            assert!(summary[timely].take().is_u64());
        }
        let expected = json!({
            "event": "summary", "images_new": 3, "images_known": 0, "images_failed": 0, "images_left": 1,
            "sources_unchanged": 0, "other_shard": 0, "layers_read": 8, "layers_known": null, "read_bytes": null, "elapsed_ms": null,
            "failed": [], "skipped": [], "stopped": true, "hint": "the same command goes on where this one stopped",
        });
        assert_eq!((ran.status, summary), (status, expected));
        assert_eq!(world.json(&["stats", "--json"])[0]["layers"], json!(7), "those of the three images");
        let again = world.pipe("piped.tar", &["ingest", "layout", "-"]);
        assert!(
            again.stdout.starts_with("1 image new, 3 known, 0 failed; 2 layers read "),
            "{}",
            again.stdout
        );
    }
}

#[test]
fn the_second_signal_stops_at_once_and_loses_nothing_that_was_told() {
    let world = World::new();
    let (mut child, _stdin, _rest) = in_midst_of_a_pipe(&world);
    assert_eq!(ask_to_stop(&mut child, "TERM"), STOPPING);
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(world.json(&["list", "--json"]).len(), 3);
}

#[test]
fn what_was_not_begun_is_left_for_the_next_run() {
    let world = World::new();
    let (first, second) = (files("usr/first", 3), Layer::new().file("usr/second", vec![7; 1 << 20]));
    world.save("piped.tar", &[Image::new("piped:1").layer(first).layer(second)]);
    oci_layout(&many(20), &world.path("layout"), &Options::default()).unwrap();
    // The only worker is held by the pipe.
    let mut command = shell_command(&world, "exec \"$LAYERPRINT\" ingest --jobs 1 - layout");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let whole = fs::read(world.path("piped.tar")).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&whole[..500_000]).unwrap();
    // Once the first layer is in a pack, signals are caught.
    while fs::metadata(world.path("store/packs/00000000.pack")).map_or(0, |pack| pack.len()) < 200 {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(ask_to_stop(&mut child, "INT"), STOPPING);
    stdin.write_all(&whole[500_000..]).unwrap();
    drop(stdin);
    let ran = told(child.wait_with_output().unwrap());
    let (_, end) = ran.stdout.split_once(" s, ").unwrap();
    let left = "0 known\nstopped, at least 21 images left; the same command goes on where this one stopped\n";
    assert_eq!((ran.status, end), (130, left));
    assert!(ran.stdout.starts_with("0 images new, 0 known, 0 failed; 2 layers read "), "{}", ran.stdout);
    let again = world.pipe("piped.tar", &["ingest", "-", "layout"]);
    assert!(again.stdout.starts_with("21 images new, 0 known, 0 failed; "), "{}", again.stdout);
}

#[test]
fn whoever_stops_listening_does_not_stop_an_ingest() {
    let world = World::new();
    world.save("base.tar", &[base()]);
    fs::write(world.path("text.tar"), "no archive").unwrap();
    let line = "exec \"$LAYERPRINT\" ingest --json absent.tar base.tar text.tar";
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    let output = shell_command(&world, line).stdout(closed()).stderr(closed()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(world.json(&["list", "--json"])[0]["names"], json!(["base:1"]));
}

#[test]
fn failures_are_listed_at_the_end_with_each_hint_once() {
    let world = World::new();
    world.save("base.tar", &[base()]);
    fs::write(world.path("a.tar"), "no archive").unwrap();
    fs::write(world.path("b.tar"), "nor this").unwrap();
    let ran = world.run(&["ingest", "a.tar", "base.tar", "b.tar", "absent.tar"]);
    let (first, list) = ran.stdout.split_once('\n').unwrap();
    assert!(first.starts_with("1 image new, 0 known, 3 failed; "), "{first}");
    let mut lines: Vec<_> = list.lines().collect();
    assert_eq!(lines.remove(0), "3 failed:");
    let hints = lines.iter().filter(|line| line.starts_with("  hint: ")).count();
    assert_eq!((lines.len(), hints), (4, 1), "{list}");
    // Of one that was named alone nothing is said twice.
    let alone = world.run(&["ingest", "absent.tar"]);
    assert_eq!((alone.status, alone.stdout.lines().count()), (2, 1));
    assert_eq!(alone.stderr, "error: absent.tar: No such file or directory (os error 2)\n");
}

/// Runs a line of shell where `disk` is a file system of its own that nobody else sees. None, with a word on stderr, if
/// this machine does not let us make one.
fn with_disk(world: &World, size: &str, line: &str) -> Option<Ran> {
    fs::create_dir_all(world.path("disk")).unwrap();
    let mount = |line: &str| {
        let script = format!("mount -t tmpfs -o size={size} none disk && {{ {line}; }}");
        let mut command = Command::new("unshare");
        command.current_dir(world.folder.path()).args(["-rm", "sh", "-c", &script]);
        command.env("LAYERPRINT", env!("CARGO_BIN_EXE_layerprint")).env("LAYERPRINT_STORE", "disk/store");
        command.output().ok().map(told)
    };
    match mount("true") {
        Some(Ran { status: 0, .. }) => mount(line),
        other => {
            eprintln!("skipped: no file system of our own can be mounted here: {other:?}");
            None
        }
    }
}

#[test]
fn a_full_disk_ends_an_ingest_with_what_was_told_stored_and_the_next_one_goes_on() {
    let world = World::new();
    oci_layout(&many(300), &world.path("layout"), &Options::default()).unwrap();
    let line = "\
        \"$LAYERPRINT\" --quiet ingest --json layout > told; echo $?; \
        mount -o remount,size=100m none disk; \
        \"$LAYERPRINT\" list --json > stored; echo $?; \
        \"$LAYERPRINT\" ingest layout > again; echo $?; \
        \"$LAYERPRINT\" list --json > all; echo $?; \
        \"$LAYERPRINT\" stats --json > stats; echo $?";
    let Some(undisturbed) = with_disk(&world, "100m", line) else { return };
    assert_eq!(undisturbed.stdout, "0\n0\n0\n0\n0\n");
    let read = |name: &str| support::lines(&fs::read_to_string(world.path(name)).unwrap());
    let ids = |images: &[Value]| images.iter().map(|image| image["id"].to_string()).collect::<BTreeSet<_>>();
    let expected = ids(&read("all"));
    assert_eq!(expected.len(), 300);
    // In the making of the store; in packs, the catalogue and segments, from the first images to the last.
    let sizes = ["4k", "8k", "16k", "100k", "300k", "500k", "700k", "900k", "1100k"];
    let mut places = BTreeSet::new();
    for size in sizes {
        let ran = with_disk(&world, size, line).unwrap();
        let status: Vec<_> = ran.stdout.lines().collect();
        // What was committed and could not be published is not answered yet, which is said.
        let complaint: Vec<_> =
            ran.stderr.lines().filter(|line| !line.starts_with("note: newer commits")).collect();
        let mut told = read("told");
        if status[0] == "2" {
            assert!(complaint[0].starts_with("error: disk/store"), "{size}: {complaint:?}");
            assert!(
                complaint[1].starts_with("hint: free space and run the same command again"),
                "{complaint:?}"
            );
            assert_eq!(complaint.len(), 2, "{size}: {complaint:?}");
            places.extend(complaint[0].split('/').nth(2).map(str::to_owned));
            // Where the store could not even be made there is nothing to tell.
            if let Some(aborted) = told.pop() {
                let count = told.len() as u64;
                assert_eq!(
                    (&aborted["event"], &aborted["images_stored"]),
                    (&json!("aborted"), &json!(count))
                );
            }
        }
        told.retain(|event| event["event"] == "image");
        let told: Vec<_> = told.iter().map(|event| event["image"].clone()).collect();
        let stored = ids(&read("stored"));
        assert!(ids(&told).is_subset(&stored) && stored.is_subset(&expected), "{size}");
        assert_eq!((&status[2..], ids(&read("all"))), (&["0", "0", "0"][..], expected.clone()), "{size}");
        assert_eq!(read("stats")[0]["layers"], json!(601), "{size}");
    }
    assert!(places.len() > 1, "the disk was only full in {places:?}");
}

#[test]
fn a_store_that_cannot_be_written_says_so() {
    let world = World::new();
    world.save("base.tar", &[base()]);
    world.save("other.tar", &[other()]);
    let line = "\
        \"$LAYERPRINT\" ingest base.tar > told; \
        mount -o remount,ro none disk; \
        \"$LAYERPRINT\" ingest other.tar; echo $?; \
        \"$LAYERPRINT\" find base:1 > found; echo $?";
    let Some(ran) = with_disk(&world, "10m", line) else { return };
    let error = "error: disk/store/FORMAT: open: Read-only file system (os error 30)\n\
                 hint: the file system is mounted read-only; Linux does that when a disk fails, so look at the kernel \
                 log (dmesg); mount it writable, or name another --store\n";
    assert_eq!(ran, Ran { status: 0, stdout: "2\n1\n".into(), stderr: error.into() });
}
