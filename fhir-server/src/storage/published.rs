//! Which resources are the definitions of installed packages.

use diesel::prelude::*;
use fhir_model::interaction::{ResourceKey, VersionId};
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::TypeId;

use super::error::StorageError;
use super::read::Reads;
use super::reindex::selected_after;
use super::resource::StoredResource;
use super::schema::{package_definition, resource};
use super::sql::{Value, execute};
use super::write::WriteUnit;

/// Holds for what is nobody's but the caller's.
const NOT_PUBLISHED: &str = "AND NOT EXISTS (SELECT 1 FROM package_definition p \
                             WHERE p.key = resource.key AND p.version = resource.version)";

/// As [`resources_after`](super::resources_after), without the definitions of
/// packages that nobody has changed.
///
/// # Errors
/// When the database fails.
pub fn own_resources_after(
    data: &mut impl Reads,
    of: TypeId,
    position: i64,
    limit: i64,
    bytes_max: i64,
) -> Result<Vec<StoredResource>, StorageError> {
    selected_after(data, of, position, limit, bytes_max, NOT_PUBLISHED)
}

/// Returns the resources that were made of definitions of packages.
///
/// # Errors
/// When the database fails.
pub fn published(data: &mut impl Reads) -> Result<Vec<ResourceKey>, StorageError> {
    let rows: Vec<(String, String)> = package_definition::table
        .inner_join(resource::table.on(resource::key.eq(package_definition::key)))
        .select((resource::type_name, resource::id))
        .load(data.resource_connection())?;
    let key = |(type_name, id): (String, String)| {
        Some(ResourceKey { resource_type: TypeId::resource_named(&type_name)?, id: ResourceId::parse(&id)? })
    };
    Ok(rows.into_iter().filter_map(key).collect())
}

impl WriteUnit<'_> {
    /// Tells whether a resource is as it was made of the definition of a package.
    ///
    /// # Errors
    /// When the database fails.
    pub fn is_published(&mut self, stored: &StoredResource) -> Result<bool, StorageError> {
        let version: Option<i32> = package_definition::table
            .filter(package_definition::key.eq(stored.number))
            .select(package_definition::version)
            .get_result(self.resource_connection())
            .optional()?;
        Ok(version.is_some_and(|v| VersionId(v as u32) == stored.version))
    }

    /// Notes that a resource, as it is now, is the definition of a package.
    ///
    /// # Errors
    /// When the database fails.
    pub fn note_published(&mut self, stored: &StoredResource) -> Result<(), StorageError> {
        self.begin_write()?;
        let values = [stored.number, stored.version.0.into()].map(Value::Integer);
        let sql = "INSERT OR REPLACE INTO package_definition (key, version) VALUES (?, ?)";
        execute(self.resource_connection(), sql, &values)?;
        Ok(())
    }

    /// Forgets that a resource was the definition of a package.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forget_published(&mut self, number: i64) -> Result<(), StorageError> {
        self.begin_write()?;
        let sql = "DELETE FROM package_definition WHERE key = ?";
        execute(self.resource_connection(), sql, &[Value::Integer(number)])?;
        Ok(())
    }
}
