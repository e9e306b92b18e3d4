//! The messages that were taken over and are not performed yet (enhanced
//! mode), and the acknowledgements that could not be sent yet: durable, by
//! sender, in their order.

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

/// Keeps messages until they are performed. Each is durable when it says so.
pub trait Inbox: Send + Sync {
    /// Takes a message over, at the end of the queue of its sender.
    fn take<'a>(&'a self, sender: &'a str, message: Bytes) -> BoxFuture<'a, Result<(), Issue>>;

    /// Returns the first message of a sender that is not performed.
    fn next<'a>(&'a self, sender: &'a str) -> BoxFuture<'a, Result<Option<Queued>, Issue>>;

    /// Notes that a message was performed. `answer`: what waits to be sent to
    /// its sender; `None` takes the message out of the queue.
    fn performed(&self, number: i64, answer: Option<Bytes>) -> BoxFuture<'_, Result<(), Issue>>;

    /// Returns what waits to be sent to a sender, in order.
    fn answers<'a>(&'a self, sender: &'a str) -> BoxFuture<'a, Result<Vec<Queued>, Issue>>;

    /// Returns the senders of whom messages are not performed.
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
