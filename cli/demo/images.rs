//! The images of the demonstration: bases, and what became of applications that were built on them.
//!
//! Knows the truth about each, which nothing but the table at the end of the demonstration is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Context;
use layerprint_ingest::write::{
    Compression, DockerSave, Image, Layer, Options, Written, docker_archive, oci_archive, rootfs_archive,
};

use super::files::{Piece, Pieces};

/// One in so many files of the base was changed when it was rebuilt.
const REBUILD_CHANGES: usize = 25;
/// One in so many got another name, as a library does with its version.
const REBUILD_RENAMES: usize = 100;
/// One in so many files of what it is built on was deleted by the application, as slimming scripts do.
const APP_DELETES: usize = 12;
/// So many configuration files were edited by the application.
const APP_EDITS: usize = 3;

/// 2026-01-12, 2026-03-09 and 2026-06-01 at midnight, in seconds since 1970.
const JANUARY: u64 = 1_768_176_000;
const MARCH: u64 = 1_773_014_400;
const JUNE: u64 = 1_780_272_000;

/// An image that was made.
pub struct Made {
    /// The file that it is in.
    pub file: &'static str,
    pub name: &'static str,
    /// What was done to it.
    pub story: String,
    pub layers: usize,
    pub files: usize,
}

/// An image to ask about, and the truth about it.
pub struct Ask {
    /// As a user would type it after `layerprint find`.
    pub source: &'static str,
    /// What was done to it.
    pub story: &'static str,
    /// What it is built on, and what that is built on.
    pub truth: &'static [&'static str],
}

/// The archive of the bases.
pub const BASES: &str = "bases.tar";
const BASE: &str = "demo/base:2026-01";
const BASE_REBUILT: &str = "demo/base:2026-03";
const RUNTIME: &str = "demo/runtime:1";
const APP: &str = "demo/app:1";
const SERVICE: &str = "demo/service:1";
const STRANGER: &str = "demo/stranger:1";

/// The images that are asked about.
pub const ASKS: [Ask; 6] = [
    Ask { source: "app.tar", story: "nothing", truth: &[RUNTIME, BASE] },
    Ask { source: "app-squashed.tar", story: "squashed into one layer", truth: &[RUNTIME, BASE] },
    Ask { source: "rootfs:app-exported.tar", story: "exported: files only", truth: &[RUNTIME, BASE] },
    Ask { source: "app-rebuilt.tar", story: "rebuilt: every digest differs", truth: &[RUNTIME, BASE] },
    Ask { source: "service-squashed.tar", story: "squashed into one layer", truth: &[BASE_REBUILT] },
    Ask { source: "stranger.tar", story: "its base is not stored", truth: &[] },
];

/// Writes all images into a folder.
pub fn make(pieces: &Pieces, folder: &Path) -> anyhow::Result<Vec<Made>> {
    let base_files = as_they_are(&pieces.base);
    let rebuilt_files = rebuilt(&pieces.base)?;
    let runtime_files = as_they_are(pieces.base.iter().chain(&pieces.runtime));
    let base = image(BASE).layer(layer(&base_files, JANUARY));
    let base_rebuilt = image(BASE_REBUILT).layer(layer(&rebuilt_files, MARCH));
    let runtime = base.clone().named(RUNTIME).layer(layer(&as_they_are(&pieces.runtime), JANUARY));
    let app = on(runtime.clone(), APP, &pieces.app, &runtime_files, JANUARY)?;
    let service = on(base_rebuilt.clone(), SERVICE, &pieces.app, &rebuilt_files, MARCH)?;
    let again = image(APP).layer(layer(&base_files, JUNE)).layer(layer(&as_they_are(&pieces.runtime), JUNE));
    let again = on(again, APP, &pieces.app, &runtime_files, JUNE)?;
    let stranger_files = strange(pieces)?;
    let stranger = image(STRANGER).layer(layer(&stranger_files, JANUARY));

    let app_count = count_on(&pieces.app, &runtime_files);
    let service_count = count_on(&pieces.app, &rebuilt_files);
    let changes = format!("{} files deleted, {APP_EDITS} edited", deleted(&runtime_files).count());
    let mut shelf = Shelf { folder, made: Vec::new() };
    shelf.docker(
        BASES,
        &[
            (&base, BASE, "files of this machine", base_files.len()),
            (&base_rebuilt, BASE_REBUILT, "1 file in 25 changed, all times", rebuilt_files.len()),
            (&runtime, RUNTIME, "on base:2026-01, more files", runtime_files.len()),
        ],
    )?;
    shelf.docker("app.tar", &[(&app, APP, &format!("on runtime:1, {changes}"), app_count)])?;
    shelf.docker("app-squashed.tar", &[(&app.squashed()?, APP, "the same in one layer", app_count)])?;
    shelf.exported("app-exported.tar", &app, "the same from docker export", app_count)?;
    shelf.oci("app-rebuilt.tar", &again, "the same built in June, as OCI with zstd", app_count)?;
    let squashed = service.squashed()?;
    shelf.docker(
        "service-squashed.tar",
        &[(&squashed, SERVICE, "on base:2026-03, squashed", service_count)],
    )?;
    let story = "other files, some at the same paths";
    shelf.docker("stranger.tar", &[(&stranger, STRANGER, story, stranger_files.len())])?;
    Ok(shelf.made)
}

/// Writes archives and remembers what is in them.
struct Shelf<'a> {
    folder: &'a Path,
    made: Vec<Made>,
}

impl Shelf<'_> {
    fn docker(
        &mut self,
        file: &'static str,
        images: &[(&Image, &'static str, &str, usize)],
    ) -> anyhow::Result<()> {
        let all: Vec<Image> = images.iter().map(|(image, ..)| (*image).clone()).collect();
        let options = Options::default();
        let written = docker_archive(&all, &self.folder.join(file), DockerSave::V1_1, &options)?;
        for (index, (_, name, story, files)) in images.iter().enumerate() {
            self.remember(file, name, story, &written, index, *files);
        }
        Ok(())
    }

    fn oci(&mut self, file: &'static str, image: &Image, story: &str, files: usize) -> anyhow::Result<()> {
        let options = Options { compression: Compression::Zstd, ..Options::default() };
        let written = oci_archive(std::slice::from_ref(image), &self.folder.join(file), &options)?;
        self.remember(file, APP, story, &written, 0, files);
        Ok(())
    }

    fn exported(
        &mut self,
        file: &'static str,
        image: &Image,
        story: &str,
        files: usize,
    ) -> anyhow::Result<()> {
        let written = rootfs_archive(image, &self.folder.join(file), &Options::default())?;
        self.remember(file, APP, story, &written, 0, files);
        Ok(())
    }

    fn remember(
        &mut self,
        file: &'static str,
        name: &'static str,
        story: &str,
        written: &Written,
        index: usize,
        files: usize,
    ) {
        let layers = written.images[index].layers.len();
        self.made.push(Made { file, name, story: story.to_owned(), layers, files });
    }
}

/// Starts an image for this machine.
fn image(name: &str) -> Image {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    Image::new(name).platform("linux", architecture)
}

/// A file on its way into a layer.
#[derive(Clone)]
struct File<'a> {
    piece: &'a Piece,
    /// Its contents, where they are not the piece's.
    contents: Option<Vec<u8>>,
}

/// Files by their paths.
type Files<'a> = BTreeMap<Vec<u8>, File<'a>>;

fn as_they_are<'a>(pieces: impl IntoIterator<Item = &'a Piece>) -> Files<'a> {
    pieces.into_iter().map(|piece| (piece.path.clone(), File { piece, contents: None })).collect()
}

/// The files of the base as they are in its next release.
fn rebuilt(base: &[Piece]) -> anyhow::Result<Files<'_>> {
    let mut files = as_they_are(base);
    for (index, piece) in base.iter().enumerate() {
        if index % REBUILD_RENAMES == 1 {
            files.remove(&piece.path);
            let path = [&piece.path, &b".2026-03"[..]].concat();
            files.insert(path, edited(piece, "renamed and updated in 2026-03")?);
        } else if index % REBUILD_CHANGES == 0 {
            files.insert(piece.path.clone(), edited(piece, "updated in 2026-03")?);
        }
    }
    Ok(files)
}

/// Files that no base has, and some at the paths of the base but with other contents.
fn strange(pieces: &Pieces) -> anyhow::Result<Files<'_>> {
    let mut files = as_they_are(&pieces.stranger);
    for piece in pieces.base.iter().step_by(10) {
        files.insert(piece.path.clone(), edited(piece, "of another distribution")?);
    }
    Ok(files)
}

/// Adds an application to an image: its files, then deletions and edits of what is below.
fn on(image: Image, name: &str, own: &[Piece], below: &Files, mtime: u64) -> anyhow::Result<Image> {
    let moved = |piece| (under_srv(piece), File { piece, contents: None });
    let own: Files = own.iter().map(moved).collect();
    let mut changes = layer(&edits(below)?, mtime);
    for path in deleted(below) {
        changes = changes.whiteout(path).mtime(mtime);
    }
    Ok(image.named(name).layer(layer(&own, mtime)).layer(changes))
}

fn under_srv(piece: &Piece) -> Vec<u8> {
    [b"srv/app/", &piece.path[..]].concat()
}

/// Counts the files of an application with what is left of what is below it.
fn count_on(own: &[Piece], below: &Files) -> usize {
    own.len() + below.len() - deleted(below).count()
}

/// The paths that an application deletes.
fn deleted<'a>(below: &'a Files) -> impl Iterator<Item = &'a Vec<u8>> {
    below.keys().skip(APP_DELETES / 2).step_by(APP_DELETES)
}

/// The files that an application edits: in `/etc` if there are any.
fn edits<'a>(below: &Files<'a>) -> anyhow::Result<Files<'a>> {
    let deleted: BTreeSet<_> = deleted(below).collect();
    let kept = below.iter().filter(|(path, _)| !deleted.contains(path));
    let (mut chosen, others): (Vec<_>, Vec<_>) = kept.partition(|(path, _)| path.starts_with(b"etc/"));
    chosen.extend(others);
    let edit = |(path, file): (&Vec<u8>, &File<'a>)| {
        Ok((path.clone(), edited(file.piece, "edited for the application")?))
    };
    chosen.into_iter().take(APP_EDITS).map(edit).collect()
}

/// Adds a line to a file, as its maintainers might: nobody runs it.
fn edited<'a>(piece: &'a Piece, note: &str) -> anyhow::Result<File<'a>> {
    let copy = &piece.copy;
    let mut contents = fs::read(copy).with_context(|| format!("{}: cannot be read", copy.display()))?;
    contents.extend_from_slice(format!("\n# {note}\n").as_bytes());
    Ok(File { piece, contents: Some(contents) })
}

/// Makes a layer of files and of the folders that they are in.
fn layer(files: &Files, mtime: u64) -> Layer {
    let mut layer = Layer::new();
    let mut folders = BTreeSet::new();
    for (path, File { piece, contents }) in files {
        for (slash, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if folders.insert(&path[..slash]) {
                layer = layer.dir(&path[..=slash]).mtime(mtime);
            }
        }
        layer = match contents {
            None => layer.file_from(path, &piece.copy),
            Some(contents) => layer.file(path, contents.clone()),
        };
        layer = layer.mode(piece.mode).mtime(mtime);
    }
    layer
}
