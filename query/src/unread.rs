//! What cannot be read of a store, and answers that were given without it.
//!
//! A question about a whole store reads every layer; one that is damaged is no reason to say nothing of the others. Damage to the
//! index is another matter: it is built again, and asked again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use layerprint_store::{Result, StoreError, Subject};

/// A layer or an image that cannot be read.
#[derive(Debug)]
pub struct Unread {
    /// Which.
    pub what: Subject,
    /// Why.
    pub error: StoreError,
}

/// An answer as far as it can be given.
#[derive(Debug)]
pub struct Partly<T> {
    /// The answer, as if what cannot be read were empty.
    pub answer: T,
    /// What cannot be read, each once, in order. Empty if the answer is whole.
    pub unread: Vec<Unread>,
}

/// Takes note of what cannot be read, from several threads.
#[derive(Default)]
pub(crate) struct Unreadable(Mutex<BTreeMap<Subject, StoreError>>);

impl Unreadable {
    /// Returns what was read; nothing if it is damaged, of which is taken note.
    ///
    /// # Errors
    ///
    /// Fails if the index is damaged.
    pub(crate) fn or_none<T>(&self, what: Subject, read: Result<T>) -> Result<Option<T>> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.is_index_damage() => Err(error),
            Err(error) => {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_insert(error);
                Ok(None)
            }
        }
    }

    /// Hands over an answer with what was taken note of.
    pub(crate) fn with<T>(self, answer: T) -> Partly<T> {
        let unread = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let unread = unread.into_iter().map(|(what, error)| Unread { what, error });
        Partly { answer, unread: unread.collect() }
    }
}

#[cfg(test)]
mod tests {
    use layerprint_store::id::DiffId;

    use super::*;

    fn corrupt() -> StoreError {
        StoreError::Corrupt { what: "pack", key: "0".into(), offset_bytes: 7, problem: "checksum".into() }
    }

    fn index_damage() -> StoreError {
        StoreError::IndexDamaged { file: "0.segment".into(), offset_bytes: 7, problem: "checksum".into() }
    }

    #[test]
    fn what_cannot_be_read_is_told_once_and_a_damaged_index_is_an_error() {
        let [first, second] = [2, 1].map(|byte| Subject::Layer(DiffId::from_bytes([byte; 32])));
        let unreadable = Unreadable::default();
        assert_eq!(unreadable.or_none(first, Ok(3)).unwrap(), Some(3));
        for what in [first, second, first] {
            assert_eq!(unreadable.or_none::<u8>(what, Err(corrupt())).unwrap(), None);
        }
        assert!(unreadable.or_none::<u8>(first, Err(index_damage())).unwrap_err().is_index_damage());
        let Partly { answer, unread } = unreadable.with("an answer");
        let told: Vec<Subject> = unread.iter().map(|unread| unread.what).collect();
        assert_eq!((answer, told), ("an answer", vec![second, first]));
    }
}
