//! Asking a run to come to an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request to stop that can be made from anywhere, also from a signal handler.
///
/// A run that is asked begins no further layer. Those that are being read are finished, images that have all their layers
/// are too, and everything is committed.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks. There is no way back.
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Returns true once it was asked.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl From<Arc<AtomicBool>> for Stop {
    /// Takes a flag that somebody else sets.
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}
