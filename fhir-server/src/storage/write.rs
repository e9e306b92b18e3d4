//! Writing, within the transaction of the writer.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use fhir_model::interaction::VersionId;
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::ty;

use super::body;
use super::clock::Clock;
use super::error::StorageError;
use super::index_tables::IndexChanges;
use super::packed;
use super::read::Reads;
use super::resource::{Effect, Operation, PreparedResource, StoredResource, Written};
use super::schema::{resource, setting};
use super::sql::{Value, execute};
use crate::index::row::{BranchCode, EqualHash, IndexRows, TargetHash, TypeCode};

const INSERT: &str = "INSERT OR IGNORE INTO resource \
     (key, ref, type, type_name, id, version, updated, operation, deleted, hole, body, index_keys) \
     VALUES (?, ?, ?, ?, ?, 1, ?, ?, 0, ?, ?, ?)";
const SUPERSEDE: &str = "INSERT INTO version \
     (updated, superseded, key, version, type, operation, deleted, hole, body) \
     SELECT updated, ?, key, version, type, operation, deleted, hole, body \
     FROM resource WHERE key = ? AND version = ?";
const UPDATE: &str = "UPDATE resource SET version = ?, updated = ?, operation = ?, deleted = 0, \
     hole = ?, body = ?, index_keys = ? WHERE key = ?";
const DELETE: &str = "UPDATE resource SET version = ?, updated = ?, operation = ?, deleted = 1, \
     hole = 0, body = x'', index_keys = x'' WHERE key = ?";
const REINDEX: &str = "UPDATE resource SET index_keys = ? WHERE key = ?";

/// What the jobs of a transaction share.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) clock: Clock,
    pub(super) changes: IndexChanges,
    pub(super) effects: Vec<Effect>,
}

impl Batch {
    pub(super) fn new(clock: Clock) -> Batch {
        Batch { clock, changes: IndexChanges::default(), effects: Vec::new() }
    }

    /// Forgets what was not committed. The clock goes on: no instant comes twice.
    pub(super) fn forget(&mut self) {
        self.changes.forget();
        self.effects.clear();
    }
}

/// The unit in which a job writes: all or nothing.
pub struct WriteUnit<'w> {
    connection: &'w mut SqliteConnection,
    batch: &'w mut Batch,
    /// Whether other jobs wrote in this transaction before.
    is_shared: bool,
    has_savepoint: bool,
    effects_from: usize,
    /// A failure that could not be told where it was met.
    failure: Option<StorageError>,
}

impl Reads for WriteUnit<'_> {
    fn connection(&mut self) -> &mut SqliteConnection {
        if let Err(error) = self.batch.changes.write(self.connection, self.has_savepoint) {
            self.failure.get_or_insert(error);
        }
        self.connection
    }

    fn resource_connection(&mut self) -> &mut SqliteConnection {
        self.connection
    }
}

impl<'w> WriteUnit<'w> {
    pub(super) fn new(
        connection: &'w mut SqliteConnection,
        batch: &'w mut Batch,
        is_shared: bool,
    ) -> WriteUnit<'w> {
        batch.changes.job_begins();
        let effects_from = batch.effects.len();
        WriteUnit { connection, batch, is_shared, has_savepoint: false, effects_from, failure: None }
    }

    /// Ends the job. Returns `false` when what it wrote cannot be separated
    /// from the transaction, which then has to be rolled back and begun anew.
    pub(super) fn end(mut self, succeeded: bool) -> Result<bool, StorageError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if succeeded {
            if self.has_savepoint {
                execute(self.connection, "RELEASE job", &[])?;
            }
            return Ok(true);
        }
        self.batch.effects.truncate(self.effects_from);
        if !self.is_shared {
            return Ok(false);
        }
        if self.has_savepoint {
            execute(self.connection, "ROLLBACK TO job", &[])?;
            execute(self.connection, "RELEASE job", &[])?;
        }
        self.batch.changes.job_failed();
        Ok(true)
    }

    /// Returns what this job has changed so far.
    pub fn effects(&self) -> &[Effect] {
        self.batch.effects.get(self.effects_from..).unwrap_or_default()
    }

    /// Returns an instant that no other has: later than all before it.
    pub fn now(&mut self) -> Instant {
        self.batch.clock.next()
    }

    /// Stores a resource that was never there.
    ///
    /// # Errors
    /// [`StorageError::IdTaken`] when there is one of this type and id, or the
    /// hash of type and id belongs to another; otherwise when the database fails.
    pub fn create(
        &mut self,
        prepared: PreparedResource,
        operation: Operation,
    ) -> Result<Written, StorageError> {
        self.begin_write()?;
        let now = self.now();
        let values = [
            Value::Integer(now.0),
            Value::Integer(prepared.reference()),
            Value::Integer(prepared.type_code().into()),
            Value::Text(prepared.key.resource_type.name()),
            Value::Text(prepared.key.id.as_str()),
            Value::Integer(now.0),
            Value::Integer(operation.number().into()),
            Value::Integer(prepared.body().hole as i64),
            Value::Blob(&prepared.packed_body),
            Value::Blob(&prepared.packed_rows),
        ];
        if execute(self.connection, INSERT, &values)? == 0 {
            return Err(StorageError::IdTaken);
        }
        self.batch.changes.add(prepared.rows(), now.0);
        self.batch.changes.count(TypeCode(prepared.type_code()), 1);
        let written = Written { version: VersionId(1), updated: now, changed: true };
        let effect = effect(prepared, now.0, operation, &written);
        self.batch.effects.push(effect);
        Ok(written)
    }

    /// Stores a new version of a resource that is there, live or deleted. A
    /// body equal to the current one changes nothing but the index, where its
    /// rows differ.
    ///
    /// # Errors
    /// `Outdated` when `current` is not the current version, `Damaged` when its
    /// rows cannot be told; otherwise when the database fails.
    pub fn update(
        &mut self,
        current: &StoredResource,
        prepared: PreparedResource,
        operation: Operation,
    ) -> Result<Written, StorageError> {
        let hole = prepared.body().hole;
        let packed_before = self.packed_rows_of(current)?;
        if !current.deleted
            && current.hole == hole
            && body::same(&current.packed_body, &prepared.packed_body, hole)
        {
            if packed_before != prepared.packed_rows {
                self.put_rows(current.number, &packed_before, prepared.rows(), &prepared.packed_rows)?;
            }
            return Ok(Written { version: current.version, updated: current.updated, changed: false });
        }
        let before = unpack(&packed_before, current.number)?;
        let written = self.supersede(current)?;
        let values = [
            Value::Integer(written.version.0.into()),
            Value::Integer(written.updated.0),
            Value::Integer(operation.number().into()),
            Value::Integer(hole as i64),
            Value::Blob(&prepared.packed_body),
            Value::Blob(&prepared.packed_rows),
            Value::Integer(current.number),
        ];
        execute(self.connection, UPDATE, &values)?;
        self.batch.changes.replace(&before, prepared.rows(), current.number);
        if current.deleted {
            self.batch.changes.count(TypeCode(prepared.type_code()), 1);
        }
        let mut effect = effect(prepared, current.number, operation, &written);
        effect.takes_part |= was_tied(&before);
        self.batch.effects.push(effect);
        Ok(written)
    }

    /// Deletes a live resource; its history stays.
    ///
    /// # Errors
    /// As [`WriteUnit::update`].
    pub fn delete(&mut self, current: &StoredResource) -> Result<Written, StorageError> {
        if current.deleted {
            return Ok(Written { version: current.version, updated: current.updated, changed: false });
        }
        let before = unpack(&self.packed_rows_of(current)?, current.number)?;
        let written = self.supersede(current)?;
        let values = [
            Value::Integer(written.version.0.into()),
            Value::Integer(written.updated.0),
            Value::Integer(Operation::Delete.number().into()),
            Value::Integer(current.number),
        ];
        execute(self.connection, DELETE, &values)?;
        self.batch.changes.remove(&before, current.number);
        self.batch.changes.count(TypeCode::of(current.key.resource_type), -1);
        self.batch.effects.push(Effect {
            key: current.key.clone(),
            number: current.number,
            operation: Operation::Delete,
            version: written.version,
            updated: written.updated,
            replaced_by: Vec::new(),
            takes_part: was_tied(&before),
        });
        Ok(written)
    }

    /// Replaces the index rows of a resource, whose body stays: for a reindex.
    ///
    /// # Errors
    /// As [`WriteUnit::update`].
    pub fn reindex(&mut self, current: &StoredResource, rows: &IndexRows) -> Result<(), StorageError> {
        let packed_before = self.packed_rows_of(current)?;
        let packed = packed::pack(rows);
        if packed_before == packed {
            return Ok(());
        }
        self.put_rows(current.number, &packed_before, rows, &packed)
    }

    /// Returns a fact about the database that was noted under a name.
    ///
    /// # Errors
    /// When the database fails.
    pub fn setting(&mut self, name: &str) -> Result<Option<String>, StorageError> {
        let query = setting::table.filter(setting::name.eq(name)).select(setting::value);
        Ok(query.get_result(self.connection).optional()?)
    }

    /// Notes a fact about the database under a name.
    ///
    /// # Errors
    /// When the database fails.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), StorageError> {
        self.begin_write()?;
        let sql = "INSERT INTO setting (name, value) VALUES (?, ?) \
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        execute(self.connection, sql, &[Value::Text(name), Value::Text(value)])?;
        Ok(())
    }

    /// Stores a dictionary for bodies of a type.
    pub(super) fn add_dictionary(
        &mut self,
        id: u32,
        type_code: TypeCode,
        bytes: &[u8],
    ) -> Result<(), StorageError> {
        self.begin_write()?;
        let sql = "INSERT OR IGNORE INTO dictionary (id, type, bytes) VALUES (?, ?, ?)";
        let values = [Value::Integer(id.into()), Value::Integer(type_code.0.into()), Value::Blob(bytes)];
        execute(self.connection, sql, &values)?;
        Ok(())
    }

    /// Writes a row that means nothing, so that the commit reaches the disk.
    pub(super) fn probe(&mut self) -> Result<(), StorageError> {
        self.begin_write()?;
        let sql = "INSERT OR REPLACE INTO counter (type, live) VALUES (0, 0)";
        execute(self.connection, sql, &[])?;
        Ok(())
    }

    /// Opens the savepoint before the first write, if there are jobs to be
    /// kept apart from.
    pub(super) fn begin_write(&mut self) -> Result<(), StorageError> {
        if self.is_shared && !self.has_savepoint {
            execute(self.connection, "SAVEPOINT job", &[])?;
            self.has_savepoint = true;
        }
        if self.batch.changes.is_large() {
            self.batch.changes.write(self.connection, self.has_savepoint)?;
        }
        Ok(())
    }

    fn packed_rows_of(&mut self, current: &StoredResource) -> Result<Vec<u8>, StorageError> {
        let query = resource::table
            .filter(resource::key.eq(current.number).and(resource::version.eq(current.version.0 as i32)))
            .select(resource::index_keys);
        query.get_result(self.connection).optional()?.ok_or(StorageError::Outdated)
    }

    fn put_rows(
        &mut self,
        number: i64,
        packed_before: &[u8],
        rows: &IndexRows,
        packed: &[u8],
    ) -> Result<(), StorageError> {
        let before = unpack(packed_before, number)?;
        self.begin_write()?;
        execute(self.connection, REINDEX, &[Value::Blob(packed), Value::Integer(number)])?;
        self.batch.changes.replace(&before, rows, number);
        Ok(())
    }

    /// Moves the current version to the history, and names the next one.
    fn supersede(&mut self, current: &StoredResource) -> Result<Written, StorageError> {
        self.begin_write()?;
        let next = current.version.0.checked_add(1).ok_or(StorageError::Damaged { key: current.number })?;
        let written = Written { version: VersionId(next), updated: self.now(), changed: true };
        let values = [
            Value::Integer(written.updated.0),
            Value::Integer(current.number),
            Value::Integer(current.version.0.into()),
        ];
        if execute(self.connection, SUPERSEDE, &values)? != 1 {
            return Err(StorageError::Outdated);
        }
        Ok(written)
    }
}

fn unpack(packed: &[u8], key: i64) -> Result<IndexRows, StorageError> {
    packed::unpack(packed).ok_or(StorageError::Damaged { key })
}

fn effect(prepared: PreparedResource, number: i64, operation: Operation, written: &Written) -> Effect {
    Effect {
        replaced_by: replaced_by(&prepared),
        takes_part: prepared.takes_part,
        key: prepared.key,
        number,
        operation,
        version: written.version,
        updated: written.updated,
    }
}

/// Tells whether it was a patient who was linked to others.
fn was_tied(before: &IndexRows) -> bool {
    before.equal.contains(&EqualHash::tied())
}

/// Returns by whom a patient is replaced.
fn replaced_by(prepared: &PreparedResource) -> Vec<TargetHash> {
    if prepared.key.resource_type != ty::PATIENT {
        return Vec::new();
    }
    let branch = BranchCode::replaced_by();
    let links = prepared.rows().links.iter().filter(|link| link.branch == branch);
    links.map(|link| link.target).collect()
}
