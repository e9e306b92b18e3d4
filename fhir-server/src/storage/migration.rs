//! Brings a database to the schema that this version knows; forward only.

use diesel::migration::{Migration, MigrationSource};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::dialect::{Connection, Database};
use super::error::StorageError;

pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Applies the migrations that are missing, each in a transaction of its own.
///
/// # Errors
/// `NewerSchema` when the database has one that this version does not know;
/// nothing is changed then.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StorageError> {
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| StorageError::Statement(e.to_string());
    let known: Vec<String> = MigrationSource::<Database>::migrations(&MIGRATIONS)
        .map_err(failed)?
        .iter()
        .map(|m| m.name().version().to_string())
        .collect();
    let applied = connection.applied_migrations().map_err(failed)?;
    if let Some(unknown) = applied.iter().map(ToString::to_string).find(|v| !known.contains(v)) {
        return Err(StorageError::NewerSchema(unknown));
    }
    for version in connection.run_pending_migrations(MIGRATIONS).map_err(failed)? {
        tracing::info!(%version, "migrated the database");
    }
    Ok(())
}
