//! The way into the storage.

use std::cell::Cell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, PooledConnection};
use diesel::sqlite::SqliteConnection;
use fhir_model::interaction::ResourceKey;
use fhir_model::outcome::Issue;

use crate::index::row::TypeCode;

use super::clock::Clock;
use super::dictionary::Dictionaries;
use super::error::StorageError;
use super::read::Reads;
use super::resource::StoredResource;
use super::schema::{dictionary, resource, version};
use super::sqlite;
use super::write::{Batch, WriteUnit};
use super::writer::{Job, Observer, Shared, Writer, WriterStatistics};

/// How long a job that may block waits for room in the queue.
const BLOCKING_WAIT: Duration = Duration::from_secs(60);

/// How the storage is set up.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// The folder of the data; made where there is none.
    pub folder: PathBuf,
    /// How many connections read at once.
    pub readers_max: u32,
    /// How long to wait for one of them, in milliseconds.
    pub reader_wait_ms: u64,
    /// How many writes may wait.
    pub queue_jobs_max: usize,
}

impl StoreSettings {
    /// Returns the settings for a folder, with what suits a small machine.
    pub fn of(folder: impl Into<PathBuf>) -> StoreSettings {
        StoreSettings { folder: folder.into(), readers_max: 8, reader_wait_ms: 2000, queue_jobs_max: 4096 }
    }
}

/// The storage; shared by all that read and write.
pub struct Store {
    writer: Writer,
    readers: Pool<ConnectionManager<SqliteConnection>>,
    /// Connections for reads by id, one for each thread that serves requests.
    local: Box<[Mutex<Option<SqliteConnection>>]>,
    statistics: Arc<WriterStatistics>,
    shared: Arc<Shared>,
    dictionaries: Dictionaries,
    path: PathBuf,
    /// Locked for as long as the folder is ours.
    lock: File,
}

/// A connection that reads.
pub struct Reader {
    connection: PooledConnection<ConnectionManager<SqliteConnection>>,
}

impl Reads for Reader {
    fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

#[derive(Debug)]
struct SetReaderUp;

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for SetReaderUp {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        sqlite::set_reader_up(connection).map_err(diesel::r2d2::Error::QueryError)
    }
}

/// For how long after a failed commit the storage is not ready: long enough
/// for who looks every few seconds to see it.
const UNREADY_AFTER_FAILURE_MICROS: i64 = 3_000_000;

impl Store {
    /// Opens the data of a folder, and brings its schema up to date.
    ///
    /// # Errors
    /// When the folder belongs to another process, cannot be used, or was
    /// written by a newer version of this program.
    pub fn open(settings: &StoreSettings) -> Result<Store, StorageError> {
        Store::open_with_clock(settings, || jiff::Timestamp::now().as_microsecond())
    }

    /// Opens the data with another clock than the system's: microseconds since 1970.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with_clock(settings: &StoreSettings, now: fn() -> i64) -> Result<Store, StorageError> {
        let lock = lock(&settings.folder)?;
        let folder = settings.folder.canonicalize().map_err(|e| unusable(&settings.folder, &e))?;
        let path = folder.join("lanterna.sqlite");
        let mut connection = sqlite::open_writer(&path)?;
        sqlite::migrate(&mut connection)?;
        // The entry of a new file in its folder has to be durable as well.
        File::open(&folder).and_then(|f| f.sync_all()).map_err(|e| unusable(&folder, &e))?;
        let last = last_instant(&mut connection)?;
        let dictionaries = Dictionaries::default();
        for (type_code, bytes) in dictionary::table
            .select((dictionary::type_code, dictionary::bytes))
            .order(dictionary::id)
            .load::<(i32, Vec<u8>)>(&mut connection)?
        {
            dictionaries.use_stored(TypeCode(type_code), bytes);
        }
        let readers = Pool::builder()
            .max_size(settings.readers_max.max(1))
            // One is always open: see `sqlite::set_reader_up`.
            .min_idle(Some(1))
            .test_on_check_out(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connection_timeout(Duration::from_millis(settings.reader_wait_ms))
            .connection_customizer(Box::new(SetReaderUp))
            .build(ConnectionManager::new(path.to_string_lossy()))
            .map_err(|e| StorageError::Open(e.to_string()))?;
        let statistics = Arc::new(WriterStatistics::default());
        let shared = Arc::new(Shared::default());
        let writer = Writer::start(
            path.clone(),
            connection,
            Batch::new(Clock::after(last, now)),
            settings.queue_jobs_max,
            Arc::clone(&statistics),
            Arc::clone(&shared),
        )?;
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let local = (0..threads.clamp(1, 16)).map(|_| Mutex::new(None)).collect();
        Ok(Store { writer, readers, local, statistics, shared, dictionaries, path, lock })
    }

    /// Returns a connection that reads.
    ///
    /// # Errors
    /// [`StorageError::Busy`] when none gets free in time.
    pub fn reader(&self) -> Result<Reader, StorageError> {
        let connection = self.readers.get().map_err(|_| self.why_no_reader())?;
        Ok(Reader { connection })
    }

    /// Returns the current version of a resource, which may be a deletion: one
    /// that is kept in memory, or on a connection of this thread, so that it
    /// costs microseconds.
    ///
    /// # Errors
    /// When the database fails.
    pub fn read_current(&self, key: &ResourceKey) -> Result<Option<StoredResource>, StorageError> {
        let cache = &self.shared.cache;
        if let Some(kept) = cache.get(key) {
            return Ok(Some(kept));
        }
        let seen = cache.look(key);
        let found = match self.read_here(|connection| connection.current(key)) {
            Some(found) => found?,
            None => self.reader()?.current(key)?,
        };
        if let (Some(found), Some(seen)) = (&found, seen) {
            cache.keep(found, seen);
        }
        Ok(found)
    }

    /// Reads on a connection of this thread, without waiting; `None` when none
    /// is free. For what takes well below a millisecond. After an error the
    /// connection is opened anew.
    pub fn read_here<T, E: From<StorageError>>(
        &self,
        read: impl FnOnce(&mut sqlite::Connection) -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        let begin = thread_number();
        let slots = (0..self.local.len()).filter_map(|n| self.local.get((begin + n) % self.local.len()));
        for slot in slots {
            let mut guard = match slot.try_lock() {
                Ok(guard) => guard,
                Err(TryLockError::Poisoned(poisoned)) => {
                    let mut guard = poisoned.into_inner();
                    *guard = None;
                    slot.clear_poison();
                    guard
                }
                Err(TryLockError::WouldBlock) => continue,
            };
            let connection = match guard.as_mut() {
                Some(connection) => connection,
                None => match sqlite::open_reader(&self.path) {
                    Ok(connection) => guard.insert(connection),
                    Err(error) => return Some(Err(error.into())),
                },
            };
            let found = read(connection);
            if found.is_err() {
                *guard = None;
            }
            return Some(found);
        }
        None
    }

    fn why_no_reader(&self) -> StorageError {
        // The pool says the same of connections in use and of connections that fail.
        sqlite::open_reader(&self.path).map_or_else(|error| error, |_| StorageError::Busy("reads"))
    }

    /// Adds somebody who is told of commits.
    pub fn observe(&self, observer: Observer) {
        self.shared.observers.lock().unwrap_or_else(PoisonError::into_inner).push(observer);
    }

    /// Bounds the size of the database, in bytes: what exceeds it is refused
    /// as a full disk is. `None` lifts the bound.
    pub fn limit_size(&self, size_bytes_max: Option<u64>) {
        self.shared.size_bytes_max.store(size_bytes_max.unwrap_or(0), Ordering::Relaxed);
    }

    /// Closes the store: jobs that wait are run and answered, later ones are
    /// refused. Blocks until that is done.
    pub fn close(&self) {
        self.writer.close();
    }

    /// Runs a job in the writer, and returns what it led to when that is durable.
    ///
    /// # Errors
    /// What the job itself gives, and then nothing of it is stored; or the
    /// failure of the commit.
    pub async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut WriteUnit<'_>) -> Result<T, Issue> + Send + 'static,
    ) -> Result<T, Issue> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.writer.send(Box::new(Pending { job: Some(job), result: None, sender }))?;
        receiver.await.map_err(|_| Issue::from(StorageError::Closed))?
    }

    /// As [`Store::write`], for callers that may block: waits for room in the queue.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut WriteUnit<'_>) -> Result<T, Issue> + Send + 'static,
    ) -> Result<T, Issue> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let pending = Pending { job: Some(job), result: None, sender };
        self.writer.send_waiting(Box::new(pending), BLOCKING_WAIT)?;
        receiver.blocking_recv().map_err(|_| Issue::from(StorageError::Closed))?
    }

    /// Returns what bodies are packed by.
    pub fn dictionaries(&self) -> &Dictionaries {
        &self.dictionaries
    }

    /// Tells whether [`Store::learn`] has something to do.
    pub fn can_learn(&self) -> bool {
        self.dictionaries.is_any_ready()
    }

    /// Learns dictionaries from the bodies that were stored, and packs by them
    /// from then on. Takes some tenths of a second.
    ///
    /// # Errors
    /// As [`Store::write`]; then bodies are packed as before.
    pub fn learn(&self) -> Result<(), Issue> {
        for learnt in self.dictionaries.learn() {
            let (id, type_code, bytes) = (learnt.id(), learnt.type_code, learnt.bytes);
            let stored = bytes.clone();
            self.write_blocking(move |unit| Ok(unit.add_dictionary(id, type_code, &stored)?))?;
            self.dictionaries.use_stored(type_code, bytes);
        }
        Ok(())
    }

    /// Returns what the writer has done, and how many jobs wait for it.
    pub fn statistics(&self) -> (&WriterStatistics, usize) {
        (&self.statistics, self.writer.queue_length())
    }

    /// Tells whether writes are durable now, by making one that changes nothing.
    ///
    /// # Errors
    /// As a write would end now.
    pub async fn probe(&self) -> Result<(), Issue> {
        // A probe is small: it may find room where the last write did not.
        let since = jiff::Timestamp::now().as_microsecond()
            - self.statistics.failed_at_micros.load(std::sync::atomic::Ordering::Relaxed);
        if since < UNREADY_AFTER_FAILURE_MICROS {
            return Err(StorageError::Unavailable("the last write failed".to_owned()).into());
        }
        self.write(|unit| Ok(unit.probe()?)).await
    }

    /// Checks the whole database; returns what SQLite finds wrong. Reads all of
    /// it; nobody waits for it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn check(&self) -> Result<Vec<String>, StorageError> {
        sqlite::integrity(&mut sqlite::open_maintenance(&self.path)?)
    }

    /// Writes a consistent copy of the database to `target`, which must not
    /// exist, while others go on reading and writing.
    ///
    /// # Errors
    /// When the copy cannot be written.
    pub fn backup(&self, target: &Path) -> Result<(), StorageError> {
        let text = target.to_str().ok_or_else(|| StorageError::Open("the path is not UTF-8".to_owned()))?;
        sqlite::copy_into(&mut sqlite::open_maintenance(&self.path)?, text)?;
        File::open(target)
            .and_then(|file| file.sync_all())
            .map_err(|e| StorageError::Unavailable(e.to_string()))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.writer.close();
        // Closing the file is not enough while a child that is just being
        // started has a copy of its descriptor.
        let _ = self.lock.unlock();
    }
}

/// A number that each thread keeps, so that each finds its own connection first.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    NUMBER.get()
}

/// A job with its answer.
struct Pending<F, T> {
    job: Option<F>,
    result: Option<Result<T, Issue>>,
    sender: tokio::sync::oneshot::Sender<Result<T, Issue>>,
}

impl<F, T> Job for Pending<F, T>
where
    F: FnOnce(&mut WriteUnit<'_>) -> Result<T, Issue> + Send,
    T: Send,
{
    fn run(&mut self, unit: &mut WriteUnit<'_>) -> bool {
        let Some(job) = self.job.take() else { return false };
        // Stays so when the job panics.
        self.result = Some(Err(StorageError::Panicked.into()));
        let result = job(unit);
        let kept = result.is_ok();
        self.result = Some(result);
        kept
    }

    fn finish(self: Box<Self>, failure: Option<StorageError>) {
        let result = match failure {
            Some(error) => Err(error.into()),
            None => self.result.unwrap_or_else(|| Err(StorageError::Panicked.into())),
        };
        // The caller may have gone away; then nobody needs the answer.
        let _ = self.sender.send(result);
    }
}

/// Opens the data of a folder to read them beside the process that they belong to.
///
/// # Errors
/// When there are none, or they cannot be read.
pub fn read_beside(folder: &Path) -> Result<sqlite::Connection, StorageError> {
    let path = folder.canonicalize().map_err(|e| unusable(folder, &e))?.join("lanterna.sqlite");
    if !path.exists() {
        return Err(StorageError::Open(format!("there are no data in `{}`", folder.display())));
    }
    sqlite::open_reader(&path)
}

fn unusable(folder: &Path, error: &std::io::Error) -> StorageError {
    StorageError::Open(format!("the data folder `{}` cannot be used: {error}", folder.display()))
}

fn lock(folder: &Path) -> Result<File, StorageError> {
    std::fs::create_dir_all(folder).map_err(|e| unusable(folder, &e))?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lanterna.lock"))
        .map_err(|e| unusable(folder, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StorageError::Locked(folder.display().to_string())),
        Err(std::fs::TryLockError::Error(error)) => Err(unusable(folder, &error)),
    }
}

fn last_instant(connection: &mut SqliteConnection) -> Result<i64, StorageError> {
    let current: Option<i64> =
        resource::table.select(diesel::dsl::max(resource::updated)).first(connection)?;
    let old: Option<i64> = version::table.select(diesel::dsl::max(version::updated)).first(connection)?;
    Ok(current.max(old).unwrap_or(0))
}
