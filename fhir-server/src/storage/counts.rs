//! Counts that are kept beside the index: how many resources of a type live, how
//! many Patients have a name.

use super::error::StorageError;
use super::sql::{Value, execute};
use super::sqlite::Connection;
use crate::index::row::{NameHash, TypeCode};

/// What is counted in a table.
pub(super) trait Counted: Ord + Copy + std::fmt::Debug {
    /// The statement that adds to a count.
    const ADD: &'static str;
    /// Returns the number under which it is counted.
    fn number(self) -> i64;
}

impl Counted for TypeCode {
    const ADD: &'static str = "INSERT INTO counter (type, live) VALUES (?, ?) \
                               ON CONFLICT (type) DO UPDATE SET live = live + excluded.live";
    fn number(self) -> i64 {
        self.0.into()
    }
}

impl Counted for NameHash {
    const ADD: &'static str = "INSERT INTO name_count (hash, live) VALUES (?, ?) \
                               ON CONFLICT (hash) DO UPDATE SET live = live + excluded.live";
    fn number(self) -> i64 {
        self.0
    }
}

/// What counts are to be changed by, in the order in which it came.
#[derive(Debug)]
pub(super) struct Counts<K> {
    changes: Vec<(K, i64)>,
    /// Where those of the running job begin.
    job_from: usize,
    /// What the jobs before it had waiting and was written inside its savepoint.
    again: Vec<(K, i64)>,
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Counts { changes: Vec::new(), job_from: 0, again: Vec::new() }
    }
}

impl<K: Counted> Counts<K> {
    pub(super) fn add_all(&mut self, counted: &[K], by: i64) {
        self.changes.extend(counted.iter().map(|counted| (*counted, by)));
    }

    pub(super) fn job_begins(&mut self) {
        self.job_from = self.changes.len();
        self.again.clear();
    }

    pub(super) fn job_failed(&mut self) {
        self.changes.truncate(self.job_from);
        self.changes.append(&mut self.again);
    }

    pub(super) fn write(
        &mut self,
        connection: &mut Connection,
        in_savepoint: bool,
    ) -> Result<(), StorageError> {
        if in_savepoint {
            self.again.extend_from_slice(self.changes.get(..self.job_from).unwrap_or_default());
        }
        self.job_from = 0;
        self.changes.sort_by_key(|(counted, _)| *counted);
        for of_one in self.changes.chunk_by(|a, b| a.0 == b.0) {
            let by: i64 = of_one.iter().map(|(_, by)| by).sum();
            let Some((counted, _)) = of_one.first().filter(|_| by != 0) else { continue };
            execute(connection, K::ADD, &[Value::Integer(counted.number()), Value::Integer(by)])?;
        }
        self.changes.clear();
        Ok(())
    }
}
