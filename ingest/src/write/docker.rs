//! Archives as `docker save`, podman and kaniko make them.
//!
//! The forms and their history:
//! <https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format>.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use layerprint_store::id::{BlobDigest, ChainId, ImageId};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::bundle::{Bundle, Member, PackedLayer};
use super::docker_25::docker_25;
use super::{
    Algorithm, Compression, Image, MediaTypes, Options, WriteError, Written, WrittenImage, WrittenLayer,
    names,
};

/// Whose `docker save` archive to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DockerSave {
    /// Docker up to 1.9: a folder for each layer, `repositories`, no `manifest.json` and no configuration.
    V1_0,
    /// Docker 1.10 to 24: `manifest.json`; a layer that occurs twice is a symlink to its other place.
    V1_1,
    /// Docker 25 and later: an OCI layout and a `manifest.json` in one.
    V25,
    /// podman and skopeo: `HEX.tar` at the top, with symlinks to it from layer folders.
    Podman,
    /// kaniko, ko, bazel: `sha256:HEX` for the configuration and `HEX.tar.gz` for layers.
    Kaniko,
}

/// Writes images into a file that `docker load` reads.
///
/// Only [`DockerSave::V25`] heeds the compression asked for: layers of `Kaniko` are gzip, the others plain.
pub fn docker_archive(
    images: &[Image],
    file: &Path,
    save: DockerSave,
    options: &Options,
) -> Result<Written, WriteError> {
    if save == DockerSave::V25 {
        return docker_25(images, file, options);
    }
    let mut archive = Archive::new(file, save)?;
    let images = images.iter().map(|image| archive.put_image(image)).collect::<Result<_, _>>()?;
    let mut bundle = archive.finish();
    if options.links_first {
        bundle.bring_forward(|_, member| matches!(member, Member::Symlink(_)));
    }
    write(bundle, file, options, images)
}

pub(super) fn write(
    mut bundle: Bundle,
    file: &Path,
    options: &Options,
    images: Vec<WrittenImage>,
) -> Result<Written, WriteError> {
    if options.manifest_first {
        bundle.bring_forward(|name, _| name == "manifest.json");
    }
    bundle.write_archive(file, options.outer)?;
    Ok(Written { transport: "docker-archive", path: file.to_owned(), images })
}

/// An archive of the forms that are no OCI layout.
struct Archive {
    bundle: Bundle,
    save: DockerSave,
    rows: Vec<Value>,
    repositories: Repositories,
    /// Where the tar of a layer lies already.
    tars: HashMap<BlobDigest, String>,
}

impl Archive {
    fn new(file: &Path, save: DockerSave) -> Result<Self, WriteError> {
        let repositories = Repositories::default();
        Ok(Self { bundle: Bundle::beside(file)?, save, rows: Vec::new(), repositories, tars: HashMap::new() })
    }

    fn put_image(&mut self, image: &Image) -> Result<WrittenImage, WriteError> {
        let compression = if self.save == DockerSave::Kaniko { Compression::Gzip } else { Compression::None };
        let mut packed = Vec::new();
        for layer in &image.layers {
            packed.push(self.bundle.pack(layer, compression, Algorithm::Sha256)?);
        }
        let diff_ids: Vec<_> = packed.iter().map(|layer| layer.diff_id).collect();
        let config = image.config_json(&diff_ids);
        let image_id = ImageId::of_config(&config);
        let ids = legacy_ids(image_id, &packed);
        let paths: Vec<_> = packed.iter().zip(&ids).map(|(layer, id)| self.put_tar(layer, id)).collect();
        self.put_legacy_json(image, &ids);
        if let Some(top) = ids.last() {
            self.repositories.add(&image.names, &top.to_hex());
        }
        let layers: Vec<_> = packed.iter().map(written_layer).collect();
        let mut written = WrittenImage { names: image.names.clone(), layers, ..WrittenImage::default() };
        if self.save != DockerSave::V1_0 {
            written.image_id = Some(image_id);
            written.config_digest = Some(BlobDigest::Sha256(*image_id.as_bytes()));
            self.put_row(image, image_id, config, &paths, &written.layers);
        }
        Ok(written)
    }

    /// Puts a layer where this form keeps it and returns the path that `manifest.json` names.
    fn put_tar(&mut self, layer: &PackedLayer, id: &ChainId) -> String {
        let in_folder = format!("{}/layer.tar", id.to_hex());
        let staged = Member::Staged(layer.staged.clone());
        match self.save {
            DockerSave::V1_0 => self.bundle.add(&in_folder, staged),
            DockerSave::V1_1 => {
                let first = self.tars.entry(layer.digest).or_insert_with(|| in_folder.clone()).clone();
                let link = Member::Symlink(format!("../{first}"));
                self.bundle.add(&in_folder, if first == in_folder { staged } else { link });
            }
            DockerSave::Podman => {
                let path = format!("{}.tar", layer.diff_id.to_hex());
                self.bundle.add(&path, staged);
                self.bundle.add(in_folder, Member::Symlink(format!("../{path}")));
                return path;
            }
            DockerSave::Kaniko | DockerSave::V25 => {
                let path = format!("{}.tar.gz", layer.digest.to_hex());
                self.bundle.add(&path, staged);
                return path;
            }
        }
        in_folder
    }

    fn put_legacy_json(&mut self, image: &Image, ids: &[ChainId]) {
        if self.save == DockerSave::Kaniko {
            return;
        }
        for (at, id) in ids.iter().enumerate() {
            let parent = at.checked_sub(1).map(|below| &ids[below]);
            let json = image.legacy_json(id, parent, at + 1 == ids.len());
            self.bundle.add(format!("{}/VERSION", id.to_hex()), Member::Bytes(b"1.0".to_vec()));
            self.bundle.add(format!("{}/json", id.to_hex()), Member::Bytes(json));
        }
    }

    fn put_row(
        &mut self,
        image: &Image,
        image_id: ImageId,
        config: Vec<u8>,
        paths: &[String],
        layers: &[WrittenLayer],
    ) {
        let kaniko = self.save == DockerSave::Kaniko;
        let name = if kaniko { image_id.to_string() } else { format!("{}.json", image_id.to_hex()) };
        let mut row = json!({"Config": name, "RepoTags": repo_tags(&image.names), "Layers": paths});
        if image.platform["os"] == "windows" {
            row["LayerSources"] = layer_sources(layers);
        }
        self.bundle.add(name, Member::Bytes(config));
        self.rows.push(row);
    }

    fn finish(mut self) -> Bundle {
        if self.save != DockerSave::V1_0 {
            put_manifest_json(&mut self.bundle, self.rows);
        }
        if self.save != DockerSave::Kaniko {
            self.repositories.put(&mut self.bundle);
        }
        self.bundle
    }
}

pub(super) fn put_manifest_json(bundle: &mut Bundle, rows: Vec<Value>) {
    bundle.add("manifest.json", Member::Bytes(Value::from(rows).to_string().into_bytes()));
}

pub(super) fn repo_tags(names: &[String]) -> Value {
    if names.is_empty() { Value::Null } else { names.into() }
}

pub(super) fn layer_sources(layers: &[WrittenLayer]) -> Value {
    let mut sources = Map::new();
    for layer in layers {
        let source = json!({"mediaType": layer.media_type, "size": layer.size_bytes, "digest": layer.digest});
        sources.insert(layer.diff_id.to_string(), source);
    }
    sources.into()
}

fn written_layer(packed: &PackedLayer) -> WrittenLayer {
    WrittenLayer {
        diff_id: packed.diff_id,
        digest: packed.digest,
        size_bytes: packed.size_bytes,
        media_type: MediaTypes::Docker.layer(packed.compression),
    }
}

/// Returns the folder names of an image's layers: each depends on all below it, the top one on the image too.
fn legacy_ids(image_id: ImageId, layers: &[PackedLayer]) -> Vec<ChainId> {
    let mut ids: Vec<ChainId> = Vec::new();
    for (at, layer) in layers.iter().enumerate() {
        let mut seed = format!("{:?} {}", ids.last(), layer.diff_id);
        if at + 1 == layers.len() {
            seed.push_str(&image_id.to_string());
        }
        ids.push(ChainId::from_bytes(Sha256::digest(seed).into()));
    }
    ids
}

/// The file `repositories`: repository, tag, folder of the top layer.
#[derive(Default)]
pub(super) struct Repositories(BTreeMap<String, BTreeMap<String, String>>);

impl Repositories {
    pub fn add(&mut self, names: &[String], top: &str) {
        for name in names {
            let (repository, tag) = names::split(name);
            self.0.entry(repository.to_owned()).or_default().insert(tag.to_owned(), top.to_owned());
        }
    }

    pub fn put(self, bundle: &mut Bundle) {
        if !self.0.is_empty() {
            bundle.add("repositories", Member::Bytes(json!(self.0).to_string().into_bytes()));
        }
    }
}
