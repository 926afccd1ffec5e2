//! `layerprint forget`

use std::io::{self, Write};

use layerprint_store::Subject;

use crate::args::{Forget, Global};
use crate::error::Status;
use crate::output::{counted, print_json, short};
use crate::store;

pub fn run(global: &Global, command: &Forget) -> anyhow::Result<Status> {
    let store = store::open(global)?;
    let index = store.index()?;
    let mut images = Vec::new();
    for text in &command.images {
        match index.resolve(text)? {
            Subject::Image(image) => images.push(image),
            Subject::Layer(layer) => anyhow::bail!("{layer} is a layer; forget the images that have it"),
        }
    }
    let forgotten = store.forget(&images)?;
    if global.json {
        print_json(&forgotten)?;
        return Ok(Status::Done);
    }
    let mut out = io::stdout().lock();
    for image in &forgotten.images {
        writeln!(out, "forgot {}", short(image))?;
    }
    let layers = counted(forgotten.layers.len() as u64, "layer");
    writeln!(out, "{} and {layers} went with them", counted(forgotten.names, "name"))?;
    Ok(Status::Done)
}
