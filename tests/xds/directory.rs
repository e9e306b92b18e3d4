//! mCSD: organizations, places, people and services, found (ITI-90) and kept up
//! with (ITI-91), by each parameter that the guide asks for.

use serde_json::{Value, json};
use tests::{Answer, Client};

use super::peer::start;

fn concept(code: &str) -> Value {
    json!([{ "coding": [{ "system": "http://snomed.info/sct", "code": code }] }])
}

fn identifier(value: &str) -> Value {
    json!([{ "system": "urn:oid:1.2.3.4", "value": value }])
}

fn put(fhir: &Client, resource: Value) -> Answer {
    let place = format!(
        "{}/{}",
        resource["resourceType"].as_str().expect("a type"),
        resource["id"].as_str().expect("an id")
    );
    let answer = fhir.json("PUT", &place, &[], &resource).expect("an answer");
    assert!([200, 201].contains(&answer.status), "{place}: {}", String::from_utf8_lossy(&answer.body));
    answer
}

fn fill(fhir: &Client) {
    let point = |latitude: f64, longitude: f64| json!({ "latitude": latitude, "longitude": longitude });
    let reference = |place: &str| json!({ "reference": place });
    for resource in [
        json!({ "resourceType": "Endpoint", "id": "e1", "identifier": identifier("E1"), "status": "active",
            "connectionType": { "code": "ihe-xcpd" }, "managingOrganization": reference("Organization/asl3"),
            "payloadType": concept("any"), "address": "https://example.org/xcpd" }),
        json!({ "resourceType": "Organization", "id": "asl3", "active": true, "identifier": identifier("ASL3"),
            "name": "ASL 3 Genovese", "type": concept("prov"), "endpoint": [reference("Endpoint/e1")] }),
        json!({ "resourceType": "Organization", "id": "pronto", "active": false, "identifier": identifier("PS"),
            "name": "Pronto soccorso", "type": concept("dept"), "partOf": reference("Organization/asl3") }),
        json!({ "resourceType": "Location", "id": "galliera", "status": "active", "identifier": identifier("L1"),
            "name": "Ospedale Galliera", "type": concept("hosp"), "managingOrganization": reference("Organization/asl3"),
            "position": point(44.4007, 8.9396) }),
        json!({ "resourceType": "Location", "id": "ward", "status": "suspended", "identifier": identifier("L2"),
            "name": "Reparto", "type": concept("ward"), "partOf": reference("Location/galliera"), "position": point(45.4642, 9.19) }),
        json!({ "resourceType": "Practitioner", "id": "rossi", "active": true, "identifier": identifier("P1"),
            "name": [{ "family": "De Rossi", "given": ["Maria Pia"] }] }),
        json!({ "resourceType": "HealthcareService", "id": "cardiology", "active": true, "identifier": identifier("H1"),
            "name": "Cardiologia", "type": concept("cardio"), "providedBy": reference("Organization/asl3"),
            "location": [reference("Location/galliera")] }),
        json!({ "resourceType": "PractitionerRole", "id": "role", "active": true, "practitioner": reference("Practitioner/rossi"),
            "organization": reference("Organization/asl3"), "location": [reference("Location/galliera")],
            "healthcareService": [reference("HealthcareService/cardiology")], "code": concept("doctor"), "specialty": concept("cardio") }),
        json!({ "resourceType": "OrganizationAffiliation", "id": "affiliation", "active": true, "identifier": identifier("A1"),
            "organization": reference("Organization/asl3"), "participatingOrganization": reference("Organization/pronto"),
            "period": { "start": "2026-01-01", "end": "2026-12-31" }, "code": concept("member"), "endpoint": [reference("Endpoint/e1")] }),
    ] {
        put(fhir, resource);
    }
}

/// What a search finds: `match` and `include`, as `Type/id`.
fn found(answer: &Answer) -> Vec<String> {
    let bundle = answer.json();
    assert_eq!((answer.status, &bundle["type"]), (200, &json!("searchset")), "{bundle}");
    let of = |entry: &Value| {
        format!(
            "{}/{}",
            entry["resource"]["resourceType"].as_str().unwrap_or_default(),
            entry["resource"]["id"].as_str().unwrap_or_default()
        )
    };
    let mut all: Vec<String> = bundle["entry"].as_array().into_iter().flatten().map(of).collect();
    all.sort();
    all
}

#[test]
fn each_parameter_finds_what_it_should() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    fill(&peer.fhir);
    let rows: &[(&str, &str, &[&str])] = &[
        ("Organization", "active=true", &["Organization/asl3"]),
        ("Organization", "identifier=urn:oid:1.2.3.4|PS", &["Organization/pronto"]),
        ("Organization", "name=asl", &["Organization/asl3"]),
        ("Organization", "name:contains=soccorso", &["Organization/pronto"]),
        ("Organization", "name:exact=ASL 3 Genovese", &["Organization/asl3"]),
        ("Organization", "name:exact=ASL 3", &[]),
        ("Organization", "partof=Organization/asl3", &["Organization/pronto"]),
        ("Organization", "type=http://snomed.info/sct|dept", &["Organization/pronto"]),
        ("Organization", "_id=asl3&_include=Organization:endpoint", &["Endpoint/e1", "Organization/asl3"]),
        (
            "Organization",
            "_id=asl3&_revinclude=Location:organization",
            &["Location/galliera", "Organization/asl3"],
        ),
        (
            "Organization",
            "_id=pronto&_revinclude=OrganizationAffiliation:participating-organization",
            &["Organization/pronto", "OrganizationAffiliation/affiliation"],
        ),
        (
            "Organization",
            "_id=asl3&_revinclude=OrganizationAffiliation:primary-organization",
            &["Organization/asl3", "OrganizationAffiliation/affiliation"],
        ),
        ("Location", "identifier=L1", &["Location/galliera"]),
        ("Location", "name:contains=galli", &["Location/galliera"]),
        ("Location", "name:exact=Reparto", &["Location/ward"]),
        ("Location", "organization=asl3", &["Location/galliera"]),
        ("Location", "partof=galliera", &["Location/ward"]),
        ("Location", "type=hosp", &["Location/galliera"]),
        ("Location", "status=suspended", &["Location/ward"]),
        ("Location", "near=44.4|8.94|5|km", &["Location/galliera"]),
        ("Location", "near=44.4|8.94|200|km", &["Location/galliera", "Location/ward"]),
        (
            "Location",
            "_id=galliera&_include=Location:organization",
            &["Location/galliera", "Organization/asl3"],
        ),
        ("Practitioner", "active=true", &["Practitioner/rossi"]),
        ("Practitioner", "identifier=P1", &["Practitioner/rossi"]),
        ("Practitioner", "name:contains=ossi", &["Practitioner/rossi"]),
        ("Practitioner", "given:contains=pia", &["Practitioner/rossi"]),
        ("Practitioner", "given:exact=Maria Pia", &["Practitioner/rossi"]),
        ("Practitioner", "family=de", &["Practitioner/rossi"]),
        ("Practitioner", "family:exact=De Rossi", &["Practitioner/rossi"]),
        ("Practitioner", "family:exact=Rossi", &[]),
        ("PractitionerRole", "active=true&location=galliera", &["PractitionerRole/role"]),
        ("PractitionerRole", "organization=asl3&role=doctor", &["PractitionerRole/role"]),
        ("PractitionerRole", "service=cardiology&specialty=cardio", &["PractitionerRole/role"]),
        ("PractitionerRole", "organization.name:contains=genovese", &["PractitionerRole/role"]),
        (
            "PractitionerRole",
            "_include=PractitionerRole:practitioner",
            &["Practitioner/rossi", "PractitionerRole/role"],
        ),
        ("HealthcareService", "active=true&identifier=H1", &["HealthcareService/cardiology"]),
        ("HealthcareService", "location=galliera&organization=asl3", &["HealthcareService/cardiology"]),
        ("HealthcareService", "name:contains=logia", &["HealthcareService/cardiology"]),
        ("HealthcareService", "service-type=cardio", &["HealthcareService/cardiology"]),
        ("Endpoint", "identifier=E1&organization=asl3&status=active", &["Endpoint/e1"]),
        (
            "OrganizationAffiliation",
            "active=true&date=ge2026-06&identifier=A1",
            &["OrganizationAffiliation/affiliation"],
        ),
        ("OrganizationAffiliation", "date=2027", &[]),
        (
            "OrganizationAffiliation",
            "participating-organization=pronto&primary-organization=asl3&role=member",
            &["OrganizationAffiliation/affiliation"],
        ),
        (
            "OrganizationAffiliation",
            "_include=OrganizationAffiliation:endpoint",
            &["Endpoint/e1", "OrganizationAffiliation/affiliation"],
        ),
        (
            "Organization",
            "_lastUpdated=ge2026-01-01&_lastUpdated=lt2200",
            &["Organization/asl3", "Organization/pronto"],
        ),
        ("Organization", "_lastUpdated=sa2200", &[]),
    ];
    for (of, query, expected) in rows {
        let by_get = peer.fhir.get(&format!("{of}?{}", query.replace(' ', "%20").replace('|', "%7C")));
        assert_eq!(found(&by_get), *expected, "{of}?{query}");
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let by_post =
            peer.fhir.send("POST", &format!("{of}/_search"), &form, query.replace(' ', "+").as_bytes());
        assert_eq!(found(&by_post.expect("an answer")), *expected, "POST {of} {query}");
    }
}

#[test]
fn a_client_keeps_up_by_what_changed_since() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    fill(&peer.fhir);
    let before = peer.fhir.get("Organization/_history").json();
    // The newest stands first.
    let since = before["entry"][0]["resource"]["meta"]["lastUpdated"].as_str().expect("a time").to_owned();
    let mut changed = peer.fhir.get("Organization/pronto").json();
    changed["active"] = json!(true);
    put(&peer.fhir, changed);
    put(&peer.fhir, json!({ "resourceType": "Organization", "id": "asl4", "name": "ASL 4" }));
    assert_eq!(
        peer.fhir.json("DELETE", "Organization/asl4", &[], &Value::Null).expect("an answer").status,
        204
    );
    let history =
        peer.fhir.get(&format!("Organization/_history?_since={}", since.replace('+', "%2B"))).json();
    assert_eq!(history["type"], "history", "{history}");
    let told: Vec<(&str, &str)> = history["entry"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| {
            (
                entry["request"]["method"].as_str().unwrap_or_default(),
                entry["request"]["url"].as_str().unwrap_or_default(),
            )
        })
        .filter(|(_, url)| !url.is_empty())
        .collect();
    let expected =
        [("DELETE", "Organization/asl4"), ("PUT", "Organization/asl4"), ("PUT", "Organization/pronto")];
    assert_eq!(told[..3], expected, "{told:?}");
    // `_since` includes the instant itself.
    assert!(told.len() <= 4, "{told:?}");
    for of in [
        "Location",
        "Practitioner",
        "PractitionerRole",
        "HealthcareService",
        "Endpoint",
        "OrganizationAffiliation",
    ] {
        let history = peer.fhir.get(&format!("{of}/_history?_since=2200-01-01T00:00:00Z")).json();
        assert_eq!((&history["type"], history["entry"].is_null()), (&json!("history"), true), "{history}");
    }
}
