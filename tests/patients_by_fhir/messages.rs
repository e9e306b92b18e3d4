//! ITI-93: patients by FHIR messages.

use serde_json::json;

use super::*;

/// An entry of a history.
fn change(method: &str, url: &str, resource: Option<Value>) -> Value {
    let mut entry = json!({ "fullUrl": format!("http://source.example/fhir/{url}"),
        "request": { "method": method, "url": url }, "response": { "status": "200" } });
    if let Some(resource) = resource {
        entry["resource"] = resource;
    }
    entry
}

fn message(changes: &[Value]) -> Value {
    json!({ "resourceType": "Bundle", "type": "message", "entry": [
        { "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001",
          "resource": { "resourceType": "MessageHeader", "id": "m1", "eventUri": "urn:ihe:iti:pmir:2019:patient-feed",
            "source": { "endpoint": "http://source.example/fhir" },
            "destination": [{ "endpoint": "http://registry.example/fhir" }],
            "focus": [{ "reference": "urn:uuid:00000000-0000-4000-8000-000000000002" }] } },
        { "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000002",
          "resource": { "resourceType": "Bundle", "type": "history", "entry": changes } },
    ]})
}

fn with_id(mut patient: Value, id: &str) -> Value {
    patient["id"] = json!(id);
    patient
}

fn send(client: &Client, changes: &[Value]) -> Answer {
    client.json("POST", "$process-message", &[], &message(changes)).expect("an answer")
}

/// Sends changes that are taken.
fn taken(client: &Client, changes: &[Value]) {
    let answer = send(client, changes);
    let body = answer.json();
    assert_eq!((answer.status, &body["type"]), (200, &json!("message")), "{body}");
    assert_eq!(body["entry"].as_array().map(Vec::len), Some(1));
    let header = &body["entry"][0]["resource"];
    assert_eq!(header["eventUri"], "urn:ihe:iti:pmir:2019:patient-feed-response");
    assert_eq!(header["response"], json!({ "identifier": "m1", "code": "ok" }));
}

#[test]
fn a_message_creates_changes_and_deletes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    let mother = with_id(patient(&[(HZLN_OID, "M")], "MADRE"), "mother");
    let mut child = with_id(patient(&[(HZLN_OID, "C")], "FIGLIO"), "child");
    child["link"] = json!([{ "type": "seealso", "other": { "reference": "RelatedPerson/r" } }]);
    let related = json!({ "resourceType": "RelatedPerson", "id": "r",
        "identifier": [{ "system": HZLN_OID, "value": "M" }],
        "patient": { "identifier": { "system": HZLN_OID, "value": "C" } },
        "relationship": [{ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "MTH" }] }] });
    taken(&client, &[change("POST", "Patient", Some(mother)), change("POST", "Patient", Some(child))]);
    taken(&client, &[change("POST", "RelatedPerson", Some(related))]);
    // Ids are those of the master; the identifiers are those of the index.
    let stored = client.get("Patient/child").json();
    assert_eq!(
        (&stored["identifier"][0]["system"], &stored["link"][0]["type"]),
        (&json!(HZLN), &json!("seealso"))
    );
    assert_eq!(client.get("RelatedPerson/r").json()["patient"]["reference"], "Patient/child");
    assert_eq!(corresponding(&ask(&client, &format!("{HZLN}|M"), &[])).1, ["Patient/mother"]);

    // A record that came by another wire is the same by its identifier, where it is.
    let id = fed(&client, &patient(&[(PKLN, "9")], "ROSSI"));
    taken(
        &client,
        &[change("PUT", "Patient/elsewhere", Some(with_id(patient(&[(PKLN, "9")], "VERDI"), "elsewhere")))],
    );
    assert_eq!(client.get(&format!("Patient/{id}")).json()["name"][0]["family"], "VERDI");
    assert_eq!(client.get("Patient/elsewhere").status, 404);
    // To the base as well as to the operation; what is gone stays gone.
    for _ in 0..2 {
        let answer = client
            .json("POST", "", &[], &message(&[change("DELETE", "Patient/mother", None)]))
            .expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.json());
        assert_eq!(client.get("Patient/mother").status, 410);
    }
    // Without identifiers it is by its id, and not of the index.
    taken(&client, &[change("PUT", "Patient/plain", Some(with_id(patient(&[], "PLAIN"), "plain")))]);
    taken(&client, &[change("PUT", "Patient/plain", Some(with_id(patient(&[], "OTHER"), "plain")))]);
    assert_eq!(client.get("Patient/plain").json()["name"][0]["family"], "OTHER");
}

#[test]
fn all_of_a_message_becomes_so_or_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    let good = || change("POST", "Patient", Some(with_id(patient(&[(HZLN, "1")], "ROSSI"), "one")));
    fed(&client, &with_id(patient(&[(HZLN, "7")], "BIANCHI"), "seven"));
    let at = "Bundle.entry[1].resource.entry[1]";
    let foreign = json!({ "resourceType": "Observation", "status": "final", "code": { "text": "x" } });
    for (changes, status, code, place) in [
        (
            vec![good(), change("POST", "Observation", Some(foreign))],
            422,
            "not-supported",
            format!("{at}.resource"),
        ),
        // The id is of somebody else here.
        (
            vec![
                good(),
                change("PUT", "Patient/seven", Some(with_id(patient(&[(PKLN, "8")], "X"), "seven"))),
            ],
            409,
            "conflict",
            format!("{at}.resource"),
        ),
        (vec![good(), change("PUT", "Patient/two", None)], 422, "invalid", format!("{at}.resource")),
        (vec![good(), change("PATCH", "Patient/two", None)], 422, "invalid", format!("{at}.request.method")),
    ] {
        let refused = told(&send(&client, &changes));
        assert_eq!((refused.0, refused.1.as_str(), refused.3), (status, code, place), "{}", refused.2);
        assert_eq!(client.get("Patient/one").status, 404);
    }
    assert_eq!(client.get("Patient/seven").json()["meta"]["versionId"], "1");
    // Other events, and what is no message.
    let mut other = message(&[good()]);
    other["entry"][0]["resource"]["eventUri"] = json!("urn:other");
    let refused = told(&client.json("POST", "$process-message", &[], &other).expect("an answer"));
    assert_eq!((refused.0, refused.1.as_str()), (400, "not-supported"));
    let refused = client
        .json("POST", "$process-message", &[], &json!({ "resourceType": "Patient" }))
        .expect("an answer");
    assert_eq!(refused.status, 400);
    let refused =
        client.json("POST", "$process-message?async=true", &[], &message(&[good()])).expect("an answer");
    assert_eq!(told(&refused).1, "not-supported");
}

#[test]
fn what_is_older_is_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    let at = |family: &str, time: &str| {
        let mut told = with_id(patient(&[(HZLN, "1")], family), "one");
        told["meta"] = json!({ "lastUpdated": time });
        change("PUT", "Patient/one", Some(told))
    };
    for (family, time, expected) in [
        ("FIRST", "2026-01-01T00:00:00Z", "FIRST"),
        ("THIRD", "2026-01-03T00:00:00Z", "THIRD"),
        ("SECOND", "2026-01-02T00:00:00Z", "THIRD"),
        ("FOURTH", "2026-01-04T00:00:00Z", "FOURTH"),
    ] {
        taken(&client, &[at(family, time)]);
        assert_eq!(client.get("Patient/one").json()["name"][0]["family"], expected);
    }
}

#[test]
fn a_message_is_recorded_with_what_it_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    taken(&client, &[change("POST", "Patient", Some(with_id(patient(&[(HZLN, "1")], "ROSSI"), "one")))]);
    send(&client, &[change("PUT", "Patient/two", None)]);
    send(&client, &[change("POST", "Observation", Some(json!({ "resourceType": "Observation" })))]);
    let all = events(&client, "ITI-93");
    let outcomes: Vec<&Value> = all.iter().map(|event| &event["outcome"]).collect();
    assert_eq!(outcomes, ["0", "4"]);
    let event = &all[0];
    assert_eq!((&event["type"]["code"], &event["action"]), (&json!("110110"), &json!("E")));
    assert_eq!(event["entity"][0]["what"]["reference"], "Patient/one", "{event}");
    assert_eq!(event["entity"][1]["what"]["identifier"]["value"], "m1", "{event}");
    assert_eq!(event["entity"][1]["name"], "urn:ihe:iti:pmir:2019:patient-feed");
}
