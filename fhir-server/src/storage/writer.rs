//! The one thread that writes.
//!
//! It takes a job and what else has arrived while the last commit was syncing,
//! runs them in one transaction, each in a savepoint, and answers them after
//! the commit is on the disk. When a commit fails, all of its jobs are told
//! so, the connection is replaced, and the next jobs find the last good state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as Moment};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use diesel::connection::SimpleConnection;

use super::checkpoint::Checkpointer;
use super::dialect;
use super::error::StorageError;
use super::reader::Reader;
use super::resource::Effect;
use super::statistics::Counters;
use super::unit::{Batch, WriteUnit};

/// A transaction takes no further job once it has so many.
const BATCH_JOBS_MAX: usize = 512;
/// A transaction takes no further job once it lasts so long.
const BATCH_TIME_MAX: Duration = Duration::from_millis(40);
/// After so long without a job the log is checkpointed.
const IDLE_AFTER: Duration = Duration::from_millis(250);

/// Told of what each transaction changed, when it is durable and before its
/// jobs are answered.
pub type Committed = Arc<dyn Fn(&[Effect]) + Send + Sync>;

/// Something to run in a transaction.
pub(super) trait Job: Send {
    /// Runs it; `false` when it failed and nothing of it is to be stored.
    fn run(&mut self, unit: &mut WriteUnit<'_>) -> bool;
    /// Tells the one who asked what came of it, or what befell the transaction.
    fn answer(self: Box<Self>, committed: Result<(), StorageError>);
}

/// A job made of a function and of what takes its result.
pub(super) struct Ticket<T, E, F, A> {
    work: Option<F>,
    result: Option<Result<T, E>>,
    answer: A,
}

impl<T, E, F, A> Ticket<T, E, F, A> {
    pub(super) fn new(work: F, answer: A) -> Self {
        Ticket { work: Some(work), result: None, answer }
    }
}

impl<T, E, F, A> Job for Ticket<T, E, F, A>
where
    T: Send,
    E: From<StorageError> + Send,
    F: FnOnce(&mut WriteUnit<'_>) -> Result<T, E> + Send,
    A: FnOnce(Result<T, E>) + Send,
{
    fn run(&mut self, unit: &mut WriteUnit<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        // The unit is rolled back after a panic, so no broken state is seen.
        let result = catch_unwind(AssertUnwindSafe(|| work(unit)))
            .unwrap_or_else(|_| Err(E::from(StorageError::Panicked)));
        self.result.insert(result).is_ok()
    }

    fn answer(self: Box<Self>, committed: Result<(), StorageError>) {
        let result = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(E::from(StorageError::Panicked)),
            (Err(error), _) => Err(E::from(error)),
        };
        (self.answer)(result);
    }
}

/// What the writer works with.
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) jobs: Receiver<Box<dyn Job>>,
    pub(super) reader: Option<Reader>,
    pub(super) batch: Batch,
    pub(super) checkpointer: Checkpointer,
    pub(super) counters: Arc<Counters>,
    /// Zero for no bound.
    pub(super) size_bytes_max: Arc<AtomicU64>,
    pub(super) size_bytes_set: u64,
    pub(super) committed: Option<Committed>,
}

impl Writer {
    /// Works until all senders of jobs are gone and the last job is answered.
    pub(super) fn work(mut self) {
        let mut rested = true;
        loop {
            let next = match rested {
                true => self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => self.jobs.recv_timeout(IDLE_AFTER),
            };
            match next {
                Ok(job) => {
                    self.run_batch(job);
                    rested = false;
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.checkpoint(true);
                    rested = true;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Some(reader) = &mut self.reader
            && let Err(error) = dialect::checkpoint(&mut reader.connection, dialect::Checkpoint::Truncate)
        {
            tracing::warn!(%error, "last checkpoint failed");
        }
    }

    fn run_batch(&mut self, first: Box<dyn Job>) {
        let mut done = Vec::with_capacity(64);
        let outcome = self.run_and_commit(first, &mut done);
        let answer = match outcome {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::error!(%error, jobs = done.len(), "a transaction failed");
                self.counters.batches_failed.fetch_add(1, Ordering::Relaxed);
                // Closing the connection rolls back what may still be open.
                self.reader = None;
                Err(error)
            }
        };
        if answer.is_ok()
            && !self.batch.effects.is_empty()
            && let Some(committed) = &self.committed
            && catch_unwind(AssertUnwindSafe(|| committed(&self.batch.effects))).is_err()
        {
            tracing::error!("the observer of commits panicked");
        }
        match answer {
            Ok(()) => self.batch.effects.clear(),
            Err(_) => self.batch.forget(),
        }
        for job in done {
            // Whoever waits may be gone, and its drop may panic.
            let _ = catch_unwind(AssertUnwindSafe(|| job.answer(answer.clone())));
        }
        if answer.is_ok() {
            self.checkpoint(false);
        }
    }

    /// Runs `first` and what else has arrived, and commits. Whatever comes of
    /// it, the jobs taken are in `done`.
    fn run_and_commit(
        &mut self,
        first: Box<dyn Job>,
        done: &mut Vec<Box<dyn Job>>,
    ) -> Result<(), StorageError> {
        let began = Moment::now();
        let mut next = Some(first);
        let mut begun = false;
        let mut shared = false;
        while let Some(mut job) = next.take() {
            self.counters.jobs.fetch_add(1, Ordering::Relaxed);
            let ran = self.run_job(job.as_mut(), &mut begun, &mut shared);
            done.push(job);
            ran?;
            if done.len() < BATCH_JOBS_MAX && began.elapsed() < BATCH_TIME_MAX {
                next = self.jobs.try_recv().ok();
            }
        }
        let Some(reader) = self.reader.as_mut().filter(|_| begun) else { return Ok(()) };
        self.batch.changes.write(reader, false)?;
        let committing = Moment::now();
        reader.execute("COMMIT", &[])?;
        self.counters.committed(done.len() as u64, committing.elapsed());
        Ok(())
    }

    fn run_job(
        &mut self,
        job: &mut dyn Job,
        begun: &mut bool,
        shared: &mut bool,
    ) -> Result<(), StorageError> {
        let reader =
            open_if_closed(&mut self.reader, &self.path, &self.size_bytes_max, &mut self.size_bytes_set)?;
        if !*begun {
            reader.connection.batch_execute(dialect::BEGIN_WRITE).map_err(dialect::error)?;
            *begun = true;
        }
        let mut unit = WriteUnit::new(reader, &mut self.batch, *shared);
        let succeeded = job.run(&mut unit);
        let separated = unit.end(succeeded)?;
        if let Some(fault) = reader.take_fault() {
            return Err(fault);
        }
        if !separated {
            reader.connection.batch_execute("ROLLBACK").map_err(dialect::error)?;
            self.batch.forget();
            *begun = false;
        }
        *shared |= succeeded;
        Ok(())
    }

    fn checkpoint(&mut self, idle: bool) {
        let Some(reader) = &mut self.reader else { return };
        if let Err(error) = self.checkpointer.after_commit(&mut reader.connection, idle) {
            tracing::warn!(%error, "checkpoint failed");
        }
    }
}

/// Returns the connection, opened anew when the last one was given up, with
/// the bound on the size as it is now.
fn open_if_closed<'a>(
    reader: &'a mut Option<Reader>,
    path: &std::path::Path,
    size_bytes_max: &AtomicU64,
    size_bytes_set: &mut u64,
) -> Result<&'a mut Reader, StorageError> {
    let fresh = reader.is_none();
    let open = match reader {
        Some(open) => open,
        None => reader.insert(Reader::within_transaction(dialect::open_writer(path)?)),
    };
    let bound = size_bytes_max.load(Ordering::Relaxed);
    if bound != *size_bytes_set || (fresh && bound != 0) {
        dialect::limit_size(&mut open.connection, if bound == 0 { u64::MAX } else { bound })?;
        *size_bytes_set = bound;
    }
    Ok(open)
}
