//! `layerprint children`

use anyhow::Context;
use layerprint_query::{Asked, Child};
use layerprint_store::id::ImageId;
use layerprint_store::{StoreError, Subject};
use serde_json::json;

use crate::args::{Children, Global};
use crate::error::Status;
use crate::find::evidence;
use crate::output::{count, names, percent, short};
use crate::progress::{bar, complain};
use crate::rows::{self, Column, Form};
use crate::store::Published;

pub fn run(global: &Global, command: &Children) -> anyhow::Result<Status> {
    let published = Published::open(global)?;
    let base = stored_image(&published, &command.base)?;
    let bar = bar(global.quiet, "images asked");
    let on_asked = |asked| match asked {
        Asked::Total(number) => bar.set_length(number),
        Asked::One => bar.inc(1),
    };
    let children =
        published.ask(|index| layerprint_query::children(index, &base, command.transitive, &on_asked));
    bar.finish_and_clear();
    let children = children?;
    let form = Form::of(global, command.tabular);
    if children.is_empty() && form == Form::Text {
        complain("no stored image is built on it");
    } else {
        rows::print(form, &columns(command.transitive), &children)?;
    }
    let complete = published.report_unreadable()?;
    Ok(complete.max(if children.is_empty() { Status::Nothing } else { Status::Done }))
}

/// Returns the stored image that a text stands for.
pub fn stored_image(published: &Published, text: &str) -> anyhow::Result<ImageId> {
    match published.ask(|index| index.resolve(text))? {
        Subject::Image(id) => Ok(id),
        Subject::Layer(_) => {
            let text = text.to_owned();
            Err(StoreError::NotFound { text }).context("this is a layer, not an image")
        }
    }
}

type Fact = Column<Child>;

fn columns(transitive: bool) -> Vec<Fact> {
    let via = Fact::new("via", |child| json!(child.via));
    let shown_via = |child: &Child| child.via.iter().map(|tie| names(tie)).collect::<Vec<_>>().join(" > ");
    vec![
        Fact::new("id", |child| json!(child.image.id)).text("IMAGE ID", |child| short(child.image.id)),
        Fact::only_text("LAYERS", |child| count(child.image.layers as u64)).right(),
        Fact::only_text("KEPT", |child| percent(child.containment)).right(),
        Fact::only_text("EVIDENCE", |child| evidence(child.evidence).to_owned()),
        Fact::new("names", |child| json!(child.image.names)).text("NAMES", |child| names(&child.image.names)),
        Fact::new("platform", |child| json!(child.image.platform)),
        Fact::new("created", |child| json!(child.image.created)),
        Fact::new("evidence", |child| json!(child.evidence)),
        Fact::new("containment", |child| json!(child.containment)),
        Fact::new("contents.present", |child| json!(child.contents.present)),
        Fact::new("contents.total", |child| json!(child.contents.total)),
        if transitive { via.text("VIA", shown_via) } else { via },
    ]
}
