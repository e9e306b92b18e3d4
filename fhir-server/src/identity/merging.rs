//! Merging: one record takes the place of another, and gives it back.
//!
//! A merge is a pair of links, and that the source is not active any more;
//! nothing else of it changes, so that it can be taken back. Its identifiers
//! stay where they are. What was merged when, and why, is told by the
//! Provenance of the two, version by version.
//!
//! Spec: <https://hl7.org/fhir/R5/patient-operation-merge.html>

use fhir_model::outcome::Issue;
use fhir_model::schema::ty;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::held::Held;
use super::links::{self, Origin, Tie, array};
use super::refusal::Refusal;
use super::review::{self, pair_id};
use super::survivorship;

/// Life-cycle events of records (ISO 21089), of which Provenances tell.
const LIFECYCLE: &str = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle";

/// What is asked, of two records.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// The id of the record that is merged away.
    pub(crate) source: String,
    /// The id of the one that is left.
    pub(crate) target: String,
    /// How the caller names that one besides: the identifier and the text of a Reference.
    pub(crate) target_named: Value,
    /// When it happened where it was told, if that is said.
    pub(crate) at: Option<Timestamp>,
    /// Why.
    pub(crate) reason: Option<String>,
    /// Who says so.
    pub(crate) agent: Option<String>,
}

/// What becomes of the target.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// It stays as it is.
    Kept,
    /// It gets what it lacks and the source has.
    Filled,
    /// It becomes this.
    Given(Value),
}

/// Merges one record into another.
///
/// # Errors
/// A [`Refusal`], or a failure of the database.
pub(crate) fn merge(held: &mut Held<'_>, asked: &Asked, target: Target, now: Timestamp) -> Result<(), Issue> {
    let (source, survivor) = (asked.source.as_str(), asked.target.as_str());
    check(held, asked)?;
    refuse_older(held, asked)?;
    let before = there(held, source, "source-patient")?;
    let mut said = vec![json!({ "url": "date", "valueDateTime": asked.at.unwrap_or(now).to_string() })];
    said.extend(before.get("active").map(|active| json!({ "url": "active", "valueBoolean": active })));
    held.change(source, |patient| {
        patient["active"] = json!(false);
        links::add(patient, Tie::ReplacedBy, survivor, Origin::Merge, said);
        links::name(patient, Tie::ReplacedBy, survivor, &asked.target_named);
    })?;
    let mut said = vec![json!({ "url": "date", "valueDateTime": asked.at.unwrap_or(now).to_string() })];
    held.change(survivor, |patient| {
        match target {
            Target::Kept => {}
            Target::Filled => {
                let filled = survivorship::fill(patient, &before);
                said.extend(filled.into_iter().map(|name| json!({ "url": "filled", "valueCode": name })));
            }
            Target::Given(given) => take_over(patient, given, &before),
        }
        links::add(patient, Tie::Replaces, source, Origin::Merge, said);
    })?;
    tell(held, asked, ("merge", "Merge"), now)
}

/// Takes the merge of one record into another back.
///
/// # Errors
/// A [`Refusal`], or a failure of the database.
pub(crate) fn unmerge(held: &mut Held<'_>, asked: &Asked, now: Timestamp) -> Result<(), Issue> {
    let (source, survivor) = (asked.source.as_str(), asked.target.as_str());
    let merged = there(held, source, "source-patient")?;
    let link = links::find(&merged, Tie::ReplacedBy, survivor).ok_or(Refusal::NotMerged)?;
    refuse_older(held, asked)?;
    let is_ours = links::parts(link).any(|part| part["url"] == "origin" && part["valueCode"] == "merge");
    let active =
        links::parts(link).find(|part| part["url"] == "active").map(|part| part["valueBoolean"].clone());
    // Who merged it otherwise did not say what it was before.
    let active = if is_ours { active } else { Some(json!(true)) };
    held.change(source, |patient| {
        links::remove(patient, Tie::ReplacedBy, survivor);
        match (active, patient.as_object_mut()) {
            (Some(active), _) => patient["active"] = active,
            (None, Some(elements)) => _ = elements.remove("active"),
            (None, None) => {}
        }
    })?;
    held.change(survivor, |patient| {
        let link = links::find(patient, Tie::Replaces, source).cloned();
        for part in link.iter().flat_map(links::parts).filter(|part| part["url"] == "filled") {
            survivorship::take_back(patient, &merged, part["valueCode"].as_str().unwrap_or_default());
        }
        links::remove(patient, Tie::Replaces, source);
    })?;
    tell(held, asked, ("unmerge", "Unmerge"), now)
}

/// Returns a record that is named by a parameter.
pub(super) fn there(held: &mut Held<'_>, id: &str, parameter: &'static str) -> Result<Value, Issue> {
    if let Some(patient) = held.patient(id)? {
        return Ok(patient.clone());
    }
    let is_deleted = held.is_deleted(id)?;
    Err(if is_deleted { Refusal::Deleted(parameter) } else { Refusal::Unknown(parameter) }.into())
}

/// Checks that one may be merged into the other.
fn check(held: &mut Held<'_>, asked: &Asked) -> Result<(), Issue> {
    let (source, survivor) = (asked.source.as_str(), asked.target.as_str());
    if source == survivor {
        return Err(Refusal::Same.into());
    }
    for (id, parameter) in [(source, "source-patient"), (survivor, "target-patient")] {
        there(held, id, parameter)?;
    }
    let into = |id: &str, held: &mut Held<'_>| held.survivors(id);
    let of_source = into(source, held)?;
    if let Some(first) = of_source.first() {
        if first == survivor {
            let (source_patient, target_patient) =
                (format!("Patient/{source}"), format!("Patient/{survivor}"));
            return Err(Refusal::MergedAlready { source_patient, target_patient }.into());
        }
        return Err(
            Refusal::Subsumed { parameter: "source-patient", into: format!("Patient/{first}") }.into()
        );
    }
    let of_target = into(survivor, held)?;
    if of_target.iter().any(|one| one == source) {
        return Err(Refusal::Circle.into());
    }
    if let Some(last) = of_target.last() {
        return Err(Refusal::Subsumed { parameter: "target-patient", into: format!("Patient/{last}") }.into());
    }
    let mut together = held.person(source)?;
    if !together.contains(survivor) {
        together.extend(held.person(survivor)?);
        if let Some((one, other)) = review::different_among(held, &together)? {
            return Err(Refusal::Different(format!("Patient/{one}"), format!("Patient/{other}")).into());
        }
    }
    Ok(())
}

/// Refuses what happened before what is known of the two.
fn refuse_older(held: &mut Held<'_>, asked: &Asked) -> Result<(), Issue> {
    let Some(at) = asked.at else { return Ok(()) };
    let told = held.resource(ty::PROVENANCE, &pair_id("merge", &asked.source, &asked.target))?;
    let known = told.and_then(|told| told["occurredDateTime"].as_str()?.parse::<Timestamp>().ok());
    match known.filter(|known| *known > at) {
        Some(known) => Err(Refusal::Outdated(known.to_string()).into()),
        None => Ok(()),
    }
}

/// Puts what a caller gave in the place of the target. Who it is and what it
/// is tied to stays, and what only the source was known by is not in use.
fn take_over(patient: &mut Value, mut given: Value, source: &Value) {
    let before: Vec<Value> = array(patient, "identifier").to_vec();
    let is_same =
        |one: &Value, other: &Value| one["system"] == other["system"] && one["value"] == other["value"];
    if let Some(identifiers) = given.get_mut("identifier").and_then(Value::as_array_mut) {
        for identifier in identifiers {
            let has = |all: &[Value]| all.iter().any(|other| is_same(other, identifier));
            if has(array(source, "identifier")) && !has(&before) {
                identifier["use"] = json!("old");
            }
        }
    }
    if let Some(given) = given.as_object_mut() {
        for kept in ["id", "meta", "link"] {
            given.remove(kept);
            given.extend(patient.get(kept).map(|value| (kept.to_owned(), value.clone())));
        }
    }
    *patient = given;
}

/// Tells what was done, as a new version of the Provenance of the two.
fn tell(
    held: &mut Held<'_>,
    asked: &Asked,
    (code, display): (&str, &str),
    now: Timestamp,
) -> Result<(), Issue> {
    let id = pair_id("merge", &asked.source, &asked.target);
    let (source, target) = (format!("Patient/{}", asked.source), format!("Patient/{}", asked.target));
    let mut provenance = json!({
        "resourceType": "Provenance",
        "id": id,
        "target": [{ "reference": target }, { "reference": source }],
        "occurredDateTime": asked.at.unwrap_or(now).to_string(),
        "recorded": now.to_string(),
        "activity": { "coding": [{ "system": LIFECYCLE, "code": code, "display": display }] },
        "agent": [{ "who": { "display": asked.agent.as_deref().unwrap_or("not told") } }],
        "entity": [{ "role": "source", "what": { "reference": source } }],
    });
    if let Some(reason) = &asked.reason {
        provenance["reason"] = json!([{ "text": reason }]);
    }
    held.put(ty::PROVENANCE, &id, provenance)
}
