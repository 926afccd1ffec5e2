//! The threads of a command that asks many images: as many as `--jobs` says, for everything that it asks.

use std::thread::available_parallelism;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Threads that are started by themselves: each takes some 12 MiB, and with as many a report stays below 512 MiB.
const THREADS_MAX: usize = 16;

/// Starts so many threads; one for each core, up to a limit, if nothing is said.
pub fn workers(jobs: Option<u16>) -> Result<ThreadPool, ThreadPoolBuildError> {
    let cores = || available_parallelism().map_or(1, |cores| cores.get().min(THREADS_MAX));
    ThreadPoolBuilder::new().num_threads(jobs.map_or_else(cores, usize::from)).build()
}
