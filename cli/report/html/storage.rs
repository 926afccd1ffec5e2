//! What the page says of what images take, and could share.

use layerprint_query::{Group, Storage};

use super::charts::{Piece, share};
use super::view::Bar;
use crate::output::{bytes, count, counted, plain};
use crate::report::shared::Shared;

/// Bases that are named.
const GROUPS_MAX: usize = 15;

/// Bars for what is taken, and for what could be saved.
pub struct StorageView {
    pub lead: String,
    pub rows: Vec<Bar>,
    pub savings: Option<SavingsView>,
}

/// What building on shared layers would save.
pub struct SavingsView {
    pub lead: String,
    pub rows: Vec<SavingsRow>,
}

pub struct SavingsRow {
    pub base: String,
    pub pieces: Vec<Piece>,
    pub images: String,
    pub layers: String,
    pub bytes: String,
    pub saved: String,
}

impl StorageView {
    pub fn of(shared: &Shared) -> Self {
        let Storage { image_bytes, layer_bytes, content_bytes, shared_by_content_bytes, .. } = shared.storage;
        let row = |label: &str, size: u64, class| Bar {
            label: label.into(),
            pieces: Piece::row(image_bytes, &[(size, class)]),
            images: bytes(size),
            percent: share(size, image_bytes),
            note: String::new(),
            filter: None,
        };
        Self {
            lead: format!(
                "{} ({}) are shared by content but not by layer.",
                bytes(shared_by_content_bytes),
                share(shared_by_content_bytes, layer_bytes)
            ),
            rows: vec![
                row("Each image for itself", image_bytes, "nothing"),
                row("Each layer once", layer_bytes, "content"),
                row("Each content once", content_bytes, "layers"),
            ],
            savings: SavingsView::of(&shared.groups),
        }
    }
}

impl SavingsView {
    /// Nothing where every image shares the layers of its base.
    fn of(groups: &[Group]) -> Option<Self> {
        let all = sum(groups);
        let (named, others) = groups.split_at(groups.len().min(GROUPS_MAX));
        let rest = sum(others);
        let most = named.iter().map(|group| group.bytes).max()?;
        let mut rows: Vec<SavingsRow> =
            named.iter().map(|group| SavingsRow::of(first(&group.base), group, most)).collect();
        if !others.is_empty() {
            let told = SavingsRow::of(format!("{} others", count(others.len() as u64)), &rest, most);
            // No bar: it would be longer than all that it is compared with.
            rows.push(SavingsRow { pieces: Vec::new(), ..told });
        }
        let (have, their) = if all.images == 1 { ("has", "its") } else { ("have", "their") };
        let lead = format!(
            "{} {have} the files of {their} base in layers of {their} own, {} in all. Built on the layers of the base, {} \
             of that ({}) would not be stored again.",
            counted(all.images, "image"),
            bytes(all.bytes),
            bytes(all.saved_bytes),
            share(all.saved_bytes, all.bytes)
        );
        Some(Self { lead, rows })
    }
}

impl SavingsRow {
    fn of(base: String, group: &Group, most: u64) -> Self {
        let left = group.bytes.saturating_sub(group.saved_bytes);
        Self {
            base,
            pieces: Piece::row(most, &[(group.saved_bytes, "layers"), (left, "new")]),
            images: count(group.images),
            layers: count(group.layers),
            bytes: bytes(group.bytes),
            saved: bytes(group.saved_bytes),
        }
    }
}

fn sum(groups: &[Group]) -> Group {
    let blank = Group { base: Vec::new(), images: 0, layers: 0, bytes: 0, saved_bytes: 0 };
    groups.iter().fold(blank, |sum, group| Group {
        images: sum.images + group.images,
        layers: sum.layers + group.layers,
        bytes: sum.bytes.saturating_add(group.bytes),
        saved_bytes: sum.saved_bytes.saturating_add(group.saved_bytes),
        ..sum
    })
}

fn first(names: &[String]) -> String {
    match names {
        [] => "(no name)".into(),
        [name] => plain(name).into_owned(),
        [name, more @ ..] => format!("{} +{}", plain(name), more.len()),
    }
}
