//! AL1: what the patient does not tolerate, as AllergyIntolerance.
//!
//! Spec: HL7 v2-to-FHIR, AL1[AllergyIntolerance]

use serde_json::{Value as Json, json};

use super::note;
use crate::hl7v2::map::codes;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Row};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::tables::{ALLERGY_CATEGORY, CRITICALITY};
use crate::hl7v2::map::types::coded::CWE;
use crate::hl7v2::map::types::dtm::DTM;
use crate::hl7v2::map::types::text::ST_CONCEPT;
use crate::hl7v2::map::work::{Known, Work};

pub(super) const ROWS: &[Row] = &[
    ("AL1-2", "category", As::Code(&ALLERGY_CATEGORY)),
    ("AL1-2", "type", As::Of(kind)),
    ("AL1-3", "code", CWE),
    ("AL1-4", "criticality", As::Code(&CRITICALITY)),
    ("AL1-5", "reaction.manifestation", ST_CONCEPT),
    ("AL1-6", "onsetDateTime", DTM),
];

/// Reads a segment.
pub(in crate::hl7v2) fn allergy(work: &mut Work<'_>, segment: &Segment<'_>) {
    note(work.source, segment, &[1]);
    let mark = work.source.mark();
    let Some(code) = work.source.value(segment, 3) else { return };
    if code.is_null() {
        // None is known any more.
        code.note_all();
        return;
    }
    let what = code.peek().or_else(|| code.peek_of(2)).unwrap_or_default();
    let mut allergy = Draft::new("AllergyIntolerance");
    allergy.put("clinicalStatus", codes::concept("allergyintolerance-clinical", "active"));
    work.fill(&mut allergy, segment, ROWS);
    if let Some(patient) = work.patient.clone() {
        allergy.put("patient", patient);
    }
    let system = code.peek_of(3).unwrap_or_default();
    let key = work.key_of_patient(&["AL1", &system, &what]);
    if work.has("AllergyIntolerance", &key) {
        // The same again: what it adds has no place of its own.
        work.source.forget_since(mark);
        return;
    }
    if allergy.element("code").is_null() {
        allergy.put("code", json!({ "text": what }));
    }
    work.add(allergy, &key, Known::Own);
}

/// Every type is an allergy, but a contraindication.
fn kind(_: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    const ALLERGIES: &[&str] = &["DA", "FA", "MA", "EA", "AA", "PA", "LA"];
    let code = value.text()?;
    ALLERGIES.contains(&code.trim()).then(|| json!("allergy"))
}
