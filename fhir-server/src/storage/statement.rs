//! Statements made at run time: rendered searches and bulk inserts.
//!
//! diesel keeps a prepared statement for each distinct text that it is told is
//! safe to keep, and keeps it for ever; [`KnownTexts`] bounds how many that are.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::dialect::Database;
use super::error::StorageError;
use super::reader::Reader;

/// A value bound to a `?` of a rendered statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// An integer.
    Integer(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// SQL made at run time, with its values apart.
///
/// Each `?` in the text takes the next of `binds`; a `?` stands for nothing
/// else, so the text must not hold one in a literal or a comment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RenderedSql {
    /// The statement.
    pub sql: String,
    /// The values, in order.
    pub binds: Vec<Bind>,
    /// Whether the text is of a kind that hardly comes again (a list of fifty
    /// values, say), so that keeping it prepared would be a waste.
    pub one_off: bool,
}

impl RenderedSql {
    /// Makes a statement that is kept prepared.
    pub fn new(sql: impl Into<String>, binds: Vec<Bind>) -> RenderedSql {
        RenderedSql { sql: sql.into(), binds, one_off: false }
    }
}

/// A row that a rendered statement returns: integers and texts in its columns.
pub trait SearchRow: Sized {
    /// Runs the statement.
    #[doc(hidden)]
    fn load(reader: &mut Reader, statement: &RenderedSql) -> Result<Vec<Self>, StorageError>;
}

macro_rules! search_rows {
    ($($row:ty = $columns:ty;)*) => {
        $(impl SearchRow for $row {
            fn load(reader: &mut Reader, statement: &RenderedSql) -> Result<Vec<Self>, StorageError> {
                reader.run::<$columns, $row>(statement)
            }
        })*
    };
}

search_rows! {
    i64 = BigInt;
    String = Text;
    Option<i64> = Nullable<BigInt>;
    (i64, i64) = (BigInt, BigInt);
    (i64, i64, i64) = (BigInt, BigInt, BigInt);
    (i64, i64, i64, i64) = (BigInt, BigInt, BigInt, BigInt);
    (i64, Option<i64>) = (BigInt, Nullable<BigInt>);
    (i64, Option<i64>, Option<i64>) = (BigInt, Nullable<BigInt>, Nullable<BigInt>);
    (i64, String) = (BigInt, Text);
    (i64, Option<String>) = (BigInt, Nullable<Text>);
    (i64, i64, String) = (BigInt, BigInt, Text);
    (i64, i64, i64, String) = (BigInt, BigInt, BigInt, Text);
}

/// The number of distinct texts that a connection keeps prepared; each takes some kilobytes.
pub(super) const STATEMENTS_KEPT_MAX: usize = 400;

/// The distinct texts that a connection has been told to keep prepared.
#[derive(Debug, Default)]
pub(super) struct KnownTexts {
    hasher: RandomState,
    known: HashSet<u64>,
}

impl KnownTexts {
    /// Tells whether `sql` may be kept: it is already, or there is room.
    pub(super) fn keep(&mut self, sql: &str) -> bool {
        let hash = self.hasher.hash_one(sql);
        self.known.contains(&hash) || (self.known.len() < STATEMENTS_KEPT_MAX && self.known.insert(hash))
    }
}

/// A statement text with values, as diesel wants it.
pub(super) struct Rendered<'a, Columns = ()> {
    sql: &'a str,
    binds: &'a [BindRef<'a>],
    keep: bool,
    columns: PhantomData<Columns>,
}

/// A borrowed [`Bind`].
#[derive(Debug, Clone, Copy)]
pub(super) enum BindRef<'a> {
    Integer(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl<'a> From<&'a Bind> for BindRef<'a> {
    fn from(bind: &'a Bind) -> BindRef<'a> {
        match bind {
            Bind::Integer(value) => BindRef::Integer(*value),
            Bind::Text(value) => BindRef::Text(value),
            Bind::Blob(value) => BindRef::Blob(value),
        }
    }
}

impl<'a, Columns> Rendered<'a, Columns> {
    /// Makes the statement; `keep` says whether it may stay prepared.
    pub(super) fn new(sql: &'a str, binds: &'a [BindRef<'a>], keep: bool) -> Self {
        Rendered { sql, binds, keep, columns: PhantomData }
    }
}

impl<Columns> QueryFragment<Database> for Rendered<'_, Columns> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Database>) -> QueryResult<()> {
        if !self.keep {
            out.unsafe_to_cache_prepared();
        }
        let mut binds = self.binds.iter();
        let mut pieces = self.sql.split('?');
        out.push_sql(pieces.next().unwrap_or_default());
        for piece in pieces {
            match binds.next() {
                Some(BindRef::Integer(value)) => out.push_bind_param::<BigInt, _>(value)?,
                Some(BindRef::Text(value)) => out.push_bind_param::<Text, _>(*value)?,
                Some(BindRef::Blob(value)) => out.push_bind_param::<Binary, _>(*value)?,
                None => return Err(mismatch()),
            }
            out.push_sql(piece);
        }
        if binds.next().is_some() { Err(mismatch()) } else { Ok(()) }
    }
}

fn mismatch() -> diesel::result::Error {
    diesel::result::Error::QueryBuilderError("placeholders and values differ in number".into())
}

impl<Columns> QueryId for Rendered<'_, Columns> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Columns> Query for Rendered<'_, Columns> {
    type SqlType = Columns;
}

impl<Columns> RunQueryDsl<super::dialect::Connection> for Rendered<'_, Columns> {}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use diesel::connection::InstrumentationEvent;

    use super::*;

    type Kept = Arc<Mutex<Vec<String>>>;

    /// A connection, and the texts that it was seen to keep.
    fn connection() -> (SqliteConnection, Kept) {
        let mut connection = SqliteConnection::establish(":memory:").expect("in memory");
        let kept = Kept::default();
        let list = Arc::clone(&kept);
        connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::CacheQuery { sql, .. } = event {
                list.lock().expect("lock").push(sql.to_owned());
            }
        });
        (connection, kept)
    }

    #[test]
    fn a_text_is_prepared_once_unless_it_is_one_off() {
        let (mut connection, kept) = connection();
        for value in 0..3 {
            for (sql, keep) in [("SELECT ? + 1", true), ("SELECT ? + 2", false)] {
                let binds = [BindRef::Integer(value)];
                let found: i64 =
                    Rendered::<BigInt>::new(sql, &binds, keep).get_result(&mut connection).expect(sql);
                assert_eq!(found, value + if keep { 1 } else { 2 });
            }
        }
        assert_eq!(*kept.lock().expect("lock"), ["SELECT ? + 1"]);
    }

    #[test]
    fn values_and_placeholders_have_to_agree() {
        let (mut connection, _) = connection();
        for (sql, count) in [("SELECT 1", 1), ("SELECT ?", 0), ("SELECT ? + ?", 1)] {
            let binds = vec![BindRef::Integer(1); count];
            let found: QueryResult<i64> =
                Rendered::<BigInt>::new(sql, &binds, true).get_result(&mut connection);
            assert!(found.is_err(), "{sql}");
        }
    }

    #[test]
    fn the_number_of_texts_kept_is_bounded() {
        let mut texts = KnownTexts::default();
        let kept = (0..STATEMENTS_KEPT_MAX + 50).filter(|n| texts.keep(&format!("SELECT {n}"))).count();
        assert_eq!(kept, STATEMENTS_KEPT_MAX);
        assert!(texts.keep("SELECT 0"));
        assert!(!texts.keep("SELECT -1"));
    }
}
