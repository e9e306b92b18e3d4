//! What is particular to SQLite: opening, pragmas, migrations.

use std::path::Path;

use diesel::QueryResult;
use diesel::connection::{Connection as _, SimpleConnection};
use diesel::migration::{Migration, MigrationSource};
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::error::StorageError;

/// A connection to the database.
pub type Connection = SqliteConnection;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// For the writer: durable commits, checkpoints on its own terms.
const WRITER_PRAGMAS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = OFF;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -32768;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA busy_timeout = 5000;
";

/// For readers: nothing can be written.
const READER_PRAGMAS: &str = "
    PRAGMA query_only = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -8192;
    PRAGMA busy_timeout = 5000;
";

fn open_error(error: impl std::fmt::Display) -> StorageError {
    StorageError::Open(error.to_string())
}

/// Opens the connection of the writer; creates the file where there is none.
pub(super) fn open_writer(path: &Path) -> Result<SqliteConnection, StorageError> {
    let mut connection = SqliteConnection::establish(&path.to_string_lossy()).map_err(open_error)?;
    // The page size can be set only before anything is written.
    connection.batch_execute("PRAGMA page_size = 4096;").map_err(open_error)?;
    connection.batch_execute(WRITER_PRAGMAS).map_err(open_error)?;
    Ok(connection)
}

/// Sets a reader's connection up.
pub(super) fn set_reader_up(connection: &mut SqliteConnection) -> QueryResult<()> {
    connection.batch_execute(READER_PRAGMAS)
}

/// Brings the schema up to date.
///
/// # Errors
/// [`StorageError::NewerSchema`] when the database knows a migration that this
/// program does not.
pub(super) fn migrate(connection: &mut SqliteConnection) -> Result<(), StorageError> {
    let known: Vec<String> = MigrationSource::<Sqlite>::migrations(&MIGRATIONS)
        .map_err(open_error)?
        .iter()
        .map(|m| Migration::<Sqlite>::name(m.as_ref()).version().to_string())
        .collect();
    let applied = connection.applied_migrations().map_err(open_error)?;
    if let Some(newer) = applied.iter().find(|a| !known.contains(&a.to_string())) {
        return Err(StorageError::NewerSchema(newer.to_string()));
    }
    connection.run_pending_migrations(MIGRATIONS).map_err(open_error)?;
    Ok(())
}
