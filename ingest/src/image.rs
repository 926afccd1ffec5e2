//! Image plan + layers as read -> the record that the store keeps.

use std::sync::Arc;

use layerprint_store::id::{BlobDigest, DiffId, ImageId};
use layerprint_store::{AnomalyKind, Document, ImageRecord, Stack};

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

/// Returns the image ID and the configuration that it is the hash of.
///
/// An image ID binds the layers only as far as the configuration lists them truly. Where it does not, anybody could
/// give their layers the ID of a trusted image, so the ID is that of the configuration corrected.
fn identify(plan: &mut ImagePlan, layers: &[DiffId]) -> (ImageId, Arc<[u8]>) {
    let claimed: Vec<_> = plan.layers.iter().filter_map(|layer| layer.claimed).collect();
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
        if let Some(claimed) = layer.claimed.filter(|claimed| claimed != found) {
            plan.anomalies.add(kind, None, format!("layer {index}: {claimed} said, {found} found"));
        }
    }
}
