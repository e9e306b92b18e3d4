//! PV2: more of the visit.
//!
//! Spec: HL7 v2-to-FHIR, PV2[Encounter]

use serde_json::{Value as Json, json};

use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::tables::{VISIT_PRIORITY, same};
use crate::hl7v2::map::types::coded::CWE;
use crate::hl7v2::map::types::dtm::DTM;
use crate::hl7v2::map::types::pl::PL;
use crate::hl7v2::map::types::quantity::DAYS;
use crate::hl7v2::map::types::xcn::XCN;
use crate::hl7v2::map::work::Work;

pub(in crate::hl7v2) const PLANNED_START: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter.plannedStartDate";
pub(in crate::hl7v2) const PLANNED_END: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter.plannedEndDate";
const MODE_OF_ARRIVAL: &str = "http://hl7.org/fhir/StructureDefinition/encounter-modeOfArrival";

/// Of the Encounter.
pub(in crate::hl7v2) const ROWS: &[Row] = &[
    ("PV2-1", "location", As::Within("location", &PL, &[("status", Constant::Text("planned"))])),
    ("PV2-3", "reasonCode", CWE),
    ("PV2-8", "extension", As::Within("valueDateTime", &DTM, &[("url", Constant::Text(PLANNED_START))])),
    ("PV2-9", "extension", As::Within("valueDateTime", &DTM, &[("url", Constant::Text(PLANNED_END))])),
    ("PV2-11", "length", DAYS),
    ("PV2-12", "text", As::Of(narrative)),
    (
        "PV2-13",
        "participant",
        As::Within("individual", &XCN, &[("type", Constant::Concepts("v3-ParticipationType", "REF"))]),
    ),
    ("PV2-25", "priority", As::Concept(&VISIT_PRIORITY)),
    (
        "PV2-38",
        "extension",
        As::Within("valueCoding", &As::Coding(&same("0430")), &[("url", Constant::Text(MODE_OF_ARRIVAL))]),
    ),
];

/// The visit in words.
fn narrative(_: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let text = value.text()?.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{text}</div>");
    Some(json!({ "status": "additional", "div": div }))
}
