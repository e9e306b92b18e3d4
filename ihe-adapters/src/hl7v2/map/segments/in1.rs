//! IN1: who pays, as Coverage.
//!
//! Spec: HL7 v2-to-FHIR, IN1[Coverage]

use serde_json::{Value as Json, json};

use super::note;
use crate::hl7v2::map::codes;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::tables::{RELATIONSHIP, SEX, same};
use crate::hl7v2::map::types::coded::CWE_IDENTIFIER;
use crate::hl7v2::map::types::cx::CX;
use crate::hl7v2::map::types::dtm::{DATE, DTM};
use crate::hl7v2::map::types::xad::XAD;
use crate::hl7v2::map::types::xon::{self, XON};
use crate::hl7v2::map::types::xpn::XPN;
use crate::hl7v2::map::work::{Known, Work};

const SUBSCRIBER_ID: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-subscriberId";

pub(super) const ROWS: &[Row] = &[
    ("IN1-2", "identifier", CWE_IDENTIFIER),
    ("IN1-11", "policyHolder", XON),
    ("IN1-12", "period.start", DTM),
    ("IN1-13", "period.end", DTM),
    ("IN1-15", "type", As::Concept(&same("0086"))),
    ("IN1-17", "relationship", As::Concept(&RELATIONSHIP)),
    ("IN1-49", "extension", As::Within("valueIdentifier", &CX, &[("url", Constant::Text(SUBSCRIBER_ID))])),
];

/// Of the insurer.
const PAYOR: &[Row] = &[("IN1-3", "identifier", CX), ("IN1-5", "address", XAD)];

/// Of somebody else who is insured.
const INSURED: &[Row] = &[
    ("IN1-16", "name", XPN),
    ("IN1-17", "relationship", As::Concept(&RELATIONSHIP)),
    ("IN1-18", "birthDate", DATE),
    ("IN1-19", "address", XAD),
    ("IN1-43", "gender", As::Code(&SEX)),
];

/// Reads a segment.
pub(in crate::hl7v2) fn coverage(work: &mut Work<'_>, segment: &Segment<'_>) {
    let Some(patient) = work.patient.clone() else { return };
    let mark = work.source.mark();
    note(work.source, segment, &[1]);
    let mut coverage = Draft::new("Coverage");
    work.fill(&mut coverage, segment, ROWS);
    plan(work, &mut coverage, segment);
    let payor = payor(work, segment);
    let told = [2, 3, 4, 15, 36, 49].map(|field| {
        let values = work.source.values(segment, field);
        values.into_iter().filter_map(Value::peek).collect::<Vec<String>>().join("~")
    });
    let key = work.key_of_patient(&["IN1", &told.join("|")]);
    if coverage.is_empty() && payor.is_none() || work.has("Coverage", &key) {
        work.source.forget_since(mark);
        return;
    }
    coverage.put("status", json!("active"));
    coverage.put("beneficiary", patient.clone());
    // There has to be one: who pays is the patient, unless it is said.
    let payor = payor.map_or(patient.clone(), |payor| coverage.contain(payor.finish()));
    coverage.put("payor", payor);
    if let Some(subscriber) = subscriber(work, segment, &patient, &key) {
        coverage.put("subscriber", subscriber);
    }
    work.add(coverage, &key, Known::Own);
}

/// IN1-2: what the plan is called.
fn plan(work: &Work<'_>, coverage: &mut Draft, segment: &Segment<'_>) {
    let Some(told) = work.source.value(segment, 2) else { return };
    if let Some(code) = told.peek()
        && let Some(name) = told.text_of(2)
    {
        let kind = codes::concept("coverage-class", "plan");
        coverage.put("class", json!({ "type": kind, "value": code.trim(), "name": name }));
    }
}

fn payor(work: &mut Work<'_>, segment: &Segment<'_>) -> Option<Draft> {
    let name = work.source.value(segment, 4);
    let mut payor = name.and_then(|name| xon::organization(work, name)).unwrap_or(Draft::new("Organization"));
    work.fill(&mut payor, segment, PAYOR);
    (!payor.element("identifier").is_null() || !payor.element("name").is_null()).then_some(payor)
}

/// IN1-16: who is insured, where it is somebody else.
fn subscriber(work: &mut Work<'_>, segment: &Segment<'_>, patient: &Json, key: &str) -> Option<Json> {
    let is_patient = work.source.value(segment, 17).and_then(Value::peek).as_deref() == Some("SEL");
    if is_patient {
        return Some(patient.clone());
    }
    work.source.value(segment, 16)?;
    let mut insured = Draft::new("RelatedPerson");
    work.fill(&mut insured, segment, INSURED);
    insured.put("patient", patient.clone());
    Some(work.add(insured, &format!("{key}|subscriber"), Known::Own))
}
