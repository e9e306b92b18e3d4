//! Statements that search renders: text with `?` for each bind.

use std::marker::PhantomData;

use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::methods::LoadQuery;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel::{QueryResult, RunQueryDsl};

/// A value bound to a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// A 64-bit integer.
    Integer(i64),
    /// Text.
    Text(String),
}

/// A statement and its binds. The text holds no value of a caller: those are
/// binds, one for each `?`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RenderedSql {
    /// The statement.
    pub sql: String,
    /// The values, in the order of the `?`.
    pub binds: Vec<Bind>,
    /// Whether the text is rare, so that keeping it prepared would not pay.
    pub is_rare: bool,
}

/// A rendered statement whose rows have the SQL types `Types`.
pub(super) struct Typed<'s, Types> {
    pub(super) statement: &'s RenderedSql,
    pub(super) types: PhantomData<Types>,
}

impl<Types> QueryId for Typed<'_, Types> {
    type QueryId = ();
    // Statements of this kind are kept by their text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Types> Query for Typed<'_, Types> {
    type SqlType = Types;
}

impl<Types> QueryFragment<Sqlite> for Typed<'_, Types> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        if self.statement.is_rare {
            out.unsafe_to_cache_prepared();
        }
        let mut pieces = self.statement.sql.split('?');
        out.push_sql(pieces.next().unwrap_or(""));
        for (piece, bind) in pieces.zip(&self.statement.binds) {
            match bind {
                Bind::Integer(value) => out.push_bind_param::<BigInt, i64>(value)?,
                Bind::Text(value) => out.push_bind_param::<Text, String>(value)?,
            }
            out.push_sql(piece);
        }
        Ok(())
    }
}

impl<Types> RunQueryDsl<SqliteConnection> for Typed<'_, Types> {}

impl RenderedSql {
    /// Runs the statement and returns its rows.
    pub(super) fn load<'q, Types, Row>(&'q self, connection: &mut SqliteConnection) -> QueryResult<Vec<Row>>
    where
        Typed<'q, Types>: LoadQuery<'q, SqliteConnection, Row>,
    {
        Typed { statement: self, types: PhantomData }.load(connection)
    }
}
