//! Entries that say more about the entries behind them: PAX records and GNU long names.

use tar::{EntryType, Header};

const BLOCK_BYTES: usize = 512;

/// Returns an extension entry of PAX records: `x` for the next entry, `g` for all that follow.
pub(super) fn pax_blocks(kind: EntryType, path: &[u8], records: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in records {
        body.extend(pax_record(key, value));
    }
    let mut name = b"PaxHeaders.0/".to_vec();
    name.extend(path.rsplit(|&byte| byte == b'/').find(|part| !part.is_empty()).unwrap_or_default());
    extension_blocks(Header::new_ustar(), kind, &name, &body)
}

/// Returns `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn pax_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// Returns an extension entry that holds a long name (`L`) or link target (`K`) of the next entry.
pub(super) fn gnu_blocks(kind: EntryType, name: &[u8]) -> Vec<u8> {
    extension_blocks(Header::new_gnu(), kind, b"././@LongLink", &[name, b"\0"].concat())
}

fn extension_blocks(mut header: Header, kind: EntryType, name: &[u8], body: &[u8]) -> Vec<u8> {
    let size_bytes = body.len() as u64;
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size_bytes);
    fill(&mut header.as_old_mut().name, name);
    header.set_cksum();
    [header.as_bytes(), body, padding(size_bytes)].concat()
}

/// Copies as much as fits into a header field.
pub(super) fn fill(field: &mut [u8], bytes: &[u8]) {
    let len = bytes.len().min(field.len());
    field[..len].copy_from_slice(&bytes[..len]);
}

/// Returns the zeros that fill a body up to a whole block.
pub(super) fn padding(size_bytes: u64) -> &'static [u8] {
    const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
    let over = usize::try_from(size_bytes % BLOCK_BYTES as u64).expect("less than a block");
    if over == 0 { &[] } else { &ZEROS[over..] }
}
