//! What can go wrong in the storage, and what the caller is told of it.

use std::path::PathBuf;

use fhir_model::outcome::{Issue, IssueType, Reason};

/// Seconds after which a caller may try again when the queue was full.
const RETRY_BUSY_SECONDS: u32 = 1;
/// Seconds after which a caller may try again when the disk failed or was full.
const RETRY_FAULT_SECONDS: u32 = 10;

/// What has no room left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The write queue: too many jobs wait.
    Queue,
    /// The readers: none became free in time.
    Readers,
}

/// A failure of the storage.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// More is asked than can be done now.
    #[error("the storage is busy: no room in {0:?}")]
    Busy(Full),
    /// The disk, or the size allowed, is full. Nothing was stored.
    #[error("no space is left for the database")]
    Full,
    /// The disk does not read or write, or the store is closing. Nothing was stored.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Stored bytes are not what was written.
    #[error("corrupt data: {0}")]
    Corrupt(String),
    /// A resource of this type and id exists already.
    #[error("the resource exists already")]
    Exists,
    /// Another resource has the same number: cannot be stored beside it.
    #[error("the id collides with that of another resource")]
    Collision,
    /// A job panicked; nothing of it was stored.
    #[error("a write job panicked")]
    Panicked,
    /// The database was made by a newer version of this program.
    #[error("the database has the schema {0}, which this version does not know: use the newer version")]
    NewerSchema(String),
    /// Another process has this folder open.
    #[error("the folder {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The folder cannot be used.
    #[error("the data folder cannot be used: {0}")]
    Folder(String),
    /// A statement failed for a reason that lies in this program.
    #[error("statement failed: {0}")]
    Statement(String),
}

impl StorageError {
    /// Tells whether the connection and its transaction cannot be trusted any
    /// more, so that the whole batch has to be given up.
    pub(super) fn is_fault(&self) -> bool {
        matches!(self, StorageError::Full | StorageError::Unavailable(_))
    }
}

impl From<StorageError> for Issue {
    /// The texts withhold what the storage said: it may name paths or data.
    fn from(error: StorageError) -> Issue {
        match error {
            StorageError::Busy(_) => Issue::error(IssueType::Throttled)
                .text("The server has more to do than it can take on; try again shortly.")
                .retry_after_seconds(RETRY_BUSY_SECONDS),
            StorageError::Full => Issue::error(IssueType::NoStore)
                .because(Reason::InsufficientStorage)
                .text("The server has no space left to store this; nothing was stored.")
                .retry_after_seconds(RETRY_FAULT_SECONDS),
            StorageError::Unavailable(_) => Issue::error(IssueType::Transient)
                .text("The storage is not available now; nothing was stored.")
                .retry_after_seconds(RETRY_FAULT_SECONDS),
            StorageError::Exists => {
                Issue::error(IssueType::Duplicate).text("A resource of this type and id exists already.")
            }
            StorageError::Collision => {
                Issue::error(IssueType::Conflict).text("This id cannot be used here; choose another.")
            }
            StorageError::Corrupt(_) => {
                Issue::error(IssueType::Exception).text("The stored data of this item is damaged.")
            }
            StorageError::Panicked
            | StorageError::NewerSchema(_)
            | StorageError::Locked(_)
            | StorageError::Folder(_)
            | StorageError::Statement(_) => {
                Issue::error(IssueType::Exception).text("The server failed to do this; nothing was stored.")
            }
        }
    }
}
