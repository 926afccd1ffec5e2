//! The images of a segment, and the tables that lead to them.

use super::columns::Columns;
use super::draft::{encode, encode_image, narrow, write_digests, write_names, write_order};
use super::segment::Section;
use super::state::IndexedImage;
use crate::error::Result;
use crate::id::{BlobDigest, SetId};
use crate::record::Platform;

/// Writes images, which come in order of their ids, with all that leads to them.
#[derive(Default)]
pub(crate) struct Images {
    platforms: Vec<Platform>,
    /// For each image, its node and the identity of its contents.
    orders: Vec<(u32, SetId)>,
    names: Vec<(String, u32)>,
    manifests: Vec<(BlobDigest, u32)>,
    records_end: usize,
    platforms_end: usize,
}

impl Images {
    pub(crate) fn push(&mut self, columns: &mut Columns, node: u32, mut image: IndexedImage) -> Result<()> {
        let number = narrow(self.orders.len())?;
        let record = &mut image.record;
        let platform = self.platform(columns, &record.platform)?;
        columns.push(Section::ImageIds, record.id.as_bytes())?;
        columns.push(Section::SetIds, record.set_id.as_bytes())?;
        columns.push_number(Section::ImageRows, node)?;
        columns.push_number(Section::ImageRows, u32::try_from(record.content_count).unwrap_or(u32::MAX))?;
        columns.push_number(Section::ImageRows, platform)?;
        self.orders.push((node, record.set_id));
        self.manifests.extend(record.manifests.iter().map(|manifest| (*manifest, number)));
        let bytes = encode_image(&mut image);
        self.records_end += bytes.len();
        columns.push(Section::Records, &bytes)?;
        columns.push_number(Section::RecordEnds, narrow(self.records_end)?)?;
        self.names.extend(image.names.into_iter().map(|(name, _)| (name, number)));
        Ok(())
    }

    pub(crate) fn finish(self, columns: &mut Columns) -> Result<()> {
        write_order(columns, Section::NodeOrder, &self.orders, |(node, _)| *node)?;
        write_order(columns, Section::SetOrder, &self.orders, |(_, set)| *set)?;
        write_names(columns, self.names)?;
        write_digests(columns, Section::Manifests, Section::ManifestImages, self.manifests)
    }

    fn platform(&mut self, columns: &mut Columns, platform: &Platform) -> Result<u32> {
        if let Some(number) = self.platforms.iter().position(|known| known == platform) {
            return narrow(number);
        }
        let bytes = encode(platform);
        self.platforms_end += bytes.len();
        columns.push(Section::Platforms, &bytes)?;
        columns.push_number(Section::PlatformEnds, narrow(self.platforms_end)?)?;
        self.platforms.push(platform.clone());
        narrow(self.platforms.len() - 1)
    }
}
