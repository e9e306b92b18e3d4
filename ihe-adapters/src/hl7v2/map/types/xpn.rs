//! XPN and FN: names of persons, as HumanName.
//!
//! Spec: HL7 v2.5.1 sections 2.A.88, 2.A.30

use serde_json::{Map, Value as Json, json};

use super::coded::put_code;
use super::{dtm, filled, push};
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::As;
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::tables;
use crate::hl7v2::map::work::Work;

/// A name.
pub(in crate::hl7v2) const XPN: As = As::Of(name);

/// A name, as a text.
pub(in crate::hl7v2) const XPN_TEXT: As = As::Of(text);

/// Where the parts of a name stand.
pub(super) struct Places {
    pub(super) family: usize,
    pub(super) given: [usize; 2],
    pub(super) prefix: usize,
    pub(super) suffixes: &'static [usize],
    /// Its type, its assembly order, from and until when: 0 for none.
    pub(super) name_type: usize,
    pub(super) order: usize,
    pub(super) range: usize,
    pub(super) from: usize,
    pub(super) until: usize,
}

const PLACES: Places = Places {
    family: 1,
    given: [2, 3],
    prefix: 5,
    suffixes: &[4, 6, 14],
    name_type: 7,
    order: 11,
    range: 10,
    from: 12,
    until: 13,
};

/// The parts of a family name, and the extensions that tell them apart.
pub(in crate::hl7v2) const FAMILY_PARTS: &[(usize, &str)] = &[
    (2, "http://hl7.org/fhir/StructureDefinition/humanname-own-prefix"),
    (3, "http://hl7.org/fhir/StructureDefinition/humanname-own-name"),
    (4, "http://hl7.org/fhir/StructureDefinition/humanname-partner-prefix"),
    (5, "http://hl7.org/fhir/StructureDefinition/humanname-partner-name"),
];

/// The extension that tells in which order a name is written.
pub(in crate::hl7v2) const ASSEMBLY_ORDER: &str =
    "http://hl7.org/fhir/StructureDefinition/humanname-assembly-order";

fn name(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    of(work, value, &PLACES)
}

pub(super) fn of(work: &Work<'_>, value: Value<'_>, places: &Places) -> Option<Json> {
    let mut name = Map::new();
    if let Some(family) = value.part(places.family) {
        let whole = family.text();
        for (part, url) in FAMILY_PARTS {
            if let Some(text) = family.text_of(*part) {
                let beside = name.entry("_family").or_insert_with(|| json!({ "extension": [] }));
                if let Some(beside) = beside.as_object_mut() {
                    push(beside, "extension", json!({ "url": url, "valueString": text }));
                }
            }
        }
        if let Some(whole) = whole {
            name.insert("family".to_owned(), json!(whole));
        }
    }
    for (element, parts) in
        [("given", &places.given[..]), ("prefix", &[places.prefix]), ("suffix", places.suffixes)]
    {
        for text in parts.iter().filter_map(|part| value.text_of(*part)) {
            push(&mut name, element, json!(text));
        }
    }
    if name.is_empty() {
        return None;
    }
    put_code(&mut name, "use", value.part(places.name_type), &tables::NAME_USE);
    if let Some(order) = value.part(places.order)
        && let Some(code) = order.peek().and_then(|code| tables::ASSEMBLY_ORDER.code(&code))
    {
        order.note_all();
        push(&mut name, "extension", json!({ "url": ASSEMBLY_ORDER, "valueCode": code }));
    }
    let (from, until) = (value.part(places.from), value.part(places.until));
    let period = match value.part(places.range) {
        Some(range) if from.is_none() && until.is_none() => dtm::period(work, range.part(1), range.part(2)),
        _ => dtm::period(work, from, until),
    };
    if let Some(period) = period {
        name.insert("period".to_owned(), period);
    }
    filled(name)
}

fn text(_: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let parts: Vec<String> = [5, 2, 3, 1, 4, 6].into_iter().filter_map(|part| value.text_of(part)).collect();
    (!parts.is_empty()).then(|| json!(parts.join(" ")))
}
