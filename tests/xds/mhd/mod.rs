//! MHD: documents by FHIR REST. What is submitted, and what is told of it.

mod found;
mod provided;
mod rules;

use serde_json::{Value, json};

use super::peer::*;

pub(super) const MHD: &str = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/";
pub(super) const HELLO_SHA1: &str = "qvTGHdzF6KLavt4PO0gs2a6pQ00=";

pub(super) fn uri(value: &str) -> Value {
    json!({ "system": "urn:ietf:rfc:3986", "value": value })
}

pub(super) fn concept(code: &str) -> Value {
    json!({ "coding": [{ "system": "urn:oid:1.2.3.4", "code": code }] })
}

pub(super) fn extension(name: &str, value_type: &str, value: Value) -> Value {
    json!({ "url": format!("{MHD}{name}"), value_type: value })
}

pub(super) fn full_url(number: u32) -> String {
    format!("urn:uuid:00000000-0000-4000-8000-{number:012}")
}

pub(super) fn entry(number: u32, resource: Value) -> Value {
    let url = resource["resourceType"].clone();
    json!({ "fullUrl": full_url(number), "resource": resource, "request": { "method": "POST", "url": url } })
}

/// A submission of one document with all that a registry asks for: the
/// submission set, the document, its bytes.
pub(super) fn submission(level: &str, unique_id: &str) -> Value {
    let set = json!({ "resourceType": "List", "status": "current", "mode": "working",
        "extension": [
            extension("ihe-designationType", "valueCodeableConcept", concept("ADMISSION")),
            extension("ihe-sourceId", "valueIdentifier", json!({ "value": "urn:oid:1.2.3.9" })),
        ],
        "identifier": [{ "use": "usual", "system": "urn:ietf:rfc:3986", "value": format!("urn:oid:{unique_id}.9") }],
        "code": { "coding": [{ "system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "code": "submissionset" }] },
        "subject": { "reference": "Patient/p1" }, "date": "2026-11-24T10:00:00+01:00",
        "entry": [{ "item": { "reference": full_url(2) } }] });
    let document = json!({ "resourceType": "DocumentReference", "status": "current",
        "masterIdentifier": uri(&format!("urn:oid:{unique_id}")),
        "contained": [{ "resourceType": "Patient", "id": "source", "name": [{ "family": "Rossi", "given": ["Maria"] }],
            "identifier": [{ "system": "urn:oid:1.9", "value": "S1" }] }],
        "type": concept("TYPE"), "category": [concept("CLASS")], "securityLabel": [concept("N")],
        "subject": { "reference": "Patient/p1" },
        "content": [{ "attachment": { "contentType": "text/plain", "language": "it-IT", "url": full_url(3),
                "title": format!("Referto {unique_id}"), "creation": "2026-01-02" },
            "format": { "system": "urn:oid:1.2.3.4", "code": "FORMAT" } }],
        "context": { "facilityType": concept("FACILITY"), "practiceSetting": concept("SETTING"),
            "sourcePatientInfo": { "reference": "#source" } } });
    let bytes = json!({ "resourceType": "Binary", "contentType": "text/plain", "data": "aGVsbG8=" });
    json!({ "resourceType": "Bundle", "type": "transaction",
        "meta": { "profile": [format!("{MHD}IHE.MHD.{level}.ProvideBundle")] },
        "entry": [entry(1, set), entry(2, document), entry(3, bytes)] })
}

pub(super) fn folder(unique_id: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|m| json!({ "item": { "reference": m } })).collect();
    json!({ "resourceType": "List", "status": "current", "mode": "working", "title": "Ricovero",
        "extension": [extension("ihe-designationType", "valueCodeableConcept", concept("FOLDER"))],
        "identifier": [{ "use": "usual", "system": "urn:ietf:rfc:3986", "value": format!("urn:oid:{unique_id}") }],
        "code": { "coding": [{ "system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "code": "folder" }] },
        "subject": { "reference": "Patient/p1" }, "entry": members })
}

pub(super) fn post(peer: &Peer, bundle: &Value) -> (u16, Value) {
    let answer = peer.fhir.json("POST", "", &[], bundle).expect("an answer");
    (answer.status, answer.json())
}

/// Provides a submission that is taken; returns where its entries are.
pub(super) fn provided(peer: &Peer, bundle: &Value) -> Vec<String> {
    let (status, answer) = post(peer, bundle);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["type"], "transaction-response");
    let entries = answer["entry"].as_array().expect("entries");
    assert_eq!(entries.len(), bundle["entry"].as_array().expect("entries").len());
    let place = |entry: &Value| {
        let location = entry["response"]["location"].as_str().expect("a location");
        let (_, place) = location.split_once("/fhir/").expect("a place");
        place.split("/_history").next().unwrap_or(place).to_owned()
    };
    entries.iter().map(place).collect()
}

pub(super) fn remove(value: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = value.pointer_mut(parent).expect("there");
    match parent {
        Value::Array(items) => _ = items.remove(name.parse().expect("a number")),
        _ => _ = parent.as_object_mut().expect("an object").remove(name).expect("there"),
    }
}

/// A change of a submission.
pub(super) enum Change {
    Remove(&'static str),
    Put(&'static str, Value),
    Add(Value),
}

pub(super) fn changed(mut bundle: Value, changes: Vec<Change>) -> Value {
    for change in changes {
        match change {
            Change::Remove(pointer) => remove(&mut bundle, pointer),
            Change::Put(pointer, value) => {
                let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
                let parent = bundle.pointer_mut(parent).expect("there");
                match parent {
                    Value::Array(items) => items.push(value),
                    parent => parent[name] = value,
                }
            }
            Change::Add(entry) => bundle["entry"].as_array_mut().expect("entries").push(entry),
        }
    }
    bundle
}

/// What is told of a refusal: the codes, and where.
pub(super) fn told(answer: &Value) -> Vec<(String, String)> {
    let issues = answer["issue"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    issues
        .map(|issue| {
            let detail = text(&issue["details"]["coding"][0]["code"]);
            let code = if detail.is_empty() { text(&issue["code"]) } else { detail };
            (code, text(&issue["expression"][0]))
        })
        .collect()
}
