//! An image: layers from the bottom up, and what its configuration says of them.
//!
//! Knows the configuration's JSON; leaves manifests and files to the forms.

use std::sync::Arc;

use layerprint_store::id::{ChainId, DiffId};
use serde_json::{Map, Value, json};

use super::flatten::flatten;
use super::{Layer, WriteError};

/// An image under construction. Clones share their layers, so a child begins as a clone of its base.
#[derive(Debug, Clone)]
pub struct Image {
    pub(super) names: Vec<String>,
    pub(super) platform: Map<String, Value>,
    pub(super) layers: Vec<Arc<Layer>>,
    pub(super) annotations: Map<String, Value>,
    pub(super) provenance: Option<(String, Value)>,
    created: String,
    history: Vec<Value>,
    runtime: Map<String, Value>,
    properties: Map<String, Value>,
}

impl Image {
    /// Starts an image of that name (`repository:tag`) for linux/amd64, without layers.
    pub fn new(name: &str) -> Self {
        Self { names: vec![name.to_owned()], ..Self::unnamed() }
    }

    /// Starts an image that no name leads to.
    pub fn unnamed() -> Self {
        let platform = [("architecture", "amd64"), ("os", "linux")];
        Self {
            names: Vec::new(),
            platform: platform.map(|(key, value)| (key.to_owned(), value.into())).into_iter().collect(),
            layers: Vec::new(),
            annotations: Map::new(),
            provenance: None,
            created: "2026-01-01T00:00:00Z".to_owned(),
            history: Vec::new(),
            runtime: Map::new(),
            properties: Map::new(),
        }
    }

    /// Gives the image this name in place of all others: the first step from a base to a child.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.names = vec![name.to_owned()];
        self
    }

    /// Adds another name.
    #[must_use]
    pub fn also_named(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    /// Sets operating system and architecture.
    #[must_use]
    pub fn platform(mut self, os: &str, architecture: &str) -> Self {
        self.platform.insert("os".into(), os.into());
        self.platform.insert("architecture".into(), architecture.into());
        self
    }

    /// Sets the variant of the architecture, for example `v8`.
    #[must_use]
    pub fn variant(mut self, variant: &str) -> Self {
        self.platform.insert("variant".into(), variant.into());
        self
    }

    /// Sets the version of the operating system, which Windows images have.
    #[must_use]
    pub fn os_version(mut self, version: &str) -> Self {
        self.platform.insert("os.version".into(), version.into());
        self
    }

    /// Sets the time of creation (RFC 3339), 2026-01-01 unless told; it holds for the layers added after it.
    #[must_use]
    pub fn created(mut self, time: &str) -> Self {
        time.clone_into(&mut self.created);
        self
    }

    /// Adds a layer on top, with a line of history.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        let step =
            layer.declared.created_by.clone().unwrap_or_else(|| format!("COPY layer {}", self.layers.len()));
        self.history.push(json!({"created": self.created, "created_by": step}));
        self.layers.push(Arc::new(layer));
        self
    }

    /// Adds a line of history that made no layer.
    #[must_use]
    pub fn step(mut self, created_by: &str) -> Self {
        self.history.push(json!({"created": self.created, "created_by": created_by, "empty_layer": true}));
        self
    }

    /// Replaces the whole history, which need not fit the layers.
    #[must_use]
    pub fn history(mut self, lines: Vec<Value>) -> Self {
        self.history = lines;
        self
    }

    /// Sets a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        let labels = self.runtime.entry("Labels").or_insert_with(|| json!({}));
        labels[key] = value.into();
        self
    }

    /// Sets a field of `config`, the part about running the image: `Env`, `Cmd`, `Image`.
    #[must_use]
    pub fn runtime(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.runtime.insert(key.to_owned(), value.into());
        self
    }

    /// Sets a field of the configuration itself, over whatever else would stand there: `container_config`, `rootfs`.
    #[must_use]
    pub fn property(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(key.to_owned(), value.into());
        self
    }

    /// Sets an annotation of the manifest, for example `org.opencontainers.image.base.name`.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.into());
        self
    }

    /// Adds an attestation as BuildKit does: OCI forms get an attestation manifest beside the image's.
    #[must_use]
    pub fn provenance(mut self, predicate_type: &str, predicate: Value) -> Self {
        self.provenance = Some((predicate_type.to_owned(), predicate));
        self
    }

    /// Returns one layer that holds what the image's layers make together, sorted by path.
    ///
    /// Whiteouts are applied and gone, links to one file stay links. Paths are taken as they are written: no
    /// symlink is followed. Fails on layers of raw bytes.
    pub fn flattened(&self) -> Result<Layer, WriteError> {
        flatten(&self.layers)
    }

    /// Returns the same image squashed into one layer; history keeps its lines, none of which makes a layer.
    pub fn squashed(&self) -> Result<Self, WriteError> {
        let mut squashed = Self { layers: vec![Arc::new(self.flattened()?)], ..self.clone() };
        for line in &mut squashed.history {
            line["empty_layer"] = true.into();
        }
        let last = json!({"created": self.created, "comment": "create new from squashed layers"});
        squashed.history.push(last);
        Ok(squashed)
    }

    /// Returns the configuration as bytes: what the image ID is the digest of.
    pub(super) fn config_json(&self, diff_ids: &[DiffId]) -> Vec<u8> {
        let mut config = self.platform.clone();
        let declared: Vec<_> = self.declared(diff_ids).iter().map(DiffId::to_string).collect();
        config.insert("created".into(), self.created.as_str().into());
        config.insert("config".into(), self.runtime.clone().into());
        config.insert("history".into(), self.history.clone().into());
        config.insert("rootfs".into(), json!({"type": "layers", "diff_ids": declared}));
        config.extend(self.properties.clone());
        serde_json::to_vec(&config).expect("a tree of JSON values can be written")
    }

    fn declared(&self, diff_ids: &[DiffId]) -> Vec<DiffId> {
        let layers = self.layers.iter().zip(diff_ids);
        layers.map(|(layer, diff_id)| layer.declared.diff_id.unwrap_or(*diff_id)).collect()
    }

    /// Returns what the `json` file of a layer says in a `docker save` archive.
    pub(super) fn legacy_json(&self, id: &ChainId, parent: Option<&ChainId>, top: bool) -> Vec<u8> {
        let mut json = self.platform.clone();
        json.insert("id".into(), id.to_hex().into());
        json.insert("created".into(), self.created.as_str().into());
        json.extend(parent.map(|parent| ("parent".into(), parent.to_hex().into())));
        if top {
            json.insert("config".into(), self.runtime.clone().into());
        }
        serde_json::to_vec(&json).expect("a tree of JSON values can be written")
    }
}
