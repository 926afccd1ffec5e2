//! Time and memory of one tool, in a process of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::answers::{Answer, CHECKED};
use super::queries::{Query, Questions};

/// How often a process looks at its own memory.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Fewest questions that make a figure, however long they take.
const QUESTIONS_MIN: usize = 3;

/// Peaks of a process's memory.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Memory {
    /// All pages that were in memory at once, mapped files included (`VmHWM`).
    pub peak_bytes: u64,
    /// Pages that belong to no file (`RssAnon`).
    pub anonymous_peak_bytes: u64,
}

/// Looks at the memory of this process until it is asked for the result.
pub struct Watch {
    stop: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Watch {
    pub fn start() -> Self {
        let (stop, peak) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, highest) = (Arc::clone(&stop), Arc::clone(&peak));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                highest.fetch_max(status_bytes("RssAnon:"), Ordering::Relaxed);
                thread::sleep(LOOK_EVERY);
            }
        });
        Self { stop, peak, thread }
    }

    pub fn finish(self) -> Memory {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watching thread does not panic");
        let anonymous = self.peak.load(Ordering::Relaxed).max(status_bytes("RssAnon:"));
        Memory { peak_bytes: status_bytes("VmHWM:"), anonymous_peak_bytes: anonymous }
    }
}

/// Returns a size from `/proc/self/status`; zero where there is none.
fn status_bytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}

/// How long questions took.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Times {
    pub questions: usize,
    pub median_ms: f64,
    pub p99_ms: f64,
}

impl Times {
    pub fn of(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_by(f64::total_cmp);
        let questions = milliseconds.len();
        let at = |per_cent: usize| {
            let place = (questions * per_cent).div_ceil(100).saturating_sub(1);
            milliseconds.get(place).copied().unwrap_or(f64::NAN)
        };
        Self { questions, median_ms: at(50), p99_ms: at(99) }
    }
}

/// Asks all questions one after another, once unmeasured and once measured, each for no longer than half the time given.
///
/// Reading a question and bringing what was found into the common form stay outside the time that is measured.
pub fn ask<T>(
    questions: &Questions,
    limit: Duration,
    mut find: impl FnMut(&Query) -> Result<T>,
    answer: impl Fn(T) -> Result<Answer>,
) -> Result<(Times, Vec<Answer>)> {
    let mut answers = Vec::new();
    let started = Instant::now();
    for number in 0..questions.len() {
        let found = find(&questions.get(number)?)?;
        if number < CHECKED {
            answers.push(answer(found)?);
        }
        if started.elapsed() > limit / 2 {
            break;
        }
    }
    let mut milliseconds = Vec::new();
    let started = Instant::now();
    for number in 0..questions.len() {
        let query = questions.get(number)?;
        let asked = Instant::now();
        std::hint::black_box(find(&query)?);
        milliseconds.push(asked.elapsed().as_secs_f64() * 1e3);
        if started.elapsed() > limit / 2 && milliseconds.len() >= QUESTIONS_MIN {
            break;
        }
    }
    Ok((Times::of(milliseconds), answers))
}
