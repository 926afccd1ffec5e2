//! Which of the stored images a report is about.

use layerprint_query::{Fleet, FleetImage};
use layerprint_store::Index;
use layerprint_store::id::ImageId;

use crate::args;
use crate::day::Day;
use crate::pattern::Pattern;

/// Returns the images that are meant, by their first name and ID.
pub fn select<'f>(
    index: &Index,
    fleet: &'f Fleet,
    wanted: &args::Selection,
) -> anyhow::Result<Vec<&'f FleetImage>> {
    let mut selected = Vec::new();
    for image in fleet.images() {
        if is_named(image, wanted) && fits(image, wanted) && is_since(image, wanted) {
            selected.push(image);
        }
    }
    let _ = index;
    Ok(selected)
}

fn is_named(image: &FleetImage, wanted: &args::Selection) -> bool {
    wanted.means(image.names.iter().map(|(name, _)| &**name), &image.id)
}

impl args::Selection {
    /// Returns true if an image with these names is meant.
    pub fn means<'n>(&self, names: impl Iterator<Item = &'n str> + Clone, id: &ImageId) -> bool {
        let is_meant =
            |pattern: &Pattern| names.clone().any(|name| pattern.matches(name)) || pattern.is_id(id);
        let is_listed = self.images.is_empty() || self.images.iter().any(is_meant);
        is_listed && !self.exclude.iter().any(is_meant)
    }
}

fn fits(image: &FleetImage, wanted: &args::Selection) -> bool {
    wanted.platform.as_ref().is_none_or(|platform| image.platform.fits(platform))
}

/// Images that do not say when they were made are not told to be older.
fn is_since(image: &FleetImage, wanted: &args::Selection) -> bool {
    let made = image.created.as_deref().and_then(Day::of_rfc3339);
    wanted.since.is_none_or(|since| made.is_some_and(|made| made >= since))
}
