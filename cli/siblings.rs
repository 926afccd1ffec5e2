//! `layerprint siblings`

use layerprint_ingest::Options;
use layerprint_query::{Asked, Sibling, Siblings, Subject};
use serde_json::json;

use crate::args::{Global, Siblings as Command};
use crate::error::Status;
use crate::find::evidence;
use crate::output::{count, either, names, percent, plain, short};
use crate::progress::{bar, complain};
use crate::rows::{self, Column, Form};
use crate::store::Published;
use crate::subjects::Reader;

/// A sibling, and of what.
struct Row {
    source: String,
    base: Vec<String>,
    sibling: Sibling,
}

pub fn run(global: &Global, command: &Command) -> anyhow::Result<Status> {
    let source = command.image.parse()?;
    let published = Published::open(global)?;
    let options = Options { platform: command.platform.clone(), ..Options::default() };
    let reader = Reader { global, published: &published, options, store: None };
    let mut rows = Vec::new();
    let mut asked = |origin: &str, subject: &Subject| {
        let found = ask(global, &published, origin, subject)?;
        let is_alone = found.siblings.is_empty();
        rows.extend(told(origin, found));
        Ok(if is_alone { Status::Nothing } else { Status::Done })
    };
    let (mut status, troubles) = reader.each(&source, &mut asked)?;
    for trouble in &troubles {
        trouble.complain();
        status = status.max(trouble.status);
    }
    let form = Form::of(global, command.tabular);
    if form != Form::Text || !rows.is_empty() {
        rows::print(form, &columns(), &rows)?;
    }
    Ok(status.max(published.report_unreadable()?))
}

fn ask(global: &Global, published: &Published, origin: &str, subject: &Subject) -> anyhow::Result<Siblings> {
    let bar = bar(global.quiet, "images asked");
    let on_asked = |asked| match asked {
        Asked::Total(number) => bar.set_length(number),
        Asked::One => bar.inc(1),
    };
    let found = published.ask(|index| layerprint_query::siblings(index, subject, origin, &on_asked));
    bar.finish_and_clear();
    Ok(found?)
}

/// Says on what an image is built, and why nothing else is where that is so.
fn told(origin: &str, found: Siblings) -> Vec<Row> {
    let base = found.finding.base.map(|base| base.names).unwrap_or_default();
    let shown = plain(origin);
    match (found.siblings.is_empty(), found.finding.verdict) {
        (false, _) => complain(&format!("{shown} is built on {}; so are:", either(&base))),
        (true, layerprint_query::Verdict::Base) => {
            complain(&format!("{shown} is built on {}; no other stored image is", either(&base)));
        }
        (true, _) => {
            let reason = plain(&found.finding.reason);
            complain(&format!("{shown}: its base is not known, so nor are its siblings: {reason}"));
        }
    }
    let row = |sibling| Row { source: origin.to_owned(), base: base.clone(), sibling };
    found.siblings.into_iter().map(row).collect()
}

type Fact = Column<Row>;

fn columns() -> Vec<Fact> {
    vec![
        Fact::new("source", |row| json!(row.source)),
        Fact::new("base", |row| json!(row.base)),
        Fact::new("id", |row| json!(row.sibling.child.image.id))
            .text("IMAGE ID", |row| short(row.sibling.child.image.id)),
        Fact::only_text("LAYERS", |row| count(row.sibling.child.image.layers as u64)).right(),
        Fact::only_text("KEPT", |row| percent(row.sibling.child.containment)).right(),
        Fact::new("evidence", |row| json!(row.sibling.child.evidence))
            .text("EVIDENCE", |row| evidence(row.sibling.child.evidence).to_owned()),
        Fact::new("same", |row| json!(row.sibling.same))
            .text("SAME", |row| if row.sibling.same { "same".into() } else { String::new() }),
        Fact::new("names", |row| json!(row.sibling.child.image.names))
            .text("NAMES", |row| names(&row.sibling.child.image.names)),
        Fact::new("platform", |row| json!(row.sibling.child.image.platform)),
        Fact::new("created", |row| json!(row.sibling.child.image.created)),
        Fact::new("containment", |row| json!(row.sibling.child.containment)),
    ]
}
