//! What was performed under a key: looked up, kept, and forgotten in time.

use diesel::prelude::*;
use fhir_model::primitive::instant::Instant;

use super::error::StorageError;
use super::read::Reads;
use super::schema::once;
use super::sql::{Value, execute};
use super::write::WriteUnit;

/// What was performed under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptOnce {
    /// The hash of what was sent.
    pub fingerprint: Vec<u8>,
    /// What each entry led to.
    pub performed: Vec<u8>,
    /// What was answered.
    pub answer: Vec<u8>,
}

/// Returns what was performed under a key.
///
/// # Errors
/// When the database fails.
pub fn kept_once(data: &mut impl Reads, key: &[u8; 32]) -> Result<Option<KeptOnce>, StorageError> {
    let found: Option<(Vec<u8>, Vec<u8>, Vec<u8>)> = once::table
        .filter(once::key.eq(key.as_slice()))
        .select((once::fingerprint, once::performed, once::answer))
        .get_result(data.resource_connection())
        .optional()?;
    Ok(found.map(|(fingerprint, performed, answer)| KeptOnce { fingerprint, performed, answer }))
}

impl WriteUnit<'_> {
    /// Keeps what was performed under a key.
    ///
    /// # Errors
    /// When the database fails.
    pub fn keep_once(&mut self, key: &[u8; 32], at: Instant, kept: &KeptOnce) -> Result<(), StorageError> {
        self.begin_write()?;
        let values = [
            Value::Blob(key),
            Value::Integer(at.0),
            Value::Blob(&kept.fingerprint),
            Value::Blob(&kept.performed),
            Value::Blob(&kept.answer),
        ];
        let sql = "INSERT INTO once (key, at, fingerprint, performed, answer) VALUES (?, ?, ?, ?, ?)";
        execute(self.resource_connection(), sql, &values)?;
        Ok(())
    }

    /// Forgets keys that were kept before an instant, so many at the most, and
    /// returns how many it forgot.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forget_once(&mut self, before: Instant, limit: usize) -> Result<usize, StorageError> {
        self.begin_write()?;
        let sql = "DELETE FROM once WHERE key IN (SELECT key FROM once WHERE at < ? ORDER BY at LIMIT ?)";
        Ok(execute(self.resource_connection(), sql, &[before.0, limit as i64].map(Value::Integer))?)
    }
}
