//! Lists in JSON that are written as they are made, so that a report of any length takes little memory.

use std::cell::Cell;

use serde::ser::{Error, Serialize, SerializeSeq, Serializer};

/// A list whose members come one by one. It can be written once.
pub struct Streamed<I>(Cell<Option<I>>);

impl<I> Streamed<I> {
    /// Takes what makes the members.
    pub fn new(members: I) -> Self {
        Self(Cell::new(Some(members)))
    }
}

impl<T: Serialize, I: Iterator<Item = anyhow::Result<T>>> Serialize for Streamed<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for member in self.0.take().into_iter().flatten() {
            let member = member.map_err(|error| S::Error::custom(crate::error::message(&error)))?;
            list.serialize_element(&member)?;
        }
        list.end()
    }
}
