//! A folder with images and a store, in which the command is typed.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};

use assert_cmd::cargo::cargo_bin_cmd;
use layerprint_ingest::write::{DockerSave, Image, Layer, Options, Written, docker_archive};
use serde_json::Value;
use tempfile::TempDir;

/// Files of the base: enough of them, and large enough, to be evidence.
pub const BASE_FILES: usize = 40;

pub struct World {
    pub folder: TempDir,
}

/// What a command did.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl World {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A world whose store has the base, and where `base.tar` is.
    pub fn with_base() -> Self {
        let world = Self::new();
        world.save("base.tar", &[base()]);
        assert_eq!(world.run(&["ingest", "base.tar"]).status, 0);
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes images as `docker save` does.
    pub fn save(&self, file: &str, images: &[Image]) -> Written {
        docker_archive(images, &self.path(file), DockerSave::V1_1, &Options::default()).unwrap()
    }

    /// The command, with a store in this folder and nothing of the user's around it.
    pub fn command(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = cargo_bin_cmd!("layerprint");
        command.current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        command.env("TMPDIR", self.folder.path()).args(args);
        if let Some(cargo) = cargo_home() {
            command.env("CARGO_HOME", cargo);
        }
        // So that what is told about itself is not cut to the width of some terminal.
        command.env("COLUMNS", "100").env("LAYERPRINT_STORE", "store");
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(&mut self.command(args))
    }

    /// Runs with a file as standard input.
    pub fn pipe(&self, file: &str, args: &[&str]) -> Ran {
        ran(self.command(args).pipe_stdin(self.path(file)).unwrap())
    }

    /// Runs and returns the lines of JSON.
    pub fn json(&self, args: &[&str]) -> Vec<Value> {
        lines(&self.run(args).stdout)
    }
}

/// Where the demonstration finds files on a machine that has few.
fn cargo_home() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home)
}

pub fn ran(command: &mut assert_cmd::Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        status: output.status.code().expect("it was not killed"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub fn lines(json: &str) -> Vec<Value> {
    json.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// `base:1`: forty files of 10 kB.
pub fn base() -> Image {
    Image::new("base:1").layer(files("usr/lib/base", BASE_FILES))
}

/// `app:1` on the base: two files of its own, one deleted, one edited.
pub fn app() -> Image {
    let own = files("srv/app", 2);
    let changes = Layer::new().whiteout("usr/lib/base/07").file("usr/lib/base/03", "edited");
    base().named("app:1").layer(own).layer(changes)
}

/// `other:1`, which has nothing of the base.
pub fn other() -> Image {
    Image::new("other:1").layer(files("opt/other", 10))
}

/// Files whose contents nothing else has.
pub fn files(folder: &str, count: usize) -> Layer {
    (0..count).fold(Layer::new().dir(format!("{folder}/")), |layer, index| {
        let path = format!("{folder}/{index:02}");
        layer.file(&path, format!("{path}\n").repeat(10_000 / (path.len() + 1)))
    })
}

/// The start of an image's ID, as it is shown.
pub fn short(written: &Written, image: usize) -> String {
    written.images[image].image_id.unwrap().to_hex()[..12].to_owned()
}

/// A folder beside the project with evidence that is not part of it; `None`, with a word on stderr, if absent.
/// `LAYERPRINT_SHARED` says that it is elsewhere.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let path = std::env::var_os("LAYERPRINT_SHARED").map_or_else(beside, PathBuf::from).join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is not on this machine", path.display());
    None
}

/// A world with `base:1`, `base:2` (newer, other files), `mid:1` on the first, `app:1` on the first, `svc:1` on `mid:1`, and
/// `other:1`.
pub fn fleet() -> World {
    let world = World::new();
    let first = || base().created("2026-01-01T00:00:00Z");
    let middle =
        || first().named("mid:1").created("2026-02-01T00:00:00Z").layer(files("usr/lib/mid", BASE_FILES));
    let images = [
        first(),
        second(),
        middle(),
        first().named("app:1").layer(files("srv/app", 2)),
        middle().named("svc:1").layer(files("srv/svc", 2)),
        other(),
    ];
    world.save("fleet.tar", &images);
    assert_eq!(world.run(&["ingest", "fleet.tar"]).status, 0);
    world
}

/// `base:2`: newer than `base:1`, with nothing of it.
pub fn second() -> Image {
    Image::new("base:2").created("2026-06-01T00:00:00Z").layer(files("usr/lib/second", BASE_FILES))
}

/// The errors that a policy finds on a day, and the exit status.
pub fn offences(world: &World, policy: &str, day: &str) -> (Vec<String>, i32) {
    std::fs::write(world.path("policy.toml"), policy).unwrap();
    let ran = world.run(&["report", "--json", "--policy", "policy.toml", "--as-of", day]);
    let mut told = Vec::new();
    for row in lines(&ran.stdout) {
        for remark in row["remarks"].as_array().unwrap() {
            if remark["level"] == "error" {
                let [name, rule] = [&row["source"], &remark["rule"]].map(|text| text.as_str().unwrap());
                told.push(format!("{name} {rule}"));
            }
        }
    }
    (told, ran.status)
}
