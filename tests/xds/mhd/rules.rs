//! What a profile asks for, as tables: submissions that break a rule, and that keep to it.

use super::*;

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
        ("Minimal", vec![Remove("/entry/0/resource/entry")], metadata, "entry[1].resource"),
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
            vec![Add(entry(4, json!({ "resourceType": "Bundle", "type": "document" })))],
            "FHIRDocumentNotSupported",
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
        (
            "Comprehensive",
            vec![Add(entry(4, folder("1.7.1", &[&full_url(2)])))],
            metadata,
            "entry[3].resource",
        ),
        (
            "Comprehensive",
            vec![
                Put("/entry/0/resource/entry/-", json!({ "item": { "reference": full_url(4) } })),
                Add(entry(4, folder("1.7.1", &[&full_url(2)]))),
                Remove("/entry/3/resource/title"),
            ],
            metadata,
            "entry[3].resource.title",
        ),
        (
            "Minimal",
            vec![
                Put("/entry/0/resource/entry/-", json!({ "item": { "reference": full_url(4) } })),
                Add(entry(4, folder("1.7.1", &[&full_url(2)]))),
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
