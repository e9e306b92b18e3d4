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
/// The extension of what was compared that says what it weighs, in bits.
pub(crate) const WEIGHT: &str = "urn:lanterna:identity:weight";
/// What the input of a Task is called that says how much speaks for one person.
pub(crate) const SCORE: &str = "score";
/// What the input of a Task is called that a reader should know.
pub(crate) const REMARK: &str = "remark";

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
    /// What agrees, and what does not.
    pub(crate) agreements: Vec<Ground>,
    /// What a reader should know besides.
    pub(crate) remark: Option<Remark>,
}

/// What was compared of two records.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ground {
    /// What: the code of a field, or the system of an identifier.
    pub(crate) what: String,
    /// How it stands: the code of a level.
    pub(crate) how: &'static str,
    /// What that weighs, in bits.
    pub(crate) weight: Option<f64>,
}

/// What a reader should know of two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remark {
    /// By which it is known.
    pub(crate) code: &'static str,
    /// What it says.
    pub(crate) text: &'static str,
}

/// Records that would be one with two others are of different persons.
pub(crate) const CONFLICT: Remark = Remark {
    code: "decided-different",
    text: "records that would be one with them were decided to be of different persons",
};

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

/// Tells whether a Task asks whether two records are of one person.
pub(crate) fn is_ours(task: &Value) -> bool {
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

/// Asks somebody whether two records are of one person, where that was not asked
/// before; where it waits, what agrees is told as it is now. Returns whether it is asked anew.
pub(crate) fn ask(
    held: &mut Held<'_>,
    (one, other): (&str, &str),
    grounds: &Grounds,
    now: &str,
) -> Result<bool, Issue> {
    let id = pair_id("link", one, other);
    let asked = held.resource(ty::TASK, &id)?.filter(|task| is_ours(task)).cloned();
    let decision = asked.as_ref().map(Decision::of);
    let said = inputs(grounds);
    let mut task = match (decision, asked) {
        (Some(Decision::Same | Decision::Different), _) => return Ok(false),
        // What it weighs changes with each Patient: that alone is not worth a version.
        (Some(Decision::Open), Some(task)) if told(array(&task, "input")) == told(&said) => return Ok(false),
        (Some(Decision::Open), Some(mut task)) => {
            task["lastModified"] = json!(now);
            task
        }
        _ => task((one, other), Decision::Open, now),
    };
    match said.is_empty() {
        true => task.as_object_mut().map(|elements| elements.remove("input")),
        false => task.as_object_mut().map(|elements| elements.insert("input".to_owned(), Value::Array(said))),
    };
    held.put(ty::TASK, &id, task)?;
    Ok(decision != Some(Decision::Open))
}

/// Says why somebody is asked, as the inputs of a Task.
fn inputs(grounds: &Grounds) -> Vec<Value> {
    let mut inputs = Vec::new();
    inputs.extend(grounds.score.map(|score| json!({ "type": { "text": SCORE }, "valueDecimal": score })));
    for Ground { what, how, weight } in &grounds.agreements {
        let mut input = json!({ "type": { "text": what }, "valueString": how });
        if let Some(weight) = weight {
            let weight = (weight * 100.0).round() / 100.0;
            input["extension"] = json!([{ "url": WEIGHT, "valueDecimal": weight }]);
        }
        inputs.push(input);
    }
    inputs.extend(grounds.remark.map(|Remark { code, text }| {
        let coding = json!([{ "system": SYSTEM, "code": code }]);
        json!({ "type": { "coding": coding, "text": REMARK }, "valueString": text })
    }));
    inputs
}

/// Returns what inputs say in words.
fn told(inputs: &[Value]) -> Vec<(&str, &str)> {
    let mut told = Vec::new();
    for input in inputs {
        told.extend(input["type"]["text"].as_str().zip(input["valueString"].as_str()));
    }
    told
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
