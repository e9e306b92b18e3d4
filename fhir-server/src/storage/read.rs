//! Reading: current versions, old ones, histories, and the rows of searches.
//! The same on a reader's connection and on the writer's.

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Integer, Text};
use diesel::sqlite::SqliteConnection;
use fhir_model::interaction::{ResourceKey, VersionId};
use fhir_model::outcome::Issue;
use fhir_model::primitive::id::ResourceId;
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::TypeId;

use super::error::StorageError;
use super::resource::{Operation, StoredResource};
use super::schema::{counter, resource, version};
use super::sql::{Bind, RenderedSql};
use crate::index::row::{TargetHash, TypeCode};

/// Which versions a history covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryScope {
    /// All.
    System,
    /// Those of one type.
    Type(TypeId),
    /// Those of one resource.
    Instance(ResourceKey),
}

/// Bounds of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HistoryBounds {
    /// Only versions stored at this instant or later.
    pub since: Option<Instant>,
    /// Only versions that were current at some time of this half-open interval.
    pub at: Option<(Instant, Instant)>,
    /// Only versions stored before this instant: where a page continues.
    pub before: Option<Instant>,
}

type ResourceRow = (i64, String, String, i32, i64, i32, i32, i32, Vec<u8>);

fn stored(row: ResourceRow) -> Result<StoredResource, StorageError> {
    let (number, type_name, id, version, updated, operation, deleted, hole, packed_body) = row;
    let known = TypeId::resource_named(&type_name).zip(ResourceId::parse(&id));
    let (resource_type, id) = known.ok_or(StorageError::Damaged { key: number })?;
    Ok(StoredResource {
        key: ResourceKey { resource_type, id },
        number,
        version: VersionId(version as u32),
        updated: Instant(updated),
        operation: Operation::of_number(operation),
        deleted: deleted != 0,
        hole: hole as usize,
        packed_body,
    })
}

/// What can be read of the data, on whatever connection.
///
/// Fixed statements use `get_result`, not `first`: that would bind a `LIMIT ?`,
/// which SQLite plans anew at each run (see `sql.rs`).
pub trait Reads {
    /// Returns the connection, on which all that was written before is seen.
    fn connection(&mut self) -> &mut SqliteConnection;

    /// Returns the connection for statements that ask only for resources and
    /// their versions; the index and the counters may lag behind.
    fn resource_connection(&mut self) -> &mut SqliteConnection {
        self.connection()
    }

    /// Runs several statements that all see the database as it is at the first. It is also quicker than
    /// each by itself, which would have to find out anew how far the log reaches.
    ///
    /// # Errors
    /// Those of `then`, and when the database fails.
    fn snapshot<T>(&mut self, then: impl FnOnce(&mut Self) -> Result<T, Issue>) -> Result<T, Issue>
    where
        Self: Sized,
    {
        AnsiTransactionManager::begin_transaction(self.connection()).map_err(StorageError::from)?;
        let result = then(self);
        // Nothing was written, so that an end of either kind is the same.
        AnsiTransactionManager::rollback_transaction(self.connection()).map_err(StorageError::from)?;
        result
    }

    /// Returns the current version of a resource, which may be a deletion.
    ///
    /// # Errors
    /// When the database fails.
    fn current(&mut self, key: &ResourceKey) -> Result<Option<StoredResource>, StorageError> {
        let reference = TargetHash::of_resource(key.resource_type, key.id.as_str());
        type Row = (i64, String, i32, i32, i64, i32, i32, i32, Vec<u8>);
        let found: Option<Row> = resource::table
            .filter(resource::reference.eq(reference.0))
            .select((
                resource::key,
                resource::id,
                resource::type_code,
                resource::version,
                resource::updated,
                resource::operation,
                resource::deleted,
                resource::hole,
                resource::body,
            ))
            .get_result(self.resource_connection())
            .optional()?;
        // The hash finds; type and id decide.
        let is_it = |row: &Row| row.1 == key.id.as_str() && row.2 == TypeCode::of(key.resource_type).0;
        Ok(found.filter(is_it).map(|row| {
            let (number, _, _, version, updated, operation, deleted, hole, packed_body) = row;
            StoredResource {
                key: key.clone(),
                number,
                version: VersionId(version as u32),
                updated: Instant(updated),
                operation: Operation::of_number(operation),
                deleted: deleted != 0,
                hole: hole as usize,
                packed_body,
            }
        }))
    }

    /// Returns a version of a resource.
    ///
    /// # Errors
    /// When the database fails.
    fn version(
        &mut self,
        key: &ResourceKey,
        wanted: VersionId,
    ) -> Result<Option<StoredResource>, StorageError> {
        let Some(current) = self.current(key)? else { return Ok(None) };
        if current.version == wanted {
            return Ok(Some(current));
        }
        type Row = (i64, i32, i32, i32, Vec<u8>);
        let found: Option<Row> = version::table
            .filter(version::key.eq(current.number).and(version::number.eq(wanted.0 as i32)))
            .select((version::updated, version::operation, version::deleted, version::hole, version::body))
            .get_result(self.resource_connection())
            .optional()?;
        Ok(found.map(|(updated, operation, deleted, hole, packed_body)| StoredResource {
            version: wanted,
            updated: Instant(updated),
            operation: Operation::of_number(operation),
            deleted: deleted != 0,
            hole: hole as usize,
            packed_body,
            ..current
        }))
    }

    /// Returns up to `limit` versions, newest first.
    ///
    /// # Errors
    /// When the database fails.
    fn history(
        &mut self,
        scope: &HistoryScope,
        bounds: &HistoryBounds,
        limit: usize,
    ) -> Result<Vec<StoredResource>, StorageError> {
        let statement = history_statement(scope, bounds, limit);
        type Types = (BigInt, Text, Text, Integer, BigInt, Integer, Integer, Integer, Binary);
        let rows = statement.load::<Types, ResourceRow>(self.resource_connection())?;
        rows.into_iter().map(stored).collect()
    }

    /// Returns up to `limit` versions of some types that were stored after an instant, oldest
    /// first: what changed, in the order in which it did. No two have the same instant.
    ///
    /// # Errors
    /// When the database fails.
    fn changes(
        &mut self,
        of: &[TypeId],
        after: Instant,
        limit: usize,
    ) -> Result<Vec<StoredResource>, StorageError> {
        let statement = changes_statement(of, after, limit);
        type Types = (BigInt, Text, Text, Integer, BigInt, Integer, Integer, Integer, Binary);
        let rows = statement.load::<Types, ResourceRow>(self.resource_connection())?;
        rows.into_iter().map(stored).collect()
    }

    /// Returns how many resources of a type live, or of all types.
    ///
    /// # Errors
    /// When the database fails.
    fn count(&mut self, of: Option<TypeId>) -> Result<i64, StorageError> {
        let counts: Vec<i64> = match of {
            Some(of) => counter::table
                .filter(counter::type_code.eq(TypeCode::of(of).0))
                .select(counter::live)
                .load(self.connection())?,
            None => counter::table.select(counter::live).load(self.connection())?,
        };
        Ok(counts.iter().sum())
    }

    /// Runs a statement whose rows are one integer each.
    ///
    /// # Errors
    /// When the database fails.
    fn integers(&mut self, statement: &RenderedSql) -> Result<Vec<i64>, StorageError> {
        Ok(statement.load::<BigInt, i64>(self.connection())?)
    }

    /// Runs a statement whose rows are two integers each.
    ///
    /// # Errors
    /// When the database fails.
    fn integer_pairs(&mut self, statement: &RenderedSql) -> Result<Vec<(i64, i64)>, StorageError> {
        Ok(statement.load::<(BigInt, BigInt), (i64, i64)>(self.connection())?)
    }

    /// Runs a statement whose rows are an integer and a text each.
    ///
    /// # Errors
    /// When the database fails.
    fn integers_with_text(&mut self, statement: &RenderedSql) -> Result<Vec<(i64, String)>, StorageError> {
        Ok(statement.load::<(BigInt, Text), (i64, String)>(self.connection())?)
    }

    /// Runs a statement whose rows are resources: the columns of
    /// [`RESOURCE_COLUMNS`], and nothing else.
    ///
    /// # Errors
    /// When the database fails.
    fn resources(&mut self, statement: &RenderedSql) -> Result<Vec<StoredResource>, StorageError> {
        type Types = (BigInt, Text, Text, Integer, BigInt, Integer, Integer, Integer, Binary);
        let rows = statement.load::<Types, ResourceRow>(self.connection())?;
        rows.into_iter().map(stored).collect()
    }
}

impl Reads for SqliteConnection {
    fn connection(&mut self) -> &mut SqliteConnection {
        self
    }
}

/// The columns that [`Reads::resources`] reads, of a table named `resource`.
pub const RESOURCE_COLUMNS: &str = "resource.key, resource.type_name, resource.id, resource.version, resource.updated, \
     resource.operation, resource.deleted, resource.hole, resource.body";

/// What is selected of each version, by table.
const VERSION_COLUMNS: &str = "SELECT * FROM (SELECT v.key, r.type_name, r.id, v.version, v.updated AS updated, \
     v.operation, v.deleted, v.hole, v.body FROM ";

fn changes_statement(of: &[TypeId], after: Instant, limit: usize) -> RenderedSql {
    let mut binds = Vec::new();
    let mut parts = Vec::new();
    for table in ["resource", "version"] {
        for of in of {
            parts.push(format!(
                "{VERSION_COLUMNS}{table} v JOIN resource r ON r.key = v.key \
                 WHERE v.type = ? AND v.updated > ? ORDER BY v.updated LIMIT ?)"
            ));
            binds.push(Bind::Integer(TypeCode::of(*of).0.into()));
            binds.push(Bind::Integer(after.0));
            binds.push(Bind::Integer(limit as i64));
        }
    }
    let sql = format!("SELECT * FROM ({}) ORDER BY updated LIMIT ?", parts.join(" UNION ALL "));
    binds.push(Bind::Integer(limit as i64));
    RenderedSql { sql, binds, is_rare: false }
}

fn history_statement(scope: &HistoryScope, bounds: &HistoryBounds, limit: usize) -> RenderedSql {
    let mut binds = Vec::new();
    let mut sql = String::from("SELECT * FROM (");
    for (part, table) in ["resource", "version"].into_iter().enumerate() {
        if part > 0 {
            sql.push_str(" UNION ALL ");
        }
        sql.push_str(VERSION_COLUMNS);
        sql.push_str(table);
        sql.push_str(" v JOIN resource r ON r.key = v.key WHERE 1");
        match scope {
            HistoryScope::System => {}
            HistoryScope::Type(of) => {
                sql.push_str(" AND v.type = ?");
                binds.push(Bind::Integer(TypeCode::of(*of).0.into()));
            }
            HistoryScope::Instance(key) => {
                sql.push_str(" AND v.key = (SELECT key FROM resource WHERE ref = ? AND id = ?)");
                binds.push(Bind::Integer(TargetHash::of_resource(key.resource_type, key.id.as_str()).0));
                binds.push(Bind::Text(key.id.as_str().to_owned()));
            }
        }
        if let Some(since) = bounds.since {
            sql.push_str(" AND v.updated >= ?");
            binds.push(Bind::Integer(since.0));
        }
        if let Some(before) = bounds.before {
            sql.push_str(" AND v.updated < ?");
            binds.push(Bind::Integer(before.0));
        }
        if let Some((low, high)) = bounds.at {
            sql.push_str(" AND v.updated < ?");
            binds.push(Bind::Integer(high.0));
            if part > 0 {
                // It was current until the next version was stored.
                sql.push_str(" AND v.superseded > ?");
                binds.push(Bind::Integer(low.0));
            }
        }
        sql.push_str(" ORDER BY v.updated DESC LIMIT ?)");
        binds.push(Bind::Integer(limit as i64));
    }
    sql.push_str(") ORDER BY updated DESC LIMIT ?");
    binds.push(Bind::Integer(limit as i64));
    RenderedSql { sql, binds, is_rare: false }
}
