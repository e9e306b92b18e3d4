//! What FHIR is asked is recorded by BALP, whole and once, and nobody changes
//! what is recorded.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fhir_model::primitive::base64;
use serde_json::{Value, json};
use tests::{Answer, Client, Numbers, Server, repeats};

fn start(folder: &Path, audit: &str) -> Server {
    let settings = folder.join("settings.toml");
    std::fs::write(&settings, format!("[audit]\n{audit}")).expect("written");
    Server::start_with(&folder.join("data"), &["--config", &settings.display().to_string()], &[])
}

fn resources(bundle: &Value) -> Vec<Value> {
    bundle["entry"].as_array().into_iter().flatten().map(|entry| entry["resource"].clone()).collect()
}

/// An AuditEvent as a client of ITI-20 sends it.
fn foreign() -> Value {
    json!({ "resourceType": "AuditEvent", "recorded": "2026-01-02T03:04:05Z",
        "type": { "system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110100" },
        "agent": [{ "requestor": true, "who": { "display": "somebody" } }],
        "source": { "observer": { "display": "a ward" } } })
}

fn bundle(of: &str, entries: Vec<Value>) -> Value {
    json!({ "resourceType": "Bundle", "type": of, "entry": entries })
}

fn entry(method: &str, url: &str, resource: &Value) -> Value {
    let mut entry = json!({ "request": { "method": method, "url": url } });
    if !resource.is_null() {
        entry["resource"] = resource.clone();
    }
    entry
}

#[test]
fn nobody_changes_an_audit_event() {
    let folder = tempfile::tempdir().expect("folder");
    let server = start(folder.path(), "source_id = \"genova\"\n");
    let client = server.client();
    let created = client.create(&foreign());
    assert_eq!(created.status, 201, "the feed of others is taken");
    let id = created.id();
    let (place, mut changed) = (format!("AuditEvent/{id}"), foreign());
    changed["id"] = json!(id);
    let patch = json!([{ "op": "replace", "path": "/recorded", "value": "2020-01-01T00:00:00Z" }]);
    let json_patch = [("content-type", "application/json-patch+json")];
    let refused = |answer: &Answer| {
        assert_eq!(answer.status, 405, "{}", String::from_utf8_lossy(&answer.body));
        assert!(
            answer.json()["issue"][0]["diagnostics"].as_str().is_some_and(|why| why.contains("AuditEvent"))
        );
        assert!(answer.header("allow").is_some_and(|a| !a.contains("PUT") && !a.contains("DELETE")));
    };
    refused(&client.json("PUT", &place, &[], &changed).expect("an answer"));
    refused(&client.json("PUT", "AuditEvent?type=110100", &[], &changed).expect("an answer"));
    for path in [place.as_str(), "AuditEvent?type=110100"] {
        refused(&client.send("PATCH", path, &json_patch, patch.to_string().as_bytes()).expect("an answer"));
        refused(&client.send("DELETE", path, &[], &[]).expect("an answer"));
    }

    // Nor by a Bundle: of a batch the entry is refused, of a transaction all.
    let document = json!({ "resourceType": "Binary", "contentType": "application/json-patch+json",
        "data": base64::encode(patch.to_string().as_bytes()) });
    for (method, url, resource) in [
        ("PUT", place.as_str(), &changed),
        ("PUT", "AuditEvent?type=110100", &changed),
        ("PATCH", place.as_str(), &document),
        ("DELETE", place.as_str(), &Value::Null),
        ("DELETE", "AuditEvent?type=110100", &Value::Null),
    ] {
        let entries = vec![
            entry("POST", "Basic", &json!({ "resourceType": "Basic", "code": { "text": "x" } })),
            entry(method, url, resource),
        ];
        let batch =
            client.json("POST", "", &[], &bundle("batch", entries.clone())).expect("an answer").json();
        assert_eq!(batch["entry"][0]["response"]["status"], "201 Created", "{batch}");
        assert_eq!(
            batch["entry"][1]["response"]["status"], "405 Method Not Allowed",
            "{method} {url}: {batch}"
        );
        let before = client.get("Basic?_summary=count").json()["total"].clone();
        let all = client.json("POST", "", &[], &bundle("transaction", entries)).expect("an answer");
        assert_eq!(all.status, 405, "{method} {url}");
        assert_eq!(client.get("Basic?_summary=count").json()["total"], before, "nothing of it is stored");
    }
    assert_eq!(client.get(&place).json()["meta"]["versionId"], "1");

    // Bundles of AuditEvents are taken, as is one that another system gave its id.
    for of in ["batch", "transaction"] {
        let feed = bundle(
            of,
            vec![entry("POST", "AuditEvent", &foreign()), entry("POST", "AuditEvent", &foreign())],
        );
        let done = client.json("POST", "", &[], &feed).expect("an answer").json();
        assert_eq!(done["entry"][1]["response"]["status"], "201 Created", "{done}");
    }
    changed["id"] = json!("theirs");
    for status in [201, 412] {
        let added = client.json("PUT", "AuditEvent/theirs", &[("if-none-match", "*")], &changed);
        assert_eq!(added.expect("an answer").status, status);
    }
    // Nobody speaks in the name of this server.
    let mut forged = foreign();
    forged["source"]["observer"] = json!({ "identifier": { "value": "genova" } });
    assert_eq!(client.create(&forged).status, 403);
    let among = bundle(
        "transaction",
        vec![entry("POST", "AuditEvent", &foreign()), entry("POST", "AuditEvent", &forged)],
    );
    let answer = client.json("POST", "", &[], &among).expect("an answer");
    assert_eq!(
        (
            answer.status,
            answer.json()["issue"][0]["expression"][0].as_str().map(|at| at.contains("entry[1]"))
        ),
        (403, Some(true))
    );

    let statement = client.get("metadata").json();
    let told = |of: &str| {
        let all = statement["rest"][0]["resource"].as_array().expect("resources");
        all.iter().find(|resource| resource["type"] == of).expect("told").clone()
    };
    let codes = |of: &str| told(of)["interaction"].as_array().expect("interactions").len();
    assert_eq!((codes("AuditEvent"), codes("Patient")), (6, 9));
    assert_eq!(told("AuditEvent")["conditionalDelete"], "not-supported");
}

#[test]
fn the_audit_events_of_another_system_are_imported_once() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("events.ndjson");
    let mut event = foreign();
    event["id"] = json!("theirs");
    std::fs::write(&file, event.to_string()).expect("written");
    let import = || {
        let mut command = std::process::Command::new(tests::binary());
        command.arg("import").arg("--data").arg(folder.path().join("data")).arg(&file);
        command.output().expect("run").status.success()
    };
    assert_eq!((import(), import()), (true, false), "the second would change it");
    let server = start(folder.path(), "");
    assert_eq!(server.client().get("AuditEvent/theirs").json()["meta"]["versionId"], "1");
}

/// What an AuditEvent tells: what was done, how it ended, the patients, the objects.
type Told = (String, String, String, Vec<String>, Vec<String>);

fn told(event: &Value) -> Told {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entities = || event["entity"].as_array().into_iter().flatten();
    let named = |is_patient: bool| {
        let of = entities().filter(move |entity| (entity["role"]["code"] == "1") == is_patient);
        of.filter_map(|entity| entity["what"]["reference"].as_str().map(str::to_owned)).collect()
    };
    (
        text(&event["subtype"][0]["code"]),
        text(&event["action"]),
        text(&event["outcome"]),
        named(true),
        named(false),
    )
}

/// A client whose requests are told apart in what is recorded.
struct Asking {
    client: Client,
    number: std::cell::Cell<usize>,
}

impl Asking {
    fn of(server: &Server) -> Asking {
        Asking { client: server.client(), number: std::cell::Cell::new(0) }
    }

    /// Asks, and returns the answer with the AuditEvents of it, in their order.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> (Answer, Vec<Value>) {
        self.number.set(self.number.get() + 1);
        let id = format!("request-{}", self.number.get());
        let mut all = vec![("x-request-id", id.as_str())];
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            all.push(("content-type", "application/fhir+json"));
        }
        all.extend_from_slice(headers);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = self.client.send(method, path, &all, &body).expect("an answer");
        let latest = self.client.get("AuditEvent?_sort=-_lastUpdated&_count=50").json();
        let is_of = |event: &Value| {
            let entities = event["entity"].as_array().into_iter().flatten();
            entities.map(|entity| &entity["what"]["identifier"]["value"]).any(|value| *value == *id)
        };
        let mut events: Vec<Value> = resources(&latest).into_iter().filter(is_of).collect();
        events.sort_by_key(told);
        for event in &events {
            self.validate(event);
        }
        (answer, events)
    }

    fn validate(&self, event: &Value) {
        let answer = self.client.json("POST", "AuditEvent/$validate", &[], event).expect("an answer").json();
        let issues = answer["issue"].as_array().into_iter().flatten();
        let errors: Vec<&Value> = issues.filter(|issue| issue["severity"] == "error").collect();
        assert!(errors.is_empty(), "{event}: {errors:?}");
    }

    /// Asks what has one event.
    #[track_caller]
    fn one(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        expected: (&str, &str, &str, &[&str], &[&str]),
    ) -> Value {
        let headers: &[(&str, &str)] =
            if method == "PATCH" { &[("content-type", "application/json-patch+json")] } else { &[] };
        let headers = if body["ifMatch"].is_string() { &[("if-match", "W/\"9\"")] } else { headers };
        let (answer, events) =
            self.ask(method, path, headers, if body["ifMatch"].is_string() { &body["of"] } else { body });
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (kind, action, outcome, patients, objects) = expected;
        let expected: Told =
            (kind.to_owned(), action.to_owned(), outcome.to_owned(), all(patients), all(objects));
        let found: Vec<Told> = events.iter().map(told).collect();
        assert_eq!(found, [expected], "{method} {path}: {}", String::from_utf8_lossy(&answer.body));
        events[0].clone()
    }
}

fn patient(id: &str) -> Value {
    json!({ "resourceType": "Patient", "id": id })
}

fn observation(id: &str, patient: &str) -> Value {
    json!({ "resourceType": "Observation", "id": id, "status": "final", "code": { "text": "x" },
        "subject": { "reference": format!("Patient/{patient}") } })
}

fn query_of(event: &Value) -> String {
    let entities = event["entity"].as_array().into_iter().flatten();
    let query = entities.filter_map(|entity| entity["query"].as_str()).next().expect("a query");
    String::from_utf8(base64::decode(query).expect("base64")).expect("text")
}

#[test]
fn each_interaction_is_recorded() {
    let folder = tempfile::tempdir().expect("folder");
    let server =
        start(folder.path(), "fhir = \"all\"\nsource_id = \"genova\"\nenterprise_site = \"ASL 3\"\n");
    let asking = Asking::of(&server);
    let (p, none): (&[&str], &Value) = (&["Patient/p"], &Value::Null);
    let updated = asking.one("PUT", "Patient/p", &patient("p"), ("update", "U", "0", p, p));
    assert_eq!(updated["type"]["code"], "rest");
    assert_eq!(updated["source"]["observer"]["identifier"]["value"], "genova");
    assert_eq!(
        (&updated["source"]["site"], &updated["agent"][0]["network"]["address"]),
        (&"ASL 3".into(), &"127.0.0.1".into())
    );
    let roles =
        |event: &Value| [0, 1].map(|at: usize| event["agent"][at]["type"]["coding"][0]["code"].clone());
    assert_eq!(roles(&updated), ["110153", "110152"]);
    let o: &[&str] = &["Observation/o"];
    asking.one("PUT", "Observation/o", &observation("o", "p"), ("update", "U", "0", p, o));
    let read = asking.one("GET", "Observation/o", none, ("read", "R", "0", p, o));
    assert_eq!(roles(&read), ["110152", "110153"], "data go to who asks");
    asking.one("HEAD", "Observation/o", none, ("read", "R", "0", p, o));
    asking.one("GET", "Observation/o/_history/1", none, ("vread", "R", "0", p, o));
    asking.one("GET", "Observation/o/_history", none, ("history-instance", "R", "0", p, o));
    asking.one("GET", "Observation/_history", none, ("history-type", "R", "0", p, &[]));
    let patch = json!([{ "op": "add", "path": "/note", "value": [{ "text": "y" }] }]);
    asking.one("PATCH", "Observation/o", &patch, ("patch", "U", "0", p, o));
    let (created, events) = asking.ask("POST", "Observation", &[], &observation("new", "p"));
    let place = format!("Observation/{}", created.id());
    assert_eq!(
        told(&events[0]),
        ("create".into(), "C".into(), "0".into(), vec!["Patient/p".into()], vec![place])
    );

    // Searches tell what was asked for; the patients are those asked for and those found.
    let found =
        asking.one("GET", "Observation?code:text=x&_count=5", none, ("search-type", "E", "0", p, &[]));
    assert_eq!(query_of(&found), "Observation?code:text=x&_count=5");
    asking.one(
        "GET",
        "Observation?patient=nobody",
        none,
        ("search-type", "E", "0", &["Patient/nobody"], &[]),
    );
    asking.one("GET", "Patient/p/Observation", none, ("search", "E", "0", p, &[]));
    asking.one("GET", "?_type=Observation", none, ("search-system", "E", "0", p, &[]));
    let everything = asking.one("GET", "Patient/p/$everything", none, ("operation", "E", "0", p, p));
    assert_eq!(query_of(&everything), "Patient/p/$everything");
    let (_, events) = asking.ask("PUT", "Observation/o2", &[], &observation("o2", "q"));
    assert_eq!(told(&events[0]).3, ["Patient/q"]);
    // Each patient has an event of his own.
    let (_, events) = asking.ask("GET", "Observation?_count=50", &[], none);
    let patients: Vec<Vec<String>> = events.iter().map(|event| told(event).3).collect();
    assert_eq!(patients, [["Patient/p"], ["Patient/q"]]);

    // What fails is recorded, and why.
    let failed = asking.one("GET", "Observation/none", none, ("read", "R", "4", &[], &["Observation/none"]));
    assert!(failed["outcomeDesc"].as_str().is_some_and(|why| why.contains("not known")));
    let stale = json!({ "ifMatch": "9", "of": observation("o", "p") });
    asking.one("PUT", "Observation/o", &stale, ("update", "U", "4", &[], o));
    asking.one("GET", "Observation?date=nonsense", none, ("search-type", "E", "4", &[], &[]));
    let deleted = asking.one(
        "DELETE",
        "Observation/o2",
        none,
        ("delete", "D", "0", &["Patient/q"], &["Observation/o2"]),
    );
    assert_eq!(roles(&deleted), ["110150", "custodian"]);
    asking.one("GET", "Observation/o2", none, ("read", "R", "4", &[], &["Observation/o2"]));

    // A batch is what its entries are; a transaction is one, and what is read in it.
    let entries = vec![
        entry("GET", "Patient/p", none),
        entry("POST", "Basic", &json!({ "resourceType": "Basic", "code": { "text": "x" } })),
    ];
    let (_, events) = asking.ask("POST", "", &[], &bundle("batch", entries));
    let kinds: Vec<String> = events.iter().map(|event| told(event).0).collect();
    assert_eq!(kinds, ["create", "read"]);
    let entries = vec![
        entry("GET", "Patient/p", none),
        entry("PUT", "Observation/t", &observation("t", "q")),
        entry("DELETE", "Observation/o", none),
    ];
    let (_, events) = asking.ask("POST", "", &[], &bundle("transaction", entries));
    let all: Vec<Told> = events.iter().map(told).collect();
    let place = |name: &str| vec![name.to_owned()];
    assert_eq!(all[0], ("read".into(), "R".into(), "0".into(), place("Patient/p"), place("Patient/p")));
    let (kind, _, _, patients, objects) = &all[1];
    assert_eq!(
        (kind.as_str(), patients.len(), objects.as_slice()),
        ("transaction", 2, ["Observation/t".to_owned(), "Observation/o".to_owned()].as_slice())
    );
    assert_eq!(all.len(), 2);
    let broken = bundle("transaction", vec![entry("PUT", "Observation/t", &observation("other", "q"))]);
    asking.one("POST", "", &broken, ("transaction", "E", "4", &[], &[]));

    // Nothing is recorded of what the server tells of itself, nor of a record.
    assert_eq!(asking.ask("GET", "metadata", &[], none).1.len(), 0);
    assert_eq!(asking.ask("POST", "AuditEvent", &[], &foreign()).1.len(), 0);
    // A citizen sees who looked.
    let mine = asking.client.get("AuditEvent?patient=p&_count=100").json();
    assert!(resources(&mine).iter().all(|event| told(event).3.contains(&"Patient/p".to_owned())));
    assert!(resources(&mine).len() > 15);
}

/// A submission of a document by MHD (ITI-65).
fn submission() -> Value {
    let list = json!({ "resourceType": "List", "status": "current", "mode": "working",
        "code": { "coding": [{ "system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "code": "submissionset" }] },
        "subject": { "reference": "Patient/p" }, "entry": [{ "item": { "reference": "urn:uuid:5b1f9a35-7b43-4ee2-9d4c-3c2a0de1c001" } }] });
    let document = json!({ "resourceType": "DocumentReference", "status": "current", "subject": { "reference": "Patient/p" },
        "content": [{ "attachment": { "contentType": "text/plain", "url": "urn:uuid:5b1f9a35-7b43-4ee2-9d4c-3c2a0de1c002" } }] });
    let binary = json!({ "resourceType": "Binary", "contentType": "text/plain", "data": "Zm9v" });
    let named = |number: u8, of: &str, resource: &Value| {
        let mut entry = entry("POST", of, resource);
        entry["fullUrl"] = json!(format!("urn:uuid:5b1f9a35-7b43-4ee2-9d4c-3c2a0de1c00{number}"));
        entry
    };
    bundle(
        "transaction",
        vec![named(0, "List", &list), named(1, "DocumentReference", &document), named(2, "Binary", &binary)],
    )
}

#[test]
fn what_is_about_documents_is_recorded() {
    let folder = tempfile::tempdir().expect("folder");
    let server = start(folder.path(), "");
    let asking = Asking::of(&server);
    let client = &asking.client;
    let none = &Value::Null;
    assert_eq!(client.json("PUT", "Patient/p", &[], &patient("p")).expect("an answer").status, 201);
    let done = client.json("POST", "", &[], &submission()).expect("an answer").json();
    let place = |at: usize| {
        let location = done["entry"][at]["response"]["location"].as_str().expect("a location");
        location.split("/fhir/").nth(1).and_then(|l| l.split("/_history").next()).expect("a place").to_owned()
    };
    let (list, document, binary) = (place(0), place(1), place(2));
    for path in [
        document.as_str(),
        "DocumentReference?patient=p",
        "List?subject=Patient/p",
        &binary,
        "DocumentReference?patient=q",
    ] {
        assert_eq!(client.get(path).status, 200, "{path}");
    }
    let (patient, unknown) = (vec!["Patient/p".to_owned()], vec!["Patient/q".to_owned()]);
    let expected = |kind: &str, action: &str, patients: &Vec<String>, objects: &[&String]| -> Told {
        let objects = objects.iter().map(|of| (*of).clone()).collect();
        (kind.to_owned(), action.to_owned(), "0".to_owned(), patients.clone(), objects)
    };
    let events = resources(&client.get("AuditEvent?_sort=_lastUpdated&_count=50").json());
    let found: Vec<Told> = events.iter().map(told).collect();
    assert_eq!(
        found,
        [
            expected("ITI-65", "C", &patient, &[&list]),
            expected("read", "R", &patient, &[&document]),
            expected("ITI-67", "E", &patient, &[]),
            expected("ITI-66", "E", &patient, &[]),
            expected("ITI-68", "R", &patient, &[&binary]),
            expected("ITI-67", "E", &unknown, &[]),
        ]
    );
    let types: Vec<&str> = events.iter().filter_map(|event| event["type"]["code"].as_str()).collect();
    assert_eq!(types, ["110107", "rest", "110112", "110112", "110106", "110112"]);
    for event in &events {
        asking.validate(event);
        assert!(!event.to_string().contains("Zm9v"), "no content stands in it");
    }

    // A submission that is refused is one as well.
    let mut refused = submission();
    refused["entry"][1]["request"]["url"] = json!("Observation");
    assert_eq!(client.json("POST", "", &[], &refused).expect("an answer").status, 400);
    let events = resources(&client.get("AuditEvent?subtype=ITI-65&outcome=4").json());
    assert_eq!(events.iter().map(|event| told(event).3).collect::<Vec<_>>(), std::slice::from_ref(&patient));
    asking.validate(&events[0]);

    // Documents are not had by another way; what is about none leaves no trace.
    for (path, count) in [
        ("Patient?_id=p", 0),
        ("Patient/p", 0),
        ("Patient?_id=p&_revinclude=DocumentReference:subject", 1),
        ("Patient/p/$everything", 1),
        ("?_type=Patient", 0),
        ("?_type=Binary,Patient", 1),
        ("Patient/p/*", 1),
        ("Patient/p/DocumentReference", 1),
        ("DocumentReference/_history", 1),
        ("Binary/none", 0),
    ] {
        assert_eq!(asking.ask("GET", path, &[], none).1.len(), count, "{path}");
    }
    assert_eq!(client.get("AuditEvent?subtype=ITI-68&outcome=4").json()["total"], 1);
    assert_eq!(asking.ask("PUT", "Patient/p", &[], &self::patient("p")).1.len(), 0);

    // And nothing, where that is set.
    server.kill();
    for setting in ["fhir = \"off\"\n", "record = false\n"] {
        let server = start(folder.path(), setting);
        let client = server.client();
        let count = || client.get("AuditEvent?_summary=count").json()["total"].clone();
        let before = count();
        assert_eq!(client.get(&binary).status, 200);
        assert_eq!(client.json("POST", "", &[], &submission()).expect("an answer").status, 200);
        assert_eq!(count(), before, "{setting}");
        server.kill();
    }
}

const WRITERS: usize = 12;

/// Writes and reads until told to stop; what was answered is noted: the patient, and how often he was read.
fn ask_until(client: &Client, writer: usize, stop: &AtomicBool, ledger: &Mutex<BTreeMap<String, u64>>) {
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let place = format!("Patient/w{writer}n{number}");
        let body = patient(place.trim_start_matches("Patient/"));
        let written = match number % 2 {
            0 => client.json("PUT", &place, &[], &body).map(|answer| answer.status == 201),
            _ => {
                let entries = vec![
                    entry("PUT", &place, &body),
                    entry(
                        "PUT",
                        &format!("Basic/w{writer}n{number}"),
                        &json!({
                    "resourceType": "Basic", "id": format!("w{writer}n{number}"), "code": { "text": "x" } }),
                    ),
                ];
                client
                    .json("POST", "", &[], &bundle("transaction", entries))
                    .map(|answer| answer.status == 200)
            }
        };
        match written {
            Ok(true) => _ = ledger.lock().expect("ledger").insert(place.clone(), 0),
            Ok(false) => panic!("a write was refused without reason"),
            Err(_) => return,
        }
        match client.send("GET", &place, &[], &[]) {
            Ok(answer) if answer.status == 200 => {
                *ledger.lock().expect("ledger").entry(place).or_default() += 1
            }
            Ok(answer) => panic!("a read was refused: {}", answer.status),
            Err(_) => return,
        }
    }
}

#[test]
fn a_kill_leaves_no_write_without_its_record() {
    let folder = tempfile::tempdir().expect("folder");
    let mut numbers = Numbers::new(11);
    let (mut acknowledged, mut records) = (0, 0);
    for cycle in 0..repeats("LANTERNA_KILL_CYCLES", 4) {
        let data = folder.path().join(cycle.to_string());
        std::fs::create_dir(&data).expect("made");
        let server = start(&data, "fhir = \"all\"\n");
        let ledger = Mutex::new(BTreeMap::new());
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (client, ledger, stop) = (server.client(), &ledger, &stop);
                scope.spawn(move || ask_until(&client, writer, stop, ledger));
            }
            std::thread::sleep(Duration::from_millis(200 + numbers.below(500)));
            server.kill();
            stop.store(true, Ordering::Relaxed);
        });
        // Counting leaves no trace of its own.
        let server = start(&data, "fhir = \"off\"\n");
        let client = server.client();
        let total = |search: &str| client.get(search).json()["total"].as_u64().expect("a total");
        let ledger = ledger.into_inner().expect("ledger");
        for (place, reads) in &ledger {
            let writes =
                total(&format!("AuditEvent?entity={place}&subtype=update,transaction&_summary=count"));
            // A transaction has one event, an update one, each with its patient and its object in it.
            assert_eq!(writes, 1, "cycle {cycle}: {place}");
            assert!(
                total(&format!("AuditEvent?entity={place}&subtype=read&_summary=count")) >= *reads,
                "{place}"
            );
        }
        // Whether it was acknowledged or not: as many writes as records of them.
        let (patients, events) =
            (total("Patient?_summary=count"), total("AuditEvent?subtype=update,transaction&_summary=count"));
        assert_eq!(patients, events, "cycle {cycle}");
        assert!(patients >= ledger.len() as u64);
        (acknowledged, records) = (acknowledged + ledger.len(), records + events);
        server.kill();
    }
    println!("{acknowledged} writes acknowledged, {records} recorded, none without and none twice");
    assert!(acknowledged > 0);
}
