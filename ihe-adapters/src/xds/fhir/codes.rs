//! Codes: a classification with its coding scheme, and a Coding.

use fhir_model::schema::{NameId, name};
use fhir_model::tree::Element;
use serde_json::{Map, Value, json};

use super::{as_sent, put_localized, read_localized, read_slots, sent, slots};
use crate::wire::ebrim::{Classification, Slot};
use crate::xds::values::is_oid;

const CODING_SCHEME: &str = "codingScheme";

/// Writes a code as a Coding.
pub(super) fn coding(code: &Classification) -> Value {
    let mut coding = Map::new();
    let others = code.slots.iter().filter(|slot| slot.name != CODING_SCHEME);
    let mut extensions = slots(others);
    if let Some(scheme) = code.slot(CODING_SCHEME).first() {
        let system = if is_oid(scheme) { format!("urn:oid:{scheme}") } else { scheme.clone() };
        // A system of FHIR is a URI, without blanks; and an OID is written as one.
        let is_exact = !system.contains(char::is_whitespace) && (is_oid(scheme) || !is_oid_urn(scheme));
        if !is_exact {
            extensions.push(super::extension("coding-scheme", "valueString", scheme.as_str()));
        }
        let system: String = system.chars().filter(|c| !c.is_whitespace()).collect();
        if !system.is_empty() {
            coding.insert("system".to_owned(), json!(system));
        }
    }
    if !extensions.is_empty() {
        coding.insert("extension".to_owned(), Value::Array(extensions));
    }
    // A code of FHIR has single blanks at most.
    let words: Vec<&str> = code.representation.split_whitespace().collect();
    let made = words.join(" ");
    if !made.is_empty() {
        if let Some(sent) = as_sent(&code.representation, Some(&made)) {
            coding.insert("_code".to_owned(), json!({ "extension": [sent] }));
        }
        coding.insert("code".to_owned(), json!(made));
    }
    put_localized(&mut coding, "display", &code.name);
    Value::Object(coding)
}

fn is_oid_urn(text: &str) -> bool {
    text.strip_prefix("urn:oid:").is_some_and(is_oid)
}

/// Writes a code as a CodeableConcept.
pub(super) fn concept(code: &Classification) -> Value {
    json!({ "coding": [coding(code)] })
}

/// Reads a Coding as a code of a scheme.
pub(super) fn read_coding(coding: Element<'_>, scheme: &str) -> Classification {
    let mut slots = read_slots(coding);
    let exact = super::value_of(coding, "coding-scheme");
    let system = coding.text_of(name::SYSTEM);
    let system = exact.or(system.map(|s| if is_oid_urn(s) { s.trim_start_matches("urn:oid:") } else { s }));
    slots.extend(system.map(|system| Slot {
        name: CODING_SCHEME.to_owned(),
        slot_type: None,
        values: vec![system.to_owned()],
    }));
    Classification {
        scheme: Some(scheme.to_owned()),
        representation: read_code(coding),
        name: read_localized(coding, name::DISPLAY),
        slots,
        ..Classification::default()
    }
}

fn read_code(coding: Element<'_>) -> String {
    let Some(code) = coding.child(name::CODE) else { return String::new() };
    let made = code.value().unwrap_or_default();
    let sent = sent(code).filter(|sent| sent.split_whitespace().eq(made.split_whitespace()));
    sent.unwrap_or(made).to_owned()
}

/// Reads the concepts of an element as codes of a scheme: the first Coding of each.
pub(super) fn read_concepts<'r>(
    parent: Element<'r>,
    element: NameId,
    scheme: &'static str,
) -> impl Iterator<Item = Classification> + use<'r> {
    let codings = parent.children_named(element).filter_map(|concept| concept.child(name::CODING));
    codings.map(move |coding| read_coding(coding, scheme))
}
