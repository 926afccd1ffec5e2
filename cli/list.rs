//! `layerprint list`

use layerprint_store::ImageRecord;
use serde_json::json;

use crate::args::{Global, List};
use crate::error::Status;
use crate::output::{align_right, bytes, count, names, plain, print_json, print_table, short, table};
use crate::store;

pub fn run(global: &Global, command: &List) -> anyhow::Result<Status> {
    let index = store::Published::open(global)?.index();
    let mut images = Vec::new();
    for record in index.images() {
        let record = record?;
        let names = index.names_of(&record.id)?;
        let wanted = |text: &String| names.iter().any(|name| name.contains(text.as_str()));
        if command.filter.as_ref().is_none_or(wanted) {
            images.push((names, record));
        }
    }
    images.sort_by(|a, b| (&a.0, a.1.id).cmp(&(&b.0, b.1.id)));
    match global.json {
        true => images.iter().try_for_each(|(names, record)| print_json(&as_json(names, record)))?,
        false => print(&images)?,
    }
    Ok(if images.is_empty() { Status::Nothing } else { Status::Done })
}

fn as_json(names: &[String], record: &ImageRecord) -> serde_json::Value {
    json!({
        "id": record.id,
        "names": names,
        "platform": record.platform.to_string(),
        "created": record.created,
        "layers": record.layers,
        "set_id": record.set_id,
        "files": record.file_count,
        "contents": record.content_count,
        "content_bytes": record.content_size_bytes,
        "manifests": record.manifests,
        "anomalies": record.anomalies.counts(),
    })
}

fn print(images: &[(Vec<String>, ImageRecord)]) -> std::io::Result<()> {
    let mut table = table(&["IMAGE ID", "PLATFORM", "CREATED", "LAYERS", "FILES", "SIZE", "NAMES"]);
    for (names_of, record) in images {
        table.add_row([
            short(record.id),
            plain(&record.platform.to_string()).into_owned(),
            created(record),
            record.layers.len().to_string(),
            count(record.file_count),
            bytes(record.content_size_bytes),
            names(names_of),
        ]);
    }
    align_right(&mut table, &[3, 4, 5]);
    print_table(&table)
}

/// Returns the day of an RFC 3339 time.
fn created(record: &ImageRecord) -> String {
    let day: String = record.created.as_deref().unwrap_or("-").chars().take("2026-01-31".len()).collect();
    plain(&day).into_owned()
}
