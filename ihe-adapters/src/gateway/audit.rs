//! What is recorded of the messages of the doors.

use fhir_model::interaction::Caller;
use fhir_model::outcome::Issue;
use jiff::Timestamp;
use serde_json::Value;

use super::incoming::{Incoming, Passing};
use super::outgoing::{Outgoing, Unanswered};
use super::{Answer, Door, Gateway};
use crate::atna::Recorder;
use crate::atna::event::{Happened, Objects, Part, add_patients, audit_event, changes, not_authenticated};
use crate::atna::hl7v3::told_of;
use crate::atna::participants::{Outcome, ended};
use crate::fhir_client::Fhir;
use crate::outbox::{Failure, Message};
use crate::wire::ebrs::{Status, is_error};
use crate::wire::hl7v3::acknowledgement::acknowledged;
use crate::wire::namespaces::{HL7_V3, RS, WSNT};
use crate::wire::soap::{ANONYMOUS, Fault, FaultCode, ReplyTo};
use crate::wire::xml::Element;
use crate::xds::registry::{KnownPatients, Registry};
use crate::xds::values::Cx;

/// For how many patients of a message it is looked up who they are here.
const PATIENTS_MAX: usize = 20;

/// Messages that do something else than their transaction mostly does.
const ACTIONS: &[(&str, &str, &str)] =
    &[(WSNT, "Unsubscribe", "D"), (HL7_V3, "PRPA_IN201302UV02", "U"), (HL7_V3, "PRPA_IN201304UV02", "U")];

/// A message that came to a door.
pub(super) struct Received<'m> {
    pub(super) door: Door,
    pub(super) incoming: &'m Incoming,
    /// What it is for.
    pub(super) transaction: &'static str,
    pub(super) at: Timestamp,
    /// Where its patients are.
    pub(super) known_patients: &'m KnownPatients,
}

/// What somebody was told by the outbox.
pub(super) struct Told<'t> {
    /// The transaction, as it is recorded.
    pub(super) transaction: &'static str,
    /// Where it went to.
    pub(super) receiver: &'t str,
    /// The message.
    pub(super) message: &'t Message,
    /// What it is about.
    pub(super) objects: Objects,
}

impl Gateway {
    /// Makes the AuditEvent of a message that will have been performed; `None`
    /// when nothing is recorded.
    pub(super) async fn event(&self, caller: &Caller, received: &Received<'_>) -> Option<Value> {
        let recorder = self.settings.recorder.as_ref()?;
        let mut objects = Objects::of(&received.incoming.envelope.body);
        if let (Some((_, home, _)), "ITI-55") = (&mut objects.query, received.transaction) {
            *home = Some(self.home());
        }
        Some(self.event_of(caller, received, &objects, recorder).await)
    }

    /// Makes the AuditEvent of what a message does with some of its objects.
    pub(super) async fn event_of(
        &self,
        caller: &Caller,
        received: &Received<'_>,
        objects: &Objects,
        recorder: &Recorder,
    ) -> Value {
        let envelope = &received.incoming.envelope;
        let registry = Registry { known_patients: Some(received.known_patients), ..self.registry(caller) };
        let places = places(&registry, objects).await;
        let addressing = envelope.addressing();
        let sender = match &addressing.reply_to {
            ReplyTo::Address(address) => address.as_str(),
            ReplyTo::Anonymous | ReplyTo::None => ANONYMOUS,
        };
        let receiver = address_of(caller, received.door.path());
        let happened = Happened {
            part: Part::Asked,
            transaction: received.transaction,
            at: received.at,
            sender: Some(sender),
            sender_address: caller.address,
            sender_node: caller.node.as_deref(),
            receiver: &receiver,
            user: caller.user.as_deref(),
        };
        let mut event = audit_event(&happened, objects, &places, recorder);
        let action = ACTIONS.iter().find(|(namespace, local, _)| envelope.body.is(namespace, local));
        if let Some((_, _, action)) = action {
            event["action"] = (*action).into();
        }
        event
    }

    /// Asks another community, and records what it was asked and how that ended.
    ///
    /// # Errors
    /// When there is no answer, or it cannot be recorded that it was asked.
    pub(super) async fn ask_community(
        &self,
        caller: &Caller,
        transaction: &'static str,
        outgoing: Outgoing<'_>,
    ) -> Result<Incoming<Passing>, Unanswered> {
        let Some(recorder) = &self.settings.recorder else {
            return outgoing.send(&self.http, &self.documents, &self.settings).await;
        };
        let objects = Objects::of(&outgoing.body);
        let places = places(&self.registry(caller), &objects).await;
        let ours = address_of(caller, "");
        let happened = Happened {
            part: Part::Asks,
            transaction,
            at: Timestamp::now(),
            sender: Some(&ours),
            sender_address: None,
            sender_node: None,
            receiver: outgoing.address,
            user: caller.user.as_deref(),
        };
        let mut event = audit_event(&happened, &objects, &places, recorder);
        let answer = outgoing.send(&self.http, &self.documents, &self.settings).await;
        let (outcome, why) = match &answer {
            Ok(incoming) => outcome_of(&incoming.envelope.body),
            Err(why) => (Outcome::SeriousFailure, Some(why.to_string())),
        };
        ended(&mut event, outcome, why.as_deref());
        match self.store(caller, &event).await {
            Ok(()) => answer,
            Err(_) => answer.and(Err(Unanswered::Unrecorded)),
        }
    }

    /// Records that somebody was told something by the outbox, or did not take it.
    pub(super) async fn record_told(&self, caller: &Caller, told: Told<'_>, failure: Option<&Failure>) {
        // Nobody was told anything where nobody was reached.
        let (Some(recorder), false) =
            (&self.settings.recorder, matches!(failure, Some(Failure::Unavailable(_))))
        else {
            return;
        };
        let ours = address_of(caller, "");
        let happened = Happened {
            part: Part::Asks,
            transaction: told.transaction,
            at: Timestamp::now(),
            sender: Some(&ours),
            sender_address: None,
            sender_node: None,
            receiver: told.receiver,
            user: None,
        };
        let place = told.message.cause.split("/_history/").next().map(str::to_owned);
        let mut event = audit_event(&happened, &told.objects, &[place], recorder);
        if let Some(failure) = failure {
            ended(&mut event, Outcome::MinorFailure, Some(&failure.to_string()));
        }
        // The failure was logged.
        let _ = self.store(caller, &event).await;
    }

    /// Records a message, before it is answered.
    ///
    /// # Errors
    /// When it cannot be recorded, and nothing was changed: then it has to stay
    /// without an answer. What was changed is answered all the same, and logged.
    pub(super) async fn record(
        &self,
        caller: &Caller,
        transaction: &str,
        mut event: Value,
        performed: &Result<Answer, Fault>,
    ) -> Result<(), Issue> {
        let (outcome, why) = outcome(performed);
        ended(&mut event, outcome, why.as_deref());
        if let Ok(answer) = performed {
            add_patients(&mut event, &told_of(&answer.body));
        }
        let stored = self.store(caller, &event).await;
        if changes(transaction) { Ok(()) } else { stored }
    }

    /// Records that somebody was not believed.
    pub(super) async fn record_refusal(&self, caller: &Caller, door: Door, fault: &Fault) {
        let Some(recorder) = &self.settings.recorder else { return };
        let receiver = address_of(caller, door.path());
        let audit = not_authenticated(Timestamp::now(), caller, &receiver, &fault.reason, recorder);
        // It is refused all the same, and the failure was logged.
        let _ = self.store(caller, &audit).await;
    }

    pub(super) async fn store(&self, caller: &Caller, audit: &Value) -> Result<(), Issue> {
        // The key is for what is told of.
        let caller = &caller.without_key();
        let stored = Fhir { api: &*self.api, caller }.create(audit).await;
        if let Err(issue) = &stored {
            tracing::error!(
                request = caller.request_id,
                why = issue.diagnostics,
                "an event cannot be recorded"
            );
        }
        stored
    }
}

/// Returns the address of a path beside FHIR, as the caller reached it.
pub(super) fn address_of(caller: &Caller, path: &str) -> String {
    let base = caller.base.strip_suffix("/fhir").unwrap_or(&caller.base);
    [base, path].concat()
}

/// Returns where the patients of a message are on this server.
async fn places(registry: &Registry<'_>, objects: &Objects) -> Vec<Option<String>> {
    let mut places = Vec::new();
    for patient in objects.patients.iter().take(PATIENTS_MAX) {
        let cx = Cx::parse(patient);
        places.push(match cx {
            Some(cx) => registry.patient(&cx).await.ok().flatten(),
            None => None,
        });
    }
    places
}

/// Tells how a transaction ended.
fn outcome(performed: &Result<Answer, Fault>) -> (Outcome, Option<String>) {
    match performed {
        Ok(answer) => outcome_of(&answer.body),
        Err(fault) if fault.code == FaultCode::Receiver => {
            (Outcome::SeriousFailure, Some(fault.reason.clone()))
        }
        Err(fault) => (Outcome::MinorFailure, Some(fault.reason.clone())),
    }
}

/// Tells it by the answer.
fn outcome_of(answer: &Element) -> (Outcome, Option<String>) {
    if &*answer.namespace == HL7_V3 {
        return match acknowledged(answer) {
            Some((how, texts)) if !how.is_accept() => (Outcome::MinorFailure, texts.into_iter().next()),
            _ => (Outcome::Success, None),
        };
    }
    let response = answer.child(RS, "RegistryResponse").unwrap_or(answer);
    let errors = response.child(RS, "RegistryErrorList").into_iter().flat_map(Element::elements);
    let mut errors = errors.filter(|error| is_error(error));
    let why = errors.next().map(|error| {
        let text = |name: &str| error.attribute(name).unwrap_or_default();
        format!("{}: {}", text("errorCode"), text("codeContext"))
    });
    match response.attribute("status").and_then(Status::of_urn) {
        Some(Status::Failure) => (Outcome::MinorFailure, why),
        _ => (Outcome::Success, why),
    }
}
