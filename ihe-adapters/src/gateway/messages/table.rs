//! What messages there are, and what performs them: a row each.

use crate::pdq::{patient_demographics_and_visit_query, patient_demographics_query};
use crate::pix::{PatientIndex, pix_query};
use crate::wire::hl7v2::acknowledgement::{Acknowledging, Code, acknowledge};
use crate::wire::hl7v2::location::Location;
use crate::wire::hl7v2::message::Message;
use crate::wire::hl7v2::problem::{Condition, Problem};
use crate::wire::hl7v2::query::{Rejected, Response, cancelled};

/// A kind of message.
#[derive(Debug)]
pub(super) struct Row {
    /// The message code (MSH-9.1).
    pub(super) message: &'static str,
    /// The trigger events (MSH-9.2).
    pub(super) events: &'static [&'static str],
    /// The transaction, as it is recorded.
    pub(super) transaction: &'static str,
    /// What performs it.
    pub(super) performs: Performs,
}

/// What performs a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Performs {
    /// It tells something, which is stored.
    Feed,
    /// It asks.
    Query(Query),
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Query {
    /// By which identifiers a patient is known (ITI-9).
    Identifiers,
    /// Who is called so (ITI-21).
    Demographics,
    /// Who is called so, and visits (ITI-22).
    Visits,
    /// That no more is wanted of a query (QCN^J01).
    Cancel,
}

const fn feed(message: &'static str, events: &'static [&'static str], transaction: &'static str) -> Row {
    Row { message, events, transaction, performs: Performs::Feed }
}

const fn query(events: &'static [&'static str], transaction: &'static str, query: Query) -> Row {
    Row { message: "QBP", events, transaction, performs: Performs::Query(query) }
}

const TABLE: &[Row] = &[
    feed("ADT", &["A24", "A28", "A31", "A37", "A40", "A43", "A45", "A47"], "ITI-30"),
    feed(
        "ADT",
        &["A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A09", "A10", "A11", "A12", "A13"],
        "ITI-31",
    ),
    feed("ORU", &["R01"], "LAB-3"),
    feed("OML", &["O21"], "LAB-1"),
    feed("ORM", &["O01"], "RAD-2"),
    feed("OMG", &["O19"], "RAD-4"),
    feed("OMI", &["O23"], "RAD-4"),
    feed("MDM", &["T02", "T04", "T06", "T08", "T10", "T11"], "MDM"),
    feed(
        "SIU",
        &["S12", "S13", "S14", "S15", "S16", "S17", "S18", "S19", "S20", "S21", "S22", "S23", "S24", "S26"],
        "RAD-48",
    ),
    feed("VXU", &["V04"], "VXU"),
    feed("RDE", &["O11", "O25"], "RDE"),
    feed("OMP", &["O09"], "RDE"),
    feed("RAS", &["O17"], "RAS"),
    query(&["Q23"], "ITI-9", Query::Identifiers),
    query(&["Q22"], "ITI-21", Query::Demographics),
    query(&["ZV1"], "ITI-22", Query::Visits),
    Row { message: "QCN", events: &["J01"], transaction: "ITI-21", performs: Performs::Query(Query::Cancel) },
];

/// Returns the row of a message.
///
/// # Errors
/// When messages of this type, or with this event, are not taken.
pub(super) fn row(message: &str, event: &str) -> Result<&'static Row, Problem> {
    let mut of_message = TABLE.iter().filter(|row| row.message == message).peekable();
    if of_message.peek().is_none() {
        let text = "messages of this type are not taken";
        return Err(Problem::error(Condition::MessageType, text).at(Location::component("MSH", 9, 1)));
    }
    of_message.find(|row| row.events.contains(&event)).ok_or_else(|| {
        Problem::error(Condition::EventCode, "this event is not taken").at(Location::component("MSH", 9, 2))
    })
}

impl Query {
    /// Answers a query.
    pub(super) async fn answer(
        self,
        index: &PatientIndex<'_>,
        message: &Message,
        acknowledging: &Acknowledging<'_>,
    ) -> (Code, Message) {
        let answered: Result<Response, Rejected> = match self {
            Query::Identifiers => pix_query::answer(index, message).await,
            Query::Demographics => patient_demographics_query::answer(index, message).await,
            Query::Visits => patient_demographics_and_visit_query::answer(index, message).await,
            Query::Cancel => return cancel(message, acknowledging),
        };
        match answered {
            Ok(response) => (response.code(), response.message(message, acknowledging)),
            Err(rejected) => (Code::ApplicationReject, rejected.acknowledge(message, acknowledging)),
        }
    }
}

/// Ends a query: nothing is kept of it between its answers.
fn cancel(message: &Message, acknowledging: &Acknowledging<'_>) -> (Code, Message) {
    let problems: Vec<Problem> = cancelled(message).err().into_iter().collect();
    let code = if problems.is_empty() { Code::ApplicationAccept } else { Code::ApplicationError };
    (code, acknowledge(message, acknowledging, code, &problems))
}

/// Returns the transactions of all messages.
#[cfg(test)]
pub(crate) fn message_transactions() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.transaction)
}
