//! How far a run is, in numbers and in one line of text.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use layerprint_ingest::progress::Progress;

use crate::output::{bytes, count, counted};

/// What passed, counted across threads.
#[derive(Debug, Default)]
pub struct Counted {
    pub images_found: AtomicU64,
    /// Stored, or known to be.
    pub images_done: AtomicU64,
    pub images_known: AtomicU64,
    pub failed: AtomicU64,
    pub skipped: AtomicU64,
    pub layers_read: AtomicU64,
    pub layers_known: AtomicU64,
    pub queued_bytes: AtomicU64,
    pub read_bytes: AtomicU64,
    /// True once all there is to do has been found.
    pub is_planned: AtomicBool,
}

impl Counted {
    /// Counts what happened.
    pub fn on(&self, event: &Progress) {
        let (counter, by) = match event {
            Progress::ImageFound => (&self.images_found, 1),
            Progress::ImageDone(row) => {
                self.images_known.fetch_add(row.known.into(), Ordering::Relaxed);
                (&self.images_done, 1)
            }
            Progress::Failed(_) => (&self.failed, 1),
            Progress::Skipped(_) => (&self.skipped, 1),
            Progress::LayerQueued(size_bytes) | Progress::ArchiveQueued(size_bytes) => {
                (&self.queued_bytes, *size_bytes)
            }
            Progress::LayerRead => (&self.layers_read, 1),
            Progress::LayerKnown => (&self.layers_known, 1),
            Progress::Read(count) => (&self.read_bytes, *count),
            Progress::Planned => return self.is_planned.store(true, Ordering::Relaxed),
            Progress::Corrected { .. } | Progress::Stopping(_) => return,
        };
        counter.fetch_add(by, Ordering::Relaxed);
    }

    /// Returns what a counter has come to.
    pub fn of(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Says how far a run is, when so many bytes were read in the time that just passed.
    pub fn line(&self, verb: &str, just_read_bytes: u64, passed: Duration) -> String {
        let is_planned = self.is_planned.load(Ordering::Relaxed);
        let least = if is_planned { "" } else { "at least " };
        let [done, read] = [&self.images_done, &self.read_bytes].map(Self::of);
        let images = Self::of(&self.images_found).max(done);
        let queued = Self::of(&self.queued_bytes).max(read);
        let mut line = format!("{verb}: {} of {least}{}", count(done), counted(images, "image"));
        line += &format!(", {}", counted(Self::of(&self.layers_read), "layer"));
        line += &format!(", {} of {least}{} read", bytes(read), bytes(queued));
        let rate = rate(just_read_bytes, passed);
        if rate > 0 {
            line += &format!(" at {}/s", bytes(rate));
        }
        for (what, counter) in [("skipped", &self.skipped), ("failed", &self.failed)] {
            if Self::of(counter) > 0 {
                line += &format!(", {} {what}", count(Self::of(counter)));
            }
        }
        let left_s = (queued - read).checked_div(rate).filter(|left_s| *left_s > 0);
        let about = if is_planned { "about " } else { least };
        line + &left_s.map(|left_s| format!(", {about}{} left", time(left_s))).unwrap_or_default()
    }
}

fn rate(count: u64, passed: Duration) -> u64 {
    let rate = (u128::from(count) * 1000).checked_div(passed.as_millis()).unwrap_or(0);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// A time for people: `40 s`, `7 min`, `3.5 h`.
fn time(seconds: u64) -> String {
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6000 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{}.{} h", seconds / 3600, seconds % 3600 / 360),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_line_says_how_far_a_run_is() {
        let counted = Counted {
            images_found: 5_310.into(),
            images_done: 1_204.into(),
            failed: 3.into(),
            layers_read: 8_812.into(),
            queued_bytes: (180 * GIB).into(),
            read_bytes: (41 * GIB).into(),
            ..Counted::default()
        };
        let line = || counted.line("ingest", 10 * GIB, Duration::from_secs(30));
        let planning = "ingest: 1,204 of at least 5,310 images, 8,812 layers, 41.00 GiB of at least 180.00 GiB read \
                        at 341.33 MiB/s, 3 failed, at least 7 min left";
        assert_eq!(line(), planning);
        counted.on(&Progress::Planned);
        let planned = "ingest: 1,204 of 5,310 images, 8,812 layers, 41.00 GiB of 180.00 GiB read at 341.33 MiB/s, \
                       3 failed, about 7 min left";
        assert_eq!(line(), planned);
    }

    #[test]
    fn where_nothing_moves_no_time_is_promised() {
        let counted = Counted::default();
        let line = || counted.line("ingest", 0, Duration::from_secs(30));
        assert_eq!(line(), "ingest: 0 of at least 0 images, 0 layers, 0 B of at least 0 B read");
        counted.on(&Progress::ArchiveQueued(GIB));
        counted.on(&Progress::Planned);
        assert_eq!(line(), "ingest: 0 of 0 images, 0 layers, 0 B of 1.00 GiB read");
        assert_eq!(counted.line("find", GIB, Duration::ZERO), line().replace("ingest", "find"));
    }

    #[test]
    fn times_are_told_as_people_tell_them() {
        assert_eq!([40, 100, 5_999, 12_600].map(time), ["40 s", "2 min", "100 min", "3.5 h"]);
    }
}
