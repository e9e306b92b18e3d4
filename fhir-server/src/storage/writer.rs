//! The one writer: a thread that gathers what arrives while the last commit
//! was syncing, and commits it as one transaction.
//!
//! A job that writes beside others has a savepoint of its own. Answers leave
//! when the commit is durable. A commit that fails is never acknowledged and
//! never retried: every job of it gets the error, and the connection is opened
//! anew, so that the next jobs find the last good state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Moment};

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, TrySendError};
use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::sqlite::SqliteConnection;

use super::cache::ReadCache;
use super::checkpoint::Checkpointer;
use super::crash::{self, Point};
use super::error::{StorageError, take_fault};
use super::resource::Effect;
use super::sqlite;
use super::write::{Batch, WriteUnit};

/// The greatest number of jobs in one commit.
const BATCH_JOBS_MAX: usize = 512;
/// A transaction takes no further job once it lasts so long.
const BATCH_TIME_MAX: Duration = Duration::from_millis(40);
/// After so long without a job the log is copied into the database.
const IDLE_AFTER: Duration = Duration::from_millis(250);

/// Is told what each transaction changed, when it is durable and before its
/// jobs are answered. Must be quick: all writes wait for it.
pub type Observer = Box<dyn Fn(&[Effect]) + Send + Sync>;

/// A job for the writer.
pub(super) trait Job: Send {
    /// Runs in the transaction; `false` asks that what it did is undone.
    fn run(&mut self, unit: &mut WriteUnit<'_>) -> bool;

    /// Is called when the batch is durable, or has failed as a whole.
    fn finish(self: Box<Self>, failure: Option<StorageError>);
}

/// What the writer has done; for metrics.
#[derive(Debug, Default)]
pub struct WriterStatistics {
    /// Commits that are durable.
    pub commits: AtomicU64,
    /// Jobs in them.
    pub jobs: AtomicU64,
    /// The most jobs that one of them held.
    pub jobs_max: AtomicU64,
    /// Jobs that were refused because too many waited.
    pub refused: AtomicU64,
    /// Commits that failed.
    pub failures: AtomicU64,
    /// When the last of them failed, in microseconds since 1970; 0 for never.
    pub failed_at_micros: AtomicI64,
    /// Microseconds spent in commits.
    pub commit_micros: AtomicU64,
    /// Bytes in the write-ahead log after the last commit.
    pub log_bytes: AtomicU64,
    /// Checkpoints made.
    pub checkpoints: AtomicU64,
}

/// The way to the writer.
pub(super) struct Writer {
    sender: Mutex<Option<Sender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    statistics: Arc<WriterStatistics>,
}

/// What the writer and the store share.
#[derive(Default)]
pub(super) struct Shared {
    /// The size that the database may not exceed, in bytes; 0 for no bound.
    pub(super) size_bytes_max: AtomicU64,
    pub(super) observers: Mutex<Vec<Observer>>,
    pub(super) cache: ReadCache,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        path: PathBuf,
        connection: SqliteConnection,
        batch: Batch,
        queue_jobs_max: usize,
        statistics: Arc<WriterStatistics>,
        shared: Arc<Shared>,
    ) -> Result<Writer, StorageError> {
        let (sender, receiver) = crossbeam_channel::bounded(queue_jobs_max.max(1));
        let state = State {
            checkpointer: Checkpointer::start(path.clone(), Arc::clone(&statistics))?,
            path,
            connection: Some(connection),
            batch,
            statistics: Arc::clone(&statistics),
            shared,
            size_bytes_set: 0,
        };
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || state.run(&receiver))
            .map_err(|e| StorageError::Open(e.to_string()))?;
        Ok(Writer { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), statistics })
    }

    /// Hands a job over.
    ///
    /// # Errors
    /// When the queue is full, or the writer gone.
    pub(super) fn send(&self, job: Box<dyn Job>) -> Result<(), StorageError> {
        self.sender()?.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => {
                self.statistics.refused.fetch_add(1, Ordering::Relaxed);
                StorageError::Busy("writes")
            }
            TrySendError::Disconnected(_) => StorageError::Closed,
        })
    }

    /// Hands a job over, waiting for room in the queue.
    ///
    /// # Errors
    /// When there was no room in time, or the writer is gone.
    pub(super) fn send_waiting(&self, job: Box<dyn Job>, wait: Duration) -> Result<(), StorageError> {
        self.sender()?.send_timeout(job, wait).map_err(|error| match error {
            SendTimeoutError::Timeout(_) => StorageError::Busy("writes"),
            SendTimeoutError::Disconnected(_) => StorageError::Closed,
        })
    }

    /// Returns how many jobs wait.
    pub(super) fn queue_length(&self) -> usize {
        self.sender().map_or(0, |sender| sender.len())
    }

    /// Lets the writer finish what it was given, and takes no more.
    pub(super) fn close(&self) {
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The store may be dropped by a job, on the writer itself.
        if let Some(thread) = thread.filter(|t| t.thread().id() != std::thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the writer has panicked");
        }
    }

    fn sender(&self) -> Result<Sender<Box<dyn Job>>, StorageError> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.clone().ok_or(StorageError::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

struct State {
    path: PathBuf,
    /// `None` after a failure, until it is opened anew.
    connection: Option<SqliteConnection>,
    batch: Batch,
    checkpointer: Checkpointer,
    statistics: Arc<WriterStatistics>,
    shared: Arc<Shared>,
    size_bytes_set: u64,
}

impl State {
    /// Works until the way to the writer is gone and the last job is answered.
    fn run(mut self, jobs: &Receiver<Box<dyn Job>>) {
        let mut is_idle = true;
        loop {
            let next = match is_idle {
                true => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => jobs.recv_timeout(IDLE_AFTER),
            };
            match next {
                Ok(job) => {
                    self.batch(job, jobs);
                    is_idle = false;
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.checkpoint(true);
                    is_idle = true;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Some(connection) = &mut self.connection
            && let Err(error) = sqlite::checkpoint(connection, sqlite::Checkpoint::Truncate)
        {
            tracing::warn!(%error, "the last checkpoint failed");
        }
    }

    fn batch(&mut self, first: Box<dyn Job>, jobs: &Receiver<Box<dyn Job>>) {
        let mut done = Vec::with_capacity(64);
        let failure = self.run_and_commit(first, jobs, &mut done).err();
        if let Some(error) = &failure {
            tracing::error!(%error, jobs = done.len(), "a commit failed; nothing of it was acknowledged");
            self.statistics.failures.fetch_add(1, Ordering::Relaxed);
            let now = jiff::Timestamp::now().as_microsecond();
            self.statistics.failed_at_micros.store(now, Ordering::Relaxed);
            // What the connection knows of the file is in doubt. Closing it
            // rolls back what is open.
            self.connection = None;
            self.batch.forget();
            self.overwrite_what_failed();
        } else {
            self.tell_observers();
        }
        for job in done {
            // Nothing that waits for an answer may end the writer.
            let _ = catch_unwind(AssertUnwindSafe(|| job.finish(failure.clone())));
            crash::pass(Point::BetweenAnswers);
        }
        if failure.is_none() {
            self.checkpoint(false);
        }
    }

    /// Writes a commit that means nothing over the one that failed, so that
    /// what was not acknowledged cannot come back by a recovery of the log,
    /// even if the process is killed now. Whether this one reaches the disk
    /// does not matter for that.
    fn overwrite_what_failed(&mut self) {
        let reopened = open(&mut self.connection, &self.path, &self.shared, &mut self.size_bytes_set);
        let Ok(connection) = reopened else { return };
        if let Err(error) = sqlite::commit_nothing(connection) {
            tracing::warn!(%error, "the log still ends with a commit that failed");
            self.connection = None;
        }
        let _ = take_fault();
    }

    /// Runs `first` and what else has arrived, and commits. Whatever comes of
    /// it, the jobs taken are in `done`.
    fn run_and_commit(
        &mut self,
        first: Box<dyn Job>,
        jobs: &Receiver<Box<dyn Job>>,
        done: &mut Vec<Box<dyn Job>>,
    ) -> Result<(), StorageError> {
        let began = Moment::now();
        let mut next = Some(first);
        let (mut is_begun, mut is_shared) = (false, false);
        while let Some(mut job) = next.take() {
            let ran = self.run_job(job.as_mut(), &mut is_begun, &mut is_shared);
            done.push(job);
            ran?;
            crash::pass(Point::BetweenJobs);
            if done.len() < BATCH_JOBS_MAX && began.elapsed() < BATCH_TIME_MAX {
                next = jobs.try_recv().ok();
            }
        }
        let Some(connection) = self.connection.as_mut().filter(|_| is_begun) else { return Ok(()) };
        self.batch.changes.write(connection, false)?;
        crash::pass(Point::BeforeCommit);
        let committing = Moment::now();
        // Nobody reads from memory what a reader of the database no longer sees.
        let changing = self.shared.cache.changing(&self.batch.effects);
        AnsiTransactionManager::commit_transaction(connection)?;
        drop(changing);
        crash::pass(Point::BeforeAnswers);
        self.batch.changes.committed();
        let statistics = &self.statistics;
        statistics.commit_micros.fetch_add(committing.elapsed().as_micros() as u64, Ordering::Relaxed);
        statistics.commits.fetch_add(1, Ordering::Relaxed);
        statistics.jobs.fetch_add(done.len() as u64, Ordering::Relaxed);
        statistics.jobs_max.fetch_max(done.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Runs a job in the transaction, which is begun when it is not yet.
    ///
    /// # Errors
    /// When the transaction cannot go on; not when only the job failed.
    fn run_job(
        &mut self,
        job: &mut dyn Job,
        is_begun: &mut bool,
        is_shared: &mut bool,
    ) -> Result<(), StorageError> {
        let connection = open(&mut self.connection, &self.path, &self.shared, &mut self.size_bytes_set)?;
        if !*is_begun {
            AnsiTransactionManager::begin_transaction_sql(connection, sqlite::BEGIN_WRITE)?;
            *is_begun = true;
        }
        let _ = take_fault();
        let mut unit = WriteUnit::new(connection, &mut self.batch, *is_shared);
        // After a panic the unit is rolled back, so nobody sees it half done.
        let succeeded = catch_unwind(AssertUnwindSafe(|| job.run(&mut unit))).unwrap_or(false);
        let is_separate = unit.end(succeeded)?;
        // SQLite may have ended the transaction: whatever the job made of it.
        if let Some(fault) = take_fault() {
            return Err(fault);
        }
        if !is_separate {
            AnsiTransactionManager::rollback_transaction(connection)?;
            self.batch.forget();
            *is_begun = false;
        }
        *is_shared |= succeeded;
        Ok(())
    }

    fn tell_observers(&mut self) {
        let effects = std::mem::take(&mut self.batch.effects);
        if effects.is_empty() {
            return;
        }
        for observer in &*self.shared.observers.lock().unwrap_or_else(PoisonError::into_inner) {
            if catch_unwind(AssertUnwindSafe(|| observer(&effects))).is_err() {
                tracing::error!("an observer of commits has panicked");
            }
        }
    }

    fn checkpoint(&mut self, is_idle: bool) {
        let Some(connection) = &mut self.connection else { return };
        crash::pass(Point::BeforeCheckpoint);
        if let Err(error) = self.checkpointer.after_commit(connection, is_idle) {
            tracing::warn!(%error, "a checkpoint failed");
        }
    }
}

/// Returns the connection, opened anew when the last one was given up, with
/// the bound on the size as it is now.
fn open<'c>(
    connection: &'c mut Option<SqliteConnection>,
    path: &Path,
    shared: &Shared,
    size_bytes_set: &mut u64,
) -> Result<&'c mut SqliteConnection, StorageError> {
    let is_new = connection.is_none();
    let open = match connection {
        Some(open) => open,
        None => connection.insert(sqlite::open_writer(path)?),
    };
    let bound = shared.size_bytes_max.load(Ordering::Relaxed);
    if bound != *size_bytes_set || (is_new && bound != 0) {
        sqlite::limit_size(open, if bound == 0 { u64::MAX } else { bound })?;
        *size_bytes_set = bound;
    }
    Ok(open)
}
