//! MHD: documents by FHIR REST, held to its profiles.

use serde_json::{Value, json};

use super::peer::*;

const MHD: &str = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/";
const HELLO_SHA1: &str = "qvTGHdzF6KLavt4PO0gs2a6pQ00=";

fn uri(value: &str) -> Value {
    json!({ "system": "urn:ietf:rfc:3986", "value": value })
}

fn concept(code: &str) -> Value {
    json!({ "coding": [{ "system": "urn:oid:1.2.3.4", "code": code }] })
}

fn extension(name: &str, value_type: &str, value: Value) -> Value {
    json!({ "url": format!("{MHD}{name}"), value_type: value })
}

fn full_url(number: u32) -> String {
    format!("urn:uuid:00000000-0000-4000-8000-{number:012}")
}

fn entry(number: u32, resource: Value) -> Value {
    let url = resource["resourceType"].clone();
    json!({ "fullUrl": full_url(number), "resource": resource, "request": { "method": "POST", "url": url } })
}

/// A submission of one document with all that a registry asks for: the
/// submission set, the document, its bytes.
fn submission(level: &str, unique_id: &str) -> Value {
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

fn folder(unique_id: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|m| json!({ "item": { "reference": m } })).collect();
    json!({ "resourceType": "List", "status": "current", "mode": "working", "title": "Ricovero",
        "extension": [extension("ihe-designationType", "valueCodeableConcept", concept("FOLDER"))],
        "identifier": [{ "use": "usual", "system": "urn:ietf:rfc:3986", "value": format!("urn:oid:{unique_id}") }],
        "code": { "coding": [{ "system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "code": "folder" }] },
        "subject": { "reference": "Patient/p1" }, "entry": members })
}

fn post(peer: &Peer, bundle: &Value) -> (u16, Value) {
    let answer = peer.fhir.json("POST", "", &[], bundle).expect("an answer");
    (answer.status, answer.json())
}

/// Provides a submission that is taken; returns where its entries are.
fn provided(peer: &Peer, bundle: &Value) -> Vec<String> {
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

fn remove(value: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = value.pointer_mut(parent).expect("there");
    match parent {
        Value::Array(items) => _ = items.remove(name.parse().expect("a number")),
        _ => _ = parent.as_object_mut().expect("an object").remove(name).expect("there"),
    }
}

/// A change of a submission.
enum Change {
    Remove(&'static str),
    Put(&'static str, Value),
    Add(Value),
}

fn changed(mut bundle: Value, changes: Vec<Change>) -> Value {
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
fn told(answer: &Value) -> Vec<(String, String)> {
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

#[test]
fn what_breaks_a_rule_is_refused_where_it_does() {
    use Change::{Add, Put, Remove};
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let other = json!({ "resourceType": "Patient", "id": "p2", "identifier": [{ "system": "urn:oid:1.2.3", "value": "P2" }] });
    assert_eq!(peer.fhir.json("PUT", "Patient/p2", &[], &other).expect("an answer").status, 201);
    let metadata = "XDSRegistryMetadataError";
    let rows: Vec<(&str, Vec<Change>, &str, &str)> = vec![
        // The attributes that a registry asks for.
        ("Comprehensive", vec![Remove("/entry/1/resource/type")], metadata, "entry[1].resource.type"),
        ("Comprehensive", vec![Remove("/entry/1/resource/category")], metadata, "entry[1].resource.category"),
        (
            "Comprehensive",
            vec![Remove("/entry/1/resource/securityLabel")],
            metadata,
            "entry[1].resource.securityLabel",
        ),
        (
            "Comprehensive",
            vec![Remove("/entry/1/resource/content/0/format")],
            metadata,
            "entry[1].resource.content[0].format",
        ),
        (
            "Comprehensive",
            vec![Remove("/entry/1/resource/content/0/attachment/language")],
            metadata,
            "entry[1].resource.content[0].attachment.language",
        ),
        (
            "Comprehensive",
            vec![Remove("/entry/1/resource/content/0/attachment/creation")],
            metadata,
            "entry[1].resource.content[0].attachment.creation",
        ),
        (
            "Comprehensive",
            vec![Remove("/entry/1/resource/context/facilityType")],
            metadata,
            "entry[1].resource.context.facilityType",
        ),
        (
            "UnContained.Comprehensive",
            vec![Remove("/entry/1/resource/context/practiceSetting")],
            metadata,
            "entry[1].resource.context.practiceSetting",
        ),
        ("Comprehensive", vec![Remove("/entry/1/resource/subject")], metadata, "entry[1].resource.subject"),
        (
            "Comprehensive",
            vec![Remove("/entry/0/resource/extension/0")],
            metadata,
            "entry[0].resource.extension('https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-designationType')",
        ),
        (
            "Minimal",
            vec![Remove("/entry/0/resource/extension/1")],
            metadata,
            "entry[0].resource.extension('https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-sourceId')",
        ),
        ("Minimal", vec![Remove("/entry/0/resource/date")], metadata, "entry[0].resource.date"),
        (
            "Minimal",
            vec![Remove("/entry/1/resource/content/0/attachment/contentType")],
            metadata,
            "entry[1].resource.content[0].attachment.contentType",
        ),
        (
            "Minimal",
            vec![Remove("/entry/1/resource/type/coding/0/system")],
            metadata,
            "entry[1].resource.type",
        ),
        // What profiles ask for beyond that.
        (
            "Minimal",
            vec![Remove("/entry/1/resource/masterIdentifier")],
            "required",
            "entry[1].resource.masterIdentifier.system",
        ),
        (
            "Minimal",
            vec![Remove("/entry/1/resource/content/0/attachment/url")],
            "required",
            "entry[1].resource.content.attachment.url",
        ),
        (
            "Comprehensive",
            vec![Remove("/entry/1/resource/context/sourcePatientInfo")],
            "required",
            "entry[1].resource.context.sourcePatientInfo",
        ),
        (
            "Comprehensive",
            vec![Put("/entry/1/resource/author", json!([{ "reference": "Practitioner/1" }]))],
            "value",
            "entry[1].resource.author[0]",
        ),
        (
            "Comprehensive",
            vec![Put("/entry/1/resource/context/sourcePatientInfo", json!({ "reference": "Patient/p1" }))],
            "value",
            "entry[1].resource.context.sourcePatientInfo",
        ),
        (
            "Minimal",
            vec![Put("/entry/1/resource/status", json!("superseded"))],
            "value",
            "entry[1].resource.status",
        ),
        (
            "Minimal",
            vec![Put("/entry/1/resource/docStatus", json!("final"))],
            "structure",
            "entry[1].resource.docStatus",
        ),
        (
            "Minimal",
            vec![Put("/entry/1/resource/content/0/attachment/data", json!("aGVsbG8="))],
            "structure",
            "entry[1].resource.content[0].attachment.data",
        ),
        (
            "Minimal",
            vec![Put("/entry/0/resource/mode", json!("snapshot"))],
            "value",
            "entry[0].resource.mode",
        ),
        (
            "Minimal",
            vec![Put("/entry/0/resource/orderedBy", concept("x"))],
            "structure",
            "entry[0].resource.orderedBy",
        ),
        // The submission as a whole.
        ("Minimal", vec![Put("/type", json!("batch"))], "value", "type"),
        ("Minimal", vec![Remove("/entry/0")], metadata, "entry"),
        ("Minimal", vec![Put("/entry/0/resource/entry", json!([]))], metadata, "entry[1].resource"),
        (
            "Minimal",
            vec![Add(entry(
                4,
                json!({ "resourceType": "Observation", "status": "final", "code": concept("x") }),
            ))],
            "not-supported",
            "entry[3]",
        ),
        (
            "Minimal",
            vec![Put("/entry/1/request/ifNoneExist", json!("identifier=x"))],
            "not-supported",
            "entry[1].request.ifNoneExist",
        ),
        // The document.
        (
            "Minimal",
            vec![Remove("/entry/2")],
            "XDSMissingDocument",
            "entry[1].resource.content[0].attachment.url",
        ),
        (
            "Minimal",
            vec![Put("/entry/1/resource/content/0/attachment/url", json!("Binary/1"))],
            "XDSMissingDocumentMetadata",
            "entry[2]",
        ),
        (
            "Minimal",
            vec![Put("/entry/1/resource/content/0/attachment/hash", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAA="))],
            "XDSRepositoryMetadataError",
            "entry[1].resource.content[0].attachment.hash",
        ),
        (
            "Minimal",
            vec![Put("/entry/1/resource/content/0/attachment/size", json!(6))],
            "XDSRepositoryMetadataError",
            "entry[1].resource.content[0].attachment.size",
        ),
        (
            "Minimal",
            vec![Put("/entry/1/resource/content/0/attachment/contentType", json!("application/pdf"))],
            "XDSRepositoryMetadataError",
            "entry[1].resource.content[0].attachment.contentType",
        ),
        // The patient.
        (
            "Minimal",
            vec![Put("/entry/1/resource/subject/reference", json!("Patient/p2"))],
            "XDSPatientIdDoesNotMatch",
            "entry[1].resource",
        ),
        (
            "Minimal",
            vec![Put("/entry/0/resource/subject/reference", json!("Patient/nobody"))],
            "XDSUnknownPatientId",
            "entry[0].resource.subject",
        ),
        (
            "Minimal",
            vec![Put(
                "/entry/0/resource/subject",
                json!({ "identifier": { "system": "urn:oid:1.2.3", "value": "nobody" } }),
            )],
            "XDSUnknownPatientId",
            "entry[0].resource.subject",
        ),
        (
            "Comprehensive",
            vec![Add(entry(
                4,
                json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:oid:1.2.3", "value": "new" }] }),
            ))],
            "XDSUnknownPatientId",
            "entry[3].resource",
        ),
        // What it refers to.
        (
            "Minimal",
            vec![Put(
                "/entry/1/resource/relatesTo",
                json!([{ "code": "replaces", "target": { "reference": "DocumentReference/00000000-0000-4000-8000-000000000099" } }]),
            )],
            "UnresolvedReferenceException",
            "entry[1].resource.relatesTo[0]",
        ),
        (
            "Minimal",
            vec![Put(
                "/entry/0/resource/entry/-",
                json!({ "item": { "reference": "DocumentReference/00000000-0000-4000-8000-000000000099" } }),
            )],
            "UnresolvedReferenceException",
            "entry[0].resource.entry[1]",
        ),
        // Folders.
        ("Comprehensive", vec![Add(entry(4, folder("1.7.1", &[])))], metadata, "entry[3].resource"),
        (
            "Comprehensive",
            vec![
                Put("/entry/0/resource/entry/-", json!({ "item": { "reference": full_url(4) } })),
                Add(entry(4, folder("1.7.1", &[]))),
                Remove("/entry/3/resource/title"),
            ],
            metadata,
            "entry[3].resource.title",
        ),
        (
            "Minimal",
            vec![
                Put("/entry/0/resource/entry/-", json!({ "item": { "reference": full_url(4) } })),
                Add(entry(4, folder("1.7.1", &[]))),
                Put("/entry/3/resource/source", json!({ "display": "x" })),
            ],
            "structure",
            "entry[3].resource.source",
        ),
    ];
    for (level, changes, code, place) in rows {
        let (status, answer) = post(&peer, &changed(submission(level, "1.8.1"), changes));
        let expected = (code.to_owned(), format!("Bundle.{place}"));
        assert!(told(&answer).contains(&expected), "{expected:?}: {answer}");
        assert_eq!(status, 422, "{answer}");
    }
    for what in ["DocumentReference", "List", "Binary"] {
        assert_eq!(peer.count(&format!("{what}?_summary=count")), 0, "{what}: nothing was stored");
    }
}

#[test]
fn what_a_profile_allows_is_taken() {
    use Change::{Add, Put, Remove};
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let practitioner =
        json!({ "resourceType": "Practitioner", "id": "dr", "name": [{ "family": "Bianchi" }] });
    assert_eq!(peer.fhir.json("PUT", "Practitioner/dr", &[], &practitioner).expect("an answer").status, 201);
    let known =
        json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:oid:1.2.3", "value": "P1" }] });
    let subject = |reference: &str| json!({ "reference": reference });
    let rows: Vec<(&str, Vec<Change>)> = vec![
        ("Minimal", vec![]),
        ("Comprehensive", vec![]),
        ("UnContained.Comprehensive", vec![]),
        (
            "Minimal",
            vec![
                Remove("/entry/1/resource/type"),
                Remove("/entry/1/resource/context"),
                Remove("/entry/1/resource/category"),
                Remove("/entry/1/resource/securityLabel"),
            ],
        ),
        ("Minimal", vec![Remove("/entry/1/resource/subject"), Remove("/entry/0/resource/subject")]),
        ("Minimal", vec![Remove("/entry/0/resource/identifier")]),
        (
            "UnContained.Comprehensive",
            vec![
                Put("/entry/1/resource/author", json!([{ "reference": "Practitioner/dr" }])),
                Put("/entry/1/resource/context/sourcePatientInfo", subject("Patient/p1")),
            ],
        ),
        ("UnContained.Comprehensive", vec![Remove("/entry/1/resource/context/sourcePatientInfo")]),
        (
            "Comprehensive",
            vec![Put(
                "/entry/1/resource/subject",
                json!({ "identifier": { "system": "urn:oid:1.2.3", "value": "P1" } }),
            )],
        ),
        (
            "Comprehensive",
            vec![Put("/entry/1/resource/subject", subject("Patient?identifier=urn:oid:1.2.3|P1"))],
        ),
        (
            "Comprehensive",
            vec![
                Put("/entry/1/resource/content/0/attachment/hash", json!(HELLO_SHA1)),
                Put("/entry/1/resource/content/0/attachment/size", json!(5)),
            ],
        ),
        (
            "Comprehensive",
            vec![
                Add(entry(4, known)),
                Put("/entry/1/resource/subject", subject(&full_url(4))),
                Put("/entry/0/resource/subject", subject(&full_url(4))),
            ],
        ),
        (
            "Minimal",
            vec![
                Add(entry(4, json!({ "resourceType": "Patient", "name": [{ "family": "Schmidt" }] }))),
                Put("/entry/1/resource/subject", subject(&full_url(4))),
                Put("/entry/0/resource/subject", subject(&full_url(4))),
            ],
        ),
        (
            "Comprehensive",
            vec![
                Remove("/entry/2"),
                Put(
                    "/entry/1/resource/content/0/attachment/url",
                    json!("https://elsewhere.example/documents/1"),
                ),
                Put("/entry/1/resource/content/0/attachment/hash", json!(HELLO_SHA1)),
                Put("/entry/1/resource/content/0/attachment/size", json!(5)),
            ],
        ),
        (
            "Comprehensive",
            vec![
                Put("/entry/0/resource/entry/-", json!({ "item": { "reference": full_url(4) } })),
                Add(entry(4, folder("1.7.1", &[&full_url(2)]))),
            ],
        ),
    ];
    let count = rows.len();
    for (number, (level, changes)) in rows.into_iter().enumerate() {
        let bundle = changed(submission(level, &format!("1.8.{number}")), changes);
        let places = provided(&peer, &bundle);
        let document = peer.fhir.get(&places[1]).json();
        assert!(
            document["identifier"][0]["value"].as_str().is_some_and(|v| v.starts_with("urn:uuid:")),
            "{document}"
        );
        assert_eq!(
            (&document["content"][0]["attachment"]["size"], &document["content"][0]["attachment"]["hash"]),
            (&json!(5), &json!(HELLO_SHA1))
        );
        // One submission set is submitted once.
        if bundle["entry"][0]["resource"]["identifier"].is_array() {
            let (status, answer) = post(&peer, &bundle);
            assert_eq!(status, 422, "{answer}");
            assert!(
                told(&answer).iter().any(|(code, place)| code == "XDSDuplicateUniqueIdInRegistry"
                    && place == "Bundle.entry[0].resource"),
                "{answer}"
            );
        }
    }
    assert_eq!(peer.count("DocumentReference?_summary=count"), count as u64);
    // Of known patients; one was known to nobody, one submission said nothing.
    assert_eq!(peer.count("Patient?_summary=count"), 2);
    assert_eq!(peer.count("DocumentReference?patient=p1&_summary=count"), count as u64 - 2);
}

#[test]
fn what_is_provided_is_found_and_retrieved_by_every_door() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let mut bundle = submission("Comprehensive", "1.8.1");
    bundle["entry"][1]["resource"]["identifier"] = json!([{ "use": "official", "system": "urn:ietf:rfc:3986",
        "value": "urn:uuid:7d5bb8ac-68ee-4926-85e7-b8aac8e1f09d" }]);
    let places = provided(&peer, &bundle);
    assert_eq!(places[1], "DocumentReference/7d5bb8ac-68ee-4926-85e7-b8aac8e1f09d");
    assert_eq!(peer.titles(APPROVED), ["1.8.1"]);
    let found = super::peer::entry(&peer, "1.8.1");
    for expected in [
        "id=\"urn:uuid:7d5bb8ac-68ee-4926-85e7-b8aac8e1f09d\"",
        ">aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d<",
        "<rim:Value>5</rim:Value>",
        "S1^^^&amp;1.9&amp;ISO",
        "PID-5|Rossi^Maria",
        "value=\"P1^^^&amp;1.2.3&amp;ISO\"",
        "nodeRepresentation=\"CLASS\"",
    ] {
        assert!(found.contains(expected), "{expected} is not in {found}");
    }
    let repository = between(&found, "name=\"repositoryUniqueId\"><rim:ValueList><rim:Value>", "<");
    assert!(text(&peer.retrieve("1.8.1", repository)).contains("\r\n\r\nhello\r\n"));
    // ITI-68: the attachment's URL is where the document is.
    let document = peer.fhir.get(&places[1]).json();
    let url = document["content"][0]["attachment"]["url"].as_str().expect("a URL");
    let retrieved = peer.fhir.get(url);
    assert_eq!((retrieved.status, retrieved.body.as_slice()), (200, b"hello".as_slice()));
    assert_eq!(retrieved.header("content-type"), Some("text/plain"));
    let audited = peer.fhir.get("AuditEvent?subtype=ITI-65&patient=Patient/p1").json();
    assert_eq!(audited["total"], 1, "{audited}");
}

#[test]
fn a_document_is_replaced_whoever_says_that_the_old_one_is_superseded() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let patch = json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
        { "name": "type", "valueCode": "replace" }, { "name": "path", "valueString": "DocumentReference.status" },
        { "name": "value", "valueCode": "superseded" }] }] });
    let mut last = provided(&peer, &submission("Comprehensive", "1.8.1"))[1].clone();
    for (number, method) in ["", "PATCH", "PUT"].into_iter().enumerate() {
        let mut bundle = submission("Comprehensive", &format!("1.8.{}", number + 2));
        bundle["entry"][1]["resource"]["relatesTo"] =
            json!([{ "code": "replaces", "target": { "reference": last } }]);
        let mut old = peer.fhir.get(&last).json();
        old["status"] = json!("superseded");
        let resource = if method == "PATCH" { patch.clone() } else { old };
        if !method.is_empty() {
            let request = json!({ "method": method, "url": last });
            // In the middle: the answer is in the order of the request.
            bundle["entry"]
                .as_array_mut()
                .expect("entries")
                .insert(1, json!({ "fullUrl": full_url(7), "resource": resource, "request": request }));
        }
        let places = provided(&peer, &bundle);
        if !method.is_empty() {
            assert_eq!(places[1], last, "{method}");
        }
        assert_eq!(peer.fhir.get(&last).json()["status"], "superseded", "{method}");
        let place = if method.is_empty() { 1 } else { 2 };
        // What is superseded is replaced once.
        let mut again = submission("Comprehensive", &format!("1.9.{number}"));
        again["entry"][1]["resource"]["relatesTo"] =
            json!([{ "code": "replaces", "target": { "reference": last } }]);
        let (status, answer) = post(&peer, &again);
        assert_eq!(status, 422);
        assert_eq!(
            told(&answer),
            [(
                "XDSRegistryDeprecatedDocumentError".to_owned(),
                "Bundle.entry[1].resource.relatesTo[0]".to_owned()
            )]
        );
        last = places[place].clone();
    }
    assert_eq!((peer.titles(APPROVED), peer.titles(DEPRECATED).len()), (vec!["1.8.4".to_owned()], 3));
    // A patch of what nothing replaces, and one that says more.
    let mut bundle = submission("Comprehensive", "1.8.9");
    bundle["entry"]
        .as_array_mut()
        .expect("entries")
        .push(json!({ "resource": patch, "request": { "method": "PATCH", "url": last } }));
    let (status, answer) = post(&peer, &bundle);
    assert_eq!(
        (status, told(&answer)),
        (422, vec![("XDSRegistryMetadataError".to_owned(), "Bundle.entry[3]".to_owned())])
    );
    let mut old = peer.fhir.get(&last).json();
    old["status"] = json!("superseded");
    old["content"][0]["attachment"]["title"] = json!("another");
    bundle["entry"][1]["resource"]["relatesTo"] =
        json!([{ "code": "replaces", "target": { "reference": last } }]);
    bundle["entry"][3] = json!({ "resource": old, "request": { "method": "PUT", "url": last } });
    let (status, answer) = post(&peer, &bundle);
    assert_eq!(
        (status, told(&answer)),
        (422, vec![("business-rule".to_owned(), "Bundle.entry[3].resource".to_owned())])
    );
}

#[test]
fn folders_get_members_and_lose_none() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let in_folder = |unique_id: &str, folder: Value| {
        let mut bundle = submission("Comprehensive", unique_id);
        bundle["entry"][0]["resource"]["entry"]
            .as_array_mut()
            .expect("members")
            .push(json!({ "item": { "reference": full_url(4) } }));
        bundle["entry"].as_array_mut().expect("entries").push(folder);
        bundle
    };
    let places = provided(&peer, &in_folder("1.8.1", entry(4, folder("1.7.1", &[&full_url(2)]))));
    let (first, place) = (places[1].clone(), places[3].clone());
    let put = |members: &[&str]| {
        let mut resource = folder("1.7.1", members);
        resource["id"] = json!(place.trim_start_matches("List/"));
        json!({ "fullUrl": full_url(4), "resource": resource, "request": { "method": "PUT", "url": place } })
    };
    let places = provided(&peer, &in_folder("1.8.2", put(&[&first, &full_url(2)])));
    assert_eq!(places[3], place);
    let contents = peer.query(GET_FOLDER_AND_CONTENTS, "LeafClass", &[("$XDSFolderUniqueId", "'1.7.1'")]);
    for expected in ["Referto 1.8.1", "Referto 1.8.2"] {
        assert!(contents.contains(expected), "{contents}");
    }
    let (status, answer) = post(&peer, &in_folder("1.8.3", put(&[&full_url(2)])));
    assert_eq!(
        (status, told(&answer)),
        (422, vec![("XDSRegistryMetadataError".to_owned(), "Bundle.entry[3].resource.entry".to_owned())])
    );
    let mut renamed = put(&[&first, &places[1], &full_url(2)]);
    renamed["resource"]["title"] = json!("another");
    let (status, answer) = post(&peer, &in_folder("1.8.3", renamed));
    assert_eq!(
        (status, told(&answer)),
        (422, vec![("business-rule".to_owned(), "Bundle.entry[3].resource".to_owned())])
    );
    // What replaces a member is a member.
    let mut bundle = submission("Comprehensive", "1.8.4");
    bundle["entry"][1]["resource"]["relatesTo"] =
        json!([{ "code": "replaces", "target": { "reference": first } }]);
    let replacing = provided(&peer, &bundle)[1].clone();
    let found = peer.fhir.get(&format!("List?item={replacing}&code=folder")).json();
    assert_eq!(found["total"], 1, "{found}");
}

#[test]
fn a_bundle_without_a_profile_of_mhd_is_a_plain_transaction() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let mut bundle = submission("Minimal", "1.8.1");
    remove(&mut bundle, "/meta");
    remove(&mut bundle, "/entry/0/resource/date");
    let (status, answer) = post(&peer, &bundle);
    assert_eq!(status, 200, "{answer}");
}
