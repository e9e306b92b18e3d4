//! Looking through the whole database: whether each resource can be read, and
//! whether the index holds what it would hold if it were made anew.

use std::collections::HashSet;

use diesel::prelude::*;
use fhir_model::tree::Resource;

use super::error::StorageError;
use super::packed;
use super::read::{RESOURCE_COLUMNS, Reads};
use super::schema::resource;
use super::sql::{Bind, RenderedSql};
use super::store::Store;
use crate::index::row::{Form, IndexRows};

/// How many resources are read at once.
const RESOURCES_AT_ONCE: i64 = 1000;
/// How many forms are remembered as looked up.
const FORMS_SEEN_MAX: usize = 1 << 18;
/// The tables of the index, in the order of [`rows_by_table`].
const TABLES: [&str; 6] = ["equal", "link", "pair", "span", "text", "person"];

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Resources that can be read and are indexed as they should be.
    pub whole: u64,
    /// What is wrong, with each resource named by its number.
    pub problems: Vec<String>,
}

fn rows_by_table(rows: &IndexRows) -> [usize; 6] {
    let IndexRows { equal, links, pairs, spans, texts, persons, .. } = rows;
    [equal.len(), links.len(), pairs.len(), spans.len(), texts.len(), persons.len()]
}

impl Store {
    /// Checks that every live resource can be read back, that it is indexed by
    /// what `extract` takes from it now, and that the tables of the index hold
    /// that and no more. `extract` gives nothing for a resource that is not yet
    /// indexed anew; `seen` is told how many resources have been looked at.
    ///
    /// # Errors
    /// When the database fails.
    pub fn check_resources(
        &self,
        extract: impl Fn(&Resource) -> Option<IndexRows>,
        seen: impl Fn(u64),
    ) -> Result<Checked, StorageError> {
        let mut reader = self.reader()?;
        let mut checked = Checked::default();
        let mut expected = [0u64; TABLES.len()];
        let mut known: HashSet<Form> = HashSet::new();
        let mut last = i64::MIN;
        loop {
            let statement = RenderedSql {
                sql: format!(
                    "SELECT {RESOURCE_COLUMNS} FROM resource WHERE key > ? AND deleted = 0 ORDER BY key LIMIT ?"
                ),
                binds: vec![Bind::Integer(last), Bind::Integer(RESOURCES_AT_ONCE)],
                ..RenderedSql::default()
            };
            let found = reader.resources(&statement)?;
            let Some(end) = found.last().map(|found| found.number) else { break };
            let packed: Vec<(i64, Vec<u8>)> = resource::table
                .filter(resource::key.gt(last).and(resource::key.le(end)).and(resource::deleted.eq(0)))
                .order(resource::key)
                .select((resource::key, resource::index_keys))
                .load(reader.connection())?;
            last = end;
            seen(found.len() as u64);
            for (found, (number, packed)) in found.iter().zip(packed) {
                let mut wrong = |what: &str| checked.problems.push(format!("resource {number} {what}"));
                let (Ok(tree), true) = (found.resource(), found.number == number) else {
                    wrong("is damaged");
                    continue;
                };
                let Some(rows) = packed::unpack(&packed) else {
                    wrong("has damaged index rows");
                    continue;
                };
                expected.iter_mut().zip(rows_by_table(&rows)).for_each(|(sum, of)| *sum += of as u64);
                if let Some(mut now) = extract(&tree) {
                    for form in std::mem::take(&mut now.forms) {
                        if known.len() < FORMS_SEEN_MAX && !known.insert(form) {
                            continue;
                        }
                        let asked = RenderedSql {
                            sql: "SELECT count(*) FROM form WHERE form = ? AND hash = ?".to_owned(),
                            binds: vec![Bind::Integer(form.form.0), Bind::Integer(form.hash.0)],
                            ..RenderedSql::default()
                        };
                        if reader.integers(&asked)? != [1] {
                            wrong("has a value whose other form is not known");
                        }
                    }
                    if now != rows {
                        wrong("is indexed otherwise than it would be now; is the base another?");
                        continue;
                    }
                }
                checked.whole += 1;
            }
        }
        for (table, expected) in TABLES.iter().zip(expected) {
            let statement =
                RenderedSql { sql: format!("SELECT count(*) FROM {table}"), ..RenderedSql::default() };
            let found = reader.integers(&statement)?;
            if found != [expected as i64] {
                checked.problems.push(format!("table {table} has {found:?} rows, the resources {expected}"));
            }
        }
        Ok(checked)
    }
}
