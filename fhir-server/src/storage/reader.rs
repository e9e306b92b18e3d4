//! Reading: by id, by key, by version, and by rendered search.
//!
//! The same [`Reader`] serves on a connection that only reads and inside a
//! write job, where it sees what the job has not committed yet.

use diesel::prelude::*;
use diesel::query_dsl::methods::LoadQuery;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text};
use fhir_model::interaction::{ResourceKey, VersionId};
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::TypeId;

use super::dialect::{self, Connection};
use super::error::StorageError;
use super::resource::{self, Head, Row, StoredResource, of_row, version_of};
use super::schema;
use super::statement::{BindRef, KnownTexts, Rendered, RenderedSql, SearchRow};
use crate::index::row::TypeCode;

/// The columns that [`Reader::resources`] wants from a rendered statement.
pub const RESOURCE_COLUMNS: &str = "resource.key, resource.type, resource.id, resource.version, \
     resource.updated, resource.operation, resource.deleted, resource.hole, resource.body";

type RowColumns = (BigInt, Integer, Text, BigInt, BigInt, Integer, Bool, BigInt, Nullable<Binary>);

/// How many keys one statement asks for: few sizes, so that few statements are kept.
const KEY_BATCHES: &[usize] = &[1, 4, 16, 64, 256];

/// A connection to read from.
pub struct Reader {
    pub(super) connection: Connection,
    texts: KnownTexts,
    in_snapshot: bool,
    fault: Option<StorageError>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("in_snapshot", &self.in_snapshot).finish_non_exhaustive()
    }
}

impl Reader {
    pub(super) fn new(connection: Connection) -> Reader {
        Reader { connection, texts: KnownTexts::default(), in_snapshot: false, fault: None }
    }

    /// Makes a reader of a connection that has a transaction open whenever it is used.
    pub(super) fn within_transaction(connection: Connection) -> Reader {
        Reader { in_snapshot: true, ..Reader::new(connection) }
    }

    /// Takes the fault that a statement met since this was last asked.
    pub(super) fn take_fault(&mut self) -> Option<StorageError> {
        self.fault.take()
    }

    /// Tells whether the connection had better be replaced.
    pub(super) fn is_broken(&self) -> bool {
        self.fault.is_some() || self.in_snapshot
    }

    /// Says what a failure means and remembers it when it is a fault.
    pub(super) fn failed(&mut self, error: diesel::result::Error) -> StorageError {
        let error = dialect::error(error);
        if error.is_fault() {
            self.fault = Some(error.clone());
        }
        error
    }

    /// Runs a fixed statement that returns no rows, kept prepared.
    pub(super) fn execute(&mut self, sql: &str, binds: &[BindRef<'_>]) -> Result<usize, StorageError> {
        Rendered::<()>::new(sql, binds, true).execute(&mut self.connection).map_err(|e| self.failed(e))
    }

    fn load<'q, Q, T>(&mut self, query: Q) -> Result<Vec<T>, StorageError>
    where
        Q: RunQueryDsl<Connection> + LoadQuery<'q, Connection, T>,
    {
        query.load(&mut self.connection).map_err(|e| self.failed(e))
    }

    /// Returns the current version; `None` when the id was never used.
    ///
    /// # Errors
    /// When the database fails or the row is damaged.
    pub fn current(&mut self, key: &ResourceKey) -> Result<Option<StoredResource>, StorageError> {
        use schema::resource::dsl as r;
        let query = r::resource.filter(r::reference.eq(resource::reference(key))).select((
            r::key,
            r::type_code,
            r::id,
            r::version,
            r::updated,
            r::operation,
            r::deleted,
            r::hole,
            r::body,
        ));
        let row: Option<Row> = query.first(&mut self.connection).optional().map_err(|e| self.failed(e))?;
        // The hash of another resource may be the same: then this one does not exist.
        Ok(row.map(of_row).transpose()?.filter(|found| found.resource == *key))
    }

    /// Returns what is known of the current version without its body.
    ///
    /// # Errors
    /// When the database fails or the row is damaged.
    pub fn head(&mut self, key: &ResourceKey) -> Result<Option<Head>, StorageError> {
        use schema::resource::dsl as r;
        let query = r::resource.filter(r::reference.eq(resource::reference(key))).select((
            r::key,
            r::type_code,
            r::id,
            r::version,
            r::updated,
            r::deleted,
        ));
        let row: Option<(i64, i32, String, i64, i64, bool)> =
            query.first(&mut self.connection).optional().map_err(|e| self.failed(e))?;
        let Some((row_key, type_code, id, version, updated, deleted)) = row else { return Ok(None) };
        if type_code != TypeCode::of(key.resource_type).0 || id != key.id.as_str() {
            return Ok(None);
        }
        let version =
            version_of(version).ok_or_else(|| StorageError::Corrupt(format!("key {row_key}: version")))?;
        Ok(Some(Head { key: row_key, version, updated: Instant(updated), deleted }))
    }

    /// Returns one version, current or not; `None` when there is none.
    ///
    /// # Errors
    /// When the database fails or the row is damaged.
    pub fn version(
        &mut self,
        key: &ResourceKey,
        version: VersionId,
    ) -> Result<Option<StoredResource>, StorageError> {
        use schema::version::dsl as v;
        let Some(head) = self.head(key)? else { return Ok(None) };
        if head.version == version {
            // May have been superseded in between; then it is in the other table.
            let current = self.current(key)?;
            if current.as_ref().is_some_and(|c| c.version == version) {
                return Ok(current);
            }
        }
        let query = v::version
            .filter(v::key.eq(head.key).and(v::number.eq(i64::from(version.0))))
            .inner_join(schema::resource::table)
            .select(superseded_columns());
        let row: Option<Row> = query.first(&mut self.connection).optional().map_err(|e| self.failed(e))?;
        row.map(of_row).transpose()
    }

    /// Returns the current versions of resources by their keys, in the order
    /// asked; what is not there or deleted is left out, and nothing comes twice.
    ///
    /// # Errors
    /// When the database fails or a row is damaged.
    pub fn by_keys(&mut self, keys: &[i64]) -> Result<Vec<StoredResource>, StorageError> {
        let mut found: Vec<(i64, Option<StoredResource>)> = Vec::with_capacity(keys.len());
        let mut rest = keys;
        while let Some(last) = rest.last() {
            let size = batch_size(rest.len());
            let (now, later) = rest.split_at(size.min(rest.len()));
            let padding = std::iter::repeat_n(last, size - now.len());
            let binds: Vec<BindRef<'_>> = now.iter().chain(padding).map(|k| BindRef::Integer(*k)).collect();
            let sql = by_keys_sql(size);
            let rows: Vec<Row> = self.load(Rendered::<RowColumns>::new(sql, &binds, true))?;
            for row in rows {
                let stored = of_row(row)?;
                found.push((stored.key, Some(stored)));
            }
            rest = later;
        }
        found.sort_by_key(|(key, _)| *key);
        let mut in_order = Vec::with_capacity(found.len());
        for key in keys {
            let place = found.binary_search_by_key(key, |(key, _)| *key).ok();
            in_order.extend(place.and_then(|at| found.get_mut(at)).and_then(|(_, stored)| stored.take()));
        }
        Ok(in_order)
    }

    /// Runs a rendered statement that selects [`RESOURCE_COLUMNS`].
    ///
    /// # Errors
    /// When the database fails, refuses the statement, or a row is damaged.
    pub fn resources(&mut self, statement: &RenderedSql) -> Result<Vec<StoredResource>, StorageError> {
        let rows: Vec<Row> = self.run::<RowColumns, Row>(statement)?;
        rows.into_iter().map(of_row).collect()
    }

    /// Runs a rendered statement.
    ///
    /// # Errors
    /// When the database fails or refuses the statement.
    pub fn rows<T: SearchRow>(&mut self, statement: &RenderedSql) -> Result<Vec<T>, StorageError> {
        T::load(self, statement)
    }

    pub(super) fn run<Columns, T>(&mut self, statement: &RenderedSql) -> Result<Vec<T>, StorageError>
    where
        for<'q> Rendered<'q, Columns>: LoadQuery<'q, Connection, T>,
    {
        let keep = !statement.one_off && self.texts.keep(&statement.sql);
        let binds: smallvec::SmallVec<[BindRef<'_>; 16]> =
            statement.binds.iter().map(BindRef::from).collect();
        self.load(Rendered::<Columns>::new(&statement.sql, &binds, keep))
    }

    /// Returns how many resources of each type there are.
    ///
    /// # Errors
    /// When the database fails.
    pub fn counts(&mut self) -> Result<Vec<(TypeId, u64)>, StorageError> {
        use schema::counter::dsl as c;
        let rows: Vec<(i32, i64)> = self.load(c::counter.select((c::type_code, c::live)))?;
        rows.into_iter()
            .filter(|(_, live)| *live != 0)
            .map(|(code, live)| {
                resource::type_of(code)
                    .zip(u64::try_from(live).ok())
                    .ok_or_else(|| StorageError::Corrupt("counter".to_owned()))
            })
            .collect()
    }

    /// Returns how many resources of a type there are.
    ///
    /// # Errors
    /// When the database fails.
    pub fn count(&mut self, resource_type: TypeId) -> Result<u64, StorageError> {
        use schema::counter::dsl as c;
        let query = c::counter.filter(c::type_code.eq(TypeCode::of(resource_type).0)).select(c::live);
        let live: Option<i64> = query.first(&mut self.connection).optional().map_err(|e| self.failed(e))?;
        u64::try_from(live.unwrap_or(0)).map_err(|_| StorageError::Corrupt("counter".to_owned()))
    }

    /// Returns a fact about the database that was noted under a name.
    ///
    /// # Errors
    /// When the database fails.
    pub fn setting(&mut self, name: &str) -> Result<Option<String>, StorageError> {
        use schema::setting::dsl as s;
        let query = s::setting.filter(s::name.eq(name)).select(s::value);
        query.first(&mut self.connection).optional().map_err(|e| self.failed(e))
    }

    /// Runs several statements that all see the database as it is at the first.
    ///
    /// # Errors
    /// Those of `then`, and when the database fails.
    pub fn snapshot<T, E: From<StorageError>>(
        &mut self,
        then: impl FnOnce(&mut Reader) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.in_snapshot {
            return then(self);
        }
        self.execute("BEGIN", &[])?;
        // Stays set when `then` panics, so that the connection is replaced.
        self.in_snapshot = true;
        let result = then(self);
        self.execute("COMMIT", &[])?;
        self.in_snapshot = false;
        result
    }
}

/// The columns of a superseded version that make a [`StoredResource`].
#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn superseded_columns() -> _ {
    (
        schema::version::key,
        schema::version::type_code,
        schema::resource::id,
        schema::version::number,
        schema::version::updated,
        schema::version::operation,
        schema::version::deleted,
        schema::version::hole,
        schema::version::body,
    )
}

fn batch_size(keys: usize) -> usize {
    let largest = KEY_BATCHES.last().copied().unwrap_or(1);
    KEY_BATCHES.iter().copied().find(|size| *size >= keys).unwrap_or(largest)
}

fn by_keys_sql(size: usize) -> &'static str {
    static TEXTS: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(|| {
        KEY_BATCHES
            .iter()
            .map(|size| {
                let marks = vec!["?"; *size].join(",");
                format!("SELECT {RESOURCE_COLUMNS} FROM resource WHERE deleted = 0 AND key IN ({marks})")
            })
            .collect()
    });
    KEY_BATCHES.iter().position(|s| *s == size).and_then(|at| TEXTS.get(at)).map_or("", String::as_str)
}
