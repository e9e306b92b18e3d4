//! Systems that are told by HL7 v2 of what changes here.
//!
//! What a change means for one is decided when it is queued, so that the message
//! is the same however often it is sent. Messages to a subscriber go in one lane:
//! one after the other, each once the one before was acknowledged or refused.
//!
//! What else a subscriber may be told, by whichever wire, is another [`Topic`].
//!
//! Spec: ITI TF-2 3.10, HL7 v2.5 section 2.9.2

use std::sync::Arc;

use fhir_model::interaction::{Body, Caller, FhirApi, Interaction, ResourceKey, VersionId, VreadRequest};
use fhir_model::json;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::Resource;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::atna::Recorder;
use crate::atna::event::{Happened, Objects, Part, audit_event};
use crate::atna::participants::{Outcome, ended};
use crate::fhir_client::Fhir;
use crate::outbox::{Change, Destination, Failure, Message};
use crate::pix::PatientIndex;
use crate::pix::domains::Domains;
use crate::pix::update_notification::{Changed, Envelope, notification, updates};
use crate::wire::hl7v2::message::Message as Hl7v2;
use crate::wire::hl7v2::problem::Condition;

/// The media type of messages.
const CONTENT_TYPE: &str = "application/hl7-v2";
/// MSH-10 has so many characters up to version 2.6.
const CONTROL_ID: usize = 20;

/// What a subscriber is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Which identifiers are of one person (ITI-10).
    Pix,
}

impl Topic {
    /// Returns the types whose changes it is about.
    fn types(self) -> &'static [TypeId] {
        match self {
            Topic::Pix => &[ty::PATIENT],
        }
    }

    /// Returns the transaction, as it is recorded.
    fn transaction(self) -> &'static str {
        match self {
            Topic::Pix => "ITI-10",
        }
    }
}

/// Sends a message and waits for its acknowledgement.
pub trait Exchange: Send + Sync {
    /// Sends a message; returns the bytes of what answers it.
    ///
    /// # Errors
    /// When it cannot be sent, or is not answered.
    fn exchange<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Failure>>;
}

/// Who is told, and of what.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// By which it is known here; it stays, whatever becomes of the address.
    pub name: String,
    /// Where messages are sent to, as it is recorded.
    pub address: String,
    /// Of what it is told.
    pub topic: Topic,
    /// The systems of the identifiers that it is interested in; none for all.
    pub interesting: Vec<String>,
    /// MSH-3, MSH-4.
    pub sender: [String; 2],
    /// MSH-5, MSH-6.
    pub receiver: [String; 2],
}

/// A subscriber.
pub struct Subscriber {
    /// Who it is.
    pub subscription: Subscription,
    /// Has what it is told of.
    pub api: Arc<dyn FhirApi>,
    /// On whose behalf that is read.
    pub caller: Caller,
    /// Who assigns identifiers.
    pub domains: Arc<Domains>,
    /// Who records what is told, if anybody does.
    pub recorder: Option<Recorder>,
    /// How it is reached.
    pub exchange: Arc<dyn Exchange>,
}

impl Destination for Subscriber {
    fn name(&self) -> &str {
        &self.subscription.name
    }

    fn types(&self) -> &[TypeId] {
        self.subscription.topic.types()
    }

    fn messages<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Vec<Message>, Issue>> {
        match self.subscription.topic {
            Topic::Pix => self.updates(change).boxed(),
        }
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            let sent = self.exchange.exchange(&message.body).await;
            let sent = sent.and_then(|answer| acknowledged(&message.id, &answer));
            self.record(message, sent.as_ref().err()).await;
            sent
        }
        .boxed()
    }

    fn given_up<'a>(&'a self, _: &'a Message, _: &'a Failure) -> BoxFuture<'a, Result<(), Issue>> {
        // It was recorded when it failed; operators find it in the outbox.
        async { Ok(()) }.boxed()
    }
}

impl Subscriber {
    /// Returns the notifications that a change of a Patient means.
    async fn updates(&self, change: &Change) -> Result<Vec<Message>, Issue> {
        let Subscription { name, topic, interesting, sender, receiver, .. } = &self.subscription;
        let before = self.before(&change.key, change.version).await?;
        let changed = Changed {
            id: change.key.id.as_str(),
            before: before.as_ref().map(Resource::root),
            after: change.resource.as_ref().map(Resource::root),
        };
        let fhir = Fhir { api: &*self.api, caller: &self.caller };
        let index = PatientIndex { fhir, domains: &self.domains, recording: None };
        let updates = updates(&index, &changed, interesting).await?;
        let at = change.resource.as_ref().and_then(stored_at).unwrap_or_else(Timestamp::now);
        let cause =
            format!("{}/{}/_history/{}", change.key.resource_type.name(), changed.id, change.version.0);
        let messages = updates.iter().enumerate().map(|(number, identifiers)| {
            let id = control_id(name, &format!("{cause}#{number}"));
            let envelope = Envelope {
                sender: [&sender[0], &sender[1]],
                receiver: [&receiver[0], &receiver[1]],
                control_id: &id,
                at,
            };
            let body = notification(identifiers, &envelope, &self.domains).to_bytes();
            let (kind, content_type) = (topic.transaction().to_owned(), CONTENT_TYPE.to_owned());
            Message { id: id.clone(), lane: name.clone(), kind, cause: cause.clone(), content_type, body }
        });
        Ok(messages.collect())
    }

    /// Returns the version before one; `None` when there is none any more.
    async fn before(&self, key: &ResourceKey, version: VersionId) -> Result<Option<Resource>, Issue> {
        if version.0 <= 1 {
            return Ok(None);
        }
        let request = VreadRequest { key: key.clone(), version: Some(VersionId(version.0 - 1)) };
        match self.api.perform(&self.caller, Interaction::Vread(request)).await {
            Ok(performed) => match performed.body {
                Body::Json(bytes) => json::read(bytes).map(Some).map_err(Issue::from),
                Body::Empty => Ok(None),
            },
            Err(issue) if matches!(issue.code, IssueType::NotFound | IssueType::Deleted) => Ok(None),
            Err(issue) => Err(issue),
        }
    }

    /// Records that something was told, or was not taken.
    async fn record(&self, message: &Message, failure: Option<&Failure>) {
        // Nobody was told anything where nobody was reached.
        let (Some(recorder), false) = (&self.recorder, matches!(failure, Some(Failure::Unavailable(_))))
        else {
            return;
        };
        let sender = self.subscription.sender.join("|");
        let happened = Happened {
            part: Part::Asks,
            transaction: self.subscription.topic.transaction(),
            at: Timestamp::now(),
            sender: Some(&sender),
            sender_address: None,
            sender_node: None,
            receiver: &self.subscription.address,
            user: None,
        };
        let objects = Objects { patients: patients(&message.body), ..Objects::default() };
        let mut event = audit_event(&happened, &objects, &[], recorder);
        if let Some(failure) = failure {
            ended(&mut event, Outcome::MinorFailure, Some(&failure.to_string()));
        }
        let fhir = Fhir { api: &*self.api, caller: &self.caller };
        if let Err(issue) = fhir.create(&event).await {
            tracing::error!(why = issue.diagnostics, "it cannot be recorded that a subscriber was told");
        }
    }
}

/// Returns when a version was stored.
fn stored_at(resource: &Resource) -> Option<Timestamp> {
    resource.root().child(name::META)?.text_of(name::LAST_UPDATED)?.parse().ok()
}

/// Makes MSH-10 of a cause: the same whenever it is made.
fn control_id(subscriber: &str, cause: &str) -> String {
    let id = Message::id_of(subscriber, cause);
    id.chars().filter(|c| *c != '-').take(CONTROL_ID).collect()
}

/// Returns the identifiers of the patient of a message, as `id^^^&oid&ISO`.
fn patients(message: &[u8]) -> Vec<String> {
    let Ok(message) = Hl7v2::read(message) else { return Vec::new() };
    let Some(patient) = message.segment("PID") else { return Vec::new() };
    let repetitions = patient.part(3).repetitions().map(|of| {
        let authority = of.component(4);
        let oid = authority.subcomponent(2).text();
        format!("{}^^^&{oid}&{}", of.component(1).text(), authority.subcomponent(3).text())
    });
    repetitions.collect()
}

/// Tells what an answer says of the message of an id.
fn acknowledged(id: &str, answer: &[u8]) -> Result<(), Failure> {
    let unanswered = |why: &str| Err(Failure::Unanswered(why.to_owned()));
    let Ok(answer) = Hl7v2::read(answer) else { return unanswered("what answers is no message of HL7 v2") };
    if answer.value("MSA", 2, 1).as_deref() != Some(id) {
        return unanswered("another message was acknowledged");
    }
    let code = answer.value("MSA", 1, 1).unwrap_or_default();
    let condition = answer.value("ERR", 3, 1).unwrap_or_default();
    match code.as_str() {
        "AA" | "CA" => Ok(()),
        // It is the receiver, and not the message.
        "AR" | "CR" if [Condition::Locked, Condition::Internal].iter().any(|of| of.code() == condition) => {
            Err(Failure::Unanswered(format!("the receiver cannot take it now: {code} {condition}")))
        }
        "AE" | "AR" | "CE" | "CR" => {
            Err(Failure::Refused(format!("it was refused: {code} {condition}").trim_end().to_owned()))
        }
        _ => unanswered("what answers is no acknowledgement"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_became_of_a_message() {
        let answer = |rest: &str| format!("MSH|^~\\&|LIS|H||R|||ACK|9|P|2.5\r{rest}").into_bytes();
        for (rest, expected) in [
            ("MSA|AA|42\r", Ok(())),
            ("MSA|CA|42\r", Ok(())),
            ("MSA|AA|43\r", Err(false)),
            ("MSA|AE|42\rERR||PID^1^3|204\r", Err(true)),
            ("MSA|AR|42\rERR||MSH^1^9|200\r", Err(true)),
            ("MSA|AR|42\r", Err(true)),
            ("MSA|AR|42\rERR|||207\r", Err(false)),
            ("MSA|XX|42\r", Err(false)),
            ("", Err(false)),
        ] {
            let told = acknowledged("42", &answer(rest));
            let told = told.map_err(|failure| matches!(failure, Failure::Refused(_)));
            assert_eq!(told, expected, "{rest}");
        }
        assert!(matches!(acknowledged("42", b"HTTP/1.1 400"), Err(Failure::Unanswered(_))));
    }

    #[test]
    fn the_id_of_a_message_stays() {
        let id = control_id("LIS", "Patient/1/_history/2#0");
        assert_eq!(id, control_id("LIS", "Patient/1/_history/2#0"));
        assert_ne!(id, control_id("LIS", "Patient/1/_history/2#1"));
        assert_eq!(id.len(), CONTROL_ID);
    }

    #[test]
    fn patients_are_recorded_by_their_identifiers() {
        let message = b"MSH|^~\\&|A|B|C|D|||ADT^A31|1|P|2.5\rPID|||1^^^A&1.2&ISO^PI~2^^^B&1.3&ISO|| \r";
        assert_eq!(patients(message), ["1^^^&1.2&ISO", "2^^^&1.3&ISO"]);
    }
}
