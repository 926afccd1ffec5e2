//! Archives of Docker 25 and later: an OCI layout that also has a `manifest.json`.

use std::path::Path;

use serde_json::json;

use super::docker::{Repositories, layer_sources, put_manifest_json, repo_tags, write};
use super::layout::Layout;
use super::{Image, Options, WriteError, Written};

pub(super) fn docker_25(images: &[Image], file: &Path, options: &Options) -> Result<Written, WriteError> {
    let options = Options { containerd_names: true, ..options.clone() };
    let mut layout = Layout::new(file, &options)?;
    let images = layout.fill(images)?;
    let mut rows = Vec::new();
    let mut repositories = Repositories::default();
    for image in &images {
        let config = image.config_digest.expect("a layout keeps the configuration");
        let paths: Vec<_> = image.layers.iter().map(|layer| layout.blob_path(layer.digest)).collect();
        rows.push(json!({
            "Config": layout.blob_path(config), "RepoTags": repo_tags(&image.names), "Layers": paths,
            "LayerSources": layer_sources(&image.layers),
        }));
        if let Some(top) = image.layers.last() {
            repositories.add(&image.names, &top.digest.to_hex());
        }
    }
    put_manifest_json(&mut layout.bundle, rows);
    repositories.put(&mut layout.bundle);
    write(layout.bundle, file, &options, images)
}
