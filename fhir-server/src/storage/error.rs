//! What can go wrong in the storage, and how it is told.

use std::cell::RefCell;

use fhir_model::outcome::{Issue, IssueType, Reason};

thread_local! {
    /// The last failure of disk, memory or locks that a statement of this thread met.
    static FAULT: RefCell<Option<StorageError>> = const { RefCell::new(None) };
}

/// Takes the fault that a statement of this thread met since this was last
/// asked, even if whoever ran the statement paid no heed to it: after it, an
/// open transaction cannot be trusted.
pub(super) fn take_fault() -> Option<StorageError> {
    FAULT.take()
}

/// A failure of the storage. The causes are for the log, never for the caller.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// No space left for data; writes fail until there is, reads go on.
    #[error("no space left: {0}")]
    Full(String),
    /// The disk or the database failed; trying again may succeed.
    #[error("the database failed: {0}")]
    Unavailable(String),
    /// More is asked than can be served now.
    #[error("busy: {0}")]
    Busy(&'static str),
    /// A stored resource is damaged: its checksum does not hold.
    #[error("a stored body is damaged (key {key})")]
    Damaged {
        /// The internal key of the resource.
        key: i64,
    },
    /// The database found itself damaged.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// A statement was refused: a mistake of this program.
    #[error("a statement failed: {0}")]
    Statement(String),
    /// The resource is not as the caller saw it.
    #[error("the resource has changed since it was read")]
    Outdated,
    /// Another resource has the same hash of type and id.
    #[error("the id cannot be used")]
    IdTaken,
    /// The data folder belongs to another process.
    #[error("the data folder `{0}` is used by another process; stop that one, or choose another with --data")]
    Locked(String),
    /// The database was written by a newer version of this program.
    #[error("the database has migration {0}, which this version does not know; use the newer program")]
    NewerSchema(String),
    /// The database could not be opened or migrated.
    #[error("the database cannot be opened: {0}")]
    Open(String),
    /// A job panicked; nothing of it was stored.
    #[error("a write failed unexpectedly")]
    Panicked,
    /// The store is closing.
    #[error("the server is shutting down")]
    Closed,
}

impl From<StorageError> for Issue {
    fn from(error: StorageError) -> Issue {
        match error {
            StorageError::Full(_) => Issue::error(IssueType::NoStore)
                .because(Reason::InsufficientStorage)
                .text("no space left to store; nothing was stored")
                .retry_after_seconds(30),
            StorageError::Unavailable(_) => Issue::error(IssueType::Transient)
                .text("the database is not available; nothing was stored")
                .retry_after_seconds(5),
            StorageError::Busy(what) => Issue::error(IssueType::Throttled)
                .text(format!("too much at once ({what}); try again"))
                .retry_after_seconds(1),
            StorageError::Damaged { .. } => Issue::fatal(IssueType::Exception)
                .text("the stored resource is damaged; the operators have been told"),
            StorageError::Corrupt(_) => Issue::fatal(IssueType::Exception)
                .text("the database is damaged; the operators have been told"),
            StorageError::Outdated => Issue::error(IssueType::Conflict)
                .text("the resource has changed meanwhile; nothing was stored"),
            StorageError::IdTaken => {
                Issue::error(IssueType::Conflict).text("this id cannot be used; choose another")
            }
            StorageError::Closed => Issue::error(IssueType::Transient)
                .text("the server is shutting down; nothing was stored")
                .retry_after_seconds(5),
            StorageError::Locked(_)
            | StorageError::NewerSchema(_)
            | StorageError::Open(_)
            | StorageError::Statement(_)
            | StorageError::Panicked => {
                Issue::fatal(IssueType::Exception).text("an unexpected error; nothing was stored")
            }
        }
    }
}

impl From<diesel::result::Error> for StorageError {
    fn from(error: diesel::result::Error) -> StorageError {
        let error = super::sqlite::error_of(&error);
        if matches!(error, StorageError::Full(_) | StorageError::Unavailable(_)) {
            FAULT.set(Some(error.clone()));
        }
        error
    }
}
