//! Messages that were taken over: their queue.

use bytes::Bytes;
use diesel::prelude::*;
use fhir_model::outcome::Issue;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ihe_adapters::gateway::messages::inbox::{Inbox, Queued};

use super::error::StorageError;
use super::read::Reads;
use super::schema::inbound_message::{self, answer, message, number, sender};
use super::sql::{Value, execute};
use super::store::Store;
use super::write::WriteUnit;

/// How many answers are looked at at once.
const ANSWERS_MAX: i64 = 100;

impl WriteUnit<'_> {
    fn take_over(&mut self, from: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.begin_write()?;
        let at = self.now();
        let sql = "INSERT INTO inbound_message (sender, at, message) VALUES (?, ?, ?)";
        let values = [Value::Text(from), Value::Integer(at.0), Value::Blob(bytes)];
        execute(self.resource_connection(), sql, &values)?;
        Ok(())
    }

    fn note_performed(&mut self, of: i64, told: Option<&[u8]>) -> Result<(), StorageError> {
        self.begin_write()?;
        let connection = self.resource_connection();
        match told {
            Some(told) => {
                let sql = "UPDATE inbound_message SET answer = ?, message = x'' WHERE number = ?";
                execute(connection, sql, &[Value::Blob(told), Value::Integer(of)])?;
            }
            None => {
                let sql = "DELETE FROM inbound_message WHERE number = ?";
                execute(connection, sql, &[Value::Integer(of)])?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// Reads what few rows say, on a connection of this thread where one is free.
    fn look<T>(&self, read: impl Fn(&mut SqliteConnection) -> QueryResult<T>) -> Result<T, Issue> {
        let here = self.read_here(|connection| read(connection).map_err(StorageError::from));
        match here {
            Some(found) => Ok(found?),
            None => Ok(read(self.reader()?.connection()).map_err(StorageError::from)?),
        }
    }
}

fn queued((place, bytes): (i64, Vec<u8>)) -> Queued {
    Queued { number: place, message: bytes.into() }
}

impl Inbox for Store {
    fn take<'a>(&'a self, from: &'a str, bytes: Bytes) -> BoxFuture<'a, Result<(), Issue>> {
        let from = from.to_owned();
        self.write(move |unit| Ok(unit.take_over(&from, &bytes)?)).boxed()
    }

    fn next<'a>(&'a self, from: &'a str) -> BoxFuture<'a, Result<Option<Queued>, Issue>> {
        let found = self.look(|connection| {
            inbound_message::table
                .filter(sender.eq(from).and(answer.is_null()))
                .order(number)
                .select((number, message))
                .first::<(i64, Vec<u8>)>(connection)
                .optional()
        });
        std::future::ready(found.map(|found| found.map(queued))).boxed()
    }

    fn performed(&self, of: i64, told: Option<Bytes>) -> BoxFuture<'_, Result<(), Issue>> {
        self.write(move |unit| Ok(unit.note_performed(of, told.as_deref())?)).boxed()
    }

    fn answers<'a>(&'a self, to: &'a str) -> BoxFuture<'a, Result<Vec<Queued>, Issue>> {
        let found = self.look(|connection| {
            inbound_message::table
                .filter(sender.eq(to).and(answer.is_not_null()))
                .order(number)
                .limit(ANSWERS_MAX)
                .select((number, answer.assume_not_null()))
                .load::<(i64, Vec<u8>)>(connection)
        });
        std::future::ready(found.map(|rows| rows.into_iter().map(queued).collect())).boxed()
    }

    fn senders(&self) -> BoxFuture<'_, Result<Vec<String>, Issue>> {
        let found = self.look(|connection| {
            inbound_message::table
                .filter(answer.is_null())
                .select(sender)
                .distinct()
                .load::<String>(connection)
        });
        std::future::ready(found).boxed()
    }
}
