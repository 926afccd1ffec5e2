//! Names of images as other tools want them: references taken apart, package URLs and relative URIs.

use std::fmt::Write;

use layerprint_query::{family_of, repository_of};
use layerprint_store::id::ImageId;

/// Returns repository and tag, or digest if there is no tag. The place of an image that has no name is left whole.
pub fn repository_and_tag(name: &str) -> (&str, Option<&str>) {
    if family_of(name).is_none() {
        return (name, None);
    }
    let repository = repository_of(name);
    let rest = &name[repository.len()..];
    let (tag, digest) = rest.split_once('@').map_or((rest, None), |(tag, digest)| (tag, Some(digest)));
    (repository, tag.strip_prefix(':').or(digest).filter(|version| !version.is_empty()))
}

/// Returns the package URL of an image, if its name allows one. Its version is the ID, or else the tag
/// (<https://github.com/package-url/purl-spec>, type `docker`).
pub fn package_url(name: &str, id: Option<&ImageId>) -> Option<String> {
    family_of(name)?;
    let (repository, tag) = repository_and_tag(name);
    let (host, path) = match repository.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), path),
        _ => (None, repository),
    };
    let host = host.filter(|host| !matches!(*host, "docker.io" | "index.docker.io"));
    let path = if host.is_none() { path.strip_prefix("library/").unwrap_or(path) } else { path };
    let is_part = |part: &str| {
        let is_usual =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        !part.trim_matches('.').is_empty() && part.bytes().all(is_usual)
    };
    if !path.split('/').all(is_part) {
        return None;
    }
    let version = id.map(ToString::to_string).or_else(|| tag.map(str::to_owned));
    let version = version.map(|version| format!("@{}", encoded(&version))).unwrap_or_default();
    let host = host.map(|host| format!("?repository_url={}", encoded(host))).unwrap_or_default();
    Some(format!("pkg:docker/{path}{version}{host}"))
}

/// Returns a relative reference of RFC 3986 that no other name has and that leads to no other folder.
pub fn relative_uri(name: &str) -> String {
    let part = |part: &str| match part {
        "" | "." | ".." => format!("~{part}"),
        // What begins like these is written so that it is not taken for one.
        part => part.strip_prefix('~').map_or_else(|| encoded(part), |rest| format!("%7E{}", encoded(rest))),
    };
    name.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            byte => write!(encoded, "%{byte:02X}").expect("a string takes all"),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let cases = [
            ("debian", ("debian", None)),
            ("registry.example:5000/a/b:1", ("registry.example:5000/a/b", Some("1"))),
            ("debian:12@sha256:00", ("debian", Some("12"))),
            ("debian@sha256:00", ("debian", Some("sha256:00"))),
            ("/srv/app.tar:1", ("/srv/app.tar:1", None)),
        ];
        for (name, expected) in cases {
            assert_eq!(repository_and_tag(name), expected, "{name}");
        }
    }

    #[test]
    fn package_urls_are_made_of_names_that_allow_them() {
        let cases = [
            ("docker.io/library/debian:12-slim", Some("pkg:docker/debian@12-slim")),
            ("grafana/loki:v2.9.1", Some("pkg:docker/grafana/loki@v2.9.1")),
            (
                "registry.example:5000/corp/base:1",
                Some("pkg:docker/corp/base@1?repository_url=registry.example%3A5000"),
            ),
            ("localhost/base", Some("pkg:docker/base?repository_url=localhost")),
            ("/srv/app.tar", None),
            ("a//b:1", None),
            ("../b:1", None),
            ("Debian:12", None),
            ("a?b#c:1", None),
        ];
        for (name, expected) in cases {
            assert_eq!(package_url(name, None).as_deref(), expected, "{name}");
        }
        let id = ImageId::of_config(b"{}");
        let told = package_url("debian:12", Some(&id)).unwrap();
        assert_eq!(told, format!("pkg:docker/debian@sha256%3A{}", id.to_hex()));
    }

    #[test]
    fn uris_stay_in_their_folder() {
        let cases = [
            ("registry.example:5000/a/b:1", "registry.example%3A5000/a/b%3A1"),
            ("javascript:alert(1)", "javascript%3Aalert%281%29"),
            ("/etc/passwd", "~/etc/passwd"),
            ("../../x", "~../~../x"),
            ("a\n\u{e9}?#", "a%0A%C3%A9%3F%23"),
        ];
        for (name, expected) in cases {
            assert_eq!(relative_uri(name), expected, "{name}");
        }
    }
}
