//! What of FHIR REST is asked of the patient index, and what is recorded of it:
//! ITI-83, ITI-104, ITI-78, ITI-93, ITI-94.

use fhir_model::interaction::{Caller, FhirApi, Interaction, Performed, Scope, SearchRequest};
use fhir_model::outcome::{Issue, IssueType, Severity};
use fhir_model::percent;
use fhir_model::schema::ty;
use fhir_model::tree::Resource;
use jiff::Timestamp;
use serde_json::Value;

use super::Gateway;
use crate::atna::event::{Happened, Objects, Part, audit_event};
use crate::atna::interaction::{Access, audit_events};
use crate::atna::participants::{Outcome, ended};
use crate::fhir_client::Fhir;
use crate::pdqm::demographics_query;
use crate::pix::{Identifier, PatientIndex};
use crate::pixm::cross_reference_query::{OPERATION, Question, cross_reference_query};
use crate::pixm::patient_identity_feed::{FeedOf, Manager, Message, feed_of};
use crate::pmir::feed::{Done, Registry};
use crate::pmir::message::{self, EVENT};
use crate::source;

impl Gateway {
    /// Performs what is asked of the patient index; gives back what is not.
    pub(super) async fn identify(
        &self,
        api: &dyn FhirApi,
        caller: &Caller,
        interaction: Interaction,
    ) -> Result<Result<Performed, Issue>, Interaction> {
        match interaction {
            Interaction::Search(request) if request.scope == Scope::Type(ty::PATIENT) => {
                Ok(self.demographics_query(api, caller, request).await)
            }
            Interaction::Operation(call)
                if call.name == OPERATION && call.scope == Scope::Type(ty::PATIENT) =>
            {
                Ok(match Question::of(&call) {
                    Ok(question) => self.cross_reference_query(caller, &question).await,
                    Err(issue) => Err(issue),
                })
            }
            Interaction::Operation(call) if message::is_given(&call) => Ok(match message::given(&call) {
                Ok(message) => self.process_message(caller, &message).await,
                Err(issue) => Err(issue),
            }),
            Interaction::Bundle(request) if message::is_message(&request.bundle) => {
                Ok(self.process_message(caller, &request.bundle).await)
            }
            interaction @ (Interaction::Create(_) | Interaction::Update(_)) => {
                match self.subscribe_to_patients(caller, interaction).await {
                    Ok(performed) => Ok(performed),
                    Err(interaction) => self.fed(caller, interaction).await,
                }
            }
            interaction => self.fed(caller, interaction).await,
        }
    }

    /// Performs a feed of one patient; gives back what is none.
    async fn fed(
        &self,
        caller: &Caller,
        interaction: Interaction,
    ) -> Result<Result<Performed, Issue>, Interaction> {
        match feed_of(&self.settings.domains, interaction) {
            Ok(Ok(feed)) => Ok(self.patient_identity_feed(caller, &feed).await),
            Ok(Err(interaction)) => Err(interaction),
            Err(issue) => Ok(Err(issue)),
        }
    }

    fn patient_index<'g>(&'g self, caller: &'g Caller) -> PatientIndex<'g> {
        let fhir = Fhir { api: &*self.api, caller };
        PatientIndex { fhir, domains: &self.settings.domains, recording: None }
    }

    /// ITI-78, which is a search of FHIR; `api` records it as every other.
    async fn demographics_query(
        &self,
        api: &dyn FhirApi,
        caller: &Caller,
        mut request: SearchRequest,
    ) -> Result<Performed, Issue> {
        let wanted = demographics_query::prepare(&self.settings.domains, &mut request);
        let performed = api.perform(caller, Interaction::Search(request)).await?;
        if !wanted.is_said() {
            return Ok(performed);
        }
        wanted.restrict(&self.patient_index(caller), performed).await
    }

    async fn cross_reference_query(&self, caller: &Caller, asked: &Question) -> Result<Performed, Issue> {
        let performed = cross_reference_query(&self.patient_index(caller), asked).await;
        let mut query = format!("Patient/${OPERATION}?sourceIdentifier=");
        percent::encode(&asked.source.token(), &mut query);
        for target in &asked.targets {
            query.push_str("&targetSystem=");
            percent::encode(target, &mut query);
        }
        let happened =
            Interacted { kind: "search", transaction: "ITI-83", of: &asked.source, query: Some(&query) };
        let events = self.interacted(caller, &happened, &[], performed.as_ref().err());
        match self.store_all(caller, &events).await {
            Ok(()) => performed,
            Err(_) => performed.and(Err(unrecorded())),
        }
    }

    async fn patient_identity_feed(&self, caller: &Caller, feed: &FeedOf) -> Result<Performed, Issue> {
        let of = |kind| Interacted { kind, transaction: "ITI-104", of: &feed.key, query: None };
        let recorded =
            |kind: &'static str, places: &[String]| self.interacted(caller, &of(kind), places, None);
        let manager = Manager { index: self.patient_index(caller), recorded: &recorded };
        let done = manager.take(feed).await;
        let events = match &done {
            Ok(taken) if taken.is_recorded => Vec::new(),
            Ok(taken) => {
                let places: Vec<String> = taken.place.iter().cloned().collect();
                self.interacted(caller, &of(taken.interaction), &places, None)
            }
            Err(issue) => {
                let kind = if matches!(feed.message, Message::Removed) { "delete" } else { "update" };
                self.interacted(caller, &of(kind), &[], Some(issue))
            }
        };
        // What was changed is changed; the failure was logged.
        let _ = self.store_all(caller, &events).await;
        done.map(|done| done.performed)
    }

    async fn process_message(&self, caller: &Caller, bundle: &Resource) -> Result<Performed, Issue> {
        let message = message::Message::of(bundle)?;
        let told_by = (!message.source.is_empty()).then(|| source::of_message(&message.source, &message.id));
        let caller = &Caller { source: told_by, ..caller.clone() };
        let address = format!("{}/${}", caller.base, message::OPERATION);
        let event = |patients: &[String]| -> Option<Value> {
            let recorder = self.settings.recorder.as_ref()?;
            let happened = Happened {
                part: Part::Asked,
                transaction: "ITI-93",
                at: Timestamp::now(),
                sender: Some(&message.source).filter(|source| !source.is_empty()).map(String::as_str),
                sender_address: caller.address,
                sender_node: caller.node.as_deref(),
                receiver: &address,
                user: caller.user.as_deref(),
            };
            let objects = Objects {
                patients: patients.iter().map(|_| String::new()).collect(),
                message: Some((message.id.clone(), EVENT)),
                ..Objects::default()
            };
            let places: Vec<Option<String>> = patients.iter().cloned().map(Some).collect();
            Some(audit_event(&happened, &objects, &places, recorder))
        };
        let may_unmerge = self.settings.may_unmerge;
        let registry = Registry { index: self.patient_index(caller), may_unmerge, recorded: &event };
        let done = registry.take(&message).await;
        let audit = match &done {
            Ok(Done { is_recorded: true, .. }) => None,
            Ok(done) => event(&done.patients),
            Err(issue) => event(&[]).map(|mut audit| {
                ended(&mut audit, outcome(Some(issue)), Some(&issue.diagnostics));
                audit
            }),
        };
        // What was changed is changed; the failure was logged.
        let _ = self.store_all(caller, audit.as_slice()).await;
        done.map(|done| done.performed)
    }

    /// Makes the events of an interaction that is a transaction besides; none when nothing is recorded.
    fn interacted(
        &self,
        caller: &Caller,
        interacted: &Interacted<'_>,
        patients: &[String],
        failure: Option<&Issue>,
    ) -> Vec<Value> {
        let Some(recorder) = &self.settings.recorder else { return Vec::new() };
        let places: Vec<&str> = patients.iter().map(String::as_str).collect();
        let access = Access {
            kind: interacted.kind,
            transaction: Some(interacted.transaction),
            at: Timestamp::now(),
            caller,
            identifier: Some(interacted.of),
            objects: places.clone(),
            patients: places,
            query: interacted.query,
            outcome: outcome(failure),
            why: failure.map(|issue| issue.diagnostics.as_str()),
        };
        audit_events(&access, recorder)
    }

    async fn store_all(&self, caller: &Caller, events: &[Value]) -> Result<(), Issue> {
        for event in events {
            self.store(caller, event).await?;
        }
        Ok(())
    }
}

/// An interaction, and the transaction that it is besides.
struct Interacted<'i> {
    kind: &'static str,
    transaction: &'static str,
    /// Who was asked for, or told of.
    of: &'i Identifier,
    query: Option<&'i str>,
}

pub(super) fn outcome(failure: Option<&Issue>) -> Outcome {
    match failure {
        None => Outcome::Success,
        Some(issue) if issue.severity == Severity::Fatal => Outcome::SeriousFailure,
        Some(_) => Outcome::MinorFailure,
    }
}

fn unrecorded() -> Issue {
    Issue::error(IssueType::Transient)
        .text("what was asked cannot be recorded, and is not answered; try again later")
}
