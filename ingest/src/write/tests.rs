//! What is written is read back with readers of other people: `tar`, `serde_json` and the decompressors.

mod forms;
mod images;
mod layers;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;

use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};
use tempfile::TempDir;

use super::*;

fn sample() -> Image {
    let base = Layer::new()
        .dir("etc/")
        .file("etc/motd", "hi\n")
        .hard_link("etc/issue", "etc/motd")
        .symlink("bin", "usr/bin")
        .char_device("dev/null", 1, 3)
        .fifo("run/pipe")
        .file("usr/bin/su", vec![7; 70_000])
        .mode(0o4755)
        .xattr("security.capability", [1, 0, 0, 2]);
    let app = Layer::new().whiteout("etc/issue").opaque("var/cache").file(b"srv/\xff\xfe", "not UTF-8");
    Image::new("app:1").layer(base.clone()).layer(app).step("CMD [\"sh\"]").layer(base)
}

fn decompress(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match bytes {
        [0x1f, 0x8b, ..] => flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd::Decoder::new(bytes).unwrap().read_to_end(&mut out),
        [0xfd, b'7', ..] => liblzma::read::XzDecoder::new(bytes).read_to_end(&mut out),
        [b'B', b'Z', b'h', ..] => bzip2::read::MultiBzDecoder::new(bytes).read_to_end(&mut out),
        _ => return bytes.to_vec(),
    }
    .unwrap();
    out
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(bytes)))
}

/// Returns the files of a folder or (compressed) archive, symlinks followed; names end as they are stored.
fn files_of(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    if path.is_dir() {
        collect(path, path, &mut files);
        return files;
    }
    let bytes = decompress(&fs::read(path).unwrap());
    let mut links = Vec::new();
    for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if let Some(target) = entry.link_name_bytes().filter(|target| target.starts_with(b"../")) {
            links.push((name, String::from_utf8(target[3..].to_vec()).unwrap()));
        } else if entry.header().entry_type().is_file() {
            let mut body = Vec::new();
            entry.read_to_end(&mut body).unwrap();
            assert!(files.insert(name, body).is_none(), "a name occurs twice");
        }
    }
    for (name, target) in links {
        let body = files[&target].clone();
        files.insert(name, body);
    }
    files
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for child in fs::read_dir(folder).unwrap() {
        let path = child.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if let Ok(bytes) = fs::read(&path) {
            files.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), bytes);
        }
    }
}

fn json_of(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Value {
    serde_json::from_slice(files.get(name).unwrap_or_else(|| panic!("{name} is missing"))).unwrap()
}

fn blob_path(digest: &Value) -> String {
    format!("blobs/{}", digest.as_str().unwrap().replace(':', "/"))
}

/// Returns name, type and contents (or target) of each entry, as `tar` reads them.
fn listing(tar: &[u8]) -> Vec<(String, u8, String)> {
    let mut rows = Vec::new();
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut body = entry.link_name_bytes().unwrap_or_default().to_vec();
        entry.read_to_end(&mut body).unwrap();
        let kind = entry.header().entry_type().as_byte();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        rows.push((name, kind, String::from_utf8_lossy(&body).into_owned()));
    }
    rows
}

fn row(name: &str, kind: u8, body: &str) -> (String, u8, String) {
    (name.to_owned(), kind, body.to_owned())
}
