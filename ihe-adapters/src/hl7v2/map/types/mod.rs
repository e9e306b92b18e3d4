//! Data types of HL7 v2, as data types of FHIR: one file for each.
//!
//! Spec: HL7 v2-to-FHIR, data type maps; HL7 v2.5.1 chapter 2.A

pub(in crate::hl7v2) mod coded;
pub(in crate::hl7v2) mod cx;
pub(in crate::hl7v2) mod dtm;
pub(in crate::hl7v2) mod ed;
pub(in crate::hl7v2) mod ei;
pub(in crate::hl7v2) mod hd;
pub(in crate::hl7v2) mod pl;
pub(in crate::hl7v2) mod quantity;
pub(in crate::hl7v2) mod text;
pub(in crate::hl7v2) mod xad;
pub(in crate::hl7v2) mod xcn;
pub(in crate::hl7v2) mod xon;
pub(in crate::hl7v2) mod xpn;
pub(in crate::hl7v2) mod xtn;

use serde_json::{Map, Value as Json, json};

/// Puts a value into an object when there is one.
fn put(object: &mut Map<String, Json>, name: &str, value: Option<impl Into<Json>>) {
    if let Some(value) = value {
        object.insert(name.to_owned(), value.into());
    }
}

/// Adds an item to a list of an object.
fn push(object: &mut Map<String, Json>, name: &str, item: Json) {
    if let Some(items) = object.entry(name).or_insert_with(|| json!([])).as_array_mut() {
        items.push(item);
    }
}

/// Adds an extension of a text to an object, when there is one.
fn extend(object: &mut Map<String, Json>, url: &str, text: Option<String>) {
    if let Some(text) = text {
        push(object, "extension", json!({ "url": url, "valueString": text }));
    }
}

/// Returns an object that holds something.
fn filled(object: Map<String, Json>) -> Option<Json> {
    (!object.is_empty()).then_some(Json::Object(object))
}
