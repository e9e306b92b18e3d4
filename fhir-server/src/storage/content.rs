//! Which versions of Binary have their bytes in the document store.

use diesel::prelude::*;
use fhir_model::interaction::{Content, VersionId};

use super::error::StorageError;
use super::read::Reads;
use super::resource::StoredResource;
use super::schema::content;
use super::sql::{Value, execute};
use super::write::WriteUnit;

/// Returns where the bytes of a version are, if not in its body.
///
/// # Errors
/// When the database fails.
pub fn content_of(data: &mut impl Reads, of: &StoredResource) -> Result<Option<Content>, StorageError> {
    let found: Option<(Vec<u8>, i64)> = content::table
        .filter(content::key.eq(of.number).and(content::version.eq(of.version.0 as i32)))
        .select((content::sha256, content::size))
        .get_result(data.resource_connection())
        .optional()?;
    let Some((sha256, size)) = found else { return Ok(None) };
    let damaged = StorageError::Damaged { key: of.number };
    let sha256 = sha256.try_into().map_err(|_| damaged)?;
    Ok(Some(Content { sha256, size: size as u64 }))
}

/// Tells whether a version of a Binary has these bytes.
///
/// # Errors
/// When the database fails.
pub fn is_content(data: &mut impl Reads, sha256: &[u8; 32]) -> Result<bool, StorageError> {
    let found: Option<i64> = content::table
        .filter(content::sha256.eq(sha256.as_slice()))
        .select(content::key)
        .limit(1)
        .get_result(data.resource_connection())
        .optional()?;
    Ok(found.is_some())
}

impl WriteUnit<'_> {
    /// Notes where the bytes of a version are.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_content(
        &mut self,
        number: i64,
        version: VersionId,
        content: &Content,
    ) -> Result<(), StorageError> {
        self.begin_write()?;
        let values = [
            Value::Integer(number),
            Value::Integer(version.0.into()),
            Value::Blob(&content.sha256),
            Value::Integer(content.size as i64),
        ];
        let sql = "INSERT OR REPLACE INTO content (key, version, sha256, size) VALUES (?, ?, ?, ?)";
        execute(self.resource_connection(), sql, &values)?;
        Ok(())
    }
}
