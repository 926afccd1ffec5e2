//! What the images of a report take and share, and what they could share.
//!
//! A pass over all layers, which only the page asks for. Of each image whose base was found by content no more is held than the
//! sizes of its layers.

use layerprint_query::{Group, Rebase, Savings, Storage, rebase};
use layerprint_store::id::ImageId;
use layerprint_store::{StoreError, Subject};
use rayon::prelude::*;

use super::Report;
use crate::left_out::LeftOut;
use crate::output::plain;
use crate::progress::complain;
use crate::store::Published;

/// See the module.
pub struct Shared {
    /// What they take.
    pub storage: Storage,
    /// What could be shared, by base: what saves most first.
    pub groups: Vec<Group>,
}

impl Shared {
    /// Adds up. It is worth a word if this cannot be told, and no more: it is one figure of many.
    pub fn of(published: &Published, report: &Report, left_out: &mut LeftOut) -> Option<Self> {
        let complain = |error: &anyhow::Error| {
            complain(&format!("what images take is left out: {}", plain(&format!("{error:#}"))));
        };
        Self::asked(published, report, left_out).inspect_err(complain).ok()
    }

    fn asked(published: &Published, report: &Report, left_out: &mut LeftOut) -> anyhow::Result<Self> {
        let images = report.images();
        let storage = published.ask(|index| layerprint_query::storage(index, images, &|_| ()))?;
        let storage = left_out.take(storage);
        let mut savings = Savings::default();
        let rebases = images.par_iter().map(|image| Ok((*image, could_share(published, report, image)?)));
        for (image, rebase) in rebases.collect::<anyhow::Result<Vec<_>>>()? {
            match rebase {
                Ok(rebase) => rebase.into_iter().for_each(|rebase| savings.add(rebase)),
                Err(error) => left_out.add(Subject::Image(image), error),
            }
        }
        Ok(Self { storage, groups: savings.groups() })
    }
}

/// One image that cannot be read is left out; a damaged index is another matter.
fn could_share(
    published: &Published,
    report: &Report,
    image: &ImageId,
) -> anyhow::Result<Result<Option<Rebase>, StoreError>> {
    let finding = report.spool.row(image)?.finding;
    let asked = published
        .ask(|index| index.image(image)?.map_or(Ok(None), |record| rebase(index, &record, &finding)));
    match asked {
        Err(error) if error.is_index_damage() => Err(error.into()),
        asked => Ok(asked),
    }
}
