//! Systems that are told by HL7 v2 of what changes here.
//!
//! What a change means for one is decided when it is queued, so that the message
//! is the same however often it is sent. Messages to a subscriber go in one lane:
//! one after the other, each once the one before was acknowledged or refused.
//! Nobody is told what he told himself: the versions that came of his messages say so
//! ([`crate::source`]).
//!
//! What else a subscriber may be told, by whichever wire, is another [`Topic`]:
//!
//! - `identifiers`: which identifiers are of one person (ITI-10).
//! - `admissions`: patients and visits (ADT).
//! - `results`: reports with what was observed (ORU).
//! - `at_hand`: what resources refer to, where messages tell of it.
//!
//! Spec: ITI TF-2 3.10, 3.30, 3.31, HL7 v2.5 section 2.9.2

mod admissions;
mod at_hand;
mod identifiers;
mod results;

pub(crate) use identifiers::updated;

use std::sync::Arc;

use fhir_model::interaction::{Body, Caller, FhirApi, Interaction, ResourceKey, VersionId, VreadRequest};
use fhir_model::json;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::reference::Literal;
use fhir_model::schema::{TypeId, ty};
use fhir_model::tree::Resource;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::atna::Recorder;
use crate::atna::event::{Happened, Objects, Part, audit_event};
use crate::atna::participants::{Outcome, ended};
use crate::fhir_client::Fhir;
use crate::hl7v2::from_fhir::Envelope;
use crate::outbox::{Change, Destination, Failure, Message};
use crate::pix::domains::Domains;
use crate::pix::told::as_value;
use crate::source;
use crate::wire::hl7v2::message::{Message as Hl7v2, MessageError};
use crate::wire::hl7v2::problem::Condition;

/// The media type of messages.
const CONTENT_TYPE: &str = "application/hl7-v2";
/// MSH-10 has so many characters up to version 2.6.
const CONTROL_ID: usize = 20;

/// What a subscriber is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Which identifiers are of one person (ITI-10).
    Identifiers,
    /// Patients and visits (ADT).
    Admissions,
    /// Reports (ORU).
    Results,
}

/// Topics, and the types whose changes they are about.
const TYPES: &[(&[Topic], &[TypeId])] = &[
    (&[Topic::Identifiers], &[ty::PATIENT]),
    (&[Topic::Admissions], &[ty::PATIENT, ty::ENCOUNTER]),
    (&[Topic::Results], &[ty::DIAGNOSTIC_REPORT, ty::OBSERVATION]),
    (
        &[Topic::Admissions, Topic::Results],
        &[ty::PATIENT, ty::ENCOUNTER, ty::DIAGNOSTIC_REPORT, ty::OBSERVATION],
    ),
];

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
    /// Of what it is told, in one order: a row of those that go together.
    pub topics: &'static [Topic],
    /// The systems of the identifiers that it is interested in; none for all.
    pub interesting: Vec<String>,
    /// As which sources it tells something itself ([`crate::source`]).
    pub sources: Vec<String>,
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

/// A change, as topics look at it.
struct Seen<'c> {
    change: &'c Change,
    /// The version before, where there is one.
    before: Option<Json>,
    /// The version; `None` when it was deleted.
    after: Option<Json>,
}

/// A message that a change means.
struct Telling {
    /// The transaction, as it is recorded.
    transaction: &'static str,
    message: Hl7v2,
}

impl Destination for Subscriber {
    fn name(&self) -> &str {
        &self.subscription.name
    }

    fn types(&self) -> &[TypeId] {
        let row = TYPES.iter().find(|(topics, _)| *topics == self.subscription.topics);
        row.map_or(&[], |(_, types)| types)
    }

    fn messages<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Vec<Message>, Issue>> {
        async move {
            let before = version_before(self.fhir(), &change.key, change.version).await?;
            let told = match self.subscription.topics {
                [Topic::Identifiers] => self.updates(change, before.as_ref()).await?,
                _ => self.told(change, before.as_ref()).await?,
            };
            let cause = cause(change);
            let messages = told.into_iter().enumerate().map(|(number, telling)| Message {
                id: control_id(&self.subscription.name, &format!("{cause}#{number}")),
                lane: self.subscription.name.clone(),
                kind: telling.transaction.to_owned(),
                cause: cause.clone(),
                content_type: CONTENT_TYPE.to_owned(),
                body: telling.message.to_bytes(),
            });
            Ok(messages.collect())
        }
        .boxed()
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
    fn fhir(&self) -> Fhir<'_> {
        Fhir { api: &*self.api, caller: &self.caller }
    }

    /// Returns what is told of a change that the subscriber did not tell itself.
    async fn told(&self, change: &Change, before: Option<&Resource>) -> Result<Vec<Telling>, Issue> {
        let before = before.map(as_value).transpose()?;
        let after = change.resource.as_ref().map(as_value).transpose()?;
        let sources = &self.subscription.sources;
        if after.as_ref().is_some_and(|after| source::is_told_by(before.as_ref(), after, sources)) {
            return Ok(Vec::new());
        }
        let seen = Seen { change, before, after };
        match change.key.resource_type {
            ty::PATIENT => self.admission_of_patient(&seen).await,
            ty::ENCOUNTER => self.admission_of_visit(&seen).await,
            _ => self.results(&seen).await,
        }
    }

    /// Returns from whom to whom the message of a number is that a change means.
    fn envelope(&self, seen: &Seen<'_>, number: usize) -> Envelope {
        let Subscription { name, sender, receiver, .. } = &self.subscription;
        let [sending_application, sending_facility] = sender.clone();
        let [receiving_application, receiving_facility] = receiver.clone();
        let control_id = control_id(name, &format!("{}#{number}", cause(seen.change)));
        let stored =
            seen.after.as_ref().and_then(|after| after["meta"]["lastUpdated"].as_str()?.parse().ok());
        let at: Timestamp = stored.unwrap_or_else(Timestamp::now);
        let at = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Envelope {
            sending_application,
            sending_facility,
            receiving_application,
            receiving_facility,
            control_id,
            at,
        }
    }

    /// Reads what a reference leads to here; `None` when it is of another type, or not there.
    async fn read(&self, of: TypeId, reference: &str) -> Result<Option<Json>, Issue> {
        let Some(literal) = Literal::parse(reference) else { return Ok(None) };
        let is_here = literal.base.is_none_or(|base| base == self.caller.base);
        if !is_here || literal.key.resource_type != of {
            return Ok(None);
        }
        self.fhir().read(of, literal.key.id.as_str()).await?.as_ref().map(as_value).transpose()
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
            transaction: &message.kind,
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
        if let Err(issue) = self.fhir().create(&event).await {
            tracing::error!(why = issue.diagnostics, "it cannot be recorded that a subscriber was told");
        }
    }
}

/// Returns the version before one; `None` when there is none any more.
pub(crate) async fn version_before(
    fhir: Fhir<'_>,
    key: &ResourceKey,
    version: VersionId,
) -> Result<Option<Resource>, Issue> {
    if version.0 <= 1 {
        return Ok(None);
    }
    let request = VreadRequest { key: key.clone(), version: Some(VersionId(version.0 - 1)) };
    match fhir.api.perform(fhir.caller, Interaction::Vread(request)).await {
        Ok(performed) => match performed.body {
            Body::Json(bytes) => json::read(bytes).map(Some).map_err(Issue::from),
            Body::Empty => Ok(None),
        },
        Err(issue) if matches!(issue.code, IssueType::NotFound | IssueType::Deleted) => Ok(None),
        Err(issue) => Err(issue),
    }
}

/// Returns the version that a message comes of.
pub(crate) fn cause(change: &Change) -> String {
    format!("{}/{}/_history/{}", change.key.resource_type.name(), change.key.id.as_str(), change.version.0)
}

/// Returns what a message says, without who sends it when.
fn said(message: &Hl7v2) -> Vec<String> {
    let segments = message.all().filter(|segment| !["MSH", "EVN"].contains(&segment.name()));
    segments.map(|segment| segment.text().to_owned()).collect()
}

fn not_written(error: MessageError) -> Issue {
    Issue::fatal(IssueType::Exception).text(format!("what is told cannot be written: {error}"))
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
