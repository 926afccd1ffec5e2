//! What changed since an earlier report, for people: sums and the first of each kind.

use std::collections::BTreeMap;

use layerprint_query::{Before, ChangeKind, Row, Verdict, Was, either};

use super::Report;
use crate::output::counted;

/// Images that are named of each kind.
const IMAGES_MAX: usize = 20;

/// See the module.
#[derive(Debug, Default)]
pub struct Changes {
    /// By kind: what is bad first.
    pub kinds: BTreeMap<ChangeKind, Changed>,
}

/// Images to which the same happened.
#[derive(Debug, Default)]
pub struct Changed {
    /// How many.
    pub images: u64,
    /// The first of them, each with what was and what is.
    pub first: Vec<(String, String)>,
}

impl Changes {
    /// Sums what a report says; nothing if it was compared with none.
    pub fn of(report: &Report) -> anyhow::Result<Option<Self>> {
        let Some(gone) = &report.gone else { return Ok(None) };
        let mut changes = Self::default();
        for row in report.rows() {
            let row = row?;
            if let Some(change) = &row.change {
                changes.add(change.kind, &row.finding.source, || told(&row));
            }
        }
        for gone in gone {
            let was = gone.change.was.as_ref().map(said).unwrap_or_default();
            changes.add(ChangeKind::Gone, &gone.source, || format!("was {was}"));
        }
        Ok(Some(changes))
    }

    fn add(&mut self, kind: ChangeKind, name: &str, told: impl FnOnce() -> String) {
        let changed = self.kinds.entry(kind).or_default();
        changed.images += 1;
        if changed.first.len() < IMAGES_MAX {
            changed.first.push((name.to_owned(), told()));
        }
    }
}

impl Changed {
    /// Says how many are not named.
    pub fn others(&self) -> Option<String> {
        let others = self.images - self.first.len() as u64;
        (others > 0).then(|| format!("and {} more", counted(others, "image")))
    }
}

/// Says what was and what is: `was on debian:11 (2 newer), is on debian:12`.
pub fn told(row: &Row) -> String {
    let is = format!("is {}", said(&Before::of(row).was));
    let was = row.change.as_ref().and_then(|change| change.was.as_ref());
    was.map_or_else(|| is.clone(), |was| format!("was {}, {is}", said(was)))
}

/// Says what an image is built on: `on debian:12 (2 newer)`.
pub fn said(was: &Was) -> String {
    let names = either(&was.base);
    match (was.verdict, was.newer) {
        (Verdict::Base, Some(newer)) if newer > 0 => format!("on {names} ({newer} newer)"),
        (Verdict::Base, _) => format!("on {names}"),
        (Verdict::Family, _) => format!("like {names}"),
        (Verdict::None, _) => "without a known base".to_owned(),
    }
}
