//! The one writer: a thread that gathers what arrives while the last commit
//! was syncing, and commits it as one transaction.
//!
//! Each job has a savepoint of its own. Answers leave when the commit is
//! durable. A commit that fails is never acknowledged and never retried: every
//! job of it gets the error, and the connection is opened anew.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant as Moment;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use diesel::connection::SimpleConnection;
use diesel::sqlite::SqliteConnection;

use super::error::StorageError;
use super::sqlite;
use super::write::{Clock, WriteUnit};

/// The greatest number of jobs in one commit.
const BATCH_JOBS_MAX: usize = 512;

/// A job for the writer.
pub(super) trait Job: Send {
    /// Runs in the transaction; `false` asks that what it did is undone.
    fn run(&mut self, unit: &mut WriteUnit<'_>) -> bool;

    /// Tells whether it failed for want of space.
    fn found_no_space(&self) -> bool;

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
    /// Commits that failed.
    pub failures: AtomicU64,
    /// Microseconds spent in commits.
    pub commit_micros: AtomicU64,
}

/// The way to the writer.
pub(super) struct Writer {
    sender: Option<Sender<Box<dyn Job>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        path: PathBuf,
        connection: SqliteConnection,
        clock: Clock,
        queue_jobs_max: usize,
        statistics: Arc<WriterStatistics>,
    ) -> std::io::Result<Writer> {
        let (sender, receiver) = crossbeam_channel::bounded(queue_jobs_max);
        let mut state = State { path, connection: Some(connection), clock, statistics };
        let thread =
            std::thread::Builder::new().name("writer".to_owned()).spawn(move || state.run(&receiver))?;
        Ok(Writer { sender: Some(sender), thread: Some(thread) })
    }

    /// Hands a job over.
    ///
    /// # Errors
    /// When the queue is full, or the writer gone.
    pub(super) fn send(&self, job: Box<dyn Job>) -> Result<(), StorageError> {
        let sender = self.sender.as_ref().ok_or(StorageError::Closed)?;
        sender.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StorageError::Busy("writes"),
            TrySendError::Disconnected(_) => StorageError::Closed,
        })
    }

    /// Returns how many jobs wait.
    pub(super) fn queue_length(&self) -> usize {
        self.sender.as_ref().map_or(0, Sender::len)
    }
}

impl Drop for Writer {
    /// Lets the writer finish what it was given.
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct State {
    path: PathBuf,
    /// `None` after a failure, until it is opened anew.
    connection: Option<SqliteConnection>,
    clock: Clock,
    statistics: Arc<WriterStatistics>,
}

impl State {
    fn run(&mut self, receiver: &Receiver<Box<dyn Job>>) {
        while let Ok(first) = receiver.recv() {
            let mut jobs = vec![first];
            jobs.extend(receiver.try_iter().take(BATCH_JOBS_MAX - 1));
            self.batch(jobs);
        }
    }

    fn batch(&mut self, jobs: Vec<Box<dyn Job>>) {
        let (finished, failure) = match self.try_batch(jobs) {
            Ok(jobs) => (jobs, None),
            Err((jobs, error)) => {
                tracing::error!(%error, jobs = jobs.len(), "a commit failed; nothing of it was acknowledged");
                self.statistics.failures.fetch_add(1, Ordering::Relaxed);
                // What the connection knows of the file is in doubt: open it anew.
                self.connection = None;
                (jobs, Some(error))
            }
        };
        for job in finished {
            job.finish(failure.clone());
        }
    }

    #[allow(clippy::type_complexity)]
    fn try_batch(
        &mut self,
        mut jobs: Vec<Box<dyn Job>>,
    ) -> Result<Vec<Box<dyn Job>>, (Vec<Box<dyn Job>>, StorageError)> {
        if self.connection.is_none() {
            match sqlite::open_writer(&self.path) {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => return Err((jobs, StorageError::Unavailable(error.to_string()))),
            }
        }
        let Some(connection) = self.connection.as_mut() else {
            return Err((jobs, StorageError::Unavailable("no connection".to_owned())));
        };
        let result = run_jobs(connection, &mut self.clock, &mut jobs, &self.statistics);
        match result {
            Ok(()) => Ok(jobs),
            Err(error) => {
                let _ = connection.batch_execute("ROLLBACK");
                Err((jobs, error))
            }
        }
    }
}

fn run_jobs(
    connection: &mut SqliteConnection,
    clock: &mut Clock,
    jobs: &mut [Box<dyn Job>],
    statistics: &WriterStatistics,
) -> Result<(), StorageError> {
    connection.batch_execute("BEGIN IMMEDIATE")?;
    let mut counts = Vec::new();
    for job in jobs.iter_mut() {
        connection.batch_execute("SAVEPOINT job")?;
        let mut unit = WriteUnit { connection, clock, counts: Vec::new() };
        let kept = catch_unwind(AssertUnwindSafe(|| job.run(&mut unit))).unwrap_or(false);
        if kept {
            counts.append(&mut unit.counts);
            connection.batch_execute("RELEASE job")?;
        } else {
            connection.batch_execute("ROLLBACK TO job; RELEASE job").map_err(|error| {
                // Out of space, SQLite may have rolled back everything already.
                if job.found_no_space() { StorageError::Full(error.to_string()) } else { error.into() }
            })?;
        }
    }
    WriteUnit { connection, clock, counts }.write_counts()?;
    let begin = Moment::now();
    connection.batch_execute("COMMIT")?;
    statistics.commit_micros.fetch_add(begin.elapsed().as_micros() as u64, Ordering::Relaxed);
    statistics.commits.fetch_add(1, Ordering::Relaxed);
    statistics.jobs.fetch_add(jobs.len() as u64, Ordering::Relaxed);
    Ok(())
}
