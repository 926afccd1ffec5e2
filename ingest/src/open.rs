//! Source -> images: finds out what is there and asks the format that reads it.
//!
//! By content, never by extension. What cannot be read twice (standard input, a compressed archive) or has no layers
//! in place (a folder as root file system) is read while it is opened, and its layers are handed on at once.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use crate::archive::{self, FrontToBack, TakeLayer};
use crate::codec::{Codec, MAGIC_BYTES};
use crate::error::{IngestError, LayerError};
use crate::layer::{LayerRead, LayerReader, Promise};
use crate::limits::Limits;
use crate::plan::{ImagePlan, Plans};
use crate::source::{Source, Transport};
use crate::tar::TarError;
use crate::tree::{Blob, FileRange, Tree};
use crate::{docker, oci, rootfs};

/// What opening needs to know.
#[derive(Clone, Copy)]
pub struct Opener<'a> {
    /// Bounds.
    pub limits: &'a Limits,
    /// Reads layers that are read on the way.
    pub(crate) layers: &'a LayerReader,
    /// Takes layers that are read on the way.
    pub take_layer: TakeLayer<'a>,
    /// Is told of stored bytes that are read on the way.
    pub on_read: &'a (dyn Fn(u64) + Sync),
    /// Says whether to leave what has not been read.
    pub is_ending: &'a dyn Fn() -> bool,
}

/// Returns true if opening a source reads its layers, so that it is work for a worker.
pub fn reads_layers(source: &Source) -> bool {
    if source.is_stdin() {
        return true;
    }
    match source.transport {
        Transport::Oci | Transport::Dir => false,
        Transport::Rootfs => source.path.is_dir(),
        _ => source.path.is_file() && !matches!(sniff(&source.path), Ok(Codec::Plain)),
    }
}

/// Returns true under the same condition, and if the source could be looked at.
pub fn reads_layers_for_sure(source: &Source) -> bool {
    let is_file = !source.is_stdin() && source.path.is_file();
    reads_layers(source) && (!is_file || !matches!(sniff(&source.path), Err(IngestError::Io { .. })))
}

/// Finds the images of a source. One that holds none is an error.
pub fn images(source: &Source, opener: &Opener) -> Result<Plans, IngestError> {
    let found = match source.transport {
        _ if source.is_stdin() => {
            Opener { layers: &opener.layers.alone(), ..*opener }.front_to_back(source, io::stdin())?
        }
        Transport::Rootfs => vec![Ok(opener.rootfs(source)?)],
        Transport::Oci => opener.layout(&Tree::folder(&source.path)?, source)?,
        Transport::Dir => oci::dir_images(&Tree::folder(&source.path)?, &stem(&source.path), opener.limits)?,
        Transport::Detect if source.path.is_dir() => opener.in_tree(&Tree::folder(&source.path)?, source)?,
        _ => opener.archive(source)?,
    };
    match found.is_empty() {
        true => Err(not_an_image(source, "it holds no image")),
        false => Ok(within_names(found, opener.limits)),
    }
}

/// Refuses images whose names, with those of the images before them, pass a limit. The others are read.
fn within_names(plans: Plans, limits: &Limits) -> Plans {
    let (mut count, mut bytes) = (0, 0);
    let mut check = |plan: ImagePlan| {
        let own_bytes = plan.names.iter().map(|name| name.len() as u64).sum::<u64>();
        let limit = |limit, max| Err(IngestError::Limit { origin: plan.origin.clone(), limit, max });
        if count + plan.names.len() > limits.source_names_max {
            return limit("source_names_max", limits.source_names_max as u64);
        }
        if bytes + own_bytes > limits.source_names_bytes_max {
            return limit("source_names_bytes_max", limits.source_names_bytes_max);
        }
        (count, bytes) = (count + plan.names.len(), bytes + own_bytes);
        Ok(plan)
    };
    plans.into_iter().map(|plan| plan.and_then(&mut check)).collect()
}

impl Opener<'_> {
    fn archive(&self, source: &Source) -> Result<Plans, IngestError> {
        let file = FileRange::whole(&source.path).map_err(IngestError::io(&source.path))?;
        if file.len_bytes() == 0 {
            return Err(not_an_image(source, "it is empty"));
        }
        if sniff(&source.path)? != Codec::Plain {
            return self.front_to_back(source, file);
        }
        let tree = archive::index(&file, &source.path.display().to_string(), self.layers)
            .map_err(|error| no_tar_is_no_image(source, error))?;
        let may_be_rootfs = source.transport == Transport::Detect && !has_images(&tree);
        if may_be_rootfs && tree.looks_like_rootfs() {
            return Ok(vec![Ok(rootfs::image(&source.to_string(), Blob::Range(file)))]);
        }
        self.in_tree(&tree, source)
    }

    /// Reads the format whose marks are there.
    fn in_tree(&self, tree: &Tree, source: &Source) -> Result<Plans, IngestError> {
        let wanted = source.reference.as_deref();
        match source.transport {
            Transport::OciArchive => self.layout(tree, source),
            // `docker load` takes manifest.json where there is one; skopeo's `dir:` has one of another shape.
            Transport::Detect if tree.has("version") && self.is_manifest(tree)? => {
                oci::dir_images(tree, &stem(&source.path), self.limits)
            }
            _ if tree.has("manifest.json") => self.saved(tree, source),
            _ if tree.has("index.json") => self.layout(tree, source),
            _ if tree.has("repositories") => docker::legacy_images(tree, wanted, self.limits),
            _ => Err(not_an_image(source, "no manifest.json, index.json or repositories in it")),
        }
    }

    /// Returns true if `manifest.json` is the manifest of one image, not the list that `docker save` writes.
    fn is_manifest(&self, tree: &Tree) -> Result<bool, IngestError> {
        if !tree.has("manifest.json") {
            return Ok(false);
        }
        let bytes = tree.document("manifest.json", self.limits)?;
        Ok(bytes.trim_ascii_start().starts_with(b"{"))
    }

    /// Reads `manifest.json`. Docker 25 and later writes a layout beside it, which adds what the list lacks: the
    /// manifests' digests, names for images without tags, and the images of other platforms. containerd believes the
    /// layout, so that an image which only the layout has is one, too.
    fn saved(&self, tree: &Tree, source: &Source) -> Result<Plans, IngestError> {
        let mut plans = docker::images(tree, source.reference.as_deref(), self.limits)?;
        if tree.has("index.json") && source.transport == Transport::Detect {
            let layout = oci::images(tree, None, &stem(&source.path), self.limits).unwrap_or_default();
            let place = |(place, plan): (usize, &Result<ImagePlan, _>)| {
                Some((plan.as_ref().ok()?.config.clone(), place))
            };
            // Of several images with one configuration the first counts.
            let mut by_config: HashMap<_, _> = plans.iter().enumerate().rev().filter_map(place).collect();
            for other in layout.into_iter().flatten() {
                match by_config.get(&other.config).map(|place| &mut plans[*place]) {
                    Some(Ok(plan)) if plan.layers.len() == other.layers.len() => plan.adopt(&other),
                    Some(_) => {}
                    None => {
                        by_config.insert(other.config.clone(), plans.len());
                        plans.push(Ok(other));
                    }
                }
            }
        }
        Ok(plans)
    }

    fn layout(&self, tree: &Tree, source: &Source) -> Result<Plans, IngestError> {
        oci::images(tree, source.reference.as_deref(), &stem(&source.path), self.limits)
    }

    fn rootfs(&self, source: &Source) -> Result<ImagePlan, IngestError> {
        if source.path.is_dir() {
            let broken = |error| IngestError::Archive { origin: source.to_string(), source: error };
            let layer = rootfs::read_folder(&source.path, self.layers, self.on_read).map_err(broken)?;
            return self.image_of_layer(source, layer);
        }
        let file = FileRange::whole(&source.path).map_err(IngestError::io(&source.path))?;
        Ok(rootfs::image(&source.to_string(), Blob::Range(file)))
    }

    fn front_to_back(
        &self,
        source: &Source,
        stored: impl Read + Send + 'static,
    ) -> Result<Plans, IngestError> {
        let origin =
            if source.is_stdin() { "standard input".into() } else { source.path.display().to_string() };
        if source.transport == Transport::Rootfs {
            let broken = |error| IngestError::Archive { origin: origin.clone(), source: error };
            let layer = self.layers.read_helped(stored, &Promise::default(), self.on_read).map_err(broken)?;
            return Ok(vec![Ok(self.image_of_layer(source, layer)?)]);
        }
        // What is read front to back can be left between two members.
        let take_layer = |layer| {
            let known = (self.take_layer)(layer)?;
            match (self.is_ending)() {
                true => Err(IngestError::Stopped { origin: origin.clone() }),
                false => Ok(known),
            }
        };
        // A pipe can be read once, and who names the format knows what comes.
        if source.is_stdin() && source.transport != Transport::Detect {
            let tree = archive::read_images(stored, &origin, self.layers, &take_layer, self.on_read);
            return self.in_tree(&tree.map_err(|error| no_tar_is_no_image(source, error))?, source);
        }
        let read = archive::read(stored, &origin, self.layers, &take_layer, self.on_read);
        match read.map_err(|error| no_tar_is_no_image(source, error))? {
            FrontToBack::Images(tree) => self.in_tree(&tree, source),
            FrontToBack::Rootfs(layer) if !is_image_archive(&layer) => self.of_rootfs(source, *layer),
            FrontToBack::Rootfs(_) if source.is_stdin() => Err(not_an_image(source, LATE)),
            FrontToBack::Rootfs(_) => {
                let again = FileRange::whole(&source.path).map_err(IngestError::io(&source.path))?;
                let tree = archive::read_images(again, &origin, self.layers, &take_layer, self.on_read)?;
                self.in_tree(&tree, source)
            }
        }
    }

    fn of_rootfs(&self, source: &Source, layer: LayerRead) -> Result<Plans, IngestError> {
        let paths = layer.fingerprint.entries().iter().map(|entry| &*entry.path);
        if layer.record.entry_count == 0 {
            return Err(not_an_image(source, "it is empty"));
        }
        if source.transport != Transport::Detect || !rootfs::looks_like_rootfs(paths) {
            return Err(not_an_image(source, "no manifest.json, index.json or repositories in it"));
        }
        Ok(vec![Ok(self.image_of_layer(source, layer)?)])
    }

    fn image_of_layer(&self, source: &Source, layer: LayerRead) -> Result<ImagePlan, IngestError> {
        let known = (self.take_layer)(layer)?;
        Ok(rootfs::image(&source.to_string(), Blob::Layer(Ok(known))))
    }
}

/// A file whose very first header is none is not a damaged archive but something else.
fn no_tar_is_no_image(source: &Source, error: IngestError) -> IngestError {
    match error {
        IngestError::Archive { source: LayerError::Tar(error), .. } if is_at_start(&error) => {
            not_an_image(source, &format!("not a tar ({error})"))
        }
        error => error,
    }
}

fn is_at_start(error: &TarError) -> bool {
    match error {
        TarError::BadHeader { offset_bytes, .. } | TarError::BadChecksum { offset_bytes } => {
            *offset_bytes == 0
        }
        TarError::Truncated { offset_bytes, .. } => *offset_bytes < 512,
        _ => false,
    }
}

/// One of these in an archive makes it one of images.
const IMAGE_NAMES: [&str; 3] = ["manifest.json", "index.json", "repositories"];

/// What is wrong with an archive from a pipe whose manifest came after what had to be read as layers.
const LATE: &str = "its manifest comes after a large file that no image archive begins with; save it to a file, or say \
                    what it is: docker-archive:- or oci-archive:-";

fn has_images(tree: &Tree) -> bool {
    IMAGE_NAMES.iter().any(|name| tree.has(name))
}

/// Returns true if what was read as a root file system is an archive of images.
fn is_image_archive(layer: &LayerRead) -> bool {
    let is_name = |path: &[u8]| IMAGE_NAMES.iter().any(|name| name.as_bytes() == path);
    layer.fingerprint.entries().iter().any(|entry| is_name(&entry.path))
}

fn sniff(path: &Path) -> Result<Codec, IngestError> {
    let file = FileRange::whole(path).map_err(IngestError::io(path))?;
    let mut magic = Vec::new();
    file.take(MAGIC_BYTES as u64).read_to_end(&mut magic).map_err(IngestError::io(path))?;
    Codec::sniff(&magic).map_err(|source| IngestError::Archive { origin: path.display().to_string(), source })
}

fn not_an_image(source: &Source, found: &str) -> IngestError {
    let folder = source.path.is_dir()
        && rootfs::looks_like_rootfs(rootfs::top_names(&source.path).iter().map(Vec::as_slice));
    let found = if folder { "it looks like a root file system".to_owned() } else { found.to_owned() };
    IngestError::NotAnImage { origin: source.to_string(), found }
}

/// Returns the name of a file or folder without its extensions, for images that only have a tag.
fn stem(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    const EXTENSIONS: [&str; 8] = [".gz", ".xz", ".zst", ".bz2", ".tgz", ".tar", ".oci", ".docker"];
    let mut stem = name.as_str();
    while let Some(shorter) = EXTENSIONS.iter().find_map(|extension| stem.strip_suffix(extension)) {
        stem = shorter;
    }
    stem.to_owned()
}
