//! Media types of manifests, configurations and layers.

use super::Compression;

/// Whose media types to declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MediaTypes {
    /// `application/vnd.oci.image...`
    #[default]
    Oci,
    /// `application/vnd.docker...`
    Docker,
}

impl MediaTypes {
    pub(super) fn manifest(self) -> &'static str {
        match self {
            Self::Oci => super::layout::MANIFEST,
            Self::Docker => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    pub(super) fn config(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    pub(super) fn layer(self, compression: Compression) -> String {
        let (base, separator) = match self {
            Self::Oci => ("application/vnd.oci.image.layer.v1.tar", "+"),
            Self::Docker => ("application/vnd.docker.image.rootfs.diff.tar", "."),
        };
        match compression.suffix() {
            None => base.to_owned(),
            Some(suffix) => format!("{base}{separator}{suffix}"),
        }
    }
}
