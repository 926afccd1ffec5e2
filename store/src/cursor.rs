//! Reading and writing the small fields of a fingerprint body: bytes, runs and LEB128 integers.
//!
//! Reads never go past the end, never allocate and never panic; an error says where it stopped.

/// A slice, and how far it has been read.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
}

/// Where a cursor could not read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Short {
    pub(crate) offset: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// Returns what has not been read, and leaves it so.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.offset..]
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Short> {
        let taken = self.rest().get(..length).ok_or(Short { offset: self.offset })?;
        self.offset += length;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Short> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Short> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads a length or count that this machine can index with.
    pub(crate) fn length(&mut self) -> Result<usize, Short> {
        let start = self.offset;
        usize::try_from(self.varint()?).map_err(|_| Short { offset: start })
    }

    pub(crate) fn varint_u32(&mut self) -> Result<u32, Short> {
        let start = self.offset;
        u32::try_from(self.varint()?).map_err(|_| Short { offset: start })
    }

    /// Reads an integer of at most 64 bits, low groups of seven bits first. One value has one spelling only,
    /// so that bytes and fingerprints correspond one to one.
    pub(crate) fn varint(&mut self) -> Result<u64, Short> {
        let start = self.offset;
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let group = u64::from(byte & 0x7f);
            let padded = byte == 0 && shift > 0;
            if padded || (group << shift) >> shift != group {
                return Err(Short { offset: start });
            }
            value |= group << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Short { offset: start })
    }
}

/// Appends what [`Cursor::varint`] reads.
pub(crate) fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_come_back_and_have_one_spelling() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            push_varint(&mut bytes, value);
            assert_eq!(Cursor::new(&bytes).varint(), Ok(value));
            assert!(Cursor::new(&bytes[..bytes.len() - 1]).varint().is_err(), "{value} cut short");
        }
        assert!(Cursor::new(&[0x80, 0x00]).varint().is_err(), "zero in two bytes");
        assert!(Cursor::new(&[0xff; 11]).varint().is_err(), "more than 64 bits");
    }
}
