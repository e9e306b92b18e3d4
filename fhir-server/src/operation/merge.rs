//! `Patient/$merge`: one record of a patient takes the place of another.
//!
//! As R5 defines it, with what this server has to know besides: `recorded`
//! (when it happened), `survivorship` (the target gets what it lacks),
//! `reason` and `agent`. No reference is rewritten: searches follow merges. The
//! identifiers of the source are not copied: whoever asks for them is
//! told of the source, and of who took its place. By which identifier and text the
//! reference names the target, the link to it does as well.
//!
//! Spec: <https://hl7.org/fhir/R5/patient-operation-merge.html>

use fhir_model::interaction::{OperationCall, Performed, ResourceKey};
use fhir_model::json::to_json;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::ty;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::named_patient::{Among, SOURCE, TARGET, moment};
use super::parameters::Given;
use super::terminology::told;
use crate::identity::held::{Held, store};
use crate::identity::merging::{self, Asked, Target};
use crate::interaction::unit::Unit;
use crate::storage::Written;

const PARAMETERS: &[&str] = &[
    SOURCE.reference,
    SOURCE.identifier,
    TARGET.reference,
    TARGET.identifier,
    "result-patient",
    "preview",
    "recorded",
    "survivorship",
    "reason",
    "agent",
];

pub(super) fn merge(unit: &mut Unit<'_, '_>, call: &OperationCall) -> Result<Performed, Issue> {
    let given = Given::of(call, PARAMETERS)?;
    let base = unit.base;
    let mut held = Held::new(unit);
    let asked = Asked {
        source: SOURCE.find(&given, &mut held, base, Among::Current)?,
        target: TARGET.find(&given, &mut held, base, Among::Current)?,
        target_named: reference_to_target(call),
        at: moment(&given, "recorded")?,
        reason: given.text("reason").map(str::to_owned),
        agent: given.text("agent").map(str::to_owned),
    };
    let target = match result_patient(&given, &asked)? {
        Some(result) => Target::Given(result),
        None if given.flag("survivorship") => Target::Filled,
        None => Target::Kept,
    };
    merging::merge(&mut held, &asked, target, Timestamp::now())?;
    let mut result = held.patient(&asked.target)?.cloned().unwrap_or_default();
    let is_preview = given.flag("preview");
    let changes = held.into_changes();
    let written = if is_preview { Vec::new() } else { store(unit, changes)? };
    stamp(&mut result, &asked.target, &written);
    let text = if is_preview {
        "the patients can be merged; nothing was changed"
    } else {
        "the patients are merged"
    };
    Ok(answer(call, text, Some(result)))
}

/// Returns the parameters as they were given.
fn as_given(call: &OperationCall) -> Option<Value> {
    serde_json::from_slice(&to_json(call.body.as_ref()?)).ok()
}

/// Returns the reference that names the target, as it was given; null where there is none.
fn reference_to_target(call: &OperationCall) -> Value {
    let given = as_given(call).unwrap_or_default();
    let mut parameters = given["parameter"].as_array().into_iter().flatten();
    let target = parameters.find(|parameter| parameter["name"] == TARGET.reference);
    target.map(|target| target["valueReference"].clone()).unwrap_or_default()
}

/// Returns what the target is to become.
fn result_patient(given: &Given<'_>, asked: &Asked) -> Result<Option<Value>, Issue> {
    let Some(parameter) = given.parameters("result-patient").next() else { return Ok(None) };
    let resource = parameter.child(fhir_model::schema::name::RESOURCE);
    let resource = resource.map(|resource| parameter.resource().extract(resource.id()));
    let patient = resource.filter(|resource| resource.resource_type() == ty::PATIENT);
    let patient = patient.filter(|patient| patient.id().is_none_or(|id| id == asked.target));
    let value = patient.and_then(|patient| serde_json::from_slice(&to_json(&patient)).ok());
    value.map(Some).ok_or_else(|| {
        let text = "`result-patient` is a Patient with the id of the target";
        Issue::error(IssueType::Invalid).at("result-patient").text(text)
    })
}

/// Says of which version a patient is; of none where nothing was stored.
fn stamp(patient: &mut Value, id: &str, written: &[(ResourceKey, Written)]) {
    let of = written.iter().find(|(key, _)| key.resource_type == ty::PATIENT && key.id.as_str() == id);
    let Some(patient) = patient.as_object_mut() else { return };
    let meta = patient.entry("meta").or_insert_with(|| json!({}));
    let Some(meta) = meta.as_object_mut() else { return };
    for named in ["versionId", "lastUpdated"] {
        meta.remove(named);
    }
    if let Some((_, written)) = of {
        meta.insert("versionId".to_owned(), json!(written.version.to_string()));
        meta.insert("lastUpdated".to_owned(), json!(written.updated.to_string()));
    }
    if meta.is_empty() {
        patient.remove("meta");
    }
}

/// Answers as the specification says: what was asked, what came of it, and who is left.
pub(super) fn answer(call: &OperationCall, text: &str, result: Option<Value>) -> Performed {
    let outcome = json!({ "resourceType": "OperationOutcome", "issue": [
        { "severity": "information", "code": "informational", "diagnostics": text },
    ]});
    let mut parameters = Vec::new();
    parameters.extend(as_given(call).map(|asked| json!({ "name": "input", "resource": asked })));
    parameters.push(json!({ "name": "outcome", "resource": outcome }));
    parameters.extend(result.map(|result| json!({ "name": "result", "resource": result })));
    told(&json!({ "resourceType": "Parameters", "parameter": parameters }))
}
