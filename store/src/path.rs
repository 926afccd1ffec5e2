//! Paths and link targets, many of them side by side in one allocation.
//!
//! A layer has thousands of paths of a few dozen bytes. With an allocation each, they cost more to make and to free than
//! to read, and what is kept among what goes breaks the heap to pieces. What such a path is, its owner decides: here it is
//! bytes.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// The bytes of a path: a part of a buffer that other paths share. Cloning counts a reference.
///
/// One path keeps the whole buffer: who keeps few of many for long should copy them, with `PathBytes::from(&path[..])`.
/// Compared, ordered, hashed and shown as the bytes that it stands for.
#[derive(Clone)]
pub struct PathBytes {
    buffer: Arc<[u8]>,
    start: u32,
    length: u32,
}

impl PathBytes {
    /// Returns a part of these bytes, in the same buffer.
    ///
    /// # Panics
    ///
    /// If the part is not within.
    #[must_use]
    pub fn slice(&self, part: Range<usize>) -> Self {
        let start = narrow(self.start as usize + part.start);
        let length = narrow(self[part].len());
        Self { buffer: Arc::clone(&self.buffer), start, length }
    }

    /// Returns true if less than half of the buffer is this path.
    pub(crate) fn is_small_part(&self) -> bool {
        (self.length as usize) < self.buffer.len() / 2
    }
}

/// Every format that paths come from, and the store's own, stops far below.
fn narrow(length: usize) -> u32 {
    u32::try_from(length).expect("paths together are less than 4 GiB")
}

impl Deref for PathBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let start = self.start as usize;
        &self.buffer[start..start + self.length as usize]
    }
}

impl From<&[u8]> for PathBytes {
    fn from(bytes: &[u8]) -> Self {
        Self { length: narrow(bytes.len()), start: 0, buffer: bytes.into() }
    }
}

impl From<Vec<u8>> for PathBytes {
    fn from(bytes: Vec<u8>) -> Self {
        bytes.as_slice().into()
    }
}

impl From<Box<[u8]>> for PathBytes {
    fn from(bytes: Box<[u8]>) -> Self {
        (&*bytes).into()
    }
}

impl AsRef<[u8]> for PathBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Borrow<[u8]> for PathBytes {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for PathBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for PathBytes {}

impl PartialOrd for PathBytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PathBytes {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(other)
    }
}

impl Hash for PathBytes {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (**self).hash(hasher);
    }
}

impl fmt::Debug for PathBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    #[test]
    fn a_part_is_the_bytes_that_it_stands_for() {
        let whole = PathBytes::from(b"usr/binusr/lib".to_vec());
        let (bin, lib) = (whole.slice(0..7), whole.slice(7..14));
        assert_eq!((&*bin, &*lib, &*lib.slice(4..7)), (&b"usr/bin"[..], &b"usr/lib"[..], &b"lib"[..]));
        assert_eq!(&*lib.slice(7..7), b"");
        let own = PathBytes::from(&b"usr/lib"[..]);
        assert_eq!(lib, own);
        assert_eq!((bin.cmp(&own), lib.cmp(&own)), (Ordering::Less, Ordering::Equal));
        assert_eq!(format!("{lib:?}"), format!("{:?}", b"usr/lib"));
        assert!(HashSet::from([lib.clone()]).contains(&b"usr/lib"[..]));
        assert!(BTreeSet::from([lib, bin]).contains(&b"usr/bin"[..]));
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn a_part_of_a_part_ends_where_that_ends() {
        let _ = PathBytes::from(b"usr/binusr/lib".to_vec()).slice(0..7).slice(0..8);
    }
}
