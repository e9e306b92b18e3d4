//! Writing, within the transaction of the writer.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use fhir_model::interaction::VersionId;
use fhir_model::primitive::instant::Instant;

use super::error::StorageError;
use super::packed::{self, only_in_first};
use super::read::Reads;
use super::resource::{Operation, PreparedResource, StoredResource, Written};
use super::schema::{counter, equal, link, pair, resource, span, text, version};
use crate::index::row::{IndexRows, TypeCode};

/// The unit in which a job writes: all or nothing.
pub struct WriteUnit<'w> {
    pub(super) connection: &'w mut SqliteConnection,
    pub(super) clock: &'w mut Clock,
    /// Live resources more or less, by type; written when the batch ends.
    pub(super) counts: Vec<(i32, i64)>,
}

/// Gives instants that grow strictly, whatever the system's clock does.
#[derive(Debug)]
pub(super) struct Clock {
    pub(super) last: i64,
    pub(super) now: fn() -> i64,
}

impl Clock {
    fn next(&mut self) -> Instant {
        self.last = (self.now)().max(self.last + 1);
        Instant(self.last)
    }
}

impl Reads for WriteUnit<'_> {
    fn connection(&mut self) -> &mut SqliteConnection {
        self.connection
    }
}

impl WriteUnit<'_> {
    /// Stores a resource that was never there.
    ///
    /// # Errors
    /// [`StorageError::IdTaken`] when the hash of type and id belongs to
    /// another resource; otherwise when the database fails.
    pub fn create(
        &mut self,
        prepared: PreparedResource,
        operation: Operation,
    ) -> Result<Written, StorageError> {
        let updated = self.clock.next();
        let inserted = diesel::insert_or_ignore_into(resource::table)
            .values((
                resource::key.eq(updated.0),
                resource::reference.eq(prepared.reference()),
                resource::type_code.eq(prepared.type_code()),
                resource::type_name.eq(prepared.key.resource_type.name()),
                resource::id.eq(prepared.key.id.as_str()),
                resource::version.eq(1),
                resource::updated.eq(updated.0),
                resource::operation.eq(operation.number()),
                resource::deleted.eq(0),
                resource::hole.eq(prepared.body().hole as i32),
                resource::body.eq(&prepared.packed_body),
                resource::index_keys.eq(&prepared.packed_rows),
            ))
            .execute(self.connection)?;
        if inserted == 0 {
            return Err(StorageError::IdTaken);
        }
        self.insert_rows(updated.0, prepared.rows(), &IndexRows::default())?;
        self.counts.push((prepared.type_code(), 1));
        Ok(Written { version: VersionId(1), updated, changed: true })
    }

    /// Stores a new version of a resource that is there, live or deleted. A
    /// body equal to the current one changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub fn update(
        &mut self,
        current: &StoredResource,
        prepared: PreparedResource,
        operation: Operation,
    ) -> Result<Written, StorageError> {
        let hole = prepared.body().hole;
        if !current.deleted && current.hole == hole && current.packed_body == prepared.packed_body {
            return Ok(Written { version: current.version, updated: current.updated, changed: false });
        }
        let before = self.rows_of(current)?;
        let written = self.supersede(current)?;
        diesel::update(resource::table.filter(resource::key.eq(current.number)))
            .set((
                resource::version.eq(written.version.0 as i32),
                resource::updated.eq(written.updated.0),
                resource::operation.eq(operation.number()),
                resource::deleted.eq(0),
                resource::hole.eq(hole as i32),
                resource::body.eq(&prepared.packed_body),
                resource::index_keys.eq(&prepared.packed_rows),
            ))
            .execute(self.connection)?;
        self.delete_rows(current.number, &before, prepared.rows())?;
        self.insert_rows(current.number, prepared.rows(), &before)?;
        if current.deleted {
            self.counts.push((prepared.type_code(), 1));
        }
        Ok(written)
    }

    /// Deletes a live resource; its history stays.
    ///
    /// # Errors
    /// When the database fails.
    pub fn delete(&mut self, current: &StoredResource) -> Result<Written, StorageError> {
        let before = self.rows_of(current)?;
        let written = self.supersede(current)?;
        diesel::update(resource::table.filter(resource::key.eq(current.number)))
            .set((
                resource::version.eq(written.version.0 as i32),
                resource::updated.eq(written.updated.0),
                resource::operation.eq(Operation::Delete.number()),
                resource::deleted.eq(1),
                resource::hole.eq(0),
                resource::body.eq(&[] as &[u8]),
                resource::index_keys.eq(&packed::pack(&IndexRows::default())),
            ))
            .execute(self.connection)?;
        self.delete_rows(current.number, &before, &IndexRows::default())?;
        self.counts.push((TypeCode::of(current.key.resource_type).0, -1));
        Ok(written)
    }

    /// Replaces the index rows of a resource, whose body stays: for a reindex.
    ///
    /// # Errors
    /// When the database fails.
    pub fn reindex(&mut self, current: &StoredResource, rows: &IndexRows) -> Result<(), StorageError> {
        let before = self.rows_of(current)?;
        if before == *rows {
            return Ok(());
        }
        diesel::update(resource::table.filter(resource::key.eq(current.number)))
            .set(resource::index_keys.eq(packed::pack(rows)))
            .execute(self.connection)?;
        self.delete_rows(current.number, &before, rows)?;
        self.insert_rows(current.number, rows, &before)
    }

    /// Writes a row that means nothing, so that the commit reaches the disk.
    pub(super) fn probe(&mut self) -> Result<(), StorageError> {
        diesel::replace_into(counter::table)
            .values((counter::type_code.eq(0), counter::live.eq(0)))
            .execute(self.connection)?;
        Ok(())
    }

    fn rows_of(&mut self, current: &StoredResource) -> Result<IndexRows, StorageError> {
        let packed_rows: Vec<u8> = resource::table
            .filter(resource::key.eq(current.number))
            .select(resource::index_keys)
            .first(self.connection)?;
        packed::unpack(&packed_rows).ok_or(StorageError::Damaged { key: current.number })
    }

    /// Moves the current version to the history, and names the next one.
    fn supersede(&mut self, current: &StoredResource) -> Result<Written, StorageError> {
        diesel::insert_into(version::table)
            .values((
                version::key.eq(current.number),
                version::number.eq(current.version.0 as i32),
                version::type_code.eq(TypeCode::of(current.key.resource_type).0),
                version::updated.eq(current.updated.0),
                version::operation.eq(current.operation.number()),
                version::deleted.eq(i32::from(current.deleted)),
                version::hole.eq(current.hole as i32),
                version::body.eq(&current.packed_body),
            ))
            .execute(self.connection)?;
        let version = VersionId(current.version.0 + 1);
        Ok(Written { version, updated: self.clock.next(), changed: true })
    }

    /// Inserts the rows that stand in `rows` and not in `before`.
    fn insert_rows(&mut self, key: i64, rows: &IndexRows, before: &IndexRows) -> Result<(), StorageError> {
        let connection = &mut *self.connection;
        for row in only_in_first(&rows.equal, &before.equal) {
            diesel::insert_into(equal::table)
                .values((equal::hash.eq(row.0), equal::key.eq(key)))
                .execute(connection)?;
        }
        for row in only_in_first(&rows.links, &before.links) {
            diesel::insert_into(link::table)
                .values((link::target.eq(row.target.0), link::branch.eq(row.branch.0), link::key.eq(key)))
                .execute(connection)?;
        }
        for row in only_in_first(&rows.pairs, &before.pairs) {
            diesel::insert_into(pair::table)
                .values((pair::focus.eq(row.focus.0), pair::value.eq(row.value.0), pair::key.eq(key)))
                .execute(connection)?;
        }
        for row in only_in_first(&rows.spans, &before.spans) {
            diesel::insert_into(span::table)
                .values((
                    span::hash.eq(row.hash.0),
                    span::low.eq(row.low),
                    span::high.eq(row.high),
                    span::key.eq(key),
                ))
                .execute(connection)?;
        }
        for row in only_in_first(&rows.texts, &before.texts) {
            diesel::insert_into(text::table)
                .values((text::branch.eq(row.branch.0), text::folded.eq(&row.folded), text::key.eq(key)))
                .execute(connection)?;
        }
        Ok(())
    }

    /// Deletes the rows that stand in `before` and not in `rows`.
    fn delete_rows(&mut self, key: i64, before: &IndexRows, rows: &IndexRows) -> Result<(), StorageError> {
        let connection = &mut *self.connection;
        for row in only_in_first(&before.equal, &rows.equal) {
            let gone = equal::table.filter(equal::hash.eq(row.0).and(equal::key.eq(key)));
            diesel::delete(gone).execute(connection)?;
        }
        for row in only_in_first(&before.links, &rows.links) {
            let of = link::target.eq(row.target.0).and(link::branch.eq(row.branch.0));
            diesel::delete(link::table.filter(of.and(link::key.eq(key)))).execute(connection)?;
        }
        for row in only_in_first(&before.pairs, &rows.pairs) {
            let of = pair::focus.eq(row.focus.0).and(pair::value.eq(row.value.0));
            diesel::delete(pair::table.filter(of.and(pair::key.eq(key)))).execute(connection)?;
        }
        for row in only_in_first(&before.spans, &rows.spans) {
            let of = span::hash.eq(row.hash.0).and(span::low.eq(row.low)).and(span::high.eq(row.high));
            diesel::delete(span::table.filter(of.and(span::key.eq(key)))).execute(connection)?;
        }
        for row in only_in_first(&before.texts, &rows.texts) {
            let of = text::branch.eq(row.branch.0).and(text::folded.eq(&row.folded));
            diesel::delete(text::table.filter(of.and(text::key.eq(key)))).execute(connection)?;
        }
        Ok(())
    }

    /// Writes the counters that the jobs so far have changed.
    pub(super) fn write_counts(&mut self) -> Result<(), StorageError> {
        self.counts.sort_unstable();
        for of_type in self.counts.chunk_by(|a, b| a.0 == b.0) {
            let (type_code, more) = (of_type[0].0, of_type.iter().map(|c| c.1).sum::<i64>());
            if more != 0 {
                diesel::insert_into(counter::table)
                    .values((counter::type_code.eq(type_code), counter::live.eq(more)))
                    .on_conflict(counter::type_code)
                    .do_update()
                    .set(counter::live.eq(counter::live + more))
                    .execute(self.connection)?;
            }
        }
        self.counts.clear();
        Ok(())
    }
}
