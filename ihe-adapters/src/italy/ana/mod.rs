//! ANA, the national registry of assisted persons (Anagrafe Nazionale degli
//! Assistiti): who is assisted by the national health service, where, and by
//! which general practitioner.
//!
//! - [`message`] is the contract: questions, answers, and their XML. Nothing else knows it.
//! - [`client`] sends a question and takes the answer in.
//! - [`fault`] says what can go wrong, whose fault it is, and whether to try again.
//! - [`map`] compares a Patient with what ANA says, and decides whose word counts.
//! - [`registry`] aligns patients, and follows what ANA says of them.
//! - [`practitioner`] has the choice of a general practitioner made, changed and revoked.
//!
//! # What is assumed
//!
//! ANA exists by law (CAD art. 62-ter, brought in by DL 179/2012; DPCM 1 June 2022 with the
//! decree of 24 November 2025) within Sistema TS, and no service description of it is public. What stands here is as near as can be to what
//! is known, and has to be replaced in [`message`] when the real contract is at hand.
//!
//! | assumed | by the example of |
//! | --- | --- |
//! | SOAP 1.1, document/literal, one element for a question and one for its answer, told by SOAPAction | the services of Sistema TS (`demServiceAnag`) |
//! | names `...Richiesta`, `...Ricevuta`, `codEsito` `0000`, `elencoErrori` | the same |
//! | the namespace [`message::NAMESPACE`], the service at one address | nothing: it says that it is assumed |
//! | TLS with a client certificate, and HTTP Basic besides | the services of Sistema TS |
//! | `codRegione` of three digits, `codASL` of three | all national flows |
//! | `validitaCI` 0/1, `tipologiaCI` 0-4, 97-99 | the validation of EMUR by Sistema TS |
//! | a person is asked for by CF, STP, ENI or ANA code | the identifiers of the national CDA and FHIR profiles |
//! | data of a person: names, sex, birth, residence (of ANPR), death, ASL of assistance, practitioner | DPCM 1 June 2022, annex B |
//! | choice, change, revocation of a practitioner; transfers in and out; death are told by ANA as numbered variations, fetched by region after a number | DPCM 1 June 2022, annex D; how they are fetched: nothing |
//! | `idMessaggio`: a message that was done is answered again with the first answer when it comes again, and done once; one that was refused is looked at anew | PDND and ModI (`jti`), Sistema TS protocol numbers; that it is so: nothing |
//! | the codes of errors | nothing: see the table of [`fault`] |
//!
//! Decisions: ADR 22

pub mod client;
pub mod fault;
pub mod map;
pub mod message;
pub mod practitioner;
pub mod registry;

use std::sync::Arc;

use fhir_model::interaction::{Caller, FhirApi};
use fhir_model::json;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::TypeId;
use fhir_model::tree::Resource;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::atna::event::{Happened, Objects, Part, audit_event};
use crate::atna::participants::{Outcome, ended};
use crate::atna::{self, Recorder};
use crate::fhir_client::Fhir;
use crate::pix::domains::Domains;
use client::Client;
use fault::{AnaFault, Whose};
use message::{Answer, Asked, Identity, Kind, Question};

/// The codes and identifiers of ours that tell of ANA.
pub const ANA: &str = "urn:lanterna:ana";
/// The code of the national health authorities: region and ASL.
pub const HEALTH_AUTHORITY: &str = "urn:oid:2.16.840.1.113883.2.9.4.1.1";

/// ANA, and this server's data.
pub struct Ana {
    /// Performs what is asked of FHIR.
    pub api: Arc<dyn FhirApi>,
    /// Asks ANA.
    pub client: Client,
    /// How this server is called in what it records; `None` when it does not.
    pub recorder: Option<Recorder>,
    /// The base of this server.
    pub base: String,
    /// Who assigns identifiers.
    pub domains: Arc<Domains>,
}

impl Ana {
    fn caller(&self) -> Caller {
        Caller::new("ana", self.base.clone())
    }

    /// Makes a question of this server.
    fn question(&self, id: String, what: Asked) -> Question {
        Question { id, authority: self.client.authority.clone(), what }
    }

    /// Asks ANA by a message that is written already, and makes the AuditEvent of it: about whom,
    /// and where he is here.
    async fn ask(
        &self,
        (kind, id, message): (Kind, &str, Vec<u8>),
        (person, place): (Option<&Identity>, Option<&str>),
    ) -> (Result<Answer, AnaFault>, Option<Value>) {
        let at = Timestamp::now();
        let answer = self.client.send(kind, id, message).await;
        // Nobody was told anything who was not reached.
        let recorder = self.recorder.as_ref().filter(|_| answer != Err(AnaFault::Unreachable));
        let event = recorder.map(|recorder| {
            let patients = match person {
                Some(person) => vec![person.to_cx()],
                None => place.map(|_| String::new()).into_iter().collect(),
            };
            let objects = Objects { patients, ..Objects::default() };
            let happened = Happened {
                part: Part::Asks,
                transaction: kind.transaction(),
                at,
                sender: Some(&self.base),
                sender_address: None,
                sender_node: None,
                receiver: &self.client.url,
                user: None,
            };
            let mut event = audit_event(&happened, &objects, &[place.map(str::to_owned)], recorder);
            if let Err(fault) = &answer {
                let outcome = match fault.whose() {
                    Whose::Ours | Whose::Caller => Outcome::MinorFailure,
                    Whose::Ana => Outcome::SeriousFailure,
                };
                ended(&mut event, outcome, Some(&fault.to_string()));
            }
            event
        });
        (answer, event)
    }

    /// Records what was not stored with anything else.
    ///
    /// # Errors
    /// When it cannot be recorded.
    async fn record(&self, event: Option<Value>) -> Result<(), Issue> {
        let Some(event) = event else { return Ok(()) };
        let caller = self.caller();
        Fhir { api: &*self.api, caller: &caller }.create(&event).await
    }

    /// Performs a transaction, with what is recorded of it.
    ///
    /// # Errors
    /// As the transaction; nothing is stored then.
    async fn transact(&self, mut entries: Vec<Value>, event: Option<&Value>) -> Result<(), Issue> {
        entries.extend(event.map(atna::entry));
        if entries.is_empty() {
            return Ok(());
        }
        let caller = self.caller();
        Fhir { api: &*self.api, caller: &caller }.transact(entries, Vec::new()).await.map(drop)
    }

    /// Reads a resource as it is now.
    ///
    /// # Errors
    /// When it cannot be read.
    async fn read(&self, of: TypeId, id: &str) -> Result<Option<Value>, Issue> {
        let caller = self.caller();
        let found = Fhir { api: &*self.api, caller: &caller }.read(of, id).await?;
        found.as_ref().map(value_of).transpose()
    }

    /// Returns what a search finds.
    ///
    /// # Errors
    /// As the search, and when there is more than `limit`.
    async fn search(
        &self,
        of: TypeId,
        parameters: &[(&str, &str)],
        limit: usize,
    ) -> Result<Vec<Value>, Issue> {
        let caller = self.caller();
        let found = Fhir { api: &*self.api, caller: &caller }.search(of, parameters, limit).await?;
        found.iter().map(|found| value_of(&found.to_resource())).collect()
    }
}

/// Returns a resource as JSON.
///
/// # Errors
/// When it cannot be written, which would be a mistake of this program.
pub(crate) fn value_of(resource: &Resource) -> Result<Value, Issue> {
    let read = serde_json::from_slice(&json::to_json(resource));
    read.map_err(|_| Issue::fatal(IssueType::Exception).text("a resource cannot be written as JSON"))
}

/// Returns the entry of a transaction that stores a new version of a resource, unless somebody
/// else did meanwhile.
fn put(resource: &Value) -> Value {
    let text = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
    let url = format!("{}/{}", text("resourceType"), text("id"));
    let version = resource["meta"]["versionId"].as_str().map(|version| format!("W/\"{version}\""));
    let mut request = json!({ "method": "PUT", "url": url });
    if let Some(version) = version {
        request["ifMatch"] = json!(version);
    }
    json!({ "resource": resource, "request": request })
}

/// Returns the entry that says who said what is written: ANA.
fn provenance(targets: &[String], activity: &str, message_id: &str) -> Value {
    let targets: Vec<Value> = targets.iter().map(|target| json!({ "reference": target })).collect();
    json!({
        "resource": {
            "resourceType": "Provenance",
            "target": targets,
            "recorded": Timestamp::now().to_string(),
            "activity": { "coding": [{ "system": ANA, "code": activity }] },
            "agent": [{
                "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                                       "code": "author" }] },
                "who": { "identifier": { "system": ANA, "value": "ana" },
                         "display": "Anagrafe Nazionale degli Assistiti (ANA)" },
            }],
            "entity": [{ "role": "source",
                         "what": { "identifier": { "system": ANA, "value": message_id } } }],
        },
        "request": { "method": "POST", "url": "Provenance" },
    })
}

/// Tells whether others changed what was to be written: then it is looked at anew.
fn is_race(issue: &Issue) -> bool {
    matches!(issue.code, IssueType::Conflict)
}
