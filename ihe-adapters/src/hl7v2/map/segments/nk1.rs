//! NK1: who is close to the patient, as RelatedPerson; an employer, as a
//! contact of the Patient.
//!
//! Spec: HL7 v2-to-FHIR, NK1[RelatedPerson], NK1[Patient]

use serde_json::json;

use super::note;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::tables::{RELATIONSHIP, SEX, same};
use crate::hl7v2::map::types::cx::CX;
use crate::hl7v2::map::types::dtm::{DATE, DTM};
use crate::hl7v2::map::types::xad::XAD;
use crate::hl7v2::map::types::xon::XON;
use crate::hl7v2::map::types::xpn::XPN;
use crate::hl7v2::map::types::xtn::XTN;
use crate::hl7v2::map::work::{Known, Work};

pub(super) const ROWS: &[Row] = &[
    ("NK1-2", "name", XPN),
    ("NK1-3", "relationship", As::Concept(&RELATIONSHIP)),
    ("NK1-4", "address", XAD),
    ("NK1-5", "telecom", XTN),
    ("NK1-6", "telecom", As::Or(&XTN, "use", Constant::Text("work"))),
    ("NK1-7", "relationship", As::Concept(&same("0131"))),
    ("NK1-8", "period.start", DTM),
    ("NK1-9", "period.end", DTM),
    ("NK1-12", "identifier", CX),
    ("NK1-15", "gender", As::Code(&SEX)),
    ("NK1-16", "birthDate", DATE),
    ("NK1-20", "communication.language", As::Concept(&same("0296"))),
    ("NK1-30", "name", XPN),
    ("NK1-31", "telecom", XTN),
    ("NK1-32", "address", XAD),
    ("NK1-33", "identifier", CX),
    ("NK1-40", "telecom", XTN),
    ("NK1-41", "telecom", XTN),
];

pub(super) const CONTACT: &[Row] = &[
    ("NK1-30", "name", XPN),
    ("NK1-2", "name", XPN),
    ("NK1-3", "relationship", As::Concept(&RELATIONSHIP)),
    ("NK1-7", "relationship", As::Concept(&same("0131"))),
    ("NK1-4", "address", XAD),
    ("NK1-32", "address", XAD),
    ("NK1-5", "telecom", XTN),
    ("NK1-6", "telecom", As::Or(&XTN, "use", Constant::Text("work"))),
    ("NK1-31", "telecom", XTN),
    ("NK1-40", "telecom", XTN),
    ("NK1-41", "telecom", XTN),
    ("NK1-8", "period.start", DTM),
    ("NK1-9", "period.end", DTM),
    ("NK1-15", "gender", As::Code(&SEX)),
];

/// Codes of an employer, an insurance company or an agency (tables 0063, 0131).
const ORGANIZATIONS: &[(usize, &[&str])] = &[(3, &["EMR"]), (7, &["E", "F", "I", "S"])];

/// Reads a segment.
pub(in crate::hl7v2) fn related(work: &mut Work<'_>, patient: &mut Draft, segment: &Segment<'_>) {
    let source = work.source;
    let mark = source.mark();
    note(source, segment, &[1]);
    let code = |field| source.value(segment, field).and_then(Value::peek);
    let is_organization = ORGANIZATIONS
        .iter()
        .any(|(field, codes)| code(*field).is_some_and(|code| codes.contains(&code.as_str())));
    if is_organization {
        let mut contact = Draft::part("Patient.contact");
        work.fill(&mut contact, segment, CONTACT);
        if let Some(value) = source.value(segment, 13)
            && let Some(organization) = work.convert(patient, value, &XON)
        {
            contact.put("organization", organization);
        }
        if !contact.is_empty() {
            patient.put("contact", contact.finish());
        }
        return;
    }
    let mut person = Draft::new("RelatedPerson");
    work.fill(&mut person, segment, ROWS);
    if person.is_empty() {
        return;
    }
    if let Some(patient) = work.patient.clone() {
        person.put("patient", patient);
    }
    // Who it is: by an identifier, or else by name and relationship.
    let identifier = &person.element("identifier")[0];
    let who = match identifier["value"].as_str() {
        Some(_) => json!([identifier["system"], identifier["value"]]),
        None => json!([person.element("name")[0], person.element("relationship")[0]]),
    };
    let key = work.key_of_patient(&["NK1", &who.to_string()]);
    if work.has("RelatedPerson", &key) {
        source.forget_since(mark);
        return;
    }
    work.add(person, &key, Known::Own);
}
