//! What a write job can do: create, update, delete, and read what is there.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text};
use fhir_model::interaction::{ResourceKey, VersionId};
use fhir_model::primitive::instant::Instant;

use super::body;
use super::clock::Stamps;
use super::error::StorageError;
use super::index_tables::IndexChanges;
use super::packed::{pack, unpack};
use super::reader::Reader;
use super::resource::{self, Change, Effect, Operation, PreparedResource, Written, version_of};
use super::statement::{BindRef, Rendered};
use crate::index::row::{IndexRows, TypeCode};

/// The state of a batch that outlives its jobs.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) stamps: Stamps,
    pub(super) changes: IndexChanges,
    pub(super) effects: Vec<Effect>,
}

impl Batch {
    pub(super) fn new(stamps: Stamps) -> Batch {
        Batch { stamps, changes: IndexChanges::default(), effects: Vec::new() }
    }

    /// Forgets what was not committed. The clock goes on: no instant comes twice.
    pub(super) fn forget(&mut self) {
        self.changes = IndexChanges::default();
        self.effects.clear();
    }
}

/// One job's part of a transaction: all of it is stored, or nothing.
///
/// The job is answered when the transaction is durable. A job that returns an
/// error leaves nothing behind.
pub struct WriteUnit<'a> {
    reader: &'a mut Reader,
    batch: &'a mut Batch,
    /// Whether other jobs wrote in this transaction before.
    shared: bool,
    savepoint: bool,
    effects_from: usize,
}

impl std::fmt::Debug for WriteUnit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteUnit").field("savepoint", &self.savepoint).finish_non_exhaustive()
    }
}

/// The row of a resource as updates need it.
struct Current {
    key: i64,
    version: i64,
    updated: i64,
    deleted: bool,
    hole: i64,
    body: Option<Vec<u8>>,
    packed: Vec<u8>,
}

type CurrentRow = (i64, i32, String, i64, i64, bool, i64, Option<Vec<u8>>, Vec<u8>);
type CurrentColumns = (BigInt, Integer, Text, BigInt, BigInt, Bool, BigInt, Nullable<Binary>, Binary);

const SELECT_CURRENT: &str =
    "SELECT key, type, id, version, updated, deleted, hole, body, index_keys FROM resource WHERE ref = ?";
const INSERT: &str = "INSERT INTO resource \
     (key, ref, type, id, version, updated, operation, deleted, hole, body, index_keys) \
     VALUES (?, ?, ?, ?, 1, ?, ?, 0, ?, ?, ?)";
const SUPERSEDE: &str = "INSERT INTO version \
     (updated, superseded, key, version, type, operation, deleted, hole, body) \
     SELECT updated, ?, key, version, type, operation, deleted, hole, body FROM resource WHERE key = ?";
const UPDATE: &str = "UPDATE resource SET version = ?, updated = ?, operation = ?, deleted = 0, \
     hole = ?, body = ?, index_keys = ? WHERE key = ?";
const DELETE: &str = "UPDATE resource SET version = ?, updated = ?, operation = ?, deleted = 1, \
     hole = 0, body = NULL, index_keys = x'' WHERE key = ?";

impl<'a> WriteUnit<'a> {
    pub(super) fn new(reader: &'a mut Reader, batch: &'a mut Batch, shared: bool) -> WriteUnit<'a> {
        batch.changes.job_begins();
        let effects_from = batch.effects.len();
        WriteUnit { reader, batch, shared, savepoint: false, effects_from }
    }

    /// Ends the job. Returns `false` when its writes could not be separated
    /// from the transaction: then that has to be rolled back and begun anew.
    pub(super) fn end(self, succeeded: bool) -> Result<bool, StorageError> {
        if succeeded {
            if self.savepoint {
                self.reader.execute("RELEASE job", &[])?;
            }
            return Ok(true);
        }
        self.batch.effects.truncate(self.effects_from);
        if !self.shared {
            return Ok(false);
        }
        if self.savepoint {
            self.reader.execute("ROLLBACK TO job", &[])?;
            self.reader.execute("RELEASE job", &[])?;
        }
        self.batch.changes.job_failed();
        Ok(true)
    }

    /// Returns an instant that no other has: later than all before it.
    pub fn now(&mut self) -> Instant {
        self.batch.stamps.next()
    }

    /// Returns the connection to read from; it sees what this job has written.
    ///
    /// # Errors
    /// When the database fails.
    pub fn reader(&mut self) -> Result<&mut Reader, StorageError> {
        self.batch.changes.write(self.reader, self.savepoint)?;
        Ok(self.reader)
    }

    /// Stores a resource that must not exist. One that was deleted comes back
    /// with its next version.
    ///
    /// # Errors
    /// `Exists` when it does, `Collision` when the id cannot be used; otherwise
    /// when the database fails.
    pub fn create(&mut self, prepared: &PreparedResource) -> Result<Written, StorageError> {
        self.begin_write()?;
        match self.insert(prepared, Operation::Create) {
            Err(StorageError::Exists) => match self.current_row(&prepared.key)? {
                Some(current) if current.deleted => self.put(prepared, &current, Operation::Create),
                _ => Err(StorageError::Exists),
            },
            other => other,
        }
    }

    /// Stores a version of a resource, the first if it does not exist. The same
    /// content again stores nothing and returns [`Change::Unchanged`].
    ///
    /// # Errors
    /// `Collision` when the id cannot be used; `Corrupt` when what is stored
    /// cannot be replaced; otherwise when the database fails.
    pub fn update(
        &mut self,
        prepared: &PreparedResource,
        operation: Operation,
    ) -> Result<Written, StorageError> {
        let Some(current) = self.current_row(&prepared.key)? else {
            self.begin_write()?;
            return self.insert(prepared, operation);
        };
        if !current.deleted && self.is_same(&current, prepared) {
            if current.packed != prepared.packed {
                self.put_rows(current.key, &current.packed, &prepared.rows, &prepared.packed)?;
            }
            return current.written(Change::Unchanged);
        }
        self.begin_write()?;
        self.put(prepared, &current, operation)
    }

    /// Deletes a resource; `None` when it never was.
    ///
    /// # Errors
    /// When the database fails or the row is damaged.
    pub fn delete(&mut self, key: &ResourceKey) -> Result<Option<Written>, StorageError> {
        let current = match self.current_row(key) {
            Err(StorageError::Collision) => return Ok(None),
            other => other?,
        };
        let Some(current) = current else { return Ok(None) };
        if current.deleted {
            return current.written(Change::Unchanged).map(Some);
        }
        self.begin_write()?;
        let rows = unpack(&current.packed)?;
        let next = current.next(self.now(), Change::Deleted)?;
        self.supersede(&next)?;
        self.reader.execute(
            DELETE,
            &[
                BindRef::Integer(next.version.0.into()),
                BindRef::Integer(next.updated.0),
                BindRef::Integer(Operation::Delete.number().into()),
                BindRef::Integer(next.key),
            ],
        )?;
        self.batch.changes.remove(&rows, next.key);
        self.batch.changes.count(TypeCode::of(key.resource_type), -1);
        self.done(key, Operation::Delete, next).map(Some)
    }

    /// Gives a resource other index rows, as after a change of what is indexed.
    /// The resource itself, its version and its time stay. `false` when it is
    /// not there.
    ///
    /// # Errors
    /// When the database fails or the row is damaged.
    pub fn reindex(&mut self, key: &ResourceKey, mut rows: IndexRows) -> Result<bool, StorageError> {
        let Some(current) = self.current_row(key)?.filter(|c| !c.deleted) else { return Ok(false) };
        rows.normalize();
        let packed = pack(&rows);
        if packed != current.packed {
            self.put_rows(current.key, &current.packed, &rows, &packed)?;
        }
        Ok(true)
    }

    /// Notes a fact about the database under a name.
    ///
    /// # Errors
    /// When the database fails.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), StorageError> {
        self.begin_write()?;
        self.reader
            .execute(
                "INSERT INTO setting (name, value) VALUES (?, ?) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                &[BindRef::Text(name), BindRef::Text(value)],
            )
            .map(|_| ())
    }

    /// Opens the savepoint before the first write, if there are jobs to be
    /// kept apart from.
    fn begin_write(&mut self) -> Result<(), StorageError> {
        if self.shared && !self.savepoint {
            self.reader.execute("SAVEPOINT job", &[])?;
            self.savepoint = true;
        }
        if self.batch.changes.is_large() {
            self.batch.changes.write(self.reader, self.savepoint)?;
        }
        Ok(())
    }

    fn current_row(&mut self, key: &ResourceKey) -> Result<Option<Current>, StorageError> {
        let binds = [BindRef::Integer(resource::reference(key))];
        let row: Option<CurrentRow> = Rendered::<CurrentColumns>::new(SELECT_CURRENT, &binds, true)
            .get_result(&mut self.reader.connection)
            .optional()
            .map_err(|e| self.reader.failed(e))?;
        let Some((row_key, type_code, id, version, updated, deleted, hole, body, packed)) = row else {
            return Ok(None);
        };
        if type_code != TypeCode::of(key.resource_type).0 || id != key.id.as_str() {
            return Err(StorageError::Collision);
        }
        Ok(Some(Current { key: row_key, version, updated, deleted, hole, body, packed }))
    }

    fn is_same(&self, current: &Current, prepared: &PreparedResource) -> bool {
        let (Some(body), Ok(hole)) = (&current.body, usize::try_from(current.hole)) else { return false };
        body::same(body, hole, &prepared.body)
    }

    fn insert(&mut self, prepared: &PreparedResource, operation: Operation) -> Result<Written, StorageError> {
        let now = self.now();
        let type_code = TypeCode::of(prepared.key.resource_type);
        self.reader.execute(
            INSERT,
            &[
                BindRef::Integer(now.0),
                BindRef::Integer(prepared.reference()),
                BindRef::Integer(type_code.0.into()),
                BindRef::Text(prepared.key.id.as_str()),
                BindRef::Integer(now.0),
                BindRef::Integer(operation.number().into()),
                BindRef::Integer(prepared.body.hole as i64),
                BindRef::Blob(&prepared.body.bytes),
                BindRef::Blob(&prepared.packed),
            ],
        )?;
        self.batch.changes.add(&prepared.rows, now.0);
        self.batch.changes.count(type_code, 1);
        let written = Written { key: now.0, version: VersionId(1), updated: now, change: Change::Created };
        self.done(&prepared.key, operation, written)
    }

    /// Stores the next version of a resource that has one.
    fn put(
        &mut self,
        prepared: &PreparedResource,
        current: &Current,
        operation: Operation,
    ) -> Result<Written, StorageError> {
        let old_rows = unpack(&current.packed)?;
        let change = if current.deleted { Change::Created } else { Change::Updated };
        let next = current.next(self.now(), change)?;
        self.supersede(&next)?;
        self.reader.execute(
            UPDATE,
            &[
                BindRef::Integer(next.version.0.into()),
                BindRef::Integer(next.updated.0),
                BindRef::Integer(operation.number().into()),
                BindRef::Integer(prepared.body.hole as i64),
                BindRef::Blob(&prepared.body.bytes),
                BindRef::Blob(&prepared.packed),
                BindRef::Integer(next.key),
            ],
        )?;
        self.batch.changes.replace(&old_rows, &prepared.rows, next.key);
        if current.deleted {
            self.batch.changes.count(TypeCode::of(prepared.key.resource_type), 1);
        }
        self.done(&prepared.key, operation, next)
    }

    fn put_rows(
        &mut self,
        key: i64,
        old_packed: &[u8],
        rows: &IndexRows,
        packed: &[u8],
    ) -> Result<(), StorageError> {
        self.begin_write()?;
        let old_rows = unpack(old_packed)?;
        self.reader.execute(
            "UPDATE resource SET index_keys = ? WHERE key = ?",
            &[BindRef::Blob(packed), BindRef::Integer(key)],
        )?;
        self.batch.changes.replace(&old_rows, rows, key);
        Ok(())
    }

    fn supersede(&mut self, next: &Written) -> Result<(), StorageError> {
        self.reader
            .execute(SUPERSEDE, &[BindRef::Integer(next.updated.0), BindRef::Integer(next.key)])
            .map(|_| ())
    }

    fn done(
        &mut self,
        key: &ResourceKey,
        operation: Operation,
        written: Written,
    ) -> Result<Written, StorageError> {
        self.batch.effects.push(Effect { resource: key.clone(), operation, written });
        Ok(written)
    }
}

impl Current {
    fn version_id(&self, number: i64) -> Result<VersionId, StorageError> {
        version_of(number).ok_or_else(|| StorageError::Corrupt(format!("key {}: version", self.key)))
    }

    fn written(&self, change: Change) -> Result<Written, StorageError> {
        let version = self.version_id(self.version)?;
        Ok(Written { key: self.key, version, updated: Instant(self.updated), change })
    }

    fn next(&self, now: Instant, change: Change) -> Result<Written, StorageError> {
        let version = self.version_id(self.version.saturating_add(1))?;
        Ok(Written { key: self.key, version, updated: now, change })
    }
}
