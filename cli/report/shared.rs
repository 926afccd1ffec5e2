//! What the images of a report take and share, and what they could share.
//!
//! A pass over all layers, which only the page asks for. Of each image whose base was found by content no more is held than the
//! sizes of its layers.

use layerprint_query::{Group, Savings, Storage, rebase};
use layerprint_store::id::ImageId;
use rayon::prelude::*;

use super::Report;
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
    pub fn of(published: &Published, report: &Report) -> Option<Self> {
        let complain = |error: &anyhow::Error| {
            complain(&format!("what images take is left out: {}", plain(&format!("{error:#}"))));
        };
        Self::asked(published, report).inspect_err(complain).ok()
    }

    fn asked(published: &Published, report: &Report) -> anyhow::Result<Self> {
        let images = report.images();
        let storage = published.ask(|index| layerprint_query::storage(index, images, &|_| ()))?;
        let mut savings = Savings::default();
        let rebases = images.par_iter().map(|image| could_share(published, report, image));
        let rebases: Vec<_> = rebases.filter_map(Result::transpose).collect::<anyhow::Result<_>>()?;
        rebases.into_iter().for_each(|rebase| savings.add(rebase));
        Ok(Self { storage, groups: savings.groups() })
    }
}

fn could_share(
    published: &Published,
    report: &Report,
    image: &ImageId,
) -> anyhow::Result<Option<layerprint_query::Rebase>> {
    let finding = report.spool.row(image)?.finding;
    let asked = published
        .ask(|index| index.image(image)?.map_or(Ok(None), |record| rebase(index, &record, &finding)));
    Ok(asked?)
}
