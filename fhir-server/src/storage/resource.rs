//! What is stored of a resource, and what is told of it.

use std::sync::LazyLock;

use fhir_model::interaction::{ResourceKey, VersionId};
use fhir_model::primitive::id::ResourceId;
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::{TypeId, resource_types};

use super::body::{self, StoredBody};
use super::error::StorageError;
use super::packed;
use crate::index::row::{IndexRows, TargetHash, TypeCode};

/// What made a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `POST [type]`.
    Create,
    /// `PUT [type]/[id]`.
    Update,
    /// `PATCH [type]/[id]`.
    Patch,
    /// `DELETE [type]/[id]`.
    Delete,
}

impl Operation {
    /// Returns the stored number.
    pub(super) fn number(self) -> i32 {
        match self {
            Operation::Create => 1,
            Operation::Update => 2,
            Operation::Patch => 3,
            Operation::Delete => 4,
        }
    }

    /// Finds the operation of a stored number.
    pub(super) fn of(number: i32) -> Option<Operation> {
        Some(match number {
            1 => Operation::Create,
            2 => Operation::Update,
            3 => Operation::Patch,
            4 => Operation::Delete,
            _ => return None,
        })
    }
}

/// A resource made ready to be stored: costly work is done here, before and
/// beside the one thread that writes.
#[derive(Debug, Clone)]
pub struct PreparedResource {
    /// Which resource it is.
    pub key: ResourceKey,
    /// Its body, compressed.
    pub body: StoredBody,
    /// What the index holds of it.
    pub rows: IndexRows,
    /// The rows, packed.
    pub(super) packed: Vec<u8>,
}

impl PreparedResource {
    /// Makes a resource ready: `json` and `hole` as `write_unstamped` gives
    /// them, `rows` in any order.
    pub fn new(key: ResourceKey, json: &[u8], hole: usize, mut rows: IndexRows) -> PreparedResource {
        rows.normalize();
        let packed = packed::pack(&rows);
        PreparedResource { key, body: StoredBody::new(json, hole), rows, packed }
    }

    pub(super) fn reference(&self) -> i64 {
        reference(&self.key)
    }
}

pub(super) fn reference(key: &ResourceKey) -> i64 {
    TargetHash::of_resource(key.resource_type, key.id.as_str()).0
}

/// What is known of the current version of a resource without its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The internal key.
    pub key: i64,
    /// The current version.
    pub version: VersionId,
    /// When it was stored.
    pub updated: Instant,
    /// Whether that version deleted the resource.
    pub deleted: bool,
}

/// One version of a resource, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResource {
    /// The internal key.
    pub key: i64,
    /// Which resource it is.
    pub resource: ResourceKey,
    /// Which version.
    pub version: VersionId,
    /// When the version was stored.
    pub updated: Instant,
    /// What made the version.
    pub operation: Operation,
    /// Whether the version deleted the resource; there is no body then.
    pub deleted: bool,
    pub(super) hole: usize,
    pub(super) body: Vec<u8>,
}

impl StoredResource {
    /// Appends the resource as FHIR JSON, with version and time; nothing for a
    /// version that deleted it.
    ///
    /// # Errors
    /// `Corrupt` when the stored bytes were damaged; `out` may then hold a part.
    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<(), StorageError> {
        if self.deleted {
            return Ok(());
        }
        body::write_stamped(&self.body, self.hole, self.version, self.updated, out)
            .map_err(|e| self.located(e))
    }

    /// Gives `then` the JSON without version and time, and where they go.
    ///
    /// # Errors
    /// `Corrupt` when the stored bytes were damaged or there is no body.
    pub fn with_unstamped<R>(&self, then: impl FnOnce(&[u8], usize) -> R) -> Result<R, StorageError> {
        body::with_json(&self.body, self.hole, |json| then(json, self.hole)).map_err(|e| self.located(e))
    }

    fn located(&self, error: StorageError) -> StorageError {
        match error {
            StorageError::Corrupt(what) => StorageError::Corrupt(format!("key {}: {what}", self.key)),
            other => other,
        }
    }
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// The resource did not exist, or was deleted, and exists now.
    Created,
    /// It has a new version.
    Updated,
    /// It is deleted.
    Deleted,
    /// Nothing: the content was the same, or it was deleted already.
    Unchanged,
}

/// What came of a write; it holds once the job is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The internal key.
    pub key: i64,
    /// The version that is current now.
    pub version: VersionId,
    /// When that version was stored.
    pub updated: Instant,
    /// What was done.
    pub change: Change,
}

/// One change that was committed, for caches and notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Which resource.
    pub resource: ResourceKey,
    /// How it was changed.
    pub operation: Operation,
    /// What came of it.
    pub written: Written,
}

/// Returns the type that has a stored number.
pub(super) fn type_of(code: i32) -> Option<TypeId> {
    static TYPES: LazyLock<Vec<(i32, TypeId)>> = LazyLock::new(|| {
        let mut types: Vec<(i32, TypeId)> = resource_types().map(|t| (TypeCode::of(t).0, t)).collect();
        types.sort_by_key(|(code, _)| *code);
        types
    });
    let at = TYPES.binary_search_by_key(&code, |(code, _)| *code).ok()?;
    TYPES.get(at).map(|(_, resource_type)| *resource_type)
}

/// The columns that make a [`StoredResource`].
pub(super) type Row = (i64, i32, String, i64, i64, i32, bool, i64, Option<Vec<u8>>);

/// Makes a resource of its columns.
pub(super) fn of_row(row: Row) -> Result<StoredResource, StorageError> {
    let (key, type_code, id, version, updated, operation, deleted, hole, body) = row;
    let damaged = || StorageError::Corrupt(format!("key {key}: columns"));
    Ok(StoredResource {
        key,
        resource: ResourceKey {
            resource_type: type_of(type_code).ok_or_else(damaged)?,
            id: ResourceId::parse(&id).ok_or_else(damaged)?,
        },
        version: version_of(version).ok_or_else(damaged)?,
        updated: Instant(updated),
        operation: Operation::of(operation).ok_or_else(damaged)?,
        deleted,
        hole: usize::try_from(hole).map_err(|_| damaged())?,
        body: match body {
            Some(body) => body,
            None if deleted => Vec::new(),
            None => return Err(damaged()),
        },
    })
}

pub(super) fn version_of(number: i64) -> Option<VersionId> {
    u32::try_from(number).ok().map(VersionId)
}
