//! All forms at once, and the compressions.

use super::*;

#[test]
fn every_form_is_written_twice_with_the_same_bytes() {
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for form in forms() {
        let first = form.write(&sample(), one.path()).unwrap();
        let second = form.write(&sample(), two.path()).unwrap();
        assert_eq!(first.images, second.images, "{}", form.name);
        if first.path.is_file() {
            assert!(fs::read(&first.path).unwrap() == fs::read(&second.path).unwrap(), "{}", form.name);
        } else {
            assert!(files_of(&first.path) == files_of(&second.path), "{}", form.name);
        }
    }
    assert_eq!(fs::read_dir(one.path()).unwrap().count(), forms().len(), "no staging is left behind");
}

#[test]
fn every_form_holds_the_layers_that_it_reports() {
    let folder = TempDir::new().unwrap();
    for form in forms() {
        let written = form.write(&sample(), folder.path()).unwrap();
        let files = files_of(&written.path);
        let tars: Vec<_> = if form.keeps_layers() {
            files.values().map(|bytes| sha256(&decompress(bytes))).collect()
        } else {
            vec![sha256(&decompress(&fs::read(&written.path).unwrap()))]
        };
        for layer in &written.images[0].layers {
            assert!(tars.contains(&layer.diff_id.to_string()), "{}: {layer:?}", form.name);
        }
        assert_eq!(written.images[0].image_id.is_some(), form.keeps_config(), "{}", form.name);
        if let Some(image_id) = written.images[0].image_id {
            let config = files.values().find(|bytes| sha256(bytes) == image_id.to_string());
            let config: Value = serde_json::from_slice(config.expect("the configuration is there")).unwrap();
            let diff_ids: Vec<_> = written.images[0].layers.iter().map(|l| l.diff_id.to_string()).collect();
            assert_eq!(config["rootfs"]["diff_ids"], Value::from(diff_ids), "{}", form.name);
        }
    }
}

#[test]
fn blobs_of_every_layout_have_the_names_that_they_hash_to() {
    let folder = TempDir::new().unwrap();
    for form in forms().iter().filter(|form| form.name.contains("oci") || form.name.contains("v25")) {
        let files = files_of(&form.write(&sample(), folder.path()).unwrap().path);
        for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with("blobs/")) {
            let hex = match name.split('/').nth(1) {
                Some("sha512") => HEXLOWER.encode(&Sha512::digest(bytes)),
                _ => HEXLOWER.encode(&Sha256::digest(bytes)),
            };
            assert!(name.ends_with(&format!("/{hex}")), "{}: {name}", form.name);
        }
        let row = &json_of(&files, "index.json")["manifests"][0];
        assert_eq!(files[&blob_path(&row["digest"])].len() as u64, row["size"], "{}", form.name);
    }
}

#[test]
fn compression_changes_the_blob_and_only_estargz_the_layer() {
    let folder = TempDir::new().unwrap();
    let tar = sample().layers[0].to_tar().unwrap();
    for compression in Compression::ALL {
        let options = Options { compression, ..Options::default() };
        let written =
            oci_layout(&[sample()], &folder.path().join(format!("{compression:?}")), &options).unwrap();
        let layer = &written.images[0].layers[0];
        let same = compression != Compression::EStargz;
        assert_eq!(layer.diff_id.to_string() == sha256(&tar), same, "{compression:?}");
        assert!(decompress(&compression.compress(&tar)) == tar, "{compression:?}");
        assert_eq!(decompress(&compression.compress(b"")), b"", "{compression:?}");
    }
}

#[test]
fn parts_end_where_a_reader_does_not_expect_it() {
    let tar = sample().layers[0].to_tar().unwrap();
    let members = Compression::GzipMembers.compress(&tar);
    let mut first = Vec::new();
    flate2::read::GzDecoder::new(&members[..]).read_to_end(&mut first).unwrap();
    assert_eq!(first, tar[..300]);
    let frames = Compression::ZstdFrames.compress(&tar);
    assert_eq!(frames.windows(7).filter(|window| window == b"skip me").count(), 3);
}

#[test]
fn estargz_contents_are_found_by_footer_and_table() {
    let folder = TempDir::new().unwrap();
    let options = Options { compression: Compression::EStargz, ..Options::default() };
    let written = oci_layout(&[sample()], folder.path(), &options).unwrap();
    let files = files_of(folder.path());
    let blob = &files[&format!("blobs/sha256/{}", written.images[0].layers[0].digest.to_hex())];

    let footer = &blob[blob.len() - 51..];
    let toc_at = std::str::from_utf8(&footer[16..32]).unwrap();
    let toc_at = usize::from_str_radix(toc_at, 16).unwrap();
    let toc_tar = decompress(&blob[toc_at..]);
    let (name, _, toc) = listing(&toc_tar).remove(0);
    assert_eq!(name, "stargz.index.json");
    let manifest = json_of(&files, &blob_path(&json_of(&files, "index.json")["manifests"][0]["digest"]));
    let annotation = &manifest["layers"][0]["annotations"]["containerd.io/snapshot/stargz/toc.digest"];
    assert_eq!(*annotation, sha256(toc.as_bytes()));

    let toc: Value = serde_json::from_str(&toc).unwrap();
    let motd = toc["entries"].as_array().unwrap().iter().find(|entry| entry["name"] == "etc/motd").unwrap();
    let offset = usize::try_from(motd["offset"].as_u64().unwrap()).unwrap();
    assert!(decompress(&blob[offset..]).starts_with(b"hi\n"));
    assert_eq!(motd["digest"], sha256(b"hi\n"));
}
