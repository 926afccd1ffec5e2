//! Small images, the program that is tried, and what can be asked of its store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use layerprint_ingest::write::{DockerSave, Image, Layer, Options, docker_archive};
use serde_json::Value;
use tempfile::TempDir;

use super::{Found, Settings};

/// Longer than anything here takes on a loaded machine: what takes longer hangs.
const HANG: Duration = Duration::from_secs(180);
/// Stores of failures that are kept.
const KEPT_MAX: usize = 20;
/// Exit statuses that the documentation names.
pub const DOCUMENTED: [i32; 5] = [0, 1, 2, 130, 143];
/// The time at which names are stored as seen, so that two runs store the same.
const EPOCH: &str = "1700000000";

/// Archives of small images on a few bases, and what an undisturbed ingest makes of them.
pub struct World {
    folder: TempDir,
    binary: PathBuf,
    /// A folder of archives.
    pub sources: PathBuf,
    /// The store that an undisturbed ingest of them makes.
    pub store: PathBuf,
    /// Its images: what `list --json` says of each, by ID.
    pub images: BTreeMap<String, Value>,
    /// BLAKE3 of its export.
    pub export: String,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// None if a signal ended it.
    pub status: Option<i32>,
    pub signal: Option<i32>,
    pub is_hung: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The lines of JSON of its standard output. The last line of a killed process may be cut.
    pub fn lines(&self) -> Vec<Value> {
        self.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Says what no process of ours may ever do: hang, panic, or end in a way that is not documented.
    pub fn offence(&self) -> Option<String> {
        let what = match (self.is_hung, self.status, self.signal) {
            (true, ..) => "hung".to_owned(),
            (_, Some(status), _) if !DOCUMENTED.contains(&status) => format!("ended with {status}"),
            (_, None, Some(signal)) => format!("was ended by signal {signal}"),
            _ if self.stderr.contains("panicked at") => "printed a panic".to_owned(),
            _ => return None,
        };
        Some(format!("{what}: {}", self.first_line()))
    }

    /// The first line of standard error.
    pub fn first_line(&self) -> &str {
        self.stderr.lines().next().unwrap_or_default()
    }

    /// The images that an `ingest --json` acknowledged.
    pub fn acknowledged(&self) -> BTreeSet<String> {
        let images = self.lines().into_iter().filter(|line| line["event"] == "image");
        images.filter_map(|line| line["image"]["id"].as_str().map(str::to_owned)).collect()
    }
}

impl World {
    /// Makes so many archives of so many images each, and the reference store.
    pub fn new(settings: &Settings, archives: u64, images: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let (sources, store) = (folder.path().join("sources"), folder.path().join("store"));
        fs::create_dir(&sources).expect("a new folder");
        for archive in 0..archives {
            let images: Vec<Image> = (0..images).map(|number| image(archive, number)).collect();
            let path = sources.join(format!("a{archive}.tar"));
            docker_archive(&images, &path, DockerSave::V1_1, &Options::default()).expect("an archive");
        }
        let binary = settings.binary.clone();
        let (images, export) = (BTreeMap::new(), String::new());
        let mut world = Self { folder, binary, sources, store, images, export };
        let ingested = world.ingest(&world.store, &[]);
        assert_eq!(ingested.status, Some(0), "{}", ingested.stderr);
        world.images = world.listed(&world.store).expect("an undisturbed store answers");
        world.export = world.exported(&world.store).expect("an undisturbed store is exported");
        world
    }

    /// A new path in the folder of this world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command, with this store and nothing of the user's around it.
    pub fn command(&self, store: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        command.env("TMPDIR", self.folder.path()).env("SOURCE_DATE_EPOCH", EPOCH);
        command.arg("--store").arg(store).arg("--quiet").args(arguments);
        command.envs(environment.iter().copied());
        command
    }

    /// Runs a command to its end, or until it hangs.
    pub fn run(&self, store: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = self.command(store, arguments, environment);
        wait(&mut command, |_| ())
    }

    /// Runs a command and hands its process to `meanwhile`, which may kill it.
    pub fn run_with(&self, store: &Path, arguments: &[&str], meanwhile: impl FnOnce(&mut Child)) -> Ran {
        wait(&mut self.command(store, arguments, &[]), meanwhile)
    }

    /// Ingests all sources; each image is acknowledged by a line of JSON.
    pub fn ingest(&self, store: &Path, environment: &[(&str, &str)]) -> Ran {
        let sources = self.sources.to_string_lossy();
        self.run(store, &["ingest", "--json", "--jobs", "2", &sources], environment)
    }

    /// Returns what a store lists, by ID.
    pub fn listed(&self, store: &Path) -> Result<BTreeMap<String, Value>, String> {
        let ran = self.run(store, &["list", "--json"], &[]);
        match (ran.offence(), ran.status) {
            (Some(offence), _) => Err(format!("list {offence}")),
            (None, Some(0 | 1)) => {
                let images = ran.lines().into_iter();
                Ok(images.map(|image| (image["id"].as_str().unwrap_or_default().to_owned(), image)).collect())
            }
            _ => Err(format!("list: {}", ran.first_line())),
        }
    }

    /// Returns the hash of a store's export.
    pub fn exported(&self, store: &Path) -> Result<String, String> {
        let file = store.with_extension("lpx");
        let ran = self.run(store, &["export", "--json", &file.to_string_lossy()], &[]);
        // Large ones would fill the disk.
        let _ = fs::remove_file(&file);
        let exported = ran.lines().pop();
        match (ran.status, exported.as_ref().and_then(|line| line["blake3"].as_str())) {
            (Some(0), Some(hash)) => Ok(hash.to_owned()),
            _ => Err(format!("export ended with {:?}: {}", ran.status, ran.first_line())),
        }
    }

    /// Says how a store differs from what it must hold: all that was acknowledged, nothing that was never put, each image as it is
    /// in the reference.
    pub fn contradiction(&self, store: &Path, acknowledged: &BTreeSet<String>) -> Option<String> {
        let listed = match self.listed(store) {
            Ok(listed) => listed,
            Err(problem) => return Some(problem),
        };
        let lost = acknowledged.iter().filter(|id| !listed.contains_key(*id)).count();
        if lost > 0 {
            return Some(format!("{lost} of {} acknowledged images are lost", acknowledged.len()));
        }
        let torn = listed.iter().filter(|(id, image)| self.images.get(*id) != Some(image)).count();
        (torn > 0).then(|| format!("{torn} of {} listed images are not as they were put", listed.len()))
    }

    /// Says what is wrong if the same ingest once more does not end as an undisturbed one does.
    pub fn unfinished(&self, store: &Path) -> Option<String> {
        let ran = self.ingest(store, &[]);
        if ran.status != Some(0) {
            return Some(format!("the next ingest ended with {:?}: {}", ran.status, ran.first_line()));
        }
        match self.exported(store) {
            Ok(export) if export == self.export => None,
            Ok(_) => Some("the next ingest made another store than an undisturbed one".to_owned()),
            Err(problem) => Some(problem),
        }
    }
}

/// An image of a shared base and layers of its own, some of which are too large for the catalogue.
fn image(archive: u64, number: u64) -> Image {
    let own = archive * 1000 + number;
    let layer = |label: &str, seed: u64, files: u64| {
        (0..files).fold(Layer::new(), |layer, file| {
            layer.file(format!("{label}{seed}/f{file}"), format!("{label} {seed} {file}").repeat(3))
        })
    };
    let name = format!("tiny/a{archive}:i{number}");
    let files = if own.is_multiple_of(3) { 90 } else { 6 };
    Image::new(&name)
        .layer(layer("base", own % 3, 20))
        .layer(layer("own", own, files))
        .layer(layer("top", own, 2))
}

/// Output goes to files: a pipe that nobody reads would stop the process.
fn wait(command: &mut Command, meanwhile: impl FnOnce(&mut Child)) -> Ran {
    let (stdout, stderr) = (temporary(), temporary());
    let clone = |file: &File| Stdio::from(file.try_clone().expect("a copy of a descriptor"));
    command.stdin(Stdio::null()).stdout(clone(&stdout)).stderr(clone(&stderr));
    let mut child = command.spawn().expect("the program starts");
    meanwhile(&mut child);
    let started = Instant::now();
    let mut is_hung = false;
    let status = loop {
        match child.try_wait().expect("a child can be waited for") {
            Some(status) => break status,
            None if started.elapsed() > HANG && !is_hung => {
                is_hung = true;
                // It may have ended just now.
                let _ = child.kill();
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    };
    Ran {
        status: status.code(),
        signal: status.signal(),
        is_hung,
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

fn temporary() -> File {
    tempfile::tempfile().expect("a temporary file")
}

fn text(mut file: File) -> String {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("output can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Copies a folder and all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a new folder");
    for item in fs::read_dir(from).expect("a folder") {
        let item = item.expect("an item");
        let target = to.join(item.file_name());
        if item.file_type().expect("a type").is_dir() {
            copy(&item.path(), &target);
        } else {
            fs::copy(item.path(), target).expect("a copy");
        }
    }
}

/// Returns every file of a folder, sorted.
pub fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for item in fs::read_dir(root).into_iter().flatten().flatten() {
        let path = item.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Numbers that look random and are the same in every run.
pub struct Random(pub u64);

impl Random {
    /// Of one try of one part.
    pub fn of(settings: &Settings, part: &str, number: usize) -> Self {
        let hash = blake3::hash(format!("{} {part} {number}", settings.seed).as_bytes());
        Self(u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight bytes")))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }
}

/// Runs tries side by side. Each is given its number and a new folder, and says what went wrong; the folders of some failures
/// are kept.
pub fn tries(
    settings: &Settings,
    world: &World,
    part: &str,
    numbers: &[usize],
    one: impl Fn(usize, &Path) -> Option<String> + Sync,
) -> Found {
    let numbers: Vec<usize> =
        numbers.iter().copied().filter(|number| settings.only.is_none_or(|only| only == *number)).collect();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
            let folder = world.path(&format!("{part}-{number}"));
            fs::create_dir_all(&folder).expect("a new folder");
            if let Some(problem) = one(*number, &folder) {
                let repeat = format!("--part {part} --seed {} --only {number}", settings.seed);
                failures.lock().expect("no try panics").push((*number, format!("{repeat}: {problem}")));
                keep(settings, &folder, part, *number);
            }
            fs::remove_dir_all(&folder).expect("a folder of ours");
        }
    };
    thread::scope(|scope| (0..settings.jobs.max(1)).for_each(|_| _ = scope.spawn(work)));
    let mut failures = failures.into_inner().expect("no try panics");
    failures.sort();
    let failures = failures.into_iter().map(|(_, failure)| failure).collect();
    Found { tries: numbers.len(), failures, ..Found::default() }
}

fn keep(settings: &Settings, folder: &Path, part: &str, number: usize) {
    let kept = fs::read_dir(&settings.keep).map_or(0, Iterator::count);
    if kept < KEPT_MAX {
        copy(folder, &settings.keep.join(format!("{part}-{number}")));
    }
}
