//! Persons as HL7 v3 has them, as Patients, and back.
//!
//! What a table has no place for is told by its place in the message, so that
//! it can be kept.
//!
//! Spec: ITI TF-2 3.44.4.1.2, 3.47.4.2.2; <https://hl7.org/fhir/R4/patient-mappings.html>

mod addresses;
mod codes;
mod contacts;
mod from_fhir;
mod identifiers;
mod names;
mod patient;
mod unmapped;

use serde_json::{Map, Value, json};

pub(crate) use addresses::{address, contact_point};
pub use from_fhir::{Identified, patient_element, with_degree};
pub use identifiers::{identifier, instance_identifier};
pub use patient::{Mapped, patient};

use crate::wire::hl7v3::time::{self, Interval};

/// The base of the extensions of FHIR itself.
const EXTENSIONS: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Returns the code of FHIR of an administrative gender.
pub(crate) fn gender(code: &str) -> Option<&'static str> {
    codes::fhir_of(codes::GENDERS, code)
}

/// Returns where somebody is said to be born: names of places, and cities.
pub(crate) fn birth_places(patient: &Value) -> Vec<String> {
    let url = format!("{EXTENSIONS}patient-birthPlace");
    let born = extensions(patient, &url).filter_map(|extension| extension.get("valueAddress"));
    let texts = born.flat_map(|born| [born["text"].as_str(), born["city"].as_str()]);
    texts.flatten().map(str::to_owned).collect()
}

/// Writes an extension with a text or code.
fn extension(url: &str, member: &str, text: &str) -> Value {
    let mut extension = Map::new();
    extension.insert("url".to_owned(), json!(url));
    extension.insert(member.to_owned(), json!(text));
    Value::Object(extension)
}

/// Returns the extensions of a URL.
fn extensions<'v>(of: &'v Value, url: &'v str) -> impl Iterator<Item = &'v Value> {
    of["extension"].as_array().into_iter().flatten().filter(move |e| e["url"].as_str() == Some(url))
}

/// Returns the texts and codes of the extensions of a URL.
fn extension_texts<'v>(of: &'v Value, url: &'v str) -> impl Iterator<Item = &'v str> {
    extensions(of, url).filter_map(|e| e["valueString"].as_str().or_else(|| e["valueCode"].as_str()))
}

/// Writes an interval as a Period; `None` when no bound of it is known.
fn period(interval: &Interval) -> Option<Value> {
    let bound = |value: &Option<String>| value.as_deref().and_then(time::to_fhir).map(|(text, _)| text);
    let mut period = Map::new();
    for (member, value) in [("start", &interval.low), ("end", &interval.high)] {
        if let Some(text) = bound(value) {
            period.insert(member.to_owned(), json!(text));
        }
    }
    (!period.is_empty()).then_some(Value::Object(period))
}

/// Reads a Period.
fn time_interval(period: &Value) -> Interval {
    let bound = |member: &str| period[member].as_str().and_then(time::from_fhir);
    Interval { low: bound("start"), high: bound("end"), value: None }
}

#[cfg(test)]
mod tests;
