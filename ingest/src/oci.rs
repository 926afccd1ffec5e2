//! Images in an OCI layout, be it a folder or an archive, and in skopeo's `dir:` form.
//!
//! An index leads to manifests, or to further indexes. Attestations that BuildKit puts beside an image are kept with
//! it, artifacts are passed over, and a document of an unknown media type is read for what it is.
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use layerprint_store::Platform;
use layerprint_store::id::BlobDigest;
use sha2::{Digest, Sha256, Sha512};

use crate::document::{Config, Descriptor, ManifestKind, ManifestOrIndex};
use crate::error::IngestError;
use crate::layer::Promise;
use crate::limits::Limits;
use crate::plan::{ImagePlan, LayerPlan, PlannedDocument, Plans, familiar};
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
pub fn images(tree: &Tree, wanted: Option<&str>, stem: &str, limits: &Limits) -> Result<Plans, IngestError> {
    let index = tree.document("index.json", limits)?;
    let mut walk = Walk::new(tree, stem, limits);
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

/// Reads a folder that `skopeo copy ... dir:PATH` wrote: blobs under their bare hex names. With `--all` the manifest
/// is an index, and the manifests that it names lie beside it as `HEX.manifest.json`.
pub fn dir_images(tree: &Tree, stem: &str, limits: &Limits) -> Result<Plans, IngestError> {
    let bytes = tree.document("manifest.json", limits)?;
    let walk = Walk::new(tree, stem, limits);
    Ok(match walk.parse(&bytes, "manifest.json")? {
        ManifestKind::Image { config, layers } => {
            vec![walk.dir_image((&bytes, digest_of(&bytes, None)), &config, &layers)]
        }
        ManifestKind::Index(manifests) if manifests.len() > limits.descriptors_max => {
            let max = limits.descriptors_max as u64;
            return Err(IngestError::Limit { origin: tree.origin(), limit: "descriptors_max", max });
        }
        ManifestKind::Index(manifests) => {
            manifests.iter().filter_map(|found| walk.dir_instance(found).transpose()).collect()
        }
    })
}

struct Walk<'a> {
    tree: &'a Tree,
    stem: &'a str,
    limits: &'a Limits,
    descriptors: usize,
    plans: Plans,
    /// Where the plans of manifests are, and their names.
    planned: HashMap<BlobDigest, (usize, HashSet<String>)>,
    /// Sum of the layers of all plans.
    layers: Cell<usize>,
    /// Documents by the manifest that they speak of.
    attestations: HashMap<String, Vec<PlannedDocument>>,
}

/// A verified manifest or index, as bytes and as what they say.
type Manifest = (Arc<[u8]>, ManifestKind);

/// What a descriptor leads to.
enum Seen {
    /// Nothing that is an image: an artifact, an attestation, something unknown, something not copied along.
    Nothing,
    /// Further manifests.
    Index(Vec<Descriptor>),
    /// An image.
    Image(Box<ImagePlan>),
}

impl<'a> Walk<'a> {
    fn new(tree: &'a Tree, stem: &'a str, limits: &'a Limits) -> Self {
        Self {
            tree,
            stem,
            limits,
            descriptors: 0,
            plans: Vec::new(),
            planned: HashMap::new(),
            layers: Cell::new(0),
            attestations: HashMap::new(),
        }
    }

    /// Follows a descriptor to its images. It fails only where there is too much to follow.
    fn descend(
        &mut self,
        descriptor: &Descriptor,
        names: &[String],
        depth: usize,
    ) -> Result<(), IngestError> {
        self.count(depth)?;
        if !is_attestation(descriptor) && self.is_planned(descriptor, names) {
            return Ok(());
        }
        match self.look(descriptor, names, depth) {
            Ok(Seen::Nothing) => {}
            Ok(Seen::Image(plan)) => {
                self.planned.insert(descriptor.digest, (self.plans.len(), names.iter().cloned().collect()));
                self.plans.push(Ok(*plan));
            }
            Ok(Seen::Index(manifests)) => return self.descend_all(&manifests, names, depth + 1),
            Err(error) => self.plans.push(Err(error)),
        }
        Ok(())
    }

    /// Follows an index. One whose manifests are all missing is an image that is missing.
    fn descend_all(
        &mut self,
        manifests: &[Descriptor],
        names: &[String],
        depth: usize,
    ) -> Result<(), IngestError> {
        let before = self.plans.len();
        manifests.iter().try_for_each(|found| self.descend(found, names, depth))?;
        let missing = |found: &&Descriptor| !self.tree.has(&blob_name(&found.digest));
        if self.plans.len() == before
            && let Some(first) = manifests.iter().find(missing)
        {
            let what = format!("manifest {}", first.digest);
            self.plans.push(Err(IngestError::Missing { origin: self.tree.origin(), what }));
        }
        Ok(())
    }

    /// Returns true if the manifest has been met before. It is one image, with the names of all that lead to it.
    fn is_planned(&mut self, descriptor: &Descriptor, names: &[String]) -> bool {
        let Some((place, known)) = self.planned.get_mut(&descriptor.digest) else { return false };
        if let Ok(plan) = &mut self.plans[*place] {
            plan.names.extend(names.iter().filter(|name| known.insert((*name).clone())).cloned());
        }
        true
    }

    fn look(&mut self, descriptor: &Descriptor, names: &[String], depth: usize) -> Result<Seen, IngestError> {
        let Some((bytes, kind)) = self.manifest(descriptor, depth)? else { return Ok(Seen::Nothing) };
        if is_attestation(descriptor) {
            return self.keep_attestation(descriptor, &bytes).map(|()| Seen::Nothing);
        }
        Ok(match kind {
            ManifestKind::Index(manifests) => Seen::Index(manifests),
            ManifestKind::Image { config, layers } if self.is_artifact(descriptor, &config, &layers) => {
                Seen::Nothing
            }
            ManifestKind::Image { config, layers } => {
                let manifest = Some((&bytes, descriptor.digest));
                let mut plan = self.plan(manifest, &config, &layers, names.to_vec(), blob_name)?;
                if plan.platform == Platform::default() {
                    plan.platform = descriptor.platform.clone().into();
                }
                Seen::Image(Box::new(plan))
            }
        })
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

    /// Reads a manifest and verifies it. An index below the first may name platforms that were not copied along
    /// (`docker save` of one platform of many leaves such); those are passed over, and so is what is of an unknown
    /// media type and no manifest either, as the specification asks.
    fn manifest(&self, descriptor: &Descriptor, depth: usize) -> Result<Option<Manifest>, IngestError> {
        let read = self.verified(&blob_name(&descriptor.digest), descriptor);
        let parsed = read.and_then(|bytes| {
            let kind = self.parse(&bytes, &descriptor.digest.to_string())?;
            Ok((bytes, kind))
        });
        match parsed {
            Err(_) if !is_manifest_type(&descriptor.media_type) => Ok(None),
            Err(IngestError::Missing { .. }) if depth > 0 => Ok(None),
            Err(IngestError::Missing { origin, .. }) => {
                Err(IngestError::Missing { origin, what: format!("manifest {}", descriptor.digest) })
            }
            other => other.map(Some),
        }
    }

    /// Reads one of the manifests of a `dir:` folder, unless it was not copied along or is no image's.
    fn dir_instance(&self, descriptor: &Descriptor) -> Result<Option<ImagePlan>, IngestError> {
        let name = format!("{}.manifest.json", descriptor.digest.to_hex());
        let bytes = match self.verified(&name, descriptor) {
            Err(IngestError::Missing { .. }) => return Ok(None),
            other => other?,
        };
        match self.parse(&bytes, &name)? {
            ManifestKind::Image { config, layers }
                if layers.iter().all(|layer| layer.media_type != IN_TOTO) =>
            {
                self.dir_image((&bytes, descriptor.digest), &config, &layers).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn dir_image(
        &self,
        manifest: (&Arc<[u8]>, BlobDigest),
        config: &Descriptor,
        layers: &[Descriptor],
    ) -> Result<ImagePlan, IngestError> {
        self.plan(Some(manifest), config, layers, vec![self.stem.to_owned()], BlobDigest::to_hex)
    }

    /// Reads a document; its size, then its digest, must be what the descriptor says.
    fn verified(&self, name: &str, descriptor: &Descriptor) -> Result<Arc<[u8]>, IngestError> {
        let bytes = self.tree.document(name, self.limits)?;
        let document = descriptor.digest.to_string();
        if let Some(size) = descriptor.size.filter(|size| *size != bytes.len() as u64) {
            let reason = format!("size is {} bytes, expected {size}{}", bytes.len(), lost_link(&bytes));
            return Err(self.refuse(&document, &reason));
        }
        let found = digest_of(&bytes, Some(descriptor.digest));
        if found != descriptor.digest {
            return Err(self.refuse(&document, &format!("digest of the bytes is {found}")));
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
        let mut plan = ImagePlan::new(format!("{} {}", self.tree.origin(), shown.unwrap_or_default()), names);
        if let Some((bytes, digest)) = manifest {
            plan.manifest = Some(digest);
            plan.documents.push((MANIFEST.into(), digest, bytes.clone()));
        }
        self.count_layers(&plan.origin, layers.len())?;
        plan.layers = self.layers(layers, name_of)?;
        let config = match self.verified(&name_of(&config.digest), config) {
            Err(IngestError::Missing { origin, .. }) => {
                return Err(IngestError::Missing {
                    origin,
                    what: format!("configuration {}", config.digest),
                });
            }
            other => other?,
        };
        plan.set_config(config, self.limits)?;
        if plan.layers.is_empty() && plan.claimed_count > 0 {
            // Docker 25.0 saved such (moby#47065). Its manifest.json has the layers.
            let reason = format!("lists no layers, its configuration {}", plan.claimed_count);
            return Err(self.refuse("manifest", &reason));
        }
        Ok(plan)
    }

    /// Counts layers before anything is done for them.
    fn count_layers(&self, origin: &str, count: usize) -> Result<(), IngestError> {
        let limit =
            |limit, max: usize| Err(IngestError::Limit { origin: origin.into(), limit, max: max as u64 });
        if count > self.limits.layers_max {
            return limit("layers_max", self.limits.layers_max);
        }
        self.layers.set(self.layers.get() + count);
        match self.layers.get() > self.limits.source_layers_max {
            true => limit("source_layers_max", self.limits.source_layers_max),
            false => Ok(()),
        }
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
                diff_id: None,
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
        if !(layers.is_empty() || layers.iter().any(tar)) {
            return true;
        }
        let lists_diff_ids = || {
            let bytes = self.verified(&blob_name(&config.digest), config).ok()?;
            Config::parse(&bytes).ok().map(|config| !config.rootfs.diff_ids.is_empty())
        };
        // An artifact type alone proves nothing: whoever wants to hide an image could write one beside it.
        let is_image = CONFIGS.contains(&config.media_type.as_str()) && descriptor.artifact_type.is_none();
        !is_image && lists_diff_ids() != Some(true)
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

    fn finish(mut self) -> Plans {
        for plan in self.plans.iter_mut().flatten() {
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

/// Returns true for what BuildKit says of an image, in an index beside it.
fn is_attestation(descriptor: &Descriptor) -> bool {
    descriptor.annotations.get(REFERENCE_TYPE).is_some_and(|kind| kind == "attestation-manifest")
}

/// Media types of manifests and indexes. None at all counts as one: older tools leave it out.
fn is_manifest_type(media_type: &str) -> bool {
    const PREFIXES: [&str; 3] = [
        "application/vnd.oci.image.manifest.",
        "application/vnd.oci.image.index.",
        "application/vnd.docker.distribution.manifest.",
    ];
    media_type.is_empty() || PREFIXES.iter().any(|prefix| media_type.starts_with(prefix))
}

/// Says so where a file holds a path instead of a document: what a symbolic link becomes in a checkout without them.
fn lost_link(bytes: &[u8]) -> String {
    const PATH_BYTES_MAX: usize = 200;
    match std::str::from_utf8(bytes) {
        Ok(path)
            if path.starts_with("../") && path.len() <= PATH_BYTES_MAX && !path.contains(['{', '\n']) =>
        {
            format!(": it holds the path {path:?}, as if it had been a symbolic link")
        }
        _ => String::new(),
    }
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
