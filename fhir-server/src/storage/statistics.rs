//! What the storage did, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A look at what the storage did since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Statistics {
    /// Jobs that wait for the writer now.
    pub queue_depth: u64,
    /// Jobs run.
    pub jobs: u64,
    /// Jobs refused because the queue was full.
    pub jobs_refused: u64,
    /// Transactions committed.
    pub batches: u64,
    /// The most jobs that one transaction held.
    pub batch_jobs_max: u64,
    /// Transactions that could not be committed.
    pub batches_failed: u64,
    /// Time spent in commits, syncing included.
    pub commit_seconds: f64,
    /// Bytes in use in the write-ahead log after the last commit.
    pub log_bytes: u64,
    /// Checkpoints made.
    pub checkpoints: u64,
}

/// The counters behind [`Statistics`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) jobs: AtomicU64,
    pub(super) jobs_refused: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) batch_jobs_max: AtomicU64,
    pub(super) batches_failed: AtomicU64,
    pub(super) commit_nanos: AtomicU64,
    pub(super) log_bytes: AtomicU64,
    pub(super) checkpoints: AtomicU64,
}

impl Counters {
    pub(super) fn committed(&self, jobs: u64, took: Duration) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.batch_jobs_max.fetch_max(jobs, Ordering::Relaxed);
        self.commit_nanos.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(super) fn look(&self, queue_depth: usize) -> Statistics {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            queue_depth: queue_depth as u64,
            jobs: of(&self.jobs),
            jobs_refused: of(&self.jobs_refused),
            batches: of(&self.batches),
            batch_jobs_max: of(&self.batch_jobs_max),
            batches_failed: of(&self.batches_failed),
            commit_seconds: of(&self.commit_nanos) as f64 / 1e9,
            log_bytes: of(&self.log_bytes),
            checkpoints: of(&self.checkpoints),
        }
    }
}
