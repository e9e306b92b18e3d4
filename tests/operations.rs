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
