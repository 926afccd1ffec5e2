//! Which other version of a base a changed file comes from.
//!
//! Whoever upgrades packages within an image leaves the base's paths with contents of a later release. Such a content is
//! as old as the oldest stored relative that has it at that path, by the dates that images give themselves. A relative that
//! is built on the base is no version of it, nor is one that is built on something stored while the base is not: what it
//! changed there is its own.

use std::collections::HashSet;

use layerprint_store::id::ContentId;
use layerprint_store::{ImageRecord, Platform, Result};
use std::sync::Arc;

use crate::created;
use crate::donor::Donor;
use crate::holding::{nearest_holders, unsized_contents};
use crate::reader::Reader;
use crate::scan::share;
use crate::states::State;

/// An image that has so much of the base's paths is a relative of it.
const PATHS_SHARE_MIN: f64 = 0.25;

/// Relatives of a base.
pub(crate) struct Versions {
    base: Arc<ImageRecord>,
    relatives: Vec<Relative>,
}

struct Relative {
    donor: Donor,
    is_version: bool,
}

impl Versions {
    /// Reads the stored relatives of a base that hold some of the contents in question.
    pub(crate) fn of(
        reader: &Reader,
        base: &Donor,
        image: &ImageRecord,
        changed: &HashSet<ContentId>,
        platform: &Platform,
    ) -> Result<Self> {
        let is_other = |record: &ImageRecord| {
            let is_above = |below: &ImageRecord| record.layers.starts_with(&below.layers);
            record.set_id != base.record.set_id
                && record.set_id != image.set_id
                && !is_above(&base.record)
                && !is_above(image)
                && record.platform.fits(platform)
        };
        let found = match changed.is_empty() {
            true => Vec::new(),
            false => {
                nearest_holders(reader, &unsized_contents(changed), |_| true, |_, record| is_other(record))?
            }
        };
        let records: Vec<_> = found.into_iter().map(|holder| holder.record).collect();
        let trees = reader.trees(&records)?;
        let relatives = records.into_iter().zip(trees).map(|(record, tree)| Donor { record, tree });
        let is_relative = |relative: &Donor| {
            share(base.paths_shared(relative), base.file_count()) >= PATHS_SHARE_MIN
                && !relative.is_built_on(base)
        };
        let is_base_built = is_built(reader, &base.record)?;
        let relatives = relatives.filter(is_relative).map(|donor| {
            let is_version = is_base_built || !is_built(reader, &donor.record)?;
            Ok(Relative { donor, is_version })
        });
        Ok(Self { base: Arc::clone(&base.record), relatives: relatives.collect::<Result<_>>()? })
    }

    /// Tells which way a content at a path of the base points, and the image that it is from; none if no relative has it.
    pub(crate) fn of_file(&self, path: &[u8], content: ContentId) -> Option<(State, &ImageRecord)> {
        let has = |relative: &&Relative| relative.donor.content_at(path) == Some(content);
        let oldest = self.relatives.iter().filter(has).reduce(older)?;
        let record = &oldest.donor.record;
        let state = if !oldest.is_version {
            State::Modified
        } else if created::is_after(record, &self.base) {
            State::Upgraded
        } else if created::is_after(&self.base, record) {
            State::Downgraded
        } else {
            State::Modified
        };
        Some((state, record))
    }
}

/// Of two relatives that have a content, the one that tells where it is from: a version before others, then the older, as
/// far as they say when they were made.
fn older<'a>(first: &'a Relative, second: &'a Relative) -> &'a Relative {
    let (a, b) = (&first.donor.record, &second.donor.record);
    let is_better = match (first.is_version, second.is_version) {
        (true, true) | (false, false) => created::is_after(a, b) || !created::are_known(a, a),
        (is_version, _) => !is_version,
    };
    if is_better { second } else { first }
}

/// Returns true if a stored image has another one below it.
fn is_built(reader: &Reader, record: &ImageRecord) -> Result<bool> {
    let below = record.layers.len().saturating_sub(1);
    Ok(!reader.by_chain(&record.layers[..below])?.is_empty())
}
