//! Threads of a run that have nothing to do, and how they help those that have.
//!
//! With as many layers as threads, a thread a layer is best. Where there are fewer, a thread without one takes over the
//! unpacking of a layer that another reads, which goes on hashing and reading entries. It gives it back as soon as there
//! is a layer for it. Nothing is split and nothing is done twice, so that help costs only the handing on of buffers.

use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, select};

use crate::buffers::Buffer;
use crate::unpack::{StoredHashes, Unpacker};

/// Buffers that are handed on at once, half a megabyte: to wake a thread costs as much as hashing some ten kilobytes.
pub(crate) const BUFFERS_AT_ONCE: usize = 4;
/// Messages that may wait for the thread that reads: enough for both to go on through an uneven stretch.
const MESSAGES_WAITING_MAX: usize = 4;

/// Something to help with. Is told how to find out whether there is something better to do.
pub(crate) type Task = Box<dyn FnOnce(&dyn Fn() -> bool) + Send>;

/// What a thread that unpacks tells the one that reads, in order.
pub(crate) enum Message<R> {
    /// Stored bytes that have been unpacked, to be hashed.
    Stored(Vec<Buffer>),
    /// Unpacked bytes.
    Blocks(Vec<Buffer>),
    /// The end, or what broke; nothing follows.
    Ended(Box<Unpacker<R>>, io::Result<()>),
    /// There is something better to do; whoever reads goes on with this.
    Back(Box<Unpacker<R>>),
}

/// Unpacking that another thread does.
pub(crate) struct Elsewhere<R> {
    pub(crate) messages: Receiver<Message<R>>,
    /// Blocks that have come and are not read.
    pub(crate) blocks: std::vec::IntoIter<Buffer>,
    /// Of the stored bytes, where these are sent along.
    pub(crate) hashes: Option<Box<StoredHashes>>,
}

/// Where idle threads and those that want help meet.
pub(crate) struct Helpers {
    idle: AtomicUsize,
    offer: Sender<Task>,
    accept: Receiver<Task>,
}

/// What a thread does next.
pub(crate) enum Next<J> {
    /// A job of its own.
    Job(J),
    /// Help for another thread.
    Task(Task),
}

impl Default for Helpers {
    fn default() -> Self {
        // Without room for a task in the channel, one is taken by a thread that waits for it, or by none.
        let (offer, accept) = bounded(0);
        Self { idle: AtomicUsize::new(0), offer, accept }
    }
}

impl Helpers {
    /// Waits for a job or, while there is none, for something to help with. `None` when there will be no more jobs.
    pub(crate) fn next<J>(&self, jobs: &Receiver<J>) -> Option<Next<J>> {
        match jobs.try_recv() {
            Ok(job) => return Some(Next::Job(job)),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {}
        }
        self.idle.fetch_add(1, Ordering::Relaxed);
        let next = select! {
            recv(jobs) -> job => job.ok().map(Next::Job),
            recv(self.accept) -> task => task.ok().map(Next::Task),
        };
        self.idle.fetch_sub(1, Ordering::Relaxed);
        next
    }

    /// Has an idle thread unpack on, if there is one; else returns the unpacker as it was.
    pub(crate) fn unpack<R: Read + Send + 'static>(
        &self,
        unpacker: Box<Unpacker<R>>,
    ) -> Result<Elsewhere<R>, Box<Unpacker<R>>> {
        if self.idle.load(Ordering::Relaxed) == 0 {
            return Err(unpacker);
        }
        let (teller, messages) = bounded(MESSAGES_WAITING_MAX);
        // Given in two steps: an offer that nobody takes must not swallow what it is about.
        let (give, take) = bounded::<Box<Unpacker<R>>>(1);
        let to_reader = teller.clone();
        let task: Task = Box::new(move |is_wanted| {
            take.iter().for_each(|unpacker| unpack_on(unpacker, &teller, is_wanted));
        });
        if self.offer.try_send(task).is_err() {
            return Err(unpacker);
        }
        let mut unpacker = unpacker;
        let hashes = unpacker.send_stored(&to_reader);
        // Whoever took the task waits for this.
        let _ = give.send(unpacker);
        Ok(Elsewhere { messages, blocks: Vec::new().into_iter(), hashes })
    }
}

/// Unpacks until the end, or until there is something better to do, or nobody reads on.
fn unpack_on<R: Read>(
    mut unpacker: Box<Unpacker<R>>,
    teller: &Sender<Message<R>>,
    is_wanted: &dyn Fn() -> bool,
) {
    let mut blocks = Vec::new();
    let last = loop {
        if is_wanted() {
            break Message::Back(unpacker);
        }
        match unpacker.next_block() {
            Ok(Some(block)) => blocks.push(block),
            Ok(None) => break Message::Ended(unpacker, Ok(())),
            Err(error) => break Message::Ended(unpacker, Err(error)),
        }
        if blocks.len() == BUFFERS_AT_ONCE
            && teller.send(Message::Blocks(std::mem::take(&mut blocks))).is_err()
        {
            return;
        }
    };
    let _ = teller.send(Message::Blocks(blocks)).and_then(|()| teller.send(last));
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::Arc;
    use std::thread;

    use crossbeam_channel::Sender;

    use super::*;
    use crate::layer::{LayerRead, LayerReader, Promise};
    use crate::write::{Compression, Layer};
    use crate::{LayerError, Limits};

    fn layer() -> Vec<u8> {
        let body =
            |seed: u32| (0..700_000_u32).map(move |at| ((at ^ seed).wrapping_mul(2_654_435_761) >> 24) as u8);
        let files = (0..8).fold(Layer::new(), |layer, seed| {
            layer.file(format!("usr/lib/{seed}"), body(seed).collect::<Vec<_>>())
        });
        files.to_tar().unwrap()
    }

    /// Helps until there are no more jobs, and is called away after so many blocks each time. Returns how often it helped.
    fn help(helpers: &Helpers, jobs: &Receiver<()>, blocks_max: usize) -> usize {
        let mut times = 0;
        while let Some(Next::Task(task)) = helpers.next(jobs) {
            let blocks = AtomicUsize::new(0);
            task(&|| blocks.fetch_add(1, Ordering::Relaxed) == blocks_max);
            times += 1;
        }
        times
    }

    fn read_helped(stored: &[u8], blocks_max: usize) -> (Result<LayerRead, LayerError>, usize) {
        let helpers = Arc::new(Helpers::default());
        let (no_more, jobs): (Sender<()>, _) = bounded(0);
        thread::scope(|scope| {
            let helping = scope.spawn(|| help(&helpers, &jobs, blocks_max));
            while helpers.idle.load(Ordering::Relaxed) == 0 {
                thread::yield_now();
            }
            let reader = LayerReader::new(&Limits::default()).helped_by(helpers.clone());
            let read = reader.read_helped(Cursor::new(stored.to_vec()), &Promise::default(), &|_| ());
            drop(no_more);
            (read, helping.join().unwrap())
        })
    }

    fn read_alone(stored: &[u8]) -> Result<LayerRead, LayerError> {
        LayerReader::new(&Limits::default()).read(stored, &Promise::default(), &|_| ())
    }

    fn told(read: Result<LayerRead, LayerError>) -> Result<String, String> {
        read.map(|read| format!("{read:?}")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_layer_reads_the_same_with_help_that_comes_and_goes() {
        let tar = layer();
        for compression in Compression::ALL {
            let stored = compression.compress(&tar);
            for blocks_max in [0, 1, 7, usize::MAX] {
                let (helped, times) = read_helped(&stored, blocks_max);
                assert!(times > 0, "nobody helped");
                assert!(told(helped) == told(read_alone(&stored)), "{compression:?}, {blocks_max} blocks");
            }
        }
    }

    #[test]
    fn what_is_damaged_breaks_the_same_with_help() {
        let tar = layer();
        for compression in Compression::ALL {
            let stored = compression.compress(&tar);
            let mut flipped = stored.clone();
            flipped[stored.len() * 3 / 4] ^= 0x10;
            let followed = [&stored[..], b"what follows"].concat();
            for damaged in [&stored[..stored.len() * 2 / 3], &flipped, &followed] {
                let (helped, _) = read_helped(damaged, usize::MAX);
                assert!(told(helped) == told(read_alone(damaged)), "{compression:?}");
            }
        }
    }

    #[test]
    fn a_layer_is_told_of_to_its_last_stored_byte() {
        for compression in Compression::ALL {
            let stored = compression.compress(&layer());
            let helpers = Arc::new(Helpers::default());
            let (no_more, jobs): (Sender<()>, _) = bounded(0);
            let passed = std::cell::Cell::new(0);
            thread::scope(|scope| {
                scope.spawn(|| help(&helpers, &jobs, 5));
                let reader = LayerReader::new(&Limits::default()).helped_by(helpers.clone());
                let on_read = |count| passed.set(passed.get() + count);
                reader.read_helped(Cursor::new(stored.clone()), &Promise::default(), &on_read).unwrap();
                drop(no_more);
            });
            assert_eq!(passed.get(), stored.len() as u64, "{compression:?}");
        }
    }
}
