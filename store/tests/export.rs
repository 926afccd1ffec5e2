//! Exports and imports: two stores with the same images are the same bytes, and nothing false gets in.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};

use crate::common::{content, layer, layer_record};
use layerprint_store::id::{BlobDigest, DiffId, ImageId};
use layerprint_store::{
    Anomalies, AnomalyKind, BlobRecord, Conflict, Document, ImageRecord, ImportError, ImportEvent, Imported,
    LayerRecord, MergedView, Platform, SourceRecord, Steps, Store,
};
use sha2::{Digest, Sha256};

const HEADER_BYTES: usize = 16;
/// Number of the index's section that says where in the packs fingerprints are.
const PLACES: usize = 10;
/// The section that says where documents lie.
const DOCUMENT_PLACES: usize = 33;
const CHECKSUM_BYTES: usize = 32;

/// A store in a folder that goes with it.
struct World {
    _folder: tempfile::TempDir,
    store: Store,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create_or_open(&folder.path().join("store")).unwrap();
        Self { _folder: folder, store }
    }

    fn of(images: impl IntoIterator<Item = u64>) -> Self {
        let world = Self::new();
        images.into_iter().for_each(|number| put(&world.store, number));
        world.store.commit().unwrap();
        world
    }

    fn export(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let exported = self.store.export(&mut bytes, &|_, _| ()).unwrap();
        assert_eq!(exported.size_bytes, bytes.len() as u64);
        assert_eq!(exported.blake3, blake3::hash(&bytes).to_string());
        bytes
    }

    fn import(&self, export: &[u8]) -> Imported {
        let (imported, conflicts) = self.try_import(export);
        assert_eq!(conflicts, <[String; 0]>::default());
        imported.unwrap()
    }

    fn try_import(&self, export: impl Read) -> (Result<Imported, ImportError>, Vec<String>) {
        let mut conflicts = Vec::new();
        let imported = self.store.import(export, &|_, _| Ok(()), &mut |event| {
            if let ImportEvent::Conflict(conflict) = event {
                conflicts.push(conflict.to_string());
            }
        });
        (imported, conflicts)
    }

    fn refusal(&self, export: impl Read) -> String {
        self.try_import(export).0.unwrap_err().to_string()
    }
}

/// The digest under which a document is kept.
fn digest(bytes: &[u8]) -> BlobDigest {
    BlobDigest::Sha256(Sha256::digest(bytes).into())
}

/// Puts image number so and so: four share a base, two a configuration's neighbour; each has documents, blobs and names.
fn put(store: &Store, number: u64) {
    let mut layers = Vec::new();
    for (place, (seed, files)) in
        [(number / 4, 300), (1000 + number / 2, 20), (2000 + number, 7)].iter().enumerate()
    {
        let (mut record, fingerprint) = layer(*seed, *files);
        record.anomalies.add(AnomalyKind::DuplicatePath, Some(512 * number), "etc/motd");
        store.put_layer(&record, &fingerprint).unwrap();
        let blob = BlobRecord { diff_id: record.diff_id, media_type: ["", "tar+gzip"][place % 2].into() };
        store.put_blob(&digest(format!("blob {seed}").as_bytes()), &blob).unwrap();
        layers.push(record.diff_id);
    }
    let (config, manifest) = (format!("config {number}"), format!("manifest {number}"));
    let mut record = image(store, number, &layers);
    record.manifests = vec![digest(manifest.as_bytes())];
    for (media_type, text) in [("config", &config), ("manifest", &manifest)] {
        let digest = digest(text.as_bytes());
        store.put_document(&digest, text.as_bytes()).unwrap();
        record.documents.push(Document { media_type: media_type.into(), digest });
    }
    let names = [(format!("image:{number}"), 1000 + number), ("latest".to_owned(), 2000)];
    store.put_image_seen(&record, &names, Steps::default()).unwrap();
}

/// An image of stored layers, all of it true.
fn image(store: &Store, number: u64, layers: &[DiffId]) -> ImageRecord {
    let fingerprints: Vec<_> =
        layers.iter().map(|layer| store.fingerprint(layer).unwrap().unwrap()).collect();
    let view = MergedView::of(&fingerprints);
    let id = ImageId::of_config(format!("config {number}").as_bytes());
    ImageRecord {
        platform: Platform { os: "linux".into(), architecture: "arm64".into(), ..Platform::default() },
        ..ImageRecord::of_contents(id, layers.to_vec(), &view.contents(), view.file_count())
    }
}

/// One frame of an export, as the format describes it.
#[derive(Clone)]
struct Frame {
    kind: u8,
    payload: Vec<u8>,
}

/// Cuts an export into its frames without a word of the store's own code.
fn frames(export: &[u8]) -> Vec<Frame> {
    assert_eq!(&export[..HEADER_BYTES], b"LPEXPORT\x01\0\0\0\0\0\0\0");
    let mut frames = Vec::new();
    let mut at = HEADER_BYTES;
    while at < export.len() {
        let length = u32::from_le_bytes(export[at + 4..at + 8].try_into().unwrap()) as usize;
        assert_eq!(&export[at + 1..at + 4], &[0; 3]);
        let end = at + 8 + length;
        assert_eq!(export[end..end + CHECKSUM_BYTES], *blake3::hash(&export[..end]).as_bytes());
        frames.push(Frame { kind: export[at], payload: export[at + 8..end].to_vec() });
        at = end + CHECKSUM_BYTES;
    }
    frames
}

/// Writes frames as an export whose checksums are right.
fn forge(frames: &[Frame]) -> Vec<u8> {
    let mut export = b"LPEXPORT\x01\0\0\0\0\0\0\0".to_vec();
    for Frame { kind, payload } in frames {
        export.extend([*kind, 0, 0, 0]);
        export.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
        export.extend(payload);
        let checksum = blake3::hash(&export);
        export.extend(checksum.as_bytes());
    }
    export
}

#[test]
fn an_import_exports_as_the_same_bytes_and_answers_the_same() {
    let from = World::of(0..9);
    let export = from.export();
    let into = World::new();
    let imported = into.import(&export);
    let expected = Imported {
        layers_new: 3 + 5 + 9,
        documents_new: 18,
        images_new: 9,
        blobs_new: 17,
        read_bytes: export.len() as u64,
        ..Imported::default()
    };
    assert_eq!(imported, expected);
    assert_eq!(into.export(), export);
    assert_eq!(forge(&frames(&export)), export, "every byte is in the description of the format");

    let names = |store: &Store| store.names().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(names(&into.store), names(&from.store));
    let index = into.store.index().unwrap();
    for record in from.store.images().map(Result::unwrap) {
        assert_eq!(index.image(&record.id).unwrap().as_ref(), Some(&record));
        assert_eq!(index.image_of_manifest(&record.manifests[0]).unwrap(), Some(record.id));
        for layer in &record.layers {
            assert_eq!(into.store.fingerprint(layer).unwrap(), from.store.fingerprint(layer).unwrap());
        }
    }
    let blob = digest(b"blob 2003");
    assert_eq!(index.layer_of_blob(&blob).unwrap(), from.store.layer_of_blob(&blob).unwrap());
    assert!(index.layer_of_blob(&blob).unwrap().is_some(), "the index has blobs without being built again");

    let again = into.import(&export);
    let known = Imported {
        layers_known: 17,
        documents_known: 18,
        images_known: 9,
        blobs_known: 17,
        read_bytes: export.len() as u64,
        ..Imported::default()
    };
    assert_eq!(again, known);
    assert_eq!(into.export(), export);
}

#[test]
fn parts_that_overlap_come_to_the_whole_in_any_order() {
    let whole = World::of(0..12).export();
    let parts = [
        World::of([0, 1, 2, 3, 7]).export(),
        World::of([11, 10, 4, 7, 5]).export(),
        World::of(6..10).export(),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let joined = World::new();
        order.iter().for_each(|part| _ = joined.import(&parts[*part]));
        assert_eq!(joined.export(), whole, "{order:?}");
    }
    // The same where a part was ingested and another imported into it.
    let joined = World::of([6, 9, 8, 7]);
    joined.import(&parts[1]);
    joined.import(&parts[0]);
    assert_eq!(joined.export(), whole);
}

#[test]
fn an_empty_store_has_an_export() {
    let export = World::new().export();
    assert_eq!(
        frames(&export).iter().map(|frame| (frame.kind, &*frame.payload)).collect::<Vec<_>>(),
        [(5, &[0; 4][..])]
    );
    assert_eq!(
        World::new().import(&export),
        Imported { read_bytes: export.len() as u64, ..Imported::default() }
    );
}

#[test]
fn what_is_not_committed_and_what_is_one_machines_own_are_not_exported() {
    let world = World::of([1]);
    let export = world.export();
    let source = SourceRecord { size_bytes: 1, mtime_ns: 2, images: Vec::new(), read_unix_s: 3 };
    world.store.put_source(b"/srv/a.tar", &source).unwrap();
    let orphan = BlobRecord { diff_id: layer(77, 1).0.diff_id, media_type: "tar".into() };
    world.store.put_blob(&digest(b"orphan"), &orphan).unwrap();
    world.store.commit().unwrap();
    put(&world.store, 2);
    assert_eq!(world.export(), export);
    world.store.commit().unwrap();
    assert_eq!(world.export(), World::of([1, 2]).export());
}

/// Gives its bytes one, two or five at a time, with interruptions.
struct Crumbs<'a>(&'a [u8], usize);

impl Read for Crumbs<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        if self.1.is_multiple_of(4) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = [1, 2, 5, 1][self.1 % 4].min(buffer.len()).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn a_pipe_may_give_crumbs_and_may_fail() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable is out"))
        }
    }
    let export = World::of([1]).export();
    let into = World::new();
    into.try_import(Crumbs(&export, 0)).0.unwrap();
    assert_eq!(into.export(), export);
    let torn = (&export[..100]).chain(Broken);
    assert!(into.refusal(torn).ends_with(": the cable is out"));
}

#[test]
fn an_export_that_ends_anywhere_is_told_where() {
    let export = World::of([1]).export();
    let starts = starts(&export);
    let into = World::new();
    for length in (0..export.len()).filter(|length| length % 7 == 0 || starts.contains(length)) {
        let message = into.refusal(&export[..length]);
        let expected = match length {
            0..8 => "not an export of a layerprint store".to_owned(),
            8..16 => format!("ends at offset {length}, within the header that begins at 0"),
            _ => {
                let start = starts.iter().rfind(|start| **start <= length).unwrap();
                let what = what(&export, *start, length);
                format!("ends at offset {length}, within the {what} that begins at {start}")
            }
        };
        assert_eq!(message, expected);
    }
    assert_whole(&into.store);
}

/// Where the frames begin.
fn starts(export: &[u8]) -> Vec<usize> {
    let mut end = HEADER_BYTES;
    let start_of = |frame: &Frame| {
        let start = end;
        end += 8 + frame.payload.len() + CHECKSUM_BYTES;
        start
    };
    frames(export).iter().map(start_of).collect()
}

/// What a frame is called, of which so much was read.
fn what(export: &[u8], start: usize, end: usize) -> &'static str {
    if end - start < 8 {
        return "frame";
    }
    ["layer", "document", "image", "blob", "end"][export[start] as usize - 1]
}

/// Every image of a store has its layers and documents, whatever happened.
fn assert_whole(store: &Store) {
    for record in store.images().map(Result::unwrap) {
        record.layers.iter().for_each(|layer| assert!(store.fingerprint(layer).unwrap().is_some()));
        record.documents.iter().for_each(|kept| assert!(store.document(&kept.digest).unwrap().is_some()));
    }
}

#[test]
fn an_export_with_any_byte_changed_is_refused_at_the_frame_that_is_damaged() {
    let export = World::of([1]).export();
    let starts = starts(&export);
    let into = World::new();
    for at in (0..export.len()).filter(|at| at % 5 == 0 || starts.iter().any(|start| at.abs_diff(*start) < 9))
    {
        for bit in [0, 6] {
            let mut damaged = export.clone();
            damaged[at] ^= 1 << bit;
            let message = into.refusal(&damaged[..]);
            let Some(start) = starts.iter().rfind(|start| **start <= at) else {
                let expected = ["not an export", "export: format version is", "header at offset 12"];
                assert!(
                    expected.iter().any(|expected| message.starts_with(expected)),
                    "{at} {bit}: {message}"
                );
                continue;
            };
            // A length that was made longer may be noticed where the bytes end.
            let here = [format!(" at offset {start}: "), format!(" that begins at {start}")];
            assert!(here.iter().any(|here| message.contains(here)), "{at} {bit}: {message}");
        }
    }
    assert_whole(&into.store);
}

/// Changes the first frame of a kind and returns what is said of it, without the offset.
fn refusal_of(kind: u8, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut frames = frames(&World::of([1]).export());
    change(&mut frames.iter_mut().find(|frame| frame.kind == kind).unwrap().payload);
    let message = World::new().refusal(&forge(&frames)[..]);
    message.split_once(": ").unwrap().1.to_owned()
}

/// Changes the record at the start of the first frame of a kind.
fn refusal_with<T: serde::Serialize + serde::de::DeserializeOwned>(
    kind: u8,
    change: impl FnOnce(&mut T),
) -> String {
    refusal_of(kind, |payload| {
        let (mut record, rest) = postcard::take_from_bytes::<T>(payload).unwrap();
        change(&mut record);
        *payload = [&postcard::to_stdvec(&record).unwrap()[..], rest].concat();
    })
}

#[test]
fn what_contradicts_itself_is_refused_though_its_checksums_are_right() {
    type ImageFrame = (ImageRecord, Vec<(String, u64)>);
    type Change = fn(&mut ImageFrame);
    let id = ImageId::of_config(b"config 1");
    let missing = DiffId::from_bytes([9; 32]);
    let in_image = |problem: &str| format!("image {id}: {problem}");
    let odd = |anomalies: &mut Anomalies| anomalies.add(AnomalyKind::EmptyPath, None, "x".repeat(200));
    let layer_problem = |message: &str| message.split_once(": ").unwrap().1.to_owned();

    let counts = refusal_with::<LayerRecord>(1, |record| record.file_size_bytes += 1);
    assert_eq!(layer_problem(&counts), "its counts are not those of its fingerprint");
    let cut = refusal_of(1, |payload| payload.truncate(payload.len() - 1));
    assert_eq!(layer_problem(&cut).split(" at ").next(), Some("section is cut short"));
    let unsorted = refusal_with::<LayerRecord>(1, |record| {
        odd(&mut record.anomalies);
        record.anomalies.add(AnomalyKind::DuplicatePath, Some(0), "");
    });
    assert_eq!(layer_problem(&unsorted), "no reader finds these anomalies");

    let other = refusal_of(2, |payload| *payload.last_mut().unwrap() ^= 1);
    assert!(other.starts_with("digest of the bytes is sha256:"), "{other}");

    let cases: [(&str, Change); 8] = [
        ("its contents are not those of its layers", |(image, _)| image.content_count += 1),
        ("its contents are not those of its layers", |(image, _)| image.file_count -= 1),
        ("its contents are not those of its layers", |(image, _)| _ = image.layers.pop()),
        ("its lists are not in order", |(image, _)| image.documents.reverse()),
        ("its lists are not in order", |(_, names)| names.reverse()),
        ("name \"\": is empty", |(_, names)| names[0].0.clear()),
        ("name \"a\\0\": holds a zero byte", |(_, names)| names[0].0 = "a\0".into()),
        ("its lists are not in order", |(image, _)| {
            image.anomalies.add(AnomalyKind::EmptyPath, None, "b");
            image.anomalies.add(AnomalyKind::EmptyPath, None, "a");
        }),
    ];
    for (problem, change) in cases {
        assert_eq!(refusal_with(3, change), in_image(problem));
    }
    let lost = refusal_with::<ImageFrame>(3, |(image, _)| image.layers[1] = missing);
    assert_eq!(lost, in_image(&format!("layer {missing} is neither before it nor in the store")));
    let lost = refusal_with::<ImageFrame>(3, |(image, _)| image.documents[0].digest = digest(b"no"));
    assert_eq!(lost, in_image(&format!("document {} is neither before it nor in the store", digest(b"no"))));
    let lost = refusal_with::<(BlobDigest, DiffId)>(4, |(_, diff_id)| *diff_id = missing);
    assert!(lost.ends_with(&format!("layer {missing} is neither before it nor in the store")), "{lost}");

    for kind in [3, 4, 5] {
        assert_eq!(refusal_of(kind, |payload| payload.push(0)), "bytes follow the record");
        assert_eq!(refusal_of(kind, |payload| _ = payload.pop()), "record does not decode");
    }
    // The count of documents, two, in two bytes.
    let spelled = refusal_of(5, |payload| drop(payload.splice(1..2, [0x82, 0x00])));
    assert_eq!(spelled, "record is spelled in another way than it is written");
    let counted = refusal_of(5, |payload| payload[2] = 3);
    assert_eq!(counted, "counts [3, 2, 3, 3] frames, there are [3, 2, 1, 3]");
}

#[test]
fn frames_that_are_out_of_order_doubled_or_left_out_are_refused() {
    let whole = frames(&World::of([1]).export());
    let refusal = |change: &dyn Fn(&mut Vec<Frame>)| {
        let mut frames = whole.clone();
        change(&mut frames);
        World::new().refusal(&forge(&frames)[..])
    };
    let misplaced = ": stands before what it should follow, or twice";
    assert!(refusal(&|frames| frames.swap(0, 1)).ends_with(misplaced));
    assert!(refusal(&|frames| frames.insert(1, frames[0].clone())).ends_with(misplaced));
    assert!(refusal(&|frames| frames.swap(2, 3)).ends_with(misplaced));
    assert!(refusal(&|frames| drop(frames.remove(4))).contains(" is neither before it nor in the store"));
    let last_layer = refusal(&|frames| drop(frames.remove(frames.len() - 2)));
    assert!(last_layer.ends_with("counts [3, 2, 1, 3] frames, there are [3, 2, 1, 2]"), "{last_layer}");
    assert!(refusal(&|frames| frames[0].kind = 6).ends_with("frame at offset 16: of an unknown kind"));
    let end = forge(&whole).len();
    let doubled = refusal(&|frames| frames.push(frames.last().unwrap().clone()));
    assert_eq!(doubled, format!("export at offset {end}: bytes follow its end"));
    let mut long = forge(&whole);
    long[HEADER_BYTES..HEADER_BYTES + 8].copy_from_slice(&[3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    let expected = "image at offset 16: 4294967295 bytes are more than IMAGE_BYTES_MAX (268435456)";
    assert_eq!(World::new().refusal(&long[..]), expected);
    let mut newer = forge(&whole);
    newer[8] = 2;
    let expected = "export: format version is 2, this program reads 1";
    assert_eq!(World::new().refusal(&newer[..]), expected);
}

#[test]
fn a_configuration_that_does_not_fit_is_refused() {
    let export = World::of([1]).export();
    let into = World::new();
    let check = |record: &ImageRecord, config: Option<&[u8]>| {
        assert_eq!((record.layers.len(), config), (3, Some(&b"config 1"[..])));
        Err("it is all wrong".to_owned())
    };
    let refused = into.store.import(&export[..], &check, &mut |_| ()).unwrap_err().to_string();
    let id = ImageId::of_config(b"config 1");
    assert!(refused.ends_with(&format!(": image {id}: it is all wrong")), "{refused}");
    assert_eq!(into.store.images().count(), 0);
}

#[test]
fn groups_before_the_broken_frame_stay_and_the_rest_can_be_imported_later() {
    let from = World::of(0..6);
    let export = from.export();
    let cut = starts(&export)[frames(&export).iter().position(|frame| frame.kind == 3).unwrap() + 2];
    let into = World::new();
    into.refusal(&export[..cut]);
    into.store.commit().unwrap();
    assert_whole(&into.store);
    into.import(&export);
    assert_eq!(into.export(), export);
}

#[test]
fn where_two_stores_disagree_each_keeps_its_own_and_all_is_told() {
    // What the other store says: layer 1 has other files, its blob is another layer's, image 7 has other layers.
    let other = World::new();
    let (record, fingerprint) = layer(1, 9);
    let (_, false_fingerprint) = layer(2, 9);
    let false_record = layer_record(record.diff_id, &false_fingerprint);
    let (second, second_fingerprint) = layer(3, 4);
    other.store.put_layer(&false_record, &false_fingerprint).unwrap();
    other.store.put_layer(&second, &second_fingerprint).unwrap();
    let blob = |diff_id| BlobRecord { diff_id, media_type: "tar".into() };
    other.store.put_blob(&digest(b"blob"), &blob(second.diff_id)).unwrap();
    other.store.put_image(&image(&other.store, 7, &[second.diff_id]), &["seven".into()]).unwrap();
    other.store.put_image(&image(&other.store, 8, &[record.diff_id]), &["eight".into()]).unwrap();
    other.store.put_image(&image(&other.store, 9, &[second.diff_id]), &["nine".into()]).unwrap();
    other.store.commit().unwrap();

    let own = World::new();
    own.store.put_layer(&record, &fingerprint).unwrap();
    own.store.put_blob(&digest(b"blob"), &blob(record.diff_id)).unwrap();
    own.store.put_image(&image(&own.store, 7, &[record.diff_id]), &["mine".into()]).unwrap();
    own.store.commit().unwrap();

    let (imported, mut conflicts) = own.try_import(&other.export()[..]);
    let id = |number: u64| ImageId::of_config(format!("config {number}").as_bytes());
    let mut expected = [
        Conflict::Layer(record.diff_id).to_string(),
        Conflict::Image(id(7)).to_string(),
        Conflict::ImageFiles(id(8)).to_string(),
        Conflict::Blob(digest(b"blob")).to_string(),
    ];
    conflicts.sort();
    expected.sort();
    assert_eq!(conflicts, expected);
    let imported = imported.unwrap();
    assert_eq!((imported.conflicts, imported.layers_new, imported.images_new), (4, 1, 1));
    assert_eq!(own.store.fingerprint(&record.diff_id).unwrap(), Some(fingerprint));
    assert_eq!(own.store.layer_of_blob(&digest(b"blob")).unwrap(), Some(record.diff_id));
    let names: BTreeMap<_, _> =
        own.store.names().map(|name| name.map(|name| (name.reference, name.image)).unwrap()).collect();
    assert_eq!(names, BTreeMap::from([("mine".into(), id(7)), ("nine".into(), id(9))]));
    assert_eq!(own.store.image(&id(7)).unwrap().unwrap().layers, [record.diff_id]);
}

#[test]
fn an_index_built_again_differs_only_by_where_fingerprints_and_documents_lie() {
    let whole = World::of(0..10);
    let joined = World::new();
    joined.import(&World::of([9, 3, 5]).export());
    joined.import(&World::of(0..10).export());
    let stats = |world: &World| {
        world.store.reindex().unwrap();
        let index = world.store.index().unwrap();
        let images: Vec<_> = index.images().map(Result::unwrap).collect();
        let mut wanted: Vec<_> = (0..50).map(|file| content(2 << 20 | file)).collect();
        wanted.sort_unstable();
        (index.stats(), images, index.overlaps(&wanted, &Platform::default()).unwrap())
    };
    assert_eq!(stats(&whole), stats(&joined));
    // What is left are the store's id, the checksums under it, and places in the packs, as the format describes them.
    let segment = |world: &World| {
        let root = world.store.index().unwrap().root().join("segments");
        let mut files = fs::read_dir(root).unwrap().map(|item| item.unwrap().path());
        let bytes = fs::read(files.next().unwrap()).unwrap();
        assert_eq!(files.next(), None);
        bytes
    };
    let same_for_all = |bytes: &[u8]| {
        let number =
            |at: usize| usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap();
        let (sections, table) = (number(48), 48);
        let section = |index: usize| {
            number(table + 16 * index)..number(table + 16 * index) + number(table + 16 * index + 8)
        };
        let (places, documents) = (section(PLACES), section(DOCUMENT_PLACES));
        let end = section((sections - 32 - table) / 16 - 1).end;
        assert_eq!(places.len(), 16 * (3 + 5 + 10), "sixteen bytes for each layer");
        let rest =
            [&bytes[sections..places.start], &bytes[places.end..documents.start], &bytes[documents.end..end]];
        [&bytes[24..sections - 32], &rest.concat()].concat()
    };
    assert!(same_for_all(&segment(&whole)) == same_for_all(&segment(&joined)));
}
