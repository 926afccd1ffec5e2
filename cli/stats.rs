//! `layerprint stats`

use layerprint_store::{IndexStats, Stats};
use serde::Serialize;

use crate::args::Global;
use crate::error::Status;
use crate::output::{align_right, bytes, count, print_json, print_table, table};
use crate::store;

/// Both, as one object.
#[derive(Serialize)]
struct All {
    #[serde(flatten)]
    stats: Stats,
    index: IndexStats,
}

pub fn run(global: &Global) -> anyhow::Result<Status> {
    let index = store::Published::open(global)?.index();
    let (stats, index) = (index.totals()?, index.stats());
    if global.json {
        print_json(&All { stats, index })?;
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
        ("index", bytes(index.segment_bytes)),
        ("contents in it", count(index.keys)),
    ] {
        rows.add_row([name.to_owned(), value]);
    }
    align_right(&mut rows, &[1]);
    print_table(&rows)?;
    Ok(Status::Done)
}
