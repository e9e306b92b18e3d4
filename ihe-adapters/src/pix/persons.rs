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
use crate::fhir_client::{Found, Page};

/// From how many records on some may be farther away than one search follows links.
const FAR: usize = 9;
/// What a search for records asks for so that it finds those as well that are tied to them.
pub(super) const TIES: [(&str, &str); 2] =
    [("_include:iterate", "Patient:link"), ("_revinclude:iterate", "Patient:link")];
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
        let ids: Vec<String> = of.iter().filter_map(|record| record.id().map(str::to_owned)).collect();
        let mut tied = Vec::new();
        for ids in ids.chunks(AT_ONCE) {
            tied.extend(all(self.tied(ids).await?));
        }
        self.persons_among(of, tied).await
    }

    /// As [`PatientIndex::persons`], of records that were found with those that are tied to them ([`TIES`]).
    ///
    /// # Errors
    /// As [`PatientIndex::persons`].
    pub(super) async fn persons_among(&self, of: &[Found], tied: Vec<Found>) -> Result<Vec<Person>, Issue> {
        let keyed = |record: Found| Some((record.id()?.to_owned(), record));
        let mut known: HashMap<String, Found> = of.iter().cloned().filter_map(keyed).collect();
        let mut asked: HashSet<String> = known.keys().cloned().collect();
        for (id, record) in tied.into_iter().filter_map(keyed) {
            known.entry(id).or_insert(record);
        }
        loop {
            if known.len() > RECORDS_MAX {
                let issue = Issue::error(IssueType::TooCostly).because(Reason::Unprocessable);
                return Err(issue.text(format!("more than {RECORDS_MAX} records are tied together")));
            }
            let (persons, farther) = grouped(of, &known, &asked);
            if farther.is_empty() {
                return Ok(persons);
            }
            for ids in farther.chunks(AT_ONCE) {
                for (id, record) in all(self.tied(ids).await?).filter_map(keyed) {
                    known.entry(id).or_insert(record);
                }
            }
            asked.extend(farther);
        }
    }

    /// Returns records by their ids, and the persons that they are of, each once.
    ///
    /// # Errors
    /// As [`PatientIndex::persons`].
    pub async fn records_with_persons(&self, ids: &[String]) -> Result<(Vec<Found>, Vec<Person>), Issue> {
        let (mut found, mut tied) = (Vec::new(), Vec::new());
        for ids in ids.chunks(AT_ONCE) {
            let page = self.tied(ids).await?;
            found.extend(page.matches);
            tied.extend(page.included);
        }
        let persons = self.persons_among(&found, tied).await?;
        Ok((found, persons))
    }

    /// Returns the ids of all records that count of whoever some records are of.
    ///
    /// # Errors
    /// When FHIR cannot be asked, or there are too many records.
    pub async fn records_of(&self, ids: &[String]) -> Result<Vec<String>, Refusal> {
        let (_, persons) = self.records_with_persons(ids).await?;
        let records = persons.iter().flat_map(|person| &person.records);
        Ok(records.filter_map(|record| record.id().map(str::to_owned)).collect())
    }

    async fn tied(&self, ids: &[String]) -> Result<Page, Issue> {
        let ids = ids.join(",");
        let parameters: Vec<(&str, &str)> =
            std::iter::once(("_id", ids.as_str())).chain(TIES.iter().copied()).collect();
        self.fhir.search_with(ty::PATIENT, &parameters, RECORDS_MAX).await
    }
}

fn all(page: Page) -> impl Iterator<Item = Found> {
    page.matches.into_iter().chain(page.included)
}

/// Puts together what is tied; persons in the order of `of`. Returns as well the records that
/// were not `asked` for and may be tied to others, since their persons have so many records that some
/// of them were too far away.
fn grouped(
    of: &[Found],
    known: &HashMap<String, Found>,
    asked: &HashSet<String>,
) -> (Vec<Person>, Vec<String>) {
    let mut neighbours: HashMap<&str, Vec<&str>> = HashMap::new();
    for (id, record) in known {
        for other in ties(record.root()) {
            neighbours.entry(id).or_default().push(other);
            neighbours.entry(other).or_default().push(id);
        }
    }
    let mut seen: HashSet<&str> = HashSet::new();
    let (mut persons, mut farther) = (Vec::new(), Vec::new());
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
        if records.len() >= FAR {
            let ids = records.iter().filter_map(Found::id).filter(|id| !asked.contains(*id));
            farther.extend(ids.map(str::to_owned));
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
    (persons, farther)
}
