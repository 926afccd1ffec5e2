//! Bulk ingest as a process: what it needs of the system, and how it ends when something outside of it goes wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should stop there")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::Duration;

use layerprint_ingest::write::{Image, Layer, Options, oci_layout};
use serde_json::json;
use support::{Ran, World, base, files};

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
            "sources_unchanged": 0, "layers_read": 8, "layers_known": null, "read_bytes": null, "elapsed_ms": null,
            "failed": [], "skipped": [], "stopped": true, "hint": "the same command goes on where this one stopped",
        });
        assert_eq!((ran.status, summary), (status, expected));
        // Those of the three images, and the one that was in flight.
        assert_eq!(world.json(&["stats", "--json"])[0]["layers"], json!(8));
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
