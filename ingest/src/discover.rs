//! Folder -> sources: finds every image below a folder, by content.
//!
//! A folder that is itself an image (an OCI layout, skopeo's `dir:`, an unpacked `docker save`) is one source and is
//! not searched further. Files are taken if they start like an archive. Links are not followed.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use walkdir::WalkDir;

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

/// A source, or a file in a folder that nobody has opened yet to see whether it is one.
pub(crate) struct Candidate {
    pub(crate) found: Found,
    is_sure: bool,
}

impl Candidate {
    /// Opens a file and returns whether it starts like an archive, or cannot be read, which is then told by who reads it;
    /// anything else is a source as it is.
    pub(crate) fn is_source(&self) -> bool {
        self.is_sure || starts_like_archive(&self.found.source.path).unwrap_or(true)
    }
}

/// Replaces a bare folder that is no image itself by the sources below it, in path order. Anything else stays.
///
/// What cannot be looked into is an error of its own, not the end of the search.
pub fn expand(source: &Source) -> Vec<Result<Found, IngestError>> {
    let mut found = Vec::new();
    let searched: Result<(), Infallible> = search(source, &mut |candidate| {
        let is_source = candidate.as_ref().map_or(true, Candidate::is_source);
        found.extend(is_source.then(|| candidate.map(|candidate| candidate.found)));
        Ok(is_source)
    });
    searched.unwrap_or_else(|never| match never {});
    found
}

/// Does the same one by one, until `take` fails. It says of each file whether it was a source.
pub(crate) fn search<E>(
    source: &Source,
    take: &mut dyn FnMut(Result<Candidate, IngestError>) -> Result<bool, E>,
) -> Result<(), E> {
    let named = || {
        let found = Found { source: source.clone(), named: true, text: source.to_bytes() };
        Candidate { found, is_sure: true }
    };
    let found_at = |path: &Path, is_sure| {
        let below = path.strip_prefix(&source.path).unwrap_or(path);
        let text = below.as_os_str().as_bytes().to_vec();
        Candidate { found: Found { source: Source::detect(path), named: false, text }, is_sure }
    };
    if source.transport != Transport::Detect || !source.path.is_dir() || is_image_folder(&source.path) {
        return take(Ok(named())).map(drop);
    }
    let mut is_empty = true;
    let mut walk = WalkDir::new(&source.path).sort_by_file_name().min_depth(1).into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(&source.path).to_owned();
                is_empty &= !take(Err(IngestError::io(&path)(error.into())))?;
                continue;
            }
        };
        if entry.file_type().is_dir() && is_image_folder(entry.path()) {
            is_empty &= !take(Ok(found_at(entry.path(), true)))?;
            walk.skip_current_dir();
        } else if entry.file_type().is_file() {
            is_empty &= !take(Ok(found_at(entry.path(), false)))?;
        }
    }
    // A folder with nothing in it that could be an image is reported as what was named.
    if is_empty { take(Ok(named())).map(drop) } else { Ok(()) }
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

fn starts_like_archive(path: &Path) -> io::Result<bool> {
    /// A tar header with the magic at offset 257.
    const HEAD_BYTES: u64 = 512;
    let mut head = Vec::new();
    File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    let compressed = Codec::sniff(&head).is_ok_and(|codec| codec != Codec::Plain);
    Ok(compressed || head.get(257..262) == Some(b"ustar"))
}
