//! The database: ordered trees of small keys and values. The only file that names sled.
//!
//! Nothing here hangs or panics for long: opening happens on a thread of its own under a time limit, and every call of the
//! database is guarded, for it panics where its files or the disk are damaged. All that is here can be rebuilt from the
//! packs. Values are bytes; their checksums, their meaning and the order of commits are the journal's.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::error::{Result, StoreError};
use crate::format::record::BATCH_OPERATIONS;
use crate::log::pack::sync_directory;

/// Longest that opening may take: so much, and a second more for so many bytes. A catalogue of a million layers opens in
/// seconds; a damaged one can block for good.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);
const OPEN_BYTES_A_SECOND: u64 = 16 << 20;

/// How long a lock of the database is waited for.
const LOCKED_ATTEMPTS: usize = 200;
const LOCKED_ATTEMPT_EVERY: Duration = Duration::from_millis(10);

/// Page cache. Records are small and rarely read twice; sled takes several times this while it writes.
const CACHE_BYTES: u64 = 64 << 20;

/// The trees, in the order in which a commit fills them: what others refer to comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tree {
    Bodies = 0,
    Layers = 1,
    Blobs = 2,
    Documents = 3,
    Images = 4,
    Manifests = 5,
    Chains = 6,
    Sets = 7,
    Names = 8,
    ImageNames = 9,
    Sources = 10,
    Meta = 11,
}

impl Tree {
    pub(crate) const ALL: [Self; 12] = [
        Self::Bodies,
        Self::Layers,
        Self::Blobs,
        Self::Documents,
        Self::Images,
        Self::Manifests,
        Self::Chains,
        Self::Sets,
        Self::Names,
        Self::ImageNames,
        Self::Sources,
        Self::Meta,
    ];

    /// Returns the tree with a number that was read from a commit.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Returns the name under which the database knows the tree.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bodies => "bodies",
            Self::Layers => "layers",
            Self::Blobs => "blobs",
            Self::Documents => "documents",
            Self::Images => "images",
            Self::Manifests => "manifests",
            Self::Chains => "chains",
            Self::Sets => "sets",
            Self::Names => "names",
            Self::ImageNames => "image_names",
            Self::Sources => "sources",
            Self::Meta => "meta",
        }
    }
}

/// A key and its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// The open database, locked against other processes.
pub(crate) struct Catalogue {
    directory: PathBuf,
    /// None only while it is dropped.
    open: Option<(sled::Db, Vec<sled::Tree>)>,
}

impl Catalogue {
    /// Opens the database, which is created where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Catalogue`] and [`StoreError::OpenTimeout`] say that its files are of no use; any other error that the
    /// operating system or another process is in the way.
    pub(crate) fn open(directory: PathBuf) -> Result<Self> {
        let path = directory.clone();
        let is_new = !directory.join(CONFIGURATION).exists();
        let timeout = OPEN_TIMEOUT + Duration::from_secs(size_bytes(&directory) / OPEN_BYTES_A_SECOND);
        let open = retried(|| {
            let path = path.clone();
            within(timeout, &directory, move || open_trees(&path))
        })?;
        if is_new {
            sync_configuration(&directory)?;
        }
        Ok(Self { directory, open: Some(open) })
    }

    /// Returns the value of a key.
    pub(crate) fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let value = self.guarded(|| self.tree(tree).get(key))?;
        Ok(value.map(|value| value.to_vec()))
    }

    /// Returns all pairs whose key begins with `prefix`, in order of keys.
    pub(crate) fn scan(&self, tree: Tree, prefix: &[u8]) -> impl Iterator<Item = Result<Pair>> + use<> {
        let directory = self.directory.clone();
        let mut pairs = self.tree(tree).scan_prefix(prefix);
        std::iter::from_fn(move || match guarded(&directory, || pairs.next().transpose()) {
            Ok(Some((key, value))) => Some(Ok((key.to_vec(), value.to_vec()))),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        })
    }

    /// Returns how many keys a tree has, by walking it. Zero if it cannot be walked.
    pub(crate) fn count(&self, tree: Tree) -> u64 {
        self.guarded(|| Ok(self.tree(tree).len() as u64)).unwrap_or(0)
    }

    /// Sets and removes keys of one tree. A part of them may be done when the process dies.
    pub(crate) fn apply<'a>(
        &self,
        tree: Tree,
        operations: impl IntoIterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) -> Result<()> {
        let mut operations = operations.into_iter().peekable();
        while operations.peek().is_some() {
            let mut batch = sled::Batch::default();
            for (key, value) in operations.by_ref().take(BATCH_OPERATIONS) {
                match value {
                    Some(value) => batch.insert(key, value),
                    None => batch.remove(key),
                }
            }
            self.guarded(|| self.tree(tree).apply_batch(batch))?;
        }
        Ok(())
    }

    /// Makes everything applied so far durable.
    pub(crate) fn flush(&self) -> Result<()> {
        self.guarded(|| self.database().flush())?;
        // On Linux the flush above is `sync_file_range`, which waits for no disk cache.
        let file = self.directory.join("db");
        File::open(&file).and_then(|file| file.sync_all()).map_err(StoreError::io(&file, "sync"))?;
        sync_directory(&self.directory)
    }

    /// Returns the size of the database's files.
    pub(crate) fn size_bytes(&self) -> u64 {
        size_bytes(&self.directory)
    }

    fn guarded<T>(&self, step: impl FnOnce() -> sled::Result<T>) -> Result<T> {
        guarded(&self.directory, step)
    }

    fn database(&self) -> &sled::Db {
        &self.open.as_ref().expect("taken only when it is dropped").0
    }

    fn tree(&self, tree: Tree) -> &sled::Tree {
        &self.open.as_ref().expect("taken only when it is dropped").1[tree as usize]
    }
}

impl Drop for Catalogue {
    fn drop(&mut self) {
        // The database writes once more when it is closed, and panics where that fails. What was acknowledged was flushed.
        let open = self.open.take();
        drop(guarded(&self.directory, || {
            drop(open);
            Ok(())
        }));
    }
}

/// Returns the size of the files of a database.
pub(crate) fn size_bytes(directory: &Path) -> u64 {
    let items = fs::read_dir(directory).into_iter().flatten();
    // A snapshot may be renamed while this looks.
    items.filter_map(|item| Some(item.ok()?.metadata().ok()?.len())).sum()
}

/// The file in which the database says how it was made. It is written in two steps and never synced.
const CONFIGURATION: &str = "conf";

fn sync_configuration(directory: &Path) -> Result<()> {
    let path = directory.join(CONFIGURATION);
    match File::open(&path).and_then(|file| file.sync_all()) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(&path, "sync")(error)),
        _ => sync_directory(directory),
    }
}

thread_local! {
    static IN_DATABASE: Cell<bool> = const { Cell::new(false) };
}

/// Keeps what the database says when it panics from the user, who is given an error instead. For programs, once, at their
/// start; other panics are reported as before.
pub fn hide_panics_of_database() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_hidden = IN_DATABASE.get() || panic.location().is_some_and(|at| is_of_database(at.file()));
        if !is_hidden {
            report(panic);
        }
    }));
}

/// Threads of the database panic, too.
fn is_of_database(file: &str) -> bool {
    file.contains("/sled-0.")
}

/// Makes an error of a panic.
fn guarded<T>(directory: &Path, step: impl FnOnce() -> sled::Result<T>) -> Result<T> {
    let outer = IN_DATABASE.replace(true);
    let done = catch_unwind(AssertUnwindSafe(step));
    IN_DATABASE.set(outer);
    match done {
        Ok(done) => done.map_err(|error| translate(directory, error)),
        Err(_) => Err(StoreError::Catalogue {
            path: directory.to_owned(),
            problem: "the database panicked: it or the disk is damaged".to_owned(),
        }),
    }
}

/// Tries again while the database is locked. The lock of the store is ours already, so that it is this process that had the
/// database open a moment ago: its threads let go of the file a little after it was closed.
fn retried<T>(open: impl Fn() -> Result<T>) -> Result<T> {
    for _ in 0..LOCKED_ATTEMPTS {
        match open() {
            Err(StoreError::Locked { .. }) => thread::sleep(LOCKED_ATTEMPT_EVERY),
            opened => return opened,
        }
    }
    open()
}

/// Runs what may hang or panic on a thread of its own.
fn within<T: Send + 'static>(
    timeout: Duration,
    directory: &Path,
    open: impl FnOnce() -> sled::Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    // After the time limit nobody listens, and what was opened is closed again here.
    let opener = move || {
        IN_DATABASE.set(true);
        drop(sender.send(open()));
    };
    let spawned = thread::Builder::new().name("open catalogue".to_owned()).spawn(opener);
    spawned.map_err(StoreError::io(directory, "start a thread to open"))?;
    let path = directory.to_owned();
    match receiver.recv_timeout(timeout) {
        Ok(opened) => opened.map_err(|error| translate(directory, error)),
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(StoreError::OpenTimeout { path, timeout_seconds: timeout.as_secs() })
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            let problem = "it panicked while opening, it may be damaged".to_owned();
            Err(StoreError::Catalogue { path, problem })
        }
    }
}

fn open_trees(directory: &Path) -> sled::Result<(sled::Db, Vec<sled::Tree>)> {
    // Commits flush; a thread that flushes in between would only write pages twice.
    let config = sled::Config::new().path(directory).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    remove_unfinished_snapshots(directory);
    let database = config.open()?;
    let trees = Tree::ALL.iter().map(|tree| database.open_tree(tree.name()));
    let trees = trees.collect::<sled::Result<Vec<_>>>()?;
    Ok((database, trees))
}

/// Removes snapshots that were never finished: sled writes one under this name and renames it when it is whole, but takes
/// what a full disk or a kill left of it for damage (spacejam/sled#1527). Does nothing while another process has the
/// database open and may be writing one.
fn remove_unfinished_snapshots(directory: &Path) {
    let Ok(file) = File::open(directory.join("db")) else { return };
    if file.try_lock().is_err() {
        return;
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            // If it stays, opening says so.
            let _ = fs::remove_file(entry.path());
        }
    }
    // Closing is not enough: a child that another thread is just starting has a copy of the descriptor until it runs its
    // program, and with it the lock. If it cannot be given back, opening says so.
    let _ = file.unlock();
}

fn translate(directory: &Path, error: sled::Error) -> StoreError {
    let path = directory.to_owned();
    match error {
        // sled has no error of its own for this.
        sled::Error::Io(source) if source.to_string().starts_with("could not acquire lock") => {
            StoreError::Locked { path: directory.parent().unwrap_or(directory).to_owned() }
        }
        sled::Error::Io(source) => match system_error(&source) {
            Some(source) => StoreError::Io { path, action: "use the catalogue", source },
            // Not the operating system's: the files are not what the database wrote.
            None => StoreError::Catalogue { path, problem: source.to_string() },
        },
        error => StoreError::Catalogue { path, problem: error.to_string() },
    }
}

/// Returns what the operating system said. The database wraps it: one that it reports a second time is text, as
/// programmers print it (`Os { code: 5, kind: Uncategorized, message: "Input/output error" }`).
fn system_error(error: &io::Error) -> Option<io::Error> {
    if let Some(code) = error.raw_os_error() {
        return Some(io::Error::from_raw_os_error(code));
    }
    let text = error.to_string();
    if let Some((_, after)) = text.split_once("code: ") {
        let digits = after.split(|digit: char| !digit.is_ascii_digit()).next()?;
        return digits.parse().ok().map(io::Error::from_raw_os_error);
    }
    // Without a code, some kinds still say what the system refused.
    let is_refusal = matches!(
        error.kind(),
        ErrorKind::PermissionDenied
            | ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::FileTooLarge
            | ErrorKind::OutOfMemory
            | ErrorKind::WriteZero
    );
    is_refusal.then(|| error.kind().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_keep_their_code_however_the_database_wraps_them() {
        let first = io::Error::from_raw_os_error(5);
        let again = io::Error::other(format!("{first:?}"));
        for error in [first, again] {
            assert_eq!(system_error(&error).unwrap().raw_os_error(), Some(5));
        }
        assert!(system_error(&io::Error::from(ErrorKind::UnexpectedEof)).is_none(), "the file is too short");
        assert!(system_error(&io::Error::other("corrupt")).is_none());
    }

    #[test]
    fn a_panic_of_the_database_is_an_error() {
        let panics = || -> sled::Result<()> { panic!("poisoned") };
        let error = guarded(Path::new("store/db"), panics).unwrap_err().to_string();
        assert_eq!(error, "store/db: catalogue failed: the database panicked: it or the disk is damaged");
    }

    #[test]
    fn a_snapshot_that_a_full_disk_cut_short_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("db");
        drop(Catalogue::open(directory.clone()).unwrap());
        let unfinished = directory.join("snap.0000000000000000.generating");
        std::fs::write(&unfinished, b"").unwrap();
        drop(Catalogue::open(directory).unwrap());
        assert!(!unfinished.exists());
    }

    #[test]
    fn opening_that_hangs_or_panics_is_an_error() {
        let directory = Path::new("store/db");
        let hang = within(Duration::from_millis(20), directory, || {
            thread::sleep(Duration::from_secs(5));
            Ok(())
        });
        let message = "store/db: catalogue did not open within 0 s";
        assert_eq!(hang.unwrap_err().to_string(), message);
        let panic = within(Duration::from_secs(5), directory, || -> sled::Result<()> { panic!("damaged") });
        let message = "store/db: catalogue failed: it panicked while opening, it may be damaged";
        assert_eq!(panic.unwrap_err().to_string(), message);
    }

    #[test]
    fn trees_are_numbered_by_their_place() {
        for (number, tree) in (0..).zip(Tree::ALL) {
            assert_eq!((tree as u8, Tree::from_number(number)), (number, Some(tree)));
        }
        assert_eq!(Tree::from_number(12), None);
    }
}
