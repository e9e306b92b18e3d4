//! XAD and SAD: addresses, as Address.
//!
//! Spec: HL7 v2.5.1 sections 2.A.85, 2.A.64

use serde_json::{Map, Value as Json, json};

use super::coded::put_code;
use super::{dtm, push, put};
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::As;
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::tables;
use crate::hl7v2::map::work::Work;

/// An address.
pub(in crate::hl7v2) const XAD: As = As::Of(address);

/// The extensions that tell the parts of the first line.
pub(in crate::hl7v2) const LINE_PARTS: &[(usize, &str)] = &[
    (2, "http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-streetName"),
    (3, "http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-houseNumber"),
];

/// The extension that tells the census tract.
pub(in crate::hl7v2) const CENSUS_TRACT: &str =
    "http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-censusTract";

fn address(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let mut address = Map::new();
    let kind = value.part(7);
    let is_type = kind.and_then(Value::peek).is_some_and(|code| tables::ADDRESS_TYPE.code(&code).is_some());
    match is_type {
        true => put_code(&mut address, "type", kind, &tables::ADDRESS_TYPE),
        false => put_code(&mut address, "use", kind, &tables::ADDRESS_USE),
    }
    let is_empty = address.is_empty();
    let before = address.len();
    lines(&mut address, value);
    for (part, element) in [(3, "city"), (9, "district"), (4, "state"), (5, "postalCode"), (6, "country")] {
        put(&mut address, element, value.text_of(part));
    }
    if let Some(tract) = value.text_of(10) {
        push(&mut address, "extension", json!({ "url": CENSUS_TRACT, "valueString": tract }));
    }
    let holds_a_place = is_empty && !address.is_empty() || address.len() > before;
    if !holds_a_place {
        return None;
    }
    let (from, until) = (value.part(13), value.part(14));
    let period = match value.part(12) {
        Some(range) if from.is_none() && until.is_none() => dtm::period(work, range.part(1), range.part(2)),
        _ => dtm::period(work, from, until),
    };
    put(&mut address, "period", period);
    Some(Json::Object(address))
}

fn lines(address: &mut Map<String, Json>, value: Value<'_>) {
    let street = value.part(1);
    let parts: Vec<(&str, String)> =
        LINE_PARTS.iter().filter_map(|(part, url)| Some((*url, street?.text_of(*part)?))).collect();
    let whole = street.and_then(Value::text).or_else(|| {
        let texts: Vec<&str> = parts.iter().map(|(_, text)| text.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join(" "))
    });
    if let Some(whole) = whole {
        push(address, "line", json!(whole));
        if !parts.is_empty() {
            let told: Vec<Json> =
                parts.iter().map(|(url, text)| json!({ "url": url, "valueString": text })).collect();
            push(address, "_line", json!({ "extension": told }));
        }
    }
    for text in [2, 19].into_iter().filter_map(|part| value.text_of(part)) {
        push(address, "line", json!(text));
        if let Some(beside) = address.get_mut("_line").and_then(Json::as_array_mut) {
            beside.push(Json::Null);
        }
    }
}
