//! A segment of the index, with whatever in it and right checksums all around.
//!
//! The bytes are what a segment says: first [`HEAD_BYTES`] of it, which are the fields that it begins with and the length of each
//! section, then the sections. The file around that is built as `store/FORMAT.md` describes it. The rest of the store, its packs
//! among it, is that of a small honest one, which this process holds as its writer: so nothing is repaired behind our back.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use layerprint_store::{Index, Store};
use tempfile::TempDir;

use crate::query;

/// Sections of a segment.
const SECTIONS: usize = 35;
/// Bits and bytes of keys (2), first node (4), first layer (4), lengths of the sections (4 each).
pub const HEAD_BYTES: usize = 10 + 4 * SECTIONS;
const FIXED_BYTES: usize = 48;
const HEADER_BYTES: usize = FIXED_BYTES + 16 * SECTIONS + 32;
const BLOCK_BYTES: usize = 4096;

thread_local! {
    static HOST: OnceCell<Host> = const { OnceCell::new() };
}

/// Opens the segment as the only one of a store, and asks.
pub fn run(bytes: &[u8]) {
    HOST.with(|host| host.get_or_init(Host::new).ask(bytes));
}

/// A store whose index is replaced each time.
struct Host {
    folder: TempDir,
    id: [u8; 16],
    /// How far the segments go, as `CURRENT` says it.
    extent: String,
    _writer: Store,
}

impl Host {
    fn new() -> Self {
        let folder = crate::folder();
        let writer = crate::export::store_of(&crate::export::small(), folder.path());
        let current = fs::read_to_string(folder.path().join("CURRENT")).expect("the store is published");
        let lines = current.lines().skip(2).take_while(|line| !line.starts_with("segment "));
        let extent = lines.map(|line| format!("{line}\n")).collect();
        Self { id: store_id(folder.path()), extent, folder, _writer: writer }
    }

    fn ask(&self, bytes: &[u8]) {
        let Some(file) = seal(bytes, &self.id) else { return };
        let name = hex(&file[HEADER_BYTES - 16..HEADER_BYTES]);
        let path = self.folder.path().join("segments").join(format!("{name}.segment"));
        fs::write(&path, &file).expect("the segment can be written");
        let text = format!("layerprint index\nversion 2\n{}segment {name}\n", self.extent);
        let sum = hex(&checksum(&self.id, text.as_bytes())[..16]);
        let current = self.folder.path().join("CURRENT");
        fs::write(current, format!("{text}checksum {sum}\n")).expect("CURRENT can be written");
        if let Ok(index) = Index::open(self.folder.path()) {
            query::ask(&index);
        }
        fs::remove_file(path).expect("nothing else removes it");
    }
}

/// Returns the file of a segment with the given contents. None if they are shorter than a head.
fn seal(bytes: &[u8], store_id: &[u8; 16]) -> Option<Vec<u8>> {
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
    let mut file = b"LPSG\x03\0".to_vec();
    file.extend(&head[..2]);
    file.extend(store_id);
    file.extend(&head[2..10]);
    file.resize(FIXED_BYTES, 0);
    let mut left = rest.len();
    for length in head[10..].chunks_exact(4) {
        let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
        let length = length.min(left);
        file.extend((HEADER_BYTES + rest.len() - left).to_le_bytes());
        file.extend(length.to_le_bytes());
        left -= length;
    }
    file.resize(HEADER_BYTES, 0);
    file.extend(&rest[..rest.len() - left]);
    let mut table = Vec::new();
    for (number, block) in file.chunks(BLOCK_BYTES).enumerate() {
        let mut block = block.to_vec();
        if number == 0 {
            block[..HEADER_BYTES].fill(0);
        }
        table.extend(&checksum(store_id, &block)[..8]);
    }
    file.extend(&table);
    let length = file.len();
    file[32..40].copy_from_slice(&length.to_le_bytes());
    file[HEADER_BYTES - 32..HEADER_BYTES - 16].copy_from_slice(&checksum(store_id, &table)[..16]);
    let own = checksum(store_id, &file[..HEADER_BYTES - 16]);
    file[HEADER_BYTES - 16..HEADER_BYTES].copy_from_slice(&own[..16]);
    Some(file)
}

/// Returns the contents of each live segment of a store, as [`run`] takes them.
pub fn unsealed(store: &Path) -> Vec<Vec<u8>> {
    let segments = fs::read_dir(store.join("segments")).expect("a store has segments");
    let mut paths: Vec<PathBuf> = segments.map(|segment| segment.expect("it can be listed").path()).collect();
    paths.sort();
    paths.iter().map(|path| unseal(&fs::read(path).expect("a segment can be read"))).collect()
}

fn unseal(file: &[u8]) -> Vec<u8> {
    let mut bytes = [&file[6..8], &file[24..32]].concat();
    let mut end = HEADER_BYTES;
    for place in file[FIXED_BYTES..HEADER_BYTES - 32].chunks_exact(16) {
        bytes.extend(&place[8..12]);
        end += u32::from_le_bytes(place[8..12].try_into().expect("four bytes")) as usize;
    }
    bytes.extend(&file[HEADER_BYTES..end]);
    bytes
}

fn checksum(store_id: &[u8; 16], bytes: &[u8]) -> [u8; 32] {
    let key = blake3::derive_key("layerprint store 2 index", store_id);
    *blake3::keyed_hash(&key, bytes).as_bytes()
}

fn store_id(store: &Path) -> [u8; 16] {
    let text = fs::read_to_string(store.join("FORMAT")).expect("a store has a header");
    let id = text.lines().find_map(|line| line.strip_prefix("id ")).expect("the format says so");
    std::array::from_fn(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).expect("hexadecimal"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
