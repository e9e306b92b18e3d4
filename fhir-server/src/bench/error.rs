//! Why something could not be measured.

use std::io;

use crate::storage::StorageError;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A file, socket or process failed.
    #[error("{what}: {cause}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// How it failed.
        cause: io::Error,
    },
    /// What came back over HTTP is no response that the client understands.
    #[error("what came is no HTTP response: {0}")]
    Response(&'static str),
    /// The server refused what it should have done.
    #[error("the server answered {status}: {text}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        text: String,
    },
    /// The answer is not what the data says.
    #[error("the answer is wrong: {0}")]
    Wrong(String),
    /// The server that is measured did not start.
    #[error("the server did not start: {0}")]
    Start(String),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A statement of a baseline failed.
    #[error("the baseline's database: {0}")]
    Database(String),
    /// The data could not be loaded.
    #[error("the data cannot be loaded: {0}")]
    Load(String),
    /// A row that is not in the table.
    #[error("`{given}` is no row; there are {known}")]
    NoRow {
        /// What was given.
        given: String,
        /// The names that there are.
        known: String,
    },
    /// The system does not tell what is asked for.
    #[error("this system does not tell {0}")]
    NotTold(&'static str),
}

impl BenchError {
    /// Returns what turns a failure of the system into an error, for `map_err`.
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> BenchError {
        move |cause| BenchError::Io { what, cause }
    }
}

impl From<diesel::result::Error> for BenchError {
    fn from(error: diesel::result::Error) -> BenchError {
        BenchError::Database(error.to_string())
    }
}
