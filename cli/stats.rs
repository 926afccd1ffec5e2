//! `layerprint stats`

use crate::args::Global;
use crate::error::Status;
use crate::output::{align_right, bytes, count, print_json, print_table, table};
use crate::store;

pub fn run(global: &Global) -> anyhow::Result<Status> {
    let store = store::open(global)?;
    let stats = store.stats()?;
    if global.json {
        print_json(&stats)?;
        return Ok(Status::Done);
    }
    let mut rows = table(&["WHAT", "HOW MUCH"]);
    for (name, value) in [
        ("images", count(stats.images)),
        ("names", count(stats.names)),
        ("layers", count(stats.layers)),
        ("entries", count(stats.entries)),
        ("unpacked layers", bytes(stats.tar_bytes)),
        ("packs", bytes(stats.pack_bytes)),
        ("of them in use", bytes(stats.live_bytes)),
        ("catalogue", bytes(stats.catalogue_bytes)),
    ] {
        rows.add_row([name.to_owned(), value]);
    }
    align_right(&mut rows, &[1]);
    print_table(&rows)?;
    Ok(Status::Done)
}
