//! The JSON documents of images: manifests, indexes, configurations.
//!
//! Read with few demands: only what is needed must be there, null stands for nothing, unknown fields and media types
//! are left alone, because Docker runs such images and refusing them would be a place to hide. What is demanded:
//! digests are digests before they are used as names, and one document is not both a manifest and an index
//! (CVE-2021-41190). Own types rather than `oci-spec`'s, which refuse null lists, missing platforms and empty
//! configurations that `docker load` takes.

use std::collections::BTreeMap;

use layerprint_store::Platform;
use layerprint_store::id::{BlobDigest, DiffId};
use serde::{Deserialize, Deserializer};

/// Points to a blob.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    #[serde(default, deserialize_with = "or_default")]
    pub media_type: String,
    /// Its digest.
    pub digest: BlobDigest,
    /// Its size; a negative one is refused.
    pub size: Option<u64>,
    /// Notes.
    #[serde(default, deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    /// What the image runs on, in an index.
    #[serde(default, deserialize_with = "or_default")]
    pub platform: PlatformJson,
    /// For what the blob is an artifact.
    pub artifact_type: Option<String>,
}

/// A manifest or an index; which of the two tells [`ManifestOrIndex::kind`].
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestOrIndex {
    schema_version: Option<u32>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    #[serde(rename = "fsLayers")]
    fs_layers: Option<serde::de::IgnoredAny>,
}

/// What a document under `manifests` of an index turns out to be.
#[derive(Debug, Clone)]
pub enum ManifestKind {
    /// Names further manifests.
    Index(Vec<Descriptor>),
    /// One image.
    Image {
        /// Its configuration.
        config: Box<Descriptor>,
        /// Its layers, lowest first.
        layers: Vec<Descriptor>,
    },
}

impl ManifestOrIndex {
    /// Parses a document.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// Tells what it is, or why it is nothing that we read.
    pub fn kind(self) -> Result<ManifestKind, String> {
        if self.fs_layers.is_some() || self.schema_version == Some(1) {
            return Err("is a schema 1 manifest, which no registry serves since 2024; pull it anew".into());
        }
        match (self.manifests, self.config, self.layers) {
            (Some(_), _, Some(_)) | (Some(_), Some(_), _) => Err("is both a manifest and an index".into()),
            (Some(manifests), None, None) => Ok(ManifestKind::Index(manifests)),
            (None, Some(config), layers) => {
                Ok(ManifestKind::Image { config: Box::new(config), layers: layers.unwrap_or_default() })
            }
            (None, None, _) => Err("is neither a manifest nor an index".into()),
        }
    }
}

/// An image's configuration.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Config {
    /// What the image runs on.
    #[serde(flatten)]
    pub platform: PlatformJson,
    /// When it was made.
    pub created: Option<String>,
    /// Its layers.
    #[serde(default, deserialize_with = "or_default")]
    pub rootfs: RootFs,
}

/// The layers of an image, by diff ID.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct RootFs {
    /// Lowest first.
    #[serde(default, deserialize_with = "or_default")]
    pub diff_ids: Vec<DiffId>,
}

/// What an image runs on, as JSON documents spell it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PlatformJson {
    #[serde(default, deserialize_with = "or_default")]
    os: String,
    #[serde(default, deserialize_with = "or_default")]
    architecture: String,
    #[serde(default, deserialize_with = "or_default")]
    variant: String,
    #[serde(default, deserialize_with = "or_default", rename = "os.version")]
    os_version: String,
}

impl From<PlatformJson> for Platform {
    fn from(json: PlatformJson) -> Self {
        let PlatformJson { os, architecture, variant, os_version } = json;
        Self { os, architecture, variant, os_version }
    }
}

impl Config {
    /// Parses a configuration.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }
}

/// One image of a docker-archive's `manifest.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerImage {
    /// Name of the member that holds the configuration.
    pub config: String,
    /// Names, `repository:tag`.
    #[serde(default, deserialize_with = "or_default")]
    pub repo_tags: Vec<String>,
    /// Names of the members that hold the layers, lowest first.
    #[serde(default, deserialize_with = "or_default")]
    pub layers: Vec<String>,
}

/// The `json` of one layer of a docker-archive of version 1.0.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct LegacyLayer {
    /// The layer below.
    #[serde(default, deserialize_with = "or_default")]
    pub parent: String,
    /// What the image runs on.
    #[serde(flatten)]
    pub platform: PlatformJson,
    /// When the layer was made.
    pub created: Option<String>,
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}
