//! Finding and opening the store.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use etcetera::BaseStrategy;
use layerprint_store::{Index, Store, StoreError, Subject};

use crate::args::Global;
use crate::error::Status;
use crate::left_out::LeftOut;
use crate::output::plain;
use crate::progress::complain;

/// How long another process may hold the store before this one gives up: longer than a question takes, so that several
/// can be asked at once; shorter than anybody would wait for a large ingest without a word.
const WAIT: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long it is waited in silence.
const SILENCE: Duration = Duration::from_secs(1);

/// What is published of a store, for commands that ask.
pub struct Published {
    root: PathBuf,
    index: Mutex<Arc<Index>>,
}

impl Published {
    /// Opens what is published. Waits for no one and writes nothing.
    pub fn open(global: &Global) -> anyhow::Result<Self> {
        let index = Index::open(&path(global)?)?;
        if index.is_behind()? {
            complain(
                "note: newer commits are not in the index yet; this answers from what was published before",
            );
        }
        Ok(Self::of(index))
    }

    /// Takes an index that is open.
    pub fn of(index: Index) -> Self {
        Self { root: index.root().to_owned(), index: Mutex::new(Arc::new(index)) }
    }

    /// Returns the state that is asked.
    pub fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says what to do if no image is stored. Returns true if that is so.
    pub fn tell_if_empty(&self) -> bool {
        let is_empty = self.index().images().next().is_none();
        if is_empty {
            complain(
                "no image is stored\nhint: read some first: layerprint ingest FOLDER; or name another --store",
            );
        }
        is_empty
    }

    /// Asks what is published now from here on.
    pub fn refresh(&self) -> Result<(), StoreError> {
        let index = Arc::new(Index::open(&self.root)?);
        *self.index.lock().unwrap_or_else(PoisonError::into_inner) = index;
        Ok(())
    }

    /// Asks what is published.
    pub fn ask<T>(&self, question: impl Fn(&Index) -> Result<T, StoreError>) -> Result<T, StoreError> {
        question(&self.index())
    }

    /// Says which layers the index could not read. Any answer may lack what they hold, so that its status says so too.
    pub fn report_unreadable(&self) -> Result<Status, StoreError> {
        Ok(self.unreadable()?.tell(self))
    }

    /// Returns the layers that the index could not read.
    pub fn unreadable(&self) -> Result<LeftOut, StoreError> {
        let mut left_out = LeftOut::default();
        for layer in self.index().unreadable_layers(None)? {
            left_out.add(Subject::Layer(layer), StoreError::UnreadableLayer { layer });
        }
        Ok(left_out)
    }
}

/// Opens the store, which must be there.
pub fn open(global: &Global) -> anyhow::Result<Store> {
    let path = path(global)?;
    Ok(with_notice(wait_for(global, || Store::open(&path))?))
}

/// Opens the store, and makes it if it is not there.
pub fn open_or_create(global: &Global) -> anyhow::Result<Store> {
    let path = path(global)?;
    Ok(with_notice(wait_for(global, || Store::create_or_open(&path))?))
}

/// Says what was repaired when the store was opened.
fn with_notice(store: Store) -> Store {
    store.notice().iter().for_each(|notice| complain(&format!("note: {}", plain(notice))));
    store
}

/// Returns the store's folder: as told, else in the XDG data folder.
pub fn path(global: &Global) -> anyhow::Result<PathBuf> {
    if let Some(path) = &global.store {
        return Ok(path.clone());
    }
    let folders = etcetera::choose_base_strategy().context("no home folder is known; give --store")?;
    Ok(folders.data_dir().join("layerprint"))
}

/// Tries again while another process has the store.
pub fn wait_for<T>(global: &Global, open: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let started = Instant::now();
    let mut told = global.quiet;
    loop {
        match open() {
            Err(StoreError::Locked { path }) if started.elapsed() < WAIT => {
                if !told && started.elapsed() > SILENCE {
                    complain(&format!(
                        "waiting for another process to leave {}",
                        plain(&path.display().to_string())
                    ));
                    told = true;
                }
                thread::sleep(LOOK_AGAIN);
            }
            opened => return opened,
        }
    }
}
