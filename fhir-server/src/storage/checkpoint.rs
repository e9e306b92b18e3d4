//! Copies the write-ahead log into the database file, beside the writer.
//!
//! Commits never checkpoint. A thread with a connection of its own copies most
//! of the log while the writer goes on; the little that came meanwhile the
//! writer copies itself between two batches, so that the log can start anew.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};

use super::error::StorageError;
use super::sqlite::{self, Checkpoint, Connection, LogState, PAGE_BYTES};
use super::writer::WriterStatistics;

/// From so many pages on that are only in the log, they are copied: 32 MiB. Pages written
/// often are copied once.
const COPY_FROM_PAGES: u64 = (32 << 20) / PAGE_BYTES;
/// So many pages the writer copies itself to finish: 4 MiB.
const FINISH_PAGES: u64 = (4 << 20) / PAGE_BYTES;
/// The log grows to so many pages, then the writer waits for the copy: 64 MiB.
/// A log that stays within its file costs less than one that grows, and each
/// read looks through its index.
const LOG_PAGES_MAX: u64 = (64 << 20) / PAGE_BYTES;
/// How long the writer sleeps between looks at a copy that it waits for.
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// What is to be done about the log after a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Nothing,
    CopyBeside,
    CopyNow,
}

/// `is_copying`: the thread is at it. `is_idle`: nothing waits to be written.
fn next_step(log: LogState, is_copying: bool, is_idle: bool) -> Step {
    let waiting = log.pages.saturating_sub(log.copied);
    if waiting == 0 {
        Step::Nothing
    } else if log.pages >= LOG_PAGES_MAX || (is_idle && !is_copying) {
        Step::CopyNow
    } else if is_copying {
        Step::Nothing
    } else if log.copied > 0 && log.pages >= COPY_FROM_PAGES && waiting <= FINISH_PAGES {
        Step::CopyNow
    } else if waiting >= COPY_FROM_PAGES || log.copied > 0 {
        Step::CopyBeside
    } else {
        Step::Nothing
    }
}

/// Decides on checkpoints for the writer, and owns the thread that helps.
#[derive(Debug)]
pub(super) struct Checkpointer {
    ask: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Set while the thread copies.
    is_copying: Arc<AtomicBool>,
    statistics: Arc<WriterStatistics>,
}

impl Checkpointer {
    /// Starts the thread.
    pub(super) fn start(
        path: PathBuf,
        statistics: Arc<WriterStatistics>,
    ) -> Result<Checkpointer, StorageError> {
        let (ask, asked) = bounded::<()>(1);
        let is_copying = Arc::new(AtomicBool::new(false));
        let (flag, count) = (Arc::clone(&is_copying), Arc::clone(&statistics));
        let work = move || {
            let mut connection = None;
            for () in asked {
                match copy(&path, &mut connection) {
                    Ok(_) => {
                        count.checkpoints.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "checkpoint failed");
                        connection = None;
                    }
                }
                flag.store(false, Ordering::Release);
            }
        };
        let thread = std::thread::Builder::new()
            .name("storage-checkpoint".to_owned())
            .spawn(work)
            .map_err(|e| StorageError::Unavailable(e.to_string()))?;
        Ok(Checkpointer { ask: Some(ask), thread: Some(thread), is_copying, statistics })
    }

    /// Looks at the log after a commit and does what is due. `is_idle` tells that
    /// nothing waits to be written.
    pub(super) fn after_commit(
        &mut self,
        connection: &mut Connection,
        is_idle: bool,
    ) -> Result<(), StorageError> {
        let log = sqlite::checkpoint(connection, Checkpoint::Look)?;
        self.statistics.log_bytes.store(log.pages * PAGE_BYTES, Ordering::Relaxed);
        let is_copying = self.is_copying.load(Ordering::Acquire);
        match next_step(log, is_copying, is_idle) {
            Step::Nothing => {}
            Step::CopyBeside => {
                self.is_copying.store(true, Ordering::Release);
                if self.ask.as_ref().is_none_or(|ask| ask.try_send(()).is_err()) {
                    self.is_copying.store(false, Ordering::Release);
                }
            }
            Step::CopyNow => {
                // Only one can copy at a time.
                while self.is_copying.load(Ordering::Acquire) && !self.has_ended() {
                    std::thread::sleep(LOOK_EVERY);
                }
                sqlite::checkpoint(connection, Checkpoint::Passive)?;
                self.statistics.checkpoints.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Tells whether the thread is gone, which it never should be.
    fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn copy(path: &std::path::Path, connection: &mut Option<Connection>) -> Result<LogState, StorageError> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(sqlite::open_maintenance(path)?),
    };
    sqlite::checkpoint(open, Checkpoint::Passive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_copied_beside_and_finished_by_the_writer() {
        for (pages, copied, is_copying, is_idle, expected) in [
            (0, 0, false, false, Step::Nothing),
            (100, 0, false, false, Step::Nothing),
            (100, 0, false, true, Step::CopyNow),
            (100, 0, true, true, Step::Nothing),
            (5_000, 5_000, false, true, Step::Nothing),
            (COPY_FROM_PAGES, 0, false, false, Step::CopyBeside),
            (COPY_FROM_PAGES, 0, true, false, Step::Nothing),
            (9_000, 8_900, false, false, Step::CopyNow),
            (9_000, 8_900, true, false, Step::Nothing),
            (9_000, 5_900, false, false, Step::CopyBeside),
            (LOG_PAGES_MAX, 5_900, true, false, Step::CopyNow),
        ] {
            let step = next_step(LogState { pages, copied }, is_copying, is_idle);
            assert_eq!(step, expected, "{pages} {copied} {is_copying} {is_idle}");
        }
    }
}
