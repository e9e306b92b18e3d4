//! What is particular to SQLite: how connections are set up, what its errors
//! mean, migrations, and the statements that other databases spell differently.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::error::StorageError;
use super::sql::{Statement, Value};

/// A connection to the database.
pub type Connection = SqliteConnection;

pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Begins a transaction that writes.
pub(super) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";
/// Begins an insert that leaves a row alone which is there already.
pub(super) const INSERT_NEW_INTO: &str = "INSERT OR IGNORE INTO";
/// The size of a database page.
pub(super) const PAGE_BYTES: u64 = 4096;

/// The write-ahead log is cut to this length when it starts anew.
const LOG_BYTES_KEPT: u64 = 64 << 20;
const WRITER_CACHE_KIB: u32 = 32 << 10;
const READER_CACHE_KIB: u32 = 2 << 10;
/// For each thread that serves: most searches read on its connection.
const SERVING_CACHE_KIB: u32 = 16 << 10;
/// All page caches of the process together; beyond it pages are given up early.
const CACHES_BYTES: u64 = 96 << 20;

/// Opens the connection that writes. Each commit is synced before it is
/// acknowledged; the log is checkpointed by `checkpoint`, never by a commit.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StorageError> {
    let mut connection = open(path)?;
    for pragma in [
        "PRAGMA busy_timeout=5000".to_owned(),
        format!("PRAGMA page_size={PAGE_BYTES}"),
        "PRAGMA journal_mode=WAL".to_owned(),
        "PRAGMA synchronous=FULL".to_owned(),
        "PRAGMA wal_autocheckpoint=0".to_owned(),
        format!("PRAGMA journal_size_limit={LOG_BYTES_KEPT}"),
        "PRAGMA temp_store=MEMORY".to_owned(),
        "PRAGMA foreign_keys=OFF".to_owned(),
        "PRAGMA mmap_size=0".to_owned(),
        format!("PRAGMA cache_size=-{WRITER_CACHE_KIB}"),
        format!("PRAGMA soft_heap_limit={CACHES_BYTES}"),
    ] {
        connection.batch_execute(&pragma)?;
    }
    let mode: String =
        Statement::<Text>::new("PRAGMA journal_mode", &[], false).get_result(&mut connection)?;
    if mode != "wal" {
        return Err(StorageError::Open(format!("the journal mode is {mode}, not wal")));
    }
    Ok(connection)
}

/// Opens a connection on which a thread that serves reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StorageError> {
    let mut connection = open(path)?;
    set_reader_up(&mut connection)?;
    connection.batch_execute(&format!("PRAGMA cache_size=-{SERVING_CACHE_KIB}"))?;
    Ok(connection)
}

/// Sets a connection up that only reads.
///
/// It reads at once, and so keeps the log open for as long as it lives: when
/// the writer gives its connection up after a failure, that is never the last
/// one, whose end would fold the log in, or leave it to a recovery that takes
/// what was never acknowledged for committed.
pub(super) fn set_reader_up(connection: &mut Connection) -> QueryResult<()> {
    connection.batch_execute(&format!(
        "PRAGMA busy_timeout=5000; PRAGMA wal_autocheckpoint=0; PRAGMA mmap_size=0; \
         PRAGMA cache_size=-{READER_CACHE_KIB}; PRAGMA query_only=ON; SELECT count(*) FROM sqlite_schema;"
    ))
}

/// Commits a row that means nothing.
pub(super) fn commit_nothing(connection: &mut Connection) -> QueryResult<()> {
    connection.batch_execute(BEGIN_WRITE)?;
    connection.batch_execute("INSERT OR REPLACE INTO counter (type, live) VALUES (0, 0); COMMIT")
}

/// Opens a connection for maintenance: checkpoints, backups, checks.
pub(super) fn open_maintenance(path: &Path) -> Result<Connection, StorageError> {
    let mut connection = open(path)?;
    for pragma in ["PRAGMA busy_timeout=5000", "PRAGMA synchronous=FULL", "PRAGMA wal_autocheckpoint=0"] {
        connection.batch_execute(pragma)?;
    }
    Ok(connection)
}

fn open(path: &Path) -> Result<Connection, StorageError> {
    // An absolute path can neither begin with `file:` nor with `sqlite:`.
    let text = path
        .to_str()
        .filter(|_| path.is_absolute())
        .ok_or_else(|| StorageError::Open("its path is not absolute, or not UTF-8".to_owned()))?;
    <SqliteConnection as diesel::Connection>::establish(text)
        .map_err(|e| StorageError::Unavailable(e.to_string()))
}

/// Bounds the size of the database; what exceeds it is `Full`.
pub(super) fn limit_size(connection: &mut Connection, bytes: u64) -> Result<(), StorageError> {
    let pages = (bytes / PAGE_BYTES).clamp(1, 0xffff_fffe);
    Ok(connection.batch_execute(&format!("PRAGMA max_page_count={pages}"))?)
}

/// How far the write-ahead log has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogState {
    /// Pages in the log.
    pub(super) pages: u64,
    /// Those of them that are in the database file as well.
    pub(super) copied: u64,
}

/// How much a checkpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checkpoint {
    /// Only tells the state.
    Look,
    /// Copies what it can without waiting for anyone.
    Passive,
    /// Copies all and cuts the log, waiting for readers.
    Truncate,
}

/// Makes a checkpoint.
pub(super) fn checkpoint(connection: &mut Connection, how: Checkpoint) -> Result<LogState, StorageError> {
    let sql = match how {
        Checkpoint::Look => "PRAGMA wal_checkpoint(NOOP)",
        Checkpoint::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        Checkpoint::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    let (_, pages, copied): (i64, i64, i64) =
        Statement::<(BigInt, BigInt, BigInt)>::new(sql, &[], true).get_result(connection)?;
    Ok(LogState { pages: u64::try_from(pages).unwrap_or(0), copied: u64::try_from(copied).unwrap_or(0) })
}

/// Writes a consistent copy of the database to a new file.
pub(super) fn copy_into(connection: &mut Connection, path: &str) -> Result<(), StorageError> {
    Statement::<()>::new("VACUUM INTO ?", &[Value::Text(path)], false).execute(connection)?;
    Ok(())
}

/// Returns what the database finds wrong with itself; empty when nothing.
pub(super) fn integrity(connection: &mut Connection) -> Result<Vec<String>, StorageError> {
    let mut found: Vec<String> =
        Statement::<Text>::new("PRAGMA integrity_check(100)", &[], false).get_results(connection)?;
    found.retain(|line| line != "ok");
    Ok(found)
}

/// Brings the schema up to date, each migration in a transaction of its own.
///
/// # Errors
/// [`StorageError::NewerSchema`] when the database knows a migration that this
/// program does not; nothing is changed then.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StorageError> {
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| StorageError::Open(e.to_string());
    let known: Vec<String> = MigrationSource::<Sqlite>::migrations(&MIGRATIONS)
        .map_err(failed)?
        .iter()
        .map(|m| m.name().version().to_string())
        .collect();
    let applied = connection.applied_migrations().map_err(failed)?;
    if let Some(newer) = applied.iter().find(|a| !known.contains(&a.to_string())) {
        return Err(StorageError::NewerSchema(newer.to_string()));
    }
    for version in connection.run_pending_migrations(MIGRATIONS).map_err(failed)? {
        tracing::info!(%version, "migrated the database");
    }
    Ok(())
}

/// Says what a failure means. diesel passes on only SQLite's message, so that
/// is what tells.
pub(super) fn error_of(error: &Error) -> StorageError {
    let Error::DatabaseError(kind, information) = error else {
        return match error {
            Error::DeserializationError(e) => StorageError::Corrupt(e.to_string()),
            other => StorageError::Statement(other.to_string()),
        };
    };
    let message = information.message();
    match (kind, message) {
        (DatabaseErrorKind::UniqueViolation, _) => StorageError::IdTaken,
        (_, "database or disk is full") => StorageError::Full(message.to_owned()),
        (_, m) if m.contains("malformed") || m == "file is not a database" => {
            StorageError::Corrupt(m.to_owned())
        }
        (_, m) if UNAVAILABLE.iter().any(|known| m.starts_with(known)) => {
            StorageError::Unavailable(m.to_owned())
        }
        (_, m) => StorageError::Statement(m.to_owned()),
    }
}

/// The messages of SQLite that say that the disk, the memory or a lock failed.
const UNAVAILABLE: &[&str] = &[
    "disk I/O error",
    "unable to open database file",
    "attempt to write a readonly database",
    "database is locked",
    "database table is locked",
    "out of memory",
    "locking protocol",
    "large file support is disabled",
    "interrupted",
    "cannot commit",
    "cannot rollback",
    "no such savepoint",
];
