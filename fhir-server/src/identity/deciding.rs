//! What somebody decides about two records: that they are of one person, or
//! that they are not. It holds against whatever the records say, until
//! something else is decided.

use fhir_model::outcome::Issue;
use jiff::Timestamp;

use super::examine::{tie, untie};
use super::held::Held;
use super::links::{Link, Origin, is_subsumed, links};
use super::merging::there;
use super::refusal::Refusal;
use super::review::{self, Decision, Grounds};

/// The parameters that name the two records.
const NAMES: [&str; 2] = ["patient", "other"];

/// What is decided.
#[derive(Debug, Clone)]
pub(crate) struct Decided {
    /// The ids of the two records.
    pub(crate) records: [String; 2],
    /// Whether they are of one person.
    pub(crate) is_same: bool,
    /// Why.
    pub(crate) reason: Option<String>,
    /// Who says so.
    pub(crate) agent: Option<String>,
}

/// Notes a decision, and does what it says.
///
/// # Errors
/// A [`Refusal`], or a failure of the database.
pub(crate) fn decide(held: &mut Held<'_>, decided: &Decided, now: Timestamp) -> Result<(), Issue> {
    let [one, other] = decided.records.each_ref().map(String::as_str);
    if one == other {
        return Err(Refusal::Same.into());
    }
    for (id, parameter) in [one, other].into_iter().zip(NAMES) {
        let patient = there(held, id, parameter)?;
        if decided.is_same && is_subsumed(&patient) {
            let into = held.survivors(id)?.pop().unwrap_or_default();
            return Err(Refusal::Subsumed { parameter, into: format!("Patient/{into}") }.into());
        }
    }
    let now = now.to_string();
    let decision = if decided.is_same { Decision::Same } else { Decision::Different };
    review::close(held, (one, other), decision, decided.reason.as_deref(), decided.agent.as_deref(), &now)?;
    match decided.is_same {
        true => join(held, one, other, &now),
        false => part(held, one, other),
    }
}

/// Ties two records for good.
fn join(held: &mut Held<'_>, one: &str, other: &str, now: &str) -> Result<(), Issue> {
    let mut together = held.person(one)?;
    if !together.contains(other) {
        together.extend(held.person(other)?);
        if let Some((one, other)) = review::different_among(held, &together)? {
            return Err(Refusal::Different(format!("Patient/{one}"), format!("Patient/{other}")).into());
        }
    }
    tie(held, (one, other), Origin::Confirmed, &Grounds::default(), now)
}

/// Takes two records apart: the second, and what is certainly the same as it,
/// leaves the person of the first.
fn part(held: &mut Held<'_>, one: &str, other: &str) -> Result<(), Issue> {
    untie(held, one, other)?;
    let is_certain = |link: &Link| !link.is_automatic();
    if held.reached(one, is_certain)?.contains(other) {
        return Err(Refusal::Tied.into());
    }
    if !held.person(one)?.contains(other) {
        return Ok(());
    }
    let leaving = held.reached(other, is_certain)?;
    for member in &leaving {
        let ties = held.patient(member)?.map(links).unwrap_or_default();
        for Link { other, .. } in ties.into_iter().filter(Link::is_automatic) {
            if !leaving.contains(&other) {
                untie(held, member, &other)?;
            }
        }
    }
    Ok(())
}
