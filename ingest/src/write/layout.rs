//! OCI layouts: blobs by digest, and the index that leads to them.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>. A `dir:` folder holds the same
//! blobs without the index, so it is written here too. What an index may hold beside images (attestations,
//! artifacts, types that nobody knows) is in `extras.rs`.

use std::path::Path;
use std::sync::Arc;

use layerprint_store::id::{BlobDigest, ImageId};
use serde_json::{Value, json};

use super::bundle::{Bundle, Member, PackedLayer};
use super::{
    Algorithm, Image, Layer, Options, Stored, WriteError, Written, WrittenImage, WrittenLayer, names,
};

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Writes images into a folder as an OCI layout.
pub fn oci_layout(images: &[Image], folder: &Path, options: &Options) -> Result<Written, WriteError> {
    let mut layout = Layout::new(folder, options)?;
    let images = layout.fill(images)?;
    layout.bundle.write_folder(folder)?;
    Ok(Written { transport: "oci", path: folder.to_owned(), images })
}

/// Writes images into a file as the tar of an OCI layout.
pub fn oci_archive(images: &[Image], file: &Path, options: &Options) -> Result<Written, WriteError> {
    let mut layout = Layout::new(file, options)?;
    let images = layout.fill(images)?;
    if options.manifest_first {
        layout.bundle.bring_forward(|name, _| name == "oci-layout" || name == "index.json");
    }
    layout.bundle.write_archive(file, options.outer)?;
    Ok(Written { transport: "oci-archive", path: file.to_owned(), images })
}

/// Writes one image into a folder as skopeo's `dir:` does. Digests are SHA-256 whatever the options say.
pub fn skopeo_dir(image: &Image, folder: &Path, options: &Options) -> Result<Written, WriteError> {
    let options = Options { algorithm: Algorithm::Sha256, ..options.clone() };
    let mut layout = Layout { flat: true, ..Layout::new(folder, &options)? };
    layout.bundle.add("version", Member::Bytes(b"Directory Transport Version: 1.1\n".to_vec()));
    let (manifest, mut written) = layout.put_config_and_layers(image)?;
    written.names.clear();
    written.manifest_digest = Some(options.algorithm.digest(&manifest));
    layout.bundle.add("manifest.json", Member::Bytes(manifest));
    layout.bundle.write_folder(folder)?;
    Ok(Written { transport: "dir", path: folder.to_owned(), images: vec![written] })
}

pub(super) struct Layout<'a> {
    pub bundle: Bundle,
    pub options: &'a Options,
    flat: bool,
}

impl<'a> Layout<'a> {
    pub fn new(destination: &Path, options: &'a Options) -> Result<Self, WriteError> {
        Ok(Self { bundle: Bundle::beside(destination)?, options, flat: false })
    }

    /// Adds everything that makes a layout of these images.
    pub fn fill(&mut self, images: &[Image]) -> Result<Vec<WrittenImage>, WriteError> {
        self.bundle.add("blobs", Member::Folder);
        self.bundle.add(format!("blobs/{}", self.algorithm_name()), Member::Folder);
        let mut written = Vec::new();
        let mut groups: Vec<Group> = Vec::new();
        for image in images {
            let (rows, image_written) = self.put_image(image)?;
            written.push(image_written);
            match groups.iter_mut().find(|group| !group.names.is_empty() && group.names == image.names) {
                Some(group) => group.rows.extend(rows),
                None => groups.push(Group { names: image.names.clone(), rows }),
            }
        }
        let mut index = Vec::new();
        for group in groups {
            index.extend(self.index_rows(group));
        }
        self.put_extras(&mut index);
        let version = json!({"imageLayoutVersion": "1.0.0"});
        self.bundle.add("index.json", Member::Bytes(index_json(&index)));
        self.bundle.add("oci-layout", Member::Bytes(version.to_string().into_bytes()));
        Ok(written)
    }

    /// Returns an image's rows for an index: its manifest, and its attestation if it has one.
    fn put_image(&mut self, image: &Image) -> Result<(Vec<Value>, WrittenImage), WriteError> {
        let (manifest, mut written) = self.put_config_and_layers(image)?;
        let mut row = self.put_blob(self.options.media_types.manifest(), manifest);
        row["platform"] = image.platform.clone().into();
        let digest: BlobDigest = row["digest"].as_str().expect("put above").parse().expect("put above");
        written.manifest_digest = Some(digest);
        let mut rows = vec![row];
        if let Some((predicate_type, predicate)) = &image.provenance {
            rows.push(self.put_attestation(image, digest, predicate_type, predicate));
        }
        Ok((rows, written))
    }

    /// Returns the manifest's bytes, which a layout keeps as a blob and a `dir:` by name.
    fn put_config_and_layers(&mut self, image: &Image) -> Result<(Vec<u8>, WrittenImage), WriteError> {
        let mut layers = Vec::new();
        let mut rows = Vec::new();
        for layer in &image.layers {
            let (row, written) = self.put_layer(layer)?;
            rows.push(row);
            layers.push(written);
        }
        let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id).collect();
        let config = image.config_json(&diff_ids);
        let image_id = ImageId::of_config(&config);
        let media_types = self.options.media_types;
        let config_digest = Some(self.options.algorithm.digest(&config));
        let config = self.put_blob(media_types.config(), config);
        if self.options.layerless_manifests {
            rows.clear();
        }
        let mut manifest = json!({"schemaVersion": 2, "mediaType": media_types.manifest()});
        manifest["config"] = config;
        manifest["layers"] = rows.into();
        if !image.annotations.is_empty() {
            manifest["annotations"] = image.annotations.clone().into();
        }
        let names = image.names.clone();
        let image_id = Some(image_id);
        let written = WrittenImage { names, image_id, config_digest, manifest_digest: None, layers };
        Ok((manifest.to_string().into_bytes(), written))
    }

    fn put_layer(&mut self, layer: &Arc<Layer>) -> Result<(Value, WrittenLayer), WriteError> {
        let compression = layer.declared.compression.unwrap_or(self.options.compression);
        let packed = self.bundle.pack(layer, compression, self.options.algorithm)?;
        let digest =
            if layer.declared.stored == Stored::Misnamed { another(packed.digest) } else { packed.digest };
        let path = self.blob_path(digest);
        let staged = Member::Staged(packed.staged.clone());
        match layer.declared.stored {
            Stored::Whole | Stored::Misnamed => self.bundle.add(path, staged),
            Stored::Missing => {}
            Stored::Symlinked => {
                let elsewhere = format!("elsewhere/{}", digest.to_hex());
                let up = if self.flat { "" } else { "../../" };
                self.bundle.add(path, Member::Symlink(format!("{up}{elsewhere}")));
                self.bundle.add(elsewhere, staged);
            }
        }
        let row = self.layer_row(layer, &packed, digest);
        let written = WrittenLayer {
            diff_id: packed.diff_id,
            digest,
            size_bytes: packed.size_bytes,
            media_type: row["mediaType"].as_str().unwrap_or_default().to_owned(),
        };
        Ok((row, written))
    }

    fn layer_row(&self, layer: &Layer, packed: &PackedLayer, digest: BlobDigest) -> Value {
        let media_type = self.options.media_types.layer(packed.compression);
        let media_type = layer.declared.media_type.clone().unwrap_or(media_type);
        let mut row = json!({"mediaType": media_type, "digest": digest, "size": packed.size_bytes});
        if !layer.declared.urls.is_empty() {
            row["urls"] = layer.declared.urls.clone().into();
        }
        if let Some(toc_digest) = &packed.toc_digest {
            row["annotations"] = json!({"containerd.io/snapshot/stargz/toc.digest": toc_digest});
        }
        row
    }

    /// Adds a blob and returns its descriptor.
    pub fn put_blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = self.options.algorithm.digest(&bytes);
        let row = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.bundle.add(self.blob_path(digest), Member::Bytes(bytes));
        row
    }

    pub fn blob_path(&self, digest: BlobDigest) -> String {
        let hex = digest.to_hex();
        if self.flat { hex } else { format!("blobs/{}/{hex}", digest.algorithm()) }
    }

    fn algorithm_name(&self) -> &'static str {
        self.options.algorithm.digest(b"").algorithm()
    }

    /// Returns the rows of `index.json` for the images of one name: themselves, or an index that holds them.
    fn index_rows(&mut self, group: Group) -> Vec<Value> {
        let mut rows = group.rows;
        for _ in 0..self.options.index_depth {
            rows = vec![self.put_blob(INDEX, index_json(&rows))];
        }
        let mut named = Vec::new();
        for row in rows {
            // An attestation belongs to its image by digest, never by name.
            if group.names.is_empty() || !row["annotations"].is_null() {
                named.push(row);
                continue;
            }
            for name in &group.names {
                let mut row = row.clone();
                row["annotations"] = names::annotations(name, self.options.containerd_names);
                named.push(row);
            }
        }
        named
    }
}

/// The images of one name, which differ in platform.
struct Group {
    names: Vec<String>,
    rows: Vec<Value>,
}

fn index_json(rows: &[Value]) -> Vec<u8> {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": rows}).to_string().into_bytes()
}

/// Returns a digest that the bytes do not have.
fn another(digest: BlobDigest) -> BlobDigest {
    match digest {
        BlobDigest::Sha256(bytes) => BlobDigest::Sha256(bytes.map(|byte| !byte)),
        BlobDigest::Sha512(bytes) => BlobDigest::Sha512(bytes.map(|byte| !byte)),
    }
}
