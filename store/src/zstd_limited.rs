//! Decompression that stops at a limit, whatever the bytes claim.

use std::io::{self, Read};

/// Returns what comes out of one or more zstd frames, at most `bytes_max` of it.
///
/// # Errors
///
/// Fails if the bytes are not zstd, or more than that comes out.
pub(crate) fn decompress(compressed: &[u8], bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    zstd::Decoder::with_buffer(compressed)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other("more comes out than is allowed"));
    }
    Ok(bytes)
}
