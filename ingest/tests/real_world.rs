//! Images that other programs wrote, good and bad: each is read, or refused for a reason that was thought about.
//!
//! The archives lie beside the project (`../shared/corpus`); where they do not, these tests say so and do nothing.

use std::path::Path;

use crate::support::{Outcome, file, merged, oddities, read, shared};
use layerprint_ingest::progress::SkipReason;
use layerprint_ingest::{ImageRead, IngestError};

/// Path; then for each image its names, number of layers and of regular files in the end, hard links counted as
/// files. Derived with Python's `tarfile` and `json`, which share nothing with this project.
const IMAGES: &str = r"
fixtures/aboutcode-org__container-inspector/tests/data/cli/hello-world.tar: hello-world:latest 1/1
fixtures/aboutcode-org__container-inspector/tests/data/cli/she-image_from_scratch-1.0.tar: she/image_from_scratch:1.0 4/5
fixtures/aboutcode-org__container-inspector/tests/data/image/mini-image_from_scratch-2.0.tar: she/image_from_scratch:1.0 4/5
fixtures/aboutcode-org__container-inspector/tests/data/image/windows-mini-image.tar.gz: (unnamed) 1/2
fixtures/aboutcode-org__container-inspector/tests/data/repos/imagesv11.tar: me/test_image_tar:1.0 1/71; she/image_from_scratch:1.0 1/1; you/secondimage:1.2 2/72
fixtures/aboutcode-org__container-inspector/tests/data/repos/imagesv11_with_tar_at_root.tar: me/test_image_tar:1.0 1/1; she/image_from_scratch:1.0 1/1; you/secondimage:1.2 2/1
fixtures/anchore__stereoscope/pkg/image/oci/testdata/valid-oci.tar: sample:latest 1/1
fixtures/aquasecurity__trivy/pkg/fanal/test/testdata/alpine-310.tar.gz: alpine:3.10 1/70
fixtures/aquasecurity__trivy/pkg/fanal/test/testdata/alpine-311.tar.gz: alpine:3.11 1/72
fixtures/containers__image/docker/archive/fixtures/almostempty.tar: emptyimage:latest 1/1
fixtures/containers__podman/test/e2e/testdata/docker-registry-name.tar.xz: example.com/empty:latest 1/1
fixtures/containers__podman/test/e2e/testdata/docker-two-images.tar.xz: example.com/empty/but:different 1/1; example.com/empty:latest 1/1
fixtures/containers__podman/test/e2e/testdata/docker-two-names.tar.xz: pretty-empty:latest example.com/empty:latest 1/1
fixtures/containers__podman/test/e2e/testdata/docker-unnamed.tar.xz: (unnamed) 1/1
fixtures/containers__podman/test/e2e/testdata/oci-name-only.tar.gz: pretty-empty:latest 1/1
fixtures/containers__podman/test/e2e/testdata/oci-non-docker-name.tar.gz: oci-non-docker-name:UPPERCASE-IS-INVALID 1/1
fixtures/containers__podman/test/e2e/testdata/oci-unnamed.tar.gz: (unnamed) 1/1
fixtures/google__go-containerregistry/pkg/v1/mutate/testdata/overwritten_file.tar: bazel/pkg/v1/mutate:overwritten_file 3/1
fixtures/google__go-containerregistry/pkg/v1/mutate/testdata/source_image_with_empty_layer_history.tar: bazel/pkg/v1/mutate:source_image 1/2
fixtures/google__go-containerregistry/pkg/v1/mutate/testdata/whiteout_dir.tar: localhost:5000/whiteout:latest 4/2
fixtures/google__go-containerregistry/pkg/v1/mutate/testdata/whiteout_image.tar: bazel/pkg/v1/mutate:whiteout_image 3/1
fixtures/google__go-containerregistry/pkg/v1/tarball/testdata/hello-world-v25.tar: (unnamed) 1/1
fixtures/google__go-containerregistry/pkg/v1/tarball/testdata/test_bundle.tar: test_image_1 1/2; test_image_2 1/2
fixtures/google__go-containerregistry/pkg/v1/tarball/testdata/test_link.tar: bazel/v1/tarball:test_image_1 1/2; bazel/v1/tarball:test_image_3 2/3
fixtures/google__osv-scalibr/artifact/image/layerscanning/image/testdata/basic.tar: basic:latest 2/2
fixtures/google__osv-scalibr/artifact/image/layerscanning/image/testdata/multiple-files.tar: multiple-files:latest 2/3
fixtures/google__osv-scalibr/artifact/image/layerscanning/image/testdata/overwrite-file.tar: overwrite-file:latest 2/1
fixtures/google__osv-scalibr/artifact/image/layerscanning/image/testdata/symlink-attack.tar: symlink-attack:latest 1/0
fixtures/google__osv-scalibr/artifact/image/layerscanning/image/testdata/symlink-cycle.tar: symlink-cycle:latest 1/0
fixtures/google__osv-scalibr/artifact/image/layerscanning/image/testdata/symlink-depth-exceeded.tar: symlink-depth-exceeded:latest 1/1
fixtures/google__osv-scalibr/artifact/image/unpack/testdata/dangling-symlinks.tar: dangling-symlinks:latest 2/0
fixtures/google__osv-scalibr/artifact/image/unpack/testdata/permissions.tar: permissions:latest 1/1
fixtures/google__osv-scalibr/artifact/image/unpack/testdata/symlinks.tar: symlinks:latest 2/1
fixtures/wagoodman__dive/.data/test-docker-image.tar: dive-test:latest 14/405
fixtures/wagoodman__dive/.data/test-kaniko-image.tar: dive-test:kaniko-latest 14/411
fixtures/wagoodman__dive/.data/test-oci-estargz-image.tar: (unnamed) 1/1
fixtures/wagoodman__dive/.data/test-oci-gzip-image.tar: (unnamed) 1/1
fixtures/wagoodman__dive/.data/test-oci-uncompressed-image.tar: (unnamed) 1/1
fixtures/wagoodman__dive/.data/test-oci-zstd-image.tar: (unnamed) 1/1
real/two.tar: alpine:3.20.3 1/87; app:legacy 5/74
real/save26-ctd.tar: alpine:3.20.3 1/87; app:legacy 5/74
real/bx-zstd.tar: (unnamed) 3/89
";

/// Writes images down as in the table.
fn describe(path: &Path, images: &[ImageRead]) -> String {
    let row = |image: &ImageRead| {
        // Who gives an image no name has it named after its source.
        let own: Vec<_> =
            image.names.iter().filter(|name| !Path::new(name).starts_with("/")).cloned().collect();
        let names = if own.is_empty() { "(unnamed)".to_owned() } else { own.join(" ") };
        format!("{names} {}/{}", image.layers.len(), image.record.file_count)
    };
    assert!(path.exists(), "{}", path.display());
    let mut rows: Vec<_> = images.iter().map(row).collect();
    rows.sort();
    rows.join("; ")
}

#[test]
fn names_layers_and_files_are_those_that_another_reader_finds() {
    let Some(corpus) = shared("corpus") else { return };
    for (name, expected) in IMAGES.trim().lines().map(|line| line.split_once(": ").unwrap()) {
        let path = corpus.join(name);
        let outcome = read(path.to_str().unwrap());
        assert_eq!(outcome.failures(), Vec::<String>::new(), "{name}");
        assert_eq!(describe(&path, &outcome.images), expected, "{name}");
    }
}

/// What is refused although it may look like images: the path, how the message starts, and why refusing is right.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "aboutcode-org__container-inspector/tests/data/repos/images.tar.gz",
        "layer 0 (d388bee71bbf28f77042d89b353bacd14506227a39b6b1098afe457f0a0b608e/layer.tar): tar ends at byte 30",
        "the layers were replaced by 30 bytes of text to save space; docker load fails on them, too",
    ),
    (
        "aboutcode-org__container-inspector/tests/data/repos/images.tar.gz",
        "layer 0 (2ba5d0825bcb0d843f975f7ba52db62531dbc73df083fae3d355c1a22d4a4bdc/layer.tar): tar ends at byte 30",
        "as above, the archive's other image",
    ),
    (
        "aquasecurity__trivy/pkg/fanal/test/testdata/test_bad_index_json.oci",
        "index.json: expected ident at line 1 column 2",
        "index.json holds the word foobar",
    ),
    (
        "aquasecurity__trivy/pkg/fanal/test/testdata/test_index_json_dir.oci/test_bad_index_json.oci",
        "index.json: expected ident at line 1 column 2",
        "the same, in a folder whose own index.json is a folder",
    ),
    (
        "aquasecurity__trivy/pkg/fanal/test/testdata/test_no_valid_manifests.oci",
        "index.json: is neither a manifest nor an index",
        "index.json is an empty object",
    ),
    ("busybox-oci/latest-1_glibc_amd64@33b09bb9", LOST_LINK, LOST_LINK_WHY),
    ("busybox-oci/latest_glibc_amd64@d2f2751c", LOST_LINK, LOST_LINK_WHY),
    ("busybox-oci/latest_musl_amd64@c90d278c", LOST_LINK, LOST_LINK_WHY),
    ("busybox-oci-dangling/latest-1_glibc_amd64@29dc845a", LOST_LINK, LOST_LINK_WHY),
    ("busybox-oci-dangling/latest-1_glibc_amd64@6fd558e9", LOST_LINK, LOST_LINK_WHY),
    ("hello-world-oci/amd64@c64b1664", LOST_LINK, LOST_LINK_WHY),
    ("hello-world-oci/arm32v5@5ad35ce5", LOST_LINK, LOST_LINK_WHY),
    ("hello-world-oci/arm32v6@2189e8ad", LOST_LINK, LOST_LINK_WHY),
    ("hello-world-oci/arm32v7@68eb2c17", LOST_LINK, LOST_LINK_WHY),
    ("hello-world-oci/arm64v8@3e971973", LOST_LINK, LOST_LINK_WHY),
    ("hello-world-oci/i386@24e02f39", LOST_LINK, LOST_LINK_WHY),
    ("hello-world-oci/mips64le@33913190", LOST_LINK, LOST_LINK_WHY),
    ("hello-world-oci/ppc64le@fc20513c", LOST_LINK, LOST_LINK_WHY),
    ("hello-world-oci/riscv64@5cd75db8", LOST_LINK, LOST_LINK_WHY),
    ("hello-world-oci/s390x@ca124f22", LOST_LINK, LOST_LINK_WHY),
];
const LOST_LINK: &str = "sha256:";
const LOST_LINK_WHY: &str = "blobs were links into the folder and became files that hold the link's target; no tool \
                             can verify their digests";

/// What a search passes over as no image, by how its path starts, and why that is right.
const PASSED_OVER: &[(&str, &str)] = &[
    ("GoogleContainerTools__container-diff/util/testTars/", "tars of small folders, one of them a layer's"),
    (
        "aboutcode-org__container-inspector/tests/data/distro/windows-container-rootfs.tar",
        "a licence in empty folders",
    ),
    ("aboutcode-org__container-inspector/tests/data/rootfs/find_root.tar.gz", "a root three folders down"),
    ("aboutcode-org__container-inspector/tests/data/utils/", "tars with odd paths, no layers"),
    ("aquasecurity__trivy/integration/testdata/fixtures/repo/helm/", "a chart"),
    ("aquasecurity__trivy/pkg/db/", "a database"),
    ("aquasecurity__trivy/pkg/fanal/test/testdata/test_index_json_dir.oci/blobs/", "a layer of one file"),
    (
        "aquasecurity__trivy/pkg/fanal/test/testdata/test_invalid_oci_image.oci",
        "one entry: of no known type, and missing",
    ),
    ("aquasecurity__trivy/pkg/fanal/utils/", "tars of single files"),
    ("aquasecurity__trivy/pkg/fanal/walker/", "a tar with an application's folder"),
    ("aquasecurity__trivy/pkg/iac/", "a chart"),
    ("aquasecurity__trivy/pkg/oci/", "an artifact's tar"),
    ("aquasecurity__trivy/pkg/policy/", "a bundle of policies"),
    ("containers__podman/test/build/", "build contexts"),
    ("containers__podman/test/e2e/build/squash/alpinetest.tgz", "a build's tar"),
    ("containers__storage/pkg/archive/testdata/broken.tar", "node modules"),
    ("dragonflyoss__nydus/tests/texture/tar/", "one entry of each type"),
    ("dragonflyoss__nydus/tests/texture/zran/", "tars of test folders"),
    ("google__go-containerregistry/pkg/crane/testdata/content.tar", "a tar of one file"),
    (
        "google__go-containerregistry/pkg/v1/layout/testdata/test_gc_index/blobs/",
        "layers of a layout without index.json",
    ),
    (
        "google__go-containerregistry/pkg/v1/layout/testdata/test_index_media_type",
        "a layout that holds a chart",
    ),
    ("google__go-containerregistry/pkg/v1/tarball/testdata/content.tar", "a tar of one file"),
    (
        "google__go-containerregistry/pkg/v1/tarball/testdata/null_manifest.tar",
        "manifest.json is null: docker load loads nothing",
    ),
    (
        "google__osv-scalibr/artifact/image/unpack/testdata/escape.tar",
        "links that lead out, no image around them",
    ),
    ("google__osv-scalibr/extractor/", "tars of embedded files"),
    ("moby__go-archive/testdata/broken.tar", "node modules"),
    ("moby__moby/daemon/builder/remotecontext/internal/tarsum/", "layers without images"),
    ("quay__claircore/", "layers without images, advisories"),
    ("regclient__regclient/testdata/", "layers of one file; a layout without index.json"),
    ("wagoodman__dive/.data/test-", "tars of one file, despite their names"),
];

fn search(corpus: &Path) -> Outcome {
    read(corpus.join("fixtures").to_str().unwrap())
}

#[test]
fn everything_under_the_fixtures_is_read_or_refused_for_a_known_reason() {
    let Some(corpus) = shared("corpus") else { return };
    let root = format!("{}/", corpus.join("fixtures").display());
    let mut outcome = search(&corpus);
    outcome.summary.failed.sort_by(|a, b| a.origin.cmp(&b.origin));
    let mut expected = REFUSED.to_vec();
    for failure in &outcome.summary.failed {
        let origin = failure.origin.strip_prefix(&root).unwrap();
        let message = failure.error.to_string();
        let message = message.strip_prefix(&format!("{}: ", failure.origin)).unwrap_or(&message);
        let known = |(path, start, why): &(&str, &str, &str)| {
            assert!(!why.is_empty());
            origin.starts_with(path) && message.starts_with(start)
        };
        let at = expected.iter().position(known).unwrap_or_else(|| panic!("{origin}: {message}"));
        expected.remove(at);
        let typed = matches!(failure.error, IngestError::Layer { .. } | IngestError::Document { .. });
        assert!(typed, "{:?}", failure.error);
    }
    assert_eq!(expected, [], "not refused any more");
}

#[test]
fn what_a_search_passes_over_is_no_image() {
    let Some(corpus) = shared("corpus") else { return };
    let root = format!("{}/", corpus.join("fixtures").display());
    let outcome = search(&corpus);
    let skipped: Vec<_> =
        outcome.summary.skipped.iter().map(|skipped| skipped.origin.strip_prefix(&root).unwrap()).collect();
    for path in &skipped {
        assert!(PASSED_OVER.iter().any(|(start, _)| path.starts_with(start)), "{path}");
    }
    for (start, why) in PASSED_OVER {
        assert!(
            skipped.iter().any(|path| path.starts_with(start)),
            "{start} ({why}) is not passed over any more"
        );
    }
    assert!(outcome.summary.skipped.iter().all(|skipped| skipped.reason == SkipReason::NotAnImage));
    // Three are listed twice in their source, under other names: each is one image with all of them.
    assert_eq!(outcome.images.len(), 90);
}

#[test]
fn every_file_can_be_named_without_harm() {
    let Some(corpus) = shared("corpus") else { return };
    let mut count = 0;
    for entry in walkdir::WalkDir::new(corpus.join("fixtures")).into_iter().map(Result::unwrap) {
        if entry.file_type().is_file() {
            let outcome = read(entry.path().to_str().unwrap());
            for failure in &outcome.summary.failed {
                let text = format!("{:?}", failure.error);
                assert!(!text.contains("Internal"), "{}: {text}", entry.path().display());
            }
            assert_ne!(outcome.images.len() + outcome.summary.failed.len(), 0, "{}", entry.path().display());
            count += 1;
        }
    }
    assert_eq!(count, 479);
}

#[test]
fn the_layers_that_claircore_keeps_for_being_odd_are_read() {
    let Some(corpus) = shared("corpus/fixtures/quay__claircore/pkg/tarfs/testdata") else { return };
    let image = |name: &str| read(&format!("rootfs:{}", corpus.join(name).display())).image();
    let long = "_".repeat(100) + r"bad\xfdname";
    assert_eq!(merged(&image("bad_name.tar")), [file(&long, "mojibake\n")]);
    assert_eq!(merged(&image("known/oddlayer.tar")), [" dir"]);
    // Two archives, one behind the other without an end between them: the later directory replaces the link.
    let concat = image("concat.tar");
    let expected = [
        " dir".to_owned(),
        "run dir".into(),
        "run/logs dir".into(),
        file("run/logs/log.txt", ""),
        "var dir".into(),
        "var/run dir".into(),
        "var/run/console dir".into(),
        file("var/run/console/algo.txt", ""),
    ];
    assert_eq!(merged(&concat), expected);
}

#[test]
fn links_that_lead_out_stay_links() {
    let Some(corpus) = shared("corpus/fixtures/google__osv-scalibr/artifact/image") else { return };
    let attack =
        read(corpus.join("layerscanning/image/testdata/symlink-attack.tar").to_str().unwrap()).image();
    assert!(
        merged(&attack).iter().all(|row| row.contains(" -> ") || row.ends_with(" dir")),
        "{:?}",
        merged(&attack)
    );
    let escape = read(&format!("rootfs:{}", corpus.join("unpack/testdata/escape.tar").display())).image();
    assert!(merged(&escape).iter().any(|row| row.starts_with("escape -> trampoline/trampoline/")));
    assert_eq!(oddities(&escape.record.anomalies), Vec::<String>::new());
}

#[test]
fn one_image_written_by_two_clients_has_one_identity() {
    let Some(corpus) = shared("corpus/real") else { return };
    let ids = |name: &str| {
        let images = read(corpus.join(name).to_str().unwrap()).images;
        let mut ids: Vec<_> =
            images.iter().map(|image| (image.record.id, image.record.layers.clone())).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids("two.tar"), ids("save26-ctd.tar"));
    let kept = read(corpus.join("bx-zstd.tar").to_str().unwrap()).image().record.documents;
    let kinds: Vec<_> = kept.iter().map(|document| document.media_type.as_str()).collect();
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let config = "application/vnd.oci.image.config.v1+json";
    assert_eq!(kinds, [config, manifest, manifest, "application/vnd.in-toto+json"]);
}
