//! Sends a message to a door of somebody else, and takes the answer in as it
//! arrives.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use super::incoming::{Incoming, Passing};
use super::{Arriving, Settings};
use crate::documents::Documents;
use crate::wire::mtom::Writer;
use crate::wire::namespaces::WSSE;
use crate::wire::soap::{Addressing, Envelope, Fault, Version};
use crate::wire::xml::{Element, Limits};
use crate::xds::repository::retrieve_document_set::clip;

/// Why there is no answer of somebody else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unanswered {
    /// It could not be reached.
    #[error("it cannot be reached")]
    Unreachable,
    /// It takes longer than one waits.
    #[error("it did not answer within {0} s")]
    TooSlow(u64),
    /// It answered, and not with a message.
    #[error("it answered with the HTTP status {0} and no message")]
    Status(u16),
    /// It cannot be recorded that it was asked.
    #[error("it cannot be recorded that it was asked; its answer is not passed on")]
    Unrecorded,
    /// It answered with a fault, or with what cannot be read.
    #[error("{0}")]
    Fault(String),
}

/// A message to somebody else.
pub(super) struct Outgoing<'m> {
    /// Where it goes to.
    pub(super) address: &'m str,
    /// What it is for.
    pub(super) action: &'static str,
    /// What stands in it.
    pub(super) body: Element,
    /// Whether it is of several parts, even without documents.
    pub(super) is_multipart: bool,
    /// The assertion about the user for whom it is sent, as it came.
    pub(super) assertion: Option<&'m str>,
}

/// Stands for an assertion, which must not be written anew.
const ASSERTION: &str = "the-assertion-as-it-came";
/// How long an answer is that only says how a message was taken.
const SHORT_BYTES_MAX: usize = 1 << 20;

impl Outgoing<'_> {
    /// Sends it, and waits for the answer.
    ///
    /// # Errors
    /// When there is none in time, or none that can be read.
    pub(super) async fn send(
        self,
        http: &reqwest::Client,
        documents: &Arc<dyn Documents>,
        settings: &Settings,
    ) -> Result<Incoming<Passing>, Unanswered> {
        let seconds = settings.answer_seconds_max;
        let address = self.address;
        let (content_type, bytes) = self.into_message();
        let sent = http.post(address).header("content-type", content_type).body(bytes).send();
        let sent = tokio::time::timeout(Duration::from_secs(seconds), sent).await;
        let answer = sent.map_err(|_| Unanswered::TooSlow(seconds))?.map_err(|e| not_sent(&e, seconds))?;
        let status = answer.status().as_u16();
        let (content_type, body) = arriving(answer);
        let received = Incoming::receive_to_pass_on(&content_type, body, documents, settings).await;
        let incoming = received.map_err(|fault| match status {
            200 => unreadable(&fault),
            _ => Unanswered::Status(status),
        })?;
        match Fault::of(&incoming.envelope) {
            Some(fault) => Err(told(&fault)),
            None => Ok(incoming),
        }
    }

    /// Sends it to somebody who only takes it.
    ///
    /// # Errors
    /// When it is not taken in time.
    pub(super) async fn tell(self, http: &reqwest::Client, patience: Duration) -> Result<(), Unanswered> {
        let seconds = patience.as_secs();
        let address = self.address;
        let (content_type, bytes) = self.into_message();
        let sent = http.post(address).header("content-type", content_type).body(bytes).send();
        let sent = tokio::time::timeout(patience, sent).await;
        let answer = sent.map_err(|_| Unanswered::TooSlow(seconds))?.map_err(|e| not_sent(&e, seconds))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(Unanswered::Status(status.as_u16())),
        }
    }

    /// Sends it to somebody whose answer is short, and returns what stands in that.
    ///
    /// # Errors
    /// When there is none in time, or none that can be read.
    pub(super) async fn ask(self, http: &reqwest::Client, patience: Duration) -> Result<Element, Unanswered> {
        let seconds = patience.as_secs();
        let address = self.address;
        let (content_type, bytes) = self.into_message();
        let asking = async {
            let sent = http.post(address).header("content-type", content_type).body(bytes).send();
            let mut answer = sent.await.map_err(|error| not_sent(&error, seconds))?;
            let mut bytes = Vec::new();
            while let Ok(Some(chunk)) = answer.chunk().await {
                if bytes.len() + chunk.len() > SHORT_BYTES_MAX {
                    break;
                }
                bytes.extend_from_slice(&chunk);
            }
            let envelope = Element::parse(&bytes, &Limits::default()).map_err(|error| error.to_string());
            let envelope = envelope.and_then(|root| Envelope::of(root).map_err(|fault| fault.reason));
            let envelope = envelope.map_err(|why| match answer.status().as_u16() {
                200 => Unanswered::Fault(format!("its answer cannot be read: {}", clip(&why))),
                status => Unanswered::Status(status),
            })?;
            Fault::of(&envelope).map_or(Ok(envelope.body), |fault| Err(told(&fault)))
        };
        tokio::time::timeout(patience, asking).await.unwrap_or(Err(Unanswered::TooSlow(seconds)))
    }

    /// Returns its media type and its bytes.
    fn into_message(self) -> (String, Vec<u8>) {
        let version = Version::Soap12;
        let mut headers = Addressing::default().answer(self.action);
        headers.extend(Addressing::to(self.address));
        headers.extend(self.assertion.map(|_| Element::new(WSSE, "Security").with_text(ASSERTION)));
        let mut xml = Envelope { version, headers, body: self.body }.into_element().to_xml();
        if let Some(assertion) = self.assertion {
            xml = xml.replacen(ASSERTION, assertion, 1);
        }
        if self.is_multipart {
            let writer = Writer::new(version);
            (writer.content_type(), [writer.root(&xml), writer.end()].concat())
        } else {
            let content_type = format!("{}; charset=UTF-8; action=\"{}\"", version.media_type(), self.action);
            (content_type, xml.into_bytes())
        }
    }
}

fn not_sent(error: &reqwest::Error, seconds: u64) -> Unanswered {
    if error.is_timeout() { Unanswered::TooSlow(seconds) } else { Unanswered::Unreachable }
}

/// Returns the media type of an answer of somebody else, and its bytes as they arrive.
pub(super) fn arriving(answer: reqwest::Response) -> (String, Arriving) {
    let content_type = answer.headers().get("content-type").and_then(|t| t.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let chunks = answer.bytes_stream();
    let chunks = chunks.map(|chunk| chunk.map_err(|_| "the answer did not arrive whole".to_owned()));
    (content_type, Box::pin(chunks))
}

fn unreadable(fault: &Fault) -> Unanswered {
    Unanswered::Fault(format!("its answer cannot be read: {}", clip(&fault.reason)))
}

fn told(fault: &Fault) -> Unanswered {
    Unanswered::Fault(format!("it answered with a fault: {}", clip(&fault.reason)))
}
