//! OBR: a request and its report, as ServiceRequest, DiagnosticReport and Specimen.
//!
//! Spec: HL7 v2-to-FHIR, OBR[ServiceRequest], OBR[DiagnosticReport], OBR[Specimen]

use serde_json::{Value as Json, json};

use super::orc::{CALLBACK, FILLER, PLACER};
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::tables::{PRIORITY, RESULT_STATUS, SPECIMEN_ACTION, same};
use crate::hl7v2::map::types::coded::{self, CWE};
use crate::hl7v2::map::types::cx::CX;
use crate::hl7v2::map::types::dtm::{DTM, INSTANT};
use crate::hl7v2::map::types::ei::{FILLED_PARENT, PLACED_PARENT};
use crate::hl7v2::map::types::quantity::CQ;
use crate::hl7v2::map::types::text::ANNOTATION;
use crate::hl7v2::map::types::xcn::{NDL, XCN};
use crate::hl7v2::map::types::xtn::XTN;
use crate::hl7v2::map::work::{Known, Work};

const SUPPORTING: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-ServiceRequest.supportingInfo";

/// Of the ServiceRequest.
pub(in crate::hl7v2) const REQUEST: &[Row] = &[
    ("OBR-2", "identifier", PLACER),
    ("OBR-3", "identifier", FILLER),
    ("OBR-4", "code", CWE),
    ("OBR-5", "priority", As::Code(&PRIORITY)),
    ("OBR-6", "occurrenceDateTime", DTM),
    ("OBR-11", "intent", As::Code(&SPECIMEN_ACTION)),
    ("OBR-13", "extension", As::Within("valueCodeableConcept", &CWE, &[("url", Constant::Text(SUPPORTING))])),
    ("OBR-16", "requester", XCN),
    ("OBR-17", "extension", As::Within("valueContactPoint", &XTN, &[("url", Constant::Text(CALLBACK))])),
    ("OBR-29", "basedOn", PLACED_PARENT),
    ("OBR-29", "basedOn", FILLED_PARENT),
    ("OBR-31", "reasonCode", CWE),
    ("OBR-46", "orderDetail", CWE),
    ("OBR-47", "orderDetail", CWE),
    ("OBR-53", "identifier", As::Or(&CX, "type", Constant::Concept("v2-0203", "PLAC"))),
    ("OBR-54", "basedOn", PLACED_PARENT),
    ("OBR-54", "basedOn", FILLED_PARENT),
];

/// Of the DiagnosticReport.
pub(in crate::hl7v2) const REPORT: &[Row] = &[
    ("OBR-3", "identifier", FILLER),
    ("OBR-2", "identifier", PLACER),
    ("OBR-4", "code", CWE),
    ("OBR-22", "issued", INSTANT),
    ("OBR-24", "category", As::Concept(&same("0074"))),
    ("OBR-25", "status", As::Code(&RESULT_STATUS)),
    ("OBR-32", "resultsInterpreter", NDL),
    ("OBR-33", "resultsInterpreter", NDL),
    ("OBR-34", "performer", As::Or(&NDL, "extension", Constant::Function("SPRF"))),
    ("OBR-35", "performer", As::Or(&NDL, "extension", Constant::Function("TRANS"))),
];

/// Of the Specimen.
pub(super) const SPECIMEN: &[Row] = &[
    ("OBR-9", "collection.quantity", CQ),
    ("OBR-10", "collection.collector", XCN),
    ("OBR-14", "receivedTime", DTM),
    ("OBR-15", "type", As::Of(source)),
    ("OBR-39", "note", ANNOTATION),
];

/// Adds what OBR alone says of the material, where that is something: the reference to the
/// Specimen. `setting`: what tells those of one order apart.
pub(in crate::hl7v2) fn specimen(work: &mut Work<'_>, segment: &Segment<'_>, setting: &str) -> Option<Json> {
    let mut specimen = Draft::new("Specimen");
    work.fill(&mut specimen, segment, SPECIMEN);
    if specimen.is_empty() {
        return None;
    }
    if let Some((element, when)) = effective(work, segment) {
        let element = if element == "effectivePeriod" { "collectedPeriod" } else { "collectedDateTime" };
        specimen.put(&format!("collection.{element}"), when);
    }
    if let Some(patient) = work.patient.clone() {
        specimen.put("subject", patient);
    }
    let key = work.key_of_patient(&["SPM", setting, "OBR"]);
    Some(work.add(specimen, &key, Known::Own))
}

/// OBR-7, OBR-8: when it was observed, as the element of a DiagnosticReport.
pub(in crate::hl7v2) fn effective(
    work: &mut Work<'_>,
    segment: &Segment<'_>,
) -> Option<(&'static str, Json)> {
    let mut told = Draft::new("DiagnosticReport");
    let rows: &[Row] = match work.source.value(segment, 8).is_some_and(|end| !end.is_null()) {
        true => &[("OBR-7", "effectivePeriod.start", DTM), ("OBR-8", "effectivePeriod.end", DTM)],
        false => &[("OBR-7", "effectiveDateTime", DTM)],
    };
    work.fill(&mut told, segment, rows);
    let found = ["effectivePeriod", "effectiveDateTime"].into_iter();
    found.map(|element| (element, told.element(element).clone())).find(|(_, value)| !value.is_null())
}

/// OBR-15 (SPS): the material, its first component.
fn source(work: &mut Work<'_>, draft: &mut Draft, value: Value<'_>) -> Option<Json> {
    let material = value.part(1)?;
    coded::concept(work, draft, material)
}

/// Returns the code of what was asked for, as it is told apart by.
pub(in crate::hl7v2) fn code_key(draft: &Draft) -> String {
    let code = draft.element("code");
    match code["coding"][0]["code"].as_str() {
        Some(value) => format!("{}|{value}", code["coding"][0]["system"].as_str().unwrap_or_default()),
        None => code["text"].as_str().unwrap_or_default().to_owned(),
    }
}

/// What a request or a report has to have, where the segment does not say it.
pub(in crate::hl7v2) fn complete(work: &Work<'_>, draft: &mut Draft, constants: &[(&str, Json)]) {
    if let Some(patient) = work.patient.clone() {
        draft.put("subject", patient);
    }
    for (element, value) in constants {
        draft.put(element, value.clone());
    }
    // A report has to have one.
    if draft.resource_type() == "DiagnosticReport" && draft.element("code").is_null() {
        let reason = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
        draft.put("code", json!({ "extension": [{ "url": reason, "valueCode": "unknown" }] }));
    }
}
