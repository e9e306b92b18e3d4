//! Statements made at run time: what search renders, and bulk inserts.
//!
//! diesel keeps a prepared statement for each distinct text that it is told is
//! safe to keep, for as long as the connection lives. So the number of texts
//! that may be kept is bounded, and a statement can say that its text is rare.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;
use std::sync::{LazyLock, Mutex, PoisonError, RwLock};

use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::methods::LoadQuery;
use diesel::sql_types::{BigInt, Binary, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel::{QueryResult, RunQueryDsl};
use smallvec::SmallVec;

/// So many texts of rendered statements a connection keeps prepared at most;
/// each takes some kilobytes.
const TEXTS_KEPT_MAX: usize = 400;
/// So many texts are remembered to have come once.
const TEXTS_SEEN_MAX: usize = 4096;

/// A value bound to a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// A 64-bit integer.
    Integer(i64),
    /// Text.
    Text(String),
}

impl Bind {
    /// Makes one value of numbers, for `json_each(?)`: the text of the statement is the same for any number of them.
    pub(super) fn list(numbers: &[i64]) -> Bind {
        let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
        Bind::Text(format!("[{}]", numbers.join(",")))
    }
}

/// A statement and its binds. The text holds no value of a caller: those are
/// binds, one for each `?`, and a `?` stands for nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RenderedSql {
    /// The statement.
    pub sql: String,
    /// The values, in the order of the `?`.
    pub binds: Vec<Bind>,
    /// Whether the text is rare, so that keeping it prepared would not pay.
    pub is_rare: bool,
}

impl RenderedSql {
    /// Runs the statement and returns its rows.
    pub(super) fn load<Types, Row>(&self, connection: &mut SqliteConnection) -> QueryResult<Vec<Row>>
    where
        for<'s> Statement<'s, Types>: LoadQuery<'s, SqliteConnection, Row>,
    {
        self.load_knowing(&KNOWN, connection)
    }

    fn load_knowing<Types, Row>(
        &self,
        known: &KnownTexts,
        connection: &mut SqliteConnection,
    ) -> QueryResult<Vec<Row>>
    where
        for<'s> Statement<'s, Types>: LoadQuery<'s, SqliteConnection, Row>,
    {
        let binds: SmallVec<[Value<'_>; 16]> = self.binds.iter().map(Value::of).collect();
        let is_kept = !self.is_rare && known.may_be_kept(&self.sql);
        Statement::<Types>::new(&self.sql, &binds, is_kept).load(connection)
    }
}

static KNOWN: LazyLock<KnownTexts> = LazyLock::new(KnownTexts::default);

/// The texts that connections may keep: the first so many that came twice.
#[derive(Default)]
struct KnownTexts {
    hasher: RandomState,
    kept: RwLock<HashSet<u64>>,
    /// Those that came once; forgotten when they are many.
    seen: Mutex<HashSet<u64>>,
}

impl KnownTexts {
    fn may_be_kept(&self, sql: &str) -> bool {
        let hash = self.hasher.hash_one(sql);
        {
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            if kept.contains(&hash) || kept.len() >= TEXTS_KEPT_MAX {
                return kept.contains(&hash);
            }
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.remove(&hash) {
            let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
            return kept.contains(&hash) || (kept.len() < TEXTS_KEPT_MAX && kept.insert(hash));
        }
        if seen.len() >= TEXTS_SEEN_MAX {
            seen.clear();
        }
        seen.insert(hash);
        false
    }
}

/// A borrowed value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Integer(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl<'a> Value<'a> {
    fn of(bind: &'a Bind) -> Value<'a> {
        match bind {
            Bind::Integer(value) => Value::Integer(*value),
            Bind::Text(value) => Value::Text(value),
        }
    }
}

/// A text with values, whose rows have the SQL types `Types`.
pub(super) struct Statement<'a, Types = ()> {
    sql: &'a str,
    values: &'a [Value<'a>],
    is_kept: bool,
    types: PhantomData<Types>,
}

impl<'a, Types> Statement<'a, Types> {
    /// Makes a statement; `is_kept` says whether it stays prepared.
    pub(super) fn new(sql: &'a str, values: &'a [Value<'a>], is_kept: bool) -> Self {
        Statement { sql, values, is_kept, types: PhantomData }
    }
}

/// Runs a statement of few texts, kept prepared; returns how many rows it changed.
pub(super) fn execute(
    connection: &mut SqliteConnection,
    sql: &str,
    values: &[Value<'_>],
) -> QueryResult<usize> {
    Statement::<()>::new(sql, values, true).execute(connection)
}

impl<Types> QueryId for Statement<'_, Types> {
    type QueryId = ();
    // Statements of this kind are kept by their text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Types> Query for Statement<'_, Types> {
    type SqlType = Types;
}

impl<Types> QueryFragment<Sqlite> for Statement<'_, Types> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        if !self.is_kept {
            out.unsafe_to_cache_prepared();
        }
        let mut values = self.values.iter();
        // SQLite plans a statement anew, at the cost of many runs, whenever the
        // value behind a bare `LIMIT ?` is bound; not so behind `LIMIT +?`.
        let mut pieces = self.sql.split('?');
        let first = pieces.next().unwrap_or_default();
        out.push_sql(first);
        let mut is_limit = first.ends_with("LIMIT ");
        for piece in pieces {
            if is_limit {
                out.push_sql("+");
            }
            match values.next() {
                Some(Value::Integer(value)) => out.push_bind_param::<BigInt, _>(value)?,
                Some(Value::Text(value)) => out.push_bind_param::<Text, _>(*value)?,
                Some(Value::Blob(value)) => out.push_bind_param::<Binary, _>(*value)?,
                None => return Err(mismatch()),
            }
            out.push_sql(piece);
            is_limit = piece.ends_with("LIMIT ");
        }
        if values.next().is_some() { Err(mismatch()) } else { Ok(()) }
    }
}

fn mismatch() -> diesel::result::Error {
    diesel::result::Error::QueryBuilderError("placeholders and values differ in number".into())
}

impl<Types> RunQueryDsl<SqliteConnection> for Statement<'_, Types> {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use diesel::connection::{Connection as _, InstrumentationEvent};

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
    fn a_text_is_prepared_once_unless_it_is_rare() {
        let (mut connection, kept) = connection();
        let known = KnownTexts::default();
        for value in 0..4 {
            for (sql, is_rare) in [("SELECT ? + 1", false), ("SELECT ? + 2", true)] {
                let statement =
                    RenderedSql { sql: sql.to_owned(), binds: vec![Bind::Integer(value)], is_rare };
                let found: Vec<i64> =
                    statement.load_knowing::<BigInt, i64>(&known, &mut connection).expect(sql);
                assert_eq!(found, [value + if is_rare { 2 } else { 1 }]);
            }
        }
        assert_eq!(*kept.lock().expect("lock"), ["SELECT ? + 1"]);
    }

    #[test]
    fn a_limit_is_bound_without_planning_anew() {
        let (mut connection, kept) = connection();
        let known = KnownTexts::default();
        for limit in [0, 1, 2] {
            let binds = [7, 8, limit, 9].map(Bind::Integer).to_vec();
            let sql = "SELECT * FROM (SELECT ? UNION ALL SELECT ? LIMIT ?) UNION ALL SELECT ?";
            let statement = RenderedSql { sql: sql.to_owned(), binds, is_rare: false };
            let found: Vec<i64> = statement.load_knowing::<BigInt, i64>(&known, &mut connection).expect(sql);
            assert_eq!(found.len() as i64, limit + 1);
        }
        let kept = kept.lock().expect("lock");
        assert!(kept.len() == 1 && kept[0].contains("LIMIT +?"), "{kept:?}");
    }

    #[test]
    fn values_and_placeholders_have_to_agree() {
        let (mut connection, _) = connection();
        for (sql, count) in [("SELECT 1", 1), ("SELECT ?", 0), ("SELECT ? + ?", 1)] {
            let values = vec![Value::Integer(1); count];
            let found: QueryResult<i64> =
                Statement::<BigInt>::new(sql, &values, true).get_result(&mut connection);
            assert!(found.is_err(), "{sql}");
        }
    }

    #[test]
    fn the_number_of_texts_kept_is_bounded() {
        let texts = KnownTexts::default();
        let count = || (0..TEXTS_KEPT_MAX + 50).filter(|n| texts.may_be_kept(&format!("SELECT {n}"))).count();
        assert_eq!(count(), 0, "each came once");
        assert_eq!(count(), TEXTS_KEPT_MAX);
        assert!(texts.may_be_kept("SELECT 0"));
        assert!(!texts.may_be_kept("SELECT -1"));
        assert!(!texts.may_be_kept("SELECT -1"));
    }

    #[test]
    fn texts_that_come_once_are_forgotten() {
        let texts = KnownTexts::default();
        for n in 0..TEXTS_SEEN_MAX * 2 {
            assert!(!texts.may_be_kept(&format!("SELECT {n}")));
        }
        assert!(texts.seen.lock().expect("lock").len() <= TEXTS_SEEN_MAX);
        assert!(texts.kept.read().expect("lock").is_empty());
    }
}
