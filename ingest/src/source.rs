//! Where images come from, as people name it: skopeo's transports, or a bare path.
//! <https://github.com/containers/image/blob/main/docs/containers-transports.5.md>

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A place that may hold images.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The form that the images are kept in.
    pub transport: Transport,
    /// A file or folder, or `-` for standard input.
    pub path: PathBuf,
    /// Which image of several.
    pub reference: Option<String>,
}

/// A form that images are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// Told from what is there.
    Detect,
    /// `oci:DIR[:REF]`: an OCI layout in a folder.
    Oci,
    /// `oci-archive:FILE[:REF]`: an OCI layout in a tar.
    OciArchive,
    /// `docker-archive:FILE[:REF]`: what `docker save` writes.
    DockerArchive,
    /// `dir:PATH`: what skopeo writes to a folder.
    Dir,
    /// `rootfs:PATH`: a root file system, as a folder or a tar.
    Rootfs,
}

/// A source that names a transport which layerprint does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the transport {transport:?} of {source_name:?} is not supported")]
pub struct UnknownTransport {
    /// What stands before the colon.
    pub transport: String,
    /// The whole source.
    pub source_name: String,
}

impl UnknownTransport {
    /// Returns what the user may do instead.
    pub fn hint(&self) -> String {
        let name = &self.source_name;
        match self.transport.as_str() {
            "docker" => format!("copy it first: skopeo copy {name} oci-archive:image.tar"),
            "docker-daemon" | "containers-storage" => {
                let image = name.split_once(':').map_or("", |(_, image)| image);
                format!("pipe it: docker save {image} | layerprint find -")
            }
            _ => "use oci:, oci-archive:, docker-archive:, dir:, rootfs:, a path or -".into(),
        }
    }
}

/// Transports of skopeo that need a registry, a daemon or a host's own store.
const UNREAD: [&str; 5] = ["docker", "docker-daemon", "containers-storage", "ostree", "sif"];

impl FromStr for Source {
    type Err = UnknownTransport;

    fn from_str(text: &str) -> Result<Self, UnknownTransport> {
        let bare = || Self { transport: Transport::Detect, path: text.into(), reference: None };
        let Some((prefix, rest)) = text.split_once(':') else { return Ok(bare()) };
        let Some(transport) = Transport::of_prefix(prefix) else {
            // `docker://alpine` is a transport, a file named `docker:x` that exists is a file.
            if UNREAD.contains(&prefix) && !Path::new(text).exists() {
                return Err(UnknownTransport { transport: prefix.into(), source_name: text.into() });
            }
            return Ok(bare());
        };
        let (path, reference) = match transport {
            Transport::Dir | Transport::Rootfs => (rest, None),
            _ => split_reference(rest),
        };
        Ok(Self { transport, path: path.into(), reference: reference.map(str::to_owned) })
    }
}

impl Transport {
    fn of_prefix(prefix: &str) -> Option<Self> {
        Some(match prefix {
            "oci" => Self::Oci,
            "oci-archive" => Self::OciArchive,
            "docker-archive" => Self::DockerArchive,
            "dir" => Self::Dir,
            "rootfs" => Self::Rootfs,
            _ => return None,
        })
    }

    /// Returns what stands before the path, colon included.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Detect => "",
            Self::Oci => "oci:",
            Self::OciArchive => "oci-archive:",
            Self::DockerArchive => "docker-archive:",
            Self::Dir => "dir:",
            Self::Rootfs => "rootfs:",
        }
    }
}

impl Source {
    /// Returns a source whose form is to be told from what is there.
    pub fn detect(path: impl Into<PathBuf>) -> Self {
        Self { transport: Transport::Detect, path: path.into(), reference: None }
    }

    /// Returns the source as it would be typed, whatever bytes its path has.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let reference = self.reference.as_ref().map(|reference| format!(":{reference}")).unwrap_or_default();
        [self.transport.prefix().as_bytes(), self.path.as_os_str().as_bytes(), reference.as_bytes()].concat()
    }

    /// Returns true for standard input.
    pub fn is_stdin(&self) -> bool {
        self.path.as_os_str() == "-"
    }
}

impl fmt::Display for Source {
    /// Writes the source as it would be typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.transport.prefix(), self.path.display())?;
        self.reference.iter().try_for_each(|reference| write!(f, ":{reference}"))
    }
}

/// Splits `PATH[:REF]`. Both may hold colons: the path is the shortest that exists, else all before the first colon.
fn split_reference(text: &str) -> (&str, Option<&str>) {
    if Path::new(text).exists() {
        return (text, None);
    }
    let mut cuts = text.match_indices(':').map(|(at, _)| (&text[..at], &text[at + 1..]));
    let existing = cuts.clone().find(|(path, _)| Path::new(path).exists());
    match existing.or_else(|| cuts.next()) {
        Some((path, reference)) => (path, Some(reference).filter(|reference| !reference.is_empty())),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Transport, String, Option<String>) {
        let source: Source = text.parse().unwrap();
        (source.transport, source.path.display().to_string(), source.reference)
    }

    #[test]
    fn a_reference_may_hold_colons() {
        let expected = (Transport::Oci, "no/such".into(), Some("registry:5000/debian:12".into()));
        assert_eq!(parse("oci:no/such:registry:5000/debian:12"), expected);
    }

    #[test]
    fn a_path_that_exists_may_hold_colons() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a:b");
        std::fs::write(&path, "").unwrap();
        let path = path.display().to_string();
        assert_eq!(parse(&format!("docker-archive:{path}")), (Transport::DockerArchive, path.clone(), None));
        let named = parse(&format!("docker-archive:{path}:x:1"));
        assert_eq!(named, (Transport::DockerArchive, path, Some("x:1".into())));
    }

    #[test]
    fn a_bare_path_is_detected_and_prints_as_it_was() {
        let source: Source = "images/app.tar".parse().unwrap();
        assert_eq!((source.transport, source.to_string().as_str()), (Transport::Detect, "images/app.tar"));
    }

    #[test]
    fn a_registry_is_refused_with_a_way_out() {
        let error = "docker://alpine:3".parse::<Source>().unwrap_err();
        assert_eq!(error.hint(), "copy it first: skopeo copy docker://alpine:3 oci-archive:image.tar");
    }
}
