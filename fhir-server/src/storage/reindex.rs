//! What is stored of custom search parameters, and how far indexing older
//! resources for them has come.

use diesel::prelude::*;
use fhir_model::schema::{TypeId, resource_types, ty};

use super::error::StorageError;
use super::read::{RESOURCE_COLUMNS, Reads};
use super::resource::StoredResource;
use super::schema::{reindex, resource, search_parameter};
use super::sql::{Bind, RenderedSql, Value, execute};
use super::write::WriteUnit;
use crate::index::row::TypeCode;

/// Says that the SearchParameters of a database have been looked through.
const KNOWN: &str = "search_parameters_known";
/// How many resources are looked through at once.
const RESOURCES_AT_ONCE: i64 = 200;

/// A SearchParameter that defines a parameter of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredParameter {
    /// The number of the resource.
    pub number: i64,
    /// Its current version.
    pub version: u32,
    /// What it takes from resources; 0 when it is not active.
    pub signature: i64,
    /// Since when the index is to hold that.
    pub requested: i64,
    /// Whether the index holds it for all resources.
    pub is_indexed: bool,
}

/// A type whose older resources are to be indexed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaleType {
    /// The type.
    pub of: TypeId,
    /// Since when.
    pub requested: i64,
    /// Resources up to this number are done.
    pub position: i64,
}

/// Returns the SearchParameters that define parameters of their own, oldest first.
///
/// # Errors
/// When the database fails.
pub fn stored_parameters(data: &mut impl Reads) -> Result<Vec<StoredParameter>, StorageError> {
    use search_parameter::dsl;
    let rows: Vec<(i64, i32, i64, i64, i32)> = dsl::search_parameter
        .inner_join(resource::table.on(resource::key.eq(dsl::key)))
        .order(dsl::key)
        .select((dsl::key, resource::version, dsl::signature, dsl::requested, dsl::indexed))
        .load(data.resource_connection())?;
    let stored = |(number, version, signature, requested, indexed)| StoredParameter {
        number,
        version: version as u32,
        signature,
        requested,
        is_indexed: indexed != 0,
    };
    Ok(rows.into_iter().map(stored).collect())
}

/// Returns the types whose older resources are to be indexed anew.
///
/// # Errors
/// When the database fails.
pub fn stale_types(data: &mut impl Reads) -> Result<Vec<StaleType>, StorageError> {
    let rows: Vec<(i32, i64, i64)> = reindex::table
        .order(reindex::type_code)
        .select((reindex::type_code, reindex::requested, reindex::position))
        .load(data.resource_connection())?;
    let stale = |(code, requested, position): (i32, i64, i64)| {
        let of = resource_types().find(|of| TypeCode::of(*of).0 == code)?;
        Some(StaleType { of, requested, position })
    };
    Ok(rows.into_iter().filter_map(stale).collect())
}

/// Returns the live resources of a type with greater numbers than `position`,
/// in their order: so many, or fewer when their bodies are large; at least one
/// when there is one.
///
/// # Errors
/// When the database fails.
pub fn resources_after(
    data: &mut impl Reads,
    of: TypeId,
    position: i64,
    limit: i64,
    bytes_max: i64,
) -> Result<Vec<StoredResource>, StorageError> {
    selected_after(data, of, position, limit, bytes_max, "")
}

/// As [`resources_after`], of those for which a condition of SQL holds, which
/// begins with `AND`.
pub(super) fn selected_after(
    data: &mut impl Reads,
    of: TypeId,
    position: i64,
    limit: i64,
    bytes_max: i64,
    condition: &'static str,
) -> Result<Vec<StoredResource>, StorageError> {
    let sizes = RenderedSql {
        sql: format!(
            "SELECT key, length(body) FROM resource WHERE type = ? AND deleted = 0 AND key > ? {condition} \
             ORDER BY key LIMIT ?"
        ),
        binds: [TypeCode::of(of).0.into(), position, limit].map(Bind::Integer).to_vec(),
        is_rare: false,
    };
    let mut bytes = 0;
    let sizes = data.integer_pairs(&sizes)?;
    let taken = sizes.iter().enumerate().take_while(|(at, (_, size))| {
        bytes += size;
        *at == 0 || bytes <= bytes_max
    });
    let Some((_, &(end, _))) = taken.last() else { return Ok(Vec::new()) };
    data.resources(&RenderedSql {
        sql: format!(
            "SELECT {RESOURCE_COLUMNS} FROM resource WHERE type = ? AND deleted = 0 AND key > ? AND key <= ? \
             {condition} ORDER BY key"
        ),
        binds: [TypeCode::of(of).0.into(), position, end].map(Bind::Integer).to_vec(),
        is_rare: false,
    })
}

/// Counts the live resources of a type with greater numbers than `position`.
///
/// # Errors
/// When the database fails.
pub fn count_after(data: &mut impl Reads, of: TypeId, position: i64) -> Result<u64, StorageError> {
    let statement = RenderedSql {
        sql: "SELECT count(*) FROM resource WHERE type = ? AND deleted = 0 AND key > ?".to_owned(),
        binds: [TypeCode::of(of).0.into(), position].map(Bind::Integer).to_vec(),
        is_rare: true,
    };
    let count = data.integers(&statement)?.first().copied().unwrap_or(0);
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Returns a resource by its number; `None` when it was deleted.
///
/// # Errors
/// When the database fails.
pub fn resource_numbered(data: &mut impl Reads, number: i64) -> Result<Option<StoredResource>, StorageError> {
    let statement = RenderedSql {
        sql: format!("SELECT {RESOURCE_COLUMNS} FROM resource WHERE key = ? AND deleted = 0"),
        binds: vec![Bind::Integer(number)],
        is_rare: false,
    };
    Ok(data.resources(&statement)?.pop())
}

/// Returns resources by their numbers, in no order; those that were deleted are left out.
///
/// # Errors
/// When the database fails.
pub fn resources_numbered(
    data: &mut impl Reads,
    numbers: &[i64],
) -> Result<Vec<StoredResource>, StorageError> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    data.resources(&RenderedSql {
        sql: format!(
            "SELECT {RESOURCE_COLUMNS} FROM resource WHERE key IN (SELECT value FROM json_each(?)) AND deleted = 0"
        ),
        binds: vec![Bind::list(numbers)],
        is_rare: false,
    })
}

impl WriteUnit<'_> {
    /// Returns the SearchParameters of a database that none was yet asked for;
    /// nothing from the second time on.
    ///
    /// # Errors
    /// Those of `each`, and when the database fails.
    pub fn unknown_parameters<E: From<StorageError>>(
        &mut self,
        mut each: impl FnMut(&mut Self, StoredResource) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.setting(KNOWN)?.is_some() {
            return Ok(());
        }
        let mut position = i64::MIN;
        loop {
            let found = resources_after(self, ty::SEARCH_PARAMETER, position, RESOURCES_AT_ONCE, i64::MAX)?;
            let Some(last) = found.last() else { break };
            position = last.number;
            for resource in found {
                each(self, resource)?;
            }
        }
        Ok(self.set(KNOWN, "1")?)
    }

    /// Notes that a SearchParameter defines a parameter of its own.
    ///
    /// # Errors
    /// When the database fails.
    pub fn add_parameter(&mut self, number: i64) -> Result<(), StorageError> {
        self.begin_write()?;
        let sql = "INSERT OR IGNORE INTO search_parameter (key, signature, requested, indexed) \
                   VALUES (?, 0, 0, 0)";
        execute(self.resource_connection(), sql, &[Value::Integer(number)])?;
        Ok(())
    }

    /// Notes that a SearchParameter defines none, or is there no more.
    ///
    /// # Errors
    /// When the database fails.
    pub fn remove_parameter(&mut self, number: i64) -> Result<(), StorageError> {
        self.begin_write()?;
        execute(
            self.resource_connection(),
            "DELETE FROM search_parameter WHERE key = ?",
            &[Value::Integer(number)],
        )?;
        Ok(())
    }

    /// Notes what a parameter takes from resources, and whether the index holds it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_parameter(&mut self, parameter: &StoredParameter) -> Result<(), StorageError> {
        self.begin_write()?;
        let values = [
            Value::Integer(parameter.signature),
            Value::Integer(parameter.requested),
            Value::Integer(parameter.is_indexed.into()),
            Value::Integer(parameter.number),
        ];
        let sql = "UPDATE search_parameter SET signature = ?, requested = ?, indexed = ? WHERE key = ?";
        execute(self.resource_connection(), sql, &values)?;
        Ok(())
    }

    /// Notes that the index holds for all resources what a parameter takes;
    /// `false` when it takes something else since `requested`.
    ///
    /// # Errors
    /// When the database fails.
    pub fn parameter_is_indexed(&mut self, number: i64, requested: i64) -> Result<bool, StorageError> {
        self.begin_write()?;
        let values = [number, requested].map(Value::Integer);
        let sql = "UPDATE search_parameter SET indexed = 1 WHERE key = ? AND requested = ?";
        Ok(execute(self.resource_connection(), sql, &values)? == 1)
    }

    /// Asks that the resources of a type be indexed anew, from the first on.
    ///
    /// # Errors
    /// When the database fails.
    pub fn request_reindex(&mut self, of: TypeId, requested: i64) -> Result<(), StorageError> {
        self.begin_write()?;
        let values = [TypeCode::of(of).0.into(), requested, i64::MIN].map(Value::Integer);
        let sql = "INSERT OR REPLACE INTO reindex (type, requested, position) VALUES (?, ?, ?)";
        execute(self.resource_connection(), sql, &values)?;
        Ok(())
    }

    /// Notes how far the indexing of a type has come; `false` when it is to
    /// begin anew meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub fn advance_reindex(&mut self, stale: &StaleType, position: i64) -> Result<bool, StorageError> {
        self.begin_write()?;
        let values = [position, TypeCode::of(stale.of).0.into(), stale.requested].map(Value::Integer);
        let sql = "UPDATE reindex SET position = ? WHERE type = ? AND requested = ?";
        Ok(execute(self.resource_connection(), sql, &values)? == 1)
    }

    /// Notes that all resources of a type are indexed; `false` when the
    /// indexing is to begin anew meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub fn end_reindex(&mut self, stale: &StaleType) -> Result<bool, StorageError> {
        self.begin_write()?;
        let values = [TypeCode::of(stale.of).0.into(), stale.requested].map(Value::Integer);
        let sql = "DELETE FROM reindex WHERE type = ? AND requested = ?";
        Ok(execute(self.resource_connection(), sql, &values)? == 1)
    }
}
