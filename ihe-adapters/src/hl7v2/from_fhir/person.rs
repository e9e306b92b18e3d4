//! Who somebody is, as PID tells it: all but the identifiers by which he is known.

use serde_json::Value as Json;

use super::segments::items;
use super::types::{code, cwe, dtm, extension, xad, xpn, xtn};
use super::write::{Segment, Value};
use crate::hl7v2::map::segments::pid;
use crate::hl7v2::map::tables;
use crate::pix::groups;

/// Writes what is known of somebody into a PID.
pub(super) fn demographics(segment: &mut Segment, patient: &Json) {
    let mut names = items(patient, "name").map(xpn).filter(|name| !name.is_empty()).peekable();
    let is_named = names.peek().is_some();
    names.for_each(|name| segment.add(5, name));
    if !is_named {
        // There has to be one; what its type says is that it is not told.
        let mut unspecified = Value::default();
        unspecified.set(7, Some("U"));
        segment.add(5, unspecified);
    }
    let mother = extension(patient, pid::MOTHERS_MAIDEN_NAME).and_then(Json::as_str);
    segment.text(6, mother);
    let birth_time = extension(&patient["_birthDate"], pid::BIRTH_TIME);
    segment.text(7, dtm(birth_time.unwrap_or(&patient["birthDate"])).as_deref());
    segment.text(8, code(patient, "gender", &tables::SEX));
    for (field, group) in [(10, groups::RACE), (22, groups::ETHNICITY)] {
        group.codings(patient).for_each(|coding| segment.add(field, of_group(coding)));
    }
    for address in items(patient, "address") {
        segment.add(11, xad(address));
    }
    for point in items(patient, "telecom") {
        let field = match point["use"].as_str() {
            Some("work") => 14,
            // PID-40 is for any, and of later versions.
            _ => 13,
        };
        segment.add(field, xtn(point));
    }
    let preferred = items(patient, "communication").find(|of| of["preferred"] == true);
    let language = preferred.unwrap_or(&patient["communication"][0]);
    segment.add(15, cwe(&language["language"], Some(&tables::same("0296"))));
    segment.add(16, cwe(&patient["maritalStatus"], Some(&tables::MARITAL_STATUS)));
    if let Some(religion) = extension(patient, pid::RELIGION) {
        segment.add(17, cwe(religion, Some(&tables::same("0006"))));
    }
    let place = extension(patient, pid::BIRTH_PLACE);
    segment.text(23, place.and_then(|place| place["text"].as_str().or(place["city"].as_str())));
    if let Some(order) = patient["multipleBirthInteger"].as_u64() {
        segment.text(25, Some(&order.to_string()));
    }
    segment.text(24, flag(&patient["multipleBirthBoolean"]));
    for (field, url) in [(26, pid::CITIZENSHIP), (28, pid::NATIONALITY)] {
        for told in items(patient, "extension").filter(|told| told["url"] == url) {
            segment.add(field, cwe(&told["extension"][0]["valueCodeableConcept"], None));
        }
    }
    segment.text(29, dtm(&patient["deceasedDateTime"]).as_deref());
    segment.text(30, flag(&patient["deceasedBoolean"]));
}

fn flag(value: &Json) -> Option<&'static str> {
    value.as_bool().map(|is_so| if is_so { "Y" } else { "N" })
}

/// A race or ethnic group; the system of its code is that of the field.
fn of_group(coding: &Json) -> Value {
    let mut value = Value::default();
    value.set(1, coding["code"].as_str());
    value.set(2, coding["display"].as_str());
    value
}
