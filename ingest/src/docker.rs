//! Images in a docker-archive, as `docker save` writes them.
//!
//! - 1.0 (Docker up to 1.9): a folder for each layer with `VERSION`, `json` and `layer.tar`, and `repositories`.
//! - 1.1 to 24: `manifest.json` names a configuration and layers; a layer that another image has too is a link.
//! - 25 and later: an OCI layout with a `manifest.json` beside it. `manifest.json` is believed: early 25.0 wrote OCI
//!   manifests without layers (moby#47065). The layout adds names and manifests where it has them.
//!
//! podman and kaniko write the second kind with other member names.
//! <https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format>

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::document::{DockerImage, LegacyLayer};
use crate::error::IngestError;
use crate::layer::Promise;
use crate::limits::Limits;
use crate::plan::{ImagePlan, LayerPlan, Plans, familiar};
use crate::rootfs;
use crate::tree::Tree;

/// Finds the images of an archive with a `manifest.json`.
///
/// `wanted` is one of the names, or `@N` for the Nth image, as skopeo writes it.
pub fn images(tree: &Tree, wanted: Option<&str>, limits: &Limits) -> Result<Plans, IngestError> {
    let bytes = tree.document("manifest.json", limits)?;
    let parsed: Result<Option<Vec<DockerImage>>, _> = serde_json::from_slice(&bytes);
    let found =
        parsed.map_err(|error| refuse(tree, "manifest.json", &error.to_string()))?.unwrap_or_default();
    let is_wanted = |index: usize, image: &DockerImage| match wanted {
        None => true,
        Some(name) if name.starts_with('@') => name[1..] == index.to_string(),
        Some(name) => image.repo_tags.iter().any(|tag| tag == name || familiar(tag) == familiar(name)),
    };
    let chosen: Vec<_> = found.iter().enumerate().filter(|(index, image)| is_wanted(*index, image)).collect();
    if let (Some(wanted), true) = (wanted, chosen.is_empty()) {
        let known = found.iter().flat_map(|image| image.repo_tags.iter().cloned()).collect();
        return Err(IngestError::UnknownReference { origin: tree.origin(), wanted: wanted.into(), known });
    }
    let chosen = merged(chosen.into_iter().map(|(index, image)| (index, image.clone())));
    check_counts(tree, &chosen, limits)?;
    Ok(chosen.iter().map(|(index, image)| plan(tree, *index, image, limits)).collect())
}

/// Makes one image of those that are listed more than once, with all names that any of them has.
fn merged(images: impl Iterator<Item = (usize, DockerImage)>) -> Vec<(usize, DockerImage)> {
    let mut places: HashMap<(String, Vec<String>), usize> = HashMap::new();
    let mut merged: Vec<(usize, DockerImage)> = Vec::new();
    for (index, image) in images {
        match places.entry((image.config.clone(), image.layers.clone())) {
            Entry::Occupied(place) => merged[*place.get()].1.repo_tags.extend(image.repo_tags),
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push((index, image));
            }
        }
    }
    merged
}

/// Checks what a list of four megabytes can ask for, before anything is done for it.
fn check_counts(tree: &Tree, images: &[(usize, DockerImage)], limits: &Limits) -> Result<(), IngestError> {
    let layers: usize = images.iter().map(|(_, image)| image.layers.len().min(limits.layers_max)).sum();
    let counts = [
        ("descriptors_max", limits.descriptors_max, images.len()),
        ("source_layers_max", limits.source_layers_max, layers),
    ];
    match counts.into_iter().find(|(_, max, found)| found > max) {
        Some((limit, max, _)) => Err(IngestError::Limit { origin: tree.origin(), limit, max: max as u64 }),
        None => Ok(()),
    }
}

fn plan(tree: &Tree, index: usize, image: &DockerImage, limits: &Limits) -> Result<ImagePlan, IngestError> {
    let names = distinct(image.repo_tags.iter().map(|tag| familiar(tag)));
    if image.layers.len() > limits.layers_max {
        let (origin, max) = (empty_plan(tree, names, index).origin, limits.layers_max as u64);
        return Err(IngestError::Limit { origin, limit: "layers_max", max });
    }
    let layers = image.layers.iter().map(|name| LayerPlan::of(tree, name, Promise::default()));
    let mut plan = empty_plan(tree, names, index);
    plan.layers = layers.collect::<Result<_, _>>()?;
    plan.set_config(tree.document(&image.config, limits)?, limits)?;
    Ok(plan)
}

/// Returns names without those that came before.
fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = HashSet::new();
    names.filter(|name| seen.insert(name.clone())).collect()
}

fn empty_plan(tree: &Tree, names: Vec<String>, index: usize) -> ImagePlan {
    let shown = names.first().cloned().unwrap_or_else(|| format!("@{index}"));
    ImagePlan::new(format!("{} {shown}", tree.origin()), names)
}

/// Finds the images of an archive of version 1.0, by the names in `repositories`.
pub fn legacy_images(tree: &Tree, wanted: Option<&str>, limits: &Limits) -> Result<Plans, IngestError> {
    let bytes = tree.document("repositories", limits)?;
    let parsed: Result<BTreeMap<String, BTreeMap<String, String>>, _> = serde_json::from_slice(&bytes);
    let repositories = parsed.map_err(|error| refuse(tree, "repositories", &error.to_string()))?;
    let mut tops: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (repository, tags) in repositories {
        for (tag, top) in tags {
            tops.entry(top).or_default().push(familiar(&format!("{repository}:{tag}")));
        }
    }
    let known: Vec<String> = tops.values().flatten().cloned().collect();
    if let Some(wanted) = wanted {
        tops.retain(|_, names| names.contains(&familiar(wanted)));
        if tops.is_empty() {
            return Err(IngestError::UnknownReference {
                origin: tree.origin(),
                wanted: wanted.into(),
                known,
            });
        }
    }
    let tops = tops.into_iter().enumerate();
    Ok(tops.map(|(index, (top, names))| legacy_plan(tree, index, &top, names, limits)).collect())
}

fn legacy_plan(
    tree: &Tree,
    index: usize,
    top: &str,
    names: Vec<String>,
    limits: &Limits,
) -> Result<ImagePlan, IngestError> {
    let mut plan = empty_plan(tree, names, index);
    let mut next = top.to_owned();
    while !next.is_empty() {
        if plan.layers.len() >= limits.layers_max {
            let max = limits.layers_max as u64;
            return Err(IngestError::Limit { origin: plan.origin, limit: "layers_max", max });
        }
        let layer = legacy_layer(tree, &next, limits)?;
        plan.layers.push(LayerPlan::of(tree, &format!("{next}/layer.tar"), Promise::default())?);
        if plan.layers.len() == 1 {
            plan.platform = layer.platform.into();
            plan.created = layer.created;
        }
        next = layer.parent;
    }
    plan.layers.reverse();
    plan.config = rootfs::config_without_layers(&plan.platform, plan.created.as_deref());
    Ok(plan)
}

fn legacy_layer(tree: &Tree, id: &str, limits: &Limits) -> Result<LegacyLayer, IngestError> {
    let name = format!("{id}/json");
    let bytes = tree.document(&name, limits)?;
    serde_json::from_slice(&bytes).map_err(|error| refuse(tree, &name, &error.to_string()))
}

fn refuse(tree: &Tree, document: &str, reason: &str) -> IngestError {
    let (document, reason) = (document.to_owned(), reason.to_owned());
    IngestError::Document { origin: tree.origin(), document, reason }
}
