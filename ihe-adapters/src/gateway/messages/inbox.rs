//! The messages that were taken over and are not performed yet (enhanced
//! mode), and the acknowledgements that could not be sent yet: durable, by
//! sender, in their order.
//!
//! One that fails again and again by the fault of this server holds up its sender for as
//! long as [`Patience`] says, and is then set aside: so order is given up for that message
//! alone, and only by an outage that lasts. It is performed when an operator says so, before
//! what waits by then; what it tells of a patient who was told of later changes nothing,
//! by the time of its event. Nobody is answered before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use fhir_model::outcome::Issue;
use futures_util::future::BoxFuture;

/// A message in the queue of its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its place: messages of a sender are performed in this order.
    pub number: i64,
    /// The message as it came.
    pub message: Bytes,
}

/// How a message fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// How often it was tried in vain, each time several times in a row.
    pub failures: u32,
    /// Seconds since the first of them.
    pub seconds: u64,
}

/// When a message is set aside that fails by the fault of this server: after so many
/// failures, and so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often it is tried, each time several times in a row.
    pub failures_max: u32,
    /// Seconds for which it is.
    pub seconds_max: u64,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { failures_max: 3, seconds_max: 900 }
    }
}

impl Patience {
    /// Tells whether a message that fails is set aside.
    pub(super) fn sets_aside(self, failing: Failing) -> bool {
        failing.failures >= self.failures_max && failing.seconds >= self.seconds_max
    }
}

/// Keeps messages until they are performed. Each is durable when it says so.
pub trait Inbox: Send + Sync {
    /// Takes a message over, at the end of the queue of its sender.
    fn take<'a>(&'a self, sender: &'a str, message: Bytes) -> BoxFuture<'a, Result<(), Issue>>;

    /// Returns the first message of a sender that is not performed, nor set aside.
    fn next<'a>(&'a self, sender: &'a str) -> BoxFuture<'a, Result<Option<Queued>, Issue>>;

    /// Notes that a message was performed. `answer`: what waits to be sent to
    /// its sender; `None` takes the message out of the queue.
    fn performed(&self, number: i64, answer: Option<Bytes>) -> BoxFuture<'_, Result<(), Issue>>;

    /// Notes that a message could not be performed once more, and why; tells since when, and
    /// how often.
    fn failed<'a>(&'a self, number: i64, why: &'a str) -> BoxFuture<'a, Result<Failing, Issue>>;

    /// Sets a message aside: it is kept, and those behind it go on.
    fn set_aside(&self, number: i64) -> BoxFuture<'_, Result<(), Issue>>;

    /// Returns what waits to be sent to a sender, in order.
    fn answers<'a>(&'a self, sender: &'a str) -> BoxFuture<'a, Result<Vec<Queued>, Issue>>;

    /// Returns the senders of whom messages are neither performed nor set aside.
    fn senders(&self) -> BoxFuture<'_, Result<Vec<String>, Issue>>;
}

/// Lets one at a time work on what a sender sent.
#[derive(Debug, Clone, Default)]
pub(in crate::gateway) struct Turns(Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>);

impl Turns {
    /// Returns what is held by whom works on what a sender sent.
    pub(in crate::gateway) fn of(&self, sender: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody holds are made anew.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(sender.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_set_aside_when_both_are_over() {
        let patience = Patience { failures_max: 3, seconds_max: 60 };
        for (failures, seconds, expected) in [(2, 600, false), (3, 59, false), (3, 60, true), (9, 900, true)]
        {
            assert_eq!(patience.sets_aside(Failing { failures, seconds }), expected, "{failures} {seconds}");
        }
    }
}
