//! The patient index by FHIR: PIXm, PDQm and PMIR, against the running binary.

mod examples;
mod feeding;
mod merges;
mod messages;
mod pdqm;
mod pixm;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::{Answer, Client, Server};

/// The domains of two sources, and that of persons, by names that differ.
const DOMAINS: &str = r#"
[[identity.domains]]
name = "HZLN"
oid = "1.2.3.1"
uri = "https://hzln.example/mrn"
[[identity.domains]]
name = "PKLN"
oid = "1.2.3.4"
[[identity.domains]]
name = "FHIR2"
oid = "1.2.3.4.5.6"
"#;
const HZLN: &str = "https://hzln.example/mrn";
const HZLN_OID: &str = "urn:oid:1.2.3.1";
const PKLN: &str = "urn:oid:1.2.3.4";
const CF: &str = "urn:oid:2.16.840.1.113883.2.9.4.3.2";
const CF_URI: &str = "http://hl7.it/sid/codiceFiscale";

/// Starts a server with settings of its own.
fn start(folder: &Path, settings: &str) -> (Server, Client) {
    let file = folder.join("settings.toml");
    std::fs::write(&file, settings).expect("written");
    let data = folder.join("data");
    let server = Server::start_with(&data, &["--config", &file.display().to_string()], &[]);
    let client = server.client();
    (server, client)
}

/// A Patient with identifiers.
fn patient(identifiers: &[(&str, &str)], family: &str) -> Value {
    let identifiers: Vec<Value> =
        identifiers.iter().map(|(system, value)| json!({ "system": system, "value": value })).collect();
    let mut patient = json!({ "resourceType": "Patient", "active": true, "name": [{ "family": family }],
                              "gender": "female", "birthDate": "1958-01-30" });
    if !identifiers.is_empty() {
        patient["identifier"] = Value::Array(identifiers);
    }
    patient
}

/// Where a record is fed.
fn place(system: &str, value: &str) -> String {
    format!("Patient?identifier={}%7C{value}", system.replace('|', "%7C"))
}

/// Feeds a record by the first of its identifiers.
fn feed(client: &Client, patient: &Value) -> Answer {
    let key = &patient["identifier"][0];
    let at = place(key["system"].as_str().expect("a system"), key["value"].as_str().expect("a value"));
    client.json("PUT", &at, &[], patient).expect("an answer")
}

/// Feeds a record that is taken; returns its id.
fn fed(client: &Client, patient: &Value) -> String {
    let answer = feed(client, patient);
    assert!([200, 201].contains(&answer.status), "{}", answer.json());
    answer.id()
}

/// Ties two records, as who knows that they are one person does.
fn tie(client: &Client, one: &str, other: &str) {
    for (id, to) in [(one, other), (other, one)] {
        let mut stored = client.get(&format!("Patient/{id}")).json();
        let link = json!({ "type": "seealso", "other": { "reference": format!("Patient/{to}") } });
        match stored["link"].as_array_mut() {
            Some(links) => links.push(link),
            None => stored["link"] = json!([link]),
        }
        let answer = client.json("PUT", &format!("Patient/{id}"), &[], &stored).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.json());
    }
}

/// What a failure tells: status, code, text, place.
fn told(answer: &Answer) -> (u16, String, String, String) {
    let issue = &answer.json()["issue"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (answer.status, text(&issue["code"]), text(&issue["diagnostics"]), text(&issue["expression"][0]))
}

/// The identifiers and Patients of an answer of `$ihe-pix`, sorted.
fn corresponding(answer: &Answer) -> (Vec<String>, Vec<String>) {
    let body = answer.json();
    assert_eq!((answer.status, body["resourceType"].as_str()), (200, Some("Parameters")), "{body}");
    let (mut identifiers, mut patients) = (Vec::new(), Vec::new());
    for parameter in body["parameter"].as_array().into_iter().flatten() {
        match parameter["name"].as_str() {
            Some("targetIdentifier") => {
                let of = &parameter["valueIdentifier"];
                let text = |name: &str| of[name].as_str().unwrap_or_default().to_owned();
                identifiers.push(format!("{}|{}", text("system"), text("value")));
            }
            Some("targetId") => {
                let reference = parameter["valueReference"]["reference"].as_str();
                patients.push(reference.unwrap_or_default().to_owned());
            }
            other => panic!("{other:?}"),
        }
    }
    identifiers.sort();
    patients.sort();
    (identifiers, patients)
}

/// Asks `$ihe-pix` by GET.
fn ask(client: &Client, source: &str, targets: &[&str]) -> Answer {
    let escape = |text: &str| text.replace('|', "%7C");
    let mut path = format!("Patient/$ihe-pix?sourceIdentifier={}", escape(source));
    targets.iter().for_each(|target| path.push_str(&format!("&targetSystem={}", escape(target))));
    client.get(&path)
}

/// The events of a transaction, the newest last.
fn events(client: &Client, transaction: &str) -> Vec<Value> {
    let path =
        format!("AuditEvent?subtype=urn:ihe:event-type-code%7C{transaction}&_sort=_lastUpdated&_count=100");
    let bundle = client.get(&path).json();
    bundle["entry"].as_array().into_iter().flatten().map(|entry| entry["resource"].clone()).collect()
}

/// The ids of those who are found.
fn found(client: &Client, search: &str) -> Vec<String> {
    let answer = client.get(search);
    assert_eq!(answer.status, 200, "{}", answer.json());
    let bundle = answer.json();
    let entries = bundle["entry"].as_array().into_iter().flatten();
    let matches = entries.filter(|entry| entry["search"]["mode"] == "match");
    matches.map(|entry| entry["resource"]["id"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The material of others; says so where it is not there.
fn material(path: &str) -> Option<PathBuf> {
    let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata/ihe").join(path);
    if !at.exists() {
        eprintln!("passed over: the test material is not at {}", at.display());
        return None;
    }
    Some(at)
}
