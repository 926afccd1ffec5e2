//! Folder -> sources: finds every image below a folder, by content.
//!
//! A folder that is itself an image (an OCI layout, skopeo's `dir:`, an unpacked `docker save`) is one source and is
//! not searched further. Files are taken if they start like an archive. Links are not followed.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use crate::codec::Codec;
use crate::error::IngestError;
use crate::source::{Source, Transport};

/// A source to read, and whether somebody named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The source.
    pub source: Source,
    /// False if it was found in a folder: then it may turn out not to be an image, which is no failure.
    pub named: bool,
    /// How it is written: as it was named, or where it is below the folder that was. Machines that have the same folder in
    /// other places write it alike.
    pub text: Vec<u8>,
}

/// Replaces a bare folder that is no image itself by the sources below it, in path order. Anything else stays.
///
/// What cannot be looked into is an error of its own, not the end of the search.
pub fn expand(source: &Source) -> Vec<Result<Found, IngestError>> {
    let named = |source: &Source| {
        let text = source.to_bytes();
        vec![Ok(Found { source: source.clone(), named: true, text })]
    };
    let found_at = |path: &Path| {
        let below = path.strip_prefix(&source.path).unwrap_or(path);
        Found { source: Source::detect(path), named: false, text: below.as_os_str().as_bytes().to_vec() }
    };
    if source.transport != Transport::Detect || !source.path.is_dir() || is_image_folder(&source.path) {
        return named(source);
    }
    let mut found = Vec::new();
    let mut walk = WalkDir::new(&source.path).sort_by_file_name().min_depth(1).into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(&source.path).to_owned();
                found.push(Err(IngestError::io(&path)(error.into())));
                continue;
            }
        };
        if entry.file_type().is_dir() && is_image_folder(entry.path()) {
            found.push(Ok(found_at(entry.path())));
            walk.skip_current_dir();
        } else if is_archive(&entry) {
            found.push(Ok(found_at(entry.path())));
        }
    }
    // A folder with nothing in it that could be an image is reported as what was named.
    if found.is_empty() { named(source) } else { found }
}

fn is_image_folder(path: &Path) -> bool {
    let has = |name: &str| path.join(name).is_file();
    let layout = has("index.json") && (has("oci-layout") || path.join("blobs").is_dir());
    let dir = has("manifest.json") && has("version");
    layout || dir || (has("manifest.json") && lists_layers(&path.join("manifest.json")))
}

/// Tells the `manifest.json` of an unpacked `docker save` from those of web extensions and the like.
fn lists_layers(path: &Path) -> bool {
    const SMALL_BYTES: u64 = 1 << 20;
    let small = fs::metadata(path).is_ok_and(|meta| meta.len() <= SMALL_BYTES);
    small
        && fs::read(path).is_ok_and(|bytes| {
            serde_json::from_slice::<Vec<crate::document::DockerImage>>(&bytes)
                .is_ok_and(|list| !list.is_empty())
        })
}

fn is_archive(entry: &DirEntry) -> bool {
    /// A tar header with the magic at offset 257.
    const HEAD_BYTES: u64 = 512;
    if !entry.file_type().is_file() {
        return false;
    }
    let mut head = Vec::new();
    let read = File::open(entry.path()).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    let compressed = Codec::sniff(&head).is_ok_and(|codec| codec != Codec::Plain);
    read.is_ok() && (compressed || head.get(257..262) == Some(b"ustar"))
}
