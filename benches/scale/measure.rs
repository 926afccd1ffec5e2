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

/// How long each question took, in the order of the questions.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Times(pub Vec<f64>);

impl Times {
    pub fn questions(&self) -> usize {
        self.0.len()
    }

    pub fn median_ms(&self) -> f64 {
        per_cent(&self.0, 50)
    }

    pub fn p99_ms(&self) -> f64 {
        per_cent(&self.0, 99)
    }

    /// How many times as long as another the median question takes, of those that both were asked.
    pub fn beside(&self, other: &Self) -> f64 {
        let ratios: Vec<f64> = self.0.iter().zip(&other.0).map(|(own, other)| own / other).collect();
        per_cent(&ratios, 50)
    }
}

/// Returns the least number that so many in a hundred do not exceed.
pub fn per_cent(numbers: &[f64], share: usize) -> f64 {
    let mut numbers = numbers.to_vec();
    numbers.sort_by(f64::total_cmp);
    let place = (numbers.len() * share).div_ceil(100).saturating_sub(1);
    numbers.get(place).copied().unwrap_or(f64::NAN)
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
    Ok((Times(milliseconds), answers))
}
