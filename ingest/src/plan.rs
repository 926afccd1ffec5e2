//! What a source was found to hold: images, and where the bytes of their layers are. No layer has been read.

use std::sync::Arc;

use layerprint_store::id::BlobDigest;
use layerprint_store::{Anomalies, Platform};

use crate::document::Config;
use crate::error::IngestError;
use crate::layer::Promise;
use crate::limits::Limits;
use crate::tree::{Blob, Tree};

/// The images of a source. What is wrong with one is its own failure.
pub type Plans = Vec<Result<ImagePlan, IngestError>>;

/// One image, ready to be read.
#[derive(Debug, Clone)]
pub struct ImagePlan {
    /// How messages call it: its source and its name there.
    pub origin: String,
    /// Names that the source gives it, in their familiar form.
    pub names: Vec<String>,
    /// What it runs on.
    pub platform: Platform,
    /// When it was made, as its configuration says.
    pub created: Option<String>,
    /// Its configuration; made up for an image that has none.
    pub config: Arc<[u8]>,
    /// True unless the configuration was made up.
    pub has_config: bool,
    /// How many diff IDs the configuration lists.
    pub claimed_count: usize,
    /// Digest of its manifest, if it has one.
    pub manifest: Option<BlobDigest>,
    /// Documents to keep with it.
    pub documents: Vec<PlannedDocument>,
    /// Its layers, lowest first.
    pub layers: Vec<LayerPlan>,
    /// What was odd so far.
    pub anomalies: Anomalies,
}

/// A document to keep: media type, digest and bytes.
pub type PlannedDocument = (String, BlobDigest, Arc<[u8]>);

/// One layer of an image.
#[derive(Debug, Clone)]
pub struct LayerPlan {
    /// Name or digest, for messages.
    pub name: String,
    /// Where its bytes are; an error if they are not there, which matters only if the store lacks the layer.
    pub blob: Result<Blob, Missing>,
    /// What the manifest and the configuration say of them.
    pub promise: Promise,
}

/// A layer whose bytes are not in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(pub String);

impl ImagePlan {
    /// Returns an image of which nothing is known but where it is and what it is called.
    pub fn new(origin: String, names: Vec<String>) -> Self {
        Self {
            origin,
            names,
            platform: Platform::default(),
            created: None,
            config: Arc::default(),
            has_config: false,
            claimed_count: 0,
            manifest: None,
            documents: Vec::new(),
            layers: Vec::new(),
            anomalies: Anomalies::default(),
        }
    }

    /// Checks a configuration and pairs its diff IDs with the layers.
    pub fn set_config(&mut self, bytes: Arc<[u8]>, limits: &Limits) -> Result<(), IngestError> {
        let refuse = |reason| IngestError::Document {
            origin: self.origin.clone(),
            document: "configuration".into(),
            reason,
        };
        let config = Config::parse(&bytes).map_err(refuse)?;
        if self.layers.len() > limits.layers_max {
            let max = limits.layers_max as u64;
            return Err(IngestError::Limit { origin: self.origin.clone(), limit: "layers_max", max });
        }
        for (layer, diff_id) in self.layers.iter_mut().zip(&config.rootfs.diff_ids) {
            layer.promise.diff_id = Some(*diff_id);
        }
        self.claimed_count = config.rootfs.diff_ids.len();
        self.has_config = true;
        self.platform = config.platform.into();
        self.created = config.created;
        self.config = bytes;
        Ok(())
    }

    /// Takes over what another description of the same image adds.
    pub fn adopt(&mut self, other: &Self) {
        self.manifest = other.manifest;
        self.documents.clone_from(&other.documents);
        for name in &other.names {
            if !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
        for (own, described) in self.layers.iter_mut().zip(&other.layers) {
            own.promise = Promise { diff_id: own.promise.diff_id, ..described.promise.clone() };
            own.name.clone_from(&described.name);
        }
    }

    /// Returns true if this is an image for the platform asked for: `os/architecture[/variant]`.
    pub fn is_for(&self, wanted: &Platform) -> bool {
        self.platform.fits(wanted)
    }
}

impl LayerPlan {
    /// Looks a layer up in a tree. One that is missing is an error only when its bytes are wanted.
    pub fn of(tree: &Tree, name: &str, promise: Promise) -> Result<Self, IngestError> {
        let blob = match tree.blob(name) {
            Ok(blob) => Ok(blob),
            Err(IngestError::Missing { .. }) => Err(Missing(name.to_owned())),
            Err(error) => return Err(error),
        };
        let shown = promise.digest.map_or_else(|| name.to_owned(), |digest| digest.to_string());
        Ok(Self { name: shown, blob, promise })
    }
}

/// Shortens a name to the form that people type: `docker.io/library/debian:12` is `debian:12`.
///
/// The rule is that of `distribution/reference` (`FamiliarString`).
pub fn familiar(name: &str) -> String {
    let name =
        ["docker.io/", "index.docker.io/"].iter().find_map(|host| name.strip_prefix(host)).unwrap_or(name);
    match name.strip_prefix("library/") {
        Some(official) if !official.contains('/') => official.to_owned(),
        _ => name.to_owned(),
    }
}
