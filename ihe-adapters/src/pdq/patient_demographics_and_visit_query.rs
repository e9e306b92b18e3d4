//! ITI-22, Patient Demographics and Visit Query.
//!
//! Each patient is told with one visit: of those that are asked for, or of all
//! of his where none is, the one that began last.
//!
//! Spec: ITI TF-2 3.22

use std::collections::HashMap;

use super::continuation;
use super::patient_demographics_query::{accounts_of, ids, matches, patient, patient_of, told};
use super::pv1::pv1;
use super::question::Asked;
use super::visits::{self, Visit};
use crate::pix::PatientIndex;
use crate::pix::demographics::Match;
use crate::pix::pix_query::Wanted;
use crate::pix::refusal::Refusal;
use crate::wire::hl7v2::message::Message;
use crate::wire::hl7v2::problem::Problem;
use crate::wire::hl7v2::query::{Query, Rejected, Response};

/// The type of the answer.
const KIND: [&str; 3] = ["RSP", "ZV2", "RSP_ZV2"];

/// Answers QBP^ZV1.
///
/// # Errors
/// When it is no query.
pub async fn answer(index: &PatientIndex<'_>, message: &Message) -> Result<Response, Rejected> {
    let query = Query::of(message)?;
    Ok(found(index, &query).await.unwrap_or_else(|problem| Response::in_error(KIND, problem)))
}

async fn found(index: &PatientIndex<'_>, query: &Query<'_>) -> Result<Response, Problem> {
    let mut asked = Asked::of(index, query, true)?;
    let wanted = Wanted::of(index, query, 8)?;
    let (mut visits, mut among) = (Vec::new(), None);
    if asked.is_of_visits() {
        visits = visits::asked_for(index, &asked).await.map_err(told)?;
        let ids: Vec<String> =
            visits.iter().filter_map(|visit| patient_of(&visit.encounter["subject"])).collect();
        among = Some(index.records_of(&ids).await.map_err(told)?);
    }
    let matches = matches(index, query, &mut asked, &wanted, among).await?;
    if !asked.is_of_visits() {
        let of: Vec<&str> = matches.matches.iter().flat_map(|found| ids(&found.person)).collect();
        visits = visits::of_patients(index, &of).await.map_err(told)?;
    }
    let chosen = last_visits(index, &visits, &matches.matches).await.map_err(told)?;
    let told_of: Vec<&Visit> = chosen.iter().copied().flatten().collect();
    let referred = visits::referred(index, &told_of).await.map_err(told)?;
    let accounts = accounts_of(&matches.others).map_err(told)?;
    let mut segments = Vec::with_capacity(matches.matches.len() * 2);
    for (at, (found, visit)) in matches.matches.iter().zip(chosen).enumerate() {
        segments.push(patient(index, query, (at + 1, found), &wanted, &accounts)?);
        segments.push(pv1(visit, &referred, index.domains, query.message.delimiters()));
    }
    let pointer = matches.next.as_ref().map(|position| continuation::pointer(query, position));
    Ok(Response::found(query, KIND, segments, pointer).with(asked.notes))
}

/// Returns the visit of each patient that began last. It may be registered under a record
/// that was merged into another since.
async fn last_visits<'v>(
    index: &PatientIndex<'_>,
    visits: &'v [Visit],
    matches: &[Match],
) -> Result<Vec<Option<&'v Visit>>, Refusal> {
    let mut of: HashMap<String, usize> = HashMap::new();
    for (at, found) in matches.iter().enumerate() {
        of.extend(ids(&found.person).map(|id| (id.to_owned(), at)));
    }
    let mut last: Vec<Option<&Visit>> = vec![None; matches.len()];
    for visit in visits {
        let Some(subject) = patient_of(&visit.encounter["subject"]) else { continue };
        if !of.contains_key(&subject) {
            let records = index.records_of(std::slice::from_ref(&subject)).await?;
            // Who is not on this page is nobody here.
            let at = records.iter().find_map(|id| of.get(id).copied()).unwrap_or(usize::MAX);
            of.insert(subject.clone(), at);
        }
        let Some(known) = of.get(&subject).and_then(|at| last.get_mut(*at)) else { continue };
        if known.is_none_or(|known| known.start() < visit.start()) {
            *known = Some(visit);
        }
    }
    Ok(last)
}
