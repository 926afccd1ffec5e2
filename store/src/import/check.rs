//! One frame of an export: what it says, and whether that can be true.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256, Sha512};

use super::{CheckConfig, ImportError, Result};
use crate::body;
use crate::error::StoreError;
use crate::export::encode;
use crate::export::frames::{Frame, Kind};
use crate::fingerprint::Fingerprint;
use crate::format::record::DOCUMENT_BYTES_MAX;
use crate::id::{BlobDigest, DiffId};
use crate::images::check_name;
use crate::recent::RecentLayers;
use crate::record::{ImageRecord, LayerRecord};
use crate::stack::{Stack, Stacks, Steps};
use crate::store::{Store, or_damaged};

/// Returns what tells a frame from others of its kind. Nothing for the end, of which there is one.
pub(super) fn key(frame: &Frame) -> Result<Vec<u8>> {
    match frame.kind {
        Kind::End => Ok(Vec::new()),
        Kind::Layer | Kind::Image => {
            let id = frame.payload.get(..32);
            id.map(<[u8]>::to_vec).ok_or_else(|| malformed(frame, "it is too short"))
        }
        Kind::Document | Kind::Blob => head::<BlobDigest>(frame).map(|(digest, _)| digest.to_key()),
    }
}

/// Returns the counts that stand at the end.
pub(super) fn counts(frame: &Frame) -> Result<[u64; 4]> {
    whole(frame)
}

/// A layer.
pub(super) struct LayerFrame {
    frame: Frame,
    record: LayerRecord,
    body_at: usize,
}

/// What the store makes of a layer.
pub(super) enum Verdict {
    /// It is new; its fingerprint as this program encodes it.
    New(Vec<u8>),
    /// It is known, with the same files.
    Known,
    /// It is known with other files.
    Conflict,
}

impl LayerFrame {
    pub(super) fn parse(frame: Frame) -> Result<Self> {
        let (record, rest) = head::<LayerRecord>(&frame)?;
        let body_at = frame.payload.len() - rest.len();
        Ok(Self { record, body_at, frame })
    }

    /// Decodes the fingerprint and compares it with the record, and with the one that is stored.
    pub(super) fn check(self, store: &Store) -> Result<(LayerRecord, Verdict)> {
        let layer = self.record.diff_id;
        let body = &self.frame.payload[self.body_at..];
        let refuse = |problem: String| malformed(&self.frame, format!("layer {layer}: {problem}"));
        if !self.record.anomalies.is_plausible() || self.record != self.record.merged(None) {
            return Err(refuse("no reader finds these anomalies".into()));
        }
        // One that is damaged is as good as none: this one takes its place.
        let known = or_damaged(store.body(&layer))?;
        if known.as_deref() == Some(body) {
            return Ok((self.record, Verdict::Known));
        }
        let claimed_bytes = body::claimed_bytes(body).map_err(|error| refuse(error.to_string()))?;
        let _large = (claimed_bytes > LARGE_BYTES).then(lock_large);
        let fingerprint = body::decode(body).map_err(|error| refuse(error.to_string()))?;
        if !self.record.describes(&fingerprint) {
            return Err(refuse("its counts are not those of its fingerprint".into()));
        }
        let known = known.and_then(|known| body::decode(&known).ok());
        let verdict = match known {
            None => Verdict::New(body::encode(&fingerprint).map_err(StoreError::body(layer))?),
            Some(known) if known == fingerprint => Verdict::Known,
            Some(_) => Verdict::Conflict,
        };
        Ok((self.record, verdict))
    }
}

/// A document whose digest was checked.
pub(super) struct DocumentFrame {
    pub(super) digest: BlobDigest,
    frame: Frame,
    bytes_at: usize,
}

impl DocumentFrame {
    pub(super) fn parse(frame: Frame) -> Result<Self> {
        let (digest, bytes) = head::<BlobDigest>(&frame)?;
        let found = match digest {
            BlobDigest::Sha256(_) => BlobDigest::Sha256(Sha256::digest(bytes).into()),
            BlobDigest::Sha512(_) => BlobDigest::Sha512(Sha512::digest(bytes).into()),
        };
        if found != digest {
            return Err(malformed(&frame, format!("digest of the bytes is {found}, it says {digest}")));
        }
        let length = bytes.len();
        if length as u64 > DOCUMENT_BYTES_MAX {
            return Err(malformed(&frame, format!("{length} bytes are more than {DOCUMENT_BYTES_MAX}")));
        }
        let bytes_at = frame.payload.len() - length;
        Ok(Self { digest, frame, bytes_at })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.frame.payload[self.bytes_at..]
    }
}

/// An image and when its names were seen.
pub(super) struct ImageFrame {
    pub(super) record: ImageRecord,
    pub(super) names: Vec<(String, u64)>,
    kind: &'static str,
    offset_bytes: u64,
}

impl ImageFrame {
    pub(super) fn parse(frame: Frame) -> Result<Self> {
        let (record, names) = whole::<(ImageRecord, Vec<(String, u64)>)>(&frame)?;
        Ok(Self { record, names, kind: frame.kind.name(), offset_bytes: frame.offset_bytes })
    }

    /// Compares an image with its layers, its documents and its configuration, and returns what its layers do to those below.
    /// Nothing if it does not match layers of which the store knows other files.
    pub(super) fn check(
        &self,
        store: &Store,
        (recent, stacks): (&RecentLayers, &Stacks),
        check_config: CheckConfig,
        disputed: &HashSet<DiffId>,
    ) -> Result<Option<Steps>> {
        self.check_form()?;
        self.check_references(store)?;
        let config = BlobDigest::Sha256(*self.record.id.as_bytes());
        let has_config = self.record.documents.iter().any(|document| document.digest == config);
        let config = if has_config { store.document(&config)? } else { None };
        check_config(&self.record, config.as_deref()).map_err(|problem| self.malformed(problem))?;
        if self.is_known(store)? {
            return Ok(Some(Steps::default()));
        }
        let held = Held::default();
        let read = |layer: &DiffId| {
            let fingerprint = layer_of(store, recent, layer)?;
            held.add(&fingerprint).map_err(|problem| self.malformed(problem))?;
            Ok::<_, ImportError>(fingerprint)
        };
        let stack = stacks.look(&self.record.layers, read)?;
        if self.facts_of(&stack) == facts(&self.record) {
            return Ok(Some(stack.steps));
        }
        if self.record.layers.iter().any(|layer| disputed.contains(layer)) {
            return Ok(None);
        }
        Err(self.malformed("its contents are not those of its layers"))
    }

    fn check_form(&self) -> Result<()> {
        for (name, _) in &self.names {
            check_name(name).map_err(|error| self.malformed(error.to_string()))?;
        }
        let is_sorted = self.names.is_sorted_by(|(a, _), (b, _)| a < b);
        if !is_sorted || self.record != self.record.merged(None) || !self.record.anomalies.is_plausible() {
            return Err(self.malformed("its lists are not in order"));
        }
        Ok(())
    }

    fn check_references(&self, store: &Store) -> Result<()> {
        for layer in &self.record.layers {
            if !store.has_layer(layer)? {
                return Err(self.malformed(format!("layer {layer} is neither before it nor in the store")));
            }
        }
        for document in &self.record.documents {
            if !store.has_document(&document.digest)? {
                let digest = document.digest;
                return Err(
                    self.malformed(format!("document {digest} is neither before it nor in the store"))
                );
            }
        }
        Ok(())
    }

    /// Returns true if the store has the image with the same layers and contents, which it computed itself or has checked before.
    fn is_known(&self, store: &Store) -> Result<bool> {
        let known = store.image(&self.record.id)?;
        Ok(known
            .is_some_and(|known| known.layers == self.record.layers && facts(&known) == facts(&self.record)))
    }

    /// Returns what follows from the layers.
    fn facts_of(&self, stack: &Stack) -> Facts {
        facts(&ImageRecord::of_contents(self.record.id, Vec::new(), &stack.contents, stack.file_count))
    }

    fn malformed(&self, problem: impl std::fmt::Display) -> ImportError {
        ImportError::malformed(self.kind, self.offset_bytes, format!("image {}: {problem}", self.record.id))
    }
}

/// Layers and images are checked on all cores, and one may take as much memory as all others together: of those that take
/// more than this, one is checked at a time.
const LARGE_BYTES: u64 = 32 << 20;
static LARGE: Mutex<()> = Mutex::new(());

/// Whoever has the lock waits for nobody, and a panic leaves nothing half done.
fn lock_large() -> MutexGuard<'static, ()> {
    LARGE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the layers of one image take that is being checked.
#[derive(Default)]
struct Held {
    bytes: Cell<u64>,
    paths_bytes: Cell<u64>,
    large: RefCell<Option<MutexGuard<'static, ()>>>,
}

impl Held {
    fn add(&self, fingerprint: &Fingerprint) -> Result<(), String> {
        let bytes = self.bytes.get() + fingerprint.memory_bytes();
        let paths_bytes = self.paths_bytes.get() + fingerprint.paths_bytes();
        self.bytes.set(bytes);
        self.paths_bytes.set(paths_bytes);
        if bytes > Fingerprint::MEMORY_BYTES_MAX || paths_bytes > Fingerprint::IMAGE_PATHS_BYTES_MAX {
            return Err("its layers take more memory than those of one image may".into());
        }
        if bytes > LARGE_BYTES && self.large.borrow().is_none() {
            *self.large.borrow_mut() = Some(lock_large());
        }
        Ok(())
    }
}

/// What follows from an image's layers: its set, and three counts.
type Facts = (crate::id::SetId, u64, u64, u64);

fn facts(record: &ImageRecord) -> Facts {
    (record.set_id, record.content_count, record.content_size_bytes, record.file_count)
}

fn layer_of(store: &Store, recent: &RecentLayers, layer: &DiffId) -> Result<Arc<Fingerprint>> {
    if let Some(found) = recent.get(layer) {
        return Ok(found);
    }
    let found = store.fingerprint(layer)?.ok_or_else(|| StoreError::NotFound { text: layer.to_string() })?;
    let found = Arc::new(found);
    recent.insert(*layer, Arc::clone(&found));
    Ok(found)
}

/// The stored form of a layer.
pub(super) struct BlobFrame {
    pub(super) digest: BlobDigest,
    pub(super) diff_id: DiffId,
    pub(super) media_type: String,
}

impl BlobFrame {
    pub(super) fn parse(frame: &Frame, store: &Store) -> Result<Self> {
        let (digest, diff_id, media_type) = whole::<(BlobDigest, DiffId, String)>(frame)?;
        if !store.has_layer(&diff_id)? {
            let problem = format!("layer {diff_id} is neither before it nor in the store");
            return Err(malformed(frame, format!("blob {digest}: {problem}")));
        }
        Ok(Self { digest, diff_id, media_type })
    }
}

/// Returns the record at the start of a payload, and what follows.
fn head<T: Serialize + DeserializeOwned>(frame: &Frame) -> Result<(T, &[u8])> {
    let parsed = postcard::take_from_bytes::<T>(&frame.payload);
    let (record, rest) = parsed.map_err(|_| malformed(frame, "record does not decode"))?;
    // One record has one spelling, so that one content has one export.
    if encode(&record)[..] != frame.payload[..frame.payload.len() - rest.len()] {
        return Err(malformed(frame, "record is spelled in another way than it is written"));
    }
    Ok((record, rest))
}

/// Returns the record that a payload is.
fn whole<T: Serialize + DeserializeOwned>(frame: &Frame) -> Result<T> {
    match head(frame)? {
        (record, []) => Ok(record),
        _ => Err(malformed(frame, "bytes follow the record")),
    }
}

fn malformed(frame: &Frame, problem: impl Into<String>) -> ImportError {
    ImportError::malformed(frame.kind.name(), frame.offset_bytes, problem)
}
