//! Opening, closing, and the ways in.

use std::cell::Cell;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError as Taken};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError, bounded};
use diesel::sql_types::BigInt;
use diesel::{QueryResult, RunQueryDsl};
use tokio::sync::oneshot;

use super::checkpoint::Checkpointer;
use super::clock::{Clock, Stamps};
use super::dialect::{self, Connection};
use super::error::{Full, StorageError};
use super::migration;
use super::reader::Reader;
use super::statement::Rendered;
use super::statistics::{Counters, Statistics};
use super::unit::{Batch, WriteUnit};
use super::writer::{Committed, Job, Ticket, Writer};

const DATABASE_FILE: &str = "lanterna.sqlite";
const LOCK_FILE: &str = "lanterna.lock";
/// How long an import waits for room in the queue.
const BLOCKING_WAIT: Duration = Duration::from_secs(60);

/// How a store is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// The folder of the database; made when it is not there.
    pub folder: PathBuf,
    /// How many connections read for [`Store::read`].
    pub readers: u32,
    /// How many connections read for [`Store::read_here`]: one for each thread
    /// that serves requests.
    pub local_readers: usize,
    /// How long [`Store::read`] waits for a connection.
    pub reader_wait: Duration,
    /// How many jobs may wait for the writer.
    pub queue_max: usize,
    /// The size that the database may not exceed, in bytes.
    pub size_bytes_max: Option<u64>,
    /// Where the time comes from.
    pub clock: Clock,
    /// Called by the writer with what each transaction changed, when it is
    /// durable and before its jobs are answered. Must be quick.
    pub committed: Option<Committed>,
}

impl StoreOptions {
    /// Makes the usual options for a folder.
    pub fn new(folder: impl Into<PathBuf>) -> StoreOptions {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        StoreOptions {
            folder: folder.into(),
            readers: u32::try_from(threads * 2).unwrap_or(8).clamp(4, 16),
            local_readers: threads.clamp(1, 16),
            reader_wait: Duration::from_secs(2),
            queue_max: 1024,
            size_bytes_max: None,
            clock: Clock::system(),
            committed: None,
        }
    }
}

impl std::fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreOptions").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// An open store. Clones are the same store; the last one dropped closes it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    path: PathBuf,
    jobs: Mutex<Option<Sender<Box<dyn Job>>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    pool: r2d2::Pool<Readers>,
    local: Box<[Mutex<Option<Reader>>]>,
    counters: Arc<Counters>,
    size_bytes_max: Arc<AtomicU64>,
    /// Locked for as long as the store is open.
    lock: File,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store of a folder, brings its schema up to date and starts
    /// the writer.
    ///
    /// # Errors
    /// `Locked` when another process has it open, `NewerSchema` when a newer
    /// version made it, otherwise when the folder or database cannot be used.
    pub fn open(options: StoreOptions) -> Result<Store, StorageError> {
        let folder = usable_folder(&options.folder)?;
        let lock = lock(&folder)?;
        let path = folder.join(DATABASE_FILE);
        let mut connection = dialect::open_writer(&path)?;
        migration::migrate(&mut connection)?;
        sync_folder(&folder)?;
        let last = last_instant(&mut connection).map_err(dialect::error)?;
        let counters = Arc::new(Counters::default());
        let size_bytes_max = Arc::new(AtomicU64::new(options.size_bytes_max.unwrap_or(0)));
        let (jobs, received) = bounded(options.queue_max.max(1));
        let writer = Writer {
            path: path.clone(),
            jobs: received,
            reader: Some(Reader::within_transaction(connection)),
            batch: Batch::new(Stamps::after(last, options.clock)),
            checkpointer: Checkpointer::start(path.clone(), Arc::clone(&counters))?,
            counters: Arc::clone(&counters),
            size_bytes_max: Arc::clone(&size_bytes_max),
            size_bytes_set: 0,
            committed: options.committed,
        };
        let writer = std::thread::Builder::new()
            .name("storage-writer".to_owned())
            .spawn(move || writer.work())
            .map_err(|e| StorageError::Unavailable(e.to_string()))?;
        let pool = r2d2::Pool::builder()
            .max_size(options.readers.max(1))
            .min_idle(Some(0))
            .connection_timeout(options.reader_wait)
            .test_on_check_out(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .build_unchecked(Readers { path: path.clone() });
        let local = (0..options.local_readers.max(1)).map(|_| Mutex::new(None)).collect();
        Ok(Store(Arc::new(Inner {
            path,
            jobs: Mutex::new(Some(jobs)),
            writer: Mutex::new(Some(writer)),
            pool,
            local,
            counters,
            size_bytes_max,
            lock,
        })))
    }

    /// Runs a job in a write transaction; returns when that is durable.
    ///
    /// The job runs on the writer's thread and holds up all other writes: what
    /// can be computed before belongs before. It is run even when the future
    /// is dropped.
    ///
    /// # Errors
    /// Those of the job, and the storage's: `Busy` at once when too much waits,
    /// `Full` or `Unavailable` when the transaction could not be committed.
    /// Nothing of the job is stored then.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: FnOnce(&mut WriteUnit<'_>) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let ticket = Ticket::new(job, move |result| drop(answer.send(result)));
        match self.sender()?.try_send(Box::new(ticket)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.0.counters.jobs_refused.fetch_add(1, Ordering::Relaxed);
                return Err(E::from(StorageError::Busy(Full::Queue)));
            }
            Err(TrySendError::Disconnected(_)) => return Err(E::from(closed())),
        }
        answered.await.unwrap_or_else(|_| Err(E::from(closed())))
    }

    /// Runs a job as [`Store::write`] does, for callers that may block.
    /// Waits for room in the queue.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: FnOnce(&mut WriteUnit<'_>) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = bounded(1);
        let ticket = Ticket::new(job, move |result| drop(answer.send(result)));
        let sent = self.sender()?.send_timeout(Box::new(ticket), BLOCKING_WAIT);
        if let Err(error) = sent {
            return Err(E::from(if error.is_timeout() { StorageError::Busy(Full::Queue) } else { closed() }));
        }
        answered.recv().unwrap_or_else(|_| Err(E::from(closed())))
    }

    /// Reads, on a connection of the pool. Blocks the thread, for at most the
    /// time set when all connections are in use.
    ///
    /// # Errors
    /// Those of `then`; `Busy` when no connection became free.
    pub fn read<T, E: From<StorageError>>(
        &self,
        then: impl FnOnce(&mut Reader) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut reader = self.0.pool.get().map_err(|_| self.why_no_reader())?;
        let result = then(&mut reader);
        let _ = reader.take_fault().map(|fault| tracing::error!(error = %fault, "a read failed"));
        result
    }

    /// Reads by id on this thread, without a way through the pool: for a few
    /// statements of microseconds each, on a thread that serves requests.
    ///
    /// # Errors
    /// Those of `then`; otherwise as [`Store::read`].
    pub fn read_here<T, E: From<StorageError>>(
        &self,
        then: impl FnOnce(&mut Reader) -> Result<T, E>,
    ) -> Result<T, E> {
        let count = self.0.local.len();
        let begin = thread_number();
        let slots = (0..count).filter_map(|n| self.0.local.get((begin + n) % count));
        for slot in slots {
            let mut guard = match slot.try_lock() {
                Ok(guard) => guard,
                // A panic in `then`: the connection may be within a snapshot.
                Err(Taken::Poisoned(poisoned)) => {
                    let mut guard = poisoned.into_inner();
                    *guard = None;
                    slot.clear_poison();
                    guard
                }
                Err(Taken::WouldBlock) => continue,
            };
            let reader = match guard.as_mut() {
                Some(reader) => reader,
                None => guard.insert(Reader::new(dialect::open_reader(&self.0.path)?)),
            };
            let result = then(reader);
            if reader.is_broken() {
                *guard = None;
            }
            return result;
        }
        self.read(then)
    }

    fn why_no_reader(&self) -> StorageError {
        // r2d2 says the same for a pool in use and for connections that fail.
        match dialect::open_reader(&self.0.path) {
            Ok(_) => StorageError::Busy(Full::Readers),
            Err(error) => error,
        }
    }

    /// Changes the bound on the size of the database, in bytes; `None` for no bound.
    pub fn limit_size(&self, size_bytes_max: Option<u64>) {
        self.0.size_bytes_max.store(size_bytes_max.unwrap_or(0), Ordering::Relaxed);
    }

    /// Returns what the storage did since it was opened.
    pub fn statistics(&self) -> Statistics {
        let queue_depth = self.sender().map_or(0, |jobs| jobs.len());
        self.0.counters.look(queue_depth)
    }

    /// Lets the database check itself; returns what is wrong, nothing if it is
    /// well. Reads all of it; blocks nobody.
    ///
    /// # Errors
    /// When the check cannot be made.
    pub fn check(&self) -> Result<Vec<String>, StorageError> {
        dialect::integrity(&mut dialect::open_maintenance(&self.0.path)?)
    }

    /// Writes a consistent copy of the database to a new file while others go
    /// on reading and writing.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn backup(&self, path: &Path) -> Result<(), StorageError> {
        let text = path.to_str().ok_or_else(|| StorageError::Folder("path is not UTF-8".to_owned()))?;
        dialect::copy_into(&mut dialect::open_maintenance(&self.0.path)?, text)?;
        File::open(path)
            .and_then(|file| file.sync_all())
            .map_err(|e| StorageError::Unavailable(e.to_string()))
    }

    /// Closes the store: jobs that wait are run and answered, later ones are
    /// refused as `Unavailable`. Blocks until that is done.
    pub fn close(&self) {
        self.0.close();
    }

    fn sender(&self) -> Result<Sender<Box<dyn Job>>, StorageError> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)
    }
}

impl Inner {
    fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        for slot in &self.local {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The last clone of a store may be dropped by a job, on the writer itself.
        if let Some(writer) = writer.filter(|w| w.thread().id() != std::thread::current().id())
            && writer.join().is_err()
        {
            tracing::error!("the writer had panicked");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
        // Closing the file is not enough while a child that is just being
        // started has a copy of its descriptor.
        let _ = self.lock.unlock();
    }
}

fn closed() -> StorageError {
    StorageError::Unavailable("the store is closed".to_owned())
}

/// A number that each thread keeps, so that each finds its own reader first.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    NUMBER.get()
}

fn usable_folder(folder: &Path) -> Result<PathBuf, StorageError> {
    let unusable = |e: std::io::Error| StorageError::Folder(e.to_string());
    std::fs::create_dir_all(folder).map_err(unusable)?;
    folder.canonicalize().map_err(unusable)
}

fn lock(folder: &Path) -> Result<File, StorageError> {
    let unusable = |e: std::io::Error| StorageError::Folder(e.to_string());
    let path = folder.join(LOCK_FILE);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError::Locked(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// Makes the entry of a new database in its folder durable.
fn sync_folder(folder: &Path) -> Result<(), StorageError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| StorageError::Folder(e.to_string()))
}

/// Returns the greatest instant that is stored.
fn last_instant(connection: &mut Connection) -> QueryResult<i64> {
    let sql = "SELECT max((SELECT coalesce(max(updated), 0) FROM resource), \
               (SELECT coalesce(max(key), 0) FROM resource), \
               (SELECT coalesce(max(updated), 0) FROM version))";
    Rendered::<BigInt>::new(sql, &[], false).get_result(connection)
}

/// Makes connections for the pool.
#[derive(Debug)]
struct Readers {
    path: PathBuf,
}

impl r2d2::ManageConnection for Readers {
    type Connection = Reader;
    type Error = StorageError;

    fn connect(&self) -> Result<Reader, StorageError> {
        dialect::open_reader(&self.path).map(Reader::new)
    }

    fn is_valid(&self, _: &mut Reader) -> Result<(), StorageError> {
        Ok(())
    }

    fn has_broken(&self, reader: &mut Reader) -> bool {
        reader.is_broken()
    }
}
