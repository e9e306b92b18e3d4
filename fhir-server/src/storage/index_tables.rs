//! Writes to the index tables and counters, gathered over the jobs of a batch.
//!
//! Rows are not written one by one: they wait until the batch ends or a job
//! reads, and are then written sorted, many to a statement, each page of the
//! tables once. What a job added is dropped when the job fails; what was
//! written inside its savepoint for the jobs before it is then written again.

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use smallvec::SmallVec;

use super::counts::Counts;
use super::crash::{self, Point};
use super::error::StorageError;
use super::sql::{Value, execute};
use super::sqlite::{Connection, INSERT_NEW_INTO};
use crate::index::row::{EqualHash, Form, IndexRows, Link, NameHash, Pair, PersonRow, Span, Text, TypeCode};

/// So many rows may wait before they are written in the middle of a job.
const WAITING_MAX: usize = 100_000;
/// How many rows go into one insert, tried from the largest.
const INSERT_SIZES: [usize; 4] = [64, 16, 4, 1];

/// A kind of index row and its table.
trait TableRow: Ord + Clone {
    /// The table's name.
    const TABLE: &'static str;
    /// Its columns but `key`.
    const COLUMNS: &'static [&'static str];
    /// Pushes the values of the columns.
    fn push<'a>(&'a self, values: &mut Values<'a>);
    /// The statements of this table.
    fn statements() -> &'static Statements;
}

type Values<'a> = SmallVec<[Value<'a>; 256]>;

/// The statements of an index table.
struct Statements {
    insert: Vec<String>,
    delete: String,
}

impl Statements {
    fn of<R: TableRow>() -> Statements {
        let marks = format!("({})", vec!["?"; R::COLUMNS.len() + 1].join(","));
        let columns = R::COLUMNS.join(",");
        let insert = |size: &usize| {
            format!(
                "{INSERT_NEW_INTO} {} ({columns},key) VALUES {}",
                R::TABLE,
                vec![marks.as_str(); *size].join(",")
            )
        };
        let conditions: String = R::COLUMNS.iter().map(|c| format!("{c} = ? AND ")).collect();
        Statements {
            insert: INSERT_SIZES.iter().map(insert).collect(),
            delete: format!("DELETE FROM {} WHERE {conditions}key = ?", R::TABLE),
        }
    }
}

macro_rules! table_rows {
    ($($row:ty, $table:literal, [$($column:literal),*], |$self:ident| [$($bind:expr),*];)*) => {
        $(impl TableRow for $row {
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [&'static str] = &[$($column),*];
            fn push<'a>(&'a self, values: &mut Values<'a>) {
                let $self = self;
                $(values.push($bind);)*
            }
            fn statements() -> &'static Statements {
                static STATEMENTS: LazyLock<Statements> = LazyLock::new(Statements::of::<$row>);
                &STATEMENTS
            }
        })*
    };
}

table_rows! {
    EqualHash, "equal", ["hash"], |row| [Value::Integer(row.0)];
    Link, "link", ["target", "branch"],
        |row| [Value::Integer(row.target.0), Value::Integer(row.branch.0.into())];
    Pair, "pair", ["focus", "value"], |row| [Value::Integer(row.focus.0), Value::Integer(row.value.0)];
    Span, "span", ["hash", "low", "high"],
        |row| [Value::Integer(row.hash.0), Value::Integer(row.low), Value::Integer(row.high)];
    Text, "text", ["branch", "folded"], |row| [Value::Integer(row.branch.0.into()), Value::Text(&row.folded)];
    PersonRow, "person", ["features"], |row| [Value::Blob(&row.0)];
}

/// A row to add or to remove.
#[derive(Debug, Clone)]
struct Change<R> {
    row: R,
    key: i64,
    add: bool,
}

/// The changes to one table that wait, in the order in which they came.
#[derive(Debug)]
struct Waiting<R> {
    changes: Vec<Change<R>>,
    /// Where those of the running job begin.
    job_from: usize,
    /// What the jobs before it had waiting and was written inside its savepoint.
    again: Vec<Change<R>>,
}

impl<R> Default for Waiting<R> {
    fn default() -> Self {
        Waiting { changes: Vec::new(), job_from: 0, again: Vec::new() }
    }
}

impl<R: TableRow> Waiting<R> {
    fn add_all(&mut self, rows: &[R], key: i64, add: bool) {
        self.changes.extend(rows.iter().map(|row| Change { row: row.clone(), key, add }));
    }

    /// Adds what turns the sorted list `old` into the sorted list `new`.
    fn add_difference(&mut self, old: &[R], new: &[R], key: i64) {
        let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (Some(o), Some(n)) => o.cmp(n),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => return,
            };
            let changed = match order {
                std::cmp::Ordering::Equal => {
                    old.next();
                    new.next();
                    continue;
                }
                std::cmp::Ordering::Less => old.next().map(|row| (row, false)),
                std::cmp::Ordering::Greater => new.next().map(|row| (row, true)),
            };
            self.changes.extend(changed.map(|(row, add)| Change { row: row.clone(), key, add }));
        }
    }

    fn job_begins(&mut self) {
        self.job_from = self.changes.len();
        self.again.clear();
    }

    fn job_failed(&mut self) {
        self.changes.truncate(self.job_from);
        if !self.again.is_empty() {
            let written = std::mem::take(&mut self.again);
            self.changes.splice(..0, written);
        }
    }

    fn write(&mut self, connection: &mut Connection, in_savepoint: bool) -> Result<(), StorageError> {
        if self.changes.is_empty() {
            return Ok(());
        }
        if in_savepoint {
            self.again.extend_from_slice(self.changes.get(..self.job_from).unwrap_or_default());
        }
        let mut changes = std::mem::take(&mut self.changes);
        self.job_from = 0;
        // The sort is stable: of several changes of one row the last counts.
        changes.sort_by(|a, b| (&a.row, a.key).cmp(&(&b.row, b.key)));
        let last_of_each = || {
            changes.iter().zip(changes.iter().skip(1).map(Some).chain(std::iter::once(None))).filter_map(
                |(change, next)| {
                    next.is_none_or(|n| n.key != change.key || n.row != change.row).then_some(change)
                },
            )
        };
        remove(connection, last_of_each().filter(|c| !c.add))?;
        insert(connection, &last_of_each().filter(|c| c.add).collect::<Vec<_>>())?;
        // Keep the room for the next batch, unless it is a lot.
        changes.clear();
        changes.shrink_to(WAITING_MAX / 8);
        self.changes = changes;
        Ok(())
    }
}

fn remove<'a, R: TableRow + 'a>(
    connection: &mut Connection,
    changes: impl Iterator<Item = &'a Change<R>>,
) -> Result<(), StorageError> {
    for change in changes {
        let mut values = Values::new();
        change.row.push(&mut values);
        values.push(Value::Integer(change.key));
        execute(connection, &R::statements().delete, &values)?;
    }
    Ok(())
}

fn insert<R: TableRow>(connection: &mut Connection, mut changes: &[&Change<R>]) -> Result<(), StorageError> {
    for (size, sql) in INSERT_SIZES.into_iter().zip(&R::statements().insert) {
        while let Some((now, later)) = changes.split_at_checked(size) {
            let mut values = Values::new();
            for change in now {
                change.row.push(&mut values);
                values.push(Value::Integer(change.key));
            }
            execute(connection, sql, &values)?;
            changes = later;
        }
    }
    Ok(())
}

/// How many forms are remembered as stored.
const KNOWN_FORMS_MAX: usize = 1 << 18;

/// Forms that wait, and those that need not be written again.
#[derive(Debug, Default)]
struct Forms {
    /// Durable ones: most values come again and again.
    known: HashSet<Form>,
    /// Those to be written; one of a job that failed does no harm.
    waiting: BTreeSet<Form>,
    /// Those written in this transaction.
    written: HashSet<Form>,
}

impl Forms {
    fn add(&mut self, forms: &[Form]) {
        let is_new = |form: &&Form| !self.known.contains(form) && !self.written.contains(form);
        self.waiting.extend(forms.iter().filter(is_new));
    }

    fn job_failed(&mut self) {
        // Its savepoint may have taken what was written with it.
        self.waiting.extend(self.written.drain());
    }

    fn write(&mut self, connection: &mut Connection) -> Result<(), StorageError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let sql = format!("{INSERT_NEW_INTO} form (form, hash) VALUES (?, ?)");
        for Form { form, hash } in &self.waiting {
            execute(connection, &sql, &[Value::Integer(form.0), Value::Integer(hash.0)])?;
        }
        self.written.extend(std::mem::take(&mut self.waiting));
        Ok(())
    }

    fn committed(&mut self) {
        if self.known.len() + self.written.len() > KNOWN_FORMS_MAX {
            self.known.clear();
        }
        self.known.extend(self.written.drain());
    }
}

/// All that waits to be written to the index tables and counters.
#[derive(Debug, Default)]
pub(super) struct IndexChanges {
    equal: Waiting<EqualHash>,
    links: Waiting<Link>,
    pairs: Waiting<Pair>,
    spans: Waiting<Span>,
    texts: Waiting<Text>,
    persons: Waiting<PersonRow>,
    forms: Forms,
    counts: Counts<TypeCode>,
    names: Counts<NameHash>,
}

impl IndexChanges {
    /// Adds all rows of a resource that comes into being.
    pub(super) fn add(&mut self, rows: &IndexRows, key: i64) {
        self.forms.add(&rows.forms);
        self.set_all(rows, key, true);
    }

    /// Removes all rows of a resource that is deleted.
    pub(super) fn remove(&mut self, rows: &IndexRows, key: i64) {
        self.set_all(rows, key, false);
    }

    fn set_all(&mut self, rows: &IndexRows, key: i64, add: bool) {
        self.equal.add_all(&rows.equal, key, add);
        self.links.add_all(&rows.links, key, add);
        self.pairs.add_all(&rows.pairs, key, add);
        self.spans.add_all(&rows.spans, key, add);
        self.texts.add_all(&rows.texts, key, add);
        self.persons.add_all(&rows.persons, key, add);
        self.names.add_all(&rows.names, if add { 1 } else { -1 });
    }

    /// Turns the rows of a resource into others.
    pub(super) fn replace(&mut self, old: &IndexRows, new: &IndexRows, key: i64) {
        self.forms.add(&new.forms);
        self.equal.add_difference(&old.equal, &new.equal, key);
        self.links.add_difference(&old.links, &new.links, key);
        self.pairs.add_difference(&old.pairs, &new.pairs, key);
        self.spans.add_difference(&old.spans, &new.spans, key);
        self.texts.add_difference(&old.texts, &new.texts, key);
        self.persons.add_difference(&old.persons, &new.persons, key);
        if old.names != new.names {
            self.names.add_all(&old.names, -1);
            self.names.add_all(&new.names, 1);
        }
    }

    /// Counts resources of a type that came or went.
    pub(super) fn count(&mut self, type_code: TypeCode, by: i64) {
        self.counts.add_all(&[type_code], by);
    }

    /// Tells whether so much waits that it is better written now.
    pub(super) fn is_large(&self) -> bool {
        self.equal.changes.len() + self.pairs.changes.len() + self.links.changes.len() > WAITING_MAX
    }

    /// Notes that what comes now belongs to another job.
    pub(super) fn job_begins(&mut self) {
        self.equal.job_begins();
        self.links.job_begins();
        self.pairs.job_begins();
        self.spans.job_begins();
        self.texts.job_begins();
        self.persons.job_begins();
        self.counts.job_begins();
        self.names.job_begins();
    }

    /// Drops what the running job added; its savepoint has been rolled back.
    pub(super) fn job_failed(&mut self) {
        self.equal.job_failed();
        self.links.job_failed();
        self.pairs.job_failed();
        self.spans.job_failed();
        self.texts.job_failed();
        self.persons.job_failed();
        self.forms.job_failed();
        self.counts.job_failed();
        self.names.job_failed();
    }

    /// Writes all that waits; `in_savepoint` when the running job may yet be
    /// rolled back apart from those before it.
    pub(super) fn write(
        &mut self,
        connection: &mut Connection,
        in_savepoint: bool,
    ) -> Result<(), StorageError> {
        self.equal.write(connection, in_savepoint)?;
        self.links.write(connection, in_savepoint)?;
        crash::pass(Point::WithinIndex);
        self.pairs.write(connection, in_savepoint)?;
        self.spans.write(connection, in_savepoint)?;
        self.texts.write(connection, in_savepoint)?;
        self.persons.write(connection, in_savepoint)?;
        self.forms.write(connection)?;
        self.counts.write(connection, in_savepoint)?;
        self.names.write(connection, in_savepoint)
    }

    /// Notes that all that was written is durable.
    pub(super) fn committed(&mut self) {
        self.forms.committed();
    }

    /// Forgets what was not committed.
    pub(super) fn forget(&mut self) {
        let known = std::mem::take(&mut self.forms.known);
        *self = IndexChanges { forms: Forms { known, ..Forms::default() }, ..IndexChanges::default() };
    }
}
