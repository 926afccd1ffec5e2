//! Finding and opening the store.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use etcetera::BaseStrategy;
use layerprint_store::{Index, Store, StoreError};

use crate::args::Global;
use crate::output::plain;

/// How long another process may hold the store before this one gives up: longer than a question takes, so that several
/// can be asked at once; shorter than anybody would wait for a large ingest without a word.
const WAIT: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long it is waited in silence.
const SILENCE: Duration = Duration::from_secs(1);

/// Opens the store, which must be there.
pub fn open(global: &Global) -> anyhow::Result<Store> {
    let path = path(global)?;
    Ok(wait_for(global, || Store::open(&path))?)
}

/// Opens what is published of the store, which must be there. Waits for nobody unless it must be mended.
pub fn index(global: &Global) -> anyhow::Result<Index> {
    let path = path(global)?;
    Ok(wait_for(global, || Index::open(&path))?)
}

/// Opens the store, and makes it if it is not there.
pub fn open_or_create(global: &Global) -> anyhow::Result<Store> {
    let path = path(global)?;
    Ok(wait_for(global, || Store::create_or_open(&path))?)
}

/// Returns the store's folder: as told, else in the XDG data folder.
fn path(global: &Global) -> anyhow::Result<PathBuf> {
    if let Some(path) = &global.store {
        return Ok(path.clone());
    }
    let folders = etcetera::choose_base_strategy().context("no home folder is known; give --store")?;
    Ok(folders.data_dir().join("layerprint"))
}

/// Tries again while another process has the store.
fn wait_for<T>(global: &Global, open: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let started = Instant::now();
    let mut told = global.quiet;
    loop {
        match open() {
            Err(StoreError::Locked { path }) if started.elapsed() < WAIT => {
                if !told && started.elapsed() > SILENCE {
                    eprintln!("waiting for another process to leave {}", plain(&path.display().to_string()));
                    told = true;
                }
                thread::sleep(LOOK_AGAIN);
            }
            opened => return opened,
        }
    }
}
