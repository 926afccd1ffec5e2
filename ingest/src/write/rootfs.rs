//! A container's files as one tar, as `docker export` makes it: no configuration, no layers.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::bundle::Bundle;
use super::{Algorithm, Image, Layer, Options, WriteError, Written, WrittenImage, WrittenLayer, at};

/// Writes the image's merged files into a tar, with what Docker puts into every container.
///
/// The one layer that is returned is the tar itself: its diff ID, and the digest of the file.
pub fn rootfs_archive(image: &Image, file: &Path, options: &Options) -> Result<Written, WriteError> {
    let rootfs = Arc::new(container(image.flattened()?));
    let packed = Bundle::beside(file)?.pack_to(file, &rootfs, options.outer)?;
    let layer = WrittenLayer {
        diff_id: packed.diff_id,
        digest: packed.digest,
        size_bytes: packed.size_bytes,
        media_type: String::new(),
    };
    let images = vec![WrittenImage { layers: vec![layer], ..WrittenImage::default() }];
    Ok(Written { transport: "", path: file.to_owned(), images })
}

/// Adds the mount points and files that Docker makes for a container, unless the image has them.
fn container(mut rootfs: Layer) -> Layer {
    for dir in ["dev/", "dev/pts/", "dev/shm/", "etc/", "proc/", "sys/"] {
        if !rootfs.has(dir.trim_end_matches('/')) {
            rootfs = rootfs.dir(dir);
        }
    }
    for file in [".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"] {
        if !rootfs.has(file) {
            rootfs = rootfs.file(file, "").mode(0o755);
        }
    }
    if rootfs.has("etc/mtab") { rootfs } else { rootfs.symlink("etc/mtab", "/proc/mounts") }
}

impl Bundle {
    fn pack_to(
        mut self,
        file: &Path,
        layer: &Arc<Layer>,
        outer: super::Compression,
    ) -> Result<super::bundle::PackedLayer, WriteError> {
        let packed = self.pack(layer, outer, Algorithm::Sha256)?;
        fs::rename(&packed.staged, file).map_err(at(file))?;
        Ok(packed)
    }
}
