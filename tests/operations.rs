//! Operations over the wire.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::{Client, Server};

/// Two patients, of whom each has an observation by the same practitioner.
fn stored(client: &Client) {
    let put = |resource: Value| {
        let of = resource["resourceType"].as_str().unwrap_or_default().to_owned();
        let url = format!("{of}/{}", resource["id"].as_str().unwrap_or_default());
        json!({ "resource": resource, "request": { "method": "PUT", "url": url } })
    };
    let mut entries = vec![put(json!({ "resourceType": "Practitioner", "id": "d" }))];
    for (patient, observation) in [("a", "oa"), ("b", "ob")] {
        entries.push(put(json!({ "resourceType": "Patient", "id": patient })));
        entries.push(put(json!({
            "resourceType": "Observation", "id": observation, "status": "final",
            "code": { "coding": [{ "system": "http://loinc.org", "code": "8302-2" }] },
            "subject": { "reference": format!("Patient/{patient}") },
            "performer": [{ "reference": "Practitioner/d" }],
        })));
    }
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    let answer = client.json("POST", "", &[], &bundle).expect("an answer");
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
}

/// What the pages show; what is a match on one may be included on another.
fn shown(client: &Client, path: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut next = Some(path.to_owned());
    while let Some(page) = next {
        let answer = client.get(&page);
        assert_eq!(answer.status, 200, "{page}: {}", String::from_utf8_lossy(&answer.body));
        let bundle = answer.json();
        for entry in bundle["entry"].as_array().into_iter().flatten() {
            let resource = &entry["resource"];
            let mode = entry["search"]["mode"].as_str().unwrap_or_default();
            all.insert(format!("{mode} {}/{}", text(&resource["resourceType"]), text(&resource["id"])));
        }
        let links = bundle["link"].as_array().into_iter().flatten();
        next = links.filter(|l| l["relation"] == "next").map(|l| text(&l["url"]).to_owned()).next();
    }
    let matches = all.clone();
    all.retain(|one| {
        !one.strip_prefix("include ").is_some_and(|one| matches.contains(&format!("match {one}")))
    });
    all
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn everything_is_of_one_patient_and_what_that_refers_to() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path());
    let client = server.client();
    stored(&client);
    let all = ["include Practitioner/d", "match Observation/oa", "match Patient/a"];
    for (path, expected) in [
        ("Patient/a/$everything", &all[..]),
        ("Patient/a/$everything?_count=1", &all[..]),
        ("Patient/a/$everything?_type=Patient", &["match Patient/a"][..]),
        ("Patient/a/$everything?_since=2020-01-01", &all[..]),
        ("Patient/a/$everything?_since=2999-01-01", &[][..]),
    ] {
        let expected: BTreeSet<String> = expected.iter().map(|e| (*e).to_owned()).collect();
        assert_eq!(shown(&client, path), expected, "{path}");
    }
    for (path, status) in [
        ("Patient/nobody/$everything", 404),
        ("Observation/oa/$everything", 400),
        ("Patient/a/$everything?start=2020-01-01", 400),
        ("Patient/a/$nothing", 400),
    ] {
        let answer = client.get(path);
        assert_eq!(answer.status, status, "{path}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.json()["resourceType"], "OperationOutcome", "{path}");
    }
}

#[test]
fn meta_tells_the_meta_of_a_resource() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path());
    let client = server.client();
    stored(&client);
    let answer = client.get("Patient/a/$meta");
    assert_eq!(answer.status, 200);
    let meta = &answer.json()["parameter"][0];
    assert_eq!((&meta["name"], &meta["valueMeta"]["versionId"]), (&json!("return"), &json!("1")));
}

/// Asks `$fhirpath`; returns the status and the answer.
fn evaluated(client: &Client, parameters: &Value) -> (u16, Value) {
    let body = json!({ "resourceType": "Parameters", "parameter": parameters });
    let answer = client.json("POST", "$fhirpath", &[], &body).expect("an answer");
    (answer.status, answer.json())
}

#[test]
fn fhirpath_answers_with_typed_values_and_their_places() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path());
    let client = server.client();
    let patient = json!({
        "resourceType": "Patient", "active": true,
        "name": [{ "family": "A", "given": ["B", "C"] }, { "given": ["D"] }],
        "contact": [{ "gender": "male" }],
    });
    let written = |number: &str| serde_json::from_str::<Value>(number).expect("a number");
    let at = |path: &str| json!([{ "url": "http://fhir.forms-lab.com/StructureDefinition/resource-path", "valueString": path }]);
    for (expression, expected) in [
        ("active", json!([{ "name": "boolean", "extension": at("Patient.active"), "valueBoolean": true }])),
        (
            "name[0].given[1]",
            json!([{ "name": "string", "extension": at("Patient.name[0].given[1]"), "valueString": "C" }]),
        ),
        (
            "contact",
            json!([{ "name": "Patient.contact", "extension": [at("Patient.contact[0]")[0], {
                "url": "http://fhir.forms-lab.com/StructureDefinition/json-value",
                "valueString": "{\"gender\":\"male\"}",
            }] }]),
        ),
        (
            "name[1]",
            json!([{ "name": "HumanName", "extension": at("Patient.name[1]"), "valueHumanName": { "given": ["D"] } }]),
        ),
        ("name.count() + 1", json!([{ "name": "integer", "valueInteger": 3 }])),
        ("1.10 + 0", json!([{ "name": "decimal", "valueDecimal": written("1.10") }])),
        (
            "@2020-02 | @T10:00:00",
            json!([{ "name": "date", "valueDate": "2020-02" }, { "name": "time", "valueTime": "10:00:00" }]),
        ),
        ("@2020-02-01T10:00:00Z", json!([{ "name": "dateTime", "valueDateTime": "2020-02-01T10:00:00Z" }])),
        ("''", json!([{ "name": "empty-string" }])),
        (
            "4 'mg'",
            json!([{ "name": "Quantity", "valueQuantity": { "value": 4, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg" } }]),
        ),
        ("%v & %p.gender", json!([{ "name": "string", "valueString": "xfemale" }])),
        ("%p.gender", json!([{ "name": "code", "valueCode": "female" }])),
        (
            "name.family.trace('t').exists()",
            json!([
                { "name": "boolean", "valueBoolean": true },
                { "name": "trace", "valueString": "t", "part": [{ "name": "string", "extension": at("Patient.name[0].family"), "valueString": "A" }] },
            ]),
        ),
        ("birthDate", Value::Null),
    ] {
        let (status, answer) = evaluated(
            &client,
            &json!([
                { "name": "expression", "valueString": expression },
                { "name": "variables", "part": [
                    { "name": "v", "valueString": "x" },
                    { "name": "p", "resource": { "resourceType": "Patient", "gender": "female" } },
                ] },
                { "name": "resource", "resource": patient },
            ]),
        );
        assert_eq!(status, 200, "{expression}: {answer}");
        assert_eq!(answer["parameter"][0]["name"], "parameters", "{expression}");
        assert_eq!(
            (&answer["parameter"][1]["name"], &answer["parameter"][1]["part"]),
            (&json!("result"), &expected),
            "{expression}"
        );
    }
    let (status, answer) = evaluated(
        &client,
        &json!([
            { "name": "expression", "valueString": "given.first()" },
            { "name": "context", "valueString": "name" },
            { "name": "resource", "extension": [{
                "url": "http://fhir.forms-lab.com/StructureDefinition/json-value", "valueString": patient.to_string(),
            }] },
        ]),
    );
    assert_eq!(status, 200, "{answer}");
    let results: Vec<(&str, &str)> = answer["parameter"]
        .as_array()
        .into_iter()
        .flatten()
        .skip(1)
        .map(|r| (text(&r["valueString"]), text(&r["part"][0]["valueString"])))
        .collect();
    assert_eq!(results, [("Patient.name[0]", "B"), ("Patient.name[1]", "D")]);
}

#[test]
fn fhirpath_refuses_what_it_cannot_evaluate() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path());
    let client = server.client();
    let patient = json!({ "resourceType": "Patient", "name": [{ "given": vec!["a"; 2_000] }] });
    let with = |expression: &str, context: &str| {
        json!([
            { "name": "expression", "valueString": expression },
            { "name": "context", "valueString": context },
            { "name": "resource", "resource": patient },
        ])
    };
    for (parameters, status) in [
        (json!([{ "name": "expression", "valueString": "id" }]), 400),
        (json!([{ "name": "resource", "resource": patient }]), 400),
        (with("name.", "Patient"), 400),
        (with("given", "("), 400),
        (with("name.given.where($this > 1)", "Patient"), 422),
        // A step for each pair of pairs: more than is spent.
        (
            with(
                "name.given.where(%resource.name.given.where(%resource.name.given.exists()).exists())",
                "Patient",
            ),
            422,
        ),
    ] {
        let (found, answer) = evaluated(&client, &parameters);
        assert_eq!(found, status, "{answer}");
        assert_eq!(answer["resourceType"], "OperationOutcome");
    }
    let (status, answer) = evaluated(&client, &with("true", "name.given"));
    assert_eq!((status >= 400, &answer["issue"][0]["code"]), (true, &json!("too-costly")), "{answer}");
    assert!(client.get("$fhirpath").status >= 400);
    let listed = client.get("metadata").json();
    let operations = listed["rest"][0]["operation"].as_array().cloned().unwrap_or_default();
    assert!(operations.iter().any(|o| o["name"] == "fhirpath"), "{operations:?}");
}
