//! What the page says of changes since an earlier report.

use layerprint_query::{ChangeKind, Verdict, Was};

use crate::output::{count, counted, either, names, plain};
use crate::report::Report;
use crate::report::diff::Gone;
use crate::report::overview::Overview;

/// Images that are named of those that are not stored any more.
const GONE_MAX: usize = 10;

/// Counts of each kind, and what has no row in the table.
pub struct ChangesView {
    pub lead: String,
    pub kinds: Vec<KindRow>,
    pub gone: Vec<GoneRow>,
    pub gone_images: String,
    pub gone_more: String,
}

pub struct KindRow {
    pub word: &'static str,
    pub label: &'static str,
    pub note: &'static str,
    pub images: String,
}

pub struct GoneRow {
    pub name: String,
    pub platform: String,
    pub was: String,
    pub newer: String,
}

impl ChangesView {
    /// Nothing if the report was compared with none.
    pub fn of(report: &Report, overview: &Overview) -> Option<Self> {
        let gone = report.gone.as_ref()?;
        let changed: u64 = overview.changes.values().sum();
        let same = overview.images.saturating_sub(changed);
        let earlier = report.earlier.as_deref().unwrap_or("an earlier report");
        let lead = match (changed, gone.len()) {
            (0, 0) => format!("Nothing changed since {earlier}."),
            _ => format!("Since {earlier}. {} as they were.", counted_are(same)),
        };
        let more = gone.len().saturating_sub(GONE_MAX) as u64;
        Some(Self {
            lead,
            kinds: overview.changes.iter().map(|(kind, images)| KindRow::of(*kind, *images)).collect(),
            gone: gone.iter().take(GONE_MAX).map(GoneRow::of).collect(),
            gone_images: count(gone.len() as u64),
            gone_more: if more > 0 {
                format!("and {} more {}", count(more), if more == 1 { "image" } else { "images" })
            } else {
                String::new()
            },
        })
    }
}

fn counted_are(images: u64) -> String {
    format!("{} {}", counted(images, "image"), if images == 1 { "is" } else { "are" })
}

impl KindRow {
    fn of(kind: ChangeKind, images: u64) -> Self {
        let (label, note) = match kind {
            ChangeKind::FellBehind => ("Fell behind", "newer stored"),
            ChangeKind::LostBase => ("Lost its base", "none known now"),
            ChangeKind::Moved => ("Moved", "to another base"),
            ChangeKind::CameBack => ("Came back", "to the newest"),
            ChangeKind::New => ("New", "not there before"),
            ChangeKind::Gone => ("Gone", "not stored now"),
        };
        Self { word: kind.word(), label, note, images: count(images) }
    }
}

impl GoneRow {
    fn of(gone: &Gone) -> Self {
        let was = gone.change.was.as_ref();
        Self {
            name: plain(&gone.source).into_owned(),
            platform: plain(&gone.platform).into_owned(),
            was: was.map(base).unwrap_or_default(),
            newer: was.and_then(|was| was.newer).map_or_else(|| "–".into(), count),
        }
    }
}

fn base(was: &Was) -> String {
    match was.verdict {
        Verdict::Base => names(&was.base),
        Verdict::Family => format!("family only, like {}", either(&was.base)),
        Verdict::None => "no base known".into(),
    }
}
