//! `layerprint check`

use std::cell::RefCell;
use std::io::{self, Write};

use layerprint_store::id::ImageId;
use layerprint_store::{CheckEvent, Checked, Damage, Index};
use serde::Serialize;

use crate::args::{Check, Global};
use crate::error::Status;
use crate::output::{bytes, count, counted, plain, print_json};
use crate::progress::{byte_bar, complain};
use crate::store;

/// Images that are named for one damage; `--json` has all.
const IMAGES_NAMED_MAX: usize = 5;

/// Something that is damaged, as a line of JSON.
#[derive(Serialize)]
#[serde(tag = "event", rename = "damage")]
struct DamageLine<'a> {
    #[serde(flatten)]
    damage: &'a Damage,
    names: Vec<String>,
}

/// What the check came to, as a line of JSON.
#[derive(Serialize)]
#[serde(tag = "event", rename = "summary")]
struct SummaryLine<'a> {
    #[serde(flatten)]
    checked: &'a Checked,
}

pub fn run(global: &Global, command: &Check) -> anyhow::Result<Status> {
    let path = store::path(global)?;
    let damages = RefCell::new(Vec::new());
    let checked = store::wait_for(global, || {
        let bar = byte_bar(global.quiet, "checking".into());
        let checked = layerprint_store::check(&path, command.quick, &mut |event| match event {
            CheckEvent::Read(done, total) => {
                bar.set_length(total.max(done));
                bar.set_position(done);
            }
            CheckEvent::Damage(damage) => damages.borrow_mut().push(damage.clone()),
        });
        bar.finish_and_clear();
        checked
    })?;
    let index = Index::open(&path).ok();
    for damage in damages.borrow().iter() {
        print_damage(global, damage, &names(index.as_ref(), &damage.images))?;
    }
    print_summary(global, &checked, command.quick)?;
    Ok(if checked.damages == 0 { Status::Done } else { Status::Nothing })
}

/// Returns the first name of each image, or its ID.
pub fn names(index: Option<&Index>, images: &[ImageId]) -> Vec<String> {
    let first = |image: &ImageId| index?.names_of(image).ok()?.into_iter().next();
    images.iter().map(|image| first(image).unwrap_or_else(|| image.to_string())).collect()
}

fn print_damage(global: &Global, damage: &Damage, names: &[String]) -> anyhow::Result<()> {
    if global.json {
        return print_json(&DamageLine { damage, names: names.to_vec() });
    }
    let mut out = anstream::stdout().lock();
    writeln!(out, "{}: {}", plain(&damage.place), plain(&damage.problem))?;
    if !names.is_empty() {
        writeln!(out, "  images   {}", shortened(names))?;
    }
    writeln!(out, "  affects  {}", damage.effect)?;
    writeln!(out, "  remedy   {}", damage.remedy)?;
    Ok(())
}

/// Joins names; of many the first.
pub fn shortened(names: &[String]) -> String {
    let first: Vec<_> = names.iter().take(IMAGES_NAMED_MAX).map(|name| plain(name)).collect();
    match names.len().saturating_sub(IMAGES_NAMED_MAX) {
        0 => first.join(", "),
        more => format!("{}, and {} more", first.join(", "), count(more as u64)),
    }
}

fn print_summary(global: &Global, checked: &Checked, is_quick: bool) -> anyhow::Result<()> {
    if let Some(reason) = &checked.catalogue_skipped {
        complain(&format!("note: the catalogue was not read, which no question needs: {}", plain(reason)));
    }
    if global.json {
        return print_json(&SummaryLine { checked });
    }
    let found = match checked.damages {
        0 => "no damage".to_owned(),
        damages => counted(damages, "damage"),
    };
    let mut out = io::stdout().lock();
    if is_quick {
        writeln!(out, "{found} in headers, extents and the index; `layerprint check` reads everything")?;
        return Ok(());
    }
    writeln!(
        out,
        "{found} in {}, {}, {} and {} of the index; {} read",
        counted(checked.frames, "frame"),
        counted(checked.records, "record"),
        counted(checked.images, "image"),
        counted(checked.segments, "segment"),
        bytes(checked.read_bytes),
    )?;
    Ok(())
}
