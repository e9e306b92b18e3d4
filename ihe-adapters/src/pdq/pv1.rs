//! PV1: a visit as it is told.
//!
//! Spec: HL7 v2.5 section 3.4.3, ITI TF-2 3.22.4.2.2.7, HL7 v2-to-FHIR (PV1, PL, XCN) read backwards

use serde_json::Value;

use super::pid::time;
use super::visits::{Referred, Visit};
use crate::pix::Identifier;
use crate::pix::cx::cx;
use crate::pix::domains::Domains;
use crate::wire::hl7v2::compose::{components, repetitions};
use crate::wire::hl7v2::delimiters::Delimiters;
use crate::wire::hl7v2::segment::Segment;

/// Patient class (table 0004) and the class of an Encounter.
pub(super) const CLASSES: &[(&str, &str)] = &[("E", "EMER"), ("I", "IMP"), ("O", "AMB"), ("P", "PRENC")];
/// Places from the outside to the inside: component of PL, physical type.
pub(super) const LEVELS: &[(usize, &str)] =
    &[(4, "si"), (7, "bu"), (1, ""), (8, "lvl"), (2, "ro"), (3, "bd")];
/// Doctors: field, type of participant.
pub(super) const PARTICIPANTS: &[(usize, &str)] = &[(7, "ATND"), (8, "REF"), (9, "CON"), (17, "ADM")];
/// How deep places are within each other.
const DEPTH: usize = 8;

/// Writes a PV1; `None`: no visit is known.
pub fn pv1(visit: Option<&Visit>, referred: &Referred, domains: &Domains, by: &Delimiters) -> Segment {
    let mut segment = Segment::new("PV1", by).with(1, "1");
    let Some(Visit { encounter }) = visit else { return segment.with(2, "N") };
    let class = encounter["class"]["code"].as_str().unwrap_or("U");
    let code = CLASSES.iter().find(|(_, of_fhir)| *of_fhir == class).map(|(code, _)| *code);
    // The other codes of table 0004 have one letter in FHIR, too.
    let code = code.unwrap_or(if class.len() == 1 { class } else { "U" });
    segment = segment.with(2, code);
    segment.set_written(3, &place(encounter, referred, by));
    for (field, code) in PARTICIPANTS {
        let doctors: Vec<String> =
            participants(encounter, code).map(|of| xcn(of, referred, domains, by)).collect();
        if !doctors.is_empty() {
            segment.set_written(*field, &repetitions(&doctors, by));
        }
    }
    if let Some(service) = encounter["serviceType"]["coding"][0]["code"].as_str() {
        segment = segment.with(10, service);
    }
    let number = &encounter["identifier"][0];
    if let Some(value) = number["value"].as_str() {
        let identifier = Identifier::new(number["system"].as_str().unwrap_or_default(), value);
        segment.set_written(19, &cx(&identifier, Some("VN"), domains, by));
    }
    for (field, end) in [(44, "start"), (45, "end")] {
        if let Some(at) = encounter["period"][end].as_str() {
            segment.set_written(field, &time(at));
        }
    }
    segment
}

/// Writes where the patient is, or was.
fn place(encounter: &Value, referred: &Referred, by: &Delimiters) -> String {
    let all = items(&encounter["location"]);
    let active = all.iter().rev().find(|of| of["status"] == "active");
    let Some(location) = active.or(all.last()).map(|of| &of["location"]) else { return String::new() };
    let mut parts: [String; 9] = Default::default();
    let mut next = location["reference"].as_str();
    if next.is_none_or(|next| !referred.contains_key(next)) {
        return components(&[location["display"].as_str().unwrap_or_default()], by);
    }
    for _ in 0..DEPTH {
        let Some(place) = next.and_then(|next| referred.get(next)) else { break };
        let kind = place["physicalType"]["coding"][0]["code"].as_str().unwrap_or_default();
        let level = LEVELS.iter().find(|(_, of)| *of == kind).or(LEVELS.iter().find(|(_, of)| of.is_empty()));
        let part = level.and_then(|(component, _)| parts.get_mut(component - 1));
        if let Some(part) = part.filter(|part| part.is_empty()) {
            place["name"].as_str().unwrap_or_default().clone_into(part);
        }
        next = place["partOf"]["reference"].as_str();
    }
    components(&parts.iter().map(String::as_str).collect::<Vec<&str>>(), by)
}

fn participants<'e>(encounter: &'e Value, code: &'e str) -> impl Iterator<Item = &'e Value> {
    let is_of_type = move |of: &&Value| {
        let mut codes = items(&of["type"]).iter().flat_map(|kind| items(&kind["coding"]));
        codes.any(|coding| coding["code"] == code)
    };
    items(&encounter["participant"]).iter().filter(is_of_type).map(|of| &of["individual"])
}

/// Writes a doctor.
fn xcn(individual: &Value, referred: &Referred, domains: &Domains, by: &Delimiters) -> String {
    let reference = individual["reference"].as_str().unwrap_or_default();
    let Some(doctor) = referred.get(reference) else {
        return components(&["", individual["display"].as_str().unwrap_or_default()], by);
    };
    let (name, identifier) = (&doctor["name"][0], &doctor["identifier"][0]);
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    let given: Vec<&str> = items(&name["given"]).iter().filter_map(Value::as_str).collect();
    let (first, others) = given.split_first().map_or(("", &[][..]), |(first, others)| (*first, others));
    let prefix = text(&name["prefix"][0]);
    let id = text(&identifier["value"]);
    let mut written = components(&[&id, &text(&name["family"]), first, &others.join(" "), "", &prefix], by);
    if let Some(system) = identifier["system"].as_str().filter(|_| !id.is_empty()) {
        // The authority is the ninth component of XCN, and the fourth of CX.
        let as_cx = cx(&Identifier::new(system, ""), None, domains, by);
        let authority = as_cx.split(by.component).nth(3).unwrap_or_default().to_owned();
        let before = written.matches(by.component).count();
        written.extend(std::iter::repeat_n(by.component, 8_usize.saturating_sub(before)));
        written.push_str(&authority);
    }
    written
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_visit_is_told() {
        let located = |name: &str, kind: &str, around: Option<&str>| {
            let part_of = around.map(|around| json!({ "reference": around }));
            json!({ "name": name, "physicalType": { "coding": [{ "code": kind }] }, "partOf": part_of })
        };
        let referred = Referred::from([
            ("Location/w".to_owned(), json!({ "name": "CARD", "partOf": { "reference": "Location/s" } })),
            ("Location/s".to_owned(), located("H1", "si", None)),
            ("Location/r".to_owned(), located("389", "ro", Some("Location/w"))),
            ("Location/b".to_owned(), located("2", "bd", Some("Location/r"))),
            (
                "Practitioner/1".to_owned(),
                json!({ "identifier": [{ "system": "urn:oid:1.5", "value": "D7" }],
                        "name": [{ "family": "Bruno", "given": ["Anna", "Eva"] }] }),
            ),
        ]);
        let doctor = |code: &str, individual: Value| json!({ "type": [{ "coding": [{ "code": code }] }], "individual": individual });
        let encounter = json!({
            "class": { "code": "IMP" },
            "identifier": [{ "system": "urn:oid:1.6", "value": "V1" }],
            "location": [{ "location": { "reference": "Location/w" }, "status": "completed" },
                         { "location": { "reference": "Location/b" }, "status": "active" }],
            "participant": [doctor("ATND", json!({ "reference": "Practitioner/1" })), doctor("ADM", json!({ "display": "Verdi" }))],
            "serviceType": { "coding": [{ "code": "MED" }] },
            "period": { "start": "2026-01-02T03:04:05+01:00", "end": "2026-01-09" },
        });
        let written = pv1(Some(&Visit { encounter }), &referred, &Domains::default(), &Delimiters::default());
        let mut fields = vec![""; 46];
        fields[0] = "PV1";
        for (field, text) in [
            (1, "1"),
            (2, "I"),
            (3, "CARD^389^2^H1"),
            (7, "D7^Bruno^Anna^Eva^^^^^&1.5&ISO"),
            (10, "MED"),
            (17, "^Verdi"),
            (19, "V1^^^&1.6&ISO^VN"),
            (44, "20260102030405+0100"),
            (45, "20260109"),
        ] {
            fields[field] = text;
        }
        assert_eq!(written.text(), fields.join("|"));
        let none = pv1(None, &referred, &Domains::default(), &Delimiters::default());
        assert_eq!(none.text(), "PV1|1|N");
    }
}
