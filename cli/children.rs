//! `layerprint children`

use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use layerprint_query::{Asked, Child};
use layerprint_store::{StoreError, Subject};
use serde_json::json;

use crate::args::{Children, Global};
use crate::error::Status;
use crate::find::evidence;
use crate::output::{align_right, count, names, percent, print_json, print_table, short, table};
use crate::progress::complain;
use crate::store::Published;

pub fn run(global: &Global, command: &Children) -> anyhow::Result<Status> {
    let published = Published::open(global)?;
    let base = match published.ask(|index| index.resolve(&command.base))? {
        Subject::Image(id) => id,
        Subject::Layer(_) => {
            let text = command.base.clone();
            return Err(StoreError::NotFound { text }).context("this is a layer, not an image");
        }
    };
    let bar = bar(global.quiet);
    let on_asked = |asked| match asked {
        Asked::Total(number) => bar.set_length(number),
        Asked::One => bar.inc(1),
    };
    let children =
        published.ask(|index| layerprint_query::children(index, &base, command.transitive, &on_asked));
    bar.finish_and_clear();
    let children = children?;
    match global.json {
        true => children.iter().try_for_each(|child| print_json(&as_json(child)))?,
        false => print(&children, command.transitive)?,
    }
    Ok(if children.is_empty() { Status::Nothing } else { Status::Done })
}

fn bar(quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("{spinner} images asked {pos:>7}/{len:<7} [{bar:30}] {eta}");
    let style = style.expect("the template is ours");
    let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn as_json(child: &Child) -> serde_json::Value {
    json!({
        "id": child.image.id,
        "names": child.image.names,
        "platform": child.image.platform,
        "created": child.image.created,
        "evidence": child.evidence,
        "containment": child.containment,
        "contents": child.contents,
        "via": child.via,
    })
}

fn print(children: &[Child], transitive: bool) -> std::io::Result<()> {
    if children.is_empty() {
        complain("no stored image is built on it");
        return Ok(());
    }
    let mut header = vec!["IMAGE ID", "LAYERS", "KEPT", "EVIDENCE", "NAMES"];
    header.extend(transitive.then_some("VIA"));
    let mut rows = table(&header);
    for child in children {
        let mut row = vec![
            short(child.image.id),
            count(child.image.layers as u64),
            percent(child.containment),
            evidence(child.evidence).to_owned(),
            names(&child.image.names),
        ];
        if transitive {
            row.push(child.via.iter().map(|tie| names(tie)).collect::<Vec<_>>().join(" > "));
        }
        rows.add_row(row);
    }
    align_right(&mut rows, &[1, 2]);
    print_table(&rows)
}
