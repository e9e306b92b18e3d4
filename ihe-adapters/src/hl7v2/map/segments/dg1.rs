//! DG1: a diagnosis, as Condition, and its part in an Encounter.
//!
//! Spec: HL7 v2-to-FHIR, DG1[Condition], DG1[Encounter]

use serde_json::json;

use super::note;
use super::pv1::Visit;
use crate::hl7v2::map::codes::{self, Codes};
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Row};
use crate::hl7v2::map::source::Segment;
use crate::hl7v2::map::types::coded::CWE;
use crate::hl7v2::map::types::dtm::DTM;
use crate::hl7v2::map::types::ei::{self, EI};
use crate::hl7v2::map::types::quantity::POSITIVE;
use crate::hl7v2::map::types::xcn::XCN;
use crate::hl7v2::map::work::{Known, Work};

/// Type of a diagnosis, as its role in an Encounter.
const ROLE: Codes = Codes { table: "0052", rows: &[("A", "diagnosis-role", "AD")] };

pub(super) const ROWS: &[Row] = &[
    ("DG1-3", "code", CWE),
    ("DG1-5", "onsetDateTime", DTM),
    ("DG1-16", "asserter", XCN),
    ("DG1-19", "recordedDate", DTM),
    ("DG1-20", "identifier", EI),
];

const IN_ENCOUNTER: &[Row] = &[("DG1-6", "use", As::Concept(&ROLE)), ("DG1-15", "rank", POSITIVE)];

/// Reads a segment; `visit` tells the Encounter, where there is one.
pub(in crate::hl7v2) fn diagnosis(work: &mut Work<'_>, segment: &Segment<'_>, visit: Option<&Visit>) {
    let mark = work.source.mark();
    note(work.source, segment, &[1]);
    let mut condition = Draft::new("Condition");
    work.fill(&mut condition, segment, ROWS);
    description(work, &mut condition, segment);
    if condition.element("code").is_null() {
        work.source.forget_since(mark);
        return;
    }
    action(work, &mut condition, segment);
    condition.put("category", codes::concept("condition-category", "encounter-diagnosis"));
    if let Some(patient) = work.patient.clone() {
        condition.put("subject", patient);
    }
    let visit_key = visit.map(Visit::key).unwrap_or_default();
    if let Some(visit) = visit {
        visit.put(&mut condition, "encounter");
    }
    let identifier = &condition.element("identifier")[0];
    let what = match identifier["value"].as_str() {
        Some(_) => ei::key(work, identifier),
        None => condition.element("code").to_string(),
    };
    let key = work.key_of_patient(&["DG1", visit_key, &what]);
    if work.has("Condition", &key) {
        work.source.forget_since(mark);
        return;
    }
    let reference = work.add(condition, &key, Known::Own);
    let Some(encounter) = visit.and_then(Visit::reference) else { return };
    let mut diagnosis = Draft::part("Encounter.diagnosis");
    diagnosis.put("condition", reference);
    work.fill(&mut diagnosis, segment, IN_ENCOUNTER);
    work.change(encounter, |encounter| match encounter["diagnosis"].as_array_mut() {
        Some(all) => all.push(diagnosis.finish()),
        None => encounter["diagnosis"] = json!([diagnosis.finish()]),
    });
}

/// DG1-4: what the diagnosis is in words, where the code does not say it.
fn description(work: &mut Work<'_>, condition: &mut Draft, segment: &Segment<'_>) {
    let Some(value) = work.source.value(segment, 4) else { return };
    let Some(text) = value.peek() else { return };
    let mut code = condition.element("code").clone();
    let told = code["text"].as_str().or_else(|| code["coding"][0]["display"].as_str());
    if told == Some(text.as_str()) {
        value.text();
    } else if code["text"].is_null() {
        value.text();
        if code.is_null() {
            code = json!({});
        }
        code["text"] = json!(text);
        condition.set("code", code);
    }
}

/// DG1-21: one that is deleted was an error; the others say what PUT does.
fn action(work: &mut Work<'_>, condition: &mut Draft, segment: &Segment<'_>) {
    let Some(value) = work.source.value(segment, 21) else { return };
    match value.peek().as_deref() {
        Some("D") => {
            condition.put("verificationStatus", codes::concept("condition-ver-status", "entered-in-error"));
            value.note_all();
        }
        Some("A" | "U") => value.note_all(),
        _ => {}
    }
}
