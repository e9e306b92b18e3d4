//! SPM: material, as Specimen.
//!
//! Spec: HL7 v2-to-FHIR, SPM[Specimen]

use serde_json::{Value as Json, json};

use super::note;
use crate::hl7v2::map::codes::Codes;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::source::Segment;
use crate::hl7v2::map::tables::same;
use crate::hl7v2::map::types::coded::CWE;
use crate::hl7v2::map::types::cx::CX;
use crate::hl7v2::map::types::dtm::{self, DTM};
use crate::hl7v2::map::types::ei::{self, EI};
use crate::hl7v2::map::types::quantity::CQ;
use crate::hl7v2::map::types::text::ANNOTATION;
use crate::hl7v2::map::work::{Known, Work};

/// Availability.
const AVAILABLE: Codes = Codes { table: "0136", rows: &[("Y", "", "available"), ("N", "", "unavailable")] };

pub(super) const ROWS: &[Row] = &[
    ("SPM-4", "type", As::Concept(&same("0487"))),
    ("SPM-6", "container.additiveCodeableConcept", As::Concept(&same("0371"))),
    ("SPM-7", "collection.method", As::Concept(&same("0488"))),
    ("SPM-8", "collection.bodySite", CWE),
    ("SPM-12", "collection.quantity", CQ),
    ("SPM-14", "note", ANNOTATION),
    ("SPM-18", "receivedTime", DTM),
    ("SPM-20", "status", As::Code(&AVAILABLE)),
    ("SPM-24", "condition", As::Concept(&same("0493"))),
    ("SPM-27", "container.type", CWE),
    ("SPM-30", "accessionIdentifier", CX),
    ("SPM-31", "identifier", CX),
    ("SPM-32", "identifier", As::Or(&EI, "type", Constant::Concept("v2-0203", "STN"))),
];

/// Makes the Specimen of a segment. `setting`: what tells those of one order apart.
pub(in crate::hl7v2) fn specimen(
    work: &mut Work<'_>,
    segment: &Segment<'_>,
    setting: &str,
    request: Option<&Json>,
) -> Json {
    let mut specimen = Draft::new("Specimen");
    let numbers = numbers(work, &mut specimen, segment);
    work.fill(&mut specimen, segment, ROWS);
    collected(work, &mut specimen, segment);
    note(work.source, segment, &[1]);
    if let Some(patient) = work.patient.clone() {
        specimen.put("subject", patient);
    }
    if let Some(request) = request {
        specimen.put("request", request.clone());
    }
    let (key, known) = match numbers.first().and_then(|number| work.by_number(number)) {
        Some(query) => (query.clone(), Known::By(query)),
        None => (work.key_of_patient(&["SPM", setting, &segment.occurrence.to_string()]), Known::Own),
    };
    work.add(specimen, &key, known)
}

/// SPM-2 (EIP): what the placer and what the filler call it.
fn numbers(work: &mut Work<'_>, specimen: &mut Draft, segment: &Segment<'_>) -> Vec<Json> {
    let Some(value) = work.source.value(segment, 2) else { return Vec::new() };
    let mut numbers = Vec::new();
    for (part, code) in [(1, "PLAC"), (2, "FILL")] {
        let Some(mut number) = value.part(part).and_then(|part| ei::identifier(work, specimen, part)) else {
            continue;
        };
        number["type"] = crate::hl7v2::map::codes::concept("v2-0203", code);
        specimen.put("identifier", number.clone());
        numbers.push(number);
    }
    numbers
}

/// SPM-17 (DR): when it was taken.
fn collected(work: &mut Work<'_>, specimen: &mut Draft, segment: &Segment<'_>) {
    let Some(value) = work.source.value(segment, 17) else { return };
    if value.part(2).is_some() {
        if let Some(period) = dtm::period(work, value.part(1), value.part(2)) {
            specimen.put("collection.collectedPeriod", period);
        }
    } else if let Some(time) = dtm::read(work, value.part(1)) {
        specimen.put("collection.collectedDateTime", json!(time));
    }
}
