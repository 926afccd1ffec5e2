//! Which of the stored images a report is about.

use layerprint_query::{Fleet, FleetImage, labels};
use layerprint_store::id::ImageId;
use layerprint_store::{Index, Platform, Result};

use crate::args::{self, Label};
use crate::day::Day;
use crate::pattern::Pattern;

/// Returns the images that are meant, by their first name and ID. Days ago are counted from `today`, or else from now.
pub fn select<'f>(
    index: &Index,
    fleet: &'f Fleet,
    wanted: &args::Selection,
    today: Option<Day>,
) -> Result<Vec<&'f FleetImage>> {
    let since = wanted.since.map(|since| since.before(today));
    let mut selected = Vec::new();
    for image in fleet.images() {
        let is_current = image.is_current || !wanted.current;
        let is_meant = is_current && is_named(image, wanted) && fits(image, wanted) && is_since(image, since);
        if is_meant && is_labelled(index, image, wanted)? {
            selected.push(image);
        }
    }
    Ok(selected)
}

/// Asked last: labels are read from the configurations, one by one.
fn is_labelled(index: &Index, image: &FleetImage, wanted: &args::Selection) -> Result<bool> {
    if wanted.labels.is_empty() {
        return Ok(true);
    }
    let Some(record) = index.image(&image.id)? else { return Ok(false) };
    let labels = labels(index, &record)?;
    let is_there = |label: &Label| {
        let found = labels.get(&label.key);
        found.is_some_and(|found| label.value.as_ref().is_none_or(|value| value == found))
    };
    Ok(wanted.labels.iter().all(is_there))
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

    /// Returns true if images for such a platform are meant. What is none is meant if it is written like the one asked for.
    pub fn fits(&self, platform: &str) -> bool {
        let fits = |wanted: &Platform| match args::values::platform(platform) {
            Ok(platform) => platform.fits(wanted),
            Err(_) => wanted.to_string() == platform,
        };
        self.platform.as_ref().is_none_or(fits)
    }
}

fn fits(image: &FleetImage, wanted: &args::Selection) -> bool {
    wanted.platform.as_ref().is_none_or(|platform| image.platform.fits(platform))
}

/// Images that do not say when they were made are not told to be older.
fn is_since(image: &FleetImage, since: Option<Day>) -> bool {
    let made = image.created.as_deref().and_then(Day::of_rfc3339);
    since.is_none_or(|since| made.is_some_and(|made| made >= since))
}

/// Says which images are meant, for people; nothing if all are.
pub fn told(wanted: &args::Selection) -> String {
    let images = wanted.images.iter().map(ToString::to_string);
    let exclude = wanted.exclude.iter().map(|pattern| format!("not {pattern}"));
    let labels = wanted.labels.iter().map(|label| format!("labelled {label}"));
    let platform = wanted.platform.iter().map(|platform| format!("for {platform}"));
    let since = wanted.since.iter().map(|day| format!("since {day}"));
    let current = wanted.current.then(|| "current only".to_owned());
    images
        .chain(exclude)
        .chain(labels)
        .chain(platform)
        .chain(since)
        .chain(current)
        .collect::<Vec<_>>()
        .join(", ")
}
