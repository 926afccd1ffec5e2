//! A stored image as it is named in an answer.

use layerprint_store::id::ImageId;
use layerprint_store::{ImageRecord, Index, Result};
use serde::Serialize;

/// A stored image. Ordered by names, those without last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Known {
    /// Its ID.
    pub id: ImageId,
    /// Its names, sorted.
    pub names: Vec<String>,
    /// What it runs on: `os/architecture[/variant]`.
    pub platform: String,
    /// When it was made, as its configuration says.
    pub created: Option<String>,
}

impl Known {
    pub(crate) fn of(index: &Index, record: &ImageRecord) -> Result<Self> {
        Ok(Self {
            id: record.id,
            names: index.names_of(&record.id)?,
            platform: record.platform.to_string(),
            created: record.created.clone(),
        })
    }

    /// By what images are sorted in an answer.
    pub(crate) fn key(&self) -> (bool, &[String], ImageId) {
        (self.names.is_empty(), &self.names, self.id)
    }
}
