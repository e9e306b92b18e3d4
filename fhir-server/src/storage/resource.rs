//! What goes into the storage and what comes out of it.

use fhir_model::interaction::{ResourceKey, VersionId};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::primitive::instant::Instant;

use super::body::{self, StoredBody};
use super::dictionary::Dictionaries;
use super::error::StorageError;
use super::packed;
use crate::index::row::{IndexRows, TargetHash, TypeCode};

/// How a version came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// By a create.
    Create,
    /// By an update, also one that created.
    Update,
    /// By a patch.
    Patch,
    /// By a delete.
    Delete,
}

impl Operation {
    pub(super) fn number(self) -> i32 {
        match self {
            Operation::Create => 0,
            Operation::Update => 1,
            Operation::Patch => 2,
            Operation::Delete => 3,
        }
    }

    pub(super) fn of_number(number: i32) -> Operation {
        match number {
            0 => Operation::Create,
            2 => Operation::Patch,
            3 => Operation::Delete,
            _ => Operation::Update,
        }
    }
}

/// A resource ready to be written: packed and indexed, so that the writer has
/// little to do.
#[derive(Debug, Clone)]
pub struct PreparedResource {
    /// Its type and id.
    pub key: ResourceKey,
    /// Whether it is a record of the index of patients.
    pub takes_part: bool,
    body: StoredBody,
    rows: IndexRows,
    pub(super) packed_body: Vec<u8>,
    pub(super) packed_rows: Vec<u8>,
}

impl PreparedResource {
    /// Packs a resource by the dictionaries of the store it is for. `rows`
    /// must be normalized.
    ///
    /// # Errors
    /// None now; kept for forms of packing that can fail.
    pub fn new(
        key: ResourceKey,
        body: StoredBody,
        rows: IndexRows,
        dictionaries: &Dictionaries,
    ) -> Result<PreparedResource, StorageError> {
        let packed_body = dictionaries.pack(TypeCode::of(key.resource_type), &body);
        let packed_rows = packed::pack(&rows);
        Ok(PreparedResource { key, takes_part: false, body, rows, packed_body, packed_rows })
    }

    /// Returns the JSON without version and time.
    pub fn body(&self) -> &StoredBody {
        &self.body
    }

    /// Returns the index rows.
    pub fn rows(&self) -> &IndexRows {
        &self.rows
    }

    pub(super) fn reference(&self) -> i64 {
        TargetHash::of_resource(self.key.resource_type, self.key.id.as_str()).0
    }

    pub(super) fn type_code(&self) -> i32 {
        TypeCode::of(self.key.resource_type).0
    }
}

/// A version of a resource as it is stored; a deletion has no body.
#[derive(Debug, Clone)]
pub struct StoredResource {
    /// Its type and id.
    pub key: ResourceKey,
    /// Its number in the database.
    pub number: i64,
    /// The version.
    pub version: VersionId,
    /// When it was stored.
    pub updated: Instant,
    /// How it came about.
    pub operation: Operation,
    /// Whether it is a deletion.
    pub deleted: bool,
    pub(super) hole: usize,
    pub(super) packed_body: Vec<u8>,
}

impl StoredResource {
    /// Appends the resource as JSON, with version and time; nothing for a deletion.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] when the body is not what was stored.
    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<(), StorageError> {
        if self.deleted || body::write_stamped(&self.packed_body, self.hole, self.version, self.updated, out)
        {
            return Ok(());
        }
        tracing::error!(key = self.number, "the checksum of a stored body does not hold");
        Err(StorageError::Damaged { key: self.number })
    }

    /// Returns the same with its body as it is served, for quick reading;
    /// `None` when it is damaged.
    pub(super) fn unpacked(&self) -> Option<StoredResource> {
        let packed_body = body::unpack(&self.packed_body, self.hole)?;
        Some(StoredResource { key: self.key.clone(), packed_body, ..*self })
    }

    /// Returns how many bytes the body takes in the database.
    pub fn body_bytes(&self) -> usize {
        self.packed_body.len()
    }

    /// Reads the resource back into a tree.
    ///
    /// # Errors
    /// When the body is damaged.
    pub fn resource(&self) -> Result<fhir_model::tree::Resource, Issue> {
        let mut json = Vec::new();
        self.write_json(&mut json)?;
        fhir_model::json::read(json).map_err(|_| {
            tracing::error!(key = self.number, "a stored body is no resource");
            Issue::fatal(IssueType::Exception)
                .text("the stored resource is damaged; the operators have been told")
        })
    }
}

/// What a write led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The version that is current now.
    pub version: VersionId,
    /// When it was stored.
    pub updated: Instant,
    /// Whether anything changed: an identical update changes nothing.
    pub changed: bool,
}

/// One change that was committed, for caches and notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Which resource.
    pub key: ResourceKey,
    /// Its number in the database.
    pub number: i64,
    /// How it was changed.
    pub operation: Operation,
    /// The version that is current now.
    pub version: VersionId,
    /// When it was stored.
    pub updated: Instant,
    /// By whom a patient is replaced now.
    pub replaced_by: Vec<TargetHash>,
    /// Whether it is a record of the index of patients, or was tied to others.
    pub takes_part: bool,
}
