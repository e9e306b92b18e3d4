//! Messages that were taken over: their queue.

use bytes::Bytes;
use diesel::prelude::*;
use fhir_model::outcome::Issue;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ihe_adapters::gateway::messages::inbox::{Failing, Inbox, Queued};

use super::error::StorageError;
use super::read::Reads;
use super::schema::inbound_message::{self, answer, message, number, sender};
use super::schema::inbound_message::{at, failing, failures, set_aside, why};
use super::sql::{Value, execute};
use super::store::Store;
use super::write::WriteUnit;

/// How many answers are looked at at once.
const ANSWERS_MAX: i64 = 100;

/// A message that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Its place in the order in which messages were taken over.
    pub number: i64,
    /// Who sent it: `application|facility`.
    pub sender: String,
    /// When it was taken over, in microseconds since 1970.
    pub at: i64,
    /// How often it was tried in vain.
    pub failures: i64,
    /// Since when it fails, in microseconds since 1970.
    pub failing: i64,
    /// Why it failed last.
    pub why: String,
    /// The message as it came.
    pub message: Vec<u8>,
}

/// Returns messages that were set aside, after a number, in their order.
///
/// # Errors
/// When the database fails.
pub fn messages_set_aside(
    data: &mut impl Reads,
    after: i64,
    limit: usize,
) -> Result<Vec<SetAside>, StorageError> {
    type Row = (i64, String, i64, i64, i64, String, Vec<u8>);
    let rows: Vec<Row> = inbound_message::table
        .filter(set_aside.eq(1).and(answer.is_null()).and(number.gt(after)))
        .order(number)
        .limit(limit as i64)
        .select((number, sender, at, failures, failing, why, message))
        .load(data.resource_connection())?;
    let of = |(of_number, from, taken, times, since, reason, bytes): Row| SetAside {
        number: of_number,
        sender: from,
        at: taken,
        failures: times,
        failing: since,
        why: reason,
        message: bytes,
    };
    Ok(rows.into_iter().map(of).collect())
}

/// Returns how many messages that were taken over wait to be performed, and how many were set aside.
///
/// # Errors
/// When the database fails.
pub fn inbound_lengths(data: &mut impl Reads) -> Result<(i64, i64), StorageError> {
    let mut of = |is_set_aside: i32| {
        let all = inbound_message::table.filter(answer.is_null().and(set_aside.eq(is_set_aside)));
        all.count().get_result(data.resource_connection())
    };
    Ok((of(0)?, of(1)?))
}

impl WriteUnit<'_> {
    /// Has a message that was set aside performed, before those of its sender that wait. Tells
    /// whether it was set aside.
    ///
    /// # Errors
    /// When the database fails.
    pub fn perform_again(&mut self, of: i64) -> Result<bool, StorageError> {
        self.begin_write()?;
        let sql = "UPDATE inbound_message SET set_aside = 0, failures = 0, failing = 0 \
                   WHERE number = ? AND set_aside = 1";
        Ok(execute(self.resource_connection(), sql, &[Value::Integer(of)])? > 0)
    }

    /// Takes a message out that was set aside. Tells whether it was.
    ///
    /// # Errors
    /// When the database fails.
    pub fn drop_inbound(&mut self, of: i64) -> Result<bool, StorageError> {
        self.begin_write()?;
        let sql = "DELETE FROM inbound_message WHERE number = ? AND set_aside = 1";
        Ok(execute(self.resource_connection(), sql, &[Value::Integer(of)])? > 0)
    }

    fn note_failure(&mut self, of: i64, reason: &str) -> Result<Failing, StorageError> {
        self.begin_write()?;
        let now = self.now();
        let sql = "UPDATE inbound_message SET failures = failures + 1, why = ?, \
                   failing = CASE failing WHEN 0 THEN ? ELSE failing END WHERE number = ?";
        let values = [Value::Text(reason), Value::Integer(now.0), Value::Integer(of)];
        let connection = self.resource_connection();
        execute(connection, sql, &values)?;
        let query = inbound_message::table.filter(number.eq(of)).select((failures, failing));
        let found: Option<(i64, i64)> = query.first(connection).optional()?;
        let (times, since) = found.unwrap_or((0, now.0));
        let seconds = u64::try_from(now.0.saturating_sub(since)).unwrap_or_default() / 1_000_000;
        Ok(Failing { failures: u32::try_from(times).unwrap_or(u32::MAX), seconds })
    }

    fn note_set_aside(&mut self, of: i64) -> Result<(), StorageError> {
        self.begin_write()?;
        let sql = "UPDATE inbound_message SET set_aside = 1 WHERE number = ?";
        execute(self.resource_connection(), sql, &[Value::Integer(of)])?;
        Ok(())
    }

    fn take_over(&mut self, from: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.begin_write()?;
        let now = self.now();
        let sql = "INSERT INTO inbound_message (sender, at, message) VALUES (?, ?, ?)";
        let values = [Value::Text(from), Value::Integer(now.0), Value::Blob(bytes)];
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
                .filter(sender.eq(from).and(answer.is_null()).and(set_aside.eq(0)))
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

    fn failed<'a>(&'a self, of: i64, reason: &'a str) -> BoxFuture<'a, Result<Failing, Issue>> {
        let reason = reason.to_owned();
        self.write(move |unit| Ok(unit.note_failure(of, &reason)?)).boxed()
    }

    fn set_aside(&self, of: i64) -> BoxFuture<'_, Result<(), Issue>> {
        self.write(move |unit| Ok(unit.note_set_aside(of)?)).boxed()
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
                .filter(answer.is_null().and(set_aside.eq(0)))
                .select(sender)
                .distinct()
                .load::<String>(connection)
        });
        std::future::ready(found).boxed()
    }
}
