//! MHD: submission sets, folders and documents found (ITI-66, ITI-67) by each
//! parameter that the guide asks for, whichever door they came by; and one that is
//! published simply (ITI-105).

use super::*;

/// The titles or unique ids of what a search finds by GET, which POST finds as well.
fn count(peer: &Peer, of: &str, query: &str) -> u64 {
    let by_get = peer.fhir.get(&format!("{of}?{}", query.replace('|', "%7C"))).json();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let by_post =
        peer.fhir.send("POST", &format!("{of}/_search"), &form, query.as_bytes()).expect("an answer").json();
    assert!(by_get["total"].is_u64(), "{of}?{query}: {by_get}");
    assert_eq!(by_get["total"], by_post["total"], "{of}?{query}");
    by_get["total"].as_u64().expect("a total")
}

#[test]
fn lists_and_documents_are_found_by_each_parameter() {
    use Change::{Add, Put};
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    // By ITI-65: with authors who stand in the resource, and who do not.
    let practitioner = json!({ "resourceType": "Practitioner", "id": "dr", "name": [{ "family": "Verdi", "given": ["Anna"] }] });
    assert_eq!(peer.fhir.json("PUT", "Practitioner/dr", &[], &practitioner).expect("an answer").status, 201);
    let author = json!({ "resourceType": "Practitioner", "id": "author", "name": [{ "family": "Bianchi", "given": ["Luca"] }] });
    let bundle = changed(
        submission("Comprehensive", "1.8.1"),
        vec![
            Put("/entry/1/resource/contained/-", author.clone()),
            Put("/entry/1/resource/author", json!([{ "reference": "#author" }])),
            Put("/entry/1/resource/date", json!("2026-01-03T10:00:00Z")),
            Put("/entry/1/resource/context/event", json!([concept("EVENT")])),
            Put("/entry/1/resource/context/period", json!({ "start": "2026-01-01", "end": "2026-01-02" })),
            Put(
                "/entry/1/resource/context/related",
                json!([{ "identifier": { "system": "urn:oid:1.5", "value": "ACC1" } }]),
            ),
            Put("/entry/0/resource/contained", json!([author])),
            Put("/entry/0/resource/source", json!({ "reference": "#author" })),
            Put("/entry/0/resource/entry/-", json!({ "item": { "reference": full_url(4) } })),
            Add(entry(4, folder("1.7.1", &[&full_url(2)]))),
        ],
    );
    provided(&peer, &bundle);
    let reference = |place: &str| json!({ "reference": place });
    let bundle = changed(
        submission("UnContained.Comprehensive", "1.8.2"),
        vec![
            Put("/entry/1/resource/author", json!([reference("Practitioner/dr")])),
            Put("/entry/0/resource/source", reference("Practitioner/dr")),
        ],
    );
    provided(&peer, &bundle);
    // By ITI-41.
    let author = "<Classification id='a' classificationScheme='urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d' \
                  classifiedObject='d' nodeRepresentation=''>";
    let document = document("d", "1.8.3", "").replace(
        "</ExtrinsicObject>",
        &format!("{author}{}</Classification></ExtrinsicObject>", slot("authorPerson", &["^Neri^Giulia"])),
    );
    let answer = peer.provide(
        &provide(&submit("1.8.3.9", &[document, members(&["d"])].concat()), &[("d", "x")]),
        &[("x", b"foo")],
    );
    assert!(answer.contains("ResponseStatusType:Success"), "{answer}");
    for (of, query, expected) in [
        ("DocumentReference", "status=current", 3),
        ("DocumentReference", "patient.identifier=urn:oid:1.2.3|P1", 3),
        ("DocumentReference", "author.given=luca", 1),
        ("DocumentReference", "author.family=Verdi", 1),
        ("DocumentReference", "author.family=neri&author.given=giulia", 1),
        ("DocumentReference", "author.family=nessuno", 0),
        ("DocumentReference", "category=urn:oid:1.2.3.4|CLASS", 2),
        ("DocumentReference", "category=urn:oid:1.2.3.4|CODE", 1),
        ("DocumentReference", "creation=2026-01-02", 3),
        ("DocumentReference", "creation=gt2026-01-02", 0),
        ("DocumentReference", "date=2026-01-03", 1),
        ("DocumentReference", "event=EVENT", 1),
        ("DocumentReference", "facility=FACILITY", 2),
        ("DocumentReference", "format=urn:oid:1.2.3.4|FORMAT", 2),
        ("DocumentReference", "identifier=urn:ietf:rfc:3986|urn:oid:1.8.2", 1),
        ("DocumentReference", "period=ge2026-01-01&period=le2026-01-05", 1),
        ("DocumentReference", "related:identifier=urn:oid:1.5|ACC1", 1),
        ("DocumentReference", "security-label=N", 2),
        ("DocumentReference", "setting=SETTING", 2),
        ("DocumentReference", "type=TYPE", 2),
        ("List", "code=submissionset&status=current", 3),
        ("List", "code=folder&status=current", 1),
        ("List", "code=submissionset&patient.identifier=urn:oid:1.2.3|P1", 3),
        ("List", "date=2026-11-24", 2),
        ("List", "designationType=urn:oid:1.2.3.4|ADMISSION", 3),
        ("List", "designationType=FOLDER", 1),
        ("List", "identifier=urn:ietf:rfc:3986|urn:oid:1.7.1", 1),
        ("List", "source.given=Luca", 1),
        ("List", "source.family=verdi", 1),
        ("List", "sourceId=urn:oid:1.2.3.9", 2),
        ("List", "sourceId=urn:oid:1.2.3.5", 1),
    ] {
        assert_eq!(count(&peer, of, &format!("patient=Patient/p1&{query}")), expected, "{of}?{query}");
    }
    let statement = peer.fhir.get("metadata").json();
    let of_list =
        statement["rest"][0]["resource"].as_array().into_iter().flatten().find(|of| of["type"] == "List");
    let parameters: Vec<&Value> =
        of_list.expect("List")["searchParam"].as_array().into_iter().flatten().collect();
    for name in ["designationType", "sourceId", "source.given", "code", "identifier"] {
        assert!(parameters.iter().any(|parameter| parameter["name"] == name), "{name}");
    }
    assert!(statement["instantiates"].as_array().is_some_and(|all| {
        all.iter().any(|url| {
            url == "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentResponder"
        })
    }));
}

#[test]
fn a_document_that_is_published_simply_is_a_submission() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let document = json!({ "resourceType": "DocumentReference", "status": "current",
        "meta": { "profile": [format!("{MHD}IHE.MHD.SimplifiedPublish.DocumentReference")] },
        "masterIdentifier": { "system": "urn:ietf:rfc:3986", "value": "urn:oid:1.8.1" },
        "type": concept("TYPE"), "subject": { "reference": "Patient/p1" },
        "content": [{ "attachment": { "contentType": "text/plain", "data": "aGVsbG8=", "title": "Referto semplice" } }] });
    let answer = peer.fhir.create(&document);
    let stored = answer.json();
    assert_eq!(answer.status, 201, "{stored}");
    assert!(answer.header("location").is_some_and(|l| l.contains(stored["id"].as_str().expect("an id"))));
    let attachment = &stored["content"][0]["attachment"];
    assert_eq!((&attachment["size"], &attachment["data"]), (&json!(5), &Value::Null), "{stored}");
    let retrieved = peer.fhir.get(attachment["url"].as_str().expect("a URL"));
    assert_eq!(
        (retrieved.header("content-type"), retrieved.body.as_slice()),
        (Some("text/plain"), b"hello".as_slice())
    );
    assert_eq!(peer.titles(APPROVED), ["semplice"]);
    let sets = peer
        .fhir
        .get(&format!(
            "List?code=submissionset&item=DocumentReference/{}",
            stored["id"].as_str().expect("an id")
        ))
        .json();
    assert_eq!(sets["total"], 1, "{sets}");
    for (name, value, code) in [
        ("masterIdentifier", Value::Null, "required"),
        ("subject", Value::Null, "required"),
        ("status", json!("superseded"), "value"),
        ("docStatus", json!("final"), "structure"),
        ("subject", json!({ "reference": "Patient/nobody" }), "XDSUnknownPatientId"),
        (
            "identifier",
            json!([{ "use": "official", "system": "urn:ietf:rfc:3986", "value": "urn:uuid:7d5bb8ac-68ee-4926-85e7-b8aac8e1f09d" }]),
            "business-rule",
        ),
        ("extension", json!([extension("x", "valueString", json!("x"))]), ""),
    ] {
        let mut other = document.clone();
        other["masterIdentifier"]["value"] = json!("urn:oid:1.8.2");
        match value {
            Value::Null => _ = other.as_object_mut().expect("an object").remove(name),
            value => other[name] = value,
        }
        let answer = peer.fhir.create(&other);
        let told = told(&answer.json());
        let is_as_expected = if code.is_empty() {
            answer.status == 201
        } else {
            answer.status == 422 && told.iter().any(|(of, _)| of == code)
        };
        assert!(is_as_expected, "{name}: {} {told:?}", answer.status);
    }
    assert_eq!(peer.count("DocumentReference?_summary=count"), 2);
}

#[test]
fn metadata_are_generated_of_what_documents_say_of_themselves() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let cda = "<ClinicalDocument xmlns='urn:hl7-org:v3'><id root='1.8.1'/>\
               <code code='11502-2' codeSystem='2.16.840.1.113883.6.1'/><title>Referto cda</title>\
               <effectiveTime value='20260102030405+0100'/><languageCode code='it-IT'/>\
               <recordTarget><patientRole><id root='1.2.3' extension='P1'/></patientRole></recordTarget></ClinicalDocument>";
    let binary =
        json!({ "resourceType": "Binary", "contentType": "text/xml", "data": base64(cda.as_bytes()) });
    let document = json!({ "resourceType": "Bundle", "type": "document", "timestamp": "2026-01-02T03:04:05Z",
        "identifier": { "system": "urn:ietf:rfc:3986", "value": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0" },
        "entry": [
            { "fullUrl": "http://a/fhir/Composition/1", "resource": { "resourceType": "Composition", "id": "1", "status": "final",
                "title": "Referto fhir", "type": { "coding": [{ "system": "http://loinc.org", "code": "34105-7" }] },
                "date": "2026-01-02", "subject": { "reference": "Patient/1" }, "author": [{ "reference": "Practitioner/2" }] } },
            { "fullUrl": "http://a/fhir/Patient/1", "resource": { "resourceType": "Patient", "id": "1",
                "identifier": [{ "system": "urn:oid:1.2.3", "value": "P1" }] } },
            { "fullUrl": "http://a/fhir/Practitioner/2", "resource": { "resourceType": "Practitioner", "id": "2", "name": [{ "family": "Verdi" }] } },
        ] });
    let generate = |resource: &Value| {
        let parameters = json!({ "resourceType": "Parameters", "parameter": [{ "name": "document", "resource": resource }] });
        let answer = peer
            .fhir
            .json("POST", "DocumentReference/$generate-metadata", &[], &parameters)
            .expect("an answer");
        (answer.status, answer.json())
    };
    for (resource, title) in [(&binary, "cda"), (&document, "fhir")] {
        let (status, answer) = generate(resource);
        assert_eq!(status, 200, "{answer}");
        let place =
            answer["parameter"][0]["valueReference"]["reference"].as_str().expect("a reference").to_owned();
        let stored = peer.fhir.get(&place).json();
        assert_eq!(stored["subject"]["reference"], "Patient/p1", "{stored}");
        assert_eq!(stored["content"][0]["attachment"]["title"], format!("Referto {title}"));
        assert_eq!(stored["type"]["coding"][0]["system"], "http://loinc.org");
        assert!(peer.titles(APPROVED).contains(&title.to_owned()));
        // What is published is not published again.
        assert_eq!(generate(resource).1["parameter"][0]["valueReference"]["reference"], place);
    }
    assert_eq!(count(&peer, "DocumentReference", "author.family=verdi"), 1);
    let unknown = json!({ "resourceType": "Binary", "contentType": "text/xml", "data": base64(cda.replace("'P1'", "'P2'").replace("1.8.1", "1.8.2").as_bytes()) });
    let pdf = json!({ "resourceType": "Binary", "contentType": "application/pdf", "data": base64(b"%PDF") });
    for (resource, code) in [
        (&unknown, "XDSUnknownPatientId"),
        (&pdf, "invalid"),
        (&json!({ "resourceType": "Patient" }), "invalid"),
    ] {
        let (status, answer) = generate(resource);
        assert_eq!((status, told(&answer)[0].0.as_str()), (422, code), "{answer}");
    }
    assert_eq!(peer.count("DocumentReference?_summary=count"), 2);
}

fn base64(bytes: &[u8]) -> String {
    fhir_model::primitive::base64::encode(bytes)
}
