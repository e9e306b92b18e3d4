//! What has to reach somebody else, as adapters see it: which messages a change
//! means for whom, how one is sent, and how sending it can fail.
//!
//! The queue itself, its order and its patience are the server's.

use fhir_model::interaction::{ResourceKey, VersionId};
use fhir_model::outcome::Issue;
use fhir_model::schema::TypeId;
use fhir_model::tree::Resource;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use uuid::Uuid;

/// A message for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// By which the receiver tells whether it had it before: the same however often it is sent.
    pub id: String,
    /// Messages of a lane are sent one after the other, in the order in which they were queued:
    /// the patient's place, mostly.
    pub lane: String,
    /// What it is for; a word for operators.
    pub kind: String,
    /// What it came of: `Task/7`.
    pub cause: String,
    /// The media type of its bytes.
    pub content_type: String,
    /// What is sent.
    pub body: Vec<u8>,
}

impl Message {
    /// Makes the id of the message to a destination that comes of a cause: whoever makes it
    /// again makes the same.
    pub fn id_of(destination: &str, cause: &str) -> String {
        let name = format!("urn:lanterna:outbox:{destination}:{cause}");
        Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string()
    }
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing was sent, or nothing can be taken now: says nothing of the message.
    #[error("{0}")]
    Unavailable(String),
    /// It was sent, and no answer came that says what became of it.
    #[error("{0}")]
    Unanswered(String),
    /// It was refused for what it is: sending it again would change nothing.
    #[error("{0}")]
    Refused(String),
}

/// A version that was stored.
#[derive(Debug, Clone)]
pub struct Change {
    /// Of which resource.
    pub key: ResourceKey,
    /// Which version.
    pub version: VersionId,
    /// When it was stored.
    pub at: Timestamp,
    /// The resource; `None` when it was deleted, or cannot be read any more.
    pub resource: Option<Resource>,
}

/// Somebody whom messages have to reach.
pub trait Destination: Send + Sync {
    /// Returns its name: a word that never changes.
    fn name(&self) -> &str;

    /// Returns the types whose changes may mean a message.
    fn types(&self) -> &[TypeId];

    /// Tells whether each lane leads to somebody else: that one is away says nothing of the others.
    fn reaches_several(&self) -> bool {
        false
    }

    /// Returns the messages that a change means. May be asked again for the same change, and
    /// then has to return messages of the same ids.
    ///
    /// # Errors
    /// When it cannot be told now; it is asked again.
    fn messages<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Vec<Message>, Issue>>;

    /// Sends a message, and does here what its being taken leads to. It may be called again for
    /// a message that was taken.
    ///
    /// # Errors
    /// Why it was not taken.
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), Failure>>;

    /// Is told that a message is not sent any more, before that is noted.
    ///
    /// # Errors
    /// When it cannot be told now; it is told again.
    fn given_up<'a>(&'a self, message: &'a Message, failure: &'a Failure)
    -> BoxFuture<'a, Result<(), Issue>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_to_whom_and_of_what() {
        let id = Message::id_of("ana", "Task/7");
        assert_eq!(id, Message::id_of("ana", "Task/7"));
        assert_ne!(id, Message::id_of("ini", "Task/7"));
        assert_ne!(id, Message::id_of("ana", "Task/8"));
    }
}
