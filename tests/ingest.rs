//! Bulk ingest as a process: what it needs of the system, and how it ends when something outside of it goes wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should stop there")]

mod support;

use std::process::{Command, Output};

use layerprint_ingest::write::{Image, Layer, Options, oci_layout};
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
