//! What is asked of the gate is recorded as AuditEvents: a write in its own
//! transaction, what is read before it is answered. What cannot be recorded is
//! not answered.
//!
//! A door that records what it is asked itself goes through the gate without.
//!
//! Spec: IHE BALP 3:5.7.3, ITI TF-2 3.20

use std::sync::Arc;

use fhir_model::interaction::{Body, Caller, Handling, Interaction, Performed, Scope, SearchRequest};
use fhir_model::json;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;
use ihe_adapters::atna::Recorder;
use ihe_adapters::atna::interaction::{Access, audit_events};
use ihe_adapters::atna::participants::Outcome;
use jiff::Timestamp;
use serde::Deserialize;

use super::accessed::{
    AboutDocuments, Accessed, SUBMISSION, about_documents, has_documents, is_submission_set,
};
use super::entry::Method;
use super::perform::{Server, Within, is_written};
use super::transaction::{Prepared, Resolution, Transaction, Write};
use super::unit::View;
use crate::rest::outcome::status;

/// How many documents are looked at that have the bytes of a Binary.
const DOCUMENTS_MAX: &str = "20";

/// What of FHIR is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recorded {
    /// Every interaction.
    All,
    /// What is about documents: DocumentReference, List, Binary.
    #[default]
    Documents,
    /// Nothing.
    Off,
}

/// How what is asked is recorded.
#[derive(Debug)]
pub struct Recording {
    recorder: Recorder,
    recorded: Recorded,
}

impl Recording {
    /// Records in the name of `recorder`.
    pub fn new(recorder: Recorder, recorded: Recorded) -> Recording {
        Recording { recorder, recorded }
    }

    fn about(&self, interaction: &Interaction) -> AboutDocuments {
        match self.recorded {
            Recorded::All => AboutDocuments::Yes,
            Recorded::Documents => about_documents(interaction),
            Recorded::Off => AboutDocuments::No,
        }
    }

    /// Tells whether a transaction is recorded.
    pub(super) fn covers(&self, transaction: &Transaction) -> bool {
        transaction.interactions().any(|i| self.about(i) != AboutDocuments::No)
    }

    /// Refuses AuditEvents of callers that say to be this server's own: those
    /// tell what it saw itself.
    ///
    /// # Errors
    /// 403.
    pub(super) fn refuse_forged(&self, transaction: &Transaction) -> Result<(), Issue> {
        let of_ours = |event: &Resource| {
            let source = event.root().child(name::SOURCE);
            let observer = source.and_then(|source| source.child_named("observer"));
            let identifier = observer.and_then(|observer| observer.child(name::IDENTIFIER));
            identifier.is_some_and(|identifier| {
                let system = identifier.text_of(name::SYSTEM);
                system.is_none() && identifier.text_of(name::VALUE) == Some(&*self.recorder.source_id)
            })
        };
        let forged = |interaction: &Interaction| match interaction {
            Interaction::Create(request) => of_ours(&request.resource),
            Interaction::Update(request) => of_ours(&request.resource),
            _ => false,
        };
        let at = transaction.interactions().position(forged);
        at.map_or(Ok(()), |at| {
            let issue = Issue::error(IssueType::Forbidden).at("AuditEvent.source.observer").text(format!(
                "`{}` is this server, which records what it does itself",
                self.recorder.source_id
            ));
            Err(transaction.located(at, issue))
        })
    }

    /// Makes the AuditEvents of what was asked.
    fn events(
        &self,
        caller: &Caller,
        at: Timestamp,
        accessed: &Accessed,
        failure: Option<&Issue>,
    ) -> Vec<Resource> {
        let outcome = match failure.map(status) {
            None => Outcome::Success,
            Some(400..500) => Outcome::MinorFailure,
            Some(_) => Outcome::SeriousFailure,
        };
        let access = Access {
            kind: accessed.kind,
            transaction: accessed.transaction,
            at,
            caller,
            identifier: None,
            patients: accessed.patients.iter().map(String::as_str).collect(),
            objects: accessed.objects.iter().map(String::as_str).collect(),
            query: accessed.query.as_deref(),
            outcome,
            why: failure.map(|issue| issue.diagnostics.as_str()),
        };
        let events = audit_events(&access, &self.recorder).into_iter();
        events.filter_map(|event| json::read(event.to_string()).ok()).collect()
    }
}

/// What a caller writes is recorded in the transaction that writes it.
pub(super) struct WritesOf {
    recording: Arc<Recording>,
    caller: Caller,
    at: Timestamp,
}

impl WritesOf {
    /// Says who writes.
    pub(super) fn new(recording: &Arc<Recording>, caller: &Caller) -> WritesOf {
        WritesOf { recording: Arc::clone(recording), caller: caller.clone(), at: Timestamp::now() }
    }

    /// Brings together what a transaction writes.
    fn written(&self, writes: &[Write<'_>], view: &mut dyn View) -> Result<Accessed, Issue> {
        let mut all = Accessed { kind: "transaction", ..Accessed::default() };
        for write in writes {
            for key in write.keys {
                all.key(key);
            }
            match write.body {
                Some(body) => all.saw(body, &self.caller.base),
                // What is deleted, or was there: whose it is stands in what is stored.
                None => {
                    for key in write.keys {
                        let mut json = Vec::new();
                        if let Some(current) = view.current(key)? {
                            current.write_json(&mut json)?;
                        }
                        all.saw(&json, &self.caller.base);
                    }
                }
            }
        }
        Ok(all)
    }
}

impl Within for WritesOf {
    const IS_VALIDATED: bool = true;

    fn looks_up(&self, transaction: &Transaction) -> bool {
        transaction.interactions().any(|interaction| matches!(interaction, Interaction::Delete(_)))
    }

    fn beside(
        &self,
        transaction: &Transaction,
        resolution: &Resolution,
        prepared: &Prepared,
        view: &mut dyn View,
    ) -> Result<Vec<Resource>, Issue> {
        let mut writes = transaction.writes(resolution, prepared);
        // What tells of others is a record itself.
        writes.retain(|write| !write.keys.iter().any(|key| key.resource_type == ty::AUDIT_EVENT));
        let is_submission = writes.iter().any(submits);
        if is_submission {
            // As the pattern of the transaction has it: the submission stands for what is in it.
            writes.retain(submits);
        }
        let [first, ..] = writes.as_slice() else { return Ok(Vec::new()) };
        let mut accessed = self.written(&writes, view)?;
        if transaction.is_single() {
            let asked = Accessed::of(first.interaction).unwrap_or_default();
            (accessed.kind, accessed.query) = (asked.kind, asked.query);
        } else if is_submission {
            accessed.kind = SUBMISSION;
        }
        Ok(self.recording.events(&self.caller, self.at, &accessed, None))
    }

    fn beside_reads(&self, transaction: &Transaction, done: &[(Method, Performed)]) -> Vec<Resource> {
        let others = transaction.interactions().zip(done).filter(|(interaction, _)| !stores(interaction));
        let of_each = others.flat_map(|(interaction, (_, performed))| {
            let accessed = Accessed::of(interaction).map(|mut accessed| {
                performed.changed.iter().for_each(|key| accessed.key(key));
                // Whom an answer names besides is not whom the call was about.
                if performed.changed.is_empty() {
                    saw(&mut accessed, performed, &self.caller.base);
                }
                accessed
            });
            let recorded = accessed.filter(|_| is_recorded(self.recording.about(interaction), performed));
            recorded.map(|accessed| self.recording.events(&self.caller, self.at, &accessed, None))
        });
        of_each.flatten().collect()
    }
}

/// AuditEvents alone; settings for validation do not keep them out.
struct Records;

impl Within for Records {
    const IS_VALIDATED: bool = false;
}

impl Server {
    /// Performs an interaction, and records it where that is asked for.
    pub(super) async fn run_recorded(
        &self,
        recording: &Recording,
        caller: &Caller,
        interaction: Interaction,
    ) -> Result<Performed, Issue> {
        let about = recording.about(&interaction);
        let asked = (about != AboutDocuments::No).then(|| Accessed::of(&interaction)).flatten();
        let Some(mut accessed) = asked else { return self.run(caller, interaction).await };
        let at = Timestamp::now();
        let is_written = is_written(&interaction) || matches!(interaction, Interaction::Bundle(_));
        let performed = self.run(caller, interaction).await;
        match &performed {
            // It was recorded where it was written.
            Ok(_) if is_written => return performed,
            Ok(answer) if !is_recorded(about, answer) => return performed,
            Ok(answer) => saw(&mut accessed, answer, &caller.base),
            Err(_) if about == AboutDocuments::AsAnswered => return performed,
            Err(_) => {}
        }
        if accessed.kind == "ITI-68" {
            self.add_patients_of_document(caller, &mut accessed).await?;
        }
        let events = recording.events(caller, at, &accessed, performed.as_ref().err());
        match self.transact_within(&caller.without_key(), Transaction::creating(events), false, Records).await
        {
            Ok(_) => performed,
            Err(why) => {
                let why = why.diagnostics;
                tracing::error!(request = caller.request_id, why, "an interaction cannot be recorded");
                // What failed has failed.
                if performed.is_err() { performed } else { Err(unrecorded()) }
            }
        }
    }

    /// Adds the patients of the documents whose bytes a Binary has.
    async fn add_patients_of_document(&self, caller: &Caller, accessed: &mut Accessed) -> Result<(), Issue> {
        for binary in accessed.objects.clone() {
            let places = format!("{binary},{}/{binary}", caller.base);
            let parameter = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            let parameters = vec![parameter("location", &places), parameter("_count", DOCUMENTS_MAX)];
            let scope = Scope::Type(ty::DOCUMENT_REFERENCE);
            let search = SearchRequest { scope, parameters, handling: Handling::Strict };
            let documents = self.run(caller, Interaction::Search(search)).await?;
            saw(accessed, &documents, &caller.base);
        }
        Ok(())
    }
}

fn saw(accessed: &mut Accessed, performed: &Performed, base: &str) {
    if let Body::Json(json) = &performed.body {
        accessed.saw(json, base);
    }
}

/// Tells whether an answer is recorded.
fn is_recorded(about: AboutDocuments, performed: &Performed) -> bool {
    match (about, &performed.body) {
        (AboutDocuments::Yes, _) => true,
        (AboutDocuments::AsAnswered, Body::Json(json)) => has_documents(json),
        _ => false,
    }
}

/// Tells whether an interaction stores a resource, or deletes one.
fn stores(interaction: &Interaction) -> bool {
    is_written(interaction) && !matches!(interaction, Interaction::Operation(_))
}

fn submits(write: &Write<'_>) -> bool {
    match write.interaction {
        Interaction::Create(request) => is_submission_set(request.resource.root()),
        Interaction::Update(request) => is_submission_set(request.resource.root()),
        _ => false,
    }
}

fn unrecorded() -> Issue {
    Issue::error(IssueType::Transient)
        .text("what was asked cannot be recorded, and is not answered; try again later")
}
