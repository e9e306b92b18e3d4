//! What is stored of messages that have to reach somebody else.

use diesel::prelude::*;
use ihe_adapters::outbox::Message;

use super::error::StorageError;
use super::read::Reads;
use super::schema::outbox;
use super::sql::{Value, execute};
use super::write::WriteUnit;

/// A message that waits to be sent, without what stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the order in which messages were queued.
    pub position: i64,
    /// Those of a lane are sent one after the other.
    pub lane: String,
}

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessage {
    /// Its place in the order in which messages were queued.
    pub position: i64,
    /// To whom it goes.
    pub destination: String,
    /// The message.
    pub message: Message,
    /// When it was queued, in microseconds since 1970.
    pub queued: i64,
    /// How often it was sent in vain.
    pub tries: u32,
    /// Since when it fails, in microseconds since 1970; 0 for not.
    pub failing: i64,
    /// Whether it is not sent any more.
    pub is_given_up: bool,
    /// Why it failed last; empty for not.
    pub why: String,
}

type Row = (i64, String, String, String, String, String, String, Vec<u8>, i64, i64, i64, i32, String);

fn queued(row: Row) -> QueuedMessage {
    let (
        position,
        id,
        destination,
        lane,
        kind,
        cause,
        content_type,
        body,
        queued,
        tries,
        failing,
        given_up,
        why,
    ) = row;
    QueuedMessage {
        position,
        destination,
        message: Message { id, lane, kind, cause, content_type, body },
        queued,
        tries: u32::try_from(tries).unwrap_or(u32::MAX),
        failing,
        is_given_up: given_up != 0,
        why,
    }
}

/// Returns the messages to a destination that wait after a position, in their order.
///
/// # Errors
/// When the database fails.
pub fn waiting_messages(
    data: &mut impl Reads,
    destination: &str,
    after: i64,
    limit: usize,
) -> Result<Vec<Waiting>, StorageError> {
    let rows: Vec<(i64, String)> = outbox::table
        .filter(
            outbox::destination.eq(destination).and(outbox::given_up.eq(0)).and(outbox::position.gt(after)),
        )
        .order(outbox::position)
        .limit(limit as i64)
        .select((outbox::position, outbox::lane))
        .load(data.resource_connection())?;
    Ok(rows.into_iter().map(|(position, lane)| Waiting { position, lane }).collect())
}

/// Returns messages after a position, in their order, whatever became of them.
///
/// # Errors
/// When the database fails.
pub fn queued_messages(
    data: &mut impl Reads,
    after: i64,
    limit: usize,
) -> Result<Vec<QueuedMessage>, StorageError> {
    let rows: Vec<Row> = outbox::table
        .filter(outbox::position.gt(after))
        .order(outbox::position)
        .limit(limit as i64)
        .load(data.resource_connection())?;
    Ok(rows.into_iter().map(queued).collect())
}

/// Returns a message by its position.
///
/// # Errors
/// When the database fails.
pub fn queued_message(data: &mut impl Reads, position: i64) -> Result<Option<QueuedMessage>, StorageError> {
    let row: Option<Row> = outbox::table
        .filter(outbox::position.eq(position))
        .get_result(data.resource_connection())
        .optional()?;
    Ok(row.map(queued))
}

/// Returns how many messages wait, how many were given up, and when the first of those that wait
/// was queued, of a destination.
///
/// # Errors
/// When the database fails.
pub fn queue_lengths(
    data: &mut impl Reads,
    destination: &str,
) -> Result<(i64, i64, Option<i64>), StorageError> {
    let of = |given_up: i32| outbox::destination.eq(destination).and(outbox::given_up.eq(given_up));
    let waiting = outbox::table.filter(of(0)).count().get_result(data.resource_connection())?;
    let given_up = outbox::table.filter(of(1)).count().get_result(data.resource_connection())?;
    let first = outbox::table.filter(of(0)).order(outbox::position).limit(1).select(outbox::queued);
    let first = first.get_result(data.resource_connection()).optional()?;
    Ok((waiting, given_up, first))
}

impl WriteUnit<'_> {
    /// Queues a message, unless one of its id is there already. Tells whether it was queued.
    ///
    /// # Errors
    /// When the database fails.
    pub fn queue_message(&mut self, destination: &str, message: &Message) -> Result<bool, StorageError> {
        self.begin_write()?;
        let now = self.now();
        let sql = "INSERT OR IGNORE INTO outbox (id, destination, lane, kind, cause, content_type, body, queued, \
                   tries, failing, given_up, why) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, '')";
        let values = [
            Value::Text(&message.id),
            Value::Text(destination),
            Value::Text(&message.lane),
            Value::Text(&message.kind),
            Value::Text(&message.cause),
            Value::Text(&message.content_type),
            Value::Blob(&message.body),
            Value::Integer(now.0),
        ];
        Ok(execute(self.resource_connection(), sql, &values)? > 0)
    }

    /// Notes that a message failed: since when, how often by now, and why.
    ///
    /// # Errors
    /// When the database fails.
    pub fn message_failed(
        &mut self,
        position: i64,
        (failing, tries): (i64, u32),
        why: &str,
    ) -> Result<(), StorageError> {
        self.begin_write()?;
        let sql = "UPDATE outbox SET failing = ?, tries = ?, why = ? WHERE position = ?";
        let values = [
            Value::Integer(failing),
            Value::Integer(tries.into()),
            Value::Text(why),
            Value::Integer(position),
        ];
        execute(self.resource_connection(), sql, &values)?;
        Ok(())
    }

    /// Notes that a message is not sent any more, and why.
    ///
    /// # Errors
    /// When the database fails.
    pub fn give_message_up(&mut self, position: i64, tries: u32, why: &str) -> Result<(), StorageError> {
        self.begin_write()?;
        let sql = "UPDATE outbox SET given_up = 1, tries = ?, why = ? WHERE position = ?";
        let values = [Value::Integer(tries.into()), Value::Text(why), Value::Integer(position)];
        execute(self.resource_connection(), sql, &values)?;
        Ok(())
    }

    /// Queues a message that was given up anew, with its id, behind all others. Tells whether it was.
    ///
    /// # Errors
    /// When the database fails.
    pub fn retry_message(&mut self, position: i64) -> Result<bool, StorageError> {
        let Some(queued) = queued_message(self, position)?.filter(|queued| queued.is_given_up) else {
            return Ok(false);
        };
        self.remove_message(position)?;
        self.queue_message(&queued.destination, &queued.message)
    }

    /// Takes a message out: it was taken, or nobody wants it sent. Tells whether it was there.
    ///
    /// # Errors
    /// When the database fails.
    pub fn remove_message(&mut self, position: i64) -> Result<bool, StorageError> {
        self.begin_write()?;
        let sql = "DELETE FROM outbox WHERE position = ?";
        Ok(execute(self.resource_connection(), sql, &[Value::Integer(position)])? > 0)
    }
}
