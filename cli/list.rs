//! `layerprint list`

use layerprint_store::ImageRecord;
use serde_json::json;

use crate::args::{Global, List};
use crate::error::Status;
use crate::output::{bytes, count, day, names, plain, short};
use crate::rows::{self, Column, Form};
use crate::store;

type Listed = (Vec<String>, ImageRecord);

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
    rows::print(Form::of(global, command.tabular), &columns(), &images)?;
    Ok(if images.is_empty() { Status::Nothing } else { Status::Done })
}

type Fact = Column<Listed>;

fn columns() -> Vec<Fact> {
    vec![
        Fact::new("id", |(_, record)| json!(record.id)).text("IMAGE ID", |(_, record)| short(record.id)),
        Fact::new("platform", |(_, record)| json!(record.platform.to_string()))
            .text("PLATFORM", |(_, record)| plain(&record.platform.to_string()).into_owned()),
        Fact::new("created", |(_, record)| json!(record.created))
            .text("CREATED", |(_, record)| day(record.created.as_deref())),
        Fact::new("layers", |(_, record)| json!(record.layers))
            .text("LAYERS", |(_, record)| record.layers.len().to_string())
            .right(),
        Fact::new("files", |(_, record)| json!(record.file_count))
            .text("FILES", |(_, record)| count(record.file_count))
            .right(),
        Fact::new("contents", |(_, record)| json!(record.content_count)),
        Fact::new("content_bytes", |(_, record)| json!(record.content_size_bytes))
            .text("SIZE", |(_, record)| bytes(record.content_size_bytes))
            .right(),
        Fact::new("names", |(names, _)| json!(names)).text("NAMES", |(all, _)| names(all)),
        Fact::new("set_id", |(_, record)| json!(record.set_id)),
        Fact::new("manifests", |(_, record)| json!(record.manifests)),
        Fact::new("anomalies", |(_, record)| json!(record.anomalies.counts())).cell(odd),
    ]
}

/// What is odd, as a list: `name 2; other 1`.
fn odd((_, record): &Listed) -> String {
    let counts = json!(record.anomalies.counts());
    let counts = counts.as_object().into_iter().flatten();
    counts.map(|(kind, number)| format!("{kind} {number}")).collect::<Vec<_>>().join("; ")
}
