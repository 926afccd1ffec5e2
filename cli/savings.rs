//! `layerprint savings`

use layerprint_query::{Asked, Fleet, FleetImage, Group, Storage, storage};
use layerprint_store::id::ImageId;
use serde_json::{Value, json};

use crate::args::{Global, Savings};
use crate::error::Status;
use crate::output::{bytes, count, either};
use crate::progress::{bar, complain};
use crate::rows::{self, Column, Form};
use crate::store::Published;
use crate::workers::workers;

/// One way to look at what is stored.
#[derive(Clone)]
struct Row {
    kind: &'static str,
    base: Vec<String>,
    images: Option<u64>,
    layers: Option<u64>,
    contents: Option<u64>,
    bytes: u64,
    saved_bytes: Option<u64>,
}

pub fn run(global: &Global, command: &Savings) -> anyhow::Result<Status> {
    let published = Published::open(global)?;
    let workers = workers(command.jobs)?;
    let fleet = published.ask(Fleet::of)?;
    let mut images: Vec<&FleetImage> = fleet.images().iter().collect();
    images.sort_unstable_by_key(|image| image.place);
    let images: Vec<ImageId> = images.iter().map(|image| image.id).collect();
    let mut left_out = published.unreadable()?;
    let savings = left_out.take(asking(global, "images asked", |on_asked| {
        published.ask(|index| workers.install(|| layerprint_query::savings(index, &images, on_asked)))
    })?);
    let storage = left_out.take(asking(global, "layers read", |on_asked| {
        published.ask(|index| workers.install(|| storage(index, &images, on_asked)))
    })?);
    let groups = savings.groups();
    let is_none = groups.is_empty();
    rows::print(Form::of(global, command.tabular), &columns(), &rows_of(groups, &storage))?;
    if is_none && !published.tell_if_empty() && !global.quiet {
        complain("no stored image has a base that it shares no layers with");
    }
    Ok(left_out.tell(&published).max(if is_none { Status::Nothing } else { Status::Done }))
}

/// Shows how far a question is.
fn asking<T, E>(
    global: &Global,
    things: &'static str,
    ask: impl FnOnce(&(dyn Fn(Asked) + Sync)) -> Result<T, E>,
) -> Result<T, E> {
    let bar = bar(global.quiet, things);
    let answer = ask(&|asked| match asked {
        Asked::Total(number) => bar.set_length(number),
        Asked::One => bar.inc(1),
    });
    bar.finish_and_clear();
    answer
}

fn rows_of(groups: Vec<Group>, storage: &Storage) -> Vec<Row> {
    let sum = |of: fn(&Group) -> u64| groups.iter().map(of).fold(0, u64::saturating_add);
    let blank = Row {
        kind: "",
        base: Vec::new(),
        images: None,
        layers: None,
        contents: None,
        bytes: 0,
        saved_bytes: None,
    };
    let total = Row {
        kind: "rebased",
        base: Vec::new(),
        images: Some(sum(|group| group.images)),
        layers: Some(sum(|group| group.layers)),
        contents: None,
        bytes: sum(|group| group.bytes),
        saved_bytes: Some(sum(|group| group.saved_bytes)),
    };
    let group = |group: Group| Row {
        kind: "base",
        base: group.base,
        images: Some(group.images),
        layers: Some(group.layers),
        contents: None,
        bytes: group.bytes,
        saved_bytes: Some(group.saved_bytes),
    };
    let has_groups = !groups.is_empty();
    let mut rows: Vec<Row> = groups.into_iter().map(group).collect();
    rows.extend(has_groups.then_some(total));
    let by_layer = storage.image_bytes.saturating_sub(storage.layer_bytes);
    rows.push(Row {
        kind: "images",
        images: Some(storage.images),
        bytes: storage.image_bytes,
        ..blank.clone()
    });
    rows.push(Row {
        kind: "layers",
        layers: Some(storage.layers),
        bytes: storage.layer_bytes,
        saved_bytes: Some(by_layer),
        ..blank.clone()
    });
    rows.push(Row {
        kind: "contents",
        contents: Some(storage.contents),
        bytes: storage.content_bytes,
        saved_bytes: Some(storage.shared_by_content_bytes),
        ..blank
    });
    rows
}

type Fact = Column<Row>;

fn columns() -> Vec<Fact> {
    vec![
        Fact::new("kind", |row| json!(row.kind)),
        Fact::new("base", |row| if row.kind == "base" { json!(row.base) } else { Value::Null })
            .text("WHAT", what),
        Fact::new("images", |row| json!(row.images)).text("IMAGES", |row| shown(row.images)).right(),
        Fact::new("layers", |row| json!(row.layers)).text("LAYERS", |row| shown(row.layers)).right(),
        Fact::new("contents", |row| json!(row.contents)).text("CONTENTS", |row| shown(row.contents)).right(),
        Fact::new("bytes", |row| json!(row.bytes)).text("SIZE", |row| bytes(row.bytes)).right(),
        Fact::new("saved_bytes", |row| json!(row.saved_bytes))
            .text("SAVED", |row| row.saved_bytes.map(bytes).unwrap_or_default())
            .right(),
    ]
}

fn what(row: &Row) -> String {
    match row.kind {
        "base" => format!("if built on {}", either(&row.base)),
        "rebased" => "if all these were".into(),
        "images" => "every image by itself".into(),
        "layers" => "with layers shared".into(),
        _ => "with contents shared".into(),
    }
}

fn shown(number: Option<u64>) -> String {
    number.map(count).unwrap_or_default()
}
