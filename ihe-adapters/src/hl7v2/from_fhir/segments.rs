//! The segments that several messages have.

use serde_json::Value as Json;

use super::person::demographics;
use super::types::{cwe, cx, dtm, xcn, xpn};
use super::write::{Segment, Value};
use super::{Envelope, Known};
use crate::hl7v2::map::tables;
use crate::pix::domains::{Domains, Kind};

/// What a message is.
pub(super) struct Structure<'s> {
    /// The message code.
    pub(super) code: &'static str,
    /// The trigger event.
    pub(super) event: &'s str,
    /// The structure.
    pub(super) structure: &'static str,
    /// The version of HL7 v2.
    pub(super) version: &'static str,
}

/// MSH.
pub(super) fn msh(envelope: &Envelope, structure: &Structure<'_>) -> Segment {
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
    for (at, text) in [structure.code, structure.event, structure.structure].iter().enumerate() {
        kind.set(at + 1, Some(text));
    }
    segment.add(9, kind);
    for (field, text) in [(11, "P"), (12, structure.version), (18, "UNICODE UTF-8")] {
        segment.text(field, Some(text));
    }
    segment
}

/// EVN.
pub(super) fn evn(event: &str, envelope: &Envelope) -> Segment {
    let mut segment = Segment::new("EVN");
    segment.text(1, Some(event));
    segment.text(2, dtm(&Json::from(envelope.at.as_str())).as_deref());
    segment
}

/// MRG: who was merged away. Of several identifiers the first is the one that counts: that of
/// his source.
pub(super) fn mrg(prior: &Json, known: &Known<'_>) -> Segment {
    let mut segment = Segment::new("MRG");
    let mut identifiers: Vec<&Json> = known_identifiers(prior, known.domains).collect();
    identifiers.sort_by_key(|identifier| {
        let system = identifier["system"].as_str().unwrap_or_default();
        known.domains.by_system(system).is_none_or(|domain| domain.kind != Kind::Local)
    });
    for identifier in identifiers {
        segment.add(1, cx(identifier, known.domains));
    }
    segment.add(7, xpn(&prior["name"][0]));
    segment
}

/// Tells whether a patient has an identifier by which others may know him, of these systems;
/// of any where there are none.
pub fn has_identifier(patient: &Json, systems: &[String], domains: &Domains) -> bool {
    known_identifiers(patient, domains).any(|identifier| {
        systems.is_empty() || systems.iter().any(|system| identifier["system"] == system.as_str())
    })
}

/// Returns the identifiers in use that are of a domain which is known.
fn known_identifiers<'j>(patient: &'j Json, domains: &Domains) -> impl Iterator<Item = &'j Json> {
    items(patient, "identifier").filter(move |identifier| {
        let system = identifier["system"].as_str();
        let is_known = system.is_some_and(|system| domains.by_system(system).is_some());
        is_known && identifier["use"] != "old" && identifier["value"].is_string()
    })
}

pub(super) fn items<'j>(resource: &'j Json, element: &str) -> impl Iterator<Item = &'j Json> {
    resource[element].as_array().into_iter().flatten()
}

/// PID.
pub(super) fn pid(patient: &Json, known: &Known<'_>) -> Segment {
    let mut segment = Segment::new("PID");
    segment.text(1, Some("1"));
    // What is not in use any more nobody is known by.
    for identifier in items(patient, "identifier").filter(|identifier| identifier["use"] != "old") {
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
