//! ITI-21, Patient Demographics Query.
//!
//! Spec: ITI TF-2 3.21

use std::collections::HashMap;

use fhir_model::schema::ty;
use serde_json::Value;

use super::continuation;
use super::pid::{Told, pid};
use super::question::{Asked, Number};
use crate::fhir_client::{Found, code_token, token};
use crate::pix::PatientIndex;
use crate::pix::cx;
use crate::pix::demographics::{Match, Matches, Page};
use crate::pix::persons::Person;
use crate::pix::pix_query::Wanted;
use crate::pix::problem::{Places, problem};
use crate::pix::records::as_json;
use crate::pix::refusal::Refusal;
use crate::wire::hl7v2::location::Location;
use crate::wire::hl7v2::message::Message;
use crate::wire::hl7v2::problem::Problem;
use crate::wire::hl7v2::query::{Query, Rejected, Response};
use crate::wire::hl7v2::segment::Segment;

/// The type of the answer.
const KIND: [&str; 3] = ["RSP", "K22", "RSP_K21"];
/// How many patients an answer tells of at the most.
pub(super) const PATIENTS_MAX: usize = 1000;
/// What finds the accounts of patients with them.
const ACCOUNTS: &[(&str, &str)] = &[("_revinclude:iterate", "Account:patient")];
/// How many accounts are looked at.
const ACCOUNTS_MAX: usize = 10_000;

/// Answers QBP^Q22.
///
/// # Errors
/// When it is no query.
pub async fn answer(index: &PatientIndex<'_>, message: &Message) -> Result<Response, Rejected> {
    let query = Query::of(message)?;
    Ok(found(index, &query).await.unwrap_or_else(|problem| Response::in_error(KIND, problem)))
}

async fn found(index: &PatientIndex<'_>, query: &Query<'_>) -> Result<Response, Problem> {
    let mut asked = Asked::of(index, query, false)?;
    let wanted = Wanted::of(index, query, 8)?;
    let matches = matches(index, query, &mut asked, &wanted, None).await?;
    let accounts = accounts_of(&matches.others).map_err(told)?;
    let mut segments = Vec::with_capacity(matches.matches.len());
    for (at, found) in matches.matches.iter().enumerate() {
        segments.push(patient(index, query, (at + 1, found), &wanted, &accounts)?);
    }
    let pointer = matches.next.as_ref().map(|position| continuation::pointer(query, position));
    Ok(Response::found(query, KIND, segments, pointer).with(asked.notes))
}

/// Tells a refusal at what the query asks.
pub(super) fn told(refusal: Refusal) -> Problem {
    problem(&refusal, &places())
}

fn places() -> Places {
    Places { identifier: Location::field("QPD", 3), wanted: Location::field("QPD", 8) }
}

/// Finds those who match. `among`: the records of whom it can be; all where there are none.
pub(super) async fn matches(
    index: &PatientIndex<'_>,
    query: &Query<'_>,
    asked: &mut Asked,
    wanted: &Wanted,
    among: Option<Vec<String>>,
) -> Result<Matches, Problem> {
    let page = Page {
        count: query.quantity.unwrap_or(PATIENTS_MAX).min(PATIENTS_MAX),
        from: continuation::position(query)?,
        with: ACCOUNTS,
    };
    let mut records = among;
    for account in &asked.accounts {
        let subjects = subjects(index, account).await.map_err(told)?;
        records = Some(match records {
            Some(before) => before.into_iter().filter(|id| subjects.contains(id)).collect(),
            None => subjects,
        });
    }
    asked.question.records = records;
    let found = index.find(&asked.question, &wanted.systems, &page).await;
    found.map_err(|refusal| told(wanted.placed(refusal)))
}

/// Returns the records of whoever has an account.
async fn subjects(index: &PatientIndex<'_>, account: &Number) -> Result<Vec<String>, Refusal> {
    let token = match account.system(index) {
        Some(system) => token(&system, &account.value),
        None => code_token(&account.value),
    };
    let found = index.fhir.search(ty::ACCOUNT, &[("identifier", &token)], ACCOUNTS_MAX).await?;
    let mut ids = Vec::new();
    for account in &found {
        let account = as_json(account)?;
        let subjects = account["subject"].as_array().map(Vec::as_slice).unwrap_or_default();
        ids.extend(subjects.iter().filter_map(patient_of));
    }
    index.records_of(&ids).await
}

/// Returns the id of the Patient that a reference is to.
pub(super) fn patient_of(reference: &Value) -> Option<String> {
    let place = reference["reference"].as_str()?.strip_prefix("Patient/")?;
    place.split('/').next().map(str::to_owned)
}

/// Returns by the records that they belong to which accounts were found with them.
pub(super) fn accounts_of(found: &[Found]) -> Result<HashMap<String, Value>, Refusal> {
    let mut accounts = HashMap::new();
    for account in found.iter().filter(|found| found.resource_type() == ty::ACCOUNT) {
        let account = as_json(account)?;
        let subjects = account["subject"].as_array().map(Vec::as_slice).unwrap_or_default();
        for id in subjects.iter().filter_map(patient_of) {
            accounts.entry(id).or_insert_with(|| account["identifier"][0].clone());
        }
    }
    Ok(accounts)
}

/// Returns the ids of the records of a person.
pub(super) fn ids(person: &Person) -> impl Iterator<Item = &str> {
    person.records.iter().filter_map(|record| record.id())
}

/// Writes the PID of somebody who matches; the number says as which of the answer.
pub(super) fn patient(
    index: &PatientIndex<'_>,
    query: &Query<'_>,
    (number, found): (usize, &Match),
    wanted: &Wanted,
    accounts: &HashMap<String, Value>,
) -> Result<Segment, Problem> {
    let by = query.message.delimiters();
    let mut identifiers = found.person.identifiers();
    identifiers.retain(|of| wanted.systems.is_empty() || wanted.systems.contains(&of.system));
    let identifiers = cx::grouped(identifiers);
    let patient = as_json(&found.record).map_err(told)?;
    let record = found.record.id();
    let account = record.into_iter().chain(ids(&found.person)).find_map(|id| accounts.get(id));
    Ok(pid(Told { number, patient, identifiers: &identifiers, account }, index.domains, by))
}
