//! The database without a FHIR server around it: the statements that a row of
//! the table is compared with.

use std::path::Path;

use diesel::connection::{DefaultLoadingMode, SimpleConnection};
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::error::BenchError;
use crate::storage::{Bind, RESOURCE_COLUMNS, Reads, RenderedSql};

/// The tables of the statements.
#[allow(missing_docs, unreachable_pub)]
mod tables {
    diesel::table! {
        plain (rowid) {
            rowid -> BigInt,
            id -> Text,
            version -> BigInt,
            body -> Binary,
        }
    }

    diesel::table! {
        equal (hash, key) {
            hash -> BigInt,
            key -> BigInt,
        }
    }

    diesel::table! {
        resource (key) {
            key -> BigInt,
            body -> Binary,
        }
    }

    diesel::allow_tables_to_appear_in_same_query!(equal, resource);
}
use tables::{equal, plain, resource};

fn open(path: &Path) -> Result<SqliteConnection, BenchError> {
    let text = path.to_str().ok_or_else(|| BenchError::Database("its path is not UTF-8".to_owned()))?;
    SqliteConnection::establish(text).map_err(|e| BenchError::Database(e.to_string()))
}

/// A table of bodies without any index, written as durably as the server writes.
pub(super) struct PlainTable {
    connection: SqliteConnection,
    bodies: Vec<(String, Vec<u8>)>,
    at: usize,
}

impl PlainTable {
    /// Makes the table in a new file; `bodies` are the ids and bodies that are
    /// inserted over and over.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn create(path: &Path, bodies: Vec<(String, Vec<u8>)>) -> Result<PlainTable, BenchError> {
        let mut connection = open(path)?;
        connection.batch_execute(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; \
             CREATE TABLE plain (id TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL) STRICT",
        )?;
        Ok(PlainTable { connection, bodies, at: 0 })
    }

    /// Inserts so many rows, one prepared insert for each, and commits.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) fn commit(&mut self, rows: usize) -> Result<u64, BenchError> {
        let (bodies, at) = (&self.bodies, &mut self.at);
        self.connection.immediate_transaction(|connection| {
            for _ in 0..rows {
                *at = (*at + 1) % bodies.len().max(1);
                let Some((id, body)) = bodies.get(*at) else { continue };
                diesel::insert_into(plain::table)
                    .values((plain::id.eq(id), plain::version.eq(1), plain::body.eq(body)))
                    .execute(connection)?;
            }
            Ok::<_, BenchError>(rows as u64)
        })
    }
}

/// The server's own database, read beside it.
pub(super) struct Database {
    connection: SqliteConnection,
}

impl Database {
    /// Opens the database of a data folder, set up as the server sets up its readers.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(folder: &Path) -> Result<Database, BenchError> {
        let mut connection = open(&folder.join("lanterna.sqlite"))?;
        connection.batch_execute(
            "PRAGMA busy_timeout=5000; PRAGMA wal_autocheckpoint=0; PRAGMA mmap_size=0; \
             PRAGMA cache_size=-2048; PRAGMA query_only=ON",
        )?;
        Ok(Database { connection })
    }

    /// Counts the resources that have a value, by one statement.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) fn count(&mut self, hash: i64) -> Result<u64, BenchError> {
        let count: i64 =
            equal::table.filter(equal::hash.eq(hash)).count().get_result(&mut self.connection)?;
        Ok(count.max(0) as u64)
    }

    /// Reads the bodies of the resources that have a value, newest first, by
    /// one statement; returns how many. They come as they lie in the database.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) fn bodies(&mut self, hash: i64) -> Result<u64, BenchError> {
        let rows = equal::table
            .inner_join(resource::table.on(resource::key.eq(equal::key)))
            .filter(equal::hash.eq(hash))
            .order(equal::key.desc())
            .select(resource::body)
            .load_iter::<Vec<u8>, DefaultLoadingMode>(&mut self.connection)?;
        let (mut count, mut bytes) = (0, 0);
        for body in rows {
            bytes += body?.len();
            count += 1;
        }
        std::hint::black_box(bytes);
        Ok(count)
    }

    /// As [`Database::bodies`], and each body is unpacked to the JSON that the
    /// server answers with.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) fn unpacked_bodies(&mut self, hash: i64) -> Result<u64, BenchError> {
        let statement = RenderedSql {
            sql: format!(
                "SELECT {RESOURCE_COLUMNS} FROM equal JOIN resource ON resource.key = equal.key \
                 WHERE equal.hash = ? ORDER BY equal.key DESC"
            ),
            binds: vec![Bind::Integer(hash)],
            is_rare: false,
        };
        let found = self.connection.resources(&statement)?;
        let mut json = Vec::new();
        for resource in &found {
            json.clear();
            resource.write_json(&mut json)?;
            std::hint::black_box(&json);
        }
        Ok(found.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_inserts_its_rows() {
        let folder = tempfile::tempdir().expect("folder");
        let bodies = (0..3).map(|n| (n.to_string(), b"{}".to_vec())).collect();
        let mut table = PlainTable::create(&folder.path().join("x.sqlite"), bodies).expect("made");
        assert_eq!(table.commit(5).expect("stored"), 5);
        assert_eq!(table.commit(2).expect("stored"), 2);
        let rows: i64 = plain::table.count().get_result(&mut table.connection).expect("counted");
        assert_eq!(rows, 7);
    }
}
