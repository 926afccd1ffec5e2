//! Lists archives with our reader and with the Go that is installed, in one form that can be compared.

pub mod decompress;
pub mod mutate;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use layerprint_ingest::tar::{ReadSkip, TarEntry, TarError, TarKind, TarLimits, TarReader};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// As in `list_tar.go`.
const BODY_MAX: i64 = 64 << 20;
const ENTRIES_MAX: usize = 300;

/// One archive as a reader sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listing {
    pub file: String,
    pub count: usize,
    pub digest: String,
    pub failed: bool,
    pub error: String,
    pub entries: Vec<ListedEntry>,
}

/// One entry, in ASCII. The order of the fields is that of the Go program: the digest is over their JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedEntry {
    pub name: String,
    #[serde(rename = "type")]
    pub typeflag: String,
    pub size: i64,
    pub link: String,
    pub mode: u32,
    pub uid: i64,
    pub gid: i64,
    pub devmajor: i64,
    pub devminor: i64,
    pub read: u64,
    pub sha256: String,
    pub body: String,
}

impl Listing {
    /// Returns true if both readers saw the same entries and both failed or both did not.
    pub fn agrees_with(&self, other: &Self) -> bool {
        (self.count, &self.digest, self.failed, &self.entries)
            == (other.count, &other.digest, other.failed, &other.entries)
    }
}

/// Lists with our reader.
pub fn list<R: ReadSkip>(file: &str, archive: R, limits: TarLimits) -> Listing {
    let mut reader = TarReader::new(archive, limits);
    let mut entries = Vec::new();
    let error = read_all(&mut reader, &mut entries).err().map(|error| error.to_string());
    let mut digest = Sha256::new();
    for entry in &entries {
        digest.update(serde_json::to_string(entry).unwrap());
        digest.update(b"\n");
    }
    Listing {
        file: file.to_owned(),
        count: entries.len(),
        digest: hex(&digest.finalize()),
        failed: error.is_some(),
        error: error.unwrap_or_default(),
        entries: if entries.len() > ENTRIES_MAX { Vec::new() } else { entries },
    }
}

fn read_all<R: ReadSkip>(reader: &mut TarReader<R>, entries: &mut Vec<ListedEntry>) -> Result<(), TarError> {
    let mut buffer = vec![0; 64 << 10];
    while let Some(entry) = reader.next_entry()? {
        // The lister leaves these out too: Go gives all of them, this reader only those with unusual names.
        if entry.kind == TarKind::GlobalHeader {
            continue;
        }
        let mut listed = describe(&entry);
        if entry.stated_size > BODY_MAX && matches!(entry.kind, TarKind::File | TarKind::Other(_)) {
            listed.body = "skipped".to_owned();
            entries.push(listed);
            continue;
        }
        let mut hash = Sha256::new();
        let result = loop {
            match reader.read_body(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(count) => {
                    listed.read += count as u64;
                    hash.update(&buffer[..count]);
                }
                Err(error) => break Err(error),
            }
        };
        listed.sha256 = hex(&hash.finalize());
        listed.body = if result.is_ok() { "whole".to_owned() } else { "error".to_owned() };
        if result.is_ok() {
            assert_eq!(listed.read, entry.size_bytes, "{}", listed.name);
        }
        entries.push(listed);
        result?;
    }
    Ok(())
}

fn describe(entry: &TarEntry) -> ListedEntry {
    ListedEntry {
        name: escape(&entry.path),
        typeflag: escape(&[entry.typeflag]),
        size: entry.stated_size,
        link: escape(&entry.link_target),
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        devmajor: entry.device_major,
        devminor: entry.device_minor,
        read: 0,
        sha256: String::new(),
        body: String::new(),
    }
}

/// As in `list_tar.go`.
pub fn escape(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, &byte| {
        match byte {
            b'\\' | b'"' | b'<' | b'>' | b'&' => text.push_str(&format!("\\x{byte:02x}")),
            0x20..=0x7e => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
        text
    })
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Limits that stop nothing that Go would not stop.
pub fn limits_of_go() -> TarLimits {
    TarLimits {
        path_bytes_max: usize::MAX,
        entries_max: u64::MAX,
        file_bytes_max: u64::MAX,
        sparse_ratio_max: u64::MAX,
        sparse_free_bytes: u64::MAX,
        hole_bytes_max: u64::MAX,
        ..TarLimits::default()
    }
}

/// The Go program that lists archives, built into a folder that goes when this does.
pub struct GoLister {
    folder: tempfile::TempDir,
}

impl GoLister {
    /// Builds it; `None`, with the reason on stderr, where there is no Go.
    pub fn build() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go/list_tar.go");
        std::fs::copy(source, folder.path().join("main.go")).unwrap();
        std::fs::write(folder.path().join("go.mod"), "module listtar\n\ngo 1.21\n").unwrap();
        let build = Command::new("go")
            .args(["build", "-o", "list_tar", "."])
            .current_dir(folder.path())
            .env("GOFLAGS", "-mod=mod")
            .env("GOTOOLCHAIN", "local")
            .output();
        match build {
            Ok(output) if output.status.success() => Some(Self { folder }),
            Ok(output) => panic!("go build failed: {}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => {
                eprintln!("skipped: comparing with Go needs a Go toolchain: {error}");
                None
            }
        }
    }

    /// Lists archives, each given as a line that the program understands.
    pub fn list(&self, lines: &[String]) -> Vec<Listing> {
        let mut child = Command::new(self.folder.path().join("list_tar"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = lines.join("\n");
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success());
        let listings: Vec<Listing> = output
            .stdout
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert_eq!(listings.len(), lines.len());
        listings
    }
}

/// A folder beside the project with evidence that is not part of it; `None`, with a word on stderr, if absent.
/// `LAYERPRINT_SHARED` says that it is elsewhere.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let path = std::env::var_os("LAYERPRINT_SHARED").map_or_else(beside, PathBuf::from).join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is not on this machine", path.display());
    None
}

/// Returns the small archives of our own set, which hold forms that the builder of mutations does not.
pub fn samples() -> &'static [Vec<u8>] {
    static SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(read_samples);
    &SAMPLES
}

fn read_samples() -> Vec<Vec<u8>> {
    const SAMPLE_BYTES_MAX: usize = 16 << 10;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_string_lossy().contains(".tar"));
    paths.sort();
    let plain = paths.iter().map(|path| decompress::decompress(&std::fs::read(path).unwrap()).0);
    plain.filter(|bytes| (1..SAMPLE_BYTES_MAX).contains(&bytes.len())).collect()
}

/// Numbers that are the same everywhere for the same seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// Returns true in so many of a hundred cases.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}
