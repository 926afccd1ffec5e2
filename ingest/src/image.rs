//! Image plan + layers as read -> the record that the store keeps.

use std::sync::Arc;

use layerprint_store::id::{BlobDigest, DiffId, ImageId};
use layerprint_store::{AnomalyKind, Document, ImageRecord, Platform, Stack};

use crate::document::Config;
use crate::plan::ImagePlan;
use crate::rootfs;

/// Media type under which configurations are kept.
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A document to keep: its digest and bytes.
pub type KeptDocument = (BlobDigest, Arc<[u8]>);

/// Describes an image whose layers have been read. The stack is that of `layers`, lowest first.
pub fn describe(mut plan: ImagePlan, layers: Vec<DiffId>, stack: &Stack) -> (ImageRecord, Vec<KeptDocument>) {
    let (id, config) = identify(&mut plan, &layers);
    plan.documents.insert(0, (CONFIG.into(), BlobDigest::Sha256(*id.as_bytes()), config));
    plan.anomalies.extend(stack.anomalies.clone());
    let record = ImageRecord {
        platform: plan.platform,
        created: plan.created,
        manifests: plan.manifest.into_iter().collect(),
        documents: plan
            .documents
            .iter()
            .map(|(media_type, digest, _)| Document { media_type: media_type.clone(), digest: *digest })
            .collect(),
        anomalies: plan.anomalies,
        ..ImageRecord::of_contents(id, layers, &stack.contents, stack.file_count)
    };
    (record, plan.documents.into_iter().map(|(_, digest, bytes)| (digest, bytes)).collect())
}

/// Says what is wrong with an image that another store exported, given the document whose digest is the image's ID: it must be a
/// configuration of just these layers. Whatever reads images corrects a configuration that lists others (`identify`).
pub fn check_config(record: &ImageRecord, config: Option<&[u8]>) -> Result<(), String> {
    let config = config.ok_or("its configuration is not with it")?;
    let config = Config::parse(config).map_err(|error| format!("its configuration: {error}"))?;
    if config.rootfs.diff_ids != record.layers {
        return Err("its configuration lists other layers".into());
    }
    if config.created != record.created {
        return Err("its configuration says another time".into());
    }
    let platform = Platform::from(config.platform);
    let differs = |said: &str, stored: &str| !said.is_empty() && said != stored;
    if differs(&platform.os, &record.platform.os)
        || differs(&platform.architecture, &record.platform.architecture)
        || differs(&platform.variant, &record.platform.variant)
    {
        return Err(format!("its configuration is for {platform}, not {}", record.platform));
    }
    Ok(())
}

/// Returns the image ID and the configuration that it is the hash of.
///
/// An image ID binds the layers only as far as the configuration lists them truly. Where it does not, anybody could
/// give their layers the ID of a trusted image, so the ID is that of the configuration corrected.
fn identify(plan: &mut ImagePlan, layers: &[DiffId]) -> (ImageId, Arc<[u8]>) {
    let claimed: Vec<_> = plan.layers.iter().filter_map(|layer| layer.promise.diff_id).collect();
    if claimed == layers && plan.claimed_count == layers.len() {
        return (ImageId::of_config(&plan.config), plan.config.clone());
    }
    if plan.has_config {
        note_mismatch(plan, layers);
    }
    let config = rootfs::with_layers(&plan.config, layers).unwrap_or_else(|| plan.config.clone());
    (ImageId::of_config(&config), config)
}

fn note_mismatch(plan: &mut ImagePlan, layers: &[DiffId]) {
    let kind = AnomalyKind::DiffIdMismatch;
    if plan.claimed_count != layers.len() {
        let detail = format!("{} diff IDs for {} layers", plan.claimed_count, layers.len());
        plan.anomalies.add(kind, None, detail);
    }
    for (index, (layer, found)) in plan.layers.iter().zip(layers).enumerate() {
        if let Some(claimed) = layer.promise.diff_id.filter(|claimed| claimed != found) {
            plan.anomalies.add(kind, None, format!("layer {index}: {claimed} said, {found} found"));
        }
    }
}
