//! The bytes of documents: stored once, named by their SHA-256.
//!
//! A document is written to a file without a place, hashed on the way, made
//! durable and only then put where it belongs: what has a name is whole.
//! Versions of Binary refer to it (table `content`); several may refer to the
//! same bytes. What nothing refers to, since the submission failed, is swept out
//! a day later: who stores the same bytes again makes them young again before
//! referring to them.
//!
//! - [`folder`]: in a folder beside the database.
//! - [`s3`]: in a bucket of a storage that speaks S3.
//! - [`settings`]: which of them.

mod arriving;
pub mod folder;
pub mod s3;
pub mod settings;

use std::error::Error;
use std::time::Duration;

use ihe_adapters::documents::Documents;

/// What may go wrong in a sweep.
pub type SweepError = Box<dyn Error + Send + Sync>;

/// How old a document is at least that is swept out: far older than any submission lasts.
pub const SWEPT_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A place of documents.
pub trait DocumentStore: Documents {
    /// Removes the documents that are older than `age` and that nothing refers
    /// to, by `is_referred`; returns how many. Blocks.
    ///
    /// # Errors
    /// When the place cannot be read, and those of `is_referred`.
    fn sweep(
        &self,
        age: Duration,
        is_referred: &mut dyn FnMut(&[u8; 32]) -> Result<bool, SweepError>,
    ) -> Result<u64, SweepError>;
}
