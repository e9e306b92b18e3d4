//! Copies the write-ahead log into the database file, beside the writer.
//!
//! Commits never checkpoint. A thread with a connection of its own copies most
//! of the log while the writer goes on; the little that came meanwhile the
//! writer copies itself between two batches, so that the log can start anew.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, TrySendError, bounded};

use super::error::StorageError;
use super::sqlite::{self, Checkpoint, Connection, LogState, PAGE_BYTES};
use super::writer::WriterStatistics;

/// From so many pages on that are only in the log, they are copied: 16 MiB.
const COPY_FROM_PAGES: u64 = (16 << 20) / PAGE_BYTES;
/// So many pages the writer copies itself to finish: 2 MiB.
const FINISH_PAGES: u64 = (2 << 20) / PAGE_BYTES;
/// At so many pages in the log the writer waits for the copy: 256 MiB.
const WAIT_FROM_PAGES: u64 = (256 << 20) / PAGE_BYTES;

/// What is to be done about the log after a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Nothing,
    CopyBeside,
    CopyNow,
}

fn next_step(log: LogState, copied_beside: bool) -> Step {
    let waiting = log.pages.saturating_sub(log.copied);
    if waiting == 0 {
        Step::Nothing
    } else if waiting >= WAIT_FROM_PAGES || (copied_beside && waiting <= FINISH_PAGES) {
        Step::CopyNow
    } else if waiting >= COPY_FROM_PAGES || copied_beside {
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
    /// Set when a copy has ended and the writer may finish it.
    copied: Arc<AtomicBool>,
    statistics: Arc<WriterStatistics>,
}

impl Checkpointer {
    /// Starts the thread.
    pub(super) fn start(
        path: PathBuf,
        statistics: Arc<WriterStatistics>,
    ) -> Result<Checkpointer, StorageError> {
        let (ask, asked) = bounded::<()>(1);
        let copied = Arc::new(AtomicBool::new(false));
        let (flag, count) = (Arc::clone(&copied), Arc::clone(&statistics));
        let work = move || {
            let mut connection = None;
            for () in asked {
                match copy(&path, &mut connection) {
                    Ok(_) => {
                        count.checkpoints.fetch_add(1, Ordering::Relaxed);
                        flag.store(true, Ordering::Release);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "checkpoint failed");
                        connection = None;
                    }
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("storage-checkpoint".to_owned())
            .spawn(work)
            .map_err(|e| StorageError::Unavailable(e.to_string()))?;
        Ok(Checkpointer { ask: Some(ask), thread: Some(thread), copied, statistics })
    }

    /// Looks at the log after a commit and does what is due. `idle` tells that
    /// nothing waits to be written.
    pub(super) fn after_commit(
        &mut self,
        connection: &mut Connection,
        idle: bool,
    ) -> Result<(), StorageError> {
        let log = sqlite::checkpoint(connection, Checkpoint::Look)?;
        self.statistics.log_bytes.store(log.pages * PAGE_BYTES, Ordering::Relaxed);
        let step = match next_step(log, self.copied.swap(false, Ordering::Acquire)) {
            Step::Nothing if idle && log.pages > log.copied => Step::CopyNow,
            step => step,
        };
        match step {
            Step::Nothing => {}
            Step::CopyBeside => {
                if let Some(Err(TrySendError::Disconnected(()))) = self.ask.as_ref().map(|a| a.try_send(())) {
                    self.ask = None;
                }
            }
            Step::CopyNow => {
                sqlite::checkpoint(connection, Checkpoint::Passive)?;
                self.statistics.checkpoints.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
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
        for (pages, copied, copied_beside, expected) in [
            (0, 0, false, Step::Nothing),
            (100, 0, false, Step::Nothing),
            (5_000, 5_000, true, Step::Nothing),
            (COPY_FROM_PAGES, 0, false, Step::CopyBeside),
            (6_000, 5_900, true, Step::CopyNow),
            (9_000, 5_900, true, Step::CopyBeside),
            (WAIT_FROM_PAGES, 0, false, Step::CopyNow),
        ] {
            assert_eq!(next_step(LogState { pages, copied }, copied_beside), expected, "{pages} {copied}");
        }
    }
}
