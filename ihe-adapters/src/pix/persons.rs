//! Which records are one person: those that are tied by links, whichever way
//! they go.
//!
//! Spec: <https://hl7.org/fhir/R4/patient.html#links>

use std::collections::{HashMap, HashSet};

use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::reference::Literal;
use fhir_model::schema::{name, ty};
use fhir_model::tree::Element;

use super::refusal::Refusal;
use super::{Identifier, PatientIndex, RECORDS_MAX, identifiers};
use crate::fhir_client::Found;

/// From how many records on some may be farther away than one search follows links.
const FAR: usize = 9;
/// How many records are asked for at once.
const AT_ONCE: usize = 100;

/// A person: all of his records that count.
#[derive(Debug, Clone)]
pub struct Person {
    /// His records, but those that were merged into others; the oldest first.
    pub records: Vec<Found>,
}

impl Person {
    /// Returns his identifiers that are in use, record by record, each once.
    pub fn identifiers(&self) -> Vec<Identifier> {
        let mut seen = HashSet::new();
        let all = self.records.iter().flat_map(|record| identifiers(record.root()));
        all.filter(|identifier| seen.insert(identifier.clone())).collect()
    }

    /// Returns his record of an id.
    pub fn record(&self, id: &str) -> Option<&Found> {
        self.records.iter().find(|record| record.id() == Some(id))
    }
}

/// Tells whether a record was merged into another.
pub fn is_subsumed(patient: Element<'_>) -> bool {
    patient.children_named(name::LINK).any(|link| link.text_of(name::TYPE) == Some("replaced-by"))
}

/// Returns the ids of the records that a record is tied to.
pub(super) fn ties(patient: Element<'_>) -> impl Iterator<Item = &str> {
    patient.children_named(name::LINK).filter_map(|link| {
        let literal = Literal::parse(link.child(name::OTHER)?.text_of(name::REFERENCE)?)?;
        (literal.key.resource_type == ty::PATIENT && literal.base.is_none()).then_some(())?;
        link.child(name::OTHER)?.text_of(name::REFERENCE)?.strip_prefix("Patient/")?.split('/').next()
    })
}

impl PatientIndex<'_> {
    /// Returns the persons that records are of, in the order of the records, each once.
    ///
    /// # Errors
    /// When FHIR cannot be asked, or there are too many records.
    pub async fn persons(&self, of: &[Found]) -> Result<Vec<Person>, Issue> {
        // Who has no links may still be linked to.
        let mut known: HashMap<String, Found> = HashMap::new();
        for record in of {
            known.extend(record.id().map(|id| (id.to_owned(), record.clone())));
        }
        let mut asked: HashSet<String> = HashSet::new();
        loop {
            let fresh: Vec<String> = known.keys().filter(|id| !asked.contains(*id)).cloned().collect();
            if fresh.is_empty() {
                break;
            }
            for ids in fresh.chunks(AT_ONCE) {
                let found = self.tied(ids).await?;
                let is_far = found.len() >= FAR;
                for record in found {
                    let Some(id) = record.id() else { continue };
                    if !is_far {
                        asked.insert(id.to_owned());
                    }
                    known.entry(id.to_owned()).or_insert(record);
                }
            }
            asked.extend(fresh);
            if known.len() > RECORDS_MAX {
                let issue = Issue::error(IssueType::TooCostly).because(Reason::Unprocessable);
                return Err(issue.text(format!("more than {RECORDS_MAX} records are tied together")));
            }
        }
        Ok(grouped(of, &known))
    }

    /// Returns the ids of all records that count of whoever some records are of.
    ///
    /// # Errors
    /// When FHIR cannot be asked, or there are too many records.
    pub async fn records_of(&self, ids: &[String]) -> Result<Vec<String>, Refusal> {
        let mut found = Vec::new();
        for ids in ids.chunks(AT_ONCE) {
            found.extend(self.fhir.search(ty::PATIENT, &[("_id", &ids.join(","))], RECORDS_MAX).await?);
        }
        let persons = self.persons(&found).await?;
        let records = persons.iter().flat_map(|person| &person.records);
        Ok(records.filter_map(|record| record.id().map(str::to_owned)).collect())
    }

    async fn tied(&self, ids: &[String]) -> Result<Vec<Found>, Issue> {
        let ids = ids.join(",");
        let parameters = [
            ("_id", ids.as_str()),
            ("_include:iterate", "Patient:link"),
            ("_revinclude:iterate", "Patient:link"),
        ];
        self.fhir.search(ty::PATIENT, &parameters, RECORDS_MAX).await
    }
}

/// Puts together what is tied; persons in the order of `of`.
fn grouped(of: &[Found], known: &HashMap<String, Found>) -> Vec<Person> {
    let mut neighbours: HashMap<&str, Vec<&str>> = HashMap::new();
    for (id, record) in known {
        for other in ties(record.root()) {
            neighbours.entry(id).or_default().push(other);
            neighbours.entry(other).or_default().push(id);
        }
    }
    let mut seen: HashSet<&str> = HashSet::new();
    let mut persons = Vec::new();
    for record in of {
        let Some(id) = record.id() else { continue };
        let (mut pending, mut records) = (vec![id], Vec::new());
        while let Some(next) = pending.pop() {
            if !seen.insert(next) {
                continue;
            }
            records.extend(known.get(next).cloned());
            pending.extend(neighbours.get(next).into_iter().flatten());
        }
        if records.is_empty() {
            continue;
        }
        records.retain(|record| !is_subsumed(record.root()));
        let stored = |record: &Found| {
            let meta = record.root().child(name::META);
            let updated =
                meta.and_then(|meta| meta.text_of(name::LAST_UPDATED)).unwrap_or_default().to_owned();
            (updated, record.id().unwrap_or_default().to_owned())
        };
        records.sort_by_cached_key(stored);
        persons.push(Person { records });
    }
    persons
}
