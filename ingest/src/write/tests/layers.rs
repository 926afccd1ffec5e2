//! Entries of a layer, and layers merged into one.

use super::*;

#[test]
fn entries_come_out_as_they_went_in() {
    let layer = Layer::new()
        .dir("./etc//")
        .file("/etc/motd", "hi\n")
        .file("/etc/motd", "again")
        .symlink("../out", "/etc/shadow")
        .hard_link("dangling", "no/such/file")
        .whiteout("etc/passwd")
        .whiteout("top")
        .opaque("var/cache");
    let expected = [
        row("./etc//", b'5', ""),
        row("/etc/motd", b'0', "hi\n"),
        row("/etc/motd", b'0', "again"),
        row("../out", b'2', "/etc/shadow"),
        row("dangling", b'1', "no/such/file"),
        row("etc/.wh.passwd", b'0', ""),
        row(".wh.top", b'0', ""),
        row("var/cache/.wh..wh..opq", b'0', ""),
    ];
    assert_eq!(listing(&layer.to_tar().unwrap()), expected);
}

#[test]
fn long_names_are_whole_in_all_three_ways() {
    let fits_prefix = format!("{}/{}", "d".repeat(120), "n".repeat(60));
    let fits_nowhere = "x".repeat(300);
    for long_names in [LongNames::Ustar, LongNames::Pax, LongNames::Gnu] {
        let layer = Layer::new().long_names(long_names);
        let layer = layer.file(&fits_prefix, "a").symlink(&fits_nowhere, &fits_nowhere).file("short", "b");
        let expected =
            [row(&fits_prefix, b'0', "a"), row(&fits_nowhere, b'2', &fits_nowhere), row("short", b'0', "b")];
        assert_eq!(listing(&layer.to_tar().unwrap()), expected, "{long_names:?}");
    }
}

#[test]
fn header_fields_and_pax_records_are_kept() {
    let layer =
        Layer::new().file("f", "").owner(5_000_000_000, 7).mtime(9).mode(0o6711).pax("comment", "x=y");
    let tar = layer.xattr("user.x", b"\xff").block_device("b", 8, 1).to_tar().unwrap();
    let mut archive = tar::Archive::new(&tar[..]);
    let mut entries = archive.entries().unwrap();
    let mut file = entries.next().unwrap().unwrap();
    let header = file.header();
    let fields =
        (header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap(), header.mode().unwrap());
    assert_eq!(fields, (5_000_000_000, 7, 9, 0o6711));
    let records = file.pax_extensions().unwrap().unwrap().map(|record| {
        let record = record.unwrap();
        (record.key().unwrap().to_owned(), record.value_bytes().to_vec())
    });
    let expected = [("comment", &b"x=y"[..]), ("SCHILY.xattr.user.x", b"\xff")];
    assert_eq!(records.collect::<Vec<_>>(), expected.map(|(key, value)| (key.to_owned(), value.to_vec())));
    let device = entries.next().unwrap().unwrap();
    assert_eq!(device.header().device_major().unwrap(), Some(8));
    assert_eq!(device.header().device_minor().unwrap(), Some(1));
}

#[test]
fn a_pax_record_counts_its_own_digits() {
    // 99 and 100, 999 and 1000: where one more digit makes the length longer by two.
    for value_bytes in 80..1010 {
        let tar = Layer::new().file("f", "").pax("key", vec![b'v'; value_bytes]).to_tar().unwrap();
        let mut archive = tar::Archive::new(&tar[..]);
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        let record = entry.pax_extensions().unwrap().unwrap().next().unwrap().unwrap();
        assert_eq!(record.value_bytes().len(), value_bytes);
    }
}

#[test]
fn raw_bytes_are_the_layer() {
    assert_eq!(Layer::from_bytes("junk").to_tar().unwrap(), b"junk");
    assert_eq!(Layer::new().without_end().to_tar().unwrap(), b"");
    assert_eq!(Layer::new().tail("x").to_tar().unwrap().len(), 1025);
    let lies = Layer::new().symlink("s", "t").size_field(1024).to_tar().unwrap();
    assert_eq!(tar::Header::from_byte_slice(&lies[..512]).size().unwrap(), 1024);
}

#[test]
fn files_and_trees_come_from_disk_in_order_of_name() {
    let disk = TempDir::new().unwrap();
    fs::create_dir(disk.path().join("b")).unwrap();
    fs::write(disk.path().join("b/z"), "deep").unwrap();
    fs::write(disk.path().join("a"), vec![b'a'; 600]).unwrap();
    std::os::unix::fs::symlink("a", disk.path().join("c")).unwrap();
    let layer = Layer::new().tree_from("opt", disk.path()).unwrap().file_from("a2", disk.path().join("a"));
    let contents = "a".repeat(600);
    let expected = [
        row("opt/a", b'0', &contents),
        row("opt/b/", b'5', ""),
        row("opt/b/z", b'0', "deep"),
        row("opt/c", b'2', "a"),
        row("a2", b'0', &contents),
    ];
    assert_eq!(listing(&layer.to_tar().unwrap()), expected);
}

#[test]
fn a_missing_file_is_named_by_the_error() {
    let layer = Layer::new().file_from("f", "/no/such/file");
    let folder = TempDir::new().unwrap();
    let error = oci_layout(&[Image::new("x").layer(layer)], folder.path(), &Options::default()).unwrap_err();
    assert!(
        matches!(&error, WriteError::Read { path, .. } if path == Path::new("/no/such/file")),
        "{error:?}"
    );
    assert_eq!(error.to_string(), "/no/such/file: cannot be read");
}

#[test]
fn a_file_that_ends_early_is_named_by_the_error() {
    // The kernel's files say size 0 and have contents: the same as a file that grows between header and body.
    let Ok(0) = fs::metadata("/proc/self/status").map(|metadata| metadata.len()) else {
        return eprintln!("skipped: /proc/self/status is not there");
    };
    let error = Layer::new().file_from("f", "/proc/self/status").to_tar().unwrap_err();
    assert!(matches!(error, WriteError::Changed { expected: 0, .. }), "{error:?}");
}

#[test]
fn flattening_applies_whiteouts_to_lower_layers_only() {
    let image = Image::new("x:1")
        .layer(
            Layer::new().dir("a").file("a/old", "1").file("a/kept", "2").file("b/gone", "3").file("c", "4"),
        )
        .layer(Layer::new().file("b/new", "5").opaque("b").whiteout("a/old").hard_link("a/link", "a/kept"))
        .layer(
            Layer::new().file("c/now/a/dir", "6").file("./a//kept", "7").file("b/new", "8").whiteout("b/new"),
        );
    let expected = [
        row("a/", b'5', ""),
        row("a/kept", b'0', "7"),
        row("a/link", b'0', "2"),
        row("b/new", b'0', "8"),
        row("c/now/a/dir", b'0', "6"),
    ];
    let flat = listing(&image.flattened().unwrap().to_tar().unwrap());
    assert_eq!(flat, expected);
    let squashed = image.squashed().unwrap();
    assert_eq!(listing(&squashed.layers[0].to_tar().unwrap()), expected);
}

#[test]
fn links_to_one_file_stay_links_when_flattened() {
    let image = Image::new("x:1")
        .layer(Layer::new().file("z", "body").hard_link("a", "z"))
        .layer(Layer::new().hard_link("m", "z").whiteout("a"));
    let expected = [row("m", b'0', "body"), row("z", b'1', "m")];
    assert_eq!(listing(&image.flattened().unwrap().to_tar().unwrap()), expected);
}

#[test]
fn raw_layers_cannot_be_flattened_and_say_so() {
    let image = Image::new("x:1").layer(Layer::new()).layer(Layer::from_bytes("junk"));
    assert_eq!(
        image.flattened().unwrap_err().to_string(),
        "layer 1: holds raw bytes, which cannot be flattened"
    );
}
