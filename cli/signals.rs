//! Ctrl-C and SIGTERM: the first asks a run to come to an end, the second ends the process at once.
//!
//! The second does no harm either: what was acknowledged is on the disk, and what was not is read again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use layerprint_ingest::Stop;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::Status;

/// What was asked from outside.
#[derive(Default)]
pub struct Signals {
    /// Asked by the first signal.
    pub stop: Stop,
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// Catches both from now on.
    pub fn catch() -> io::Result<Self> {
        let (asked, last) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        for signal in [SIGINT, SIGTERM] {
            let number = usize::try_from(signal).expect("signals are small numbers");
            // First, so that it sees the flag as the signals before this one left it.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked))?;
            flag::register(signal, Arc::clone(&asked))?;
            flag::register_usize(signal, Arc::clone(&last), number)?;
        }
        Ok(Self { stop: asked.into(), last })
    }

    /// Returns how a run ends that was stopped.
    pub fn status(&self) -> Status {
        match i32::try_from(self.last.load(Ordering::Acquire)) {
            Ok(SIGTERM) => Status::Terminated,
            _ => Status::Interrupted,
        }
    }
}
