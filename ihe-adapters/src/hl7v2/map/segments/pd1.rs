//! PD1: more of the patient.
//!
//! Spec: HL7 v2-to-FHIR, PD1[Patient]

use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::tables::same;
use crate::hl7v2::map::types::xcn::XCN;
use crate::hl7v2::map::types::xon::{XON, XON_TEXT};

const DISABILITY: &str = "http://hl7.org/fhir/StructureDefinition/patient-disability";
const CONGREGATION: &str = "http://hl7.org/fhir/StructureDefinition/patient-congregation";

/// Of the Patient.
pub(in crate::hl7v2) const ROWS: &[Row] = &[
    ("PD1-3", "generalPractitioner", XON),
    ("PD1-4", "generalPractitioner", XCN),
    (
        "PD1-6",
        "extension",
        As::Within(
            "valueCodeableConcept",
            &As::Concept(&same("0295")),
            &[("url", Constant::Text(DISABILITY))],
        ),
    ),
    ("PD1-14", "extension", As::Within("valueString", &XON_TEXT, &[("url", Constant::Text(CONGREGATION))])),
];
