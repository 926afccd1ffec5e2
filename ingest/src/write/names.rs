//! Image names as the different forms spell them.

use serde_json::{Value, json};

/// Parts `repository:tag`; a name without a tag means `latest`.
pub(super) fn split(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}

/// Returns the annotations that name a manifest in `index.json`.
///
/// skopeo and podman put the name as it was given; containerd and Docker the tag alone, and the whole name in
/// an annotation of their own.
pub(super) fn annotations(name: &str, containerd: bool) -> Value {
    if !containerd {
        return json!({"org.opencontainers.image.ref.name": name});
    }
    let (repository, tag) = split(name);
    json!({
        "io.containerd.image.name": format!("{}:{tag}", with_host(repository)),
        "org.opencontainers.image.ref.name": tag,
    })
}

fn with_host(repository: &str) -> String {
    match repository.split_once('/') {
        None => format!("docker.io/library/{repository}"),
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => repository.to_owned(),
        Some(_) => format!("docker.io/{repository}"),
    }
}
