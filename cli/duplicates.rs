//! `layerprint duplicates`

use layerprint_query::{
    Asked, EqualImages, EqualLayers, Known, Nearness, Partly, equal_images, equal_layers,
};
use serde_json::{Value, json};

use crate::args::{Duplicates, Global};
use crate::error::Status;
use crate::output::{bytes, count, counted, names, percent, short};
use crate::progress::{bar, complain};
use crate::rows::{self, Column, Form};
use crate::store::Published;

/// Names of images that the text shows of one layer.
const IMAGES_SHOWN: usize = 3;

/// An image or a layer of a group.
struct Row {
    group: u64,
    kind: &'static str,
    id: Value,
    bytes: u64,
    share: f64,
    saved_bytes: u64,
    /// The image itself, or those that have the layer.
    images: Vec<Known>,
}

pub fn run(global: &Global, command: &Duplicates) -> anyhow::Result<Status> {
    let published = Published::open(global)?;
    let both = command.images == command.layers;
    let mut rows = Vec::new();
    let mut told = Vec::new();
    let mut left_out = published.unreadable()?;
    if both || command.images {
        let groups = left_out.take(published.ask(equal_images)?);
        told.push(counted(groups.len() as u64, "group") + " of equal images");
        groups.into_iter().for_each(|group| add_images(&mut rows, group));
    }
    if both || command.layers {
        let groups = left_out.take(layers(global, &published, command)?);
        told.push(counted(groups.len() as u64, "group") + " of layers that are nearly equal");
        groups.into_iter().for_each(|group| add_layers(&mut rows, group));
    }
    let form = Form::of(global, command.tabular);
    if form != Form::Text || !rows.is_empty() {
        rows::print(form, &columns(), &rows)?;
    }
    if !published.tell_if_empty() && !global.quiet {
        complain(&told.join(", "));
    }
    Ok(left_out.tell(&published).max(if rows.is_empty() { Status::Nothing } else { Status::Done }))
}

fn layers(
    global: &Global,
    published: &Published,
    command: &Duplicates,
) -> anyhow::Result<Partly<Vec<EqualLayers>>> {
    let bar = bar(global.quiet, "layers read");
    let on_read = |asked| match asked {
        Asked::Total(number) => bar.set_length(number),
        Asked::One => bar.inc(1),
    };
    let nearness = Nearness { share_min: command.min_share, size_bytes_min: command.min_size };
    let groups = published.ask(|index| equal_layers(index, nearness, &on_read));
    bar.finish_and_clear();
    Ok(groups?)
}

fn add_images(rows: &mut Vec<Row>, group: EqualImages) {
    let number = next_group(rows);
    rows.extend(group.members.into_iter().map(|member| Row {
        group: number,
        kind: "image",
        id: json!(member.image.id),
        bytes: member.bytes,
        share: 1.0,
        saved_bytes: member.saved_bytes,
        images: vec![member.image],
    }));
}

fn add_layers(rows: &mut Vec<Row>, group: EqualLayers) {
    let number = next_group(rows);
    rows.extend(group.members.into_iter().map(|member| Row {
        group: number,
        kind: "layer",
        id: json!(member.diff_id),
        bytes: member.bytes,
        share: member.share,
        saved_bytes: member.saved_bytes,
        images: member.images,
    }));
}

fn next_group(rows: &[Row]) -> u64 {
    rows.last().map_or(1, |row| row.group + 1)
}

type Fact = Column<Row>;

fn columns() -> Vec<Fact> {
    vec![
        Fact::new("group", |row| json!(row.group)).text("GROUP", |row| count(row.group)).right(),
        Fact::new("kind", |row| json!(row.kind)).text("WHAT", |row| row.kind.to_owned()),
        Fact::new("id", |row| row.id.clone()).text("ID", |row| short(row.id.as_str().unwrap_or_default())),
        Fact::new("share", |row| json!(row.share)).text("SHARE", |row| percent(row.share)).right(),
        Fact::new("bytes", |row| json!(row.bytes)).text("SIZE", |row| bytes(row.bytes)).right(),
        Fact::new("saved_bytes", |row| json!(row.saved_bytes))
            .text("SAVED", |row| if row.saved_bytes == 0 { "-".into() } else { bytes(row.saved_bytes) })
            .right(),
        Fact::new("images", |row| json!(row.images)).cell(named).text("IMAGES", shown),
    ]
}

/// The images by their first names, or their IDs.
fn named(row: &Row) -> String {
    let name = |image: &Known| image.names.first().cloned().unwrap_or_else(|| image.id.to_string());
    row.images.iter().map(name).collect::<Vec<_>>().join("; ")
}

fn shown(row: &Row) -> String {
    let told: Vec<String> = row.images.iter().take(IMAGES_SHOWN).map(|image| names(&image.names)).collect();
    let more = match row.images.len().saturating_sub(IMAGES_SHOWN) {
        0 => String::new(),
        more => format!(" and {} more", count(more as u64)),
    };
    told.join("; ") + &more
}
