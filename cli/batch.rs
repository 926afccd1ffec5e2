//! The sources of a question, asked one after the other or several at once.
//!
//! One at a time they are answered in order, and what is wrong with the command line is said before anything is read. In
//! a batch several are answered at once, as they are done; lists are read as far as there is work, so that they may come
//! from a pipe and be of any length; a folder is taken image by image, so that no more is held than is worked on; and
//! what goes wrong with one source is an answer about that source.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::Context;
use layerprint_ingest::discover::{self, Found};
use layerprint_ingest::{IngestError, Source};
use layerprint_query::Subject;

use crate::args::Sources;
use crate::error::Status;
use crate::ingest::sources;
use crate::subjects::{Reader, Trouble};

/// Answers, and tells what cannot be answered.
pub struct Answers<'a> {
    /// Asks about an image, and tells the answer.
    pub ask: &'a (dyn Fn(&str, &Subject) -> anyhow::Result<Status> + Sync),
    /// Tells of trouble.
    pub trouble: &'a (dyn Fn(&Trouble) -> anyhow::Result<()> + Sync),
}

/// Marks an error of our own output: it ends the run, whatever else may be done.
#[derive(Debug)]
pub struct CannotTell;

impl fmt::Display for CannotTell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot write the answer")
    }
}

/// Asks about all sources in order.
pub fn one_by_one(reader: &Reader, args: &Sources, answers: &Answers) -> anyhow::Result<Status> {
    let mut status = Status::Done;
    for source in sources(args)? {
        let (told, troubles) = reader.each(&source, &mut |origin, subject| (answers.ask)(origin, subject))?;
        status = status.max(told);
        for trouble in &troubles {
            status = status.max(trouble.status);
            (answers.trouble)(trouble).context(CannotTell)?;
        }
    }
    Ok(status)
}

/// Asks about so many sources at once.
pub fn at_once(reader: &Reader, args: &Sources, workers: usize, answers: &Answers) -> anyhow::Result<Status> {
    let queue = Mutex::new(Some(Queue::new(args)?));
    // A function of its own, so that the queue is free again while an answer is worked on.
    let next = || lock(&queue).as_mut().and_then(Queue::next);
    let work = || -> anyhow::Result<Status> {
        let mut status = Status::Done;
        while let Some(next) = next() {
            let answered = answer(reader, next, answers);
            if answered.is_err() {
                // Nobody is to begin with another.
                *lock(&queue) = None;
            }
            status = status.max(answered?);
        }
        Ok(status)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers.max(1)).map(|_| scope.spawn(work)).collect();
        let join = |worker: thread::ScopedJoinHandle<anyhow::Result<Status>>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let statuses: Vec<anyhow::Result<Status>> = workers.into_iter().map(join).collect();
        statuses.into_iter().try_fold(Status::Done, |status, other| Ok(status.max(other?)))
    })
}

fn answer(reader: &Reader, next: Result<Found, Trouble>, answers: &Answers) -> anyhow::Result<Status> {
    let asked = match &next {
        Ok(found) => reader.each(&found.source, &mut |origin, subject| (answers.ask)(origin, subject)),
        Err(trouble) => Ok((Status::Done, vec![trouble.clone()])),
    };
    let (mut status, troubles) = match (asked, &next) {
        (Err(error), _) if error.downcast_ref::<CannotTell>().is_some() => return Err(error),
        (Err(error), Ok(found)) => (Status::Failed, vec![Trouble::failed(&found.source.to_string(), &error)]),
        (Err(error), Err(_)) => return Err(error),
        (Ok(asked), _) => asked,
    };
    for trouble in &troubles {
        // What was only found in a folder need not be an image.
        let is_expected = trouble.is_no_image && next.as_ref().is_ok_and(|found| !found.named);
        if !is_expected {
            status = status.max(trouble.status);
            (answers.trouble)(trouble).context(CannotTell)?;
        }
    }
    Ok(status)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sources that wait for their turn; no more of a list is read than is asked for.
struct Queue {
    texts: VecDeque<String>,
    lists: VecDeque<(PathBuf, Box<dyn BufRead + Send>)>,
    found: VecDeque<Result<Found, Trouble>>,
}

impl Queue {
    fn new(args: &Sources) -> anyhow::Result<Self> {
        let open = |path: &PathBuf| -> anyhow::Result<(PathBuf, Box<dyn BufRead + Send>)> {
            let list: Box<dyn Read + Send> = match path.as_os_str() == "-" {
                true => Box::new(io::stdin()),
                false => {
                    let file = File::open(path);
                    Box::new(file.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?)
                }
            };
            Ok((path.clone(), Box::new(BufReader::new(list))))
        };
        let lists = args.from_list.iter().map(open).collect::<anyhow::Result<_>>()?;
        Ok(Self { texts: args.sources.iter().cloned().collect(), lists, found: VecDeque::new() })
    }

    fn next(&mut self) -> Option<Result<Found, Trouble>> {
        while self.found.is_empty() {
            match self.text()? {
                Ok(text) => self.found.extend(expand(&text)),
                Err(trouble) => self.found.push_back(Err(trouble)),
            }
        }
        self.found.pop_front()
    }

    /// The next source as it was written: an argument, or a line of a list.
    fn text(&mut self) -> Option<Result<String, Trouble>> {
        if let Some(text) = self.texts.pop_front() {
            return Some(Ok(text));
        }
        loop {
            let (path, list) = self.lists.front_mut()?;
            let mut line = Vec::new();
            match list.read_until(b'\n', &mut line) {
                Ok(0) => drop(self.lists.pop_front()),
                Ok(_) => {
                    let line = String::from_utf8_lossy(&line);
                    let text = line.trim();
                    if !text.is_empty() && !text.starts_with('#') {
                        return Some(Ok(text.to_owned()));
                    }
                }
                Err(error) => {
                    let trouble = Trouble::failed(&path.display().to_string(), &error.into());
                    self.lists.pop_front();
                    return Some(Err(trouble));
                }
            }
        }
    }
}

/// Returns the sources that a text stands for: those below it, if it is a folder of images.
fn expand(text: &str) -> Vec<Result<Found, Trouble>> {
    let source: Source = match text.parse() {
        Ok(source) => source,
        Err(error) => return vec![Err(Trouble::failed(text, &anyhow::Error::from(error)))],
    };
    let failed = |error: IngestError| Trouble::failed(text, &error.into());
    discover::expand(&source).into_iter().map(|found| found.map_err(failed)).collect()
}
