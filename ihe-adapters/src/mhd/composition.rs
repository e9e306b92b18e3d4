//! The Composition of a FHIR document, as metadata.
//!
//! Spec: MHD 4.2, 2:3.106; <https://hl7.org/fhir/R4/documentreference-mappings.html>

use fhir_model::outcome::Issue;
use serde_json::{Map, Value, json};

use super::generate_metadata::{Generated, refused};
use crate::xds::fhir::URIS;

/// Reads a document.
///
/// # Errors
/// When the Bundle is no document, or has no identifier.
pub(super) fn read(bundle: &Value) -> Result<Generated, Issue> {
    let composition = &bundle["entry"][0]["resource"];
    if bundle["type"] != "document" || composition["resourceType"] != "Composition" {
        return Err(refused("the Bundle is no document: its first entry is a Composition"));
    }
    let unique_id = unique_id(&bundle["identifier"]);
    let unique_id = unique_id.ok_or_else(|| refused("the Bundle of a document has an identifier"))?;
    let mut reference = Map::new();
    let mut put = |element: &str, value: Value| {
        let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if !is_empty {
            reference.insert(element.to_owned(), value);
        }
    };
    put("type", composition["type"].clone());
    put("category", composition["category"].clone());
    if let Some(code) = composition["confidentiality"].as_str() {
        let system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
        put("securityLabel", json!([{ "coding": [{ "system": system, "code": code }] }]));
    }
    let patient = referred(bundle, &composition["subject"]);
    let identifier = patient.and_then(|patient| patient["identifier"].as_array()?.first().cloned());
    put(
        "subject",
        match identifier {
            Some(identifier) => json!({ "identifier": identifier }),
            None => composition["subject"].clone(),
        },
    );
    let mut contained = Vec::new();
    contained.extend(patient.map(|patient| within(patient, "source")));
    let authors = composition["author"].as_array().into_iter().flatten().enumerate();
    let authors: Vec<Value> = authors
        .filter_map(|(number, author)| {
            let id = format!("author{}", number + 1);
            let author = referred(bundle, author)?;
            // Who acts in a role refers to others, who are not taken along.
            let is_one = ["Practitioner", "Organization", "Device", "Patient", "RelatedPerson"]
                .iter()
                .any(|of| author["resourceType"] == *of);
            is_one.then(|| contained.push(within(author, &id)))?;
            Some(json!({ "reference": format!("#{id}") }))
        })
        .collect();
    put("author", Value::Array(authors));
    put("context", context(composition, patient.is_some()));
    put("contained", Value::Array(contained));
    let mut attachment = Map::new();
    for (element, value) in [
        ("title", &composition["title"]),
        ("creation", &composition["date"]),
        ("language", &composition["language"]),
    ] {
        if value.is_string() {
            attachment.insert(element.to_owned(), value.clone());
        }
    }
    Ok(Generated { unique_id, reference, attachment })
}

fn context(composition: &Value, has_patient: bool) -> Value {
    let mut context = Map::new();
    let event = &composition["event"][0];
    for (element, value) in [("event", &event["code"]), ("period", &event["period"])] {
        if !value.is_null() {
            context.insert(element.to_owned(), value.clone());
        }
    }
    if has_patient {
        context.insert("sourcePatientInfo".to_owned(), json!({ "reference": "#source" }));
    }
    if context.is_empty() { Value::Null } else { Value::Object(context) }
}

/// Returns the unique id that the identifier of a document is.
fn unique_id(identifier: &Value) -> Option<String> {
    let value = identifier["value"].as_str().filter(|value| !value.is_empty())?;
    match identifier["system"].as_str() {
        Some(URIS) => Some(value.trim_start_matches("urn:oid:").to_owned()),
        Some(system) => Some(format!("{}^{value}", system.strip_prefix("urn:oid:")?)),
        None => None,
    }
}

/// Finds what a reference of the document leads to in it.
fn referred<'b>(bundle: &'b Value, reference: &Value) -> Option<&'b Value> {
    let reference = reference["reference"].as_str()?;
    let mut entries = bundle["entry"].as_array()?.iter();
    let found = entries.find(|entry| {
        let full_url = entry["fullUrl"].as_str().unwrap_or_default();
        full_url == reference || full_url.ends_with(&format!("/{reference}"))
    });
    found.map(|entry| &entry["resource"])
}

/// Makes of a resource one that is contained.
fn within(resource: &Value, id: &str) -> Value {
    let mut resource = resource.clone();
    if let Some(members) = resource.as_object_mut() {
        for of_its_own in ["meta", "text", "managingOrganization", "generalPractitioner", "qualification"] {
            members.remove(of_its_own);
        }
    }
    resource["id"] = json!(id);
    resource
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read() {
        let bundle = json!({ "resourceType": "Bundle", "type": "document",
            "identifier": { "system": "urn:ietf:rfc:3986", "value": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0" },
            "entry": [
                { "fullUrl": "http://a/fhir/Composition/1", "resource": { "resourceType": "Composition", "title": "Lettera",
                    "type": { "coding": [{ "system": "http://loinc.org", "code": "34105-7" }] }, "date": "2026-01-02",
                    "confidentiality": "N", "subject": { "reference": "Patient/1" }, "author": [{ "reference": "urn:uuid:2" }] } },
                { "fullUrl": "http://a/fhir/Patient/1", "resource": { "resourceType": "Patient", "id": "1", "text": {},
                    "identifier": [{ "system": "urn:oid:1.2.3", "value": "P1" }] } },
                { "fullUrl": "urn:uuid:2", "resource": { "resourceType": "Practitioner", "name": [{ "family": "Verdi" }] } },
            ] });
        let generated = read(&bundle).expect("a document");
        assert_eq!(generated.unique_id, "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0");
        let reference = Value::Object(generated.reference);
        assert_eq!(reference["subject"]["identifier"]["value"], "P1");
        assert_eq!(
            (&reference["contained"][0]["id"], &reference["contained"][0]["text"]),
            (&json!("source"), &Value::Null)
        );
        assert_eq!(reference["author"], json!([{ "reference": "#author1" }]));
        assert_eq!(
            Value::Object(generated.attachment),
            json!({ "title": "Lettera", "creation": "2026-01-02" })
        );
        for (pointer, value) in [("/type", json!("collection")), ("/identifier", Value::Null)] {
            let mut other = bundle.clone();
            *other.pointer_mut(pointer).expect("there") = value;
            assert!(read(&other).is_err(), "{pointer}");
        }
    }
}
