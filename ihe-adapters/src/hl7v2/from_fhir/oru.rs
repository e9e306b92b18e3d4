//! DiagnosticReport and its Observations, as ORU R01.

use serde_json::Value as Json;

use super::segments::{Structure, msh, pid, pv1};
use super::types::{code, cwe, dtm, ei, extension, ndl, units, xcn};
use super::write::{Segment, Value, message};
use super::{Envelope, Known};
use crate::hl7v2::map::segments::obx;
use crate::hl7v2::map::tables;
use crate::wire::hl7v2::message::{Message, MessageError};

/// Spec: LAB TF-2 3.3.4
const STRUCTURE: Structure<'static> =
    Structure { code: "ORU", event: "R01", structure: "ORU_R01", version: "2.5.1" };

/// Writes a report with what was observed.
///
/// # Errors
/// When what is told cannot be a message.
pub fn oru(
    report: &Json,
    patient: &Json,
    encounter: Option<&Json>,
    observations: &[Json],
    envelope: &Envelope,
    known: &Known<'_>,
) -> Result<Message, MessageError> {
    let mut segments = vec![msh(envelope, &STRUCTURE), pid(patient, known)];
    segments.extend(encounter.map(|encounter| pv1(encounter, known)));
    segments.push(obr(report, known));
    let mut number = 0;
    for observation in observations {
        let values = values(observation);
        number += 1;
        segments.push(observed(observation, values, number, known));
        comments(&observation["note"], &mut segments);
    }
    for form in report["presentedForm"].as_array().into_iter().flatten() {
        // What an Observation told of stands there already.
        let is_told = observations.iter().any(|observation| attachment(observation).is_some());
        if !is_told {
            number += 1;
            segments.push(presented(report, form, number));
        }
    }
    message(&segments)
}

fn obr(report: &Json, known: &Known<'_>) -> Segment {
    let mut segment = Segment::new("OBR");
    segment.text(1, Some("1"));
    for identifier in report["identifier"].as_array().into_iter().flatten() {
        let is_placer = identifier["type"]["coding"][0]["code"] == "PLAC";
        segment.add(if is_placer { 2 } else { 3 }, ei(identifier, known.domains));
    }
    segment.add(4, cwe(&report["code"], None));
    let period = &report["effectivePeriod"];
    let start = if period.is_null() { &report["effectiveDateTime"] } else { &period["start"] };
    segment.text(7, dtm(start).as_deref());
    segment.text(8, dtm(&period["end"]).as_deref());
    segment.text(22, dtm(&report["issued"]).as_deref());
    let section = cwe(&report["category"][0], Some(&tables::same("0074")));
    segment.add(24, section);
    segment.text(25, code(report, "status", &tables::RESULT_STATUS));
    for (field, element) in [(32, "resultsInterpreter"), (34, "performer")] {
        for reference in report[element].as_array().into_iter().flatten() {
            if let Some(practitioner) = known.referred(report, reference) {
                segment.add(field, ndl(&practitioner, known.domains));
            }
        }
    }
    segment
}

/// The type of what was observed, its values and its units.
type Told = (&'static str, Vec<Value>, Value);

fn values(observation: &Json) -> Told {
    let components = observation["component"].as_array().map(Vec::as_slice).unwrap_or_default();
    let holders: Vec<&Json> =
        if components.is_empty() { vec![observation] } else { components.iter().collect() };
    let mut told: Option<Told> = None;
    for holder in holders {
        let Some((kind, value, unit)) = value(holder) else { continue };
        match &mut told {
            Some((known, all, _)) if *known == kind => all.push(value),
            Some(_) => {}
            None => told = Some((kind, vec![value], unit)),
        }
    }
    told.unwrap_or_default()
}

fn value(holder: &Json) -> Option<(&'static str, Value, Value)> {
    let none = Value::default();
    let number = |quantity: &Json| Some(quantity["value"].as_number()?.to_string());
    if let Some(text) = holder["valueString"].as_str() {
        return Some(("ST", Value::text(text), none));
    }
    if holder["valueCodeableConcept"].is_object() {
        return Some(("CWE", cwe(&holder["valueCodeableConcept"], None), none));
    }
    if let Some(time) = dtm(&holder["valueDateTime"]) {
        return Some((if time.len() > 8 { "TS" } else { "DT" }, Value::text(time), none));
    }
    if let Some(time) = holder["valueTime"].as_str() {
        return Some(("TM", Value::text(time.replace(':', "")), none));
    }
    let quantity = &holder["valueQuantity"];
    if quantity.is_object() {
        let comparator = quantity["comparator"].as_str();
        if comparator.is_none() {
            return Some(("NM", Value::text(number(quantity)?), units(quantity)));
        }
        let mut value = Value::default();
        value.set(1, comparator);
        value.set(2, number(quantity).as_deref());
        return Some(("SN", value, units(quantity)));
    }
    let two = |low: &Json, separator: &str, high: &Json| {
        let mut value = Value::default();
        value.set(1, low["comparator"].as_str());
        value.set(2, number(low).as_deref());
        value.set(3, Some(separator));
        value.set(4, number(high).as_deref());
        value
    };
    let (range, ratio) = (&holder["valueRange"], &holder["valueRatio"]);
    if range.is_object() {
        return Some(("SN", two(&range["low"], "-", &range["high"]), units(&range["low"])));
    }
    if ratio.is_object() {
        let value = two(&ratio["numerator"], ":", &ratio["denominator"]);
        return Some(("SN", value, units(&ratio["numerator"])));
    }
    let period = &holder["valuePeriod"];
    if period.is_object() {
        let mut value = Value::default();
        value.set(1, dtm(&period["start"]).as_deref());
        value.set(2, dtm(&period["end"]).as_deref());
        return Some(("DR", value, none));
    }
    let attachment = attachment(holder).filter(|attachment| attachment["url"].is_string())?;
    let mut value = Value::default();
    value.set(1, attachment["url"].as_str());
    let (kind, subtype) = mime(attachment);
    value.set(3, kind);
    value.set(4, subtype);
    Some(("RP", value, none))
}

fn attachment(observation: &Json) -> Option<&Json> {
    extension(observation, obx::ATTACHMENT)
}

fn mime(attachment: &Json) -> (Option<&str>, Option<&str>) {
    attachment["contentType"].as_str().and_then(|of| of.split_once('/')).unzip()
}

fn observed(observation: &Json, (kind, values, unit): Told, number: usize, known: &Known<'_>) -> Segment {
    let mut segment = Segment::new("OBX");
    segment.text(1, Some(&number.to_string()));
    segment.text(2, Some(kind).filter(|kind| !kind.is_empty()));
    segment.add(3, cwe(&observation["code"], None));
    segment.text(4, extension(observation, obx::SUB_ID).and_then(Json::as_str));
    for value in values {
        segment.add(5, value);
    }
    segment.add(6, unit);
    segment.text(7, observation["referenceRange"][0]["text"].as_str());
    for interpretation in observation["interpretation"].as_array().into_iter().flatten() {
        segment.add(8, cwe(interpretation, Some(&tables::INTERPRETATIONS)));
    }
    segment.text(11, code(observation, "status", &tables::OBSERVATION_STATUS));
    segment.text(14, dtm(&observation["effectiveDateTime"]).as_deref());
    for reference in observation["performer"].as_array().into_iter().flatten() {
        let Some(performer) = known.referred(observation, reference) else { continue };
        if performer["resourceType"] == "Practitioner" {
            segment.add(16, xcn(&performer, known.domains));
        }
    }
    segment.add(17, cwe(&observation["method"], None));
    segment
}

fn comments(notes: &Json, segments: &mut Vec<Segment>) {
    for (at, note) in notes.as_array().into_iter().flatten().enumerate() {
        let mut segment = Segment::new("NTE");
        segment.text(1, Some(&(at + 1).to_string()));
        segment.text(3, note["text"].as_str());
        segments.push(segment);
    }
}

/// What shows the report, as encapsulated data.
fn presented(report: &Json, form: &Json, number: usize) -> Segment {
    let mut segment = Segment::new("OBX");
    segment.text(1, Some(&number.to_string()));
    segment.text(2, Some("ED"));
    segment.add(3, cwe(&report["code"], None));
    let mut value = Value::default();
    let (kind, subtype) = mime(form);
    value.set(2, kind);
    value.set(3, subtype);
    value.set(4, Some("Base64"));
    value.set(5, form["data"].as_str());
    segment.add(5, value);
    segment.text(11, code(report, "status", &tables::OBSERVATION_STATUS).or(Some("F")));
    segment
}
