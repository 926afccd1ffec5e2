//! `layerprint show`

use std::io::{self, Write};

use layerprint_query::Layers;
use layerprint_store::id::{DiffId, ImageId};
use layerprint_store::{Anomalies, Entry, EntryKind, ImageRecord, Index, LayerRecord, StoreError, Subject};
use serde_json::{Value, json};

use crate::args::{Global, Show};
use crate::error::Status;
use crate::output::{
    align_right, bytes, count, names, path, path_value, plain, print_json, print_table, short, table,
};
use crate::store;

pub fn run(global: &Global, command: &Show) -> anyhow::Result<Status> {
    let index = store::Published::open(global)?.index();
    match index.resolve(&command.subject)? {
        Subject::Image(id) => show_image(global, command, &index, &id)?,
        Subject::Layer(id) => show_layer(global, command, &index, &id)?,
    }
    Ok(Status::Done)
}

fn show_image(global: &Global, command: &Show, index: &Index, id: &ImageId) -> anyhow::Result<()> {
    let record = index.image(id)?.ok_or_else(|| StoreError::NotFound { text: id.to_string() })?;
    if !command.files {
        return match global.json {
            true => print_json(&image_json(index, &record)?),
            false => print_image(index, &record),
        };
    }
    let layers = Layers::stored(index, &record.layers)?;
    let view = layers.view();
    if !global.json {
        return Ok(print_entries(view.entries())?);
    }
    let mut value = image_json(index, &record)?;
    value["files"] = view.entries().map(|(path, entry)| entry_json(path, entry)).collect();
    print_json(&value)
}

fn show_layer(global: &Global, command: &Show, index: &Index, id: &DiffId) -> anyhow::Result<()> {
    let not_found = || StoreError::NotFound { text: id.to_string() };
    let record = index.layer(id)?.ok_or_else(not_found)?;
    if !command.files {
        return match global.json {
            true => print_json(&layer_json(&record)),
            false => Ok(print_layer(&record)?),
        };
    }
    let fingerprint = index.fingerprint(id)?.ok_or_else(not_found)?;
    let files = fingerprint.entries().iter().map(|entry| (&*entry.path, entry));
    if !global.json {
        return Ok(print_entries(files)?);
    }
    let mut value = layer_json(&record);
    value["files"] = files.map(|(path, entry)| entry_json(path, entry)).collect();
    print_json(&value)
}

fn image_json(index: &Index, record: &ImageRecord) -> anyhow::Result<Value> {
    let mut value = json!({
        "kind": "image",
        "names": index.names_of(&record.id)?,
        "platform_name": record.platform.to_string(),
    });
    let fields = serde_json::to_value(record)?;
    if let (Value::Object(value), Value::Object(fields)) = (&mut value, fields) {
        value.extend(fields);
    }
    Ok(value)
}

fn layer_json(record: &LayerRecord) -> Value {
    let mut value = json!(record);
    value["kind"] = "layer".into();
    value
}

fn print_image(index: &Index, record: &ImageRecord) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let names_of = index.names_of(&record.id)?;
    writeln!(out, "image     {}", record.id)?;
    writeln!(out, "names     {}", names(&names_of))?;
    writeln!(out, "platform  {}", plain(&record.platform.to_string()))?;
    writeln!(out, "created   {}", plain(record.created.as_deref().unwrap_or("unknown")))?;
    let contents = (count(record.content_count), bytes(record.content_size_bytes));
    writeln!(
        out,
        "files     {}, {} distinct contents, {}",
        count(record.file_count),
        contents.0,
        contents.1
    )?;
    for manifest in &record.manifests {
        writeln!(out, "manifest  {manifest}")?;
    }
    print_anomalies(&mut out, &record.anomalies)?;
    let mut rows = table(&["LAYER", "ENTRIES", "FILES", "SIZE", "ODD"]);
    for layer in &record.layers {
        if let Some(layer) = index.layer(layer)? {
            let odd: u64 = layer.anomalies.counts().values().sum();
            rows.add_row([
                short(layer.diff_id),
                count(layer.entry_count),
                count(layer.file_count),
                bytes(layer.file_size_bytes),
                if odd == 0 { String::new() } else { count(odd) },
            ]);
        }
    }
    align_right(&mut rows, &[1, 2, 3, 4]);
    drop(out);
    Ok(print_table(&rows)?)
}

fn print_layer(record: &LayerRecord) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "layer     {}", record.diff_id)?;
    writeln!(out, "entries   {}", count(record.entry_count))?;
    writeln!(out, "files     {}, {}", count(record.file_count), bytes(record.file_size_bytes))?;
    writeln!(out, "tar       {}", bytes(record.tar_size_bytes))?;
    print_anomalies(&mut out, &record.anomalies)
}

fn print_anomalies(out: &mut impl Write, anomalies: &Anomalies) -> io::Result<()> {
    for (kind, number) in anomalies.counts() {
        let example = anomalies.examples().iter().find(|example| example.kind == *kind);
        let detail = example.map(|example| example.detail.as_str()).unwrap_or_default();
        let kind = serde_json::to_value(kind).ok().and_then(|kind| kind.as_str().map(str::to_owned));
        writeln!(out, "odd       {} x {}: {}", count(*number), kind.unwrap_or_default(), plain(detail))?;
    }
    Ok(())
}

fn print_entries<'a>(entries: impl Iterator<Item = (&'a [u8], &'a Entry)>) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for (name, entry) in entries {
        let (kind, what) = describe(entry);
        writeln!(out, "{kind:<9} {:04o} {what:<71} {}", entry.mode, path(name))?;
    }
    out.flush()
}

fn describe(entry: &Entry) -> (&'static str, String) {
    match &entry.kind {
        EntryKind::File { content, .. } => ("file", content.id.to_string()),
        EntryKind::Directory => ("directory", String::new()),
        EntryKind::Symlink(target) => ("symlink", format!("-> {}", path(target))),
        EntryKind::HardLink(target) => ("hardlink", format!("-> {}", path(target))),
        EntryKind::CharDevice { major, minor } => ("char", format!("{major}:{minor}")),
        EntryKind::BlockDevice { major, minor } => ("block", format!("{major}:{minor}")),
        EntryKind::Fifo => ("fifo", String::new()),
        EntryKind::Whiteout => ("whiteout", String::new()),
        EntryKind::Opaque => ("opaque", String::new()),
    }
}

fn entry_json(name: &[u8], entry: &Entry) -> Value {
    let (kind, what) = describe(entry);
    let mut value = json!({
        "path": path_value(name), "kind": kind, "mode": entry.mode, "uid": entry.uid, "gid": entry.gid,
    });
    match &entry.kind {
        EntryKind::File { content, linked } => {
            value["content"] = what.into();
            value["size_bytes"] = content.size_bytes.into();
            value["linked"] = (*linked).into();
        }
        EntryKind::Symlink(target) | EntryKind::HardLink(target) => {
            value["target"] = path_value(target).into()
        }
        EntryKind::CharDevice { .. } | EntryKind::BlockDevice { .. } => value["device"] = what.into(),
        _ => {}
    }
    value
}
