//! The small records that the database keeps of layers and images.

use serde::{Deserialize, Serialize};

use crate::anomaly::Anomalies;
use crate::fingerprint::{Content, Entry, Fingerprint};
use crate::id::{BlobDigest, DiffId, ImageId, SetId};

/// What is known of a layer besides its entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// The layer.
    pub diff_id: DiffId,
    /// Size of the uncompressed tar.
    pub tar_size_bytes: u64,
    /// Entries of the fingerprint, whiteouts included.
    pub entry_count: u64,
    /// Regular files among them.
    pub file_count: u64,
    /// Sum of the sizes of those files.
    pub file_size_bytes: u64,
    /// What was odd about the archive.
    pub anomalies: Anomalies,
}

impl LayerRecord {
    /// Returns true if it counts the entries of a fingerprint.
    pub(crate) fn describes(&self, fingerprint: &Fingerprint) -> bool {
        let files = || fingerprint.entries().iter().filter_map(Entry::content);
        let size_bytes = files().fold(0, |sum: u64, content| sum.saturating_add(content.size_bytes));
        let counted = (self.entry_count, self.file_count, self.file_size_bytes);
        counted == (fingerprint.entries().len() as u64, files().count() as u64, size_bytes)
    }

    /// Stands in for the record of a layer that was lost.
    pub(crate) fn unknown(diff_id: DiffId) -> Self {
        let anomalies = Anomalies::default();
        Self { diff_id, tar_size_bytes: 0, entry_count: 0, file_count: 0, file_size_bytes: 0, anomalies }
    }

    /// Adds what another look at the same layer found odd: the same bytes may come in other compressions.
    pub(crate) fn merged(&self, other: Option<&Self>) -> Self {
        let mut merged = Self { anomalies: Anomalies::default(), ..self.clone() };
        merged.anomalies.merge(&self.anomalies);
        other.iter().for_each(|other| merged.anomalies.merge(&other.anomalies));
        merged
    }
}

/// What is known of an image besides its layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The image.
    pub id: ImageId,
    /// Its layers, lowest first, as read: a diff ID that the configuration got wrong is not here.
    pub layers: Vec<DiffId>,
    /// What it runs on.
    pub platform: Platform,
    /// When it was made, RFC 3339, as the configuration says.
    pub created: Option<String>,
    /// The set of distinct, non-empty file contents of the merged view.
    pub set_id: SetId,
    /// How many there are.
    pub content_count: u64,
    /// Sum of their sizes.
    pub content_size_bytes: u64,
    /// Regular files of the merged view.
    pub file_count: u64,
    /// Digests of the manifests that named this image, sorted.
    pub manifests: Vec<BlobDigest>,
    /// Documents kept for later: configuration, manifests, attestations.
    pub documents: Vec<Document>,
    /// What was odd about the image.
    pub anomalies: Anomalies,
}

impl ImageRecord {
    /// Describes an image by its merged view: the distinct, non-empty contents, sorted, and how many files there are. What else
    /// is known of it is for the caller to fill in.
    pub fn of_contents(id: ImageId, layers: Vec<DiffId>, contents: &[Content], file_count: u64) -> Self {
        Self {
            id,
            layers,
            platform: Platform::default(),
            created: None,
            set_id: SetId::of_sorted(contents.iter().map(|content| &content.id)),
            content_count: contents.len() as u64,
            content_size_bytes: contents
                .iter()
                .map(|content| content.size_bytes)
                .fold(0, u64::saturating_add),
            file_count,
            manifests: Vec::new(),
            documents: Vec::new(),
            anomalies: Anomalies::default(),
        }
    }
}

impl ImageRecord {
    /// Adds what another source of the same image brought. It makes no difference which came first, nor how often one came: several
    /// machines and threads must come to the same record. What follows from the layers is the same in both.
    pub(crate) fn merged(&self, other: Option<&Self>) -> Self {
        let mut merged = Self { anomalies: Anomalies::default(), ..self.clone() };
        merged.anomalies.merge(&self.anomalies);
        if let Some(other) = other {
            merged.manifests.extend(&other.manifests);
            merged.documents.extend(other.documents.iter().cloned());
            merged.anomalies.merge(&other.anomalies);
            // What says nothing sorts first.
            merged.platform = merged.platform.max(other.platform.clone());
            merged.created = merged.created.max(other.created.clone());
        }
        merged.manifests.sort_unstable();
        merged.manifests.dedup();
        merged.documents.sort_by(|a, b| (&a.media_type, a.digest).cmp(&(&b.media_type, b.digest)));
        merged.documents.dedup();
        merged
    }
}

/// A small JSON document that came with an image, kept whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What the document is: its media type.
    pub media_type: String,
    /// The digest under which the store keeps its bytes.
    pub digest: BlobDigest,
}

/// What an image runs on. Empty where nothing says.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system (`linux`, `windows`).
    pub os: String,
    /// CPU architecture, as Go names it (`amd64`, `arm64`).
    pub architecture: String,
    /// CPU variant (`v7`).
    pub variant: String,
    /// Version of the operating system; Windows only.
    pub os_version: String,
}

impl Platform {
    /// Returns false if both sides say what they run on and it is not the same.
    pub fn fits(&self, other: &Self) -> bool {
        let agree = |a: &str, b: &str| a.is_empty() || b.is_empty() || a == b;
        agree(&self.os, &other.os)
            && agree(&self.architecture, &other.architecture)
            && agree(&self.variant, &other.variant)
    }
}

impl std::fmt::Display for Platform {
    /// Writes `os/architecture[/variant]`, the form of `--platform`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.os.is_empty() && self.architecture.is_empty() {
            return f.write_str("unknown");
        }
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}
