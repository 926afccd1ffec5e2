//! Every form that one image can be kept in, as a table: what reads one must read all, with one result.

use std::path::Path;

use super::{
    Algorithm, Compression, DockerSave, Extra, Image, MediaTypes, Options, WriteError, Written,
    docker_archive, oci_archive, oci_layout, rootfs_archive, skopeo_dir,
};

/// A form with the options that make it what it is.
#[derive(Debug, Clone)]
pub struct Form {
    /// Short and fit for a file name: `oci-zstd`, `docker-v1.1`.
    pub name: String,
    /// The options that it is written with.
    pub options: Options,
    shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    OciLayout,
    OciArchive,
    Docker(DockerSave),
    SkopeoDir,
    Rootfs,
}

impl Form {
    /// Writes the image in this form, under a name of its own in the folder.
    pub fn write(&self, image: &Image, folder: &Path) -> Result<Written, WriteError> {
        let images = std::slice::from_ref(image);
        let path = folder.join(self.file_name());
        match self.shape {
            Shape::OciLayout => oci_layout(images, &path, &self.options),
            Shape::OciArchive => oci_archive(images, &path, &self.options),
            Shape::Docker(save) => docker_archive(images, &path, save, &self.options),
            Shape::SkopeoDir => skopeo_dir(image, &path, &self.options),
            Shape::Rootfs => rootfs_archive(image, &path, &self.options),
        }
    }

    /// Tells whether layers stay apart; otherwise there is one, of the merged files and some of the container's.
    pub fn keeps_layers(&self) -> bool {
        self.shape != Shape::Rootfs
    }

    /// Tells whether the image's configuration is kept, and with it the image ID.
    pub fn keeps_config(&self) -> bool {
        !matches!(self.shape, Shape::Rootfs | Shape::Docker(DockerSave::V1_0))
    }

    fn file_name(&self) -> String {
        match self.shape {
            Shape::OciLayout | Shape::SkopeoDir => self.name.clone(),
            _ => format!("{}.tar{}", self.name, self.options.outer.extension()),
        }
    }
}

/// Returns every form, each once plain and then with each compression and oddity that it has in the wild.
pub fn forms() -> Vec<Form> {
    let mut forms = Vec::new();
    let mut add = |name: String, shape, options| forms.push(Form { name, shape, options });
    let plain = Options::default;
    for compression in Compression::ALL {
        let name = format!("oci-{compression:?}").to_lowercase();
        add(name, Shape::OciLayout, Options { compression, ..plain() });
    }
    for (name, options) in layout_oddities() {
        add(format!("oci-{name}"), Shape::OciLayout, options);
    }
    let archives = [
        ("oci-archive", Shape::OciArchive),
        ("docker-v1.0", Shape::Docker(DockerSave::V1_0)),
        ("docker-v1.1", Shape::Docker(DockerSave::V1_1)),
        ("docker-v25", Shape::Docker(DockerSave::V25)),
        ("docker-podman", Shape::Docker(DockerSave::Podman)),
        ("docker-kaniko", Shape::Docker(DockerSave::Kaniko)),
        ("rootfs", Shape::Rootfs),
    ];
    for (name, shape) in archives {
        for outer in
            [Compression::None, Compression::Gzip, Compression::Zstd, Compression::Xz, Compression::Bzip2]
        {
            let suffix = if outer == Compression::None { String::new() } else { format!("-{outer:?}") };
            add(format!("{name}{}", suffix.to_lowercase()), shape, Options { outer, ..plain() });
        }
        if shape != Shape::Rootfs {
            let options = Options { manifest_first: true, ..plain() };
            add(format!("{name}-manifest-first"), shape, options);
        }
    }
    let docker = |save| Shape::Docker(save);
    add("docker-v1.1-links-first".into(), docker(DockerSave::V1_1), Options { links_first: true, ..plain() });
    let uncompressed = Options { compression: Compression::None, ..plain() };
    add("docker-v25-uncompressed".into(), docker(DockerSave::V25), uncompressed);
    let layerless = Options { layerless_manifests: true, ..plain() };
    add("docker-v25-layerless".into(), docker(DockerSave::V25), layerless);
    add("dir".into(), Shape::SkopeoDir, plain());
    let docker_types = Options { media_types: MediaTypes::Docker, ..plain() };
    add("dir-docker-types".into(), Shape::SkopeoDir, docker_types);
    forms
}

fn layout_oddities() -> [(&'static str, Options); 6] {
    let plain = Options::default;
    [
        ("docker-types", Options { media_types: MediaTypes::Docker, ..plain() }),
        ("containerd-names", Options { containerd_names: true, ..plain() }),
        ("sha512", Options { algorithm: Algorithm::Sha512, ..plain() }),
        ("index", Options { index_depth: 1, ..plain() }),
        ("nested-index", Options { index_depth: 3, ..plain() }),
        ("extras", Options { extras: vec![Extra::Artifact, Extra::UnknownType], ..plain() }),
    ]
}
