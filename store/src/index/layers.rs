//! Layers in segments: which they are, where their fingerprints lie, and their records. A record may change without its layer: of several segments the newest counts.

use super::segment::{Section, Segment};
use super::state::{State, first_id, key_of, place};
use crate::error::Result;
use crate::id::{BlobDigest, DiffId};
use crate::log::frame::Place;
use crate::record::LayerRecord;

impl State {
    /// Returns the layer that a blob unpacks to.
    pub(crate) fn layer_of_blob(&self, blob: &BlobDigest) -> Result<Option<u32>> {
        for (_, segment) in self.newest_first() {
            let keys = segment.length(Section::Blobs) / 32;
            let number = first_id(segment, Section::Blobs, &key_of(blob))?;
            if number < keys && segment.id_at(Section::Blobs, number)? == key_of(blob) {
                return segment.number(Section::BlobLayers, number).map(Some);
            }
        }
        Ok(None)
    }

    /// Returns the diff ID of a layer.
    pub(crate) fn diff_id(&self, layer: u32) -> Result<DiffId> {
        let (segment, number) = self.layer_at(layer)?;
        segment.id_at(Section::DiffIds, number).map(DiffId::from_bytes)
    }

    /// Returns where a layer's fingerprint stands.
    pub(crate) fn place(&self, layer: u32) -> Result<Place> {
        let (segment, number) = self.layer_at(layer)?;
        place(segment, Section::Places, number)
    }

    /// Returns what is known of a layer besides its entries.
    pub(crate) fn layer_record(&self, layer: u32) -> Result<LayerRecord> {
        let diff_id = self.diff_id(layer)?;
        for (_, segment) in self.newest_first() {
            let total = segment.length(Section::RecordLayers) / 4;
            let number = |at: usize| segment.number(Section::RecordLayers, at);
            let at = Segment::partition(total, |at| Ok(number(at)? < layer))?;
            if at < total && number(at)? == layer {
                let extent = segment.extent(Section::LayerRecordEnds, at)?;
                return decode_layer(segment, diff_id, segment.slice(Section::LayerRecords, extent)?);
            }
        }
        Ok(LayerRecord::unknown(diff_id))
    }
}

/// The record of a layer as `draft::encode_layer` writes it.
fn decode_layer(segment: &Segment, diff_id: DiffId, bytes: &[u8]) -> Result<LayerRecord> {
    let fields = postcard::from_bytes(bytes);
    let (tar_size_bytes, entry_count, file_count, file_size_bytes, anomalies) =
        fields.map_err(|_| segment.corrupt(Section::LayerRecords, "a record does not decode"))?;
    Ok(LayerRecord { diff_id, tar_size_bytes, entry_count, file_count, file_size_bytes, anomalies })
}
