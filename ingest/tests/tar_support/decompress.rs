//! Undoes the compression of a test archive, as far as it goes.

use std::io::Read;

/// More than any test archive needs, so that a damaged one cannot fill the memory.
const PLAIN_BYTES_MAX: u64 = 256 << 20;

/// Returns the plain bytes, and whether they are all there: else they are those before the damage.
pub fn decompress(bytes: &[u8]) -> (Vec<u8>, bool) {
    match bytes {
        [0x1f, 0x8b, ..] => read_while_possible(flate2::read::MultiGzDecoder::new(bytes)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            zstd::Decoder::new(bytes).map(read_while_possible).unwrap_or_default()
        }
        [0xfd, b'7', b'z', b'X', b'Z', ..] => read_while_possible(liblzma::read::XzDecoder::new(bytes)),
        [b'B', b'Z', b'h', ..] => read_while_possible(bzip2::read::MultiBzDecoder::new(bytes)),
        _ => (bytes.to_vec(), true),
    }
}

fn read_while_possible(decoder: impl Read) -> (Vec<u8>, bool) {
    let mut decoder = decoder.take(PLAIN_BYTES_MAX);
    let mut plain = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return (plain, true),
            Ok(count) => plain.extend_from_slice(&buffer[..count]),
            Err(_) => return (plain, false),
        }
    }
}
