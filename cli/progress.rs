//! Progress bars on stderr; nothing where that is no terminal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use layerprint_ingest::progress::Progress;

use crate::output::count;

/// Returns a bar for one number of things, on stderr; hidden if told to be quiet, or where that is no terminal.
pub fn bar(quiet: bool, things: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {pos:>7}/{len:<7} [{bar:30}] {eta}");
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(None, target).with_message(things);
    bar.set_style(style.expect("the template is ours"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Returns a bar for bytes, like [`bar`].
pub fn byte_bar(quiet: bool, what: String) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{spinner} {msg} {bytes:>12} of {total_bytes:<12} [{bar:30}] {bytes_per_sec} {eta}",
    );
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(None, target).with_message(what);
    bar.set_style(style.expect("the template is ours"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Images, layers and bytes of a run.
pub struct Bars {
    all: MultiProgress,
    images: ProgressBar,
    layers: ProgressBar,
    bytes: ProgressBar,
    known: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
}

impl Bars {
    /// Shows the bars unless told to be quiet.
    pub fn new(quiet: bool) -> Self {
        let all = MultiProgress::new();
        if quiet {
            all.set_draw_target(ProgressDrawTarget::hidden());
        }
        let bar = |style: &str| {
            let style = ProgressStyle::with_template(style).expect("the template is ours");
            let bar = all.add(ProgressBar::new(0).with_style(style));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        };
        let images = bar("{spinner} images {pos:>7}/{len:<7} {wide_msg}");
        let layers = bar("  layers {pos:>7}/{len:<7} [{bar:30}] {eta}");
        let bytes = bar("  read   {bytes:>15} of {total_bytes}, {bytes_per_sec}");
        Self { all, images, layers, bytes, known: 0.into(), failed: 0.into(), skipped: 0.into() }
    }

    /// Moves the bars.
    pub fn on(&self, event: &Progress) {
        match event {
            Progress::ImageFound => self.images.inc_length(1),
            Progress::LayerQueued(size_bytes) => {
                self.layers.inc_length(1);
                self.bytes.inc_length(*size_bytes);
            }
            Progress::Read(count) => self.bytes.inc(*count),
            Progress::LayerRead => self.layers.inc(1),
            Progress::LayerKnown => {}
            Progress::ImageDone(row) => {
                self.images.inc(1);
                if row.known {
                    self.tally(&self.known);
                }
            }
            Progress::Failed(_) => {
                self.images.inc(1);
                self.tally(&self.failed);
            }
            Progress::Skipped(_) => self.tally(&self.skipped),
        }
    }

    /// Counts one more of what is not plainly done, and shows those there are.
    fn tally(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
        let shown = [("known", &self.known), ("skipped", &self.skipped), ("failed", &self.failed)].map(
            |(name, counter)| match counter.load(Ordering::Relaxed) {
                0 => String::new(),
                number => format!("  {} {name}", count(number)),
            },
        );
        self.images.set_message(shown.concat());
    }

    /// Prints a line above the bars.
    pub fn complain(&self, line: &str) {
        self.all.suspend(|| eprintln!("{line}"));
    }

    /// Takes the bars away.
    pub fn finish(&self) {
        for bar in [&self.images, &self.layers, &self.bytes] {
            bar.finish_and_clear();
        }
    }
}
