//! Images in an OCI layout, be it a folder or an archive, and in skopeo's `dir:` form.
//!
//! An index leads to manifests, or to further indexes. Attestations that BuildKit puts beside an image are kept with
//! it, artifacts are passed over, and a document of an unknown media type is read for what it is.
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use std::collections::HashMap;
use std::sync::Arc;

use layerprint_store::Anomalies;
use layerprint_store::Platform;
use layerprint_store::id::BlobDigest;
use sha2::{Digest, Sha256, Sha512};

use crate::document::{Config, Descriptor, ManifestKind, ManifestOrIndex};
use crate::error::IngestError;
use crate::layer::Promise;
use crate::limits::Limits;
use crate::plan::{ImagePlan, LayerPlan, PlannedDocument, familiar};
use crate::tree::Tree;

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const CONTAINERD_NAME: &str = "io.containerd.image.name";
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Finds the images of a layout.
///
/// `wanted` is a reference name or manifest digest; without it, all images are taken. `stem` names the layout where
/// its images only have tags.
pub fn images(
    tree: &Tree,
    wanted: Option<&str>,
    stem: &str,
    limits: &Limits,
) -> Result<Vec<ImagePlan>, IngestError> {
    let index = tree.document("index.json", limits.document_bytes_max)?;
    let mut walk =
        Walk { tree, stem, limits, descriptors: 0, plans: Vec::new(), attestations: HashMap::new() };
    let manifests = match walk.parse(&index, "index.json")? {
        ManifestKind::Index(manifests) => manifests,
        ManifestKind::Image { .. } => return Err(walk.refuse("index.json", "is a manifest, not an index")),
    };
    let chosen: Vec<_> =
        manifests.iter().filter(|found| wanted.is_none_or(|name| is_named(found, name))).collect();
    if let (Some(wanted), true) = (wanted, chosen.is_empty()) {
        let known = manifests.iter().map(|found| walk.names(found).join(" ")).collect();
        return Err(IngestError::UnknownReference { origin: tree.origin(), wanted: wanted.into(), known });
    }
    for descriptor in chosen {
        let names = walk.names(descriptor);
        walk.descend(descriptor, &names, 0)?;
    }
    Ok(walk.finish())
}

/// Reads the one image of a folder that `skopeo copy ... dir:PATH` wrote: blobs under their bare hex names.
pub fn dir_image(tree: &Tree, stem: &str, limits: &Limits) -> Result<Vec<ImagePlan>, IngestError> {
    let bytes = tree.document("manifest.json", limits.document_bytes_max)?;
    let walk = Walk { tree, stem, limits, descriptors: 0, plans: Vec::new(), attestations: HashMap::new() };
    match walk.parse(&bytes, "manifest.json")? {
        ManifestKind::Index(_) => Err(walk.refuse("manifest.json", "is an index, not a manifest")),
        ManifestKind::Image { config, layers } => {
            let names = vec![stem.to_owned()];
            walk.plan(Some((&bytes, digest_of(&bytes, None))), &config, &layers, names, BlobDigest::to_hex)
                .map(|plan| vec![plan])
        }
    }
}

struct Walk<'a> {
    tree: &'a Tree,
    stem: &'a str,
    limits: &'a Limits,
    descriptors: usize,
    plans: Vec<ImagePlan>,
    /// Documents by the manifest that they speak of.
    attestations: HashMap<String, Vec<PlannedDocument>>,
}

impl Walk<'_> {
    fn descend(
        &mut self,
        descriptor: &Descriptor,
        names: &[String],
        depth: usize,
    ) -> Result<(), IngestError> {
        self.count(depth)?;
        let Some(bytes) = self.manifest_bytes(descriptor)? else { return Ok(()) };
        if descriptor.annotations.get(REFERENCE_TYPE).is_some_and(|kind| kind == "attestation-manifest") {
            return self.keep_attestation(descriptor, &bytes);
        }
        match self.parse(&bytes, &descriptor.digest.to_string())? {
            ManifestKind::Index(manifests) => {
                manifests.iter().try_for_each(|found| self.descend(found, names, depth + 1))
            }
            ManifestKind::Image { config, layers } if self.is_artifact(descriptor, &config, &layers) => {
                Ok(())
            }
            ManifestKind::Image { config, layers } => {
                let manifest = Some((&bytes, descriptor.digest));
                let mut plan = self.plan(manifest, &config, &layers, names.to_vec(), blob_name)?;
                if plan.platform == Platform::default() {
                    plan.platform = descriptor.platform.clone().into();
                }
                self.plans.push(plan);
                Ok(())
            }
        }
    }

    fn count(&mut self, depth: usize) -> Result<(), IngestError> {
        let limit = |limit, max: usize| {
            Err(IngestError::Limit { origin: self.tree.origin(), limit, max: max as u64 })
        };
        if depth > self.limits.index_depth_max {
            return limit("index_depth_max", self.limits.index_depth_max);
        }
        if self.descriptors >= self.limits.descriptors_max {
            return limit("descriptors_max", self.limits.descriptors_max);
        }
        self.descriptors += 1;
        Ok(())
    }

    /// Reads a manifest and verifies it. An index may name platforms that were not copied along (`docker save` of one
    /// platform of many leaves such); those are passed over.
    fn manifest_bytes(&self, descriptor: &Descriptor) -> Result<Option<Arc<[u8]>>, IngestError> {
        match self.verified(&blob_name(&descriptor.digest), descriptor) {
            Err(IngestError::Missing { .. }) if self.plans.is_empty() && self.descriptors == 1 => {
                Err(IngestError::Missing { origin: self.tree.origin(), what: descriptor.digest.to_string() })
            }
            Err(IngestError::Missing { .. }) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Reads a document; its size, then its digest, must be what the descriptor says.
    fn verified(&self, name: &str, descriptor: &Descriptor) -> Result<Arc<[u8]>, IngestError> {
        let bytes = self.tree.document(name, self.limits.document_bytes_max)?;
        let document = descriptor.digest.to_string();
        if let Some(said) = descriptor.size.filter(|size| *size != bytes.len() as u64) {
            let reason = format!("has {} bytes, its descriptor says {said}", bytes.len());
            return Err(self.refuse(&document, &reason));
        }
        let found = digest_of(&bytes, Some(descriptor.digest));
        if found != descriptor.digest {
            return Err(self.refuse(&document, &format!("has another digest, {found}")));
        }
        Ok(bytes)
    }

    fn plan(
        &self,
        manifest: Option<(&Arc<[u8]>, BlobDigest)>,
        config: &Descriptor,
        layers: &[Descriptor],
        names: Vec<String>,
        name_of: fn(&BlobDigest) -> String,
    ) -> Result<ImagePlan, IngestError> {
        let shown = names.first().cloned().or_else(|| manifest.map(|(_, digest)| digest.to_string()));
        let mut plan = ImagePlan {
            origin: format!("{} {}", self.tree.origin(), shown.unwrap_or_default()),
            names,
            platform: Platform::default(),
            created: None,
            config: Arc::default(),
            has_config: false,
            claimed_count: 0,
            manifest: manifest.map(|(_, digest)| digest),
            documents: manifest
                .map(|(bytes, digest)| (MANIFEST.into(), digest, bytes.clone()))
                .into_iter()
                .collect(),
            layers: self.layers(layers, name_of)?,
            anomalies: Anomalies::default(),
        };
        plan.set_config(self.verified(&name_of(&config.digest), config)?, self.limits)?;
        Ok(plan)
    }

    fn layers(
        &self,
        layers: &[Descriptor],
        name_of: fn(&BlobDigest) -> String,
    ) -> Result<Vec<LayerPlan>, IngestError> {
        let plan = |layer: &Descriptor| {
            if layer.media_type.ends_with("+encrypted") {
                let what = format!("the encrypted layer {}", layer.digest);
                return Err(IngestError::Unsupported { origin: self.tree.origin(), what });
            }
            let promise = Promise {
                digest: Some(layer.digest),
                size_bytes: layer.size,
                media_type: layer.media_type.clone(),
            };
            LayerPlan::of(self.tree, &name_of(&layer.digest), promise)
        };
        layers.iter().map(plan).collect()
    }

    /// An artifact has no file system: a chart, a signature, a bill of materials. Media types tell most of them;
    /// where the configuration's is unknown, an image is what lists diff IDs.
    fn is_artifact(&self, descriptor: &Descriptor, config: &Descriptor, layers: &[Descriptor]) -> bool {
        const CONFIGS: [&str; 3] = [
            "",
            "application/vnd.oci.image.config.v1+json",
            "application/vnd.docker.container.image.v1+json",
        ];
        let tar = |layer: &Descriptor| layer.media_type.is_empty() || layer.media_type.contains("tar");
        if descriptor.artifact_type.is_some() || !(layers.is_empty() || layers.iter().any(tar)) {
            return true;
        }
        let lists_diff_ids = || {
            let bytes = self.verified(&blob_name(&config.digest), config).ok()?;
            Config::parse(&bytes).ok().map(|config| !config.rootfs.diff_ids.is_empty())
        };
        !CONFIGS.contains(&config.media_type.as_str()) && lists_diff_ids() != Some(true)
    }

    /// Keeps an attestation manifest and its statements for the image that it speaks of.
    fn keep_attestation(&mut self, descriptor: &Descriptor, bytes: &Arc<[u8]>) -> Result<(), IngestError> {
        let Some(subject) = descriptor.annotations.get(REFERENCE_DIGEST) else { return Ok(()) };
        let mut kept = vec![(MANIFEST.to_owned(), descriptor.digest, bytes.clone())];
        if let ManifestKind::Image { layers, .. } = self.parse(bytes, &descriptor.digest.to_string())? {
            for layer in layers.iter().filter(|layer| layer.media_type == IN_TOTO) {
                match self.verified(&blob_name(&layer.digest), layer) {
                    Ok(statement) => kept.push((IN_TOTO.into(), layer.digest, statement)),
                    Err(IngestError::Missing { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.attestations.entry(subject.clone()).or_default().extend(kept);
        Ok(())
    }

    fn names(&self, descriptor: &Descriptor) -> Vec<String> {
        let full = descriptor.annotations.get(CONTAINERD_NAME);
        let name = full.or_else(|| descriptor.annotations.get(REF_NAME));
        match name {
            // skopeo and the specification's own examples write a bare tag here.
            Some(tag) if !tag.contains([':', '/', '@']) => vec![format!("{}:{tag}", self.stem)],
            Some(name) => vec![familiar(name)],
            None => Vec::new(),
        }
    }

    fn finish(mut self) -> Vec<ImagePlan> {
        for plan in &mut self.plans {
            let kept = plan.manifest.and_then(|digest| self.attestations.get(&digest.to_string()));
            plan.documents.extend(kept.into_iter().flatten().cloned());
        }
        self.plans
    }

    fn parse(&self, bytes: &[u8], document: &str) -> Result<ManifestKind, IngestError> {
        ManifestOrIndex::parse(bytes)
            .and_then(ManifestOrIndex::kind)
            .map_err(|reason| self.refuse(document, &reason))
    }

    fn refuse(&self, document: &str, reason: &str) -> IngestError {
        let (document, reason) = (document.to_owned(), reason.to_owned());
        IngestError::Document { origin: self.tree.origin(), document, reason }
    }
}

/// Media type under which manifests are kept, whatever they call themselves.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn blob_name(digest: &BlobDigest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.to_hex())
}

fn is_named(descriptor: &Descriptor, wanted: &str) -> bool {
    let names = [REF_NAME, CONTAINERD_NAME].map(|key| descriptor.annotations.get(key));
    let named = names.into_iter().flatten().any(|name| name == wanted || familiar(name) == familiar(wanted));
    named || descriptor.digest.to_string() == wanted.trim_start_matches('@')
}

fn digest_of(bytes: &[u8], like: Option<BlobDigest>) -> BlobDigest {
    match like {
        Some(BlobDigest::Sha512(_)) => BlobDigest::Sha512(Sha512::digest(bytes).into()),
        _ => BlobDigest::Sha256(Sha256::digest(bytes).into()),
    }
}
