//! The segments that several messages have.

use serde_json::Value as Json;

use super::person::demographics;
use super::types::{cwe, cx, dtm, xcn};
use super::write::{Segment, Value};
use super::{Envelope, Known};
use crate::hl7v2::map::tables;

/// MSH. `structure`: message code, event, structure.
pub(super) fn msh(envelope: &Envelope, structure: [&str; 3]) -> Segment {
    let mut segment = Segment::new("MSH");
    for (field, text) in [
        (3, &envelope.sending_application),
        (4, &envelope.sending_facility),
        (5, &envelope.receiving_application),
        (6, &envelope.receiving_facility),
        (10, &envelope.control_id),
    ] {
        segment.text(field, Some(text));
    }
    segment.text(7, dtm(&Json::from(envelope.at.as_str())).as_deref());
    let mut kind = Value::default();
    for (at, text) in structure.iter().enumerate() {
        kind.set(at + 1, Some(text));
    }
    segment.add(9, kind);
    for (field, text) in [(11, "P"), (12, "2.5.1"), (18, "UNICODE UTF-8")] {
        segment.text(field, Some(text));
    }
    segment
}

pub(super) fn items<'j>(resource: &'j Json, element: &str) -> impl Iterator<Item = &'j Json> {
    resource[element].as_array().into_iter().flatten()
}

/// PID.
pub(super) fn pid(patient: &Json, known: &Known<'_>) -> Segment {
    let mut segment = Segment::new("PID");
    segment.text(1, Some("1"));
    for identifier in items(patient, "identifier") {
        let is_known =
            identifier["system"].as_str().is_some_and(|system| known.domains.by_system(system).is_some());
        match identifier["type"]["coding"][0]["code"].as_str() {
            Some("DL") if !is_known => segment.add(20, dln(identifier)),
            // Those of nobody in particular are no identifiers of the index.
            _ => segment.add(if is_known { 3 } else { 4 }, cx(identifier, known.domains)),
        }
    }
    demographics(&mut segment, patient);
    segment
}

/// A driving licence.
fn dln(identifier: &Json) -> Value {
    let mut value = Value::default();
    value.set(1, identifier["value"].as_str());
    value.set(2, identifier["assigner"]["display"].as_str());
    value.set(3, dtm(&identifier["period"]["end"]).as_deref());
    value
}

/// PD1, where there is something to tell.
pub(super) fn pd1(patient: &Json, known: &Known<'_>) -> Option<Segment> {
    let mut segment = Segment::new("PD1");
    let mut is_told = false;
    for reference in items(patient, "generalPractitioner") {
        let Some(resource) = known.referred(patient, reference) else { continue };
        if resource["resourceType"] == "Practitioner" {
            segment.add(4, xcn(&resource, known.domains));
            is_told = true;
        }
    }
    is_told.then_some(segment)
}

/// Doctors of a visit: field, type of participant.
pub(crate) const PARTICIPANTS: &[(usize, &str)] = &[(7, "ATND"), (8, "REF"), (9, "CON"), (17, "ADM")];
/// The field of those of another type.
const OTHER_PARTICIPANTS: usize = 52;
/// Places from the outside to the inside: component of PL, physical type.
pub(crate) const LEVELS: &[(usize, &str)] =
    &[(4, "si"), (7, "bu"), (1, ""), (8, "lvl"), (2, "ro"), (3, "bd")];

/// Returns the class of an Encounter by the one of a patient (table 0004).
pub(crate) fn class_of_visit(code: &str) -> Option<&'static str> {
    tables::PATIENT_CLASS.code(code)
}

/// PV1.
pub(super) fn pv1(encounter: &Json, known: &Known<'_>) -> Segment {
    let mut segment = Segment::new("PV1");
    segment.text(1, Some("1"));
    let class = encounter["class"]["code"].as_str().unwrap_or_default();
    segment.text(2, Some(tables::PATIENT_CLASS.v2(class).unwrap_or("U")));
    for location in items(encounter, "location") {
        let field = match location["status"].as_str() {
            Some("completed") => 6,
            Some("reserved") => 42,
            _ if location["extension"].is_array() => 11,
            _ => 3,
        };
        segment.add(field, pl(encounter, &location["location"], known));
    }
    segment.add(4, cwe(&encounter["type"][0], Some(&tables::same("0007"))));
    for participant in items(encounter, "participant") {
        let told = participant["type"][0]["coding"][0]["code"].as_str();
        let field = PARTICIPANTS.iter().find(|(_, code)| Some(*code) == told);
        let field = field.map_or(OTHER_PARTICIPANTS, |(field, _)| *field);
        let doctor = match known.referred(encounter, &participant["individual"]) {
            Some(practitioner) => xcn(&practitioner, known.domains),
            // Who is only named.
            None => {
                let mut named = Value::default();
                named.set(2, participant["individual"]["display"].as_str());
                named
            }
        };
        segment.add(field, doctor);
    }
    segment.add(10, cwe(&encounter["serviceType"], Some(&tables::same("0069"))));
    let stay = &encounter["hospitalization"];
    segment.add(13, cwe(&stay["reAdmission"], Some(&tables::same("0092"))));
    segment.add(14, cwe(&stay["admitSource"], Some(&tables::same("0023"))));
    segment.add(36, cwe(&stay["dischargeDisposition"], Some(&tables::same("0112"))));
    let is_visit = |identifier: &&Json| identifier["type"]["coding"][0]["code"] == "VN";
    let identifiers: Vec<&Json> = items(encounter, "identifier").collect();
    let visit = identifiers.iter().copied().find(is_visit).or(identifiers.first().copied());
    for identifier in identifiers {
        let is_number = visit.is_some_and(|visit| std::ptr::eq(visit, identifier));
        let mut number = cx(identifier, known.domains);
        if is_number {
            number.set(5, identifier["type"]["coding"][0]["code"].as_str().or(Some("VN")));
        }
        segment.add(if is_number { 19 } else { 50 }, number);
    }
    segment.text(44, dtm(&encounter["period"]["start"]).as_deref());
    segment.text(45, dtm(&encounter["period"]["end"]).as_deref());
    segment
}

/// A Location and those around it, as PL.
fn pl(encounter: &Json, reference: &Json, known: &Known<'_>) -> Value {
    const DEPTH_MAX: usize = 8;
    let mut value = Value::default();
    let mut next = known.referred(encounter, reference);
    if next.is_none() {
        value.set(1, reference["display"].as_str());
    }
    for _ in 0..DEPTH_MAX {
        let Some(location) = next else { break };
        let kind = location["physicalType"]["coding"][0]["code"].as_str();
        let component =
            LEVELS.iter().find(|(_, of)| Some(*of) == kind).map_or(1, |(component, _)| *component);
        value.set(component, location["name"].as_str());
        value.set(9, location["description"].as_str());
        next = known.referred(&location, &location["partOf"]);
    }
    value
}
