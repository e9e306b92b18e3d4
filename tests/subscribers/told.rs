//! Patients, visits and reports, as HL7 v2.

use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::Receiver;

use ihe_adapters::wire::hl7v2::acknowledgement::Code;
use ihe_adapters::wire::hl7v2::message::Message;
use serde_json::{Value, json};
use tests::Server;
use tests::mllp::{MllpClient, code};

use crate::consumer::{Consumer, WAIT, put, told};

const SETTINGS: &str = r#"
[hl7v2]
application = "REGION"
facility = "HUB"
[outbox]
pause_seconds = 0.1
pause_seconds_max = 0.2
[[identity.domains]]
name = "SIO"
oid = "1.3.6.1.4.1.99999.1"
sources = ["SIO|H1"]
[[identity.domains]]
name = "LIS"
oid = "1.3.6.1.4.1.99999.2"
sources = ["LIS|H1"]
"#;
const SIO: &str = "1.3.6.1.4.1.99999.1";

/// A server, and the port at which it takes HL7 v2.
struct Hub {
    server: Server,
    mllp: u16,
}

impl Hub {
    /// Starts one that tells systems of patients, visits and reports: name, application, port.
    fn start(folder: &Path, subscribers: &[(&str, &str, u16)]) -> Hub {
        let mllp = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let mut settings = SETTINGS.to_owned();
        for (name, application, port) in subscribers {
            settings += &format!(
                "[[subscribers]]\nname = \"{name}\"\naddress = \"mllp://127.0.0.1:{port}\"\nwhat = [\"adt\", \"oru\"]\n\
                 application = \"{application}\"\nfacility = \"H1\"\n"
            );
        }
        let file = folder.join("settings.toml");
        std::fs::write(&file, settings).expect("written");
        let arguments = ["--mllp", &format!("127.0.0.1:{mllp}"), "--config", &file.display().to_string()];
        Hub { server: Server::start_with(&folder.join("data"), &arguments, &[]), mllp }
    }

    fn put(&self, resource: &Value) {
        let place =
            format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
        let stored = self.server.client().json("PUT", &place, &[], resource).expect("stored");
        assert!(stored.status < 300, "{}", stored.json());
    }

    /// Sends a message as a hospital does.
    fn feed(&self, text: &str) {
        let answer = MllpClient::connect(self.mllp).expect("a connection").ask(text);
        assert_eq!(code(&answer), "AA", "{}", answer.write());
    }
}

/// Waits for the next message: its event, and the message.
fn next(messages: &Receiver<Message>) -> (String, Message) {
    let message = messages.recv_timeout(WAIT).expect("told");
    (message.header(9).component(2).text().to_owned(), message)
}

fn value(message: &Message, segment: &str, field: usize, component: usize) -> String {
    message.value(segment, field, component).unwrap_or_default()
}

fn patient(id: &str, family: &str, more: Value) -> Value {
    let mut patient = json!({
        "resourceType": "Patient", "id": id,
        "identifier": [{ "system": format!("urn:oid:{SIO}"), "value": id }],
        "name": [{ "family": family, "given": ["Anna"] }], "birthDate": "1980-02-29", "gender": "female",
    });
    if let (Some(patient), Some(more)) = (patient.as_object_mut(), more.as_object()) {
        patient.extend(more.clone());
    }
    patient
}

#[test]
fn patients_and_visits_are_told_by_their_events() {
    let folder = tempfile::tempdir().expect("a folder");
    let consumer = Consumer::new();
    let messages = consumer.listen(|_| Some(Code::ApplicationAccept));
    let hub = Hub::start(folder.path(), &[("lis", "LIS", consumer.port)]);
    hub.put(&patient("p", "Rossi", json!({})));
    let (event, first) = next(&messages);
    assert_eq!(event, "A28");
    for (field, expected) in
        [(3, "REGION"), (4, "HUB"), (5, "LIS"), (6, "H1"), (9, "ADT^A28^ADT_A05"), (11, "P"), (12, "2.5")]
    {
        assert_eq!(first.header(field).text(), expected, "MSH-{field}");
    }
    assert_eq!((value(&first, "PID", 3, 1), value(&first, "PID", 5, 1)), ("p".into(), "Rossi".into()));
    // What nobody is told: nothing that a message says, and who has no identifier that others know.
    hub.put(&patient("p", "Rossi", json!({ "photo": [{ "title": "x" }] })));
    hub.put(&json!({ "resourceType": "Patient", "id": "n", "identifier": [{ "system": "urn:oid:1.9.9", "value": "n" }] }));
    hub.put(&patient("p", "Bianchi", json!({})));
    let (event, changed) = next(&messages);
    assert_eq!((event.as_str(), value(&changed, "PID", 5, 1).as_str()), ("A31", "Bianchi"));
    let visit = |status: &str, class: &str| {
        json!({
            "resourceType": "Encounter", "id": "v", "status": status,
            "identifier": [{ "system": format!("urn:oid:{SIO}"), "value": "V1" }],
            "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": class },
            "subject": { "reference": "Patient/p" }, "period": { "start": "2026-01-02T03:04:05Z" },
        })
    };
    let steps = [
        ("planned", "IMP", "A05"),
        ("cancelled", "IMP", "A38"),
        ("in-progress", "EMER", "A04"),
        ("in-progress", "IMP", "A06"),
        ("finished", "IMP", "A03"),
        ("in-progress", "IMP", "A13"),
        ("entered-in-error", "IMP", "A11"),
    ];
    for (status, class, expected) in steps {
        hub.put(&visit(status, class));
        let (event, message) = next(&messages);
        assert_eq!(event, expected, "{status} {class}");
        assert_eq!((value(&message, "PV1", 19, 1), value(&message, "PID", 3, 1)), ("V1".into(), "p".into()));
    }
    hub.put(&patient("q", "Verdi", json!({})));
    assert_eq!(next(&messages).0, "A28");
    let named = |name: &str, id: &str| json!({ "name": name, "valueReference": { "reference": format!("Patient/{id}") } });
    let merge = json!({ "resourceType": "Parameters", "parameter": [named("source-patient", "q"), named("target-patient", "p")] });
    let merged = hub.server.client().json("POST", "Patient/$merge", &[], &merge).expect("merged");
    assert_eq!(merged.status, 200, "{}", merged.json());
    let (event, message) = next(&messages);
    assert_eq!((event.as_str(), message.header(9).component(3).text()), ("A40", "ADT_A39"));
    assert_eq!((value(&message, "MRG", 1, 1), value(&message, "PID", 3, 1)), ("q".into(), "p".into()));
}

fn observation(id: &str, value: f64, status: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": status, "subject": { "reference": "Patient/p" },
        "code": { "coding": [{ "system": "http://loinc.org", "code": "718-7", "display": "Hemoglobin" }] },
        "valueQuantity": { "value": value, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL" },
    })
}

fn report(status: &str, results: &[&str]) -> Value {
    let results: Vec<Value> =
        results.iter().map(|id| json!({ "reference": format!("Observation/{id}") })).collect();
    let mut report = json!({
        "resourceType": "DiagnosticReport", "id": "r", "status": status, "subject": { "reference": "Patient/p" },
        "identifier": [{ "system": format!("urn:oid:{SIO}"), "value": "R1" }],
        "code": { "coding": [{ "system": "http://loinc.org", "code": "58410-2", "display": "CBC" }] },
        "issued": "2026-01-02T03:04:05.123456Z",
    });
    if !results.is_empty() {
        report["result"] = json!(results);
    }
    report
}

#[test]
fn a_report_is_told_with_its_results_and_again_when_it_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let consumer = Consumer::new();
    let messages = consumer.listen(|_| Some(Code::ApplicationAccept));
    let hub = Hub::start(folder.path(), &[("his", "HIS", consumer.port)]);
    hub.put(&patient("p", "Rossi", json!({})));
    assert_eq!(next(&messages).0, "A28");
    // Nothing to tell before there is a report, nor while it has nothing.
    hub.put(&observation("o1", 13.5, "final"));
    hub.put(&report("registered", &[]));
    let entry = |resource: Value| {
        let url =
            format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
        json!({ "resource": resource, "request": { "method": "PUT", "url": url } })
    };
    // What is stored together is told once.
    let together = json!({ "resourceType": "Bundle", "type": "transaction",
        "entry": [entry(report("final", &["o1", "o2"])), entry(observation("o2", 4.5, "final"))] });
    let done = hub.server.client().json("POST", "", &[], &together).expect("stored");
    assert_eq!(done.status, 200, "{}", done.json());
    let (event, first) = next(&messages);
    assert_eq!((event.as_str(), first.header(9).text()), ("R01", "ORU^R01^ORU_R01"));
    assert_eq!(value(&first, "OBR", 25, 1), "F");
    assert_eq!(value(&first, "OBR", 22, 1), "20260102030405.1234+0000");
    let values: Vec<String> =
        first.all().filter(|s| s.name() == "OBX").map(|s| s.part(5).text().to_owned()).collect();
    assert_eq!(values, ["13.5", "4.5"]);
    // A result is corrected; then the report as a whole.
    hub.put(&observation("o1", 12.5, "corrected"));
    let (_, corrected) = next(&messages);
    assert_eq!(
        (value(&corrected, "OBX", 5, 1), value(&corrected, "OBX", 11, 1)),
        ("12.5".into(), "C".into())
    );
    hub.put(&report("corrected", &["o1", "o2"]));
    assert_eq!(value(&next(&messages).1, "OBR", 25, 1), "C");
    hub.put(&report("cancelled", &["o1", "o2"]));
    assert_eq!(value(&next(&messages).1, "OBR", 25, 1), "X");
    hub.put(&report("final", &["o1", "o2"]));
    assert_eq!(value(&next(&messages).1, "OBR", 25, 1), "F");
    hub.server.client().send("DELETE", "DiagnosticReport/r", &[], &[]).expect("deleted");
    assert_eq!(value(&next(&messages).1, "OBR", 25, 1), "X");
}

#[test]
fn nobody_is_told_what_he_told_himself() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sio, lis) = (Consumer::new(), Consumer::new());
    let (to_sio, to_lis) =
        (sio.listen(|_| Some(Code::ApplicationAccept)), lis.listen(|_| Some(Code::ApplicationAccept)));
    let hub = Hub::start(folder.path(), &[("sio", "SIO", sio.port), ("lis", "LIS", lis.port)]);
    let adt = |event: &str, id: &str, patient: &str, rest: &str| {
        format!(
            "MSH|^~\\&|SIO|H1|REGION|HUB|20260102030405||ADT^{event}|{id}|P|2.5\rEVN|{event}|20260102030405\r\
             PID|||{patient}^^^SIO&{SIO}&ISO||{patient}^ANNA\r{rest}"
        )
    };
    hub.feed(&adt("A28", "1", "1001", "PV1||N\r"));
    hub.feed(&adt("A28", "2", "1002", "PV1||N\r"));
    hub.feed(&adt("A01", "3", "1001", &format!("PV1||I|||||||||||||||||V7^^^SIO&{SIO}&ISO\r")));
    hub.feed(&adt("A40", "4", "1001", &format!("MRG|1002^^^SIO&{SIO}&ISO\r")));
    let events: Vec<String> = (0..4).map(|_| next(&to_lis).0).collect();
    assert_eq!(events, ["A28", "A28", "A01", "A40"]);
    // Somebody else changes what SIO told: of that it is told, and of nothing before.
    let found = hub.server.client().get(&format!("Patient?identifier=urn:oid:{SIO}|1001")).json();
    let mut changed = found["entry"]
        .as_array()
        .and_then(|all| all.iter().find(|e| e["resource"]["identifier"][0]["value"] == "1001"))
        .map(|entry| entry["resource"].clone())
        .expect("the patient");
    assert_eq!(
        changed["meta"]["source"].as_str().map(|of| of.starts_with("urn:lanterna:hl7v2:sender:SIO:H1#")),
        Some(true)
    );
    changed["name"][0]["family"] = json!("BIANCHI");
    hub.put(&changed);
    for messages in [&to_sio, &to_lis] {
        let (event, message) = next(messages);
        assert_eq!((event.as_str(), value(&message, "PID", 5, 1).as_str()), ("A31", "BIANCHI"));
    }
}

#[test]
fn what_is_told_can_be_told_on() {
    // What one server tells, another takes: the same patient, visit and report.
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let receiver = Hub::start(other.path(), &[]);
    let hub = Hub::start(folder.path(), &[("other", "REGION2", receiver.mllp)]);
    hub.put(&patient(
        "p",
        "Rossi",
        json!({ "address": [{ "line": ["Via Roma 1"], "city": "Genova", "postalCode": "16121" }] }),
    ));
    hub.put(&json!({
        "resourceType": "Encounter", "id": "v", "status": "in-progress",
        "identifier": [{ "system": format!("urn:oid:{SIO}"), "value": "V1" }],
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP" },
        "subject": { "reference": "Patient/p" }, "period": { "start": "2026-01-02T03:04:05Z" },
    }));
    hub.put(&observation("o1", 13.5, "final"));
    hub.put(&report("final", &["o1"]));
    let client = receiver.server.client();
    let count = |search: &str| client.get(&format!("{search}&_summary=count")).json()["total"].as_u64();
    let deadline = std::time::Instant::now() + WAIT;
    while count("DiagnosticReport?status=final") != Some(1) && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let one = |search: &str| client.get(search).json()["entry"][0]["resource"].clone();
    let told = one(&format!("Patient?identifier=urn:oid:{SIO}|p"));
    assert_eq!((&told["name"][0]["family"], &told["birthDate"]), (&json!("Rossi"), &json!("1980-02-29")));
    assert_eq!(told["address"][0]["city"], "Genova");
    assert_eq!(
        told["meta"]["source"].as_str().map(|of| of.starts_with("urn:lanterna:hl7v2:sender:REGION:HUB#")),
        Some(true)
    );
    let visit = one(&format!("Encounter?identifier=urn:oid:{SIO}|V1"));
    assert_eq!((&visit["status"], &visit["class"]["code"]), (&json!("in-progress"), &json!("IMP")));
    let told = one("DiagnosticReport?status=final&_include=DiagnosticReport:result");
    assert_eq!(told["code"]["coding"][0]["code"], "58410-2");
    let observed = one("Observation?code=http://loinc.org|718-7");
    assert_eq!(observed["valueQuantity"]["value"], 13.5);
    assert_eq!(observed["valueQuantity"]["code"], "g/dL");
}

#[test]
fn a_kill_between_change_and_delivery_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let consumer = Consumer::new();
    let messages = consumer.listen(|count| (count > 0).then_some(Code::ApplicationAccept));
    let subscribers = [("lis", "LIS", consumer.port)];
    let mut hub = Hub::start(folder.path(), &subscribers);
    let (mut expected, mut seen, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..3 {
        for number in 0..8 {
            let id = format!("p{round}-{number}");
            put(&hub.server, &id, SIO, json!({ "name": [{ "family": "Rossi" }] }));
            expected.push(id);
        }
        hub.server.kill();
        hub = Hub::start(folder.path(), &subscribers);
    }
    while seen.len() < expected.len() {
        let message = messages.recv_timeout(WAIT).expect("told");
        let (identifiers, id) = told(&message);
        // One that was sent just before the server was killed may come again, under its id.
        if !ids.contains(&id) {
            ids.push(id);
            seen.extend(identifiers);
        }
    }
    assert_eq!(seen, expected, "in their order, each once");
}
