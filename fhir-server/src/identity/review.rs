//! What is to be looked at by somebody, and what was decided: a Task for each
//! two records, whose id is made of theirs.
//!
//! `requested` waits for a decision, `completed` says that both are one person,
//! `rejected` that they are not, `cancelled` that nothing is left to decide.
//! A decision holds until another is made.
//!
//! Spec: <https://hl7.org/fhir/R4/task.html>

use std::collections::BTreeSet;

use fhir_model::outcome::Issue;
use fhir_model::schema::ty;
use serde_json::{Value, json};

use super::held::{Held, RECORDS_MAX};
use super::links::array;

/// The system of the codes of Tasks.
pub(crate) const SYSTEM: &str = "urn:lanterna:identity";
/// The code of Tasks of this kind.
pub(crate) const CODE: &str = "link-review";
/// The system of the identifiers by which the Tasks of a record are found.
pub(crate) const RECORD: &str = "urn:lanterna:identity:record";

/// What became of the question whether two records are of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It waits.
    Open,
    /// They are.
    Same,
    /// They are not.
    Different,
    /// It is not asked any more.
    Cancelled,
}

/// The codes of decisions.
const DECISIONS: &[(Decision, &str)] = &[
    (Decision::Open, "requested"),
    (Decision::Same, "completed"),
    (Decision::Different, "rejected"),
    (Decision::Cancelled, "cancelled"),
];

impl Decision {
    fn code(self) -> &'static str {
        DECISIONS.iter().find(|(decision, _)| *decision == self).map_or("", |(_, code)| code)
    }

    /// Reads the status of a Task. Who took it up has not decided yet.
    pub(crate) fn of(task: &Value) -> Decision {
        let status = task["status"].as_str().unwrap_or_default();
        let known = DECISIONS.iter().find(|(_, code)| *code == status);
        known.map_or(Decision::Open, |(decision, _)| *decision)
    }
}

/// Why two records may be of one person: what a Task tells of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Grounds {
    /// How much speaks for it, from 0 to 1.
    pub(crate) score: Option<f64>,
    /// What agrees, and what does not: names of elements with a word on each.
    pub(crate) agreements: Vec<(String, String)>,
    /// What a reader should know besides.
    pub(crate) remark: Option<&'static str>,
}

/// Returns an id that is made of those of two records, the same in either order.
pub(crate) fn pair_id(kind: &str, one: &str, other: &str) -> String {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    // No id has a `/`.
    let digest = ring::digest::digest(&ring::digest::SHA256, format!("{first}/{second}").as_bytes());
    let hex: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{kind}-{hex}")
}

/// Returns the two records that a Task is about.
pub(crate) fn records(task: &Value) -> Option<(String, String)> {
    let id = |named: &str| task[named]["reference"].as_str()?.strip_prefix("Patient/").map(str::to_owned);
    Some((id("focus")?, id("for")?))
}

fn is_ours(task: &Value) -> bool {
    let codings = array(&task["code"], "coding");
    codings.iter().any(|coding| coding["system"] == SYSTEM && coding["code"] == CODE)
}

/// Returns what became of the question about two records; `None` when it was never asked.
pub(crate) fn decision(held: &mut Held<'_>, one: &str, other: &str) -> Result<Option<Decision>, Issue> {
    let task = held.resource(ty::TASK, &pair_id("link", one, other))?;
    Ok(task.filter(|task| is_ours(task)).map(Decision::of))
}

/// Returns the Tasks of a record: the other one, and what became of each.
pub(crate) fn decisions_of(held: &mut Held<'_>, record: &str) -> Result<Vec<(String, Decision)>, Issue> {
    let token = ihe_adapters::fhir_client::token(RECORD, record);
    let mut all = Vec::new();
    for id in held.found(ty::TASK, &[("identifier", &token)], RECORDS_MAX)? {
        let Some(task) = held.resource(ty::TASK, &id)?.filter(|task| is_ours(task)) else { continue };
        let Some((one, other)) = records(task) else { continue };
        let decision = Decision::of(task);
        all.push((if one == record { other } else { one }, decision));
    }
    Ok(all)
}

/// Returns two records, of those given, that were decided to be of different persons.
pub(crate) fn different_among(
    held: &mut Held<'_>,
    records: &BTreeSet<String>,
) -> Result<Option<(String, String)>, Issue> {
    if !are_any_different(held)? {
        return Ok(None);
    }
    let mut rest: Vec<&String> = records.iter().collect();
    while let Some(one) = rest.pop() {
        for other in &rest {
            if decision(held, one, other)? == Some(Decision::Different) {
                return Ok(Some(((*other).clone(), one.clone())));
            }
        }
    }
    Ok(None)
}

/// Tells whether any two records at all were decided to be of different persons.
fn are_any_different(held: &mut Held<'_>) -> Result<bool, Issue> {
    if held.changed(ty::TASK).any(|task| Decision::of(task) == Decision::Different) {
        return Ok(true);
    }
    let code = ihe_adapters::fhir_client::token(SYSTEM, CODE);
    let criteria = [("code", code.as_str()), ("status", Decision::Different.code())];
    Ok(!held.found(ty::TASK, &criteria, 1)?.is_empty())
}

/// Asks somebody whether two records are of one person, where that was not asked before.
pub(crate) fn ask(
    held: &mut Held<'_>,
    (one, other): (&str, &str),
    grounds: &Grounds,
    now: &str,
) -> Result<(), Issue> {
    if !matches!(decision(held, one, other)?, None | Some(Decision::Cancelled)) {
        return Ok(());
    }
    let mut task = task((one, other), Decision::Open, now);
    let input = |what: &str, value: (&str, Value)| {
        let mut input = json!({ "type": { "text": what } });
        input[value.0] = value.1;
        input
    };
    let mut inputs = Vec::new();
    inputs.extend(grounds.score.map(|score| input("score", ("valueDecimal", json!(score)))));
    let agreements = grounds.agreements.iter();
    inputs.extend(agreements.map(|(what, how)| input(what, ("valueString", json!(how)))));
    inputs.extend(grounds.remark.map(|remark| input("remark", ("valueString", json!(remark)))));
    if !inputs.is_empty() {
        task["input"] = Value::Array(inputs);
    }
    held.put(ty::TASK, &pair_id("link", one, other), task)
}

/// Notes that nothing is left to decide about two records, where it was asked.
pub(crate) fn cancel(held: &mut Held<'_>, (one, other): (&str, &str), now: &str) -> Result<(), Issue> {
    if decision(held, one, other)? != Some(Decision::Open) {
        return Ok(());
    }
    close(held, (one, other), Decision::Cancelled, None, None, now)
}

/// Notes what was decided about two records.
pub(crate) fn close(
    held: &mut Held<'_>,
    (one, other): (&str, &str),
    decision: Decision,
    reason: Option<&str>,
    agent: Option<&str>,
    now: &str,
) -> Result<(), Issue> {
    let id = pair_id("link", one, other);
    let asked = held.resource(ty::TASK, &id)?.filter(|task| is_ours(task)).cloned();
    let mut task = asked.unwrap_or_else(|| task((one, other), decision, now));
    task["status"] = json!(decision.code());
    task["lastModified"] = json!(now);
    if let Some(elements) = task.as_object_mut() {
        for said in ["statusReason", "owner"] {
            elements.remove(said);
        }
        elements.extend(reason.map(|reason| ("statusReason".to_owned(), json!({ "text": reason }))));
        elements.extend(agent.map(|agent| ("owner".to_owned(), json!({ "display": agent }))));
    }
    held.put(ty::TASK, &id, task)
}

fn task((one, other): (&str, &str), decision: Decision, now: &str) -> Value {
    json!({
        "resourceType": "Task",
        "id": pair_id("link", one, other),
        "identifier": [{ "system": RECORD, "value": one }, { "system": RECORD, "value": other }],
        "status": decision.code(),
        "intent": "proposal",
        "code": { "coding": [{ "system": SYSTEM, "code": CODE }] },
        "description": "Are these two records of one person?",
        "focus": { "reference": format!("Patient/{one}") },
        "for": { "reference": format!("Patient/{other}") },
        "authoredOn": now,
        "lastModified": now,
    })
}
