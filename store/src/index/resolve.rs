//! From what a person types to a published image or layer.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;

use super::Index;
use super::segment::Section;
use super::state::State;
use crate::error::{Result, StoreError};
use crate::id::{DiffId, ImageId};
use crate::record::Platform;
use crate::resolve::{Subject, digits_of, only_one};

impl Index {
    /// Returns the image or layer that a text stands for.
    ///
    /// The text is a reference (the image it was last seen to stand for on each platform), an image ID, a manifest
    /// digest, a diff ID or the digest of a compressed layer; of an id, four digits suffice if no other has them.
    pub fn resolve(&self, text: &str) -> Result<Subject> {
        self.resolve_for(text, None)
    }

    /// Returns the same of the images for a platform, where one is wanted, and of all layers.
    pub fn resolve_for(&self, text: &str, wanted: Option<&Platform>) -> Result<Subject> {
        let fits = |platform: &Platform| wanted.is_none_or(|wanted| platform.fits(wanted));
        let mut platforms: BTreeSet<Platform> = BTreeSet::new();
        let named = self.images_named(text)?.into_iter().filter(|(_, platform, _)| fits(platform));
        let last_seen = named.filter(|(_, platform, _)| platforms.insert(platform.clone()));
        let subjects: Vec<_> = last_seen
            .map(|(image, platform, _)| (Subject::Image(image), format!("{image} ({platform})")))
            .collect();
        if !subjects.is_empty() {
            return only_one(text, subjects);
        }
        let digits = digits_of(text)?;
        let mut images = BTreeSet::new();
        for id in self.images_abbreviated(digits)? {
            let is_meant = self.image(&id)?.is_some_and(|image| fits(&image.platform));
            images.extend(is_meant.then_some(Subject::Image(id)));
        }
        let subjects = if images.is_empty() { self.layers_abbreviated(digits)? } else { images };
        only_one(text, subjects.iter().map(|subject| (*subject, subject.to_string())).collect())
    }

    fn images_abbreviated(&self, digits: &str) -> Result<BTreeSet<ImageId>> {
        let mut images = BTreeSet::new();
        for (segment, number, _) in self.abbreviated(Section::ImageIds, None, digits)? {
            let at = State::at(segment, number);
            if self.state.is_live(at) {
                images.insert(self.image_at(at)?.id);
            }
        }
        for (segment, number, _) in self.abbreviated(Section::Manifests, None, digits)? {
            let image = self.state.segments[segment].number(Section::ManifestImages, number)?;
            let at = State::at(segment, image as usize);
            if self.state.is_live(at) {
                images.insert(self.image_at(at)?.id);
            }
        }
        Ok(images)
    }

    fn layers_abbreviated(&self, digits: &str) -> Result<BTreeSet<Subject>> {
        let mut layers = BTreeSet::new();
        for (_, _, id) in self.abbreviated(Section::DiffIds, Some(Section::DiffOrder), digits)? {
            layers.insert(DiffId::from_bytes(id));
        }
        for (segment, number, _) in self.abbreviated(Section::Blobs, None, digits)? {
            let layer = self.state.segments[segment].number(Section::BlobLayers, number)?;
            layers.insert(self.state.diff_id(layer)?);
        }
        Ok(layers.into_iter().map(Subject::Layer).collect())
    }

    /// Ids of a table that begin with these digits, of which there may be an odd number.
    fn abbreviated(
        &self,
        ids: Section,
        order: Option<Section>,
        digits: &str,
    ) -> Result<Vec<(usize, usize, [u8; 32])>> {
        let whole_bytes = &digits[..digits.len() / 2 * 2];
        let bytes = HEXLOWER
            .decode(whole_bytes.as_bytes())
            .map_err(|_| StoreError::NotFound { text: digits.to_owned() })?;
        let mut found = self.state.ids_from(ids, order, &bytes)?;
        found.retain(|(_, _, id)| HEXLOWER.encode(id).starts_with(digits));
        Ok(found)
    }
}
