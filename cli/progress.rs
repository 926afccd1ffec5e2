//! Progress on stderr: bars on a terminal, a line from time to time where it is none.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use layerprint_ingest::progress::Progress;

use crate::counted::Counted;
use crate::escape::plain_lines;
use crate::output::count;

/// How long a run goes without a word where there is no terminal: most are over by then.
const FIRST_LINE: Duration = Duration::from_secs(10);
/// Between the lines of the first minutes, and after them.
const NEXT_LINES: Duration = Duration::from_secs(30);
const LATER_LINES: Duration = Duration::from_secs(60);
/// Lines until then.
const NEXT_LINES_COUNT: u32 = 10;

/// Returns a bar for one number of things, on stderr; hidden if told to be quiet, or where that is no terminal.
pub fn bar(quiet: bool, things: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {pos:>7}/{len:<7} [{bar:30}] {eta}");
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(None, target).with_message(things);
    bar.set_style(style.expect("the template is ours"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Prints a line on stderr, or several. That it cannot be written is no reason to stop.
pub fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{}", plain_lines(line));
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
    /// What there is to show.
    pub counted: Arc<Counted>,
    all: MultiProgress,
    images: ProgressBar,
    layers: ProgressBar,
    bytes: ProgressBar,
    _log: Option<Log>,
}

impl Bars {
    /// Shows bars, or lines that begin with `verb`, unless told to be quiet.
    pub fn new(quiet: bool, verb: &'static str) -> Self {
        let all = MultiProgress::new();
        if quiet {
            all.set_draw_target(ProgressDrawTarget::hidden());
        }
        let bar = |style: &str| {
            let style = ProgressStyle::with_template(style).expect("the template is ours");
            let style = style.with_key("rate", images_per_second);
            let bar = all.add(ProgressBar::new(0).with_style(style));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        };
        let images = bar("{spinner} images {pos:>7}/{len:<7} {rate}{wide_msg}");
        let layers = bar("  layers {pos:>7}/{len:<7}");
        let bytes = bar("  read   {bytes} of {total_bytes} [{bar:30}] {bytes_per_sec}, {msg} {eta} left");
        bytes.set_message("at least");
        let counted = Arc::<Counted>::default();
        let _log = (!quiet && !io::stderr().is_terminal()).then(|| Log::start(verb, Arc::clone(&counted)));
        Self { counted, all, images, layers, bytes, _log }
    }

    /// Counts and shows what happened.
    pub fn on(&self, event: &Progress) {
        self.counted.on(event);
        match event {
            Progress::ImageFound => self.images.inc_length(1),
            Progress::LayerQueued(size_bytes) => {
                self.layers.inc_length(1);
                self.bytes.inc_length(*size_bytes);
            }
            Progress::ArchiveQueued(size_bytes) => self.bytes.inc_length(*size_bytes),
            Progress::Read(count) => self.bytes.inc(*count),
            Progress::LayerRead => self.layers.inc(1),
            Progress::ImageDone(_) => {
                self.images.inc(1);
                self.tally();
            }
            Progress::Failed(_) | Progress::Skipped(_) => self.tally(),
            Progress::Planned => self.bytes.set_message("about"),
            Progress::Corrected { digest, wrong, right } => self.complain(&format!(
                "note: {digest} was stored as layer {wrong}; its bytes are layer {right}, which is stored now"
            )),
            Progress::LayerKnown | Progress::Stopping(_) => {}
        }
    }

    /// Shows what is not plainly done.
    fn tally(&self) {
        let Counted { images_known, skipped, failed, .. } = &*self.counted;
        let shown =
            [("known", images_known), ("skipped", skipped), ("failed", failed)].map(|(name, counter)| {
                match Counted::of(counter) {
                    0 => String::new(),
                    number => format!("  {} {name}", count(number)),
                }
            });
        self.images.set_message(shown.concat());
    }

    /// Prints a line above the bars.
    pub fn complain(&self, line: &str) {
        self.all.suspend(|| complain(line));
    }

    /// Takes the bars away.
    pub fn finish(&self) {
        for bar in [&self.images, &self.layers, &self.bytes] {
            bar.finish_and_clear();
        }
    }
}

fn images_per_second(state: &ProgressState, out: &mut dyn fmt::Write) {
    // What cannot be written here is not seen.
    let _ = write!(out, "{:.0}/s", state.per_sec());
}

/// A thread that says from time to time how far a run is, until this is dropped.
struct Log {
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Log {
    fn start(verb: &'static str, counted: Arc<Counted>) -> Self {
        let (end, ended) = mpsc::channel();
        // Without the thread there is no progress to see, and nothing else amiss.
        let thread = thread::Builder::new().name("progress".into()).spawn(move || {
            let (mut before, mut since) = (0, Instant::now());
            for told in 0.. {
                if ended.recv_timeout(until_next(told)) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                let read = Counted::of(&counted.read_bytes);
                complain(&counted.line(verb, read - before, since.elapsed()));
                (before, since) = (read, Instant::now());
            }
        });
        Self { end: Some(end), thread: thread.ok() }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.end = None;
        // A panic there was told of, and means nothing to the run.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn until_next(told: u32) -> Duration {
    match told {
        0 => FIRST_LINE,
        1..=NEXT_LINES_COUNT => NEXT_LINES,
        _ => LATER_LINES,
    }
}
