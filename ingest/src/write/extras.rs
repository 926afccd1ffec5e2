//! What an index holds beside images: attestations, artifacts, and manifests of types that nobody knows.

use layerprint_store::id::BlobDigest;
use serde_json::{Value, json};

use super::layout::{Layout, MANIFEST};
use super::{Extra, Image};

impl Layout<'_> {
    /// Adds an attestation manifest as BuildKit does and returns its row:
    /// <https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md>.
    pub(super) fn put_attestation(
        &mut self,
        image: &Image,
        subject: BlobDigest,
        predicate_type: &str,
        predicate: &Value,
    ) -> Value {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": predicate_type,
            "subject": [{
                "name": image.names.first().map_or("image", String::as_str),
                "digest": {subject.algorithm(): subject.to_hex()},
            }],
            "predicate": predicate,
        });
        let mut layer = self.put_blob("application/vnd.in-toto+json", statement.to_string().into_bytes());
        layer["annotations"] = json!({"in-toto.io/predicate-type": predicate_type});
        let config = json!({
            "architecture": "unknown", "os": "unknown", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        });
        let config =
            self.put_blob("application/vnd.oci.image.config.v1+json", config.to_string().into_bytes());
        let mut row = self.put_manifest(&json!({"config": config, "layers": [layer]}));
        row["platform"] = json!({"architecture": "unknown", "os": "unknown"});
        row["annotations"] = json!({
            "vnd.docker.reference.digest": subject,
            "vnd.docker.reference.type": "attestation-manifest",
        });
        row
    }

    pub(super) fn put_extras(&mut self, index: &mut Vec<Value>) {
        for extra in self.options.extras.clone() {
            index.push(match extra {
                Extra::Artifact => self.put_artifact(),
                Extra::UnknownType => {
                    self.put_blob("application/vnd.example.stranger.v9+json", br#"{"strange":true}"#.to_vec())
                }
            });
        }
    }

    fn put_artifact(&mut self) -> Value {
        let config = self.put_blob("application/vnd.oci.empty.v1+json", b"{}".to_vec());
        let layer = self.put_blob("application/spdx+json", br#"{"spdxVersion":"SPDX-2.3"}"#.to_vec());
        let artifact_type = "application/spdx+json";
        let mut row =
            self.put_manifest(&json!({"artifactType": artifact_type, "config": config, "layers": [layer]}));
        row["artifactType"] = artifact_type.into();
        row
    }

    fn put_manifest(&mut self, fields: &Value) -> Value {
        let mut manifest = fields.clone();
        manifest["schemaVersion"] = 2.into();
        manifest["mediaType"] = MANIFEST.into();
        self.put_blob(MANIFEST, manifest.to_string().into_bytes())
    }
}
