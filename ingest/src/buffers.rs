//! The buffers between the stages of reading, used again from layer to layer and from thread to thread.

use std::io::{self, Read};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// Large enough that nobody is called for crumbs, small enough that the few which a thread works on stay in the
/// second-level cache.
pub(crate) const BUFFER_BYTES: usize = 128 << 10;

/// Spare buffers that are kept, 8 MiB of them; what is given back beyond that is freed.
const SPARE_MAX: usize = 64;

/// A pool that threads share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Box<[u8]>>>>);

impl Buffers {
    /// Takes a buffer, which is empty.
    pub(crate) fn take(&self) -> Buffer {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = spare.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice());
        Buffer { bytes, len: 0, pool: self.clone() }
    }
}

/// Some bytes. Goes back to its pool when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    len: usize,
    pool: Buffers,
}

impl Buffer {
    /// Reads until the buffer is full or the reader at its end. What came before an error is in the buffer.
    pub(crate) fn fill_from(&mut self, reader: &mut impl Read) -> io::Result<()> {
        self.len = 0;
        while self.len < self.bytes.len() {
            match reader.read(&mut self.bytes[self.len..]) {
                Ok(0) => break,
                Ok(count) => self.len += count,
                // Signals interrupt a read of a pipe.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Forgets what is in it.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut spare = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_MAX {
            spare.push(std::mem::take(&mut self.bytes));
        }
    }
}
