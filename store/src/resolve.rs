//! What a text that a person types may stand for. The index finds it (`index/resolve.rs`).
//!
//! A name comes first, then ids and digests, whole or abbreviated; images before layers. What fits several
//! things is an error that lists them, never a guess.

use std::fmt;

use serde::Serialize;

use crate::error::{Result, StoreError};
use crate::id::{DiffId, ImageId};

/// Fewest hexadecimal digits that stand for an id.
const ABBREVIATION_DIGITS_MIN: usize = 4;

/// Most matches that an error lists.
const MATCHES_MAX: usize = 10;

/// What a text stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Subject {
    /// An image.
    Image(ImageId),
    /// A layer.
    Layer(DiffId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => write!(f, "image {image}"),
            Self::Layer(layer) => write!(f, "layer {layer}"),
        }
    }
}

/// Returns the hexadecimal digits of what may be an abbreviated id.
pub(crate) fn digits_of(text: &str) -> Result<&str> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let long_enough = digits.len() >= ABBREVIATION_DIGITS_MIN && digits.len() <= 64;
    if !long_enough || !digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(StoreError::NotFound { text: text.to_owned() });
    }
    Ok(digits)
}

/// Returns the one thing that a text stands for.
pub(crate) fn only_one(text: &str, subjects: Vec<(Subject, String)>) -> Result<Subject> {
    match &subjects[..] {
        [] => Err(StoreError::NotFound { text: text.to_owned() }),
        [(subject, _)] => Ok(*subject),
        _ => {
            let matches = subjects.into_iter().take(MATCHES_MAX).map(|(_, described)| described).collect();
            Err(StoreError::Ambiguous { text: text.to_owned(), matches })
        }
    }
}
