//! RXR: by which way and where a medication gets into the body.
//!
//! Spec: HL7 v2-to-FHIR, RXR[Immunization], RXR[MedicationRequest]

use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Row};
use crate::hl7v2::map::source::Segment;
use crate::hl7v2::map::tables::same;
use crate::hl7v2::map::work::Work;

const IMMUNIZATION: &[Row] =
    &[("RXR-1", "route", As::Concept(&same("0162"))), ("RXR-2", "site", As::Concept(&same("0163")))];

const ADMINISTRATION: &[Row] = &[
    ("RXR-1", "dosage.route", As::Concept(&same("0162"))),
    ("RXR-2", "dosage.site", As::Concept(&same("0163"))),
    ("RXR-4", "dosage.method", As::Concept(&same("0165"))),
];

const REQUEST: &[Row] = &[
    ("RXR-1", "dosageInstruction.route", As::Concept(&same("0162"))),
    ("RXR-2", "dosageInstruction.site", As::Concept(&same("0163"))),
    ("RXR-4", "dosageInstruction.method", As::Concept(&same("0165"))),
    ("RXR-5", "dosageInstruction.additionalInstruction", As::Concept(&same("0166"))),
];

/// Reads a segment into what it belongs to.
pub(in crate::hl7v2) fn route(work: &mut Work<'_>, draft: &mut Draft, segment: &Segment<'_>) {
    let rows = match draft.resource_type() {
        "Immunization" => IMMUNIZATION,
        "MedicationAdministration" => ADMINISTRATION,
        _ => REQUEST,
    };
    work.fill(draft, segment, rows);
}
