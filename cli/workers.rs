//! The threads of a command that asks many images: as many as `--jobs` says, for everything that it asks.

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Starts so many threads; one for each core if nothing is said.
pub fn workers(jobs: Option<u16>) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new().num_threads(jobs.map_or(0, usize::from)).build()
}
