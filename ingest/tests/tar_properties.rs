//! What holds for every archive, however it arrives: in pieces, by seeking, or cut off at any byte.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, Write};

use crate::tar_support::{Listing, Random, limits_of_go, list, mutate, samples};
use layerprint_ingest::tar::{ReadSkip, Stream, TarError, TarReader};
use proptest::prelude::*;

/// Gives out as many bytes as it is told at a time, and is interrupted in between.
struct Pieces<'a> {
    rest: &'a [u8],
    lengths: std::iter::Cycle<std::vec::IntoIter<usize>>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.lengths.next().unwrap();
        if length == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = length.min(buffer.len());
        self.rest.read(&mut buffer[..length])
    }
}

fn listed<R: ReadSkip>(archive: R) -> Listing {
    list("", archive, limits_of_go())
}

proptest! {
    #[test]
    fn any_split_of_reads_gives_the_same_listing(
        seed in any::<u64>(),
        mut lengths in proptest::collection::vec(0_usize..1500, 1..20),
    ) {
        lengths.push(1);
        let archive = mutate::archive(&mut Random(seed), samples());
        let pieces = Stream(Pieces { rest: &archive, lengths: lengths.into_iter().cycle() });
        let (whole, split) = (listed(&archive[..]), listed(pieces));
        prop_assert!(split.agrees_with(&whole), "{whole:#?}\n{split:#?}");
        prop_assert_eq!(split.error, whole.error);
    }

    #[test]
    fn every_way_to_skip_gives_the_same_listing(seed in any::<u64>()) {
        let archive = mutate::archive(&mut Random(seed), samples());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&archive).unwrap();
        let whole = entries_without_bodies(&archive[..]);
        prop_assert_eq!(&entries_without_bodies(Stream(&archive[..])), &whole);
        prop_assert_eq!(&entries_without_bodies(Cursor::new(&archive)), &whole);
        prop_assert_eq!(&entries_without_bodies(rewound(&file)), &whole);
        prop_assert_eq!(&entries_without_bodies(BufReader::with_capacity(700, rewound(&file))), &whole);
    }
}

fn rewound(file: &File) -> File {
    let mut file = file.try_clone().unwrap();
    file.rewind().unwrap();
    file
}

/// Skips every body and describes the entries, the end and where it was.
fn entries_without_bodies<R: ReadSkip>(archive: R) -> Vec<String> {
    let mut reader = TarReader::new(archive, limits_of_go());
    let mut described = Vec::new();
    loop {
        match reader.next_entry() {
            Ok(Some(entry)) => described.push(format!("{entry:?} {:?}", reader.data_extents())),
            Ok(None) => break described.push(format!("end at {}", reader.position_bytes())),
            Err(error) => break described.push(error.to_string()),
        }
    }
    described.push(format!("{:?}", reader.take_anomalies()));
    described
}

/// One archive with a body, an extension and a sparse file, cut everywhere: no panic, and never a file that is
/// not whole passed off as one.
#[test]
fn an_archive_cut_at_any_byte_says_so_or_ended_there() {
    let archive = sample("s05_sparse_pax_name_differs.tar");
    let whole = listed(&archive[..]);
    for length in 0..archive.len() {
        let cut = listed(&archive[..length]);
        let same = cut.entries.iter().zip(&whole.entries).take_while(|(cut, whole)| cut == whole).count();
        assert!(cut.failed || cut.count == same, "cut at {length}: {cut:#?}");
        assert!(cut.count <= same + 1, "cut at {length}: {cut:#?}");
    }
}

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture").join(name)).unwrap()
}

#[test]
fn a_body_can_be_read_later_from_the_offset_that_the_entry_gives() {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, body) in [("etc/motd", "hi\n"), ("srv/large", &"x".repeat(5000))] {
        let mut header = tar::Header::new_gnu();
        header.set_size(body.len() as u64);
        archive.append_data(&mut header, path, body.as_bytes()).unwrap();
    }
    let archive = archive.into_inner().unwrap();
    let mut reader = TarReader::new(&archive[..], limits_of_go());
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut body = Vec::new();
        reader.read_to_end(&mut body).unwrap();
        let start = usize::try_from(entry.body_offset_bytes).unwrap();
        let end = start + usize::try_from(entry.body_stored_bytes).unwrap();
        assert_eq!(&archive[start..end], body, "{}", entry.path.escape_ascii());
    }
}

#[test]
fn an_error_of_the_source_is_passed_on_with_its_place_and_stops_the_reader() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk on fire"))
        }
    }
    let archive = sample("w01_plain.tar");
    let mut reader = TarReader::new(Stream(archive[..700].chain(Broken)), limits_of_go());
    let error = loop {
        match reader.next_entry() {
            Ok(entry) => assert!(entry.is_some()),
            Err(error) => break error,
        }
    };
    assert_eq!(error.to_string(), "tar at byte 700: disk on fire");
    assert!(matches!(reader.next_entry(), Err(TarError::Stopped { offset_bytes: 700 })));
    assert!(matches!(reader.read_body(&mut [0]), Err(TarError::Stopped { offset_bytes: 700 })));
}
