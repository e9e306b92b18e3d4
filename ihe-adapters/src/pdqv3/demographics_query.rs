//! ITI-47, Patient Demographics Query HL7 V3, its continuation and its end.
//!
//! Spec: ITI TF-2 3.47

use super::continuation::{Continuations, Key, Open};
use super::question::{Asked, as_json, find, identifiers, records};
use crate::hl7v3::{Identified, instance_identifier, patient_element, with_degree};
use crate::pix::PatientIndex;
use crate::pix::demographics::Match;
use crate::pix::domains::Kind;
use crate::pix::refusal::Refusal;
use crate::pixv3::pix_query::domain;
use crate::pixv3::refusal::{detail, is_ours, unknown_domain};
use crate::wire::hl7v3::acknowledgement::{
    AcknowledgementType, Detail, accept_acknowledgement, acknowledgement,
};
use crate::wire::hl7v3::identifier::InstanceIdentifier;
use crate::wire::hl7v3::message::{Problem, Transmission, location};
use crate::wire::hl7v3::query::{Continuation, QueryAck, QueryByParameter};
use crate::wire::hl7v3::registration::{control_act, registration};
use crate::wire::xml::Element;

/// The message that asks for more results, or for no more.
pub const CONTINUATION: &str = "QUQI_IN000003UV01";

/// Who answers queries, and keeps them open.
pub struct Supplier<'s> {
    /// The index that is asked.
    pub index: PatientIndex<'s>,
    /// The queries that are open.
    pub continuations: &'s Continuations,
    /// The OID of who answers.
    pub ours: &'s str,
    /// The user who asks, if that is known.
    pub user: Option<&'s str>,
}

/// A part of the results.
struct Part {
    subjects: Vec<Element>,
    /// How many there are, how many stand here, how many are left.
    quantities: [u64; 3],
}

impl Supplier<'_> {
    /// Performs a query, or what goes on with one.
    pub async fn perform(&self, message: &Element) -> Element {
        if message.local == CONTINUATION { self.go_on(message).await } else { self.query(message).await }
    }

    fn key(&self, asked: &Transmission, query: &InstanceIdentifier) -> Key {
        let application = asked.sender.root().unwrap_or_default();
        Key::new(format!("{application} {}", self.user.unwrap_or_default()), query)
    }

    async fn query(&self, message: &Element) -> Element {
        let transmission = Transmission::of(message);
        let query = match read(&transmission, message, QueryByParameter::of(message)) {
            Ok(query) => query,
            Err(refusal) => return refusal,
        };
        let found = self.found(&transmission, &query).await;
        written(&transmission, &query.query_id, Some(query.to_element()), found)
    }

    async fn found(&self, asked: &Transmission, query: &QueryByParameter<'_>) -> Result<Part, Vec<Detail>> {
        let place = || query.location("*", "value");
        let wanted = self.wanted(query).await?;
        let Some(identifiers) = identifiers(query, self.index.domains) else {
            return Ok(Part { subjects: Vec::new(), quantities: [0; 3] });
        };
        let question = Asked::of(query, identifiers).map_err(|problem| vec![problem.into()])?;
        let matches =
            find(&self.index, &question, &wanted).await.map_err(|refusal| told(&refusal, place()))?;
        let all = matches.len();
        let here = query.initial_quantity.map_or(all, |quantity| all.min(quantity as usize));
        if here < all {
            let ids = matches.iter().filter_map(|of| of.record.id().map(str::to_owned));
            let open = Open {
                records: ids.collect(),
                wanted: wanted.clone(),
                query: query.to_element(),
                next: here,
                quantity: here,
            };
            self.continuations.keep(self.key(asked, &query.query_id), open);
        }
        let subjects = matches.iter().take(here).map(|of| self.subject(of, &wanted)).collect();
        Ok(Part { subjects, quantities: [all, here, all - here].map(|number| number as u64) })
    }

    /// Returns the systems of the domains whose identifiers are wanted.
    async fn wanted(&self, query: &QueryByParameter<'_>) -> Result<Vec<String>, Vec<Detail>> {
        let (mut wanted, mut unknown) = (Vec::new(), Vec::new());
        for (value, place) in query.values("otherIDsScopingOrganization") {
            match domain(&self.index, &InstanceIdentifier::of(value)).await {
                Ok(Some(system)) => wanted.push(system),
                Ok(None) => unknown.push(unknown_domain(place)),
                Err(refusal) => return Err(told(&refusal, place)),
            }
        }
        if unknown.is_empty() { Ok(wanted) } else { Err(unknown) }
    }

    async fn go_on(&self, message: &Element) -> Element {
        let transmission = Transmission::of(message);
        let continuation = match read(&transmission, message, Continuation::of(message)) {
            Ok(continuation) => continuation,
            Err(refusal) => return refusal,
        };
        let key = self.key(&transmission, &continuation.query_id);
        if continuation.is_cancel {
            // One that is not open any more is as the consumer wants it.
            self.continuations.close(&key);
            return accept_acknowledgement(&transmission, AcknowledgementType::CommitAccept, &[]);
        }
        let place = location(&message.local, &["controlActProcess", "queryContinuation", "queryId"]);
        let Some(mut open) = self.continuations.find(&key) else {
            let refusal = Refusal::UnknownIdentifier;
            let unknown = Detail {
                text: "no query of this id is open any more: ask anew".to_owned(),
                ..detail(&refusal, vec![place])
            };
            return written(&transmission, &continuation.query_id, None, Err(vec![unknown]));
        };
        if let Some(quantity) = continuation.quantity {
            open.quantity = quantity as usize;
        }
        let begin =
            continuation.start.map_or(open.next, |start| (start - 1) as usize).min(open.records.len());
        let end = begin.saturating_add(open.quantity).min(open.records.len());
        open.next = end;
        let found = records(&self.index, &open.records[begin..end]).await;
        let part = found.map_err(|refusal| told(&refusal, place)).map(|matches| Part {
            subjects: matches.iter().map(|of| self.subject(of, &open.wanted)).collect(),
            quantities: [open.records.len(), matches.len(), open.records.len() - end].map(|n| n as u64),
        });
        let query = open.query.clone();
        self.continuations.keep(key, open);
        written(&transmission, &continuation.query_id, Some(query), part)
    }

    /// Writes somebody who was found.
    fn subject(&self, of: &Match, wanted: &[String]) -> Element {
        let domains = self.index.domains;
        let identifiers = of.person.identifiers();
        let told = identifiers.iter().filter(|id| wanted.is_empty() || wanted.contains(&id.system));
        let (own, others): (Vec<_>, Vec<_>) = told.partition(|id| {
            let kind = domains.by_system(&id.system).map(|domain| domain.kind);
            kind != Some(Kind::Person)
        });
        let written = |ids: Vec<&crate::pix::Identifier>| -> Vec<InstanceIdentifier> {
            ids.into_iter().map(|id| instance_identifier(id, domains)).collect()
        };
        let (mut ids, mut others) = (written(own), written(others));
        // One at least stands in the patient.
        if ids.is_empty() {
            std::mem::swap(&mut ids, &mut others);
        }
        let is_missing = |system: &&String| identifiers.iter().all(|id| id.system != **system);
        let missing = wanted.iter().filter(is_missing).filter_map(|system| domains.by_system(system));
        let missing = missing.map(|domain| domain.oid.clone()).filter(|oid| !oid.is_empty()).collect();
        let provider = ids.iter().find_map(|id| id.root.clone()).unwrap_or_else(|| self.ours.to_owned());
        let identified = Identified { ids, others, missing };
        let patient = patient_element(&as_json(&of.record), &identified, Some(&provider));
        registration(with_degree(patient, 100), &InstanceIdentifier::of_root(self.ours), None)
    }
}

/// Returns what a message asks, or the answer that refuses it.
fn read<T>(transmission: &Transmission, message: &Element, asked: Result<T, Problem>) -> Result<T, Element> {
    let asked = transmission.problem(message).map_or(asked, Err);
    asked.map_err(|problem| {
        written(transmission, &InstanceIdentifier::default(), None, Err(vec![problem.into()]))
    })
}

fn told(refusal: &Refusal, place: String) -> Vec<Detail> {
    if is_ours(refusal) {
        tracing::error!(why = %refusal, "the index cannot be asked");
    }
    vec![detail(refusal, vec![place])]
}

/// Refuses a message.
pub(crate) fn refused(message: &Element, details: Vec<Detail>) -> Element {
    let query = QueryByParameter::of(message).ok();
    let query_id = query.as_ref().map(|query| query.query_id.clone()).unwrap_or_default();
    let copy = query.as_ref().map(QueryByParameter::to_element);
    written(&Transmission::of(message), &query_id, copy, Err(details))
}

fn written(
    asked: &Transmission,
    query_id: &InstanceIdentifier,
    query: Option<Element>,
    found: Result<Part, Vec<Detail>>,
) -> Element {
    let (part, details) = match found {
        Ok(part) => (part, Vec::new()),
        Err(details) => (Part { subjects: Vec::new(), quantities: [0; 3] }, details),
    };
    let (how, response_code) = match (details.is_empty(), part.quantities[0]) {
        (false, _) => (AcknowledgementType::ApplicationError, "AE"),
        (true, 0) => (AcknowledgementType::ApplicationAccept, "NF"),
        (true, _) => (AcknowledgementType::ApplicationAccept, "OK"),
    };
    let ack = QueryAck { query_id: query_id.clone(), response_code, quantities: Some(part.quantities) };
    let act = control_act("PRPA_TE201306UV02")
        .with_children(part.subjects)
        .with_child(ack.to_element())
        .with_children(query);
    asked
        .answer("PRPA_IN201306UV02")
        .to_message("NE")
        .with_child(acknowledgement(how, &asked.id, &details))
        .with_child(act)
}
