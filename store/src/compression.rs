//! zstd into memory and back, with contexts that each thread keeps.
//!
//! Making a context costs more than most layers take to compress. What comes out is the same whether a context is new or not.
//! Decompression stops at a limit, whatever the bytes claim.

use std::cell::RefCell;
use std::io::{self, Read};

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx, DParameter, ResetDirective};

/// Up to here a buffer is made for what the frame, too, says will come out. Beyond, it grows with what does.
const CLAIM_BYTES_MAX: u64 = 1 << 20;

thread_local! {
    static COMPRESSION: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
    static DECOMPRESSION: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

/// Returns the bytes as one zstd frame.
pub(crate) fn compress(bytes: &[u8], level: i32) -> Vec<u8> {
    let mut compressed = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    let done = COMPRESSION.with_borrow_mut(|context| {
        context.reset(ResetDirective::SessionAndParameters)?;
        context.set_parameter(CParameter::CompressionLevel(level))?;
        context.compress2(&mut compressed, bytes)
    });
    done.map_err(zstd_safe::get_error_name).expect("compression into a buffer of its bound cannot fail");
    compressed
}

/// Returns what comes out of one or more zstd frames, at most `bytes_max` of it.
///
/// # Errors
///
/// Fails if the bytes are not zstd, or more than that comes out.
pub(crate) fn decompress(compressed: &[u8], bytes_max: u64) -> io::Result<Vec<u8>> {
    DECOMPRESSION.with_borrow_mut(|context| {
        context.reset(ResetDirective::SessionAndParameters).map_err(failed)?;
        let mut bytes = Vec::new();
        zstd::Decoder::with_context(compressed, context).take(bytes_max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > bytes_max {
            return Err(io::Error::other("more comes out than is allowed"));
        }
        Ok(bytes)
    })
}

/// Returns what comes out of a frame that is said to hold so many bytes; other lengths are for the caller to refuse. A
/// window that is larger than 2 to the power of `window_log_max` is not given room.
///
/// # Errors
///
/// Fails if the bytes are not zstd, or the window is larger.
pub(crate) fn decompress_claimed(
    compressed: &[u8],
    claimed_bytes: u64,
    window_log_max: u32,
) -> io::Result<Vec<u8>> {
    DECOMPRESSION.with_borrow_mut(|context| {
        context.reset(ResetDirective::SessionAndParameters).map_err(failed)?;
        let mut bytes = Vec::new();
        let is_agreed =
            matches!(zstd_safe::get_frame_content_size(compressed), Ok(Some(size)) if size == claimed_bytes);
        if is_agreed && claimed_bytes <= CLAIM_BYTES_MAX {
            bytes.reserve_exact(usize::try_from(claimed_bytes).expect("a megabyte"));
            context.decompress(&mut bytes, compressed).map_err(failed)?;
            return Ok(bytes);
        }
        context.set_parameter(DParameter::WindowLogMax(window_log_max)).map_err(failed)?;
        zstd::Decoder::with_context(compressed, context).take(claimed_bytes + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    })
}

/// Returns what decompresses a frame piece by piece, for frames that are too long to be held whole. A window that is larger
/// than 2 to the power of `window_log_max` is not given room.
///
/// # Errors
///
/// Fails if there is no memory for a context.
pub(crate) fn decompressing(compressed: &[u8], window_log_max: u32) -> io::Result<impl Read> {
    let mut decoder = zstd::Decoder::with_buffer(compressed)?;
    decoder.window_log_max(window_log_max)?;
    Ok(decoder)
}

fn failed(code: zstd_safe::ErrorCode) -> io::Error {
    io::Error::other(zstd_safe::get_error_name(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compressed_before_makes_no_difference() {
        let inputs: Vec<Vec<u8>> = [0_u64, 1, 100, 70_000, 3 << 20]
            .map(|length| (0..length).map(|i| u8::try_from(i % 251 * i % 251).unwrap()).collect())
            .into();
        for level in [1, 3] {
            for bytes in inputs.iter().chain(inputs.iter().rev()) {
                let compressed = compress(bytes, level);
                assert_eq!(compressed, zstd::bulk::compress(bytes, level).unwrap());
                let length = bytes.len() as u64;
                assert_eq!(&decompress(&compressed, length).unwrap(), bytes);
                assert_eq!(&decompress_claimed(&compressed, length, 23).unwrap(), bytes);
                assert!(length == 0 || decompress(&compressed, length - 1).is_err());
                assert!(decompress(&compressed[..compressed.len() - 1], length).is_err());
                assert!(decompress_claimed(&compressed[..compressed.len() - 1], length, 23).is_err());
            }
        }
    }
}
