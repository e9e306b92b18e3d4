//! The way into the storage.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, PooledConnection};
use diesel::sqlite::SqliteConnection;
use fhir_model::interaction::ResourceKey;
use fhir_model::outcome::{Issue, IssueType};

use super::error::StorageError;
use super::read::Reads;
use super::resource::StoredResource;
use super::schema::{resource, version};
use super::sqlite;
use super::write::{Clock, WriteUnit};
use super::writer::{Job, Writer, WriterStatistics};

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
    statistics: Arc<WriterStatistics>,
    path: PathBuf,
    /// Held for as long as the folder is ours.
    _lock: File,
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
        let path = settings.folder.join("lanterna.sqlite");
        let mut connection = sqlite::open_writer(&path)?;
        sqlite::migrate(&mut connection)?;
        let last = last_instant(&mut connection)?;
        let readers = Pool::builder()
            .max_size(settings.readers_max)
            .min_idle(Some(1))
            .test_on_check_out(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connection_timeout(Duration::from_millis(settings.reader_wait_ms))
            .connection_customizer(Box::new(SetReaderUp))
            .build(ConnectionManager::new(path.to_string_lossy()))
            .map_err(|e| StorageError::Open(e.to_string()))?;
        let statistics = Arc::new(WriterStatistics::default());
        let clock = Clock { last, now };
        let writer =
            Writer::start(path.clone(), connection, clock, settings.queue_jobs_max, Arc::clone(&statistics))
                .map_err(|e| StorageError::Open(e.to_string()))?;
        Ok(Store { writer, readers, statistics, path, _lock: lock })
    }

    /// Returns a connection that reads.
    ///
    /// # Errors
    /// [`StorageError::Busy`] when none gets free in time.
    pub fn reader(&self) -> Result<Reader, StorageError> {
        let connection = self.readers.get().map_err(|_| StorageError::Busy("reads"))?;
        Ok(Reader { connection })
    }

    /// Returns the current version of a resource, which may be a deletion.
    ///
    /// # Errors
    /// When the database fails.
    pub fn read_current(&self, key: &ResourceKey) -> Result<Option<StoredResource>, StorageError> {
        self.reader()?.current(key)
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

    /// As [`Store::write`], for callers that may block.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut WriteUnit<'_>) -> Result<T, Issue> + Send + 'static,
    ) -> Result<T, Issue> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.writer.send(Box::new(Pending { job: Some(job), result: None, sender }))?;
        receiver.blocking_recv().map_err(|_| Issue::from(StorageError::Closed))?
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
        self.write(|unit| Ok(unit.probe()?)).await
    }

    /// Checks the whole database; returns what SQLite finds wrong.
    ///
    /// # Errors
    /// When the database fails.
    pub fn check(&self) -> Result<Vec<String>, StorageError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::Text)]
            integrity_check: String,
        }
        let rows: Vec<Row> =
            diesel::sql_query("PRAGMA integrity_check").load(&mut self.reader()?.connection)?;
        Ok(rows.into_iter().map(|r| r.integrity_check).filter(|text| text != "ok").collect())
    }

    /// Writes a consistent copy of the database to `target`, which must not exist.
    ///
    /// # Errors
    /// When the copy cannot be written.
    pub fn backup(&self, target: &Path) -> Result<(), StorageError> {
        let mut connection = SqliteConnection::establish(&self.path.to_string_lossy())
            .map_err(|e| StorageError::Unavailable(e.to_string()))?;
        diesel::sql_query("VACUUM INTO ?")
            .bind::<diesel::sql_types::Text, _>(target.to_string_lossy().into_owned())
            .execute(&mut connection)?;
        connection.batch_execute("PRAGMA optimize")?;
        Ok(())
    }
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

    fn found_no_space(&self) -> bool {
        matches!(&self.result, Some(Err(issue)) if issue.code == IssueType::NoStore)
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

fn lock(folder: &Path) -> Result<File, StorageError> {
    let told = |e: std::io::Error| {
        StorageError::Open(format!("the data folder `{}` cannot be used: {e}", folder.display()))
    };
    std::fs::create_dir_all(folder).map_err(told)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lanterna.lock"))
        .map_err(told)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StorageError::Locked(folder.display().to_string())),
        Err(std::fs::TryLockError::Error(error)) => Err(told(error)),
    }
}

fn last_instant(connection: &mut SqliteConnection) -> Result<i64, StorageError> {
    let current: Option<i64> =
        resource::table.select(diesel::dsl::max(resource::updated)).first(connection)?;
    let old: Option<i64> = version::table.select(diesel::dsl::max(version::updated)).first(connection)?;
    Ok(current.max(old).unwrap_or(0))
}
